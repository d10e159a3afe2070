// The overview: are gateways there, do they have the configuration, how does the traffic do, what changed last.

import { expiries, get, revisions } from "../lib/api.js";
import { h, put } from "../lib/dom.js";
import { fleet, healthOf, Meter, verdict } from "../lib/fleet.js";
import { count, instant, milliseconds, percent, plural, short } from "../lib/format.js";
import { icon } from "../lib/icons.js";
import { listen, poll } from "../lib/live.js";
import { all } from "../lib/resources.js";
import { address } from "../lib/router.js";
import { titleOf } from "../lib/types.js";
import { badge, button, card, empty, head, notice, snippet, when } from "../parts/bits.js";
import { sparkline } from "../parts/chart.js";

const PERIOD = 2000;

export default async function overview(page, { signal }) {
  const parts = {
    alerts: h("div", { class: "stack" }),
    tiles: h("div", { class: "tiles" }),
    map: h("div"),
    changes: h("div"),
    expiring: h("div"),
    start: h("div"),
  };
  put(
    page,
    head("Overview"),
    parts.alerts,
    parts.tiles,
    h(
      "div",
      { class: "columns" },
      card("Gateways", { actions: [h("a", { href: address("/gateways") }, "All")] }, parts.map),
      h(
        "div",
        { class: "stack" },
        card("Last changes", { actions: [h("a", { href: address("/history") }, "All")] }, parts.changes),
        card(
          "Certificates",
          { actions: [h("a", { href: address("/certificates") }, "All")] },
          parts.expiring,
        ),
      ),
    ),
  );
  const meter = new Meter();
  let revision = 0;
  let last = [];
  let upstreamNames = new Map();

  async function slow() {
    const [status, newest, ends, upstreams] = await Promise.all([
      get("/status", { signal }).catch(() => ({})),
      revisions({ signal, query: { limit: 6 } }).catch(() => []),
      expiries({ signal }).catch(() => []),
      all("upstreams").catch(() => []),
    ]);
    upstreamNames = new Map(upstreams.map((one) => [one.id, titleOf(one)]));
    revision = status.revision ?? newest[0]?.number ?? 0;
    drawChanges(parts.changes, newest);
    drawExpiring(parts.expiring, ends);
  }

  async function fast() {
    last = await fleet(revision, { signal });
    const point = meter.read(last);
    drawTiles(parts.tiles, last, revision, point, meter.history);
    drawMap(parts.map, last, meter);
    drawAlerts(parts.alerts, last, upstreamNames);
  }

  await slow();
  await poll(signal, PERIOD, fast);
  listen(signal, (kind) => {
    if (kind === "revision" || kind === "resync") slow().then(fast).catch(() => {});
    else if (kind === "gateway") fast().catch(() => {});
  });
}

function tile(title, value, note, spark, kind) {
  return h(
    "div",
    { class: ["tile", kind && `is-${kind}`] },
    h("h2", { class: "tile-title" }, title),
    h("p", { class: "tile-value" }, value),
    h("p", { class: "tile-note" }, note),
    spark,
  );
}

function drawTiles(holder, gateways, revision, point, history) {
  const there = gateways.filter((one) => !one.revoked);
  const connected = there.filter((one) => one.isConnected);
  const current = connected.filter((one) => one.revision >= revision && !one.rejected);
  const bad = point && point.errors > 0.01;
  put(
    holder,
    tile(
      "Gateways",
      [count(connected.length), h("small", ` of ${count(there.length)}`)],
      there.length === connected.length
        ? "all connected"
        : `${count(there.length - connected.length)} without a stream`,
      null,
      there.length === connected.length ? null : "bad",
    ),
    tile(
      "Revision",
      revision ? h("a", { href: address(`/history/${revision}`) }, count(revision)) : "–",
      connected.length === 0
        ? "no gateway has it"
        : current.length === connected.length
        ? "in effect on every gateway"
        : `in effect on ${current.length} of ${connected.length}`,
      connected.length > 0 &&
        h(
          "div",
          { class: "meter", role: "img", "aria-label": `${current.length} of ${connected.length}` },
          share(current.length / connected.length),
        ),
      current.length === connected.length ? null : "warn",
    ),
    tile(
      "Requests",
      [short(point?.rate ?? NaN), h("small", " /s")],
      point ? `last ${Math.round((history.rate.length * PERIOD) / 1000)} s` : "measuring…",
      sparkline(history.rate, { label: "Requests a second" }),
    ),
    tile(
      "Errors",
      percent(point?.errors ?? NaN),
      "answers of 500 and above",
      sparkline(history.errors, { label: "Share of errors", kind: "bad" }),
      bad ? "bad" : null,
    ),
    tile(
      "Latency",
      [milliseconds(point?.p99 ?? NaN), h("small", " p99")],
      `${milliseconds(point?.p50 ?? NaN)} median`,
      sparkline(history.p99, { label: "Latency, 99th percentile", kind: "second" }),
    ),
  );
}

function share(value) {
  const bar = h("div", { class: "meter-bar" });
  bar.style.setProperty("width", `${Math.round(value * 100)}%`);
  return bar;
}

