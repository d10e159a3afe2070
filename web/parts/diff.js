// What changed: resource by resource, field by field.

import { h } from "../lib/dom.js";
import { plural } from "../lib/format.js";
import { json } from "../lib/yaml.js";
import { pathOf, TYPES } from "../lib/types.js";
import { address } from "../lib/router.js";
import { badge } from "./bits.js";

const WORDS = {
  create: "created",
  update: "updated",
  delete: "deleted",
  created: "created",
  updated: "updated",
  deleted: "deleted",
};
const KINDS = { created: "good", updated: "info", deleted: "bad" };
export const actionOf = (change) =>
  WORDS[change.action] ??
    (change.before === null || change.before === undefined
      ? "created"
      : change.after === null || change.after === undefined
      ? "deleted"
      : "updated");

const shown = (
  value,
) => (value === undefined || value === null
  ? "not set"
  : typeof value === "object"
  ? json(value).trim()
  : String(value));

/** `[{ action, type, name, id, fields: [{ path, before, after }] }]` */
export function diff(changes, { limit = 200 } = {}) {
  if (!changes.length) return h("p", { class: "note" }, "Nothing differs.");
  return h(
    "div",
    { class: "diff" },
    changes.slice(0, limit).map((change) => entry(change)),
    changes.length > limit &&
      h("p", { class: "note" }, `and ${plural(changes.length - limit, "more resource", "more resources")}`),
  );
}

function entry(change) {
  const action = actionOf(change);
  const fields =
    (change.fields ?? compare(change.before?.spec ?? change.before, change.after?.spec ?? change.after))
      .filter((one) => !/^(updated_at|created_at|id)$/.test(one.path));
  const title = change.name || change.id?.slice(0, 8);
  const about = TYPES[change.type];
  const link = (
    text,
  ) => (action !== "deleted" && about
    ? h("a", { href: address(pathOf(change.type, change.id)) }, text)
    : null);
  const line = (
    name,
  ) => [badge(action, KINDS[action]), h("span", { class: "note" }, about?.one ?? change.type), name];
  if (fields.length === 0) {
    return h(
      "div",
      { class: ["diff-entry", "diff-line", `is-${action}`] },
      line(link(title) ?? h("b", title)),
    );
  }
  return h(
    "details",
    { class: ["diff-entry", `is-${action}`], open: fields.length <= 12 },
    h(
      "summary",
      { class: "diff-line" },
      line(h("b", title)),
      h("span", { class: "spring" }),
      h("span", { class: "note" }, plural(fields.length, "field")),
    ),
    h(
      "dl",
      { class: "diff-fields" },
      fields.map((field) =>
        h(
          "div",
          h("dt", field.path),
          h(
            "dd",
            action !== "created" && h("del", { "aria-label": "before" }, shown(field.before)),
            action !== "deleted" && h("ins", { "aria-label": "after" }, shown(field.after)),
          ),
        )
      ),
    ),
    link(`Open this ${about?.one}`) && h("p", { class: "diff-foot" }, link(`Open this ${about?.one}`)),
  );
}

/** The fields in which two specs differ, where the API gave both whole. */
export function compare(before, after, path = "") {
  if (JSON.stringify(before ?? null) === JSON.stringify(after ?? null)) return [];
  const isRecord = (value) => value !== null && typeof value === "object" && !Array.isArray(value);
  if (
    (isRecord(before) || isRecord(after)) && (before === undefined || before === null || isRecord(before)) &&
    (after === undefined || after === null || isRecord(after))
  ) {
    const keys = [...new Set([...Object.keys(before ?? {}), ...Object.keys(after ?? {})])];
    return keys.flatMap((key) => compare(before?.[key], after?.[key], path ? `${path}.${key}` : key));
  }
  return [{ path, before, after }];
}

export function summary(changes) {
  const counts = { created: 0, updated: 0, deleted: 0 };
  for (const change of changes) counts[actionOf(change)]++;
  return Object.entries(counts).filter(([, value]) => value).map(([word, value]) => `${value} ${word}`).join(
    ", ",
  ) || "nothing";
}
