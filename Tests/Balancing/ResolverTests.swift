// Name resolution against a real server on loopback, and its timing against an injected clock.

import Bytes
import Testing

@testable import Engine

private func configuration(_ server: NameServer?, _ adjust: (inout DNSConfiguration) -> Void = { _ in })
    -> DNSConfiguration
{
    var configuration = DNSConfiguration()
    if let server { configuration.servers = [server.address] }
    configuration.timeoutMilliseconds = 100
    configuration.tries = 1
    adjust(&configuration)
    return configuration
}

private func addresses(_ answer: NameAnswer) -> [String] {
    guard case .addresses(let all) = answer else { return [] }
    return all.map { "\($0.address)" }
}

@Suite struct ResolverTests {
    /// Resolves `name` with the given server table.
    private func resolve(
        _ name: String, _ answers: [String: Answer], _ adjust: (inout DNSConfiguration) -> Void = { _ in }
    ) throws -> (NameAnswer, [String]) {
        let loop = EventLoop()
        let server = try NameServer(loop)
        defer { server.stop() }
        server.answers = answers
        let resolver = Resolver(configuration(server, adjust), loop: loop)
        resolver.watch(name)
        try #require(loop.run { resolver.isSettled })
        return (resolver.answer(name), server.questions)
    }

    @Test("A records become addresses, in a stable order")
    func a() throws {
        let (answer, questions) = try resolve("api.test", ["api.test/1": .a("10.0.0.2", "10.0.0.1")])
        #expect(addresses(answer) == ["10.0.0.1", "10.0.0.2"])
        #expect(questions == ["api.test/33", "api.test/1"])
    }

    @Test("AAAA is asked for when there is no A")
    func aaaa() throws {
        let (answer, _) = try resolve(
            "six.test", ["six.test/28": .records([(nil, 28, 60, Wire.address("2001:db8::7"))])])
        #expect(addresses(answer) == ["2001:db8::7"])
    }

