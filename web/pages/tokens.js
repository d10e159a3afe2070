// Tokens: of people and programs, and those that gateways join with. A secret is shown once.

import { call, create, list, Problem, tokens as fetchTokens } from "../lib/api.js";
import { h, put } from "../lib/dom.js";
import { ago, instant, time } from "../lib/format.js";
import { address, amend, query } from "../lib/router.js";
import { badge, button, chips, empty, head, labelChips, notice, snippet } from "../parts/bits.js";
import { ask, dialog, toast } from "../parts/layers.js";
import { Table } from "../parts/table.js";

const ROLES = [
  ["admin", "everything, tokens and roles included"],
  ["operator", "read and change all entities"],
  ["viewer", "read"],
  ["gateway", "join as a gateway, nothing else"],
];
const LIVES = [["1d", "1 day", 1], ["30d", "30 days", 30], ["90d", "90 days", 90], ["365d", "1 year", 365], [
  "",
  "never",
  0,
]];
/** Seconds. */
const DAY = 86_400;

export default async function tokens(page, { signal }) {
  const stateOf = (
    row,
  ) => (row.revoked ? "revoked" : row.expires && row.expires < Date.now() ? "expired" : "valid");
  const table = new Table({
    name: "tokens",
    label: "Tokens",
    columns: [
      {
        key: "name",
        title: "For",
        width: "minmax(9rem, 1.2fr)",
        value: (row) => row.name,
        cell: (row) => h("b", row.name),
      },
      {
        key: "roles",
        title: "Roles",
        width: "minmax(8rem, 1fr)",
        value: (row) => row.roles,
        cell: (row) => chips(row.roles),
      },
      {
        key: "labels",
        title: "Labels",
        width: "minmax(7rem, 1fr)",
        rank: 3,
        value: (row) => row.labels ?? {},
        cell: (row) => labelChips(row.labels),
      },
      {
        key: "state",
        title: "State",
        width: "7rem",
        value: stateOf,
        cell: (row) => badge(stateOf(row), { valid: "good", revoked: "bad", expired: "warn" }[stateOf(row)]),
      },
      {
        key: "expires",
        title: "Expires",
        width: "8rem",
        rank: 2,
        value: (row) => row.expires || Infinity,
        cell: (row) => h("span", { title: time(row.expires) }, row.expires ? ago(row.expires) : "never"),
      },
      {
        key: "used",
        title: "Used",
        width: "8rem",
        rank: 2,
        value: (row) => row.used,
        cell: (row) => h("span", { class: "note" }, ago(row.used)),
      },
      { key: "by", title: "Made by", width: "9rem", rank: 3, value: (row) => row.createdBy },
      {
        key: "action",
        title: "",
        width: "6rem",
        value: () => "",
        cell: (
          row,
        ) => (row.revoked ? "" : h("button", {
          class: "button is-small is-quiet-danger",
          type: "button",
          tabindex: "-1",
          "aria-label": `Revoke ${row.name}`,
          onclick: () => revoke(row),
        }, "Revoke")),
      },
    ],
    open: (row) => {
      if (!row.revoked) revoke(row);
    },
    empty: () =>
      empty("No tokens", "Programs and people log in with tokens; gateways join with them.", [
        button("New token", { icon: "plus", kind: "primary", action: () => make() }),
      ], "tokens"),
  });
  page.classList.add("is-full");
  put(
    page,
    head("Tokens", {
      lead: "Stored as hashes only. Revoking one works at once, open streams included.",
      actions: [
        button("Roles", { href: address("/roles") }),
        button("New join token", { action: () => make("gateway") }),
        button("New token", { icon: "plus", kind: "primary", action: () => make(), key: "n" }),
      ],
    }),
    table.element,
  );
  async function load() {
    const rows = await fetchTokens({ signal });
    table.set(
      rows.map((row) => ({
        ...row,
        expires: instant(row.expiresAt),
        revoked: instant(row.revokedAt),
        used: instant(row.usedAt),
        exported: row,
      })),
    );
  }
  async function revoke(row) {
    const joins = row.roles?.includes("gateway");
    if (
      !await ask(
        `Revoke the token for ${row.name}?`,
        joins
          ? "No gateway can join with it any more. Those that have joined stay."
          : "Whoever uses it is refused from now on, open streams and sessions included.",
        { yes: "Revoke", danger: true },
      )
    ) return;
    try {
      await call("DELETE", `/tokens/${row.id}`);
      toast(`Revoked the token for ${row.name}`);
      await load();
    } catch (error) {
      toast(error.message, { kind: "error" });
    }
  }
  async function make(role) {
    const made = await newToken(role, await list("roles", { signal }).catch(() => []));
    if (made) {
      await show(made);
      await load();
    }
  }
  await load();
  const wanted = query().get("new");
  if (wanted) {
    amend({ new: "" });
    make(wanted === "gateway" ? "gateway" : undefined);
  }
}

