// Which stream route takes a connection: Kong's order, server names, addresses, and what is passed through.

import Bytes
import Testing

@testable import Snapshot

/// A stream route in few words; its number is its id.
func streamRoute(
    _ number: UInt64, _ protocols: Protocols = .tcp, snis: [String] = [], from sources: [String] = [],
    to destinations: [String] = []
) -> Route {
    var route = Route()
    route.id = ID(high: 0, low: number)
    route.name = "r\(number)"
    route.protocols = protocols
    route.serverNames = snis
    route.sources = sources.map(addressRule)
    route.destinations = destinations.map(addressRule)
    return route
}

/// `10.0.0.1`, `10.0.0.0/8`, `:80`, `10.0.0.1:80`, `[::1]:80` or `::1`.
func addressRule(_ text: String) -> AddressRule {
    if text.hasPrefix("["), let close = text.firstIndex(of: "]") {
        return AddressRule(
            address: String(text[text.index(after: text.startIndex)..<close]),
            port: Int(text[close...].dropFirst(2)) ?? 0)
    }
    guard text.filter({ $0 == ":" }).count == 1, let colon = text.firstIndex(of: ":") else {
        return AddressRule(address: text, port: 0)
    }
    return AddressRule(address: String(text[..<colon]), port: Int(text[text.index(after: colon)...]) ?? 0)
}

struct StreamAsked {
    var transport = StreamTransport.tcp
    var source = "192.0.2.1:1000"
    var destination = "127.0.0.1:9000"
    var serverName = ""
    var isPassthrough = false
}

/// The id of the route that answers; nil: none.
func answer(_ routes: [Route], _ asked: StreamAsked) throws -> UInt64? {
    answer(try StreamTable(routes: routes), routes, asked)
}

func answer(_ table: StreamTable, _ routes: [Route], _ asked: StreamAsked) -> UInt64? {
    let source = addressRule(asked.source)
    let destination = addressRule(asked.destination)
    guard let from = IPAddress(source.address), let to = IPAddress(destination.address) else { return nil }
    let index = asked.serverName.withBytes { name in
        table.match(
            StreamQuestion(
                transport: asked.transport, source: from, sourcePort: UInt16(source.port), destination: to,
                destinationPort: UInt16(destination.port), serverName: name, isPassthrough: asked.isPassthrough))
    }
    return index < 0 ? nil : routes[index].id.low
}

@Suite("Stream routes")
struct StreamTableTests {
    @Test("sources with destinations go before server names, and those before one side alone")
    func kinds() throws {
        let both = streamRoute(1, .tls, from: ["192.0.2.0/24"], to: [":9000"])
        let name = streamRoute(2, .tls, snis: ["a.example"])
        let source = streamRoute(3, .tls, from: ["192.0.2.1:1000"])
        let asked = StreamAsked(transport: .tls, serverName: "a.example")
        #expect(try answer([source, name, both], asked) == 1)
        #expect(try answer([source, name], asked) == 2)
        #expect(try answer([source], asked) == 3)
    }

    @Test("an exact address goes before a port, and a port before a range; sources weigh more than destinations")
    func sides() throws {
        let exact = streamRoute(1, to: ["127.0.0.1"])
        let port = streamRoute(2, to: [":9000"])
        let range = streamRoute(3, to: ["127.0.0.0/8"])
        #expect(try answer([range, port, exact], StreamAsked()) == 1)
        #expect(try answer([range, port], StreamAsked()) == 2)
        #expect(try answer([range], StreamAsked()) == 3)
        let fromRange = streamRoute(4, from: ["192.0.2.0/24"])
        #expect(try answer([exact, fromRange], StreamAsked()) == 4)
        // Every entry counts, also one that does not match.
        let some = streamRoute(5, to: ["127.0.0.0/8", "10.0.0.1:1"])
        #expect(try answer([exact, some], StreamAsked()) == 5)
    }

    @Test("the larger id breaks a tie")
    func ties() throws {
        #expect(try answer([streamRoute(1, to: [":9000"]), streamRoute(2, to: [":9000"])], StreamAsked()) == 2)
        #expect(try answer([streamRoute(2, to: [":9000"]), streamRoute(1, to: [":9000"])], StreamAsked()) == 2)
    }

    @Test("a connection is answered by routes of its own protocol alone")
    func protocols() throws {
        let routes = [
            streamRoute(1, .tcp, to: [":9000"]), streamRoute(2, .tls, to: [":9000"]),
            streamRoute(3, .udp, to: [":9000"]),
        ]
        #expect(try answer(routes, StreamAsked(transport: .tcp)) == 1)
        #expect(try answer(routes, StreamAsked(transport: .tls)) == 2)
        #expect(try answer(routes, StreamAsked(transport: .udp)) == 3)
        #expect(try answer([routes[0]], StreamAsked(transport: .tls)) == nil)
        var http = streamRoute(4, [.http, .https])
        http.paths = ["/"]
        #expect(try StreamTable(routes: [http]).isEmpty)
    }

    @Test("server names are compared in any case, with wildcards at either end, and only where there is TLS")
    func names() throws {
        let route = streamRoute(1, [.tcp, .tls], snis: ["a.example", "*.b.example", "c.*"])
        func asks(_ name: String, _ transport: StreamTransport = .tls) throws -> UInt64? {
            try answer([route], StreamAsked(transport: transport, serverName: name))
        }
        for name in ["a.example", "A.Example", "a.example.", "x.b.example", "y.x.B.example", "c.org", "c.x.y"] {
            #expect(try asks(name) == 1, "\(name)")
        }
        for name in ["", "b.example", "xa.example", "a.example.org", "cc.org", "x.c.org", "."] {
            #expect(try asks(name) == nil, "\(name)")
        }
        #expect(try asks("", .tcp) == 1)
    }