    @Test("only the SRV records of the best priority count, with their ports and weights, 0 as 1")
    func srv() throws {
        let (answer, _) = try resolve(
            "svc.test",
            [
                "svc.test/33": .records([
                    (nil, 33, 60, Wire.service(20, 5, 9999, "backup.test")),
                    (nil, 33, 60, Wire.service(10, 0, 8001, "one.test")),
                    (nil, 33, 60, Wire.service(10, 7, 8002, "two.test")),
                ]),
                "one.test/1": .a("10.0.0.1"), "two.test/1": .a("10.0.0.2"), "backup.test/1": .a("10.0.0.9"),
            ])
        #expect(
            answer
                == .addresses([
                    ResolvedAddress(address: IPAddress(v4: 0x0A00_0001), port: 8001, weight: 1, recordName: "one.test"),
                    ResolvedAddress(address: IPAddress(v4: 0x0A00_0002), port: 8002, weight: 7, recordName: "two.test"),
                ]))
    }

    @Test("the addresses of one SRV target share its weight")
    func srvShares() throws {
        let (answer, _) = try resolve(
            "svc.test",
            [
                "svc.test/33": .records([
                    (nil, 33, 60, Wire.service(1, 10, 80, "one.test")),
                    (nil, 33, 60, Wire.service(1, 10, 80, "two.test")),
                ]),
                "one.test/1": .a("10.0.0.1"), "two.test/1": .a("10.0.0.2", "10.0.0.3"),
            ])
        guard case .addresses(let all) = answer else {
            Issue.record("\(answer)")
            return
        }
        #expect(all.map(\.weight) == [20, 10, 10])
    }

    @Test(
        "an SRV record that points to the root, or to names that do not resolve, is passed over",
        arguments: [".", "gone.test"])
    func srvNowhere(_ target: String) throws {
        let (answer, _) = try resolve(
            "svc.test",
            ["svc.test/33": .records([(nil, 33, 60, Wire.service(1, 1, 80, target))]), "svc.test/1": .a("10.0.0.5")])
        #expect(addresses(answer) == ["10.0.0.5"])
    }

    @Test("an alias is followed within the reply and beyond it")
    func alias() throws {
        let (inside, _) = try resolve(
            "www.test",
            [
                "www.test/1": .records([
                    (nil, 5, 60, Wire.name("edge.test")), ("edge.test", 1, 30, Wire.address("10.0.0.3")),
                ])
            ])
        #expect(addresses(inside) == ["10.0.0.3"])
        let (outside, questions) = try resolve(
            "www.test", ["www.test/1": .records([(nil, 5, 60, Wire.name("edge.test"))]), "edge.test/1": .a("10.0.0.4")])
        #expect(addresses(outside) == ["10.0.0.4"])
        #expect(questions.last == "edge.test/1")
    }

    @Test("aliases in a circle end")
    func circle() throws {
        let (answer, _) = try resolve(
            "a.test",
            [
                "a.test/1": .records([(nil, 5, 60, Wire.name("b.test")), ("b.test", 5, 60, Wire.name("a.test"))]),
                "b.test/1": .records([(nil, 5, 60, Wire.name("a.test"))]),
            ])
        #expect(answer == .unknown(.notFound))
    }

    @Test("short names are completed with search domains, and a missing name is not asked for again as AAAA")
    func search() throws {
        let (answer, questions) = try resolve("web", ["web.two.test/1": .a("10.0.0.6")]) {
            $0.search = ["one.test", "two.test"]
            $0.order = [.a, .aaaa]
        }
        #expect(addresses(answer) == ["10.0.0.6"])
        #expect(questions == ["web.one.test/1", "web.two.test/1"])
        let (missing, asked) = try resolve("nowhere", [:]) { $0.search = ["one.test"] }
        #expect(missing == .unknown(.notFound))
        #expect(asked == ["nowhere.one.test/33", "nowhere/33", "nowhere.one.test/1", "nowhere/1"])
        let (absolute, once) = try resolve("web.", ["web/1": .a("10.0.0.7")]) { $0.search = ["one.test"] }
        #expect(addresses(absolute) == ["10.0.0.7"])
        #expect(once == ["web/33", "web/1"])
    }

    @Test(
        "literals, localhost and the hosts file need no server",
        arguments: [
            ("10.1.2.3", "10.1.2.3"), ("[2001:DB8::1]", "2001:db8::1"), ("2001:db8::1", "2001:db8::1"),
            ("LocalHost", "127.0.0.1"), ("db.localhost", "127.0.0.1"), ("printer", "192.0.2.9"),
            ("v6.host", "2001:db8::9"),
        ])
    func local(_ name: String, _ expected: String) throws {
        let loop = EventLoop()
        let resolver = Resolver(
            configuration(nil) {
                $0.hosts = HostsFile("192.0.2.9 printer Alias # note\n2001:db8::9 v6.host\nbad line\n")
            }, loop: loop)
        resolver.watch(name)
        #expect(addresses(resolver.answer(name)) == [expected])
    }

    @Test("a server's failure is not taken for a missing name", arguments: [2, 5] as [UInt8])
    func serverFailure(_ code: UInt8) throws {
        let (answer, _) = try resolve(
            "api.test", ["api.test/33": .code(code), "api.test/1": .code(code), "api.test/28": .code(code)])
        #expect(answer == .unknown(.noAnswer))
    }

    @Test("what is said about SRV, or not said, does not hide a name's addresses", arguments: [0, 1, 2])
    func srvDenied(_ kind: Int) throws {
        let denial = [Answer.code(3), .code(2), .silence][kind]
        let (answer, _) = try resolve("web", ["web/33": denial, "web/1": .a("172.18.0.2")])
        #expect(addresses(answer) == ["172.18.0.2"])
    }

    @Test("a server that says nothing ends in no answer")
    func silence() throws {
        let (answer, _) = try resolve("api.test", ["api.test/33": .silence, "api.test/1": .silence])
        #expect(answer == .unknown(.noAnswer))
    }

    @Test("a malformed answer does no harm")
    func malformed() throws {
        let (answer, _) = try resolve(
            "api.test",
            ["api.test/33": .raw([0x81, 0x80, 0, 1, 0, 9, 0, 0, 0, 0, 0xC0, 0x0C]), "api.test/1": .a("10.0.0.1")])
        #expect(answer == .unknown(.noAnswer) || addresses(answer) == ["10.0.0.1"])
    }

    @Test("addresses stay when the server dies, and change when a new answer comes")
    func lastKnownGood() throws {
        let loop = EventLoop()
        let server = try NameServer(loop)
        server.answers = ["api.test/1": .a("10.0.0.1", ttl: 0)]
        let resolver = Resolver(configuration(server), loop: loop)
        var changes = 0
        resolver.onChange = { _ in changes += 1 }
        resolver.watch("api.test")
        #expect(loop.run { changes == 1 })
        #expect(addresses(resolver.answer("api.test")) == ["10.0.0.1"])
        // A new answer once the second of the least TTL is over; the type that worked is asked first.
        server.answers = ["api.test/1": .a("10.0.0.2", ttl: 0)]
        let asked = server.questions.count
        #expect(loop.run { changes == 2 })
        #expect(addresses(resolver.answer("api.test")) == ["10.0.0.2"])
        #expect(server.questions[asked] == "api.test/1")
        // The server goes away: at least one refresh fails and the addresses stay.
        server.stop()
        let later = loop.now + 1500
        #expect(loop.run { loop.now > later })
        #expect(addresses(resolver.answer("api.test")) == ["10.0.0.2"])
        #expect(changes == 2)
    }

    @Test("new servers are asked again, and old answers hold until they answer")
    func reconfigure() throws {
        let loop = EventLoop()
        let (old, new) = (try NameServer(loop), try NameServer(loop))
        defer {
            old.stop()
            new.stop()
        }
        old.answers = ["api.test/1": .a("10.0.0.1")]
        new.answers = ["api.test/1": .a("10.0.0.2")]
        let resolver = Resolver(configuration(old), loop: loop)
        resolver.watch("api.test")
        try #require(loop.run { resolver.isSettled })
        resolver.reconfigure(configuration(new))
        #expect(addresses(resolver.answer("api.test")) == ["10.0.0.1"])
        #expect(loop.run { addresses(resolver.answer("api.test")) == ["10.0.0.2"] })
    }

    @Test("500 names are resolved, no more than the limit at a time")
    func many() throws {
        let loop = EventLoop()
        let server = try NameServer(loop)
        defer { server.stop() }
        for i in 0..<500 { server.answers["n\(i).test/1"] = .a("10.0.\(i / 250).\(i % 250)") }
        let resolver = Resolver(configuration(server) { $0.timeoutMilliseconds = 5000 }, loop: loop)
        for i in 0..<500 { resolver.watch("n\(i).test") }
        #expect(loop.run { resolver.isSettled })
        #expect((0..<500).allSatisfy { addresses(resolver.answer("n\($0).test")) == ["10.0.\($0 / 250).\($0 % 250)"] })
    }
}

