// A limit on retries, so that a failing cluster is not also flooded by its own retries.

/// Retries may be at most a fifth of the requests of the last ten seconds, or 100 (ten per second),
/// whichever is more. One per cluster and worker.
struct RetryBudget: Sendable {
    private var requests = [UInt32](repeating: 0, count: RetryBudget.windowSeconds)
    private var retries = [UInt32](repeating: 0, count: RetryBudget.windowSeconds)
    private var requestsInWindow = 0
    private var retriesInWindow = 0
    /// The second that the newest bucket counts.
    private var second: Int64 = 0

    static let windowSeconds = 10
    /// Retries per request, as a divisor: 20 %.
    static let requestsPerRetry = 5
    static let retriesPerSecondMin = 10

    init() {}

    /// Counts a first try. `now` in monotonic nanoseconds.
    mutating func request(now: Int64) {
        let bucket = advance(to: now)
        requests[bucket] &+= 1
        requestsInWindow += 1
    }

    /// Takes one retry from the budget; false when there is none left.
    mutating func retry(now: Int64) -> Bool {
        let bucket = advance(to: now)
        let most = max(requestsInWindow / Self.requestsPerRetry, Self.retriesPerSecondMin * Self.windowSeconds)
        guard retriesInWindow < most else { return false }
        retries[bucket] &+= 1
        retriesInWindow += 1
        return true
    }

    /// Empties the buckets that left the window; the current bucket's index. Time never goes back.
    @inline(__always)
    private mutating func advance(to now: Int64) -> Int {
        let current = max(now, 0) / 1_000_000_000
        if current > second { slide(to: current) }
        return Int(second % Int64(Self.windowSeconds))
    }

    private mutating func slide(to current: Int64) {
        let steps = min(current - second, Int64(Self.windowSeconds))
        for step in 0..<steps {
            let bucket = Int((current - step) % Int64(Self.windowSeconds))
            requestsInWindow -= Int(requests[bucket])
            retriesInWindow -= Int(retries[bucket])
            requests[bucket] = 0
            retries[bucket] = 0
        }
        second = current
    }
}
