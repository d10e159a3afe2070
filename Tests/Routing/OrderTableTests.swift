// Which route answers, row by row from Kong's rules. Routes are written as
//     name hosts=a,b paths=/x,~/y methods=GET headers=n:v|w;m:v snis=s prio=1 id=3 protocols=https
// and requests as
//     METHOD host target [https] [sni=s] [port=n] [Header:value ...]      (`-`: no host)

import Bytes
import Explain
import Snapshot
import Testing

struct OrderTableTests {
    struct Row: Sendable, CustomStringConvertible {
        var why: String
        var routes: [String]
        /// Request, and the name of the route that answers (`-`: none).
        var asks: [(String, String)]
        var description: String { why }
    }

    static let rows: [Row] = [
        Row(
            why: "prefixes are byte prefixes", routes: ["a paths=/foo"],
            asks: [
                ("GET - /foo", "a"), ("GET - /foobar", "a"), ("GET - /foo/bar", "a"), ("GET - /fo", "-"),
                ("GET - /Foo", "-"), ("GET - /x/foo", "-"), ("GET - /foo?x=1", "a"), ("GET - //foo", "a"),
                ("GET - /%66oo", "a"), ("GET - /x/../foo", "a"),
            ]),
        Row(
            why: "the longest prefix wins",
            routes: ["a paths=/", "b paths=/foo", "c paths=/foo/bar", "d paths=/foo/ba"],
            asks: [
                ("GET - /", "a"), ("GET - /fo", "a"), ("GET - /foo", "b"), ("GET - /foo/b", "b"),
                ("GET - /foo/ba", "d"), ("GET - /foo/baz", "d"), ("GET - /foo/bar", "c"), ("GET - /foo/barx", "c"),
            ]),
        Row(
            why: "each path of a route has its own length", routes: ["a paths=/,/foo/bar", "b paths=/foo"],
            asks: [("GET - /", "a"), ("GET - /foo", "b"), ("GET - /foo/bar", "a"), ("GET - /foo/ba", "b")]),
        Row(
            why: "any regex beats any prefix", routes: ["a paths=/foo/bar/baz", "b paths=~/f"],
            asks: [("GET - /foo/bar/baz", "b"), ("GET - /f", "b"), ("GET - /g", "-")]),
        Row(
            why: "regex_priority ranks regexes, and never prefixes",
            routes: ["a paths=~/foo id=9", "b paths=~/foo/ prio=5 id=1", "c paths=/foo/bar prio=900"],
            asks: [("GET - /foo", "a"), ("GET - /foo/", "b"), ("GET - /foo/bar", "b"), ("GET - /fo", "-")]),
        Row(
            why: "a large regex_priority stays below the kinds of matcher",
            routes: ["a paths=~/foo prio=100000", "b paths=/foo methods=GET"],
            asks: [("GET - /foo", "b"), ("POST - /foo", "a")]),
        Row(
            why: "a negative regex_priority ranks below none",
            routes: ["a paths=~/foo prio=-1 id=9", "b paths=~/fo id=1", "c paths=/foo"],
            asks: [("GET - /foo", "b"), ("GET - /fo", "b")]),
        Row(
            why: "regexes are anchored at the start and open at the end", routes: ["a paths=~/foo/\\d+"],
            asks: [
                ("GET - /foo/1", "a"), ("GET - /foo/1x", "a"), ("GET - /x/foo/1", "-"), ("GET - /foo/", "-"),
                ("GET - /foo/x1", "-"),
            ]),
        Row(
            why: "$ is the very end", routes: ["a paths=~/foo$"],
            asks: [("GET - /foo", "a"), ("GET - /foo?x", "a"), ("GET - /foo/", "-"), ("GET - /foo%0a", "-")]),
        Row(
            why: "only the first alternative of a bare | is anchored", routes: ["a paths=~/foo|/bar"],
            asks: [("GET - /foo", "a"), ("GET - /bar", "a"), ("GET - /x/bar", "a"), ("GET - /x/foo", "-")]),
        Row(
            why: "an alternative in a group is anchored", routes: ["a paths=~/(foo|bar)"],
            asks: [("GET - /foo", "a"), ("GET - /bar", "a"), ("GET - /x/bar", "-")]),
        Row(
            why: "quantifiers on the last literal are respected",
            routes: ["a paths=~/ab?c", "b paths=~/xy*z", "c paths=~/p{2}q"],
            asks: [
                ("GET - /ac", "a"), ("GET - /abc", "a"), ("GET - /xz", "b"), ("GET - /xyyz", "b"), ("GET - /ppq", "c"),
                ("GET - /pq", "-"),
            ]),
        Row(
            why: "a route split by paths is asked in both places",
            routes: ["a paths=/foo,~/foo/\\d", "b paths=/foo/1"],
            asks: [("GET - /foo/1", "a"), ("GET - /foo", "a"), ("GET - /foo/x", "a")]),
        Row(
            why: "ties go to the larger id", routes: ["a paths=/foo id=1", "b paths=/foo id=3", "c paths=/foo id=2"],
            asks: [("GET - /foo", "b")]),
        Row(
            why: "more kinds of matcher win over everything below",
            routes: ["a paths=/foo/bar", "b paths=/ methods=GET", "c hosts=h paths=/ methods=GET", "d headers=x:1"],
            asks: [
                ("GET - /foo/bar", "b"), ("POST - /foo/bar", "a"), ("GET h /foo/bar", "c"), ("GET h /foo/bar x:1", "c"),
                ("POST h /foo/bar x:1", "d"), ("POST - /foo", "-"),
            ]),
        Row(
            why: "plain hosts beat headers in number",
            routes: ["a hosts=h headers=x:1", "b headers=x:1;y:1 methods=GET"],
            asks: [("GET h / x:1 y:1", "a"), ("GET g / x:1 y:1", "b")]),
        Row(
            why: "plain hosts beat wildcards", routes: ["a hosts=*.a.com id=9", "b hosts=x.a.com id=1"],
            asks: [("GET x.a.com /", "b"), ("GET y.a.com /", "a"), ("GET a.com /", "-"), ("GET x.y.a.com /", "a")]),
        Row(
            why: "one wildcard among the hosts costs the plain bit", routes: ["a hosts=h,*.x id=9", "b hosts=h id=1"],
            asks: [("GET h /", "b"), ("GET y.x /", "a")]),
        Row(
            why: "no hosts rank as wildcard hosts, below plain ones",
            routes: ["a hosts=*.x id=1", "b paths=/ id=9", "c methods=GET id=0"],
            asks: [("GET y.x /", "b"), ("POST y.x /", "b"), ("GET z /", "b"), ("GET y.x x", "a")]),
        Row(
            why: "wildcards at either end", routes: ["a hosts=*.example.com", "b hosts=example.*"],
            asks: [
                ("GET www.example.com /", "a"), ("GET a.b.example.com /", "a"), ("GET example.com /", "b"),
                ("GET example.org /", "b"), ("GET example.co.uk /", "b"), ("GET example /", "-"),
                ("GET xexample.com /", "-"), ("GET .example.com /", "a"),
            ]),
        Row(
            why: "hosts compare in any case", routes: ["a hosts=Example.COM", "b hosts=*.Example.org"],
            asks: [("GET example.com /", "a"), ("GET EXAMPLE.com /", "a"), ("GET WWW.EXAMPLE.ORG /", "b")]),
        Row(
            why: "a host without a port matches any port", routes: ["a hosts=h"],
            asks: [("GET h /", "a"), ("GET h:80 /", "a"), ("GET h:8080 /", "a"), ("GET h. /", "a"), ("GET h:x /", "-")]),
        Row(
            why: "one dot at the end of a host names the root, and makes no other host of it",
            routes: ["a hosts=h.x", "b hosts=*.y", "c hosts=z.*", "d hosts=p.x:81", "e hosts=q.x.", "f hosts=*.r."],
            asks: [
                ("GET h.x. /", "a"), ("GET H.X. /", "a"), ("GET h.x.:80 /", "a"), ("GET h.x.. /", "-"),
                ("GET . /", "-"), ("GET h.x:80. /", "-"), ("GET a.y. /", "b"), ("GET a.y.:80 /", "b"),
                ("GET a.y.. /", "-"), ("GET y. /", "-"), ("GET z.com. /", "c"), ("GET z. /", "-"),
                ("GET z.com.:8000 /", "c"), ("GET p.x.:81 /", "d"), ("GET p.x. / port=81", "d"),
                ("GET p.x.:82 /", "-"), ("GET q.x /", "e"), ("GET q.x. /", "e"), ("GET a.r /", "f"),
                ("GET a.r.:1 /", "f"),
            ]),
        Row(
            why: "a host with a port wants that port, else the listener's", routes: ["a hosts=h:8080"],
            asks: [("GET h:8080 /", "a"), ("GET h /", "-"), ("GET h / port=8080", "a"), ("GET h:80 / port=8080", "-")]),
        Row(
            why: "a wildcard may have a port", routes: ["a hosts=*.x:81", "b hosts=x.*:82"],
            asks: [("GET y.x:81 /", "a"), ("GET y.x /", "-"), ("GET x.y:82 /", "b"), ("GET x.y:81 /", "-")]),
        Row(why: "without a host, hosts never match", routes: ["a hosts=h", "b hosts=*.x"], asks: [("GET - /", "-")]),
        Row(
            why: "methods are exact", routes: ["a methods=GET,BREW"],
            asks: [("GET - /", "a"), ("BREW - /", "a"), ("get - /", "-"), ("POST - /", "-"), ("HEAD - /", "-")]),
        Row(
            why: "all header names must match, one value each", routes: ["a headers=x:1|2;y:3"],
            asks: [
                ("GET - / x:1 y:3", "a"), ("GET - / x:2 y:3", "a"), ("GET - / x:1", "-"), ("GET - / y:3", "-"),
                ("GET - / x:3 y:3", "-"), ("GET - / x:0 x:2 y:3", "a"),
            ]),
        Row(
            why: "header names fold case and -, values fold case", routes: ["a headers=x-one:abc"],
            asks: [
                ("GET - / X-One:abc", "a"), ("GET - / x_one:ABC", "a"), ("GET - / xone:abc", "-"),
                ("GET - / x-one:abcd", "-"),
            ]),
        Row(
            why: "a header value may be a regex on the lower-cased value",
            routes: ["a headers=x:~*^v\\d+$", "b headers=y:~*mid|z"],
            asks: [
                ("GET - / x:v1", "a"), ("GET - / x:V12", "a"), ("GET - / x:av1", "-"), ("GET - / y:aMIDb", "b"),
                ("GET - / y:Z", "b"), ("GET - / y:q", "-"),
            ]),
        Row(
            why: "more header names win; values do not count",
            routes: ["a headers=x:1|2|3 id=9", "b headers=x:1;y:1 id=1"],
            asks: [("GET - / x:1 y:1", "b"), ("GET - / x:1", "a")]),
        Row(
            why: "header count beats regex", routes: ["a headers=x:1;y:1 paths=/f", "b headers=x:1 paths=~/f prio=9"],
            asks: [("GET - /f x:1 y:1", "a"), ("GET - /f x:1", "b")]),
        Row(
            why: "server names are compared on TLS only", routes: ["a snis=s.com", "b snis=*.t.com", "c snis=u.*"],
            asks: [
                ("GET - / https sni=s.com", "a"), ("GET - / https sni=S.com", "a"), ("GET - / https sni=x.t.com", "b"),
                ("GET - / https sni=u.org", "c"), ("GET - / https sni=v", "-"), ("GET - / https", "-"),
            ]),
        Row(
            why: "without TLS a server name is no obstacle", routes: ["a snis=s.com id=1", "b snis=t.com id=2"],
            asks: [("GET - /", "b")]),
        Row(
            why: "a trailing dot of a server name is dropped", routes: ["a snis=s.com."],
            asks: [("GET - / https sni=s.com", "a"), ("GET - / https sni=s.com.", "a")]),
        Row(
            why: "a server name counts as a kind of matcher", routes: ["a paths=/ snis=s.com", "b paths=/foo"],
            asks: [("GET - /foo https sni=s.com", "a"), ("GET - /foo https sni=x", "b"), ("GET - /foo", "a")]),
        Row(
            why: "stream routes are left out", routes: ["a protocols=tcp snis=s", "b paths=/"],
            asks: [("GET - / https sni=s", "b")]),
    ]

