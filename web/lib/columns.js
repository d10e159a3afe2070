// The columns of each type's table. A row is a resource with `names`: resources that it refers to, by type and id.

import { badge, code } from "../parts/bits.js";
import { verdict } from "./fleet.js";
import { ago, brief } from "./format.js";
import { h } from "./dom.js";
import { pluginTitle, titleOf } from "./types.js";

const spec = (field) => (row) => row.spec?.[field];
const updated = {
  key: "updated",
  title: "Changed",
  width: "8rem",
  rank: 3,
  value: (row) => row.spec?.updated_at ?? row.spec?.created_at ?? 0,
  cell: (row) =>
    h(
      "span",
      { class: "note" },
      row.spec?.updated_at || row.spec?.created_at
        ? ago((row.spec.updated_at ?? row.spec.created_at) * 1000)
        : "",
    ),
};
const tags = {
  key: "tags",
  title: "Labels",
  width: "minmax(7rem, 1fr)",
  rank: 3,
  value: (row) => row.spec?.tags ?? [],
  cell: (row) =>
    h(
      "span",
      { class: "chips" },
      (row.spec?.tags ?? []).slice(0, 3).map((tag) =>
        h("button", {
          type: "button",
          tabindex: "-1",
          class: "chip",
          data: tag.includes("=") ? { label: tag } : {},
        }, tag)
      ),
    ),
};
const name = (title = "Name") => ({
  key: "name",
  title,
  width: "minmax(9rem, 1.2fr)",
  value: titleOf,
  cell: (row) => h("b", titleOf(row)),
});
const enabled = {
  key: "enabled",
  title: "State",
  width: "6.5rem",
  rank: 2,
  value: (row) => (row.spec?.enabled === false ? "off" : "on"),
  cell: (row) => (row.spec?.enabled === false ? badge("off") : badge("on", "good")),
};
const named = (row, type, field) => {
  const id = row.spec?.[field]?.id;
  if (!id) return "";
  const found = row.names?.[type]?.get(id);
  return found ? titleOf(found) : id.slice(0, 8);
};
const refers = (title, type, field, width = "minmax(7rem, 1fr)") => ({
  key: field,
  title,
  width,
  rank: 2,
  value: (row) => named(row, type, field),
});

export const serviceURL = (s) => `${s.protocol}://${s.host}${s.port ? `:${s.port}` : ""}${s.path ?? ""}`;

/** "GET /api on example.com": what a route takes. */
export function matchers(s) {
  if (s.expression) return s.expression;
  const parts = [
    s.methods?.length ? s.methods.join(" ") : "",
    s.paths?.join(" ") ?? "",
    s.hosts?.length ? `on ${s.hosts.join(" ")}` : "",
    s.snis?.length ? `for ${s.snis.join(" ")}` : "",
  ];
  if (s.headers && Object.keys(s.headers).length) parts.push(`with ${Object.keys(s.headers).join(", ")}`);
  const ends = [...(s.sources ?? []), ...(s.destinations ?? [])].map((one) =>
    [one.ip, one.port].filter(Boolean).join(":")
  );
  if (ends.length) parts.push(ends.join(" "));
  return parts.filter(Boolean).join(" ") || "everything";
}

/** Where a plugin works: on a route, a service, for a consumer, or everywhere. */
export function scope(row) {
  const parts = [["routes", "route"], ["services", "service"], ["consumers", "consumer"]].filter((
    [, field],
  ) => row.spec?.[field]?.id)
    .map(([type, field]) => `${field} ${named(row, type, field)}`);
  return parts.join(", ") || "every request";
}

export const COLUMNS = {
  services: [
    name(),
    {
      key: "url",
      title: "Sends to",
      width: "minmax(12rem, 2fr)",
      value: (row) => serviceURL(row.spec),
      cell: (row) => code(serviceURL(row.spec)),
    },
    enabled,
    tags,
    updated,
  ],
  routes: [
    name(),
    {
      key: "match",
      title: "Takes",
      width: "minmax(12rem, 2fr)",
      value: (row) => matchers(row.spec),
      cell: (row) => code(matchers(row.spec)),
    },
    refers("Service", "services", "service"),
    { key: "protocols", title: "Protocols", width: "8rem", rank: 3, value: spec("protocols") },
    tags,
    updated,
  ],
  upstreams: [
    name(),
    {
      key: "health",
      title: "Targets",
      width: "minmax(10rem, 1fr)",
      value: (row) => counted(row.health).text,
      cell: (row) => badge(counted(row.health).text, counted(row.health).kind),
    },
    { key: "algorithm", title: "Balancing", width: "10rem", rank: 2, value: spec("algorithm") },
    { key: "hash_on", title: "Hash on", width: "8rem", rank: 3, value: spec("hash_on") },
    tags,
    updated,
  ],
  consumers: [
    name(),
    {
      key: "custom_id",
      title: "Custom ID",
      width: "minmax(8rem, 1fr)",
      rank: 2,
      value: spec("custom_id"),
      cell: (row) => (row.spec.custom_id ? code(row.spec.custom_id) : ""),
    },
    tags,
    updated,
  ],
  plugins: [
    {
      key: "name",
      title: "Plugin",
      width: "minmax(10rem, 1.2fr)",
      value: (row) => pluginTitle(row),
      cell: (row) => h("b", pluginTitle(row)),
    },
    { key: "scope", title: "Works on", width: "minmax(10rem, 1.6fr)", value: scope },
    enabled,
    tags,
    updated,
  ],
  snis: [name("Server name"), refers("Certificate", "certificates", "certificate"), tags, updated],
  targets: [
    name("Target"),
    { key: "weight", title: "Weight", width: "6rem", value: spec("weight") },
    refers("Upstream", "upstreams", "upstream"),
    tags,
  ],
  other: [
    name(),
    {
      key: "about",
      title: "Settings",
      width: "minmax(12rem, 2fr)",
      value: (row) => summary(row.spec),
      cell: (row) => h("span", { class: "note" }, summary(row.spec)),
    },
    tags,
    updated,
  ],
};

const QUIET = new Set([
  "id",
  "name",
  "tags",
  "created_at",
  "updated_at",
  "cert",
  "key",
  "secret",
  "password",
  "client_secret",
]);
const summary = (s) =>
  Object.entries(s ?? {}).filter(([key, value]) =>
    !QUIET.has(key) && value !== null && typeof value !== "object"
  ).slice(0, 4).map(([key, value]) => `${key} ${brief(value)}`).join(" · ");

/** "3 healthy", "1 of 3 unhealthy": over what all gateways report of an upstream's targets. */
function counted(targets) {
  if (!targets?.size) return { kind: "plain", text: "nothing reported" };
  const verdicts = [...targets.values()].map((views) => verdict(views)[0]);
  const bad = verdicts.filter((kind) => kind === "bad" || kind === "warn").length;
  return bad
    ? { kind: bad === verdicts.length ? "bad" : "warn", text: `${bad} of ${verdicts.length} unhealthy` }
    : {
      kind: verdicts.includes("good") ? "good" : "plain",
      text: verdicts.includes("good") ? `${verdicts.length} healthy` : `${verdicts.length} not checked`,
    };
}

const refer = (...types) => async (byID) =>
  Object.fromEntries(await Promise.all(types.map(async (type) => [type, await byID(type)])));
/** What has to be known before the rows of a type can be drawn. */
export const PREPARE = {
  routes: refer("services"),
  plugins: refer("services", "routes", "consumers"),
  snis: refer("certificates"),
  targets: refer("upstreams"),
};
