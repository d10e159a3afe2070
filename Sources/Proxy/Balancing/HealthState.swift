// The health of one endpoint: four counters, four states, and the half-open trial.

import Snapshot

/// Where an endpoint stands. The "mostly" states are counting towards the other side.
enum HealthStatus: UInt8, Sendable {
    case healthy = 0
    case mostlyHealthy = 1
    case mostlyUnhealthy = 2
    case unhealthy = 3

    var isAvailable: Bool { rawValue < 2 }
}

/// What a request or a probe learned about an endpoint.
enum HealthEvent: Sendable, Equatable {
    /// An HTTP response; 0 stands for something that is not HTTP.
    case status(Int)
    /// A probe that only connects did so.
    case connected
    /// Refused, reset, TLS failed, or closed before a response.
    case connectionFailed
    case timedOut
    /// Nothing to conclude, such as a client that went away.
    case none
}

/// Who saw it: the thresholds differ, the counters are shared.
enum HealthSource: Sendable { case active, passive }

/// The thresholds of one direction set; 0 switches a counter off.
struct HealthLimits: Sendable {
    var successes = 0
    var httpFailures = 0
    var tcpFailures = 0
    var timeouts = 0
    var healthyStatuses = StatusSet()
    var unhealthyStatuses = StatusSet()

    init() {}

    init(healthy: HealthThresholds, unhealthy: HealthThresholds) {
        successes = Self.clamped(healthy.successes)
        httpFailures = Self.clamped(unhealthy.httpFailures)
        tcpFailures = Self.clamped(unhealthy.tcpFailures)
        timeouts = Self.clamped(unhealthy.timeouts)
        healthyStatuses = StatusSet(healthy.statuses)
        unhealthyStatuses = StatusSet(unhealthy.statuses)
    }

    /// Whether any failure can count.
    var canEject: Bool { httpFailures > 0 || tcpFailures > 0 || timeouts > 0 }

    /// Whether a passive event leaves a healthy endpoint as it is: the usual case, decided without
    /// touching anything shared.
    @inline(__always)
    func confirmsHealthy(_ event: HealthEvent) -> Bool {
        switch event {
        case .status(let status): status != 0 && status != 504 && !unhealthyStatuses.contains(status)
        case .connected, .none: true
        case .connectionFailed, .timedOut: false
        }
    }

    private static func clamped(_ value: Int) -> Int { min(max(value, 0), 255) }
}

/// A set of HTTP status codes, 0 to 1023, as bits.
struct StatusSet: Sendable {
    private var words = InlineArray<16, UInt64>(repeating: 0)

    init() {}

    init(_ statuses: [Int]) {
        for status in statuses where (0..<1024).contains(status) {
            words[status >> 6] |= 1 << UInt64(status & 63)
        }
    }

    @inline(__always)
    func contains(_ status: Int) -> Bool {
        guard status >= 0, status < 1024 else { return false }
        return words[status >> 6] >> UInt64(status & 63) & 1 == 1
    }
}

/// An endpoint's state in one word, so that workers can change it without a lock.
///
/// ```
///  63      40 39     38  34 33  32 31     24 23    16 15     8 7       0
/// +----------+------+------+------+---------+--------+--------+---------+
/// |    0     |forced|trials|status| timeouts|  tcp   |  http  |successes|
/// +----------+------+------+------+---------+--------+--------+---------+
/// ```
/// The rules are those of lua-resty-healthcheck: a failure clears the success counter only, a
/// success clears all three failure counters, an event whose threshold is 0 changes nothing, and
/// so does one that confirms a settled state. The zero word is a healthy endpoint.
struct HealthState: Sendable, Equatable {
    var word: UInt64

    init(word: UInt64 = 0) { self.word = word }

    var status: HealthStatus { HealthStatus(rawValue: UInt8(word >> 32 & 3)) ?? .healthy }
    var isAvailable: Bool { word >> 33 & 1 == 0 }
    var successes: Int { Int(word & 0xFF) }
    var httpFailures: Int { Int(word >> 8 & 0xFF) }
    var tcpFailures: Int { Int(word >> 16 & 0xFF) }
    var timeouts: Int { Int(word >> 24 & 0xFF) }
    /// Failed trials since the endpoint was ejected, at most 31.
    var failedTrials: Int { Int(word >> 34 & 31) }
    /// An operator said unhealthy: no trial brings the endpoint back.
    var isForced: Bool { word >> 39 & 1 == 1 }

    /// Counts what was seen.
    mutating func report(_ event: HealthEvent, from source: HealthSource, limits: HealthLimits) {
        switch event {
        case .status(504) where source == .passive: count(.timeout, limit: limits.timeouts)
        case .status(let status):
            if limits.healthyStatuses.contains(status) {
                count(.success, limit: limits.successes)
            } else if status == 0 || limits.unhealthyStatuses.contains(status) {
                count(.http, limit: limits.httpFailures)
            }
        case .connected: count(.success, limit: limits.successes)
        case .connectionFailed: count(.tcp, limit: limits.tcpFailures)
        case .timedOut: count(.timeout, limit: limits.timeouts)
        case .none: break
        }
    }

    /// Settles the trial of an ejected endpoint: anything but a failure brings it back.
    mutating func reportTrial(_ event: HealthEvent, limits: HealthLimits) {
        guard !isAvailable, !isForced, event != .none else { return }
        if Self.isFailure(event, limits: limits) {
            let trials = UInt64(min(failedTrials + 1, 31))
            word = word & ~(31 << 34) | trials << 34
        } else {
            word = 0
        }
    }

    /// What an operator says holds until events say otherwise, and clears the counters.
    mutating func force(_ status: HealthStatus) {
        word = UInt64(status.rawValue) << 32 | (status.isAvailable ? 0 : 1 << 39)
    }

    private enum Counter: UInt64 { case success = 0, http = 8, tcp = 16, timeout = 24 }

    private mutating func count(_ counter: Counter, limit: Int) {
        let side = counter == .success ? HealthStatus.healthy : .unhealthy
        guard limit > 0, status != side else { return }
        let value = min(word >> counter.rawValue & 0xFF + 1, 0xFF)
        var counters = word & 0xFFFF_FFFF & ~(0xFF << counter.rawValue) | value << counter.rawValue
        counters &= counter == .success ? 0xFF : 0xFFFF_FF00
        var next = status
        if value >= UInt64(limit) {
            next = side
        } else if status == .healthy {
            next = .mostlyHealthy
        } else if status == .unhealthy {
            next = .mostlyUnhealthy
        }
        // Crossing over, either way, forgets earlier trials and an operator's word.
        let kept = next.isAvailable == status.isAvailable ? word & (63 << 34) : 0
        word = kept | UInt64(next.rawValue) << 32 | counters
    }

    private static func isFailure(_ event: HealthEvent, limits: HealthLimits) -> Bool {
        switch event {
        case .connectionFailed, .timedOut: true
        case .status(504): limits.timeouts > 0 || limits.unhealthyStatuses.contains(504)
        case .status(let status):
            limits.httpFailures > 0 && (status == 0 || limits.unhealthyStatuses.contains(status))
        case .connected, .none: false
        }
    }
}

/// When an ejected endpoint may be tried again: 10 s, doubling with each failed trial, up to 5 minutes.
enum TrialBackoff {
    static let firstNanoseconds: Int64 = 10_000_000_000
    static let lastNanoseconds: Int64 = 300_000_000_000

    static func nanoseconds(failedTrials: Int) -> Int64 {
        min(firstNanoseconds << Int64(min(max(failedTrials, 0), 16)), lastNanoseconds)
    }
}
