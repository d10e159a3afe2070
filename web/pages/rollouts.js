// Revisions that go to some gateways first.

import { call, rollouts as fetchRollouts } from "../lib/api.js";
import { h, put } from "../lib/dom.js";
import { instant } from "../lib/format.js";
import { listen, poll } from "../lib/live.js";
import { address } from "../lib/router.js";
import { badge, button, card, empty, facts, head, labelChips, notice, when } from "../parts/bits.js";
import { ask, toast } from "../parts/layers.js";

const KINDS = { watching: "info", promoted: "good", reverted: "bad" };
const isOpen = (one) => !one.endedAt && one.state !== "promoted" && one.state !== "reverted";

export default async function rollouts(page, { signal }) {
  const holder = h("div", { class: "stack" });
  put(
    page,
    head("Rollouts", {
      lead:
        "A revision that some gateways get first. It goes to all when they do well, and is taken back when one rejects it or errors rise.",
      actions: [button("New rollout", { icon: "plus", kind: "primary", href: address("/apply"), key: "n" })],
    }),
    holder,
  );
  const act = async (one, what) => {
    const sure = what === "promote" ||
      await ask(
        "Take this revision back?",
        "All gateways return to the configuration before it, as a new revision.",
        { yes: "Revert", danger: true },
      );
    if (!sure) return;
    try {
      await call("POST", `/rollouts/${one.id}/${what}`);
      toast(what === "promote" ? "Sent to every gateway" : "Taken back");
      await load();
    } catch (error) {
      toast(error.message, { kind: "error" });
    }
  };
  async function load() {
    const all = await fetchRollouts({ signal });
    put(
      holder,
      all.length === 0
        ? empty(
          "No rollout yet",
          "Apply a file with “First only to gateways with”, or on the command line:",
          [h("code", "seaway apply -f kong.yml --canary zone=eu")],
          "rollouts",
        )
        : all.map((one) => {
          return card(
            one.revision ? `Revision ${one.revision}` : "A revision to come",
            {
              note: [badge(one.state, KINDS[one.state] ?? "plain")],
              actions: isOpen(one)
                ? [
                  button("Revert", {
                    kind: "quiet-danger",
                    action: () => act(one, "revert"),
                  }),
                  button("Promote to all", { kind: "primary", action: () => act(one, "promote") }),
                ]
                : [],
            },
            one.reason && notice(one.state === "reverted" ? "error" : "info", one.reason),
            facts([
              ["Gateways", labelChips(one.labels)],
              ["Revision", h("a", { href: address(`/history/${one.revision}`) }, one.revision)],
              ["Others stay at", one.base],
              ["Started", when(instant(one.startedAt))],
              one.endedAt && ["Ended", when(instant(one.endedAt))],
              ["By", one.actor],
            ]),
          );
        }),
    );
  }
  await load();
  await poll(signal, 2000, load);
  listen(signal, (kind) => {
    if (kind === "rollout") load().catch(() => {});
  });
}
