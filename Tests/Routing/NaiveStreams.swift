// Stream routing by the rules alone: every route is looked at. And random routes to compare with.

import Bytes
import Snapshot

enum NaiveStreams {
    /// The id of the route that answers; nil: none, or one that ends TLS where a hello is to be passed on.
    static func answer(_ routes: [Route], _ asked: StreamAsked) -> UInt64? {
        var allowed: Protocols
        switch asked.transport {
        case .tcp: allowed = .tcp
        case .tls: allowed = .tls
        case .udp: allowed = .udp
        }
        if asked.isPassthrough, asked.transport != .udp { allowed.insert(.tlsPassthrough) }
        let matching = routes.filter { route in
            let shared = route.protocols.intersection(allowed)
            guard !shared.isEmpty else { return false }
            let isTLS = asked.transport == .tls || shared == .tlsPassthrough
            return holds(route.sources, asked.source) && holds(route.destinations, asked.destination)
                && (!isTLS || route.serverNames.isEmpty || route.serverNames.contains { name($0, asked.serverName) })
        }
        let best = matching.max { (weight($0), $0.id) < (weight($1), $1.id) }
        guard let best else { return nil }
        if asked.isPassthrough, asked.transport == .tls, !best.protocols.contains(.tlsPassthrough) { return nil }
        return best.id.low
    }

    private static func weight(_ route: Route) -> Int {
        func side(_ rules: [AddressRule]) -> Int {
            (rules.contains { !$0.address.isEmpty && !$0.address.contains("/") } ? 8 : 0)
                + (rules.contains { $0.port != 0 } ? 4 : 0) + (rules.contains { $0.address.contains("/") } ? 1 : 0)
        }
        let strong = !route.serverNames.isEmpty || (!route.sources.isEmpty && !route.destinations.isEmpty)
        return (strong ? 1000 : 0) + side(route.sources) * 16 + side(route.destinations)
    }

    private static func holds(_ rules: [AddressRule], _ asked: String) -> Bool {
        let sent = addressRule(asked)
        return rules.isEmpty
            || rules.contains { rule in
                guard rule.port == 0 || rule.port == sent.port else { return false }
                guard !rule.address.isEmpty else { return true }
                guard let address = IPAddress(sent.address), let prefix = IPPrefix(rule.address) else { return false }
                return prefix.contains(address)
            }
    }

    private static func name(_ pattern: String, _ sent: String) -> Bool {
        var sent = sent.lowercased()
        if sent.hasSuffix("."), sent.count > 1 { sent.removeLast() }
        var pattern = pattern.lowercased()
        if pattern.hasPrefix("*") { return sent.hasSuffix(pattern.dropFirst()) }
        if pattern.hasSuffix("*") { return sent.hasPrefix(pattern.dropLast()) }
        if pattern.hasSuffix(".") { pattern.removeLast() }
        return sent == pattern
    }
}

enum RandomStreams {
    private static let addresses = [
        "10.0.0.1", "10.0.0.2", "10.0.1.1", "127.0.0.1", "[2001:db8::1]:0", "[2001:db8::2]:0", "[::1]:0",
    ]
    private static let rules = [
        "10.0.0.1", "10.0.0.1:80", "10.0.0.0/24", "10.0.0.0/8", "0.0.0.0/0", ":80", ":443", "127.0.0.1", "10.0.1.1:443",
        "2001:db8::1", "[2001:db8::2]:80", "2001:db8::/32", "::/0", "[2001:db8::/64]:443", "10.0.0.2", ":9000",
        "[10.0.0.0/9]:80",
    ]
    private static let patterns = ["a.example", "B.example", "*.example", "*.b.example", "a.*", "a.b.*", "c.example."]
    private static let names = [
        "a.example", "A.EXAMPLE.", "b.example", "x.b.example", "a.b.org", "a.org", "", "c.example",
    ]

    static func route(_ random: inout SeededRandom) -> Route {
        var protocols: Protocols = random.chance(25) ? .tlsPassthrough : []
        if protocols.isEmpty {
            for one in [Protocols.tcp, .tls, .udp] where random.chance(50) { protocols.insert(one) }
            if protocols.isEmpty { protocols = .tcp }
        }
        let isTLS = !protocols.isDisjoint(with: [.tls, .tlsPassthrough])
        return streamRoute(
            random.next(), protocols, snis: isTLS && random.chance(50) ? random.some(patterns, atMost: 2) : [],
            from: random.chance(35) ? random.some(rules, atMost: 3) : [],
            to: random.chance(50) ? random.some(rules, atMost: 3) : [])
    }

    static func question(_ random: inout SeededRandom) -> StreamAsked {
        var asked = StreamAsked()
        asked.transport = random.one([.tcp, .tls, .udp])
        asked.source = place(&random)
        asked.destination = place(&random)
        asked.serverName = random.one(names)
        asked.isPassthrough = random.chance(50)
        return asked
    }

    private static func place(_ random: inout SeededRandom) -> String {
        let address = random.one(addresses)
        let port = random.one(["80", "443", "9000", "1"])
        return address.hasPrefix("[") ? String(address.dropLast()) + port : address + ":" + port
    }
}