    @Test("an entry needs its address and its port, and IPv4 and IPv6 do not meet")
    func entries() throws {
        let route = streamRoute(1, to: ["127.0.0.1:9000", "[2001:db8::]:1", "2001:db8:1::/48"])
        #expect(try answer([route], StreamAsked(destination: "127.0.0.1:9001")) == nil)
        #expect(try answer([route], StreamAsked(destination: "127.0.0.2:9000")) == nil)
        #expect(try answer([route], StreamAsked(destination: "127.0.0.1:9000")) == 1)
        #expect(try answer([route], StreamAsked(destination: "[2001:db8::]:1")) == 1)
        #expect(try answer([route], StreamAsked(destination: "[2001:db8:1:ffff::9]:7")) == 1)
        #expect(try answer([route], StreamAsked(destination: "[2001:db8:2::]:7")) == nil)
        #expect(try answer([streamRoute(2, to: ["::/0"])], StreamAsked()) == nil)
        #expect(try answer([streamRoute(2, to: ["0.0.0.0/0"])], StreamAsked()) == 2)
        #expect(try answer([streamRoute(2, to: ["0.0.0.0/0"])], StreamAsked(destination: "[::1]:9000")) == nil)
    }

    @Test("a hello is passed on by the route that goes first, unless that one ends TLS")
    func passthrough() throws {
        let pass = streamRoute(1, .tlsPassthrough, snis: ["*.example"])
        let end = streamRoute(2, .tls, snis: ["a.example"], to: [":9000"])
        let asked = StreamAsked(transport: .tls, serverName: "a.example", isPassthrough: true)
        #expect(try StreamTable(routes: [pass]).hasPassthrough)
        #expect(try !StreamTable(routes: [end]).hasPassthrough)
        #expect(try answer([pass], asked) == 1)
        // Both have bit 61; the destination's port decides.
        #expect(try answer([pass, end], asked) == nil)
        #expect(try answer([pass, end], StreamAsked(transport: .tls, serverName: "a.example")) == 2)
        #expect(
            try answer([pass, end], StreamAsked(transport: .tls, serverName: "b.example", isPassthrough: true)) == 1)
        #expect(try answer([pass], StreamAsked(transport: .tls, serverName: "a.example")) == nil)
        #expect(try answer([pass], StreamAsked(transport: .tls, serverName: "", isPassthrough: true)) == nil)
    }

    @Test("where TLS is not ended, a hello is for tcp and tls_passthrough routes in one order")
    func plainListener() throws {
        let pass = streamRoute(1, .tlsPassthrough, snis: ["a.example"])
        let tcp = streamRoute(2, .tcp, to: [":9000"])
        let ends = streamRoute(3, .tls, snis: ["a.example"])
        let hello = StreamAsked(serverName: "a.example", isPassthrough: true)
        #expect(try answer([pass, tcp, ends], hello) == 1)
        #expect(try answer([pass, tcp, ends], StreamAsked(serverName: "b.example", isPassthrough: true)) == 2)
        #expect(try answer([pass, tcp, ends], StreamAsked()) == 2)
    }

    @Test("a route with what is no address is refused, not passed over")
    func badAddress() {
        #expect(throws: RouteTableError.address(route: 0, text: "10.0.0.0/33")) {
            try StreamTable(routes: [streamRoute(1, to: ["10.0.0.0/33"])])
        }
        var route = streamRoute(1)
        route.sources = [AddressRule(address: "", port: 70_000)]
        #expect(throws: RouteTableError.address(route: 0, text: "port 70000")) { try StreamTable(routes: [route]) }
    }

    @Test("the table answers as a scan of all routes does, for small and large random tables")
    func agrees() throws {
        let seed = announcedSeed("random stream routing")
        var random = SeededRandom(state: seed)
        var matched = 0
        for round in 0..<100 {
            let count = round % 5 == 0 ? 300 : 1 + Int(random.next() % 10)
            let routes = (0..<count).map { _ in RandomStreams.route(&random) }
            let table = try StreamTable(routes: routes, seed: random.next())
            for _ in 0..<100 {
                let asked = RandomStreams.question(&random)
                let expected = NaiveStreams.answer(routes, asked)
                let actual = answer(table, routes, asked)
                if expected != nil { matched += 1 }
                #expect(actual == expected, "seed \(seed) round \(round): \(asked)")
                if actual != expected { return }
            }
        }
        #expect(matched > 1500, "the questions are chosen so that many find a route")
    }

    @Test("with 10,000 routes that share a port or a name, a look-up holds few of them against the question")
    func large() throws {
        // As many lists as routes: each route stands where it is alone.
        let bySource = (0..<10_000).map { n in
            streamRoute(UInt64(n + 1), from: ["10.\(n >> 16).\(n >> 8 & 255).\(n & 255)"], to: [":9000"])
        }
        let table = try StreamTable(routes: bySource)
        #expect(answer(table, bySource, StreamAsked(source: "10.0.39.15:5")) == 10_000)
        #expect(answer(table, bySource, StreamAsked(source: "10.0.39.16:5")) == nil)
        #expect(table.tcp.lists.values.allSatisfy { $0.count == 1 })
        let byName = (0..<10_000).map { streamRoute(UInt64($0 + 1), .tls, snis: ["n\($0).example"], to: [":9000"]) }
        #expect(try StreamTable(routes: byName).tls.lists.values.allSatisfy { $0.count == 1 })
    }
}
