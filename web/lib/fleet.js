// Gateways as the UI needs them: state, rates between two readings, health of targets over all of them.

import { gateways as fetchGateways } from "./api.js";
import { instant } from "./format.js";
import { quantile } from "../parts/chart.js";

/** One gateway of the API. `state`: good, warn (behind, or rejected something), bad (no stream), off (revoked). */
export function gatewayOf(raw, revision) {
  const report = raw.report ?? {};
  const gateway = {
    raw,
    id: raw.id,
    name: raw.name,
    labels: raw.labels ?? {},
    address: raw.address ?? "",
    version: raw.version ?? "",
    revision: raw.revision ?? 0,
    rejected: raw.rejected?.revision ?? 0,
    rejectedEntity: raw.rejected?.entity ?? "",
    rejectedReason: raw.rejected?.reason ?? "",
    isConnected: raw.connected === true,
    seen: instant(raw.lastSeen),
    joined: instant(raw.joinedAt),
    revoked: instant(raw.revokedAt),
    certificateEnds: instant(raw.certificateExpiresAt),
    controlPlane: raw.controlPlane ?? "",
    requests: Number(report.requests ?? 0),
    errors: Number(report.errors ?? 0),
    connections: report.connections ?? 0,
    bounds: report.latencyBounds ?? [],
    counts: report.latencyCounts ?? [],
    memory: report.residentBytes,
    started: instant(report.startedAt),
    targets: (report.targets ?? []).map((one) => ({
      upstream: one.upstream,
      target: one.target,
      address: one.address ?? "",
      state: stateOf(one.state),
    })),
  };
  gateway.state = gateway.revoked
    ? "off"
    : !gateway.isConnected
    ? "bad"
    : gateway.rejected || (revision && gateway.revision < revision)
    ? "warn"
    : "good";
  gateway.says = gateway.revoked
    ? "revoked"
    : !gateway.isConnected
    ? "no stream"
    : gateway.rejected
    ? `rejected ${gateway.rejected}`
    : revision && gateway.revision < revision
    ? "behind"
    : "in effect";
  return gateway;
}

const STATES = ["healthy", "unhealthy", "dns_error", "unchecked"];
const stateOf = (
  value,
) => (typeof value === "number"
  ? STATES[value] ?? "unchecked"
  : String(value ?? "unchecked").toLowerCase().replace("dnserror", "dns_error"));

export async function fleet(revision, options) {
  return (await fetchGateways(options)).map((raw) => gatewayOf(raw, revision)).sort((a, b) =>
    a.name.localeCompare(b.name, "en", { numeric: true })
  );
}

/** Rates since the reading before: requests and errors a second, latency of the requests between. */
export class Meter {
  constructor(length = 60) {
    this.length = length;
    this.before = null;
    this.history = { rate: [], errors: [], p50: [], p99: [] };
    this.byGateway = new Map();
  }

  read(gateways, now = Date.now()) {
    const reading = new Map(gateways.map((one) => [one.id, one]));
    const before = this.before;
    this.before = { time: now, reading };
    if (!before) return null;
    const seconds = Math.max(0.2, (now - before.time) / 1000);
    let [requests, errors] = [0, 0];
    let bounds = [];
    let counts = [];
    for (const gateway of gateways) {
      const last = before.reading.get(gateway.id);
      if (!last || last.started !== gateway.started) continue;
      const [r, e] = [
        Math.max(0, gateway.requests - last.requests),
        Math.max(0, gateway.errors - last.errors),
      ];
      requests += r;
      errors += e;
      const between = gateway.counts.map((count, index) => Math.max(0, count - (last.counts[index] ?? 0)));
      this.byGateway.set(gateway.id, {
        rate: r / seconds,
        errors: r ? e / r : 0,
        p99: quantile(gateway.bounds, between, 0.99),
      });
      if (between.length > counts.length) {
        bounds = gateway.bounds;
        counts = [...counts, ...Array(between.length - counts.length).fill(0)];
      }
      between.forEach((count, index) => {
        counts[index] += count;
      });
    }
    const point = {
      rate: requests / seconds,
      errors: requests ? errors / requests : 0,
      p50: quantile(bounds, counts, 0.5),
      p99: quantile(bounds, counts, 0.99),
    };
    for (const [key, list] of Object.entries(this.history)) {
      list.push(point[key]);
      if (list.length > this.length) list.shift();
    }
    return point;
  }
}

/** What all gateways say about each target: `upstream → target → [{ gateway, address, state }]`. */
export function healthOf(gateways) {
  const upstreams = new Map();
  for (const gateway of gateways) {
    if (!gateway.isConnected) continue;
    for (const one of gateway.targets) {
      const targets = upstreams.get(one.upstream) ?? new Map();
      upstreams.set(one.upstream, targets);
      const views = targets.get(one.target) ?? [];
      targets.set(one.target, views);
      views.push({ gateway, address: one.address, state: one.state });
    }
  }
  return upstreams;
}

/** One word for several views: good when all are, bad when none is. */
export function verdict(views) {
  if (!views?.length) return ["off", "not reported"];
  const bad = views.filter((one) => one.state === "unhealthy" || one.state === "dns_error").length;
  if (bad === 0) {
    return views.every((one) => one.state === "unchecked") ? ["plain", "not checked"] : ["good", "healthy"];
  }
  if (bad === views.length) {
    return [
      "bad",
      views.every((one) => one.state === "dns_error") ? "no address" : "unhealthy",
    ];
  }
  return ["warn", `unhealthy for ${bad} of ${views.length}`];
}
