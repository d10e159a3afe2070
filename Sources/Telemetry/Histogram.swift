// Latency histograms with Kong's bucket bounds.

/// The three latency families of Kong's prometheus plugin.
enum LatencyFamily: Int, CaseIterable {
    case kong = 0, upstream, request

    /// Upper bounds in milliseconds, `+Inf` left out. `bucket` below says the same in code.
    var bounds: [Int] {
        switch self {
        case .kong: [1, 2, 5, 7, 10, 15, 20, 30, 50, 75, 100, 200, 500, 750, 1000, 3000, 6000]
        case .upstream, .request: [25, 50, 80, 100, 250, 400, 700, 1000, 2000, 5000, 10000, 30000, 60000]
        }
    }

    /// Place of a bucket's cell in a series' row; the one past the last bound is `+Inf`. The first
    /// buckets, where nearly everything falls, lie together with the sums: see `RouteSeries`.
    @inline(__always)
    func cell(_ bucket: Int) -> Int {
        if bucket == 0 { return RouteSeries.firstBuckets + rawValue }
        switch self {
        case .kong: return RouteSeries.otherBuckets + bucket - 1
        case .upstream: return RouteSeries.otherBuckets + 17 + bucket - 1
        case .request: return RouteSeries.otherBuckets + 17 + 13 + bucket - 1
        }
    }

    /// Place of the family's sum, in microseconds.
    @inline(__always)
    var sum: Int { RouteSeries.sums + rawValue }

    /// The first bucket that holds a latency. Compiled to comparisons; no table is read.
    @inline(__always)
    func bucket(_ microseconds: Int) -> Int {
        self == .kong ? Self.kongBucket(microseconds) : Self.longBucket(microseconds)
    }

    @inline(__always)
    private static func kongBucket(_ microseconds: Int) -> Int {
        switch microseconds {
        case ...1_000: 0
        case ...2_000: 1
        case ...5_000: 2
        case ...7_000: 3
        case ...10_000: 4
        case ...15_000: 5
        case ...20_000: 6
        case ...30_000: 7
        case ...50_000: 8
        case ...75_000: 9
        case ...100_000: 10
        case ...200_000: 11
        case ...500_000: 12
        case ...750_000: 13
        case ...1_000_000: 14
        case ...3_000_000: 15
        case ...6_000_000: 16
        default: 17
        }
    }

    @inline(__always)
    private static func longBucket(_ microseconds: Int) -> Int {
        switch microseconds {
        case ...25_000: 0
        case ...50_000: 1
        case ...80_000: 2
        case ...100_000: 3
        case ...250_000: 4
        case ...400_000: 5
        case ...700_000: 6
        case ...1_000_000: 7
        case ...2_000_000: 8
        case ...5_000_000: 9
        case ...10_000_000: 10
        case ...30_000_000: 11
        case ...60_000_000: 12
        default: 13
        }
    }
}
