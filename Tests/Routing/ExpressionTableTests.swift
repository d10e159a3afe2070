// What each part of the expression language means, row by row.

import Bytes
import Snapshot
import Testing

struct ExpressionTableTests {
    struct Row: CustomTestStringConvertible, Sendable {
        var expression: String
        var request: ExpressionRequest
        var holds: Bool
        var testDescription: String { "\(expression) | \(request) | \(holds)" }

        init(_ expression: String, _ request: String, _ holds: Bool) {
            self.expression = expression
            self.request = ExpressionRequest(request)
            self.holds = holds
        }
    }

    static let operators: [Row] = [
        Row(#"http.method == "GET""#, "GET h /", true),
        Row(#"http.method == "GET""#, "get h /", false),
        Row(#"http.method == "GET""#, "POST h /", false),
        Row(#"http.method != "GET""#, "POST h /", true),
        Row(#"http.method != "GET""#, "GET h /", false),
        Row(#"http.path == "/a""#, "GET h /a", true),
        Row(#"http.path == "/a""#, "GET h /a/", false),
        Row(#"http.path == "/a""#, "GET h /a?b", true),
        Row(#"http.path == """#, "GET h /", false),
        Row(#"http.path ^= "/a""#, "GET h /a", true),
        Row(#"http.path ^= "/a""#, "GET h /abc", true),
        Row(#"http.path ^= "/a""#, "GET h /b/a", false),
        Row(#"http.path ^= """#, "GET h /b", true),
        Row(#"http.path =^ ".json""#, "GET h /x.json", true),
        Row(#"http.path =^ ".json""#, "GET h /x.json/", false),
        Row(#"http.path =^ """#, "GET h /x", true),
        Row(#"http.path contains "foo""#, "GET h /xfooy", true),
        Row(#"http.path contains "foo""#, "GET h /fofo/fo", false),
        Row(#"http.path contains "ffo""#, "GET h /fffo", true),
        Row(#"http.path contains """#, "GET h /", true),
        Row(#"http.path contains "/a/b/c/d""#, "GET h /a", false),
        Row(#"http.path ~ "/\\d+$""#, "GET h /a/12", true),
        Row(#"http.path ~ "/\\d+$""#, "GET h /a/12b", false),
        Row(##"http.path ~ r#"/\d+"#"##, "GET h /x/1/y", true),
        Row(##"http.path ~ r#"^/\d+"#"##, "GET h /x/1/y", false),
        Row(##"http.path ~ r#"^/(?i)ABC"#"##, "GET h /abc", true),
        Row(##"http.path ~ r#"^/a|/b$"#"##, "GET h /x/b", true),
        Row("net.dst.port == 8000", "GET h /", true),
        Row("net.dst.port != 8000", "GET h /", false),
        Row("net.dst.port > 7999", "GET h /", true),
        Row("net.dst.port > 8000", "GET h /", false),
        Row("net.dst.port >= 8000", "GET h /", true),
        Row("net.dst.port >= 8001", "GET h /", false),
        Row("net.dst.port < 8001", "GET h /", true),
        Row("net.dst.port < 8000", "GET h /", false),
        Row("net.dst.port <= 8000", "GET h /", true),
        Row("net.dst.port <= 7999", "GET h /", false),
        Row("net.src.ip == 10.1.2.3", "GET h / src=10.1.2.3", true),
        Row("net.src.ip == 10.1.2.3", "GET h / src=10.1.2.4", false),
        Row("net.src.ip != 10.1.2.3", "GET h / src=10.1.2.4", true),
        Row("net.src.ip != 10.1.2.3", "GET h / src=10.1.2.3", false),
        Row("net.src.ip in 10.0.0.0/8", "GET h / src=10.1.2.3", true),
        Row("net.src.ip in 10.0.0.0/8", "GET h / src=11.1.2.3", false),
        Row("net.src.ip not in 10.0.0.0/8", "GET h / src=11.1.2.3", true),
        Row("net.src.ip not in 10.0.0.0/8", "GET h / src=10.1.2.3", false),
        Row("net.src.ip in 0.0.0.0/0", "GET h / src=1.2.3.4", true),
        Row("net.src.ip in 10.1.2.3/32", "GET h / src=10.1.2.3", true),
        Row("net.src.ip == fd00::1", "GET h / src=fd00::1", true),
        Row("net.src.ip == fd00:0:0::1", "GET h / src=fd00::1", true),
        Row("net.src.ip in fd00::/8", "GET h / src=fd12::9", true),
        Row("net.src.ip in fd00::/8", "GET h / src=fe80::9", false),
        Row("net.src.ip in ::/0", "GET h / src=fe80::9", true),
        Row("net.src.ip in 2001:db8:8000::/33", "GET h / src=2001:db8:8000::1", true),
        Row("net.src.ip in 2001:db8:8000::/33", "GET h / src=2001:db8:7fff::1", false),
        // Other families: nothing holds but !=.
        Row("net.src.ip in 10.0.0.0/8", "GET h / src=fd00::1", false),
        Row("net.src.ip not in 10.0.0.0/8", "GET h / src=fd00::1", false),
        Row("net.src.ip == 10.0.0.1", "GET h / src=fd00::1", false),
        Row("net.src.ip != 10.0.0.1", "GET h / src=fd00::1", true),
        Row("net.src.ip == ::ffff:10.1.2.3", "GET h / src=10.1.2.3", true),
    ]

    static let literals: [Row] = [
        Row(#"http.path == "/\"q\"""#, #"GET h /"q""#, true),
        Row(#"http.path == "/a\\b""#, #"GET h /a\b"#, true),
        Row(#"http.path == "/a\tb""#, "GET h /a%09b", true),
        Row(#"http.path == "/a\nb""#, "GET h /a%0Ab", true),
        Row(#"http.path == "/a\rb""#, "GET h /a%0db", true),
        Row(##"http.path == r#"/a\nb"#"##, #"GET h /a\nb"#, true),
        Row(##"http.path == r#"/"x""#"##, #"GET h /"x""#, true),
        Row(##"http.path == r#""#"##, "GET h /", false),
        Row(#"http.path == "/é""#, "GET h /%C3%A9", true),
        Row("net.dst.port == 0x1F40", "GET h /", true),
        Row("net.dst.port == 0x1f40", "GET h /", true),
        Row("net.dst.port == 017500", "GET h /", true),
        Row("net.dst.port == 0", "GET h /", false),
        Row("net.dst.port > -1", "GET h /", true),
        Row("net.dst.port > -0x10", "GET h /", true),
        Row("net.dst.port > -010", "GET h /", true),
        Row("net.dst.port < 9223372036854775807", "GET h /", true),
        Row("net.dst.port > -9223372036854775808", "GET h /", true),
        Row("net.dst.port==8000", "GET h /", true),
        Row("net.src.ip==10.0.0.1&&net.dst.port==8000", "GET h / src=10.0.0.1", true),
        Row("( net.src.ip\tnot \n in\r\n10.0.0.0/8 )", "GET h / src=11.0.0.1", true),
    ]

    static let fields: [Row] = [
        Row(#"net.protocol == "http""#, "GET h /", true),
        Row(#"net.protocol == "https""#, "GET h /", false),
        Row(#"net.protocol == "https""#, "GET h / tls", true),
        Row(#"tls.sni == "a.example""#, "GET h / sni=a.example", true),
        Row(#"tls.sni == "A.Example""#, "GET h / sni=a.example.", true),
        Row(#"tls.sni == "a.example""#, "GET h / sni=A.EXAMPLE", true),
        Row(#"tls.sni != "a.example""#, "GET h /", false),
        Row(#"tls.sni != "a.example""#, "GET h / tls", false),
        Row(#"tls.sni =^ ".example""#, "GET h / sni=x.y.example", true),
        Row(#"tls.sni ^= "x.""#, "GET h / sni=x.y.example", true),
        Row(##"tls.sni ~ r#"^[A-Z]\.ex"#"##, "GET h / sni=a.example", true),
        Row(#"http.host == "a.example""#, "GET a.example /", true),
        Row(#"http.host == "a.example""#, "GET A.Example:8080 /", true),
        Row(#"http.host == "A.EXAMPLE""#, "GET a.example /", true),
        Row(#"http.host == "a.example:8080""#, "GET a.example:8080 /", false),
        Row(#"http.host =^ ".example""#, "GET x.a.example:80 /", true),
        Row(#"http.host =^ "example""#, "GET myexample /", true),
        Row(#"http.host =^ "example""#, "GET example.org /", false),
        Row(#"http.host ^= "api.""#, "GET api.example /", true),
        Row(#"http.host ^= "api""#, "GET apis.example /", true),
        Row(#"http.host == "a.example""#, "GET a.example. /", true),
        Row(#"http.host == "a.example""#, "GET A.Example.:8080 /", true),
        Row(#"http.host == "a.example""#, "GET a.example.. /", false),
        Row(#"http.host == "A.Example.""#, "GET a.example /", true),
        Row(#"http.host != "a.example""#, "GET a.example. /", false),
        Row(#"http.host != "a.example.""#, "GET a.example /", false),
        Row(#"http.host =^ ".example""#, "GET x.a.example. /", true),
        Row(#"http.host =^ ".Example.""#, "GET x.a.example /", true),
        Row(#"http.host ^= "a.""#, "GET a.example. /", true),
        Row(#"http.host ^= "a.""#, "GET ab.example /", false),
        Row(##"http.host ~ r#"^a\.example$"#"##, "GET a.example.:80 /", true),
        Row(#"tls.sni == "a.example.""#, "GET h / sni=a.example", true),
        Row(#"tls.sni =^ ".example.""#, "GET h / sni=a.example", true),
        Row(#"http.host != "a.example""#, "GET - /", false),
        Row(#"http.host contains "Exam""#, "GET my.example.org /", true),
        Row(##"http.host ~ r#"^API\d"#"##, "GET api1.example /", true),
        Row("net.dst.port == 8443", "GET h:8443 /", true),
        Row("net.dst.port == 8000", "GET h:8443 /", false),
        Row("net.port == 8443", "GET h:8443 /", true),
        Row("net.src.port == 4000", "GET h / src=10.0.0.1,4000", true),
        Row("net.src.port != 4000", "GET h / src=10.0.0.1", false),
        Row("net.src.ip != 1.2.3.4", "GET h /", false),
        Row("net.src.ip not in 10.0.0.0/8", "GET h /", false),
        Row("net.dst.ip == 127.0.0.1", "GET h / dst=127.0.0.1", true),
        Row("net.dst.ip in 127.0.0.0/8", "GET h /", false),
        Row(#"http.path == "/b""#, "GET h /a/../b", true),
        Row(#"http.path == "/a/b""#, "GET h //a//%62", true),
        Row(#"http.path == "/a%2Fb""#, "GET h /a%2fb", true),
        Row(#"http.path.segments.0 == "a""#, "GET h /a/b/c", true),
        Row(#"http.path.segments.2 == "c""#, "GET h /a/b/c", true),
        Row(#"http.path.segments.2 == "c""#, "GET h /a/b/c/", true),
        Row(#"http.path.segments.3 == """#, "GET h /a/b/c/", false),
        Row(#"http.path.segments.3 != "x""#, "GET h /a/b/c", false),
        Row(#"http.path.segments.0 != "x""#, "GET h /", false),
        Row(#"http.path.segments.1 ^= "b""#, "GET h /a/bc", true),
        Row(#"http.path.segments.0 ^= "ab""#, "GET h /a/bc", false),
        Row(#"http.path.segments.0_1 == "a/b""#, "GET h /a/b/c", true),
        Row(#"http.path.segments.1_2 == "b/c""#, "GET h /a/b/c/", true),
        Row(#"http.path.segments.1_3 == "b/c""#, "GET h /a/b/c/", false),
        Row(#"http.path.segments.0_1 != "x""#, "GET h /a", false),
        Row(##"http.path.segments.1_2 ~ r#"^b/\d$"#"##, "GET h /a/b/7/c", true),
        Row("http.path.segments.len == 0", "GET h /", true),
        Row("http.path.segments.len == 3", "GET h /a/b/c", true),
        Row("http.path.segments.len == 3", "GET h /a/b/c/", true),
        Row("http.path.segments.len > 3", "GET h /a/b/c", false),
    ]

    static let several: [Row] = [
        Row(#"http.headers.x_foo == "1""#, "GET h / X-Foo:1", true),
        Row(#"http.headers.x_foo == "1""#, "GET h / x_foo:1", true),
        Row(#"http.headers.X_Foo == "1""#, "GET h / x-foo:1", true),
        Row(#"http.headers.x_foo == "a""#, "GET h / X-Foo:A", false),
        Row(#"lower(http.headers.x_foo) == "a""#, "GET h / X-Foo:A", true),
        Row(#"http.headers.x_foo != "1""#, "GET h / X-Bar:2", false),
        Row(#"http.headers.x_foo == """#, "GET h / X-Foo:", true),
        Row(#"http.headers.x_foo == "1""#, "GET h / X-Foo:1 X-Foo:1", true),
        Row(#"http.headers.x_foo == "1""#, "GET h / X-Foo:1 X-Foo:2", false),
        Row(#"any(http.headers.x_foo) == "1""#, "GET h / X-Foo:2 X-Foo:1", true),
        Row(#"any(http.headers.x_foo) == "1""#, "GET h / X-Foo:2 X-Foo:3", false),
        Row(#"any(http.headers.x_foo) == "1""#, "GET h / X-Bar:1", false),
        Row(#"http.headers.x_foo != "1""#, "GET h / X-Foo:2 X-Foo:3", true),
        Row(#"http.headers.x_foo != "1""#, "GET h / X-Foo:2 X-Foo:1", false),
        Row(#"any(http.headers.x_foo) != "1""#, "GET h / X-Foo:2 X-Foo:1", true),
        Row(#"any(http.headers.x_foo) != "1""#, "GET h / X-Foo:1 X-Foo:1", false),
        Row(##"http.headers.x_foo ~ r#"bar\d"#"##, "GET h / X-Foo:bar1 X-Foo:bar2", true),
        Row(##"http.headers.x_foo ~ r#"bar\d"#"##, "GET h / X-Foo:bar1 X-Foo:baz", false),
        Row(##"any(lower(http.headers.x_foo)) ~ r#"bar\d"#"##, "GET h / X-Foo:BAR1 X-Foo:baz", true),
        Row(##"lower(any(http.headers.x_foo)) ~ r#"bar\d"#"##, "GET h / X-Foo:BAR1 X-Foo:baz", true),
        Row(#"any(any(lower(lower(http.headers.x_foo)))) ^= "ba""#, "GET h / X-Foo:BAR1 X-Foo:x", true),
        Row(#"any(http.method) == "GET""#, "GET h /", true),
        Row(#"http.queries.a == "1""#, "GET h /?a=1", true),
        Row(#"http.queries.a == "1""#, "GET h /?b=2&a=1", true),
        Row(#"http.queries.a == "1""#, "GET h /?A=1", false),
        Row(#"http.queries.a == """#, "GET h /?a", true),
        Row(#"http.queries.a == """#, "GET h /?a=", true),
        Row(#"http.queries.a != "x""#, "GET h /?a", true),
        Row(#"http.queries.a != "x""#, "GET h /", false),
        Row(#"http.queries.a != "x""#, "GET h /?", false),
        Row(#"http.queries.a == "1""#, "GET h /?a=1&a=2", false),
        Row(#"any(http.queries.a) == "2""#, "GET h /?a=1&a=2", true),
        Row(#"http.queries.a == "x y""#, "GET h /?a=x+y", true),
        Row(#"http.queries.a == "x y&z""#, "GET h /?a=x%20y%26z", true),
        Row(#"http.queries.a == "1=2""#, "GET h /?a=1=2", true),
        Row(#"http.queries.a_b == "1""#, "GET h /?%61_b=1", true),
        Row(#"http.queries.a == "%zz%4""#, "GET h /?a=%zz%4", true),
        Row(#"http.queries.a.b == "1""#, "GET h /?a.b=1", true),
        Row(#"http.queries.a == "1""#, "GET h /a=1", false),
        Row(#"lower(http.path) == "/abc""#, "GET h /AbC", true),
        Row(#"lower(http.path) == "/ABC""#, "GET h /ABC", false),
        Row(#"lower(http.path) == "/é/ß/ω""#, "GET h /%C3%89/%C3%9F/%CE%A9", true),
        // The Kelvin sign is not to pass for a k.
        Row(#"lower(http.headers.x) == "k""#, "GET h / x:\u{212A}", false),
        Row(#"lower(http.method) == "get""#, "GET h /", true),
        Row(##"lower(http.path) ~ r#"^/abc$"#"##, "GET h /ABC", true),
    ]

    static let logic: [Row] = [
        Row(#"http.method == "GET" && http.path == "/a""#, "GET h /a", true),
        Row(#"http.method == "GET" && http.path == "/a""#, "GET h /b", false),
        Row(#"http.method == "GET" || http.path == "/a""#, "PUT h /a", true),
        Row(#"http.method == "GET" || http.path == "/a""#, "PUT h /b", false),
        Row(#"!(http.method == "GET")"#, "PUT h /", true),
        Row(#"! ( http.method == "GET" )"#, "GET h /", false),
        Row(#"!(!(http.method == "GET"))"#, "GET h /", true),
        // An absent value makes a predicate false, so the opposite of it is true.
        Row(#"!(http.headers.x == "1")"#, "GET h /", true),
        Row(#"!(http.headers.x != "1")"#, "GET h /", true),
        // || binds tighter: a && (b || c).
        Row(#"http.method == "PUT" && http.path == "/x" || http.path == "/a""#, "GET h /a", false),
        Row(#"http.method == "GET" && http.path == "/x" || http.path == "/a""#, "GET h /a", true),
        // (a || b) && c.
        Row(#"http.path == "/a" || http.path == "/x" && http.method == "PUT""#, "GET h /a", false),
        Row(#"(http.method == "PUT" && http.path == "/x") || http.path == "/a""#, "GET h /a", true),
        Row(#"http.path == "/a" || (http.path == "/x" && http.method == "PUT")"#, "GET h /a", true),
        Row(#"!(http.path == "/a" || http.path == "/b") && http.method == "GET""#, "GET h /c", true),
        Row(#"!(http.path == "/a" && http.method == "PUT")"#, "GET h /a", true),
        Row(#"((((http.path == "/a"))))"#, "GET h /a", true),
        Row(#"(http.path ^= "/a" || http.path ^= "/b") && (http.host == "h" || http.host == "g")"#, "GET g /b", true),
        Row(#"(http.path ^= "/a" || http.path ^= "/b") && (http.host == "h" || http.host == "g")"#, "GET x /b", false),
    ]

    @Test("a predicate holds or not", arguments: operators + literals + fields + several + logic)
    func row(_ row: Row) throws {
        let table = try RouteTable(routes: [expressionRoute(row.expression)])
        let outcome = row.request.match(table, MatchResult(), Buffer(capacity: 4096))
        #expect(outcome == (row.holds ? .matched : .notFound))
        // What is printed means the same.
        let printed = try RouteExpression(parsing: row.expression, domain: .http).description
        let again = try RouteTable(routes: [expressionRoute(printed)])
        #expect(row.request.match(again, MatchResult(), Buffer(capacity: 4096)) == outcome, "printed as \(printed)")
    }

    @Test(
        "protocols are part of the condition, except https alone",
        arguments: [
            (Protocols.http, "GET h /", MatchOutcome.matched), (.http, "GET h / tls", .notFound),
            (.https, "GET h / tls", .matched), (.https, "GET h /", .httpsRequired(status: 426)),
            ([.http, .https], "GET h /", .matched), ([.http, .https], "GET h / tls", .matched),
            (.grpc, "GET h / tls", .notFound), (.grpcs, "GET h /", .notFound),
            (.grpc, "GET h /", .notGRPC), (.grpcs, "GET h / tls", .notGRPC),
            ([.grpc, .grpcs], "GET h / tls", .notGRPC),
        ] as [(Protocols, String, MatchOutcome)])
    func protocols(_ protocols: Protocols, request: String, outcome: MatchOutcome) throws {
        var route = expressionRoute(#"http.path ^= "/""#)
        route.protocols = protocols
        let table = try RouteTable(routes: [route])
        #expect(ExpressionRequest(request).match(table, MatchResult(), Buffer(capacity: 256)) == outcome)
    }

    @Test("expressions of streams see addresses, ports, protocol and server name")
    func streams() throws {
        let expressions = CompiledExpressions()
        let text =
            #"net.src.ip in 10.0.0.0/8 && net.dst.port == 5432 && tls.sni == "DB.example" && net.protocol == "tls""#
        let number = try expressions.add(text, domain: .stream, protocols: [.tcp, .tls])
        let memory = ExpressionMemory()
        var values = ExpressionValues(
            networkProtocol: Bytes("tls"), serverName: Bytes("db.example"), source: IPAddress(v4: 0x0A00_0001),
            sourcePort: 9, destination: IPAddress(v4: 1), destinationPort: 5432)
        #expect(expressions.holds(number, values, memory))
        values.destinationPort = 5433
        #expect(!expressions.holds(number, values, memory))
        values.destinationPort = 5432
        values.networkProtocol = Bytes("udp")
        #expect(!expressions.holds(number, values, memory))
    }
}
