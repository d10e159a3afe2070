// What the router is asked, and what it answers.

public import Bytes

/// What the router reads of a request. The views must outlive the call.
public struct MatchRequest {
    /// As sent; case matters.
    public var method: Bytes
    /// The Host header (or `:authority`) as sent, port included; empty if there is none.
    public var host: Bytes
    /// The request target as sent, in origin form, query included.
    public var target: Bytes
    /// The TLS server name; empty if there is none. Only read with `isTLS`.
    public var serverName: Bytes
    /// The connection itself is TLS: server names are compared.
    public var isTLS: Bool
    /// The client's side is TLS, by a trusted X-Forwarded-Proto if there is one: decides 426.
    public var isSecure: Bool
    public var isHTTP2: Bool
    /// The port that the client connected to; a port in `host` goes first.
    public var port: Int
    /// The client's address, as a trusted peer tells it if there is one; nil: unknown. Only read where
    /// `RouteTable.wantsAddresses` says so, as all that follow.
    public var source: IPAddress?
    /// The client's port; 0: unknown, as it is when a trusted peer told the address.
    public var sourcePort: Int
    /// The address that the client connected to; nil: unknown.
    public var destination: IPAddress?

    public init(
        method: Bytes, host: Bytes, target: Bytes, serverName: Bytes = .empty, isTLS: Bool = false,
        isSecure: Bool? = nil, isHTTP2: Bool = false, port: Int = 0, source: IPAddress? = nil, sourcePort: Int = 0,
        destination: IPAddress? = nil
    ) {
        self.method = method
        self.host = host
        self.target = target
        self.serverName = serverName
        self.isTLS = isTLS
        self.isSecure = isSecure ?? isTLS
        self.isHTTP2 = isHTTP2
        self.port = port
        self.source = source
        self.sourcePort = sourcePort
        self.destination = destination
    }
}

/// The request's header fields, as the router reads them.
public protocol HeaderLookup {
    /// Number of fields; some may be absent.
    var fieldCount: Int { get }
    /// True if the field was removed and must not be seen.
    func isAbsent(_ index: Int) -> Bool
    func fieldName(_ index: Int) -> Bytes
    func fieldValue(_ index: Int) -> Bytes
}

/// No header fields.
public struct NoHeaders: HeaderLookup {
    public init() {}
    public var fieldCount: Int { 0 }
    public func isAbsent(_ index: Int) -> Bool { true }
    public func fieldName(_ index: Int) -> Bytes { .empty }
    public func fieldValue(_ index: Int) -> Bytes { .empty }
}

/// What becomes of a request, by its route alone.
public enum MatchOutcome: Equatable, Sendable {
    /// Goes on to `MatchResult.route`. A route without a service answers 503 after its filters.
    case matched
    /// 404: no route.
    case notFound
    /// 404: the path is not UTF-8.
    case badPath
    /// 426 `Please use HTTPS protocol`, or a redirect to https with this status.
    case httpsRequired(status: Int)
    /// 426 `Please use HTTP2 protocol`: gRPC over HTTP/1.
    case http2Required
    /// 415 `Non-gRPC request matched gRPC route`.
    case notGRPC
    /// 200 with grpc-status 1, `gRPC request matched gRPCs route`.
    case grpcsRequired
}

/// The router's answer and its working memory. One per worker, reused for every request.
public final class MatchResult {
    /// Index into the snapshot's routes; -1: none. Set for every outcome but `notFound`, `badPath`.
    public internal(set) var route = -1
    /// Bytes of `path` that the route's path matched; -1: the route has no paths, or its expression did
    /// not match what the path begins with.
    public internal(set) var prefixCount = -1
    /// The canonical path: a view of the request target, or of memory that the next match overwrites.
    public internal(set) var path = Bytes.empty
    /// Number of capture groups, the whole match (group 0) included; 0: no regular expression.
    public internal(set) var captureCount = 0
    /// Pattern that matched, for capture names; -1: none.
    public internal(set) var pattern = -1
    /// The winner's place in the table's order, 0 first; -1: none.
    public internal(set) var rank = -1
    /// Matches given up since the start because a pattern took too many steps.
    public internal(set) var patternLimitHits: Int {
        get { expressions.patternLimitHits }
        set { expressions.patternLimitHits = newValue }
    }

    /// Expressions evaluated since the start: how much the index leaves to be tried.
    public var expressionsTried: Int { expressions.evaluations }

    let pathBuffer = Buffer(capacity: 4096)
    let hostBuffer = Buffer(capacity: 256)
    /// Start and end of each group in `path`; -1: took no part.
    var captures = [Int32](repeating: -1, count: 2 * PatternMatcher.groupLimit)
    /// The route's expression left its captures in `expressions`.
    var isByExpression = false
    let expressions = ExpressionMemory()
    var matcher: PatternMatcher { expressions.matcher }
    /// Cells that the host and path lead to, best first.
    var candidates: [Candidate] = []
    /// Lower-cased values of the headers that some route looks at.
    let headerBuffer = Buffer(capacity: 1024)
    var headers: [NotedHeader] = []

    struct Candidate {
        var cell: Int32
        var bestRank: UInt32
    }

    struct NotedHeader {
        var name: UInt32
        var offset: Int32
        var count: Int32
    }

    public init() {
        candidates.reserveCapacity(64)
        headers.reserveCapacity(32)
    }

    /// Bytes that the largest of its buffers has room for.
    public var capacity: Int {
        max(pathBuffer.capacity, hostBuffer.capacity, headerBuffer.capacity, expressions.capacity)
    }

    /// The text of a capture group; nil if it took no part in the match.
    public func capture(_ group: Int) -> Bytes? {
        if isByExpression { return expressions.capture(group) }
        guard group >= 0, group < captureCount, captures[2 * group] >= 0 else { return nil }
        return path[Int(captures[2 * group])..<Int(captures[2 * group + 1])]
    }
}