@Suite struct NameTableTests {
    /// Answers every question of `name` with one A record, or with `outcome`.
    private func settle(_ table: inout NameTable, now: Int64, _ outcome: (DNSQuestion) -> DNSOutcome) -> [DNSQuestion] {
        var asked: [DNSQuestion] = []
        for query in table.start(now: now) {
            var next: NameTable.Query? = query
            while let current = next {
                asked.append(current.question)
                next = table.answered(current.token, outcome(current.question), now: now)
            }
        }
        return asked
    }

    private func good(_ ttl: UInt32) -> (DNSQuestion) -> DNSOutcome {
        { question in
            let record = DNSRecord(name: question.name, type: .a, ttl: ttl, data: .address(IPAddress(v4: 1)))
            return .reply(DNSReply(code: 0, records: question.type == .a ? [record] : []))
        }
    }

    @Test(
        "a name is asked for again when its TTL is over, within bounds",
        arguments: [(0, 1_000), (7, 7_000), (86_400, 3_600_000), (4_000_000_000, 3_600_000)] as [(UInt32, Int64)])
    func ttl(_ ttl: UInt32, _ wait: Int64) {
        var table = NameTable(DNSConfiguration())
        table.watch("a.test", now: 0)
        #expect(settle(&table, now: 0, good(ttl)).count == 2)
        #expect(table.deadline == wait)
        #expect(settle(&table, now: wait - 1, good(ttl)).isEmpty)
        #expect(settle(&table, now: wait, good(ttl)).count == 1)
    }

