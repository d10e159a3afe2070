// Tabs with what belongs to a resource: routes of a service, targets of an upstream with their health.

import { may } from "../lib/api.js";
import { h, put } from "../lib/dom.js";
import { fleet, healthOf, verdict } from "../lib/fleet.js";
import { listen, poll } from "../lib/live.js";
import { all, byID } from "../lib/resources.js";
import { address } from "../lib/router.js";
import { COLUMNS, PREPARE } from "../lib/columns.js";
import { pathOf, TYPES } from "../lib/types.js";
import { badge, button, empty, failure } from "./bits.js";
import { Table } from "./table.js";

export function belowTabs(type, resource, signal) {
  const below = TYPES[type].below ?? [];
  const credentials = below.filter(([other]) => TYPES[other].owned);
  const plain = below.filter(([other]) => !TYPES[other].owned);
  const out = plain.map((
    [other, field],
  ) => [other, TYPES[other].many, () => section(type, resource, other, field, signal)]);
  if (credentials.length) {
    out.unshift([
      "credentials",
      "Credentials",
      () =>
        h(
          "div",
          { class: "stack" },
          credentials.map(([other, field]) =>
            h(
              "section",
              { class: "sub" },
              h("h2", TYPES[other].many),
              section(type, resource, other, field, signal),
            )
          ),
        ),
    ]);
  }
  return out;
}

function section(type, resource, other, field, signal) {
  const about = TYPES[other];
  const back = `${pathOf(type, resource.id)}?tab=${about.owned ? "credentials" : other}`;
  const link = address(other === "plugins" ? "/plugins/new" : `/${other}/new`, {
    [field]: resource.id,
    back,
  });
  const holder = h("div", { class: "section" });
  const add = () =>
    may("create", other) &&
    button(`New ${about.one}`, { icon: "plus", href: link, kind: about.owned ? undefined : "primary" });
  let columns = COLUMNS[other] ?? COLUMNS.other;
  if (other === "targets") columns = [columns[0], columns[1], health, where];
  const table = new Table({
    name: other,
    label: about.many,
    columns: columns.filter((column) => column.key !== field),
    href: (row) => address(pathOf(other, row.id)),
    height: "fit",
    searchable: false,
    order: "name",
    export: !about.owned,
    empty: () => (about.owned
      ? h("p", { class: "note" }, about.empty)
      : empty(`No ${about.many.toLowerCase()} yet`, about.empty, [], about.icon)),
  });
  put(holder, table.element, h("div", { class: "row" }, add()));
  const load = async () => {
    const [resources, names] = await Promise.all([all(other), PREPARE[other]?.(byID) ?? {}]);
    const rows = resources.filter((one) => one.spec?.[field]?.id === resource.id).map((row) =>
      Object.assign(row, { names })
    );
    if (other === "targets") {
      const reported = healthOf(await fleet(0, { signal }).catch(() => [])).get(resource.id);
      for (const row of rows) row.views = reported?.get(row.id) ?? [];
    }
    table.set(rows);
  };
  const show = () =>
    load().catch((error) => {
      if (error.name !== "AbortError") put(holder, failure(error, show));
    });
  show();
  listen(signal, (kind) => {
    if (kind === "revision" && holder.isConnected) show();
  });
  if (other === "targets") {
    poll(signal, 3000, async () => {
      if (holder.isConnected) await load();
    });
  }
  return holder;
}

const health = {
  key: "health",
  title: "Health",
  width: "minmax(8rem, 1fr)",
  value: (row) => verdict(row.views)[1],
  cell: (row) => {
    const [kind, text] = verdict(row.views);
    return badge(text, kind);
  },
};
const where = {
  key: "where",
  title: "As gateways see it",
  width: "minmax(10rem, 2fr)",
  rank: 2,
  value: (row) =>
    (row.views ?? []).map((one) => `${one.gateway.name}: ${one.address || "no address"} ${one.state}`),
  cell: (row) =>
    h(
      "span",
      { class: "chips" },
      (row.views ?? []).slice(0, 6).map((one) =>
        h("span", {
          class: [
            "chip",
            one.state === "unhealthy" || one.state === "dns_error"
              ? "is-bad"
              : one.state === "healthy" && "is-good",
          ],
          title: one.address,
        }, one.gateway.name)
      ),
    ),
};
