// Finds the route that answers a request, among any number of routes, in constant time.

public import Bytes

/// Why routes cannot be made into a table.
public enum RouteTableError: Error, Equatable, Sendable {
    /// A regular expression of `routes[route]` does not compile.
    case pattern(route: Int, text: String, PatternError)
    /// A source or destination of `routes[route]` is no address, range of addresses, or port.
    case address(route: Int, text: String)
    /// The expression of `routes[route]` cannot be read.
    case expression(route: Int, ExpressionError)
    /// More routes, or more text in them, than the table's 32-bit indices can hold.
    case tooLarge
}

/// The routes of a snapshot, indexed. Immutable, shared by all workers and by Explain.
///
/// A look-up, step by step:
///
/// 1. the path is brought to its canonical form, the host is split and lower-cased;
/// 2. the host leads to groups: its exact name, each wildcard it falls under, and "any host";
/// 3. in each group, each prefix of the path that some route has (or that a regular expression
///    starts with) leads to a cell: the routes with that host and that prefix, in Kong's order;
/// 4. cells are tried in the order of their best route, until no later one can hold a better;
/// 5. in a cell, a route is checked for what host and prefix did not decide: methods, headers,
///    server names, the regular expression. A large cell has buckets by what tells its routes apart.
///
/// A route with an expression stands where the hosts, prefixes and other values lead that it cannot match
/// without (`ExpressionHints`), or in the cell of any host and path; there all of it is evaluated.
///
/// Everything is flat arrays and hash tables of numbers; a look-up allocates nothing.
public final class RouteTable: @unchecked Sendable {  // `pool` and `patterns` are written by init only.
    let pool: Buffer
    let seed: UInt64
    let facts: [RouteFacts]
    let rules: [Rule]
    let paths: [PathRecord]
    let entries: [Entry]
    let hostIndex: TextIndex
    let groups: [Range32]
    let lengths: [UInt32]
    let cellIndex: TextIndex
    let cells: [Cell]
    let bucketIndex: TextIndex
    let buckets: [Range32]
    let dimensions: [Dimension]
    let methodIndex: TextIndex
    let ruleMethods: [UInt32]
    let ruleHosts: [UInt32]
    let serverNames: [NamePattern]
    let headerIndex: TextIndex
    let headerConditions: [HeaderCondition]
    let headerValues: [HeaderValue]
    let patterns: PatternStore
    let expressions: CompiledExpressions
    let traits: Traits

    /// - Parameters:
    ///   - routes: a snapshot's routes; those that speak only stream protocols are left out.
    ///   - flavour: what else is a condition of routes without an expression.
    ///   - seed: keys the hash tables; strangers must not know it.
    public init(
        routes: [Route], flavour: RouterFlavour = .traditionalCompatible,
        seed: UInt64 = UInt64.random(in: .min ... .max)
    ) throws(RouteTableError) {
        var builder = RouteTableBuilder(routes: routes, flavour: flavour, seed: seed)
        try builder.build(routes)
        pool = builder.pool
        self.seed = seed
        facts = builder.facts
        rules = builder.rules
        paths = builder.paths
        entries = builder.entries
        hostIndex = builder.hostIndex
        groups = builder.groups
        lengths = builder.lengths
        cellIndex = builder.cellIndex
        cells = builder.cells
        bucketIndex = builder.bucketIndex
        buckets = builder.buckets
        dimensions = builder.dimensions
        methodIndex = builder.methodIndex
        ruleMethods = builder.ruleMethods
        ruleHosts = builder.ruleHosts
        serverNames = builder.serverNames
        headerIndex = builder.headerIndex
        headerConditions = builder.headerConditions
        headerValues = builder.headerValues
        patterns = builder.patterns
        expressions = builder.expressions
        traits = builder.traits
    }

    /// Finds the route for `request` and says what becomes of it.
    @inlinable
    public func match<H: HeaderLookup>(
        _ request: MatchRequest, headers: borrowing H, into result: MatchResult
    ) -> MatchOutcome {
        var probe = Probe()
        guard prepare(request, &probe, result) else { return .badPath }
        if probe.wantsHeaders {
            var i = 0
            while i < headers.fieldCount {
                if !headers.isAbsent(i) { note(headers.fieldName(i), headers.fieldValue(i), result) }
                i += 1
            }
        }
        guard search(probe, result) else { return .notFound }
        guard isRestricted(result.route, isSecure: request.isSecure) else { return .matched }
        var isGRPC = false
        var i = 0
        while i < headers.fieldCount {
            if !headers.isAbsent(i), headers.fieldName(i).equalsIgnoringCase("content-type") {
                isGRPC = headers.fieldValue(i).starts(with: Bytes("application/grpc"))
                break
            }
            i += 1
        }
        return restriction(result.route, isSecure: request.isSecure, isHTTP2: request.isHTTP2, isGRPC: isGRPC)
    }

    /// Some route looks at the addresses of a request.
    public var wantsAddresses: Bool { traits.wantsAddresses }

    /// The winner's named captures, for explanations: of each pattern by name.
    public func namedCaptures(of result: MatchResult) -> [(name: String, value: Bytes)] {
        guard result.isByExpression else {
            return (result.pattern < 0 ? [] : patterns.names(result.pattern)).compactMap { name, group in
                result.capture(group).map { (name, $0) }
            }
        }
        return expressions.namedCaptures(result.expressions)
    }