/** By cloud, and within a cloud by zone: a ship's berth for each gateway. */
function drawMap(holder, gateways, meter) {
  if (gateways.length === 0) {
    put(
      holder,
      empty(
        "No gateway yet",
        "A gateway joins with a token. Make one, put it into a file where the gateway runs, and start it:",
        [
          button("New join token", {
            icon: "plus",
            kind: "primary",
            href: address("/tokens", { new: "gateway" }),
          }),
        ],
        "gateways",
      ),
      snippet(
        `seaway gateway run --control-plane https://${location.hostname}:5678 --token-file token --labels zone=eu,cloud=aws`,
      ),
    );
    return;
  }
  const clouds = new Map();
  for (const gateway of gateways) {
    if (gateway.revoked) continue;
    const cloud = gateway.labels.cloud ?? "";
    const zone = gateway.labels.zone ?? gateway.labels.region ?? "";
    const zones = clouds.get(cloud) ?? clouds.set(cloud, new Map()).get(cloud);
    (zones.get(zone) ?? zones.set(zone, []).get(zone)).push(gateway);
  }
  put(
    holder,
    h(
      "div",
      { class: "clouds" },
      [...clouds].sort(([a], [b]) => a.localeCompare(b)).map(([cloud, zones]) =>
        h(
          "section",
          { class: "cloud" },
          h("h3", cloud || (clouds.size > 1 ? "Without a cloud label" : "Gateways")),
          h(
            "div",
            { class: "zones" },
            [...zones].sort(([a], [b]) => a.localeCompare(b)).map(([zone, members]) => {
              const rates = members.map((one) => meter.byGateway.get(one.id)).filter(Boolean);
              const rate = rates.reduce((sum, one) => sum + one.rate, 0);
              return h(
                "div",
                { class: "zone" },
                h(
                  "div",
                  { class: "zone-head" },
                  h(
                    "a",
                    { href: address("/gateways", { label: zone ? `zone=${zone}` : "" }) },
                    zone || "no zone",
                  ),
                  h("span", { class: "note" }, rates.length ? `${short(rate)}/s` : ""),
                ),
                h(
                  "div",
                  { class: "berths" },
                  members.map((one) =>
                    h("a", {
                      class: ["berth", `is-${one.state}`],
                      href: address(`/gateways/${one.id}`),
                      title: `${one.name}: ${one.says}`,
                      "aria-label": `${one.name}: ${one.says}`,
                    }, members.length <= 12 ? one.name : null)
                  ),
                ),
              );
            }),
          ),
        )
      ),
    ),
  );
}

function drawAlerts(holder, gateways, upstreamNames) {
  const rejected = gateways.filter((one) => one.rejected && !one.revoked);
  const lost = gateways.filter((one) => !one.isConnected && !one.revoked);
  const sick = [];
  for (const [upstream, targets] of healthOf(gateways)) {
    const bad = [...targets.values()].filter((views) => ["bad", "warn"].includes(verdict(views)[0])).length;
    if (bad) sick.push([upstream, bad, targets.size]);
  }
  put(
    holder,
    rejected.map((one) =>
      notice(
        "error",
        h("b", h("a", { href: address(`/gateways/${one.id}`) }, one.name)),
        ` rejects revision ${one.rejected}: `,
        one.rejectedEntity && h("b", `${one.rejectedEntity}: `),
        one.rejectedReason,
        ". It serves on with revision ",
        one.revision,
        ".",
      )
    ),
    lost.length > 0 &&
      notice(
        "warning",
        `${plural(lost.length, "gateway has", "gateways have")} no stream to a control plane: ${
          lost.slice(0, 5).map((one) => one.name).join(", ")
        }${lost.length > 5 ? " …" : ""}. They serve on with what they have. `,
        h("a", { href: address("/gateways", { state: "lost" }) }, "See them"),
      ),
    sick.slice(0, 3).map(([id, bad, of]) =>
      notice(
        "warning",
        h(
          "a",
          { href: address(`/upstreams/${id}`, { tab: "targets" }) },
          `Upstream ${upstreamNames.get(id) ?? id.slice(0, 8)}`,
        ),
        `: ${bad} of ${plural(of, "target")} not healthy.`,
      )
    ),
  );
}

function drawChanges(holder, revisions) {
  if (!revisions.length) {
    put(
      holder,
      h(
        "div",
        { class: "empty is-small" },
        h("p", "Nothing is configured yet."),
        h(
          "div",
          { class: "row" },
          button("New service", { icon: "plus", kind: "primary", href: address("/services/new") }),
          button("Apply a kong.yml", { icon: "apply", href: address("/apply") }),
        ),
      ),
    );
    return;
  }
  put(
    holder,
    h(
      "ol",
      { class: "feed" },
      revisions.map((one) => {
        const { number } = one;
        return h(
          "li",
          h(
            "a",
            { href: address(`/history/${number}`), class: "feed-main" },
            h("b", `${number}`),
            h("span", one.message || countsOf(one)),
          ),
          h("span", { class: "note" }, one.actor, " · ", when(instant(one.time))),
        );
      }),
    ),
  );
}

export const countsOf = (one) =>
  [["created", one.created], ["updated", one.updated], ["deleted", one.deleted]].filter(([, value]) => value)
    .map(([word, value]) => `${count(value)} ${word}`).join(", ") || "no change";

function drawExpiring(holder, ends) {
  const soon = ends.map((one) => ({ ...one, ends: instant(one.notAfter) })).filter((one) =>
    one.type !== "gateways"
  ).sort((a, b) => a.ends - b.ends);
  if (!soon.length) return void put(holder, h("p", { class: "note" }, "No certificates are stored."));
  put(
    holder,
    h(
      "ol",
      { class: "feed" },
      soon.slice(0, 4).map((one) => {
        const days = (one.ends - Date.now()) / 86_400_000;
        return h(
          "li",
          h("span", { class: "feed-main" }, icon("certificates", 15), h("span", one.name || one.subject)),
          badge(
            days < 0 ? "ended" : days < 2 ? "ends today" : `${Math.floor(days)} days`,
            days < 7 ? "bad" : days < 30 ? "warn" : "good",
          ),
        );
      }),
    ),
  );
}
