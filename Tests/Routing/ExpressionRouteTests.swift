// Routes with expressions among others: order, captures, what is stripped, explanations, streams.

import Bytes
import Explain
import Snapshot
import Testing

struct ExpressionRouteTests {
    private func answer(_ routes: [Route], _ request: String, _ flavour: RouterFlavour = .expressions) throws -> String?
    {
        let result = MatchResult()
        let table = try RouteTable(routes: routes, flavour: flavour)
        _ = ExpressionRequest(request).match(table, result, Buffer(capacity: 256))
        return result.route < 0 ? nil : routes[result.route].name
    }

    @Test("expressions go before all other routes, by priority, then by the larger id")
    func order() throws {
        var classic = OrderTableTests.route("c hosts=h methods=GET paths=/a headers=x:1")
        classic.name = "classic"
        let low = expressionRoute(#"http.path ^= "/""#, priority: 0, number: 9)
        let high = expressionRoute(#"http.path ^= "/""#, priority: RoutePriority.expressionLimit, number: 1)
        let tied = expressionRoute(#"http.method == "GET""#, priority: 0, number: 10)
        #expect(try answer([classic, low], "GET h /a x:1") == "r9")
        #expect(try answer([classic, low, high], "GET h /a x:1") == "r1")
        #expect(try answer([tied, low], "GET h /a") == "r10")
        #expect(try answer([low, tied], "GET h /a") == "r10")
        #expect(try answer([classic, expressionRoute(#"http.path == "/b""#)], "GET h /a x:1") == "classic")
    }

    @Test("in the flavour expressions protocols are a condition of the other routes too, except https alone")
    func classicProtocols() throws {
        var route = OrderTableTests.route("c paths=/a")
        route.name = "c"
        route.protocols = .http
        #expect(try answer([route], "GET h /a") == "c")
        #expect(try answer([route], "GET h /a tls") == nil)
        #expect(try answer([route], "GET h /a tls", .traditionalCompatible) == "c")
        route.protocols = .https
        #expect(try answer([route], "GET h /a") == "c")
        route.protocols = .grpcs
        #expect(try answer([route], "GET h /a") == nil)
        route.protocols = [.http, .https]
        #expect(try answer([route], "GET h /a tls") == "c")
    }

    @Test("in the flavour expressions HTTP routes have sources and destinations, which count as matchers")
    func classicAddresses() throws {
        var near = OrderTableTests.route("near paths=/a")
        near.name = "near"
        near.sources = [AddressRule(address: "10.0.0.0/8", port: 0), AddressRule(address: "", port: 4000)]
        var far = OrderTableTests.route("far paths=/a/b")
        far.name = "far"
        #expect(try answer([near, far], "GET h /a/b src=10.1.1.1") == "near")
        #expect(try answer([near, far], "GET h /a/b src=11.1.1.1,4000") == "near")
        #expect(try answer([near, far], "GET h /a/b src=11.1.1.1,4001") == "far")
        #expect(try answer([near, far], "GET h /a/b") == "far")
        near.sources = []
        near.destinations = [AddressRule(address: "127.0.0.1", port: 8000)]
        #expect(try answer([near, far], "GET h /a/b dst=127.0.0.1") == "near")
        #expect(try answer([near, far], "GET h /a/b dst=127.0.0.1 port=8001") == "far")
        near.destinations = [AddressRule(address: "nonsense", port: 0)]
        #expect(throws: RouteTableError.self) { try RouteTable(routes: [near], flavour: .expressions) }
    }

    @Test(
        "the last predicate on the path that held says what is stripped",
        arguments: [
            (#"http.path ^= "/a""#, "/a/b", 2), (#"http.path == "/a/b""#, "/a/b", 4),
            (#"http.method == "GET""#, "/a/b", -1),
            (#"http.path ^= "/a" && http.path ^= "/a/b""#, "/a/b/c", 4),
            (#"http.path ^= "/x" || http.path ^= "/a/""#, "/a/b", 3),
            (#"http.path =^ "b""#, "/a/b", -1), (#"http.path contains "a""#, "/a/b", -1),
            (##"http.path ~ r#"^/\w+"#"##, "/a/b", 2), (##"http.path ~ r#"b$"#"##, "/a/b", -1),
            (#"http.path.segments.0 == "a""#, "/a/b", -1), (#"lower(http.path) ^= "/ab""#, "/AB/c", 3),
            (#"!(http.path ^= "/x")"#, "/a/b", -1),
        ])
    func stripped(expression: String, path: String, count: Int) throws {
        let result = MatchResult()
        let table = try RouteTable(routes: [expressionRoute(expression)])
        #expect(ExpressionRequest("GET h \(path)").match(table, result, Buffer(capacity: 256)) == .matched)
        #expect(result.prefixCount == count)
    }

    @Test("what lower() makes longer does not reach past the path")
    func longerInLowerCase() throws {
        let result = MatchResult()
        let table = try RouteTable(routes: [expressionRoute("lower(http.path) ^= \"/i\u{307}i\u{307}\"")])
        #expect(ExpressionRequest("GET h /%C4%B0%C4%B0").match(table, result, Buffer(capacity: 256)) == .matched)
        #expect(result.path.count == 5 && result.prefixCount == 5)
    }

    private func captures(_ expression: String, _ request: String) throws -> [String] {
        let result = MatchResult()
        let table = try RouteTable(routes: [
            expressionRoute(expression, priority: 1), expressionRoute(##"http.path ~ r#"(?<other>.*)"#"##, number: 2),
        ])
        #expect(ExpressionRequest(request).match(table, result, Buffer(capacity: 256)) == .matched)
        let numbered = (0..<result.captureCount).map { "\($0)=\(result.capture($0)?.string ?? "-")" }
        for (name, value) in table.namedCaptures(of: result) {
            #expect(name.withBytes { table.capture(named: $0, of: result)?.string } == value.string)
        }
        return numbered + table.namedCaptures(of: result).map { "\($0.name)=\($0.value.string)" }
    }

    @Test("captures come from every pattern that matched, the later one first")
    func captures() throws {
        let path = ##"http.path ~ r#"^/u/(?<id>\d+)/(x)?"#"##
        #expect(try captures(path, "GET h /u/42/y") == ["0=/u/42/", "1=42", "id=42"])
        let both = path + ##" && http.headers.x_t ~ r#"^(?P<team>\w)"#"##
        #expect(try captures(both, "GET h /u/42/x X-T:blue") == ["0=b", "1=b", "2=x", "id=42", "team=b"])
        #expect(
            try captures(##"any(http.queries.q) ~ r#"=(?<v>.+)"#"##, "GET h /?q=a&q=%3D%20b") == [
                "0== b", "1= b", "v= b",
            ])
        #expect(try captures(##"http.headers.a ~ r#"(\d)"#"##, "GET h / a:x1 a:y2") == ["0=2", "1=2"])
        #expect(try captures(##"lower(http.host) ~ r#"^(.+)\."#"##, "GET A.Example /") == ["0=a.", "1=a"])
        // A pattern in a branch that was not needed leaves nothing.
        #expect(try captures(##"http.method == "GET" || http.path ~ r#"(.)"#"##, "GET h /") == [])
        #expect(try captures(#"http.method == "GET""#, "GET h /") == [])
    }

    @Test("a pattern that backtracks without end does not match, and is counted")
    func backtracking() throws {
        let result = MatchResult()
        let table = try RouteTable(routes: [expressionRoute(##"http.headers.x ~ r#"^(a+)+$"#"##)])
        let value = String(repeating: "a", count: 40) + "b"
        #expect(ExpressionRequest("GET h / x:\(value)").match(table, result, Buffer(capacity: 256)) == .notFound)
        #expect(result.patternLimitHits == 1)
    }

    @Test("an expression that cannot be read refuses the table and names the route")
    func refused() {
        let error = #expect(throws: RouteTableError.self) {
            try RouteTable(routes: [
                expressionRoute(#"http.path == "/""#, number: 5), expressionRoute("nonsense", number: 1),
            ])
        }
        guard case .expression(let route, let mistake) = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(route == 1 && mistake.range == 0..<8)
    }

    @Test("expression and priority survive the wire, as the flavour does")
    func wire() throws {
        var snapshot = Snapshot()
        snapshot.routes = [expressionRoute(#"http.path == "/é""#, priority: RoutePriority.expressionLimit)]
        snapshot.settings.router = .expressions
        let again = try snapshot.wire.withBytes { try Snapshot(wire: $0) }
        #expect(again.routes[0].expression == snapshot.routes[0].expression)
        #expect(again.routes[0].priority == RoutePriority.expressionLimit)
        #expect(again.settings.router == .expressions)
    }

    // MARK: Explanations

    private func explained(_ routes: [Route], _ path: String, _ change: (inout MatchQuestion) -> Void = { _ in })
        throws -> [String]
    {
        var snapshot = Snapshot()
        snapshot.routes = routes
        snapshot.settings.router = .expressions
        var question = MatchQuestion()
        question.path = path
        question.host = "h"
        question.port = 8000
        change(&question)
        let answer = try RouteExplainer(snapshot).answer(question)
        return [answer.route ?? "-"] + answer.considered.map { "\($0.route): \($0.lostBecause)" }
    }

    @Test("an explanation names the part that does not hold, and what the request has")
    func explains() throws {
        let routes = [
            expressionRoute(#"http.path ^= "/a" && http.method == "POST""#, priority: 5, number: 1),
            expressionRoute(#"http.path ^= "/a" && (http.host == "x" || http.host == "y")"#, number: 2),
            expressionRoute(#"any(http.headers.x) == "1" && http.path ^= "/a""#, number: 3),
            expressionRoute(#"http.path == "/z" && http.method == "PUT""#, number: 4),
        ]
        #expect(
            try explained(routes, "/a") == [
                "-", #"r1: http.method == "POST" does not hold: it is GET"#,
                #"r3: any(http.headers.x) == "1" does not hold: there is no such value"#,
                #"r2: (http.host == "x" || http.host == "y") does not hold"#,
            ])
        let headers = try explained([routes[2]], "/a") { $0.headers = [("X", "2"), ("x", "3")] }
        #expect(headers == ["-", #"r3: any(http.headers.x) == "1" does not hold: it is 2 or 3"#])
        let places = [
            expressionRoute("net.src.ip in 10.0.0.0/8", number: 1), expressionRoute("net.src.port == 5", number: 2),
            expressionRoute("net.dst.ip == 127.0.0.1", number: 3), expressionRoute("net.dst.port == 80", number: 4),
            expressionRoute(#"tls.sni == "a""#, number: 5), expressionRoute(#"http.queries.q == "1""#, number: 6),
            expressionRoute("http.path.segments.len == 3", number: 7),
            expressionRoute(#"http.path.segments.0_1 == "a/c""#, number: 8),
        ]
        let answers = try explained(places, "/a/b?q=2") { question in
            question.source = IPAddress("11.0.0.1")
            question.sourcePort = 4
            question.destination = IPAddress("::1")
        }
        #expect(
            answers == [
                "-", #"r8: http.path.segments.0_1 == "a/c" does not hold: it is a/b"#,
                "r7: http.path.segments.len == 3 does not hold: it is 2",
                #"r6: http.queries.q == "1" does not hold: it is 2"#,
                #"r5: tls.sni == "a" does not hold: there is no such value"#,
                "r4: net.dst.port == 80 does not hold: it is 8000",
                "r3: net.dst.ip == 127.0.0.1 does not hold: it is ::1", "r2: net.src.port == 5 does not hold: it is 4",
                "r1: net.src.ip in 10.0.0.0/8 does not hold: it is 11.0.0.1",
            ])
    }

    @Test("an explanation names what put another route first")
    func explainsOrder() throws {
        var classic = OrderTableTests.route("c paths=/a")
        classic.name = "classic"
        var clear = classic
        clear.id = ID(high: 0, low: 77)
        clear.name = "clear"
        clear.protocols = .https
        clear.sources = [AddressRule(address: "10.0.0.0/8", port: 0)]
        var secure = expressionRoute(#"http.path ^= "/a""#, number: 3)
        secure.protocols = .http
        let routes = [
            expressionRoute(#"http.path ^= "/a""#, priority: 2, number: 1),
            expressionRoute(#"http.path ^= "/""#, number: 2),
            classic, clear, secure,
        ]
        let answers = try explained(routes, "/a") { $0.scheme = "https" }
        #expect(
            answers == [
                "r1", "r2: priority 0 < 2", "classic: routes with an expression go first",
                "r3: the connection is https, and the route takes http",
                "clear: the client's address is not known, and it wants 10.0.0.0/8",
            ])
        let tied = try explained(
            [expressionRoute(#"http.path ^= "/""#, number: 8), expressionRoute(#"http.path ^= "/a""#, number: 7)], "/a")
        #expect(
            tied == [
                "r8",
                "r7: same priority, and its id 00000000-0000-0000-0000-000000000007 is smaller than "
                    + "00000000-0000-0000-0000-000000000008",
            ])
    }

    @Test("of two routes with the same expression the later one never answers")
    func shadows() {
        var other = expressionRoute(#"http.path ^= "/a""#, number: 3)
        other.protocols = .http
        let routes = [
            expressionRoute(#"http.path ^= "/a""#, number: 1),
            expressionRoute(#"http.path ^= "/a""#, priority: 1, number: 2),
            other, expressionRoute(#"http.path ^= "/b""#, number: 4),
        ]
        let found = Shadow.find(in: routes, flavour: .expressions)
        #expect(found.map { "\($0.route) by \($0.by): \($0.reason)" } == ["0 by 1: priority 0 < 1"])
        // Protocols that are a condition keep routes apart.
        var clear = OrderTableTests.route("a paths=/x id=2")
        clear.protocols = .http
        let both = OrderTableTests.route("b paths=/x id=1")
        #expect(Shadow.find(in: [clear, both], flavour: .expressions).isEmpty)
        #expect(Shadow.find(in: [clear, both]).count == 1)
    }

    // MARK: Streams

    private func stream(_ expression: String, _ protocols: Protocols, priority: Int = 0, number: UInt64) -> Route {
        var route = expressionRoute(expression, priority: priority, number: number)
        route.protocols = protocols
        return route
    }

    private func ask(
        _ table: StreamTable, _ transport: StreamTransport = .tcp, source: String = "192.0.2.1", port: UInt16 = 5432,
        name: String = "", passes: Bool = false
    ) -> Int {
        let unknown = IPAddress(v4: 0)
        return name.withBytes {
            table.match(
                StreamQuestion(
                    transport: transport, source: IPAddress(source) ?? unknown, sourcePort: 4000,
                    destination: IPAddress("127.0.0.1") ?? unknown, destinationPort: port, serverName: $0,
                    isPassthrough: passes))
        }
    }

    @Test("stream routes have expressions, before all others, for their own protocols")
    func streams() throws {
        var classic = Route()
        classic.protocols = [.tcp, .tls, .udp]
        classic.id = ID(high: 1, low: 1)
        let routes = [
            classic, stream("net.src.ip in 10.0.0.0/8 && net.dst.port == 5432", .tcp, number: 1),
            stream(#"tls.sni == "DB.example""#, .tls, number: 2),
            stream(#"tls.sni =^ ".example" && net.protocol == "tls""#, .tlsPassthrough, priority: 3, number: 3),
            stream("net.dst.port == 53", [.udp, .tcp], number: 4),
            stream("net.src.port == 4000 && net.dst.ip == 127.0.0.1 && net.dst.port > 6000", .tcp, number: 5),
        ]
        let table = try StreamTable(routes: routes)
        #expect(ask(table) == 0)
        #expect(ask(table, source: "10.9.9.9") == 1)
        #expect(ask(table, source: "10.9.9.9", port: 5433) == 0)
        #expect(ask(table, .tls, name: "db.EXAMPLE.") == 2)
        #expect(ask(table, .tls, name: "x.example") == 0)
        #expect(ask(table, .tls, name: "db.example", passes: true) == 3)
        #expect(ask(table, .tcp, name: "db.example", passes: true) == 3)
        #expect(ask(table, .udp, port: 53) == 4)
        #expect(ask(table, port: 53) == 4)
        #expect(ask(table, port: 6001) == 5)
        #expect(ask(table, .udp, port: 6001) == 0)
    }

    @Test("stream tables with expressions agree with trying one route after the other")
    func randomStreams() throws {
        let seed = announcedSeed("random stream expressions")
        var random = SeededRandom(state: seed)
        let parts = [
            "net.src.ip in 10.0.0.0/8", "net.src.ip == 10.1.2.3", "net.src.ip not in fd00::/8", "net.dst.port == 5432",
            "net.dst.port != 5432", "net.src.port == 4000", #"tls.sni == "a.example""#, #"tls.sni =^ ".example""#,
            #"tls.sni ^= "a.""#, #"tls.sni =^ "ample""#, #"net.protocol == "tcp""#, #"net.protocol != "tcp""#,
            "(net.dst.port == 5432 || net.dst.port == 80)", "(net.dst.port == 80 || net.src.ip == fd00::1)",
            "net.dst.ip == 127.0.0.1", "net.dst.ip in 127.0.0.0/8", "!(net.src.ip in 10.0.0.0/8)",
        ]
        for round in 0..<60 {
            var routes: [Route] = []
            for number in 0..<(1 + Int(random.next() % 30)) {
                let text = random.some(parts, atMost: 3).joined(separator: " && ")
                let protocols = random.one([Protocols.tcp, .udp, .tls, [.tcp, .udp]])
                routes.append(stream(text, protocols, priority: Int(random.next() % 3), number: UInt64(number)))
            }
            let all = try StreamTable(routes: routes)
            for _ in 0..<30 {
                let transport = random.one([StreamTransport.tcp, .udp, .tls])
                let source = random.one(["10.1.2.3", "10.9.9.9", "fd00::1", "192.0.2.1"])
                let port = random.one([UInt16(5432), 80, 53])
                let name = transport == .tls ? random.one(["a.example", "b.example", "A.test", "example", ""]) : ""
                let found = ask(all, transport, source: source, port: port, name: name)
                let expected = try routes.indices.filter { index in
                    ask(try StreamTable(routes: [routes[index]]), transport, source: source, port: port, name: name)
                        == 0
                }.max { (routes[$0].priority, $0) < (routes[$1].priority, $1) }
                #expect(found == expected ?? -1, "seed \(seed) round \(round): \(transport) \(source) \(port) \(name)")
                if found != expected ?? -1 { return }
            }
        }
    }

    @Test("an explanation of a stream names the part that does not hold")
    func streamReasons() throws {
        var snapshot = Snapshot()
        snapshot.routes = [
            stream("net.src.ip in 10.0.0.0/8 && net.dst.port == 5432", .tcp, priority: 1, number: 1),
            stream("net.dst.port == 5432", .tcp, number: 2), stream("net.dst.port >= 5432", .tcp, number: 1),
        ]
        snapshot.routes[2].name = "r3"
        var question = StreamMatchQuestion()
        question.destination = StreamPlace(address: IPAddress("127.0.0.1"), port: 5432)
        let answer = try StreamExplainer(snapshot).answer(question)
        #expect(answer.route == "r2")
        #expect(
            answer.considered.map { "\($0.route): \($0.lostBecause)" } == [
                "r3: same priority, and its id 00000000-0000-0000-0000-000000000001 is smaller than "
                    + "00000000-0000-0000-0000-000000000002",
                "r1: net.src.ip in 10.0.0.0/8 does not hold: there is no such value",
            ])
    }
}
