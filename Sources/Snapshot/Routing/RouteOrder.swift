// Kong's order of routes (flavour traditional_compatible): which of several matches answers.

internal import Bytes

/// A route, or a part of one: Kong splits a route whose paths differ in kind or length, and ranks
/// the parts on their own.
public struct RoutePart: Sendable {
    /// Index into the routes.
    public var route: Int
    /// Indices into the route's paths, in their order: all regular expressions, or all prefixes of
    /// one length; empty if the route has no paths.
    public var paths: [Int]
    public var priority: RoutePriority
    /// The route's id, or one made from it for each part of a split route. Breaks ties.
    public var id: ID

    /// True if `self` is asked before `other`: higher priority, then the larger id.
    public func precedes(_ other: RoutePart) -> Bool {
        priority != other.priority ? priority > other.priority : id > other.id
    }

    /// All parts of all routes, first asked first: a part's place is its rank in a `RouteTable`.
    public static func ordered(_ routes: [Route]) -> [RoutePart] {
        var parts: [RoutePart] = []
        parts.reserveCapacity(routes.count)
        for (index, route) in routes.enumerated() {
            parts.append(contentsOf: RoutePart.parts(of: route, at: index))
        }
        parts.sort { $0.precedes($1) }
        return parts
    }

    /// The parts of `route`, which is number `index`; none for a stream route.
    public static func parts(of route: Route, at index: Int) -> [RoutePart] {
        guard !route.protocols.isDisjoint(with: .anyHTTP) else { return [] }
        if !route.expression.isEmpty {
            let priority = RoutePriority(expression: route.priority)
            return [RoutePart(route: index, paths: [], priority: priority, id: route.id)]
        }
        let keys = route.paths.map { isRegex($0) ? 0 : $0.utf8.count }
        if keys.allSatisfy({ $0 == keys[0] }) {
            let priority = RoutePriority(of: route, path: route.paths.first)
            return [RoutePart(route: index, paths: Array(keys.indices), priority: priority, id: route.id)]
        }
        var order: [Int] = []
        var groups: [Int: [Int]] = [:]
        for (position, key) in keys.enumerated() {
            if groups[key] == nil { order.append(key) }
            groups[key, default: []].append(position)
        }
        var parts: [RoutePart] = []
        for (number, key) in order.enumerated() {
            guard let paths = groups[key] else { continue }
            parts.append(
                RoutePart(
                    route: index, paths: paths,
                    priority: RoutePriority(of: route, path: route.paths[paths[0]]),
                    id: partID(of: route.id, number: number + 1)))
        }
        return parts
    }

    /// True for a path that is a regular expression.
    public static func isRegex(_ path: String) -> Bool { path.utf8.first == 0x7E }

    /// The id of part `number` (from 1) of a split route, as Kong makes it.
    static func partID(of id: ID, number: Int) -> ID {
        Array("\(id)#\(number)".utf8).withBytes { ID(namespace: partNamespace, name: $0) }
    }

    private static let partNamespace = ID(high: 0x7f14_5bf9_0dce_4f91, low: 0x98eb_debb_ce4b_9f6b)
}

/// Kong's priority, compared as a number; larger goes first. All ones in the upper eight bits is a route
/// with an expression, and the rest is its priority. Any other route:
///
///     63-61  kinds of matcher present
///     60     hosts are given and none is a wildcard
///     59-52  number of header names, at most 255
///     51     the paths are regular expressions
///     50-19  regex_priority, if they are
///     18-0   length of the prefix, if they are not
///
/// Kong shifts a negative regex_priority into the upper bits, which makes it win over everything;
/// here the field is biased, so that a negative one ranks below 0.
public struct RoutePriority: Comparable, Hashable, Sendable {
    public var bits: UInt64

    static let regexBias = 1 << 30
    /// The largest priority of an expression.
    public static let expressionLimit = (1 << 46) - 1

    public init(of route: Route, path: String?) {
        let kinds = RoutePriority.kinds(of: route)
        let plainHosts = !route.hosts.isEmpty && !route.hosts.contains { $0.utf8.contains(0x2A) }
        var bits = UInt64(min(kinds, 7)) << 61
        if plainHosts { bits |= 1 << 60 }
        bits |= UInt64(min(route.headers.count, 255)) << 52
        if let path {
            if RoutePart.isRegex(path) {
                let biased = min(max(route.regexPriority, -Self.regexBias), 0xFFFF_FFFF - Self.regexBias)
                bits |= 1 << 51 | UInt64(biased + Self.regexBias) << 19
            } else {
                bits |= UInt64(path.utf8.count & 0x7FFFF)
            }
        }
        self.bits = bits
    }

    /// Of a route with an expression: before all others.
    public init(expression priority: Int) {
        bits = 0xFF << 56 | UInt64(min(max(0, priority), Self.expressionLimit))
    }

    /// How many kinds of matcher the route has.
    public static func kinds(of route: Route) -> Int {
        let present = [
            !route.methods.isEmpty, !route.hosts.isEmpty, !route.headers.isEmpty, !route.paths.isEmpty,
            !route.serverNames.isEmpty, !route.sources.isEmpty, !route.destinations.isEmpty,
        ]
        return present.count { $0 }
    }

    public static func < (a: RoutePriority, b: RoutePriority) -> Bool { a.bits < b.bits }
}
