// The counters of one route (or of one route and consumer) on one worker.

internal import Synchronization

/// What is counted for one set of labels. The worker adds; the status thread reads through `next`
/// and the atomics. A series lives as long as its `WorkerMetrics`: counters never go backwards.
final class RouteSeries: @unchecked Sendable {
    /// `service="…",route="…"`, escaped.
    let routeLabels: [UInt8]
    /// The consumer's name as it is; empty: the route's own series.
    let consumer: [UInt8]
    /// The series made after this one; set once, by the worker.
    let next = AtomicLazyReference<RouteSeries>()

    static let ingress = 0
    static let egress = 1
    /// Set in every key of a code, so that none is 0, which means free.
    private static let used = 1 << 16
    private let bandwidth = Cells(2)
    private let codes = CodeCells()
    private var latencies: Cells?
    private let publishedLatencies = AtomicLazyReference<Cells>()

    init(routeLabels: [UInt8], consumer: [UInt8] = []) {
        self.routeLabels = routeLabels
        self.consumer = consumer
    }

    // MARK: The worker's side

    @inline(__always)
    func count(code: Int, fromService: Bool) { codes.add(Self.used | code << 1 | (fromService ? 1 : 0)) }

    @inline(__always)
    func count(ingress: Int, egress: Int) {
        if ingress > 0 { bandwidth.add(Self.ingress, ingress) }
        if egress > 0 { bandwidth.add(Self.egress, egress) }
    }

    @inline(__always)
    func observe(kong: Int, upstream: Int, request: Int) {
        let cells = latencies ?? makeLatencies()
        LatencyFamily.kong.observe(kong, in: cells)
        LatencyFamily.upstream.observe(upstream, in: cells)
        LatencyFamily.request.observe(request, in: cells)
    }

    @inline(never)
    private func makeLatencies() -> Cells {
        let cells = publishedLatencies.storeIfNil(Cells(LatencyFamily.cellCount))
        latencies = cells
        return cells
    }

    // MARK: The reader's side

    func bytes(_ direction: Int) -> Int { bandwidth.load(direction) }

    /// Calls `body` with status code, whether the service answered, and the count.
    func forEachCode(_ body: (Int, Bool, Int) -> Void) {
        codes.forEach { key, count in body((key & ~Self.used) >> 1, key & 1 == 1, count) }
    }

    var latencyCells: Cells? { publishedLatencies.load() }
}

/// Counts by small key (status code and source). A route sees a handful of keys; each further
/// dozen takes another row.
final class CodeCells: @unchecked Sendable {
    private static let rowKeys = 12
    private let row = Cells(2 * CodeCells.rowKeys)
    private let more = AtomicLazyReference<CodeCells>()

    func add(_ key: Int) {
        var i = 0
        while i < Self.rowKeys {
            let seen = row.load(2 * i)
            if seen == key { return row.add(2 * i + 1, 1) }
            if seen == 0 {
                // The count first: a reader that sees the key sees the count.
                row.add(2 * i + 1, 1)
                return row.store(2 * i, key)
            }
            i += 1
        }
        (more.load() ?? more.storeIfNil(CodeCells())).add(key)
    }

    func forEach(_ body: (Int, Int) -> Void) {
        for i in 0..<Self.rowKeys {
            let key = row.load(2 * i)
            if key == 0 { return }
            body(key, row.load(2 * i + 1))
        }
        more.load()?.forEach(body)
    }
}
