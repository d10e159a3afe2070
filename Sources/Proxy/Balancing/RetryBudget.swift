// A limit on retries, so that a failing cluster is not also flooded by its own retries.

/// Retries may be at most a fifth of the requests of the last ten seconds, or 100 (ten per second),
/// whichever is more. One per cluster and worker.
struct RetryBudget: Sendable {
    private var requests = InlineArray<10, UInt32>(repeating: 0)
    private var retries = InlineArray<10, UInt32>(repeating: 0)
    private var requestsInWindow = 0
    private var retriesInWindow = 0
    /// The second that the newest bucket counts.
    private var second: Int64 = 0
    /// `second` ends here, in nanoseconds.
    private var secondEnd: Int64 = 1_000_000_000
    private var bucket = 0

    static let windowSeconds = 10
    /// Retries per request, as a divisor: 20 %.
    static let requestsPerRetry = 5
    static let retriesPerSecondMin = 10

    init() {}

    /// Counts a first try. `now` in monotonic nanoseconds.
    mutating func request(now: Int64) {
        if now >= secondEnd { slide(to: now / 1_000_000_000) }
        requests[bucket] &+= 1
        requestsInWindow += 1
    }

    /// Takes one retry from the budget; false when there is none left.
    mutating func retry(now: Int64) -> Bool {
        if now >= secondEnd { slide(to: now / 1_000_000_000) }
        let most = max(requestsInWindow / Self.requestsPerRetry, Self.retriesPerSecondMin * Self.windowSeconds)
        guard retriesInWindow < most else { return false }
        retries[bucket] &+= 1
        retriesInWindow += 1
        return true
    }

    /// Empties the buckets that left the window. Time never goes back.
    private mutating func slide(to current: Int64) {
        let steps = min(current - second, Int64(Self.windowSeconds))
        for step in 0..<steps {
            let left = Int((current - step) % Int64(Self.windowSeconds))
            requestsInWindow -= Int(requests[left])
            retriesInWindow -= Int(retries[left])
            requests[left] = 0
            retries[left] = 0
        }
        second = current
        secondEnd = (current + 1) * 1_000_000_000
        bucket = Int(current % Int64(Self.windowSeconds))
    }
}
