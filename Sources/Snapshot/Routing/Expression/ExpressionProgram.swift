// The compiled form of expressions: flat instructions, one for each predicate.

public import Bytes

/// One predicate, and where evaluation goes on. Jumps only lead forward, so every program ends.
struct ExpressionInstruction {
    /// Index of the next instruction; `accept` or `reject`.
    var onTrue: Int32
    var onFalse: Int32
    var test: Test
    var field: Field
    var isLowered = false
    var isAny = false
    /// `segment`: the first and last one. `header`: its number. `query`: its name in the pool.
    var first: UInt32 = 0
    var last: UInt32 = 0
    /// The literal in the pool, or the number of a pattern or network in `offset`.
    var offset: UInt32 = 0
    var count: UInt32 = 0
    /// A literal number.
    var number = 0

    static let accept: Int32 = -1
    static let reject: Int32 = -2

    enum Test: UInt8 {
        case equal, notEqual, regex, prefix, suffix, contains
        case numberEqual, numberNotEqual, greater, greaterOrEqual, less, lessOrEqual
        case isIn, notIn, addressNotEqual
    }

    enum Field: UInt8 {
        case networkProtocol, serverName, method, host, path, segments, header, query
        case segmentCount, sourcePort, destinationPort
        case sourceAddress, destinationAddress
    }
}

/// One compiled expression.
struct ExpressionProgram {
    /// Into the instructions.
    var start: Int32
    var count: Int32
    /// Into the conjuncts.
    var conjuncts: Range32
    /// Some predicate looks at a header.
    var usesHeaders: Bool
    /// A match may leave captures or a prefix behind.
    var leavesTraces: Bool
}

/// One part of an expression that must hold by itself: instructions from `start` to the next conjunct.
struct ExpressionConjunct {
    var start: Int32
    var end: Int32
    /// Where it stands in the route's text; empty for a part that the route's other fields added.
    var textStart: UInt32
    var textEnd: UInt32
    var origin: ExpressionOrigin
}

/// Where a part of what a route demands comes from.
enum ExpressionOrigin: UInt8 {
    case expression, protocols, sources, destinations
}

/// What an expression is evaluated on: one request, or one connection or datagram. The views must outlive
/// the call.
public struct ExpressionValues {
    /// `http`, `https`, `tcp`, `tls` or `udp`.
    public var networkProtocol: Bytes
    /// In lower case, without a final dot; empty: there is none.
    public var serverName: Bytes
    /// nil: unknown, and every predicate on it is false.
    public var source: IPAddress?
    /// 0: unknown.
    public var sourcePort: Int
    public var destination: IPAddress?
    public var destinationPort: Int
    /// Empty for streams, as all that follow.
    var method = Bytes.empty
    /// In lower case, without port and final dot; empty: there is none.
    var host = Bytes.empty
    /// Canonical.
    var path = Bytes.empty
    /// Without its `?`.
    var query = Bytes.empty

    public init(
        networkProtocol: Bytes, serverName: Bytes = .empty, source: IPAddress? = nil, sourcePort: Int = 0,
        destination: IPAddress? = nil, destinationPort: Int = 0
    ) {
        self.networkProtocol = networkProtocol
        self.serverName = serverName
        self.source = source
        self.sourcePort = sourcePort
        self.destination = destination
        self.destinationPort = destinationPort
    }
}

/// The working memory of evaluation, and what a match left behind. One per worker, reused.
public final class ExpressionMemory {
    /// Made when the first pattern runs.
    private(set) lazy var matcher = PatternMatcher()
    /// A value in lower case.
    let lowered = Buffer(capacity: 256)
    /// A server name in lower case.
    private let serverName = Buffer(capacity: 64)
    /// A decoded query value.
    let decoded = Buffer(capacity: 256)
    /// Values of the headers that some expression looks at, as sent.
    var headers: [Header] = []
    /// Matches given up because a pattern took too many steps.
    var patternLimitHits = 0
    /// Expressions evaluated since the start.
    var evaluations = 0

    /// Bytes that the path begins with and that the expression matched; -1: none.
    var prefixCount = -1
    /// One for each predicate whose pattern matched, the latest last.
    var captures: [CaptureSet] = []
    /// Start and end of each group in its set's text; -1: took no part.
    var offsets: [Int32] = []
    /// The texts of captures.
    let captured = Buffer(capacity: 256)

    struct Header {
        var number: UInt32
        var value: Bytes
    }

    struct CaptureSet {
        var instruction: Int32
        var pattern: UInt32
        /// Into `offsets`.
        var first: Int32
        var groups: Int32
        /// In `captured`.
        var offset: Int32
        var count: Int32
    }

    public init() {}

    /// `name` in lower case: itself, or memory that the next call overwrites.
    func lowerCased(name: Bytes) -> Bytes {
        var at = 0
        while at < name.count, name[at] &- 0x41 >= 26 { at += 1 }
        if at == name.count { return name }
        serverName.clear()
        at = 0
        while at < name.count {
            serverName.append(ASCII.lower(name[at]))
            at += 1
        }
        return serverName.readable
    }

    /// Bytes that the largest of its buffers has room for.
    var capacity: Int { max(lowered.capacity, decoded.capacity, captured.capacity, matcher.capacity) }

    func forget() {
        prefixCount = -1
        captures.removeAll(keepingCapacity: true)
        offsets.removeAll(keepingCapacity: true)
        captured.clear()
    }

    /// Groups, the whole match included.
    var groupCount: Int { captures.reduce(0) { max($0, Int($1.groups)) } }

    /// The text of a group in the latest set where it took part.
    func capture(_ group: Int) -> Bytes? {
        var at = captures.count
        while at > 0 {
            at -= 1
            if let found = capture(group, in: captures[at]) { return found }
        }
        return nil
    }

    func capture(_ group: Int, in set: CaptureSet) -> Bytes? {
        guard group >= 0, group < Int(set.groups) else { return nil }
        let start = offsets[Int(set.first) + 2 * group]
        let end = offsets[Int(set.first) + 2 * group + 1]
        guard start >= 0, end >= start else { return nil }
        return captured.bytes(at: Int(set.offset), count: Int(set.count))[Int(start)..<Int(end)]
    }
}
