// One gateway: what it runs, what it rejected, what it sees.

import { call, get } from "../lib/api.js";
import { h, put } from "../lib/dom.js";
import { gatewayOf, Meter, verdict } from "../lib/fleet.js";
import { bytes, count, milliseconds, percent, short, time } from "../lib/format.js";
import { listen, poll } from "../lib/live.js";
import { byID } from "../lib/resources.js";
import { address, go } from "../lib/router.js";
import { pathOf, titleOf } from "../lib/types.js";
import { badge, button, card, empty, facts, head, labelChips, notice, when } from "../parts/bits.js";
import { sparkline } from "../parts/chart.js";
import { ask, toast } from "../parts/layers.js";

export default async function gateway(page, { parameters, signal, title }) {
  const meter = new Meter();
  const [upstreams, targets] = await Promise.all([byID("upstreams"), byID("targets")]);
  const parts = {
    notes: h("div", { class: "stack" }),
    tiles: h("div", { class: "tiles is-three" }),
    facts: h("div"),
    targets: h("div"),
  };
  let state = "";
  async function load() {
    const status = await get("/status", { signal }).catch(() => ({}));
    let one;
    try {
      one = gatewayOf(
        await get(`/gateways/${encodeURIComponent(parameters.id)}`, { signal }),
        status.revision ?? 0,
      );
    } catch (error) {
      if (error.status !== 404) throw error;
      put(
        page,
        head("Gateway", { crumbs: [["Gateways", address("/gateways")]] }),
        empty("There is no such gateway", "It may have been removed. Those that joined are in the list.", [
          button("All gateways", { href: address("/gateways"), kind: "primary" }),
        ], "gateways"),
      );
      return;
    }
    if (state !== one.state + one.says) {
      state = one.state + one.says;
      title(one.name);
      put(
        page,
        head(one.name, {
          crumbs: [["Gateways", address("/gateways")]],
          badge: badge(one.says, one.state),
          actions: [
            !one.revoked &&
            button("Revoke", { icon: "close", kind: "quiet-danger", action: () => revoke(one) }),
          ],
        }),
        parts.notes,
        parts.tiles,
        h(
          "div",
          { class: "columns" },
          card("Targets", { note: "as this gateway sees them" }, parts.targets),
          card("About", {}, parts.facts),
        ),
      );
    }
    meter.read([one]);
    const rate = meter.byGateway.get(one.id);
    put(
      parts.notes,
      one.revoked > 0 &&
        notice(
          "warning",
          "This gateway was revoked ",
          when(one.revoked),
          ". It serves on with what it has, and gets nothing new.",
        ),
      one.rejected > 0 &&
        notice(
          "error",
          h("b", `It rejected revision ${one.rejected}. `),
          one.rejectedEntity && h("b", `${one.rejectedEntity}: `),
          one.rejectedReason,
          `. Revision ${one.revision} stays in effect. `,
          h("a", { href: address(`/history/${one.rejected}`) }, "What the revision changed"),
        ),
      !one.isConnected && !one.revoked &&
        notice(
          "warning",
          "It has no stream to a control plane; last seen ",
          when(one.seen),
          ". Check that it runs, and that it reaches the addresses in its --control-plane.",
        ),
    );
    put(
      parts.tiles,
      tile(
        "Requests",
        [short(rate?.rate ?? NaN), h("small", " /s")],
        `${count(one.requests)} since its start`,
        sparkline(meter.history.rate, { label: "Requests a second" }),
      ),
      tile(
        "Errors",
        percent(rate?.errors ?? NaN),
        `${count(one.errors)} since its start`,
        sparkline(meter.history.errors, { label: "Share of errors", kind: "bad" }),
      ),
      tile(
        "Latency",
        [milliseconds(rate?.p99 ?? NaN), h("small", " p99")],
        `${count(one.connections)} connections`,
        sparkline(meter.history.p99, { label: "Latency", kind: "second" }),
      ),
    );
    put(
      parts.facts,
      facts([
        [
          "Revision in effect",
          one.revision ? h("a", { href: address(`/history/${one.revision}`) }, one.revision) : "none",
        ],
        ["Labels", labelChips(one.labels)],
        ["Version", one.version],
        ["Address", one.address],
        ["Control plane", one.controlPlane],
        ["Memory", one.memory ? bytes(one.memory) : null],
        ["Started", one.started ? when(one.started) : null],
        ["Joined", when(one.joined)],
        [
          "Certificate ends",
          one.certificateEnds
            ? h("span", { title: time(one.certificateEnds) }, when(one.certificateEnds))
            : null,
        ],
        ["ID", h("code", one.id)],
      ].filter(([, value]) => value !== null && value !== "")),
    );
    const bad = (target) => (target.state === "unhealthy" || target.state === "dns_error" ? 0 : 1);
    put(
      parts.targets,
      one.targets.length === 0
        ? h("p", { class: "note" }, "It reports no targets: it has no upstream, or nothing has come yet.")
        : h(
          "table",
          { class: "plain" },
          h(
            "thead",
            h(
              "tr",
              ["Upstream", "Target", "Address", "Health"].map((text) => h("th", { scope: "col" }, text)),
            ),
          ),
          h(
            "tbody",
            one.targets.slice().sort((a, b) => bad(a) - bad(b)).slice(0, 500).map((target) => {
              const upstream = upstreams.get(target.upstream);
              const [kind, word] = verdict([target]);
              return h(
                "tr",
                h(
                  "td",
                  upstream
                    ? h(
                      "a",
                      { href: address(pathOf("upstreams", upstream.id), { tab: "targets" }) },
                      titleOf(upstream),
                    )
                    : (target.upstream ?? "").slice(0, 8),
                ),
                h("td", targets.get(target.target)?.spec?.target ?? (target.target ?? "").slice(0, 8)),
                h("td", h("code", target.address || "not resolved")),
                h("td", badge(word, kind)),
              );
            }),
          ),
        ),
    );
  }
  await poll(signal, 2000, load);
  listen(signal, (kind) => {
    if (kind === "gateway" || kind === "revision") load().catch(() => {});
  });
}

const tile = (name, value, note, spark) =>
  h(
    "div",
    { class: "tile" },
    h("h2", { class: "tile-title" }, name),
    h("p", { class: "tile-value" }, value),
    h("p", { class: "tile-note" }, note),
    spark,
  );

async function revoke(one) {
  const sure = await ask(
    `Revoke ${one.name}?`,
    "Its stream is cut at once and its certificate is of no more use. It serves on with the configuration it has until it is stopped.",
    { yes: "Revoke", danger: true },
  );
  if (!sure) return;
  try {
    await call("DELETE", `/gateways/${one.id}`);
    toast(`Revoked ${one.name}`);
    go("/gateways");
  } catch (error) {
    toast(error.message, { kind: "error" });
  }
}