    @Test("the right route answers", arguments: rows)
    func order(row: Row) throws {
        let routes = row.routes.map { Self.route($0) }
        let table = try RouteTable(routes: routes)
        let reference = ReferenceRouter(routes)
        let result = MatchResult()
        for (ask, name) in row.asks {
            let request = Self.request(ask)
            let answer = tableAnswer(table, routes, [], request, result)
            #expect(answer.route.map { routes[$0].name } ?? "-" == name, "\(ask)")
            // The reference has no word on negative priorities.
            if !routes.contains(where: { $0.regexPriority < 0 }) {
                #expect(answer == reference.answer(request), "\(ask)")
            }
        }
    }

    @Test("the tables together hold more than 200 rows")
    func rowCount() {
        let asks = Self.rows.reduce(0) { $0 + $1.asks.count }
        #expect(asks + PathTableTests.spellings.count + PathTableTests.joins.count >= 200)
        #expect(asks >= 120)
    }

    @Test("a route for https only answers 426 or redirects, and never loses the match")
    func httpsOnly() throws {
        var route = Self.route("a paths=/ protocols=https")
        let result = MatchResult()
        var answer = tableAnswer(try RouteTable(routes: [route]), [route], [], Self.request("GET h /x"), result)
        #expect(answer.status == "https 426")
        route.httpsRedirectStatus = 301
        answer = tableAnswer(try RouteTable(routes: [route]), [route], [], Self.request("GET h /x"), result)
        #expect(answer.status == "https 301")
        answer = tableAnswer(try RouteTable(routes: [route]), [route], [], Self.request("GET h /x https"), result)
        #expect(answer.status == "matched")
    }

