// The counters of one route (or of one route and consumer) on one worker.

internal import Synchronization

/// What is counted for one set of labels. The worker adds; the status thread reads through `next`
/// and the atomics. A series lives as long as its `WorkerMetrics`: counters never go backwards.
final class RouteSeries: @unchecked Sendable {
    /// `service="…",route="…"`, escaped.
    let routeLabels: [UInt8]
    /// The consumer's name as it is; empty: the route's own series.
    let consumer: [UInt8]
    /// Of a route of connections or datagrams: sessions instead of requests.
    let isStream: Bool
    /// The series made after this one; set once, by the worker.
    let next = AtomicLazyReference<RouteSeries>()

    // A row is one line of 512 bytes; what a usual request touches is its first 80.
    static let codes = 0
    static let bandwidth = 2
    static let sums = 4
    static let firstBuckets = 7
    /// Further codes: `codeCount - 1` pairs of key and count.
    static let otherCodes = 10
    static let otherBuckets = 16
    static let width = 64
    private static let codeCount = 4

    static let ingress = 0
    static let egress = 1
    /// Set in every key of a code, so that none is 0, which means free.
    private static let used = 1 << 16
    private let slab: CellSlab
    private let row: Int
    /// Codes past the first four.
    private let more = AtomicLazyReference<CodeCells>()

    init(routeLabels: [UInt8], consumer: [UInt8] = [], isStream: Bool = false, slab: CellSlab, row: Int) {
        self.routeLabels = routeLabels
        self.consumer = consumer
        self.isStream = isStream
        self.slab = slab
        self.row = row
    }

    // MARK: The worker's side

    /// Counts in a row of `slab` without touching the series itself. True if the code has its place there.
    @inline(__always)
    static func count(code: Int, fromService: Bool, in slab: CellSlab, _ row: Int) -> Bool {
        let key = key(code, fromService)
        var i = 0
        while i < codeCount {
            let at = i == 0 ? codes : otherCodes + 2 * (i - 1)
            let seen = slab.load(row, at)
            if seen == key {
                slab.add(row, at + 1, 1)
                return true
            }
            if seen == 0 {
                // The count first: a reader that sees the key sees the count.
                slab.add(row, at + 1, 1)
                slab.store(row, at, key)
                return true
            }
            i += 1
        }
        return false
    }

    @inline(__always)
    private static func key(_ code: Int, _ fromService: Bool) -> Int { used | code << 1 | (fromService ? 1 : 0) }

    /// Counts a code that has no place in the row.
    func countMore(code: Int, fromService: Bool) {
        (more.load() ?? more.storeIfNil(CodeCells())).add(Self.key(code, fromService))
    }

    @inline(__always)
    static func count(ingress: Int, egress: Int, in slab: CellSlab, _ row: Int) {
        if ingress > 0 { slab.add(row, bandwidth + Self.ingress, ingress) }
        if egress > 0 { slab.add(row, bandwidth + Self.egress, egress) }
    }

    @inline(__always)
    static func observe(_ family: LatencyFamily, _ microseconds: Int, in slab: CellSlab, _ row: Int) {
        guard microseconds >= 0 else { return }
        slab.add(row, family.cell(family.bucket(microseconds)), 1)
        slab.add(row, family.sum, microseconds)
    }

    // MARK: The reader's side

    func bytes(_ direction: Int) -> Int { slab.load(row, Self.bandwidth + direction) }

    /// Calls `body` with status code, whether the service answered, and the count.
    func forEachCode(_ body: (Int, Bool, Int) -> Void) {
        func tell(_ key: Int, _ count: Int) { body((key & ~Self.used) >> 1, key & 1 == 1, count) }
        for i in 0..<Self.codeCount {
            let at = i == 0 ? Self.codes : Self.otherCodes + 2 * (i - 1)
            let key = slab.load(row, at)
            if key == 0 { return }
            tell(key, slab.load(row, at + 1))
        }
        more.load()?.forEach(tell)
    }

    /// Observations in a bucket of a family, not cumulated.
    func observed(_ family: LatencyFamily, bucket: Int) -> Int { slab.load(row, family.cell(bucket)) }

    /// Sum of a family in microseconds.
    func sum(_ family: LatencyFamily) -> Int { slab.load(row, family.sum) }
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
