// What `gateway match` says.

import Explain
import Snapshot
import Testing

struct ExplainTests {
    private func snapshot(_ routes: [String], upstream: Bool = false, hostHeader: String = "") -> Snapshot {
        var snapshot = Snapshot()
        snapshot.routes = routes.map { OrderTableTests.route($0) }
        for index in snapshot.routes.indices { snapshot.routes[index].service = 0 }
        var service = Service()
        service.name = "orders"
        service.host = "orders.internal"
        service.port = 8080
        service.path = "/v1"
        service.cluster = 0
        var cluster = Cluster()
        cluster.isUpstream = upstream
        cluster.hostHeader = hostHeader
        for (host, weight) in [("10.0.0.1", 0), ("10.0.0.2", 5)] {
            var target = Target()
            target.host = host
            target.port = 80
            target.weight = weight
            cluster.targets.append(target)
        }
        snapshot.services = [service]
        snapshot.clusters = [cluster]
        return snapshot
    }

    private func question(_ path: String, host: String = "h", method: String = "GET") -> MatchQuestion {
        var question = MatchQuestion()
        question.path = path
        question.host = host
        question.method = method
        return question
    }

    @Test("a match says where the request goes, and why no other route answered")
    func match() throws {
        let explainer = try RouteExplainer(
            snapshot([
                "a paths=/foo", "b paths=/foo/bar", "c paths=/ methods=POST", "d paths=~/x", "e hosts=z methods=PUT",
            ]))
        let answer = explainer.answer(question("/foo/bar/baz?q="))
        #expect(
            answer.json == """
                {"status": 200, "route": "b", "service": "orders", "upstream_uri": "/v1/baz?q=", \
                "upstream_host": "orders.internal:8080", "strip_prefix": "/foo/bar", "captures": {}, \
                "considered": [{"route": "a", "lost_because": "path /foo is shorter than /foo/bar"}, \
                {"route": "c", "lost_because": "method GET is not POST"}, \
                {"route": "d", "lost_because": "path /foo/bar/baz does not match ~/x"}]}
                """)
    }

    @Test("captures are given by number and by name")
    func captures() throws {
        let explainer = try RouteExplainer(snapshot(["a paths=~/u/(?<id>\\d+)/(x)?"]))
        let answer = explainer.answer(question("/u/42/y"))
        #expect(answer.captures.map { "\($0.name)=\($0.value)" } == ["0=/u/42/", "1=42", "id=42"])
        #expect(answer.stripPrefix == "/u/42/")
        #expect(answer.upstreamURI == "/v1/y")
    }

    @Test("the upstream Host follows preserve_host, host_header, the target and the port rule")
    func hosts() throws {
        #expect(
            try RouteExplainer(snapshot(["a paths=/"], upstream: true)).answer(question("/")).upstreamHost == "10.0.0.2"
        )
        let named = snapshot(["a paths=/"], upstream: true, hostHeader: "api.example.com")
        #expect(try RouteExplainer(named).answer(question("/")).upstreamHost == "api.example.com")
        var preserved = named
        preserved.routes[0].preserveHost = true
        #expect(try RouteExplainer(preserved).answer(question("/", host: "H:81")).upstreamHost == "H:81")
        var secure = snapshot(["a paths=/"], upstream: true)
        secure.services[0].protocol = .https
        #expect(try RouteExplainer(secure).answer(question("/")).upstreamHost == "10.0.0.2:80")
    }

    @Test("no route, no service and http to an https route have their statuses")
    func refusals() throws {
        var all = snapshot(["a paths=/foo protocols=https", "b paths=/bar"])
        all.routes[1].service = -1
        let explainer = try RouteExplainer(all)
        let missing = explainer.answer(question("/none"))
        #expect(missing.status == 404 && missing.route == nil)
        #expect(missing.considered.map { $0.route } == ["b", "a"])
        let insecure = explainer.answer(question("/foo"))
        #expect(insecure.status == 426 && insecure.route == "a" && insecure.upstreamURI == nil)
        #expect(explainer.answer(question("/bar")).status == 503)
        var secure = question("/foo")
        secure.scheme = "https"
        #expect(explainer.answer(secure).status == 200)
    }

    @Test(
        "reasons name the part of the priority that decided",
        arguments: [
            ("a hosts=h paths=/", "b paths=/", "fewer kinds of matcher (1 < 2)"),
            ("a hosts=h", "b hosts=*.x,h", "a wildcard host ranks below plain hosts"),
            ("a hosts=h id=0", "b paths=/ id=9", "it has no hosts, and a names plain ones"),
            ("a paths=~/", "b paths=/", "prefix / ranks below the regular expression ~/"),
            ("a paths=~/ prio=2", "b paths=~/.", "regex_priority 0 < 2"),
        ])
    func reasons(winner: String, loser: String, reason: String) throws {
        let answer = try RouteExplainer(snapshot([loser, winner])).answer(question("/x"))
        #expect(answer.route == "a")
        #expect(answer.considered.first?.lostBecause == reason)
    }

    @Test("routes that can never win are found, and no others")
    func shadows() {
        let routes = [
            "a paths=/x id=2", "b paths=/x id=1", "c paths=/x methods=GET", "d paths=/x,/y id=0",
            "e hosts=H paths=/p id=5", "f hosts=h paths=/p id=4",
        ]
        .map { OrderTableTests.route($0) }
        let found = Shadow.find(in: routes).map { "\(routes[$0.route].name) by \(routes[$0.by].name)" }
        #expect(found == ["b by a", "f by e"])
    }
}