    @Test("a missing name is asked for again after 30 s")
    func notFound() {
        var table = NameTable(DNSConfiguration())
        table.watch("a.test", now: 0)
        _ = settle(&table, now: 0) { _ in .reply(DNSReply(code: 3, records: [])) }
        #expect(table.answer("a.test") == .unknown(.notFound))
        #expect(table.deadline == 30_000)
    }

    @Test("after errors the wait doubles from 1 s to 30 s, and success resets it")
    func backoff() {
        var table = NameTable(DNSConfiguration())
        table.watch("a.test", now: 0)
        var now: Int64 = 0
        for wait in [1, 2, 4, 8, 16, 30, 30] as [Int64] {
            _ = settle(&table, now: now) { _ in .timedOut }
            #expect(table.deadline == now + wait * 1000)
            now = table.deadline
        }
        _ = settle(&table, now: now, good(5))
        now = table.deadline
        _ = settle(&table, now: now) { _ in .timedOut }
        #expect(table.deadline == now + 1000)
        #expect(table.answer("a.test") == .addresses([ResolvedAddress(address: IPAddress(v4: 1))]))
    }

    @Test("only changes are announced, and a rotated answer is none")
    func changes() {
        var table = NameTable(DNSConfiguration())
        table.watch("a.test", now: 0)
        var order: [UInt32] = [1, 2, 3]
        func rotating(_ question: DNSQuestion) -> DNSOutcome {
            guard question.type == .a else { return .reply(DNSReply(code: 0, records: [])) }
            return .reply(
                DNSReply(
                    code: 0,
                    records: order.map {
                        DNSRecord(name: question.name, type: .a, ttl: 1, data: .address(IPAddress(v4: $0)))
                    }))
        }
        _ = settle(&table, now: 0, rotating)
        #expect(table.drainChanges() == ["a.test"])
        order = [2, 3, 1]
        _ = settle(&table, now: 1000, rotating)
        #expect(table.drainChanges().isEmpty)
        order = [2, 3]
        _ = settle(&table, now: 2000, rotating)
        #expect(table.drainChanges() == ["a.test"])
    }

    @Test("at most 64 names are resolved at a time; the others follow as answers come")
    func concurrency() {
        var configuration = DNSConfiguration()
        configuration.order = [.a]
        var table = NameTable(configuration)
        for i in 0..<100 { table.watch("n\(i).test", now: 0) }
        let first = table.start(now: 0)
        #expect(first.count == 64)
        #expect(table.deadline == .max)
        for query in first { #expect(table.answered(query.token, .timedOut, now: 0) == nil) }
        #expect(table.start(now: 0).count == 36)
    }

    @Test("a name nobody uses is forgotten, and a late answer for it is ignored")
    func unwatch() {
        var table = NameTable(DNSConfiguration())
        table.watch("a.test", now: 0)
        table.watch("a.test", now: 0)
        table.unwatch("a.test")
        let queries = table.start(now: 0)
        #expect(queries.count == 1)
        table.unwatch("a.test")
        #expect(table.answered(queries[0].token, .timedOut, now: 0) == nil)
        #expect(table.answer("a.test") == .unknown(.refused))
        #expect(table.isSettled)
    }

    @Test(
        "what is no host name is refused without a question",
        arguments: [
            "", "a..b", String(repeating: "a", count: 64), "a b", String(repeating: "a.", count: 127) + "b.c.d",
            "a\u{0}b",
        ])
    func badNames(_ name: String) {
        var table = NameTable(DNSConfiguration())
        table.watch(name, now: 0)
        #expect(table.answer(name) == .unknown(.refused))
        #expect(table.start(now: 0).isEmpty)
    }

    @Test("names past the limit are refused")
    func limit() {
        var table = NameTable(DNSConfiguration())
        for i in 0...NameTable.namesMax { table.watch("n\(i).test", now: 0) }
        #expect(table.answer("n\(NameTable.namesMax - 1).test") == .pending)
        #expect(table.answer("n\(NameTable.namesMax).test") == .unknown(.refused))
    }

    @Test("resolv.conf is read as libc reads it")
    func resolvConf() {
        let configuration = DNSConfiguration(
            resolvConf: """
                # comment
                nameserver 10.0.0.53
                nameserver 2001:db8::53
                nameserver nonsense
                domain ignored.test
                search One.test two.test. .
                options ndots:5 timeout:3 attempts:9 rotate ndots:x
                """)
        #expect(configuration.servers.map(\.address.description) == ["10.0.0.53", "2001:db8::53"])
        #expect(configuration.search == ["one.test", "two.test"])
        #expect(configuration.dotsMin == 5)
        #expect(configuration.timeoutMilliseconds == 3000)
        #expect(configuration.tries == 5)
    }

    @Test(
        "a resolver is HOST:PORT",
        arguments: [
            ("10.0.0.1:5353", "10.0.0.1", 5353), ("10.0.0.1", "10.0.0.1", 53), ("[::1]:8600", "::1", 8600),
            ("::1", "::1", 53),
            ("[::1]", "::1", 53),
        ] as [(String, String, UInt16)])
    func server(_ text: String, _ address: String, _ port: UInt16) {
        #expect(DNSConfiguration.server(text)?.address.description == address)
        #expect(DNSConfiguration.server(text)?.port == port)
    }

    @Test(
        "what is not a resolver's address is refused",
        arguments: [
            "", ":53", "10.0.0.1:", "10.0.0.1:0", "10.0.0.1:70000", "10.0.0.1:+5", "dns.test:53", "[::1:53", "::1]:53",
        ])
    func badServer(_ text: String) {
        #expect(DNSConfiguration.server(text) == nil)
    }
}

@Suite struct DNSReplyTests {
    private let question = Wire.name("a.test") + [0, 1, 0, 1]

