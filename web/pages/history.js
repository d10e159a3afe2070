// Every revision: who, when, why, how much. Two of them can be compared, any of them restored.

import { revisions } from "../lib/api.js";
import { h, put } from "../lib/dom.js";
import { ago, day, instant, time } from "../lib/format.js";
import { listen } from "../lib/live.js";
import { address, go } from "../lib/router.js";
import { badge, button, empty, head } from "../parts/bits.js";
import { countsOf } from "./overview.js";

const PAGE = 50;
const numberOf = (one) => one.number;

export default async function history(page, { signal }) {
  let rows = [];
  let complete = false;
  const chosen = new Set();
  const holder = h("div");
  const compare = h("button", {
    class: "button",
    type: "button",
    disabled: true,
    onclick: () => {
      const [a, b] = [...chosen].sort((x, y) => x - y);
      go("/diff", { query: { from: a, to: b } });
    },
  }, "Compare two");
  put(
    page,
    head("History", {
      lead: "Each apply and each edit is one revision. Tick two to compare them.",
      actions: [compare],
    }),
    holder,
  );

  function draw() {
    if (rows.length === 0) {
      return void put(
        holder,
        empty("Nothing has happened yet", "The first change becomes revision 1.", [
          button("New service", { icon: "plus", kind: "primary", href: address("/services/new") }),
          button("Apply a kong.yml", { icon: "apply", href: address("/apply") }),
        ], "history"),
      );
    }
    let last = "";
    put(
      holder,
      h(
        "ol",
        { class: "timeline" },
        rows.flatMap((one, index) => {
          const number = numberOf(one);
          const on = day(instant(one.time));
          const box = h("input", {
            type: "checkbox",
            "aria-label": `Compare revision ${number}`,
            checked: chosen.has(number),
            onchange: () => {
              if (box.checked) {
                if (chosen.size === 2) chosen.delete([...chosen][0]);
                chosen.add(number);
              } else chosen.delete(number);
              draw();
            },
          });
          const item = h(
            "li",
            { class: "timeline-row" },
            box,
            h("a", { class: "timeline-number", href: address(`/history/${number}`) }, number),
            h(
              "div",
              { class: "timeline-main" },
              h("a", { href: address(`/history/${number}`) }, one.message || countsOf(one)),
              h(
                "p",
                { class: "note" },
                one.actor,
                one.source && ` through ${one.source}`,
                " · ",
                h("time", { title: time(instant(one.time)) }, ago(instant(one.time))),
              ),
            ),
            h(
              "div",
              { class: "timeline-counts" },
              index === 0 && badge("current", "info"),
              one.created > 0 && badge(`+${one.created}`, "good"),
              one.updated > 0 && badge(`~${one.updated}`, "info"),
              one.deleted > 0 && badge(`−${one.deleted}`, "bad"),
            ),
          );
          const out = on === last ? [item] : [h("li", { class: "timeline-day" }, h("h2", on)), item];
          last = on;
          return out;
        }),
      ),
      !complete && h("div", { class: "row is-centred" }, button("Older revisions", { action: more })),
    );
    compare.disabled = chosen.size !== 2;
  }
  async function more() {
    const found = await revisions({
      signal,
      query: { limit: PAGE, before: rows.length ? numberOf(rows.at(-1)) : undefined },
    });
    rows = [...rows, ...found];
    complete = found.length < PAGE || numberOf(found.at(-1)) <= 1;
    draw();
  }
  await more();
  listen(signal, (kind) => {
    if (kind === "revision" || kind === "resync") {
      rows = [];
      more().catch(() => {});
    }
  });
}