    @Test(
        "gRPC routes refuse what is not gRPC over HTTP/2",
        arguments: [
            (Protocols.grpc, "application/grpc+proto", true, false, MatchOutcome.matched),
            (.grpc, "application/grpc", false, false, .http2Required), (.grpc, "text/plain", true, false, .notGRPC),
            (.grpcs, "application/grpc", true, false, .grpcsRequired),
            (.grpcs, "application/grpc", true, true, .matched),
        ])
    func grpc(protocols: Protocols, type: String, isHTTP2: Bool, isTLS: Bool, expected: MatchOutcome) throws {
        var route = Route()
        route.paths = ["/"]
        route.protocols = protocols
        let headers = TestHeaders([("content-type", type)])
        let outcome = try RouteTable(routes: [route]).match(
            MatchRequest(method: Bytes("POST"), host: .empty, target: Bytes("/s/m"), isTLS: isTLS, isHTTP2: isHTTP2),
            headers: headers, into: MatchResult())
        #expect(outcome == expected)
    }

    @Test("a pattern that would backtrack for ever does not match, and is counted")
    func limit() throws {
        var route = Route()
        route.paths = ["~/(a+)+$"]
        let table = try RouteTable(routes: [route])
        let result = MatchResult()
        let target = "/" + String(repeating: "a", count: 60) + "!"
        let outcome = target.withBytes {
            table.match(
                MatchRequest(method: Bytes("GET"), host: .empty, target: $0), headers: NoHeaders(), into: result)
        }
        #expect(outcome == .notFound)
        #expect(result.patternLimitHits == 1)
    }

