// Random expressions: printed, read back and compiled they mean what the slow reference says.

import Bytes
import Snapshot
import Testing

struct RandomExpressionTests {
    @Test("an expression that is printed reads back as equal, and prints the same")
    func prints() throws {
        let seed = announcedSeed("printed expressions")
        var random = SeededRandom(state: seed)
        for round in 0..<3000 {
            let expression = RouteExpression(RandomExpressions.node(&random, depth: Int(random.next() % 6)))
            let text = expression.description
            let again = try RouteExpression(parsing: text, domain: .http)
            #expect(again == expression, "seed \(seed) round \(round): \(text)")
            #expect(again.description == text)
            if again != expression { return }
        }
    }

    /// Many routes at once, so that the index has something to leave out; the reference tries them one by one.
    @Test("the table answers as the reference does, whatever it leaves out")
    func agrees() throws {
        let seed = announcedSeed("random expressions")
        var random = SeededRandom(state: seed)
        let result = MatchResult()
        let memory = Buffer(capacity: 4096)
        var matched = 0
        for round in 0..<150 {
            let count = round % 5 == 0 ? 200 : 1 + Int(random.next() % 12)
            var routes: [Route] = []
            var nodes: [RouteExpression.Node] = []
            for number in 0..<count {
                // Most expressions are conjunctions, as people write them.
                var node = RandomExpressions.node(&random, depth: Int(random.next() % 4))
                if random.chance(60) {
                    let more = (0..<1 + Int(random.next() % 3)).map { _ in RandomExpressions.node(&random, depth: 1) }
                    node = RandomExpressions.join([node] + more, isAll: true)
                }
                nodes.append(node)
                var route = expressionRoute(
                    RouteExpression(node).description, priority: Int(random.next() % 4), number: UInt64(number))
                if random.chance(20) { route.protocols = random.one([.http, .https]) }
                routes.append(route)
            }
            let table = try RouteTable(routes: routes, flavour: .expressions, seed: random.next())
            let order = routes.indices.sorted { (routes[$0].priority, $0) > (routes[$1].priority, $1) }
            for _ in 0..<40 {
                let request = RandomExpressions.request(&random)
                let expected = order.first { index in
                    var naive = NaiveExpressions(request)
                    return naive.holds(nodes[index]) && (routes[index].protocols != .http || !request.isTLS)
                }
                let outcome = request.match(table, result, memory)
                let where_ =
                    "seed \(seed) round \(round): \(request)\n\(expected.map { routes[$0].expression } ?? "none")"
                #expect(
                    result.route == expected ?? -1,
                    "\(where_)\nfound \(result.route < 0 ? "none" : routes[result.route].expression)")
                #expect((outcome == .notFound) == (expected == nil))
                guard result.route == expected ?? -1 else { return }
                guard let expected else { continue }
                matched += 1
                var naive = NaiveExpressions(request)
                _ = naive.holds(nodes[expected])
                #expect(result.prefixCount == naive.prefix ?? -1, "\(where_)")
            }
        }
        #expect(matched > 2000, "the requests are chosen so that many find a route, not \(matched)")
    }

    @Test(
        "of thousands of routes the index leaves few to be evaluated",
        arguments: [
            "http.path ^= \"/p%/\"", "http.host == \"h%.example\"", "http.method == \"GET\" && http.path == \"/p%/x\"",
            "(http.host == \"h%.example\" || http.host == \"g%.example\") && http.method == \"GET\"",
            "http.path ~ r#\"^/p%/(\\w+)$\"#", "any(lower(http.headers.x_tenant)) == \"t%\" && http.path ^= \"/\"",
            "http.path.segments.0 == \"p%\"", "tls.sni == \"h%.example\" && http.path ^= \"/\"",
        ])
    func index(template: String) throws {
        let count = 3000
        let routes = (0..<count).map { number in
            expressionRoute(template.replacing("%", with: "\(number)"), number: UInt64(number))
        }
        let table = try RouteTable(routes: routes)
        let result = MatchResult()
        let memory = Buffer(capacity: 256)
        for number in [0, 1, 1499, 2999] {
            let request = ExpressionRequest(
                "GET h\(number).example /p\(number)/x X-Tenant:T\(number) sni=h\(number).example")
            let before = result.expressionsTried
            #expect(request.match(table, result, memory) == .matched)
            #expect(result.route == number)
            #expect(result.expressionsTried - before <= 8)
        }
    }
}
