// All gateways.

import { get } from "../lib/api.js";
import { h, put } from "../lib/dom.js";
import { fleet, Meter } from "../lib/fleet.js";
import { ago, milliseconds, percent, short } from "../lib/format.js";
import { listen, poll } from "../lib/live.js";
import { address, amend, query } from "../lib/router.js";
import { badge, button, empty, head, labelChips } from "../parts/bits.js";
import { Table } from "../parts/table.js";

const STATES = [["", "All"], ["good", "In effect"], ["warn", "Behind or rejecting"], ["lost", "No stream"], [
  "off",
  "Revoked",
]];

export default async function gateways(page, { signal }) {
  const meter = new Meter();
  let all = [];
  const state = h(
    "select",
    {
      class: "input",
      "aria-label": "State",
      onchange: () => {
        amend({ state: state.value });
        draw();
      },
    },
    STATES.map(([value, text]) =>
      h("option", { value, selected: value === (query().get("state") ?? "") }, text)
    ),
  );
  const chosen = h("span");
  const rate = (row) => meter.byGateway.get(row.id);
  const table = new Table({
    name: "gateways",
    label: "Gateways",
    filters: [state, chosen],
    href: (row) => address(`/gateways/${row.id}`),
    columns: [
      {
        key: "name",
        title: "Name",
        width: "minmax(9rem, 1.2fr)",
        value: (row) => row.name,
        cell: (row) => h("b", row.name),
      },
      {
        key: "state",
        title: "State",
        width: "9rem",
        value: (row) => row.says,
        cell: (row) => badge(row.says, row.state),
      },
      { key: "revision", title: "Revision", width: "6rem", rank: 2, value: (row) => row.revision },
      {
        key: "labels",
        title: "Labels",
        width: "minmax(14rem, 2.2fr)",
        rank: 2,
        value: (row) => row.labels,
        cell: (row) => labelChips(row.labels),
      },
      {
        key: "rate",
        title: "Requests/s",
        width: "7rem",
        rank: 2,
        value: (row) => rate(row)?.rate ?? -1,
        cell: (row) => short(rate(row)?.rate ?? NaN),
      },
      {
        key: "errors",
        title: "Errors",
        width: "6rem",
        rank: 3,
        value: (row) => rate(row)?.errors ?? -1,
        cell: (row) => percent(rate(row)?.errors ?? NaN),
      },
      {
        key: "p99",
        title: "p99",
        width: "6rem",
        rank: 3,
        value: (row) => rate(row)?.p99 || -1,
        cell: (row) => milliseconds(rate(row)?.p99 ?? NaN),
      },
      {
        key: "seen",
        title: "Seen",
        width: "8rem",
        rank: 3,
        value: (row) => row.seen,
        cell: (row) => h("span", { class: "note" }, row.isConnected ? "now" : ago(row.seen)),
      },
    ],
    empty: () =>
      empty(
        "No gateway has joined",
        "Make a join token, put it into a file where the gateway will run, and start it with --token-file.",
        [
          button("New join token", {
            icon: "plus",
            kind: "primary",
            href: address("/tokens", { new: "gateway" }),
          }),
        ],
        "gateways",
      ),
  });
  page.classList.add("is-full");
  put(
    page,
    head("Gateways", {
      lead: "Who carries the traffic, and with which revision.",
      actions: [
        button("New join token", {
          icon: "plus",
          kind: "primary",
          href: address("/tokens", { new: "gateway" }),
          key: "n",
        }),
      ],
    }),
    table.element,
  );

  function draw() {
    const label = query().get("label") ?? "";
    const [key, value] = label.split("=");
    const wanted = state.value;
    put(
      chosen,
      label &&
        h(
          "span",
          { class: "chip is-filter" },
          label,
          h("button", {
            type: "button",
            class: "chip-remove",
            "aria-label": `All gateways, not only ${label}`,
            onclick: () => {
              amend({ label: "" });
              draw();
            },
          }, "×"),
        ),
    );
    table.set(
      all.filter((one) =>
        (!label || one.labels[key] === value) &&
        (!wanted || one.state === (wanted === "lost" ? "bad" : wanted))
      ).map((one) => Object.assign(one, { tone: one.state === "warn" ? "warn" : null, exported: one.raw })),
    );
  }
  const load = async () => {
    const status = await get("/status", { signal }).catch(() => ({}));
    all = await fleet(status.revision ?? 0, { signal });
    meter.read(all);
    draw();
  };
  await poll(signal, 2000, load);
  listen(signal, (kind) => {
    if (kind === "gateway" || kind === "revision") load().catch(() => {});
  });
}
