// What one worker counts.

public import Bytes
internal import Synchronization

/// The metric families that a prometheus filter's configuration switches on; all off by default,
/// as in Kong. Families of the configuration that applies to a request decide what it counts.
public struct MetricFamilies: OptionSet, Sendable, Hashable {
    public let rawValue: UInt8
    public init(rawValue: UInt8) { self.rawValue = rawValue }

    public static let statusCodes = MetricFamilies(rawValue: 1)
    public static let latency = MetricFamilies(rawValue: 2)
    public static let bandwidth = MetricFamilies(rawValue: 4)
    /// Requests and bandwidth also by consumer.
    public static let perConsumer = MetricFamilies(rawValue: 8)
    /// Exported when any configuration has it; `Exposition` takes the targets.
    public static let upstreamHealth = MetricFamilies(rawValue: 16)
}

/// Counters of a worker as a whole, by the names under which they are exported.
public enum WorkerCounter: Int, CaseIterable, Sendable {
    /// Connections accepted, and closed again; their difference is active.
    case accepted, closed
    /// Connections refused at a limit before a byte was read.
    case refused
    /// Gauges: add 1 and -1. Reading a request's head; answering (proxying included). The active
    /// rest is waiting.
    case reading, writing
    /// Requests whose head was read, whatever became of them.
    case requests
    /// Requests that matched no route.
    case unmatched
    /// Attempts after the first, and upstream connections opened and reused.
    case retries, upstreamOpened, upstreamReused
    /// Requests that ended in an error of our own because no attempt succeeded; TLS handshakes of
    /// clients that failed.
    case upstreamFailures, tlsHandshakeFailures
    /// Snapshots put in effect.
    case snapshots
    /// Look-ups of routes or consumers that found the table full and shared the overflow series.
    case seriesOverflow
    /// Stream sessions begun and ended; their difference is active.
    case streamSessions, streamEnded
    /// Datagrams lost on their way through: no room in a socket, or too long for the way.
    case datagramsLost
    /// Requests that were answered with 500 or above.
    case serverErrors
}

/// Why a connection was refused before its first request, or a stream session ended without reaching an
/// upstream. The names are those of the metric's label, and rows of docs/rejections.md.
public enum ConnectionRefusal: Int, CaseIterable, Sendable {
    case tooManySessions, untrustedPeer, badProxyHeader, badClientHello, tlsHandshake, setupTimeout, noRoute
    case notAdmitted, upstreamFailed

    public var name: StaticString {
        switch self {
        case .tooManySessions: "too_many_sessions"
        case .untrustedPeer: "untrusted_peer"
        case .badProxyHeader: "bad_proxy_header"
        case .badClientHello: "bad_client_hello"
        case .tlsHandshake: "tls_handshake"
        case .setupTimeout: "setup_timeout"
        case .noRoute: "no_route"
        case .notAdmitted: "not_admitted"
        case .upstreamFailed: "upstream_failed"
        }
    }
}

/// One finished request, for the counters.
public struct RequestSample: Sendable {
    public var status = 0
    /// The service answered; otherwise the proxy did.
    public var isFromService = false
    public var requestBytes = 0
    public var responseBytes = 0
    /// Microseconds; -1: not proxied, or not known.
    public var kongMicroseconds = 0
    public var upstreamMicroseconds = -1
    public var requestMicroseconds = 0

    public init() {}
}

/// The counters of one worker. Its thread adds, without locks; the status thread reads any time.
///
/// A worker's use: `let slot = slots.slot(route, metrics) { (serviceName, routeName) }` on a route's
/// first request under a snapshot, then once per finished request
///
///     metrics.record(slot, families, sample, consumer: name)
///
/// Series are kept by label, not by index, so a new snapshot goes on counting where the old one was.
public final class WorkerMetrics: @unchecked Sendable {
    /// A route's place among this worker's series.
    public struct Slot: Sendable, Hashable {
        let index: Int32
        static let none = Slot(index: -1)
    }

    /// Most series (routes, and pairs of route and consumer) a worker keeps; further ones share one.
    public static let seriesMax = 131_072