    @Test("a pattern that does not compile is refused with its route")
    func badPattern() {
        var route = Route()
        route.paths = ["~/(a"]
        #expect(throws: RouteTableError.self) { try RouteTable(routes: [Route(), route]) }
    }

    @Test("ids of split routes are version 5 UUIDs")
    func partIDs() throws {
        let dns = try #require(ID("6ba7b810-9dad-11d1-80b4-00c04fd430c8"))
        // The example of RFC 9562, appendix A.4.
        #expect("\(ID(namespace: dns, name: Bytes("www.example.com")))" == "2ed6657d-e927-568b-95e1-2665a8aea6a2")
    }

    static func route(_ text: String) -> Route {
        var route = Route()
        for (at, word) in text.split(separator: " ").enumerated() {
            let parts = word.split(separator: "=", maxSplits: 1).map { String($0) }
            if at == 0 {
                route.name = parts[0]
                route.id = ID(high: 0, low: UInt64(route.name.utf8.first ?? 0))
                continue
            }
            let values = parts[1].split(separator: ",").map { String($0) }
            switch parts[0] {
            case "hosts": route.hosts = values
            case "paths": route.paths = values
            case "methods": route.methods = values
            case "snis": route.serverNames = values
            case "prio": route.regexPriority = Int(parts[1]) ?? 0
            case "id": route.id = ID(high: UInt64(parts[1]) ?? 0, low: route.id.low)
            case "protocols": route.protocols = parts[1] == "tcp" ? .tcp : .https
            default:
                route.headers = parts[1].split(separator: ";").map {
                    let pair = $0.split(separator: ":", maxSplits: 1)
                    let values =
                        pair[1].hasPrefix("~*") ? [String(pair[1])] : pair[1].split(separator: "|").map { String($0) }
                    return HeaderRule(name: String(pair[0]), values: values)
                }
            }
        }
        return route
    }

    static func request(_ text: String) -> ReferenceRequest {
        let words = text.split(separator: " ").map { String($0) }
        var request = ReferenceRequest()
        request.method = words[0]
        request.host = words[1] == "-" ? "" : words[1]
        request.target = words[2]
        for word in words.dropFirst(3) {
            if word == "https" {
                request.isTLS = true
            } else if word.hasPrefix("sni=") {
                request.serverName = String(word.dropFirst(4))
            } else if word.hasPrefix("port=") {
                request.port = Int(word.dropFirst(5)) ?? 0
            } else {
                let pair = word.split(separator: ":", maxSplits: 1).map { String($0) }
                request.headers.append((pair[0], pair[1]))
            }
        }
        return request
    }
}
