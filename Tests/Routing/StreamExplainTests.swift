// What `gateway match` says of connections and datagrams, and which stream routes `gateway check` finds hidden.

import Bytes
import Explain
import Snapshot
import Testing

@Suite("Explained streams")
struct StreamExplainTests {
    private func snapshot(_ routes: [Route]) -> Snapshot {
        var snapshot = Snapshot()
        snapshot.routes = routes
        for index in snapshot.routes.indices { snapshot.routes[index].service = 0 }
        var service = Service()
        service.name = "db"
        service.protocol = .tcp
        service.host = "db.internal"
        service.port = 5432
        service.proxyProtocol = .v1
        snapshot.services = [service]
        return snapshot
    }

    private func question(
        _ transport: StreamTransport, from source: String = "", to destination: String = "", name: String = ""
    ) -> StreamMatchQuestion {
        func place(_ text: String) -> StreamPlace {
            let rule = addressRule(text)
            return StreamPlace(address: IPAddress(rule.address), port: rule.port == 0 ? nil : UInt16(rule.port))
        }
        var question = StreamMatchQuestion()
        question.transport = transport
        question.source = place(source)
        question.destination = place(destination)
        question.serverName = name
        return question
    }

    @Test("the answer names route, service and upstream, and says why the others lost")
    func answer() throws {
        let explainer = try StreamExplainer(
            snapshot([
                streamRoute(1, .tcp, from: ["10.0.0.0/8"], to: [":5432"]), streamRoute(2, .tcp, to: ["127.0.0.1:5432"]),
                streamRoute(3, .tcp, to: [":5432"]), streamRoute(4, .udp, to: [":5432"]),
                streamRoute(5, .tcp, from: ["10.0.0.2", "10.0.0.3:7"]), streamRoute(6, .tls, from: ["10.0.0.2"]),
                streamRoute(7, .tcp, from: ["10.0.0.0/8"], to: [":5432"]),
            ]))
        let said = explainer.answer(question(.tcp, from: "10.0.0.1:999", to: "127.0.0.1:5432"))
        #expect(
            said.json == """
                {"verdict": "forwarded", "route": "r7", "service": "db", "upstream": "tcp://db.internal:5432", \
                "proxy_protocol": "v1", "considered": [{"route": "r1", "lost_because": "same priority, and its id \
                00000000-0000-0000-0000-000000000001 is smaller than 00000000-0000-0000-0000-000000000007"}, \
                {"route": "r2", "lost_because": "it has no snis and only one of sources and destinations; r7 has more"}, \
                {"route": "r3", "lost_because": "it has no snis and only one of sources and destinations; r7 has more"}, \
                {"route": "r5", "lost_because": "source 10.0.0.1:999 does not match 10.0.0.2 or 10.0.0.3:7"}, \
                {"route": "r4", "lost_because": "it is for udp, not for tcp"}]}
                """)
    }

    @Test("the parts of the priority are told apart")
    func order() throws {
        let explainer = try StreamExplainer(
            snapshot([streamRoute(1, .tcp, to: ["0.0.0.0/0"]), streamRoute(2, .tcp, to: ["127.0.0.1:1"])]))
        let said = explainer.answer(question(.tcp, to: "127.0.0.1:1"))
        #expect(said.considered.map(\.lostBecause) == ["destinations rank lower (range < address and port)"])
    }

    @Test("TLS is ended or passed through by the route that goes first")
    func tls() throws {
        let explainer = try StreamExplainer(
            snapshot([
                streamRoute(1, .tlsPassthrough, snis: ["*.example"]),
                streamRoute(2, .tls, snis: ["a.example"], to: [":1"]),
            ]))
        let ended = explainer.answer(question(.tls, to: "127.0.0.1:1", name: "a.example"))
        #expect(ended.verdict == .forwarded)
        #expect(ended.route == "r2")
        #expect(ended.considered.map(\.lostBecause) == ["destinations rank lower (none < port)"])
        let passed = explainer.answer(question(.tls, to: "127.0.0.1:2", name: "a.example"))
        #expect(passed.verdict == .passedThrough)
        #expect(
            passed.considered.map(\.lostBecause) == ["destination 127.0.0.1:2 does not match port 1"])
        let plain = explainer.answer(question(.tcp, name: "b.example"))
        #expect(plain.verdict == .passedThrough)
        let nobody = explainer.answer(question(.tls, to: "127.0.0.1:1"))
        #expect(nobody.verdict == .closed)
        #expect(nobody.message == "no Route matched with those values")
        #expect(
            nobody.considered.map(\.lostBecause) == [
                "no server name was sent, and it wants a.example", "no server name was sent, and it wants *.example",
            ])
    }

    @Test("a route without a service and datagrams that nobody takes go nowhere")
    func nowhere() throws {
        var empty = snapshot([streamRoute(1, .udp, to: [":53"])])
        empty.routes[0].service = -1
        let explainer = try StreamExplainer(empty)
        let without = explainer.answer(question(.udp, to: "10.0.0.1:53"))
        #expect(without.verdict == .dropped)
        #expect(without.route == "r1")
        #expect(without.message == "no Service found with those values")
        let none = explainer.answer(question(.udp, from: "10.0.0.1:53"))
        #expect(none.route == nil)
        #expect(none.considered.map(\.lostBecause) == ["no destination is given, and it wants port 53"])
    }

    @Test("a route whose every connection another one takes is hidden")
    func shadows() throws {
        func hidden(_ routes: [Route]) throws -> [String] {
            try StreamShadow.find(in: routes).map { "\(routes[$0.route].name) by \(routes[$0.by].name)" }
        }
        // Equal conditions: the larger id wins.
        #expect(try hidden([streamRoute(1, to: [":1"]), streamRoute(2, to: [":1"])]) == ["r1 by r2"])
        #expect(try hidden([streamRoute(1, to: ["10.1.0.0/16"]), streamRoute(2, to: ["10.0.0.0/8"])]) == ["r1 by r2"])
        #expect(try hidden([streamRoute(2, to: ["10.1.0.0/16"]), streamRoute(1, to: ["10.0.0.0/8"])]) == [])
        #expect(try hidden([streamRoute(1, to: ["10.0.0.1:1"]), streamRoute(2, to: ["[10.0.0.0/8]:1"])]) == [])
        #expect(
            try hidden([
                streamRoute(1, .tls, snis: ["a.example"]), streamRoute(2, .tls, snis: ["*.EXAMPLE"]),
            ]) == ["r1 by r2"])
        // Hidden for one of its protocols only.
        #expect(try hidden([streamRoute(1, [.tcp, .udp], to: [":1"]), streamRoute(2, .tcp, to: [":1"])]) == [])
        #expect(
            try hidden([
                streamRoute(1, [.tcp, .udp], to: [":1"]), streamRoute(2, .tcp, to: [":1"]),
                streamRoute(3, .udp, to: [":1"]),
            ]) == ["r1 by r2"])
        // A passthrough route is served by two kinds of listener, a tcp route by one.
        #expect(
            try hidden([
                streamRoute(1, .tlsPassthrough, snis: ["a.example"]),
                streamRoute(2, .tcp, from: ["0.0.0.0/0"], to: ["0.0.0.0/0"]),
            ]) == [])
    }

    @Test("no route that is called hidden ever answers a random question")
    func hiddenNeverAnswers() throws {
        let seed = announcedSeed("random hidden streams")
        var random = SeededRandom(state: seed)
        var found = 0
        for round in 0..<60 {
            let routes = (0..<12).map { _ in RandomStreams.route(&random) }
            let hidden = Set(try StreamShadow.find(in: routes).map { routes[$0.route].id.low })
            found += hidden.count
            for _ in 0..<150 {
                let asked = RandomStreams.question(&random)
                if let winner = NaiveStreams.answer(routes, asked) {
                    #expect(!hidden.contains(winner), "seed \(seed) round \(round): \(asked)")
                }
            }
        }
        #expect(found > 20)
    }
}