    @Test("records of known types are read, others skipped")
    func records() throws {
        let packet = Wire.response(
            id: [1, 2], question: question, code: 0,
            [
                (nil, 5, 60, Wire.name("B.Test")), ("b.test", 1, 30, [10, 0, 0, 1]), (nil, 16, 5, [3, 97, 98, 99]),
                (nil, 33, 0x8000_0001, Wire.service(1, 2, 3, "c.test")),
            ])
        let reply = try #require(packet.withBytes { DNSReply($0) })
        #expect(reply.code == 0)
        #expect(
            reply.records == [
                DNSRecord(name: "a.test", type: .cname, ttl: 60, data: .alias("b.test")),
                DNSRecord(name: "b.test", type: .a, ttl: 30, data: .address(IPAddress(v4: 0x0A00_0001))),
                DNSRecord(
                    name: "a.test", type: .srv, ttl: 0,
                    data: .service(priority: 1, weight: 2, port: 3, target: "c.test")),
            ])
    }

    @Test("every shortened and every damaged packet ends in a value or nil, never in a trap")
    func damaged() {
        let seed = UInt64.random(in: 0...UInt64.max)
        var random = Seeded(seed: seed)
        let packet = Wire.response(
            id: [1, 2], question: question, code: 0,
            [
                (nil, 5, 60, Wire.name("b.test")), (nil, 28, 1, Wire.address("::1")),
                (nil, 33, 1, Wire.service(1, 2, 3, "c.test")),
            ])
        for count in 0..<packet.count {
            let short = Array(packet[..<count])
            #expect(short.withBytes { DNSReply($0) } == nil)
        }
        var parsed = 0
        for _ in 0..<20_000 {
            var bytes = packet
            for _ in 0..<Int.random(in: 1...4, using: &random) {
                bytes[Int.random(in: 0..<bytes.count, using: &random)] = UInt8.random(in: 0...255, using: &random)
            }
            if let reply = bytes.withBytes({ DNSReply($0) }) {
                parsed += 1
                #expect(reply.records.count <= DNSReply.recordsMax, "seed \(seed)")
            }
        }
        #expect(parsed > 0, "seed \(seed)")
    }

    @Test(
        "compression pointers forwards, to themselves or in circles are refused",
        arguments: [12, 30, 31, 33] as [UInt8])
    func pointers(_ target: UInt8) {
        // A packet whose answer's name is a pointer at offset 24, to itself or further on.
        var packet = Wire.response(id: [1, 2], question: question, code: 0, [(nil, 1, 1, [1, 2, 3, 4])])
        let at = 12 + question.count
        packet[at + 1] = target
        let reply = packet.withBytes { DNSReply($0) }
        if target == 12 { #expect(reply?.records.first?.name == "a.test") } else { #expect(reply == nil) }
    }
}