    /// Rows of series in one piece of memory.
    private static let slabShift = 8
    private static let slabRows = 1 << slabShift
    private var slabs: [CellSlab] = []

    private let counters = Cells(WorkerCounter.allCases.count)
    /// Names of the reasons for which requests are rejected; `reject` takes an index.
    let reasons: [String]
    private let rejections: Cells
    private let refusals = Cells(ConnectionRefusal.allCases.count)
    private let latencies = Cells(RequestLatency.bounds.count + 1)
    private let limit: Int

    /// Oldest series; what readers start from. Declared before `series`: destroyed first, so that
    /// the chain comes apart link by link and not by recursion.
    private let oldest = AtomicLazyReference<RouteSeries>()

    // The worker's own: where a series is, by its labels.
    private var series: [RouteSeries] = []
    private var places: [UInt64: Int32] = [:]

    /// - Parameters:
    ///   - reasons: names of reasons for rejecting a request (`snake_case`), the same for all workers.
    ///   - seriesMax: limit of the series table, at least 1.
    public init(reasons: [String] = [], seriesMax: Int = WorkerMetrics.seriesMax) {
        self.reasons = reasons
        rejections = Cells(max(1, reasons.count))
        limit = max(1, seriesMax)
    }

    /// Adds to a counter or a gauge.
    @inline(__always)
    public func count(_ counter: WorkerCounter, _ value: Int = 1) { counters.add(counter.rawValue, value) }

    /// Counts how a request ended and how long it took, whatever filters it ran through.
    @inline(__always)
    public func finished(status: Int, microseconds: Int) {
        if status >= 500 { count(.serverErrors) }
        latencies.add(RequestLatency.bucket(microseconds), 1)
    }

    /// Counts a rejected request by the index of its reason.
    public func reject(_ reason: Int) {
        if reasons.indices.contains(reason) { rejections.add(reason, 1) }
    }

    /// Counts a connection or a session that was refused.
    public func refuse(_ reason: ConnectionRefusal) { refusals.add(reason.rawValue, 1) }

    /// The place of a route's series, made when it is new. `service` and `route` are the names that
    /// labels show: name, or host respectively id where there is none. `isStream`: the route is one of
    /// connections or datagrams.
    public func slot(service: Bytes, route: Bytes, isStream: Bool = false) -> Slot {
        Slot(index: place(Self.labels(service: service, route: route), .empty, isStream: isStream))
    }

    /// Counts a finished request.
    ///
    /// - Parameters:
    ///   - families: of the prometheus configuration that applies; empty: nothing is counted.
    ///   - consumer: username (or custom id) of the consumer; used with `perConsumer` only.
    @inline(__always)
    public func record(_ slot: Slot, _ families: MetricFamilies, _ sample: RequestSample, consumer: Bytes = .empty) {
        if families.isEmpty { return }
        recordFamilies(slot, families, sample, consumer)
    }

    private func recordFamilies(_ slot: Slot, _ families: MetricFamilies, _ sample: RequestSample, _ consumer: Bytes) {
        let index = Int(slot.index)
        guard index >= 0, index < series.count else { return }
        let slab = slabs[index >> Self.slabShift]
        let row = index & (Self.slabRows - 1)
        if families.contains(.latency) {
            RouteSeries.observe(.kong, sample.kongMicroseconds, in: slab, row)
            RouteSeries.observe(.upstream, sample.upstreamMicroseconds, in: slab, row)
            RouteSeries.observe(.request, sample.requestMicroseconds, in: slab, row)
        }
        if families.contains(.perConsumer), !consumer.isEmpty {
            let own = Int(place(series[index].routeLabels, consumer))
            count(families, sample, own, slabs[own >> Self.slabShift], own & (Self.slabRows - 1))
        } else {
            count(families, sample, index, slab, row)
        }
    }

    @inline(__always)
    private func count(_ families: MetricFamilies, _ sample: RequestSample, _ index: Int, _ slab: CellSlab, _ row: Int)
    {
        if families.contains(.statusCodes) {
            let code = sample.status & 0x3FF
            if !RouteSeries.count(code: code, fromService: sample.isFromService, in: slab, row) {
                series[index].countMore(code: code, fromService: sample.isFromService)
            }
        }
        if families.contains(.bandwidth) {
            RouteSeries.count(ingress: sample.requestBytes, egress: sample.responseBytes, in: slab, row)
        }
    }

