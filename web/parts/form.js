// A form for any resource, made from its schema. Errors of the API stand at their fields.

import { h, put } from "../lib/dom.js";
import { plural } from "../lib/format.js";
import { OWN_FIELDS, TYPES } from "../lib/types.js";
import { isDefault, label } from "./field_frame.js";
import { make, pairs } from "./fields.js";
import { findings as list, notice } from "./bits.js";

/**
 * `schema`: `{ fields }`. `spec`: what is stored, or what a new one begins with. `fixed`: fields that the page decides.
 * Gives `{ element, read(), minimal(), isChanged(), show(problem), focus() }`.
 */
export function form(type, schema, spec, { isNew, fixed = {}, only = null, changed = () => {} }) {
  const about = TYPES[type] ?? { first: [] };
  const start = structuredClone(spec ?? {});
  let touched = false;
  const note = () => {
    touched = true;
    changed();
  };
  const shown = pairs(schema.fields).filter(([name, one]) =>
    !OWN_FIELDS.has(name) && !(name in fixed) && !one.deprecation &&
    !(type === "services" && name === "url") &&
    !(only && !only.includes(name)) && one.type !== "function" && one.eq === undefined
  );
  const schemas = new Map(pairs(schema.fields));
  const fields = new Map();
  for (const [name, one] of shown) {
    fields.set(
      name,
      make(
        {
          name,
          path: name,
          type,
          changed: note,
          fresh: isNew,
          help: about.help?.[name] ?? (name === "tags" ? TAGS : undefined),
          label: name === "tags" ? "Labels and tags" : undefined,
        },
        one,
        start[name],
      ),
    );
  }
  const first = about.first.filter((name) => fields.has(name));
  const rest = [...fields.keys()].filter((name) => !first.includes(name));
  const set = rest.filter((name) =>
    !isNew && start[name] !== null && start[name] !== undefined && !isDefault(schemas.get(name), start[name])
  );
  const summary = h("div", { class: "form-errors" });
  const element = h(
    "div",
    { class: "form" },
    summary,
    h("div", { class: "fields" }, first.map((name) => fields.get(name).element)),
    rest.length > 0 &&
      h(
        "details",
        { class: "more" },
        h(
          "summary",
          "More settings",
          h(
            "span",
            { class: "note" },
            set.length
              ? `${set.map(label).join(", ")} ${set.length === 1 ? "is" : "are"} set`
              : `${rest.length} with their defaults`,
          ),
        ),
        h("div", { class: "fields" }, rest.map((name) => fields.get(name).element)),
      ),
  );

  function read() {
    const out = structuredClone(start);
    for (const [name, field] of fields) out[name] = field.get();
    Object.assign(out, structuredClone(fixed));
    return out;
  }

  return {
    element,
    read,
    isChanged: () => touched,
    settled: () => {
      touched = false;
    },
    /** Only what differs from the defaults: what somebody would write by hand. */
    minimal: () => trim(read(), schema.fields),
    focus: () => fields.get(first[0])?.focus(),
    show(problem) {
      const flat = [];
      const gather = (field) => {
        flat.push(field);
        field.children?.forEach(gather);
      };
      fields.forEach(gather);
      const left = [];
      const byField = new Map();
      for (const finding of problem?.findings ?? []) {
        const field = best(flat, finding.field ?? "");
        if (!field) {
          left.push(finding);
          continue;
        }
        const text = [finding.message, finding.remedy].filter(Boolean).join(" ");
        byField.set(field, [...(byField.get(field) ?? []), text]);
      }
      for (const field of flat) field.show(byField.get(field) ?? []);
      put(
        summary,
        problem && notice(
          "error",
          h(
            "b",
            byField.size
              ? `${plural(byField.size, "field")} ${byField.size === 1 ? "needs" : "need"} another value. `
              : problem.title || "Not saved. ",
          ),
          left.length ? list(left) : byField.size ? null : problem.message,
        ),
      );
      const firstField = flat.find((field) => byField.has(field));
      if (firstField) {
        firstField.element.scrollIntoView({ block: "center" });
        firstField.focus();
      } else if (problem) summary.scrollIntoView({ block: "center" });
    },
  };
}

const TAGS = "key=value is a label; seaway.gateways.zone=eu sends it only to gateways in that zone.";

/** The field that a finding is about: the deepest whose path its path begins with. */
function best(fields, path) {
  const wanted = path.replace(/^spec\./, "").replace(/\[(\d+)\]|\.(\d+)(?=\.|$)/g, (_, a, b) => `.${a ?? b}`);
  let found = null;
  for (const field of fields) {
    const own = field.path.replace(/\[(\d+)\]/g, ".$1");
    if ((wanted === own || wanted.startsWith(`${own}.`)) && (!found || own.length > found.path.length)) {
      found = field;
    }
  }
  return found;
}

/** A spec without what is null or a default, for reading. */
export function trim(spec, fields) {
  const out = {};
  const known = new Map(pairs(fields));
  for (const [name, value] of Object.entries(spec)) {
    const schema = known.get(name);
    if (value === null || value === undefined || OWN_FIELDS.has(name)) continue;
    if (schema && isDefault(schema, value)) continue;
    if (schema?.type === "record" && schema.fields?.length && typeof value === "object") {
      const inner = trim(value, schema.fields);
      if (Object.keys(inner).length) out[name] = inner;
    } else out[name] = value;
  }
  return out;
}
