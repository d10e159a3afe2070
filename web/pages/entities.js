// A list of resources of one type.

import { list, may } from "../lib/api.js";
import { h, put } from "../lib/dom.js";
import { fleet, healthOf } from "../lib/fleet.js";
import { listen } from "../lib/live.js";
import { byID } from "../lib/resources.js";
import { address, amend, query } from "../lib/router.js";
import { COLUMNS, PREPARE } from "../lib/columns.js";
import { pathOf, TYPES } from "../lib/types.js";
import { button, empty, head } from "../parts/bits.js";
import { Table } from "../parts/table.js";
import missing from "./missing.js";

export default async function entities(page, { parameters, signal, title }) {
  const { type } = parameters;
  const about = TYPES[type];
  if (!about) return missing(page);
  title(about.many);
  const create = may("create", type) &&
    button(`New ${about.one}`, { icon: "plus", kind: "primary", href: address(`/${type}/new`), key: "n" });
  const chosen = h("div", { class: "chosen" });
  const table = new Table({
    name: type,
    label: about.many,
    columns: COLUMNS[type] ?? COLUMNS.other,
    order: "name",
    href: (row) => address(pathOf(type, row.id)),
    filters: [chosen],
    empty: () =>
      empty(
        `No ${about.many.toLowerCase()} yet`,
        about.empty,
        !may("create", type) ? [] : [
          button(`New ${about.one}`, { icon: "plus", kind: "primary", href: address(`/${type}/new`) }),
          button("Apply a kong.yml", { icon: "apply", href: address("/apply") }),
        ],
        about.icon,
      ),
  });
  put(page, head(about.many, { lead: about.lead, actions: [create] }), table.element);
  page.classList.add("is-full");

  const fetchRows = async () => {
    const wanted = query().get("label") ?? "";
    put(
      chosen,
      wanted && h(
        "span",
        { class: "chip is-filter" },
        wanted,
        h("button", {
          type: "button",
          class: "chip-remove",
          "aria-label": `All ${about.many.toLowerCase()}, not only ${wanted}`,
          onclick: () => {
            amend({ label: "" });
            fetchRows();
          },
        }, "×"),
      ),
    );
    const health = type === "upstreams" ? healthOf(await fleet(0, { signal }).catch(() => [])) : null;
    const names = await (PREPARE[type]?.(byID) ?? {});
    const prepare = (rows) =>
      rows.map((row) =>
        Object.assign(row, {
          health: health?.get(row.id),
          names,
          also: row.labels,
          exported: row.exported ?? { ...row },
        })
      );
    const rows = await list(type, {
      signal,
      query: { label: wanted },
      onPart: (part, complete) => {
        if (!complete) table.set(prepare(part.slice()), false);
      },
    });
    table.set(prepare(rows));
  };
  page.addEventListener("click", (event) => {
    const chip = event.target.closest("[data-label]");
    if (chip) {
      event.preventDefault();
      amend({ label: chip.dataset.label });
      fetchRows();
    }
  });
  await fetchRows();
  listen(signal, (kind) => {
    if (kind === "revision" || kind === "resync") fetchRows().catch(() => {});
  });
}
