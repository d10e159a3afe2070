// What one revision changed, or how two differ; and the way back.

import { call, get } from "../lib/api.js";
import { h, put } from "../lib/dom.js";
import { instant } from "../lib/format.js";
import { forget } from "../lib/resources.js";
import { address, go, query, reload } from "../lib/router.js";
import { button, card, facts, findings, head, notice, snippet, when } from "../parts/bits.js";
import { diff, summary } from "../parts/diff.js";
import { dialog, toast } from "../parts/layers.js";

export default async function revision(page, { parameters, signal, title }) {
  if (!parameters.revision) return between(page, signal, title);
  const number = Number(parameters.revision);
  const [about, data, status] = await Promise.all([
    get(`/revisions/${number}`, { signal }),
    get(`/revisions/${number}/changes`, { signal }),
    get("/status", { signal }).catch(() => ({})),
  ]);
  const changes = data.changes;
  const current = status.revision ?? 0;
  title(`Revision ${number}`);
  put(
    page,
    head(`Revision ${number}`, {
      crumbs: [["History", address("/history")]],
      lead: about.message || summary(changes),
      actions: [
        number > 1 && button("Earlier", { href: address(`/history/${number - 1}`) }),
        number < current && button("Later", { href: address(`/history/${number + 1}`) }),
        number !== current &&
        button("Compare with now", { href: address("/diff", { from: number, to: current }) }),
        number < current &&
        button("Roll back to this", { icon: "undo", kind: "primary", action: () => rollback(number) }),
        number === current && number > 1 &&
        button("Undo this revision", { icon: "undo", action: () => rollback(number - 1) }),
      ],
    }),
    h(
      "div",
      { class: "columns is-wide-left" },
      card("Changes", { note: summary(changes) }, diff(changes)),
      card(
        "About",
        {},
        facts([["By", about.actor], ["When", when(instant(about.time))], ["Through", about.source], [
          "Why",
          about.message || "—",
        ]]),
        h("h3", number < current ? "Back to it on the command line" : "Undo it on the command line"),
        snippet(`seaway rollback ${number < current ? number : Math.max(1, number - 1)}\n`),
      ),
    ),
  );
}

async function between(page, signal, title) {
  const [from, to] = [Number(query().get("from")), Number(query().get("to"))];
  title(`Revisions ${from} to ${to}`);
  const changes = (await get("/diff", { signal, query: { from, to } })).changes;
  put(
    page,
    head(`Revision ${from} to ${to}`, {
      crumbs: [["History", address("/history")]],
      lead: summary(changes),
      actions: [
        button("The other way round", { href: address("/diff", { from: to, to: from }) }),
        button(`Roll back to ${Math.min(from, to)}`, {
          icon: "undo",
          action: () => rollback(Math.min(from, to)),
        }),
      ],
    }),
    card("Differences", {}, diff(changes)),
  );
}

/** Shows what a rollback would do, then does it: history goes on with one more revision. */
export async function rollback(number) {
  let plan;
  try {
    plan =
      (await call("POST", "/rollback", { body: { revision: number, message: "" }, query: { dryRun: true } }))
        .data;
  } catch (error) {
    return void dialog(
      "This rollback is not possible",
      () =>
        h(
          "div",
          { class: "dialog-body stack" },
          notice("error", error.message),
          error.findings.length ? findings(error.findings) : null,
        ),
    );
  }
  const changes = plan.changes;
  const reason = h("input", {
    id: "reason",
    class: "input",
    "data-focus": true,
    value: `Roll back to revision ${number}`,
  });
  const answer = await dialog(`Roll back to revision ${number}?`, (close) =>
    h(
      "form",
      {
        class: "dialog-body stack",
        onsubmit: async (event) => {
          event.preventDefault();
          try {
            const { data } = await call("POST", "/rollback", {
              body: { revision: number, message: reason.value },
            });
            close(data);
          } catch (error) {
            toast(error.message, { kind: "error" });
          }
        },
      },
      h(
        "p",
        changes.length
          ? `It becomes a new revision: ${summary(changes)}. The revisions between stay in the history.`
          : "Nothing would change: the configuration is the same.",
      ),
      changes.length ? h("div", { class: "scroll" }, diff(changes)) : null,
      h("div", { class: "field" }, h("label", { for: "reason" }, "Why"), reason),
      h(
        "footer",
        { class: "dialog-foot" },
        button("Cancel", { action: () => close() }),
        h(
          "button",
          { class: "button is-primary", type: "submit", disabled: changes.length === 0 },
          "Roll back",
        ),
      ),
    ), { wide: true });
  if (!answer) return;
  forget();
  toast(`Rolled back to revision ${number}`);
  if (answer.revision) go(`/history/${answer.revision}`);
  else reload();
}