    // MARK: The table of series

    /// The series of these labels; made when it is new. Names come from the configuration, not from
    /// clients, so that the hash needs no key.
    private func place(_ labels: [UInt8], _ consumer: Bytes, isStream: Bool = false) -> Int32 {
        var hash = labels.withBytes { consumer.hash64(seed: $0.hash64()) }
        while let at = places[hash] {
            let found = series[Int(at)]
            if found.isStream == isStream, found.routeLabels == labels, found.consumer.withBytes({ $0 == consumer }) {
                return at
            }
            hash &+= 1
        }
        // The last place is for all that do not fit.
        if series.count >= limit - 1 {
            count(.seriesOverflow)
            if series.count < limit {
                push(Array("service=\"seaway_overflow\",route=\"seaway_overflow\"".utf8), .empty)
            }
            return Int32(series.count - 1)
        }
        push(labels, consumer, isStream: isStream)
        places[hash] = Int32(series.count - 1)
        return Int32(series.count - 1)
    }

    private func push(_ labels: [UInt8], _ consumer: Bytes, isStream: Bool = false) {
        let index = series.count
        if index & (Self.slabRows - 1) == 0 { slabs.append(CellSlab(rows: Self.slabRows, width: RouteSeries.width)) }
        let made = RouteSeries(
            routeLabels: labels, consumer: consumer.array, isStream: isStream, slab: slabs[index >> Self.slabShift],
            row: index & (Self.slabRows - 1))
        if let last = series.last { _ = last.next.storeIfNil(made) } else { _ = oldest.storeIfNil(made) }
        series.append(made)
    }

    private static func labels(service: Bytes, route: Bytes) -> [UInt8] {
        Array("service=\"".utf8) + escaped(service) + Array("\",route=\"".utf8) + escaped(route) + [0x22]
    }

    /// A label's value in the text format: backslash, quote and LF are escaped.
    static func escaped(_ text: Bytes) -> [UInt8] {
        var out: [UInt8] = []
        out.reserveCapacity(text.count)
        for byte in text.array {
            switch byte {
            case 0x5C: out += [0x5C, 0x5C]
            case 0x22: out += [0x5C, 0x22]
            case 0x0A: out += [0x5C, 0x6E]
            default: out.append(byte)
            }
        }
        return out
    }

    // MARK: The reader's side

    /// A counter's value now.
    public func value(_ counter: WorkerCounter) -> Int { counters.load(counter.rawValue) }

    /// Requests of a bucket of `RequestLatency`, not cumulated.
    func latency(_ bucket: Int) -> Int { latencies.load(bucket) }

    func refused(_ reason: ConnectionRefusal) -> Int { refusals.load(reason.rawValue) }

    func rejected(_ reason: Int) -> Int { rejections.load(reason) }

    /// All series there are at this moment.
    func allSeries() -> [RouteSeries] {
        var found: [RouteSeries] = []
        var at = oldest.load()
        while let one = at {
            found.append(one)
            at = one.next.load()
        }
        return found
    }
}

/// The slots of one snapshot's routes on one worker, found on each route's first request.
public struct RouteSlots {
    private var places: [Int32]

    /// - Parameter count: number of routes in the snapshot. Four bytes each.
    public init(count: Int) { places = [Int32](repeating: -1, count: max(0, count)) }

    /// The slot of a route. `names` gives the service's and the route's label, and is called once per route.
    @inline(__always)
    public mutating func slot(
        _ route: Int, _ metrics: WorkerMetrics, isStream: Bool = false, names: () -> (service: String, route: String)
    ) -> WorkerMetrics.Slot {
        guard places.indices.contains(route) else { return .none }
        let known = places[route]
        if known >= 0 { return WorkerMetrics.Slot(index: known) }
        let names = names()
        let slot = names.service.withBytes { service in
            names.route.withBytes { metrics.slot(service: service, route: $0, isStream: isStream) }
        }
        places[route] = slot.index
        return slot
    }
}
