// Kong's order of stream routes: which of several matches answers.

internal import Bytes

/// The priority of a stream route, compared as a number; larger goes first.
///
///     63-56 all ones: an expression, and the rest is its priority; any other route:
///     61    server names are given, or both sources and destinations
///     7-4   sources:      8 some exact address, 4 some port, 1 some range of addresses
///     3-0   destinations: likewise
///
/// So sources with destinations go before server names alone, and those before one side alone.
public struct StreamPriority: Comparable, Hashable, Sendable {
    public var bits: UInt64

    public init(of route: Route) {
        guard route.expression.isEmpty else {
            bits = RoutePriority(expression: route.priority).bits
            return
        }
        var bits = UInt64(Self.kinds(of: route.sources)) << 4 | UInt64(Self.kinds(of: route.destinations))
        if !route.serverNames.isEmpty || !route.sources.isEmpty && !route.destinations.isEmpty { bits |= 1 << 61 }
        self.bits = bits
    }

    /// What occurs in a list of addresses: 8 an exact address, 4 a port, 1 a range.
    public static func kinds(of rules: [AddressRule]) -> Int {
        var kinds = 0
        for rule in rules {
            if !rule.address.isEmpty { kinds |= rule.address.utf8.contains(0x2F) ? 1 : 8 }
            if rule.port > 0 { kinds |= 4 }
        }
        return kinds
    }

    public static func < (a: StreamPriority, b: StreamPriority) -> Bool { a.bits < b.bits }

    /// The indices of the stream routes, first asked first: by priority, then the larger id.
    public static func ordered(_ routes: [Route]) -> [Int] {
        let keys = routes.map { StreamPriority(of: $0) }
        return routes.indices.filter { !routes[$0].protocols.isDisjoint(with: .anyStream) }
            .sorted { keys[$0] != keys[$1] ? keys[$0] > keys[$1] : routes[$0].id > routes[$1].id }
    }
}
