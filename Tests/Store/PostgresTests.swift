// What is PostgreSQL's own: several control planes, lost connections, a server that goes and comes, TLS.

import Foundation
import Model
import Store
import Testing

@Suite("Several control planes on one PostgreSQL", .serialized)
struct PostgresTests {
    @Test("what one commits, all hear of")
    func events() async throws {
        let address = try await PostgresServer.shared.value.makeDatabase()
        let (one, two) = (try PostgresStore(url: address), try PostgresStore(url: address))
        try await one.migrate()
        try await two.migrate()
        var (first, second) = (one.events().makeAsyncIterator(), two.events().makeAsyncIterator())
        _ = try await one.commit(creating(service("a", id: 1)), onto: 0)
        #expect(await second.next() == .revision(1))
        #expect(await first.next() == .revision(1))
        _ = try await two.commit(creating(service("b", id: 2)), onto: 1)
        #expect(await first.next() == .revision(2))
        try await two.save(GatewayRecord(id: Identifier(high: 3, low: 4), name: "g"))
        #expect(await first.next() == .gatewayChanged(Identifier(high: 3, low: 4)))
        await one.close()
        await two.close()
    }

    @Test("control planes that start at once make the tables once")
    func migrations() async throws {
        let address = try await PostgresServer.shared.value.makeDatabase()
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<4 {
                group.addTask {
                    let store = try PostgresStore(url: address)
                    try await store.migrate()
                    #expect(try await store.head() == 0)
                    await store.close()
                }
            }
            try await group.waitForAll()
        }
    }

    @Test("the audit log refuses to be changed")
    func appendOnly() async throws {
        let server = try await PostgresServer.shared.value
        let address = try server.makeDatabase()
        let database = String(address.split(separator: "/").last ?? "")
        let store = try PostgresStore(url: address)
        try await store.migrate()
        try await store.append(
            (1...3).map {
                AuditRecord(time: $0, actor: "a", address: "", action: "x", target: "t", outcome: "denied")
            })
        for statement in ["UPDATE seaway.audit SET actor = 'b'", "DELETE FROM seaway.audit", "TRUNCATE seaway.audit"] {
            do {
                try server.sql(statement, database: database)
                Issue.record("\(statement) was obeyed")
            } catch {
                #expect("\(error)".contains("append-only"))
            }
        }
        #expect(try await store.verifyAudit() == nil)
        try server.sql(
            "ALTER TABLE seaway.audit DISABLE TRIGGER USER; UPDATE seaway.audit SET actor = 'b' WHERE number = 2",
            database: database)
        #expect(try await store.verifyAudit() == 2)
        await store.close()
    }

    /// The answer of a commit is lost after the server had it; or the request before.
    @Test("a commit whose connection dies happens once and only once", arguments: [true, false])
    func lostCommit(answerOnly: Bool) async throws {
        let server = try await PostgresServer.shared.value
        let address = try server.makeDatabase()
        let database = String(address.split(separator: "/").last ?? "")
        let proxy = CuttingProxy(to: server.port)
        defer { proxy.stop() }
        let store = try PostgresStore(url: "postgres://postgres@127.0.0.1:\(proxy.port)/\(database)")
        try await store.migrate()
        let loss: CuttingProxy.Loss = answerOnly ? .answer : .request
        for number in 1...5 as ClosedRange<UInt64> {
            proxy.cut(at: "COMMIT", losing: loss)
            let line = AuditRecord(time: 1, actor: "a", address: "", action: "x", target: "t", outcome: "allowed")
            let new = service("s\(number)", id: number)
            let commit = changing([Change(key: new.key, before: nil, after: new)], audit: [line])
            #expect(try await store.commit(commit, onto: number - 1).number == number)
        }
        #expect(proxy.made == 5)
        #expect(try await store.state().resources.map(\.version) == [1, 2, 3, 4, 5])
        #expect(try await store.audit(AuditQuery()).map(\.revision) == [5, 4, 3, 2, 1])

        proxy.cut(at: "COMMIT", losing: loss)
        let line = AuditRecord(time: 2, actor: "b", address: "", action: "x", target: "t", outcome: "denied")
        try await store.append([line, line])
        #expect(try await store.audit(AuditQuery()).map(\.number) == (1...7).reversed())
        proxy.cut(at: "COMMIT", losing: loss)
        #expect(try await store.replace("v", expecting: nil, with: [1]))
        proxy.cut(at: "COMMIT", losing: loss)
        try await store.add(
            TokenRecord(id: Identifier(high: 1, low: 1), name: "t", hash: "h", roles: [], createdAt: 1, createdBy: "x"))
        #expect(try await store.tokens().count == 1)
        #expect(proxy.made == 8)
        #expect(try await store.verifyAudit() == nil)
        await store.close()
    }

    @Test("somebody else's commit between a lost answer and the question is told apart")
    func lostCommitThenOther() async throws {
        let server = try await PostgresServer.shared.value
        let address = try server.makeDatabase()
        let database = String(address.split(separator: "/").last ?? "")
        let proxy = CuttingProxy(to: server.port)
        defer { proxy.stop() }
        let store = try PostgresStore(url: "postgres://postgres@127.0.0.1:\(proxy.port)/\(database)")
        let other = try PostgresStore(url: address)
        try await store.migrate()
        try await other.migrate()
        var events = other.events().makeAsyncIterator()
        // It is stored, its answer is lost, and so are attempts to ask until the other one has committed too.
        proxy.cut(at: "COMMIT", losing: .answer)
        for _ in 0..<4 { proxy.cut(at: "FOR UPDATE", losing: .request) }
        async let mine = store.commit(creating(service("mine", id: 1)), onto: 0)
        #expect(await events.next() == .revision(1))
        let theirs = try await other.commit(creating(service("theirs", id: 2)), onto: 1)
        #expect(try await mine.number == 1)
        #expect(theirs.number == 2)
        await store.close()
        await other.close()
    }

    @Test("sessions killed at any time cost no commit and make no second one")
    func killed() async throws {
        let server = try await PostgresServer.shared.value
        let address = try server.makeDatabase()
        let database = String(address.split(separator: "/").last ?? "")
        let store = try PostgresStore(url: address)
        try await store.migrate()
        let killer = Task {
            var killed = 0
            while !Task.isCancelled {
                let count = try server.sql(
                    "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
                        + "WHERE datname = '\(database)' AND application_name = 'seaway'", database: database)
                killed += Int(count) ?? 0
                // Without a pause no session would live for the length of a transaction.
                try? await Task.sleep(for: .milliseconds(40))
            }
            return killed
        }
        for number in 1...200 as ClosedRange<UInt64> {
            let line = AuditRecord(time: 1, actor: "a", address: "", action: "x", target: "t", outcome: "allowed")
            let new = service("s\(number)", id: number)
            let commit = changing([Change(key: new.key, before: nil, after: new)], audit: [line])
            #expect(try await store.commit(commit, onto: number - 1).number == number)
        }
        killer.cancel()
        #expect(try await killer.value > 0)
        #expect(try await store.state().resources.map(\.version) == Array(1...200))
        #expect(try await store.verifyAudit() == nil)
        await store.close()
    }

    @Test("a server that stops makes the store unavailable; when it is back all goes on, and listeners know")
    func restart() async throws {
        let server = try PostgresServer()
        let store = try PostgresStore(url: try server.makeDatabase())
        try await store.migrate()
        var events = store.events().makeAsyncIterator()
        _ = try await store.commit(creating(service("a", id: 1)), onto: 0)
        #expect(await events.next() == .revision(1))
        server.stop()
        let refused: [StoreError?] = [
            await storeError { () throws(StoreError) in try await store.ping() },
            await storeError { () throws(StoreError) in
                _ = try await store.commit(creating(service("b", id: 2)), onto: 1)
            },
            await storeError { () throws(StoreError) in _ = try await store.state() },
        ]
        for error in refused {
            guard case .unavailable = error else {
                Issue.record("\(String(describing: error))")
                continue
            }
        }
        try server.start()
        #expect(await events.next() == .resync)
        #expect(try await store.state().resources.map(\.name) == ["a"])
        #expect(try await store.commit(creating(service("b", id: 2)), onto: 1).number == 2)
        #expect(await events.next() == .revision(2))
        // Short enough a stop is not noticed at all.
        server.stop()
        async let third = store.commit(creating(service("c", id: 3)), onto: 2)
        try server.start()
        #expect(try await third.number == 3)
        await store.close()
        server.stop()
    }

    @Test("TLS is used and the server's certificate checked, as the address says")
    func tls() async throws {
        let server = try PostgresServer()
        let certificate = try server.makeCertificate()
        server.stop()
        try server.start()
        let copy = FileManager.default.temporaryDirectory.appendingPathComponent("\(UUID()).crt")
        defer { try? FileManager.default.removeItem(at: copy) }
        try FileManager.default.copyItem(atPath: certificate, toPath: copy.path)
        let base = "postgres://postgres@127.0.0.1:\(server.port)/postgres"
        let trusted = try PostgresStore(url: "\(base)?sslmode=verify-full&sslrootcert=\(copy.path)")
        try await trusted.migrate()
        let ciphers = try server.sql(
            "SELECT count(*) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) "
                + "WHERE ssl AND application_name = 'seaway'", database: "postgres")
        #expect(ciphers == "2")  // One for transactions, one for events.
        await trusted.close()
        let wrong = try PostgresStore(url: "\(base)?sslmode=verify-full&sslrootcert=/etc/ssl/certs/ca-certificates.crt")
        let error = await storeError { () throws(StoreError) in try await wrong.migrate() }
        guard case .failed(let why) = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(why.contains("certificate verify failed"))
        await wrong.close()
        server.stop()
    }

    @Test("a server that refuses says why")
    func refused() async throws {
        let server = try await PostgresServer.shared.value
        let store = try PostgresStore(url: server.address("nothing_here"))
        let error = await storeError { () throws(StoreError) in try await store.migrate() }
        guard case .failed(let why) = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(why.contains("nothing_here"))
        await store.close()
        let plain = try PostgresStore(url: "postgres://postgres@127.0.0.1:\(server.port)/postgres?sslmode=require")
        let refusal = await storeError { () throws(StoreError) in try await plain.migrate() }
        guard case .failed(let reason) = refusal else {
            Issue.record("\(String(describing: refusal))")
            return
        }
        #expect(reason.contains("sslmode=disable"))
        await plain.close()
    }
}
