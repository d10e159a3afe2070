// Random routes and random requests: the table and the reference never disagree.

import Bytes
import Snapshot
import Testing

struct RandomRoutingTests {
    static let hosts = [
        "a.com", "b.com", "x.a.com", "A.com", "*.a.com", "*.com", "a.*", "x.*", "x.a.*", "a.com:80", "a.com:8000",
        "*.a.com:8080", "x.*:80", "y.x.a.com", "a.com.", "*.a.com.", "a.com.:80",
    ]
    static let sentHosts = [
        "a.com", "b.com", "x.a.com", "X.A.com", "y.x.a.com", "c.com", "a.org", "x.org", "", "a.com:80",
        "a.com:8080", "x.a.com:8080", "x.b:80", ".a.com", "a.com.", "a.com:", "localhost",
        "A.com.:80", "x.a.com.", "x.a.com.:8080", "x.", "a.", ".", "a.com..", "a.com:.",
    ]
    static let paths = [
        "/", "/a", "/b", "/ab", "/a/", "/a/b", "/a/bc", "/abc/d", "/a/b/c/d/e/f/g", "~/a", "~/a/\\d+", "~/a/b",
        "~/(?<first>[a-z]+)/(b)?", "~/a$", "~/b|/a", "~/a/(?<n>[0-9]+)/x$", "~/[^/]+/b", "~/ab?", "~/a\\.b", "~/.*",
    ]
    static let targets = [
        "/", "/a", "/b", "/ab", "/abc", "/a/", "/a/b", "/a/b?x=1", "/a/12", "/a/12/x?", "/a/12/y", "/abc/d/e", "/z",
        "/a/b/c/d/e/f/g/h", "/a/./b", "/a/../b", "//a", "/%61/b", "/a%2fb", "/a.b", "/a..", "/zz/b", "/a/%c3%a9",
        "/a/%ff", "/a/b/..", "/c/ab",
    ]
    static let names = ["x-a", "x_b", "X-C"]
    static let values = ["1", "2", "One", "~*^o", "~*\\d", "three"]

    static func route(_ random: inout SeededRandom, services: Int) -> Route {
        var route = Route()
        route.id = ID(high: random.next() & 7, low: random.next() & 0xFF)
        repeat {
            route.methods = random.chance(30) ? random.some(["GET", "POST", "PUT", "BREW"], atMost: 3) : []
            route.hosts = random.chance(40) ? random.some(hosts, atMost: 3) : []
            route.paths = random.chance(75) ? random.some(paths, atMost: 4) : []
            route.serverNames =
                random.chance(20) ? random.some(["a.com", "*.a.com", "x.*", "b.com."], atMost: 2) : []
            route.headers = []
            if random.chance(35) {
                let count = 1 + Int(random.next() % 2)
                for name in names.shuffled(using: &random).prefix(count) {
                    route.headers.append(HeaderRule(name: name, values: random.some(values, atMost: 2)))
                }
            }
        } while route.methods.isEmpty && route.hosts.isEmpty && route.paths.isEmpty && route.headers.isEmpty
            && route.serverNames.isEmpty
        route.regexPriority = random.chance(30) ? Int(random.next() % 3) : 0
        route.stripPath = random.chance(60)
        route.pathHandling = random.chance(30) ? .v1 : .v0
        route.service = Int(random.next() % UInt64(services + 1)) - 1
        if random.chance(15) { route.protocols = [.https] }
        if random.chance(5) { route.protocols = [.tcp] }
        if random.chance(20) { route.httpsRedirectStatus = 301 }
        return route
    }

    static func request(_ random: inout SeededRandom) -> ReferenceRequest {
        var request = ReferenceRequest()
        request.method = random.one(["GET", "POST", "PUT", "BREW", "get", "PATCH"])
        request.host = random.one(sentHosts)
        request.target = random.one(targets)
        request.isTLS = random.chance(40)
        request.serverName = random.one(["a.com", "x.a.com", "x.org", "b.com", "", "A.COM."])
        request.port = random.one([80, 8000, 8080])
        if random.chance(60) {
            for name in random.some(["X-A", "x_a", "X-B", "x-c", "Other", "X_C"], atMost: 4) {
                request.headers.append((name, random.one(["1", "2", "ONE", "three", "x", "o9", ""])))
            }
        }
        return request
    }

    @Test("the table answers as the reference does, for small and large random tables")
    func agrees() throws {
        let seed = announcedSeed("random routing")
        var random = SeededRandom(state: seed)
        var services: [Service] = []
        for path in ["", "/", "/s", "/s/", "/s/t%20u"] {
            var service = Service()
            service.path = path
            services.append(service)
        }
        let result = MatchResult()
        var matched = 0
        for round in 0..<120 {
            let count = round % 4 == 0 ? 150 : 1 + Int(random.next() % 12)
            var ids: Set<ID> = []
            var routes: [Route] = []
            while routes.count < count {
                let route = Self.route(&random, services: services.count)
                if ids.insert(route.id).inserted { routes.append(route) }
            }
            let table = try RouteTable(routes: routes, seed: random.next())
            let reference = ReferenceRouter(routes, services)
            for _ in 0..<60 {
                let request = Self.request(&random)
                let expected = reference.answer(request)
                let actual = tableAnswer(table, routes, services, request, result)
                if expected.route != nil { matched += 1 }
                #expect(
                    actual == expected,
                    "seed \(seed) round \(round): \(request)\n\(expected.route.map { routes[$0] } as Any)")
                if actual != expected { return }
            }
        }
        #expect(matched > 1000, "the requests are chosen so that most find a route")
    }

    @Test("normalising agrees with the rule-by-rule reference on random spellings")
    func normalises() {
        let seed = announcedSeed("random paths")
        var random = SeededRandom(state: seed)
        let pieces = [
            "/", "/", "/", ".", "..", "a", "b.c", "%2e", "%2E", "%2f", "%2F", "%61", "%C3%A9", "%25", "%", "%4", "%zz",
            "%00", ";x", "+", "%20", "\\", "%5c", "é", "~", "%7e", "?", "//",
        ]
        let buffer = Buffer(capacity: 64)
        for _ in 0..<20_000 {
            var raw: [UInt8] = random.chance(95) ? [0x2F] : []
            for _ in 0..<Int(random.next() % 9) { raw += Array(random.one(pieces).utf8) }
            let expected = NaivePath.normalize(raw)
            let actual = raw.withBytes { PathNormalizer.normalize($0, into: buffer).array }
            #expect(actual == expected, "seed \(seed): \(String(decoding: raw, as: UTF8.self))")
            let escaped = Buffer(capacity: 64)
            actual.withBytes { PathNormalizer.escape($0, to: escaped) }
            #expect(escaped.readable.string == NaivePath.escape(expected))
            let valid = String(validating: actual, as: UTF8.self) != nil
            #expect(actual.withBytes { PathNormalizer.isUTF8($0) } == valid)
            if actual != expected { return }
        }
    }
}
