// What the stream to gateways counts, for metrics.

/// Counts since the start of this control plane.
public struct StreamCounters: Sendable, Equatable {
    /// Open now.
    public internal(set) var streams = 0
    public internal(set) var fullSent: UInt64 = 0
    public internal(set) var deltasSent: UInt64 = 0
    /// Of configurations.
    public internal(set) var bytesSent: UInt64 = 0
    /// Revisions that a gateway put in effect, and that one refused.
    public internal(set) var applied: UInt64 = 0
    public internal(set) var rejected: UInt64 = 0

    /// Upper bounds in milliseconds of `pushCounts`, which has one more entry for all beyond.
    public static let pushBounds: [Double] = [5, 10, 25, 50, 100, 150, 250, 500, 1000, 2500, 5000, 10_000]
    /// From publication to a gateway's acknowledgement; not cumulative.
    public internal(set) var pushCounts = [UInt64](repeating: 0, count: StreamCounters.pushBounds.count + 1)
    /// Milliseconds.
    public internal(set) var pushSum = 0.0

    mutating func push(_ milliseconds: Double) {
        let place = Self.pushBounds.firstIndex { milliseconds <= $0 } ?? Self.pushBounds.count
        pushCounts[place] += 1
        pushSum += milliseconds
    }
}
