// The sentences that say why a stream route did not take a connection.

internal import Snapshot

enum StreamReason {
    /// Which part of the priority decided, the most significant first.
    static func order(_ loser: Route, behind winner: Route) -> String {
        if let reason = Reason.expressionOrder(loser, behind: winner) { return reason }
        let strong = 1 << 61 as UInt64
        let (mine, other) = (StreamPriority(of: loser).bits, StreamPriority(of: winner).bits)
        if mine & strong != other & strong {
            return "it has no snis and only one of sources and destinations; \(RouteExplainer.label(winner)) has more"
        }
        for (name, rules, others) in [
            ("sources", loser.sources, winner.sources), ("destinations", loser.destinations, winner.destinations),
        ] {
            let (rank, otherRank) = (StreamPriority.kinds(of: rules), StreamPriority.kinds(of: others))
            if rank != otherRank { return "\(name) rank lower (\(words(rank)) < \(words(otherRank)))" }
        }
        return "same priority, and its id \(loser.id) is smaller than \(winner.id)"
    }

    /// What a list of addresses is ranked by: an address over a port over a range.
    private static func words(_ kinds: Int) -> String {
        let present = [(8, "address"), (4, "port"), (1, "range")].filter { kinds & $0.0 != 0 }.map(\.1)
        return present.isEmpty ? "none" : present.joined(separator: " and ")
    }

    /// Which condition does not hold.
    static func mismatch(_ matcher: StreamMatcher, _ route: Route, _ asked: StreamMatchQuestion) -> String {
        switch matcher {
        case .expression(let range, let observed): return Reason.predicate(route.expression, range, observed)
        case .transport: return "it is for \(protocols(route.protocols)), not for \(asked.transport)"
        case .source: return address("source", asked.source, route.sources)
        case .destination: return address("destination", asked.destination, route.destinations)
        case .serverName:
            let sent = asked.serverName.isEmpty ? "no server name was sent" : "server name \(asked.serverName)"
            return "\(sent), and it wants \(Reason.list(route.serverNames))"
        }
    }

    private static func address(_ side: String, _ place: StreamPlace, _ rules: [AddressRule]) -> String {
        let wanted = Reason.list(rules.map(text))
        return place.text.isEmpty
            ? "no \(side) is given, and it wants \(wanted)" : "\(side) \(place.text) does not match \(wanted)"
    }

    private static func text(_ rule: AddressRule) -> String {
        if rule.address.isEmpty { return "port \(rule.port)" }
        if rule.port == 0 { return rule.address }
        return rule.address.contains(":") ? "[\(rule.address)]:\(rule.port)" : "\(rule.address):\(rule.port)"
    }

    private static func protocols(_ protocols: Protocols) -> String {
        let all: [(Protocols, String)] = [
            (.tcp, "tcp"), (.tls, "tls"), (.udp, "udp"), (.tlsPassthrough, "tls_passthrough"),
        ]
        return Reason.list(all.filter { protocols.contains($0.0) }.map(\.1))
    }
}