    /// The text of a named capture group of the last match; nil if there is none.
    public func capture(named name: Bytes, of result: MatchResult) -> Bytes? {
        if result.isByExpression { return expressions.capture(named: name, result.expressions) }
        guard result.pattern >= 0 else { return nil }
        let group = patterns.group(result.pattern, named: name)
        return group < 0 ? nil : result.capture(group)
    }

    // MARK: After the route is known

    @usableFromInline
    func isRestricted(_ route: Int, isSecure: Bool) -> Bool {
        let protocols = Protocols(rawValue: Int(facts[route].protocols))
        if !protocols.isDisjoint(with: [.grpc, .grpcs]) { return true }
        return !isSecure && !protocols.contains(.http)
    }

    /// What a route's `protocols` do to a request that it matched: they are no matcher in Kong.
    @usableFromInline
    func restriction(_ route: Int, isSecure: Bool, isHTTP2: Bool, isGRPC: Bool) -> MatchOutcome {
        let protocols = Protocols(rawValue: Int(facts[route].protocols))
        if protocols.contains(.https), !protocols.contains(.http), !isSecure {
            return .httpsRequired(status: Int(facts[route].redirectStatus))
        }
        guard !protocols.isDisjoint(with: [.grpc, .grpcs]) else { return .matched }
        guard isGRPC else { return .notGRPC }
        guard isHTTP2 else { return .http2Required }
        if !protocols.contains(.grpc), !isSecure { return .grpcsRequired }
        return .matched
    }
}

/// What the answer to a match depends on besides its route's matchers.
struct RouteFacts {
    var protocols: UInt16
    var redirectStatus: UInt16
}

struct Range32 {
    var start: UInt32 = 0
    var count: UInt32 = 0
    @inline(__always) var range: Range<Int> { Int(start)..<Int(start) + Int(count) }
}

/// One internal route, by rank: 0 is asked first.
struct Rule {
    var route: UInt32
    /// Into `RouteTable.paths`.
    var paths = Range32()
    /// Into `ruleMethods`: numbers of `methodIndex`.
    var methods = Range32()
    /// Into `ruleHosts`: numbers of `hostIndex`.
    var hosts = Range32()
    /// Into `headerConditions`; all must hold.
    var headers = Range32()
    /// Into `serverNames`; one must match.
    var serverNames = Range32()
    /// In `expressions`: what else must hold; -1: nothing.
    var program: Int32 = -1
    /// The program is all there is to the rule. Its hosts and paths only say where it stands in the index.
    var isExpression = false
}

/// One path of a rule.
struct PathRecord {
    var offset: UInt32
    var count: UInt32
    /// Into `patterns`; -1: a plain prefix.
    var pattern: Int32
}

/// A rule in a cell, by the path that put it there. Smaller keys are asked first.
struct Entry {
    var rank: UInt32
    /// Index into `paths` plus one; 0: none. The upper bits are flags.
    var path: UInt32

    static let checkHost: UInt32 = 1 << 31
    static let checkPath: UInt32 = 1 << 30
    static let pathMask: UInt32 = (1 << 30) - 1

    @inline(__always) var key: UInt64 { UInt64(rank) << 32 | UInt64(path & Entry.pathMask) }
}

/// The rules that share a host pattern and a prefix, in order.
struct Cell {
    /// Into `entries`. In a large cell: those that no bucket holds.
    var list = Range32()
    /// Into `dimensions`.
    var dimensions = Range32()
    /// Into `entries`: those in buckets by server name, for requests without TLS.
    var ignoringServerNames = Range32()
    var bestRank = UInt32.max
    /// Some rule here looks at headers.
    var wantsHeaders = false
    /// Some bucket here is by header value.
    var hasHeaderBuckets = false
}

/// What the buckets of a cell are found by.
struct Dimension {
    enum Kind: UInt8 { case method = 1, header, serverName, serverNameSuffix, serverNamePrefix, segment }
    var kind: Kind
    /// `segment`: which one, from 0.
    var parameter: UInt32
    var bestRank: UInt32

    static let parameterLimit: UInt32 = 1 << 28

    /// The context of a bucket's key.
    @inline(__always)
    static func context(_ cell: Int, _ kind: Kind, _ parameter: Int) -> UInt64 {
        UInt64(cell) << 32 | UInt64(kind.rawValue) << 28 | UInt64(parameter)
    }
}

/// How a host or server name is compared.
enum NameKind: UInt8 {
    /// No condition.
    case any = 0
    case exact, suffix, prefix
}

struct NamePattern {
    var kind: NameKind
    var offset: UInt32
    var count: UInt32
}

struct HeaderCondition {
    /// Number in `headerIndex`.
    var name: UInt32
    var values: Range32
}

struct HeaderValue {
    var offset: UInt32
    var count: UInt32
    /// Into `patterns`; -1: the exact text.
    var pattern: Int32
}

/// What occurs in a table at all, so that a look-up can leave steps out.
struct Traits {
    var hasPorts = false
    /// Lengths of the shortest and longest wildcard texts; nothing if empty.
    var suffixes = LengthRange()
    var prefixes = LengthRange()
    /// Bit n: some header name has n bytes (63: or more).
    var headerNameLengths: UInt64 = 0
    /// Number of the "any host" group; -1: no route is without hosts.
    var anyHostGroup = -1
    /// Some rule has a program.
    var hasPrograms = false
    /// Some program looks at headers.
    var hasProgramHeaders = false
    /// Some program looks at the client's address or port, or at the address it connected to.
    var wantsAddresses = false
}

struct LengthRange {
    var least = Int.max
    var most = -1
    var isEmpty: Bool { most < 0 }
    mutating func add(_ length: Int) {
        least = min(least, length)
        most = max(most, length)
    }
}
