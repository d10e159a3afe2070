// What all workers counted of all requests, whatever filters they ran through.

/// Sums over workers, for the reports to a control plane.
public struct RequestTotals: Sendable {
    public var requests = 0
    /// Answers of 500 and above.
    public var errors = 0
    /// Open client connections.
    public var connections = 0
    /// Upper bounds in milliseconds; the last is -1: all.
    public var latencyBounds: [Int]
    /// Requests that took at most so long, cumulative.
    public var latencyCounts: [Int]

    public init(_ workers: [WorkerMetrics]) {
        latencyBounds = RequestLatency.bounds + [-1]
        latencyCounts = [Int](repeating: 0, count: latencyBounds.count)
        for worker in workers {
            requests += worker.value(.requests)
            errors += worker.value(.serverErrors)
            connections += worker.value(.accepted) - worker.value(.closed)
            for bucket in latencyCounts.indices { latencyCounts[bucket] += worker.latency(bucket) }
        }
        for bucket in latencyCounts.indices.dropFirst() { latencyCounts[bucket] += latencyCounts[bucket - 1] }
    }
}

/// The buckets of a worker's latencies, from a client's request to the end of its answer.
enum RequestLatency {
    /// Milliseconds, `+Inf` left out. `bucket` says the same in code.
    static let bounds = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000]

    @inline(__always)
    static func bucket(_ microseconds: Int) -> Int {
        switch microseconds {
        case ...1_000: 0
        case ...2_000: 1
        case ...5_000: 2
        case ...10_000: 3
        case ...20_000: 4
        case ...50_000: 5
        case ...100_000: 6
        case ...200_000: 7
        case ...500_000: 8
        case ...1_000_000: 9
        case ...2_000_000: 10
        case ...5_000_000: 11
        case ...10_000_000: 12
        default: 13
        }
    }
}