function newToken(role, custom) {
  const known = [
    ...ROLES,
    ...custom.map((one) => [one.name, "a role of your own"]).filter(([name]) =>
      !ROLES.some(([other]) => other === name)
    ),
  ];
  const name = h("input", {
    id: "t-name",
    class: "input",
    required: true,
    maxlength: 128,
    pattern: "[^ \\/]+",
    title: "Without spaces and /",
    placeholder: role === "gateway" ? "gateways-eu" : "ci",
    "data-focus": true,
    autocomplete: "off",
  });
  const boxes = known.map(([key]) =>
    h("input", {
      type: "checkbox",
      value: key,
      checked: key === (role ?? "operator"),
      onchange: (event) => {
        // A token that gateways join with can do nothing else.
        if (event.target.checked) {
          for (const box of boxes) {
            if ((box.value === "gateway") !== (event.target.value === "gateway")) box.checked = false;
          }
        }
        labels.closest(".field").hidden = !boxes.some((box) => box.checked && box.value === "gateway");
      },
    })
  );
  const labels = h("input", {
    id: "t-labels",
    class: "input",
    placeholder: "zone=eu, cloud=aws",
    autocomplete: "off",
  });
  const life = h(
    "select",
    { id: "t-life", class: "input" },
    LIVES.map(([key, text]) => h("option", { value: key, selected: key === "90d" }, text)),
  );
  const problem = h("div");
  return dialog(role === "gateway" ? "New join token" : "New token", (close) =>
    h(
      "form",
      {
        class: "dialog-body stack",
        onsubmit: async (event) => {
          event.preventDefault();
          const days = LIVES.find(([key]) => key === life.value)[2];
          const pairs = labels.value.split(",").map((one) => one.trim()).filter(Boolean).map((one) => {
            const at = one.indexOf("=");
            return at > 0 ? [one.slice(0, at).trim(), one.slice(at + 1).trim()] : [one, ""];
          });
          try {
            const { data } = await create("tokens", {
              name: name.value.trim(),
              roles: boxes.filter((box) => box.checked).map((box) => box.value),
              ...(pairs.length ? { labels: Object.fromEntries(pairs) } : {}),
              ...(days ? { expiresIn: days * DAY } : {}),
            });
            close(data);
          } catch (error) {
            if (!(error instanceof Problem)) throw error;
            put(problem, notice("error", error.findings[0]?.message ?? error.message));
          }
        },
      },
      problem,
      h(
        "div",
        { class: "field" },
        h("label", { for: "t-name" }, "For"),
        h(
          "p",
          { class: "hint" },
          "Who or what will use it: this name stands in the history and the audit log.",
        ),
        name,
      ),
      h(
        "fieldset",
        { class: "field is-group", hidden: role === "gateway" },
        h("legend", "Roles"),
        h(
          "div",
          { class: "stack is-small" },
          known.map(([key, text], index) =>
            h(
              "label",
              { class: "box" },
              boxes[index],
              h("span", h("b", key), h("span", { class: "note" }, ` ${text}`)),
            )
          ),
        ),
      ),
      h(
        "div",
        { class: "field", hidden: role !== "gateway" },
        h("label", { for: "t-labels" }, "Labels"),
        h("p", { class: "hint" }, "A gateway that joins with it has these, whatever it says of itself."),
        labels,
      ),
      h("div", { class: "field" }, h("label", { for: "t-life" }, "Expires after"), life),
      h(
        "footer",
        { class: "dialog-foot" },
        button("Cancel", { action: () => close() }),
        h("button", { class: "button is-primary", type: "submit" }, "Create"),
      ),
    ));
}

function show(made) {
  const secret = made.token;
  const joins = made.roles?.includes("gateway");
  return dialog(
    `The token for ${made.name}`,
    (close) =>
      h(
        "div",
        { class: "dialog-body stack" },
        notice("warning", "It is shown now and never again: the control plane keeps only its hash."),
        snippet(secret, "Copy the token"),
        joins
          ? [
            h("p", "Put this line into a file where the gateway runs, then:"),
            snippet(
              `seaway gateway run --control-plane https://${location.hostname}:5678 --token-file token --name gateway-1${
                Object.keys(made.labels ?? {}).length
                  ? ` --labels ${Object.entries(made.labels).map(([k, v]) => `${k}=${v}`).join(",")}`
                  : ""
              }\n`,
            ),
          ]
          : [h("p", "Use it as"), snippet(`Authorization: Bearer ${secret}`)],
        h(
          "footer",
          { class: "dialog-foot" },
          h("button", {
            class: "button is-primary",
            type: "button",
            onclick: () => close(),
          }, "I have it"),
        ),
      ),
    { wide: true },
  );
}
