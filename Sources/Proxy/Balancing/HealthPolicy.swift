// A cluster's health checks, ready for use.

import Snapshot

/// Thresholds and timing of one cluster (Kong's `healthchecks`). A class, so that the path of a
/// request reads its tables in place.
final class HealthPolicy: Sendable {
    let active: HealthLimits
    let passive: HealthLimits
    /// Seconds between probes of available endpoints; 0: none.
    let healthyInterval: Double
    /// Seconds between probes of unavailable endpoints; 0: none.
    let unhealthyInterval: Double
    /// Percent of weight that must be exceeded by the available weight.
    let threshold: Double

    init(_ checks: HealthChecks) {
        let probes = checks.activeKind == .http || checks.activeKind == .https || checks.activeKind == .tcp
        active = HealthLimits(healthy: checks.activeHealthy, unhealthy: checks.activeUnhealthy)
        passive = HealthLimits(healthy: checks.passiveHealthy, unhealthy: checks.passiveUnhealthy)
        healthyInterval = probes ? Self.interval(checks.activeHealthy.interval) : 0
        unhealthyInterval = probes ? Self.interval(checks.activeUnhealthy.interval) : 0
        threshold = checks.threshold.isFinite ? min(max(checks.threshold, 0), 100) : 0
    }

    /// Whether endpoints of the cluster have health at all. As in Kong, `passive.healthy` alone
    /// does not make a health check.
    var isOn: Bool { healthyInterval > 0 || unhealthyInterval > 0 || passive.canEject }

    /// Whether an ejected endpoint comes back by a trial request: when no probe would bring it back.
    var allowsTrials: Bool { unhealthyInterval == 0 || active.successes == 0 }

    /// Seconds, at least 0.1 so that no file can make probes a flood.
    private static func interval(_ seconds: Double) -> Double {
        seconds.isFinite && seconds > 0 ? min(max(seconds, 0.1), 65535) : 0
    }
}
