// Stream routes that can never answer, because another takes everything they match.

internal import Bytes
public import Snapshot

/// Finds stream routes that can never win. Certain about what it reports; it does not report all there are.
///
/// Whoever takes everything that a route matches also takes one connection made up for it, and goes before
/// it: so the table is asked for that one, and only its answer is looked at closely.
public enum StreamShadow {
    public static func find(in routes: [Route]) throws(RouteTableError) -> [ShadowedRoute] {
        let table = try StreamTable(routes: routes)
        return StreamPriority.ordered(routes).compactMap { hidden($0, routes, table) }.sorted { $0.route < $1.route }
    }

    /// A route is hidden when it is for each of its protocols.
    private static func hidden(_ index: Int, _ routes: [Route], _ table: StreamTable) -> ShadowedRoute? {
        let route = routes[index]
        guard route.expression.isEmpty else { return nil }
        var by: Int?
        for one in [Protocols.tcp, .tls, .udp, .tlsPassthrough] where route.protocols.contains(one) {
            let winner = ask(route, one, table)
            guard winner >= 0, winner != index, covers(routes[winner], route, one) else { return nil }
            by = by ?? winner
        }
        return by.map { ShadowedRoute(route: index, by: $0, reason: StreamReason.order(route, behind: routes[$0])) }
    }

    /// The route that takes a connection made up from the first of each of the route's conditions.
    private static func ask(_ route: Route, _ one: Protocols, _ table: StreamTable) -> Int {
        let source = place(route.sources)
        let destination = place(route.destinations)
        let label = "seaway-made-up"
        var name = route.serverNames.first ?? ""
        if name.hasPrefix("*") { name = label + name.dropFirst() }
        if name.hasSuffix("*") { name = name.dropLast() + label }
        return name.withBytes { bytes in
            table.match(
                StreamQuestion(
                    transport: one == .udp ? .udp : one == .tls ? .tls : .tcp, source: source.0, sourcePort: source.1,
                    destination: destination.0, destinationPort: destination.1, serverName: bytes,
                    isPassthrough: one == .tlsPassthrough))
        }
    }

    private static func place(_ rules: [AddressRule]) -> (IPAddress, UInt16) {
        let rule = rules.first ?? AddressRule()
        return (IPPrefix(rule.address)?.address ?? IPAddress(v4: 0), UInt16(clamping: rule.port))
    }

    /// Whether `wide` matches whatever `narrow` does, among streams of one protocol.
    private static func covers(_ wide: Route, _ narrow: Route, _ one: Protocols) -> Bool {
        guard wide.protocols.contains(one), wide.expression.isEmpty else { return false }
        return covers(wide.sources, narrow.sources) && covers(wide.destinations, narrow.destinations)
            && (one.isDisjoint(with: [.tls, .tlsPassthrough]) || covers(wide.serverNames, narrow.serverNames))
    }

    private static func covers(_ wide: [AddressRule], _ narrow: [AddressRule]) -> Bool {
        wide.isEmpty || !narrow.isEmpty && narrow.allSatisfy { rule in wide.contains { covers($0, rule) } }
    }

    private static func covers(_ wide: AddressRule, _ narrow: AddressRule) -> Bool {
        guard wide.port == 0 || wide.port == narrow.port else { return false }
        guard !wide.address.isEmpty else { return true }
        guard let outer = IPPrefix(wide.address), let inner = IPPrefix(narrow.address) else { return false }
        return outer.length <= inner.length && outer.contains(inner.address)
    }

    private static func covers(_ wide: [String], _ narrow: [String]) -> Bool {
        wide.isEmpty || !narrow.isEmpty && narrow.allSatisfy { name in wide.contains { covers($0, name) } }
    }

    private static func covers(_ wide: String, _ narrow: String) -> Bool {
        let (wide, narrow) = (canonical(wide), canonical(narrow))
        if wide == narrow { return true }
        if wide.hasPrefix("*") { return !narrow.hasSuffix("*") && narrow.hasSuffix(wide.dropFirst()) }
        return wide.hasSuffix("*") && !narrow.hasPrefix("*") && narrow.hasPrefix(wide.dropLast())
    }

    private static func canonical(_ name: String) -> String {
        let lowered = name.lowercased()
        return lowered.hasSuffix(".") ? String(lowered.dropLast()) : lowered
    }
}
