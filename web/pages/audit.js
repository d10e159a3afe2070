// The audit log, newest first; every filter stands in the address.

import { audit as fetchAudit } from "../lib/api.js";
import { h, put, settle } from "../lib/dom.js";
import { instant, time } from "../lib/format.js";
import { listen } from "../lib/live.js";
import { address, amend, query } from "../lib/router.js";
import { badge, button, empty, failure, head } from "../parts/bits.js";
import { csv, download } from "../lib/yaml.js";

const PAGE = 200;
const KINDS = { allowed: "good", denied: "bad", failed: "warn" };
const FILTERS = [
  ["actor", "Who", "token:ci"],
  ["action", "Action", "create"],
  ["target", "Target begins with", "services/"],
];

export default async function audit(page, { signal }) {
  let rows = [];
  let complete = false;
  const from = query();
  const holder = h("div");
  const inputs = {};
  const change = settle(() => {
    amend(filters());
    start();
  }, 250);
  const bar = h(
    "div",
    { class: "filter-bar", role: "search" },
    FILTERS.map(([key, label, example], index) =>
      h(
        "div",
        { class: "field" },
        h("label", { for: `f-${key}` }, label),
        inputs[key] = h("input", {
          id: `f-${key}`,
          class: "input",
          value: from.get(key) ?? "",
          placeholder: example,
          oninput: change,
          data: index === 0 ? { search: true } : {},
          autocomplete: "off",
          spellcheck: "false",
        }),
      )
    ),
    h(
      "div",
      { class: "field" },
      h("label", { for: "f-outcome" }, "Outcome"),
      inputs.outcome = h(
        "select",
        { id: "f-outcome", class: "input", onchange: change },
        ["", "allowed", "denied", "failed"].map((one) =>
          h("option", { value: one, selected: one === (from.get("outcome") ?? "") }, one || "any")
        ),
      ),
    ),
    h(
      "div",
      { class: "field" },
      h("label", { for: "f-since" }, "Since"),
      inputs.since = h("input", {
        id: "f-since",
        type: "datetime-local",
        class: "input",
        value: from.get("since") ?? "",
        onchange: change,
      }),
    ),
    h(
      "div",
      { class: "field" },
      h("label", { for: "f-until" }, "Until"),
      inputs.until = h("input", {
        id: "f-until",
        type: "datetime-local",
        class: "input",
        value: from.get("until") ?? "",
        onchange: change,
      }),
    ),
  );
  const filters = () =>
    Object.fromEntries(Object.entries(inputs).map(([key, input]) => [key, input.value.trim()]));
  put(
    page,
    head("Audit", {
      lead: "Every change, and every attempt that was refused. Lines are only ever added.",
      actions: [
        button("Export", {
          icon: "download",
          action: () =>
            download(
              "audit.csv",
              "text/csv",
              csv([
                ["time", "actor", "address", "action", "target", "outcome", "detail", "revision"],
                ...rows.map((
                  one,
                ) => [
                  new Date(instant(one.time)).toISOString(),
                  one.actor,
                  one.address,
                  one.action,
                  one.target,
                  one.outcome,
                  one.detail,
                  one.revision,
                ]),
              ]),
            ),
        }),
      ],
    }),
    bar,
    holder,
  );

  function draw() {
    const filtered = Object.values(filters()).some(Boolean);
    put(
      holder,
      rows.length === 0
        ? empty(
          filtered ? "Nothing matches" : "The log is empty",
          filtered ? "Take a filter away to see more." : "The first login or change makes its first line.",
          filtered
            ? [button("Clear filters", {
              action: () => {
                for (const input of Object.values(inputs)) input.value = "";
                change();
              },
            })]
            : [],
          "audit",
        )
        : h(
          "div",
          { class: "scroll-x", tabindex: "0", role: "region", "aria-label": "Audit log" },
          h(
            "table",
            { class: "plain is-log" },
            h(
              "thead",
              h(
                "tr",
                ["When", "Who", "Action", "Target", "Outcome", "Detail"].map((text) =>
                  h("th", { scope: "col" }, text)
                ),
              ),
            ),
            h(
              "tbody",
              rows.map((one) =>
                h(
                  "tr",
                  h("td", { class: "is-tight" }, time(instant(one.time))),
                  h(
                    "td",
                    one.actor || "nobody",
                    one.address && h("span", { class: "note" }, ` ${one.address}`),
                  ),
                  h("td", h("code", one.action)),
                  h("td", one.target),
                  h("td", badge(one.outcome, KINDS[one.outcome] ?? "plain")),
                  h(
                    "td",
                    one.detail,
                    one.revision > 0 &&
                      [
                        " ",
                        h("a", { href: address(`/history/${one.revision}`) }, `revision ${one.revision}`),
                      ],
                  ),
                )
              ),
            ),
          ),
        ),
      !complete && rows.length > 0 &&
        h("div", { class: "row is-centred" }, button("Older lines", { action: () => more() })),
    );
  }
  async function more() {
    const asked = filters();
    const stamp = (text) => (text ? new Date(text).getTime() : undefined);
    const found = await fetchAudit({
      signal,
      query: {
        ...asked,
        since: stamp(asked.since),
        until: stamp(asked.until),
        limit: PAGE,
        before: rows.at(-1)?.number,
      },
    });
    rows = [...rows, ...found];
    complete = found.length < PAGE;
    draw();
  }
  async function start() {
    rows = [];
    try {
      await more();
    } catch (error) {
      if (error.name !== "AbortError") put(holder, failure(error, start));
    }
  }
  await start();
  listen(signal, (kind) => {
    if (kind === "revision") start();
  });
}
