// A whole file in one transaction: pasted or dropped, looked at first, then applied, to all or to some first.

import { call, Problem } from "../lib/api.js";
import { h, put } from "../lib/dom.js";
import { icon } from "../lib/icons.js";
import { forget } from "../lib/resources.js";
import { address, go, guardLeaving } from "../lib/router.js";
import { button, card, findings, head, notice } from "../parts/bits.js";
import { diff, summary } from "../parts/diff.js";
import { toast } from "../parts/layers.js";

const EXAMPLE = `_format_version: "3.0"
services:
  - name: orders
    url: http://orders.internal:8080
    routes:
      - name: orders
        paths: [/orders]
`;

export default function apply(page) {
  const text = h("textarea", {
    id: "file",
    class: "input is-code is-tall",
    rows: 18,
    spellcheck: "false",
    placeholder: EXAMPLE,
    "data-focus": true,
    oninput: () => stale(),
  });
  const prune = h("input", {
    id: "prune",
    type: "checkbox",
    class: "switch",
    role: "switch",
    onchange: () => {
      tag.closest(".field").hidden = !prune.checked;
      stale();
    },
  });
  const tag = h("input", { id: "tag", class: "input", placeholder: "team=payments", oninput: () => stale() });
  const message = h("input", { id: "message", class: "input", placeholder: "Why, for the history" });
  const canary = h("input", { id: "canary", class: "input", placeholder: "zone=eu" });
  const result = h("div");
  const go_ = h("button", {
    class: "button is-primary",
    type: "button",
    disabled: true,
    onclick: () => run(false),
  }, "Apply");
  guardLeaving(
    () => (text.value.trim() && !go_.disabled ? "What you pasted is not applied. Leave anyway?" : null),
  );

  function stale() {
    go_.disabled = true;
    put(result, h("p", { class: "note" }, "Look at what would change first."));
  }
  async function run(dryRun) {
    put(result, h("p", { class: "note", role: "status" }, dryRun ? "Comparing…" : "Applying…"));
    try {
      const { data } = await call("POST", "/apply", {
        body: text.value,
        query: {
          dryRun: dryRun || undefined,
          prune: prune.checked || undefined,
          selectTag: prune.checked ? tag.value.trim() : undefined,
          message: dryRun ? undefined : message.value.trim(),
          canary: dryRun ? undefined : canary.value.trim(),
        },
      });
      const changes = data.changes;
      const warnings = data.warnings?.length ? notice("warning", findings(data.warnings)) : null;
      if (dryRun) {
        go_.disabled = changes.length === 0;
        put(
          result,
          warnings,
          changes.length
            ? [notice("info", `Would be: ${summary(changes)}.`), diff(changes)]
            : notice("done", "Nothing would change: it is all there already."),
        );
      } else {
        guardLeaving(null);
        forget();
        toast(`Applied: ${summary(changes)}`);
        go(canary.value.trim() ? "/rollouts" : data.revision ? `/history/${data.revision}` : "/history");
      }
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      go_.disabled = true;
      put(
        result,
        notice(
          "error",
          h("b", error.title || "It cannot be applied. "),
          error.findings.length ? findings(error.findings) : ` ${error.message}`,
        ),
      );
    }
  }
  const file = h("input", {
    type: "file",
    accept: ".yml,.yaml,.json",
    class: "away",
    id: "pick",
    onchange: async () => {
      if (file.files[0]) {
        text.value = await file.files[0].text();
        stale();
      }
    },
  });
  text.addEventListener("dragover", (event) => event.preventDefault());
  text.addEventListener("drop", async (event) => {
    const [dropped] = event.dataTransfer.files;
    if (!dropped) return;
    event.preventDefault();
    text.value = await dropped.text();
    stale();
  });
  stale();
  put(
    page,
    head("Apply", {
      lead: "A kong.yml, or documents with a type. All of it becomes one revision, or none of it.",
      actions: [
        h(
          "a",
          { class: "button", href: "/v1/export?format=kong", download: "kong.yml" },
          icon("download", 16),
          "Export kong.yml",
        ),
      ],
    }),
    h(
      "div",
      { class: "columns is-even" },
      card(
        "File",
        {
          actions: [
            h("label", { class: "button is-small", for: "pick" }, "Choose a file"),
            file,
            button("Example", {
              kind: "small",
              action: () => {
                text.value = EXAMPLE;
                stale();
              },
            }),
          ],
        },
        h("label", { for: "file", class: "away" }, "Configuration"),
        text,
        h(
          "div",
          { class: "fields" },
          h(
            "div",
            { class: "field is-switch" },
            h("label", { for: "prune" }, "Delete what the file does not have"),
            prune,
          ),
          h(
            "div",
            { class: "field", hidden: true },
            h("label", { for: "tag" }, "Only among those with this tag"),
            tag,
          ),
          h("div", { class: "field" }, h("label", { for: "message" }, "Message"), message),
          h(
            "div",
            { class: "field" },
            h("label", { for: "canary" }, "First only to gateways with"),
            canary,
            h("p", { class: "hint" }, "Empty: to all at once."),
          ),
        ),
        h(
          "div",
          { class: "save-bar is-on" },
          h("span", { class: "note" }, h("a", { href: address("/history") }, "History and undo")),
          h("span", { class: "spring" }),
          button("Compare", { action: () => run(true) }),
          go_,
        ),
      ),
      card("What would change", {}, result),
    ),
  );
}
