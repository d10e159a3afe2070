// Audit, tokens, gateways, small values, leases and events, on each database.

import Foundation
import Model
import Store
import Testing

@Suite("Everything but resources", .serialized)
struct RecordTests {
    @Test("audit lines come back newest first, filtered and paged", arguments: Backend.allCases)
    func audit(_ backend: Backend) async throws {
        try await backend.withStore { store, _ in
            let lines = (1...6 as ClosedRange<Int64>).map { number in
                AuditRecord(
                    time: number * 100, actor: number % 2 == 0 ? "token:ci" : "user:ada", address: "::1",
                    action: "update", target: number < 4 ? "services/a%b" : "routes/r", outcome: "allowed",
                    detail: "ünï \(number)\0")
            }
            try await store.append(Array(lines[0..<2]))
            try await store.append(Array(lines[2...]))
            try await store.append([])
            let all = try await store.audit(AuditQuery())
            #expect(all.map(\.number) == [6, 5, 4, 3, 2, 1])
            var first = lines[0]
            first.number = 1
            first.detail = "ünï 1\u{FFFD}"  // NUL is no character that a database keeps.
            #expect(all.last == first)

            func numbers(_ change: (inout AuditQuery) -> Void) async throws -> [UInt64] {
                var query = AuditQuery()
                change(&query)
                return try await store.audit(query).map(\.number)
            }
            #expect(try await numbers { $0.actor = "token:ci" } == [6, 4, 2])
            #expect(try await numbers { $0.target = "services/" } == [3, 2, 1])
            #expect(try await numbers { $0.target = "services/a%" } == [3, 2, 1])
            #expect(try await numbers { $0.target = "s%" } == [])
            #expect(
                try await numbers {
                    $0.since = 200; $0.until = 400
                } == [4, 3, 2])
            #expect(
                try await numbers {
                    $0.before = 4; $0.limit = 2
                } == [3, 2])
            #expect(try await numbers { $0.outcome = "denied" } == [])
            #expect(
                try await numbers {
                    $0.action = "update"; $0.limit = 0
                } == [6])
            #expect(try await store.verifyAudit() == nil)
        }
    }

    @Test("a commit writes its audit lines with its number, or neither", arguments: Backend.allCases)
    func auditOfCommits(_ backend: Backend) async throws {
        try await backend.withStore { store, _ in
            let line = AuditRecord(
                time: 1, actor: "a", address: "", action: "apply", target: "services/a", outcome: "allowed")
            let change = Change(key: service("a", id: 1).key, before: nil, after: service("a", id: 1))
            _ = try await store.commit(changing([change], audit: [line, line]), onto: 0)
            _ = await storeError { () throws(StoreError) in
                _ = try await store.commit(changing([change], audit: [line]), onto: 0)
            }
            #expect(try await store.audit(AuditQuery()).map(\.revision) == [1, 1])
            #expect(try await store.verifyAudit() == nil)
        }
    }

    @Test("many writers make one unbroken chain", arguments: Backend.allCases)
    func auditConcurrent(_ backend: Backend) async throws {
        try await backend.withStore { store, another in
            let other = try another()
            try await withThrowingTaskGroup(of: Void.self) { group in
                for number in 0..<40 {
                    let writer = number % 2 == 0 ? store : other
                    group.addTask {
                        let line = AuditRecord(
                            time: Int64(number), actor: "a\(number)", address: "", action: "read", target: "/",
                            outcome: "denied")
                        try await writer.append([line, line])
                    }
                }
                try await group.waitForAll()
            }
            await other.close()
            #expect(try await store.audit(AuditQuery()).map(\.number) == (1...80).reversed())
            #expect(try await store.verifyAudit() == nil)
        }
    }

    @Test("tokens keep what they are given; names and hashes are unique", arguments: Backend.allCases)
    func tokens(_ backend: Backend) async throws {
        try await backend.withStore { store, _ in
            var token = TokenRecord(
                id: Identifier(high: 1, low: 1), name: "ci", hash: "aa", roles: ["admin", "rôle \"x\""],
                labels: ["zone": "eu"], createdAt: 5, expiresAt: 6, createdBy: "system")
            try await store.add(token)
            #expect(try await store.tokens() == [token])
            let sameName = TokenRecord(
                id: Identifier(high: 1, low: 2), name: "ci", hash: "bb", roles: [], createdAt: 7, createdBy: "x")
            var sameHash = sameName
            (sameHash.name, sameHash.hash) = ("other", "aa")
            for clash in [sameName, sameHash, token] {
                let error = await storeError { () throws(StoreError) in try await store.add(clash) }
                guard case .duplicate = error else {
                    Issue.record("\(String(describing: error))")
                    continue
                }
            }
            token.revokedAt = 9
            token.usedAt = 8
            token.roles = []
            token.labels = [:]
            try await store.update(token)
            #expect(try await store.tokens() == [token])
            try await store.add(sameName)  // The name is free again.
            #expect(try await store.tokens().count == 2)
            sameHash.id = Identifier(high: 4, low: 4)
            let error = await storeError { () throws(StoreError) in try await store.update(sameHash) }
            #expect(error == .notFound)
        }
    }

    @Test("gateways are saved whole, replaced and removed", arguments: Backend.allCases)
    func gateways(_ backend: Backend) async throws {
        try await backend.withStore { store, _ in
            var gateway = GatewayRecord(id: Identifier(high: .max, low: 3), name: "gw", labels: ["cloud": "aws"])
            gateway.address = "10.0.0.1"
            gateway.version = "1.2"
            gateway.certificateSerial = "0a"
            gateway.certificateExpiresAt = 1
            gateway.joinedAt = 2
            gateway.revokedAt = 3
            gateway.lastSeenAt = 4
            gateway.controlPlane = "cp1"
            gateway.revision = 5
            gateway.rejectedRevision = 6
            gateway.rejectedEntity = "routes/a"
            gateway.rejectedReason = "why"
            gateway.report = [0, 255, 1]
            try await store.save(gateway)
            #expect(try await store.gateways() == [gateway])
            gateway.revision = 7
            gateway.report = []
            try await store.save(gateway)
            #expect(try await store.gateways() == [gateway])
            try await store.remove(gateway: gateway.id)
            try await store.remove(gateway: gateway.id)
            #expect(try await store.gateways().isEmpty)
        }
    }

    @Test("values change only from what was expected", arguments: Backend.allCases)
    func values(_ backend: Backend) async throws {
        try await backend.withStore { store, _ in
            let none = try await store.value("a/1")
            #expect(none == nil)
            #expect(try await store.replace("a/1", expecting: nil, with: [0, 1]))
            #expect(try await store.replace("a/1", expecting: nil, with: [2]) == false)
            #expect(try await store.replace("a/1", expecting: [9], with: [2]) == false)
            #expect(try await store.replace("a/1", expecting: [0, 1], with: []))
            #expect(try await store.value("a/1") == [])
            #expect(try await store.replace("a/1", expecting: [0, 1], with: nil) == false)
            for name in ["a/é", "b", "a%", "a/Z"] {
                #expect(try await store.replace(name, expecting: nil, with: Array(name.utf8)))
            }
            #expect(try await store.names("a/") == ["a/1", "a/Z", "a/é"])
            #expect(try await store.names("a%") == ["a%"])
            #expect(try await store.names("").count == 5)
            #expect(try await store.replace("a/1", expecting: [], with: nil))
            #expect(try await store.replace("a/1", expecting: nil, with: nil))
            #expect(try await store.replace("b", expecting: nil, with: nil) == false)
        }
    }

    @Test("names and values have a limit", arguments: Backend.allCases)
    func limits(_ backend: Backend) async throws {
        try await backend.withStore { store, _ in
            let full = [UInt8](repeating: 7, count: 1 << 20)
            let longest = String(repeating: "n", count: 200)
            let fits = try await store.replace(longest, expecting: nil, with: full)
            #expect(fits)
            #expect(try await store.value(longest) == full)
            let refused: [(String, [UInt8])] = [(longest + "n", [1]), ("n", full + [1]), ("", [1])]
            for (name, value) in refused {
                let error = await storeError { () throws(StoreError) in
                    _ = try await store.replace(name, expecting: nil, with: value)
                }
                guard case .failed = error else {
                    Issue.record("\(String(describing: error))")
                    continue
                }
            }
        }
    }

    @Test("of many who want to be first with a value, one is", arguments: Backend.allCases)
    func raced(_ backend: Backend) async throws {
        try await backend.withStore { store, another in
            let other = try another()
            let winners = try await withThrowingTaskGroup(of: Bool.self) { group in
                for number in 0..<16 as Range<UInt8> {
                    let writer = number % 2 == 0 ? store : other
                    group.addTask { try await writer.replace("leader", expecting: nil, with: [number]) }
                }
                return try await group.reduce(into: 0) { $0 += $1 ? 1 : 0 }
            }
            #expect(winners == 1)
            await other.close()
        }
    }

    @Test("a lease is one holder's until it is given back or runs out", arguments: Backend.allCases)
    func leases(_ backend: Backend) async throws {
        try await backend.withStore { store, another in
            let other = try another()
            #expect(try await store.lease("lead", holder: "a", milliseconds: 60_000))
            #expect(try await store.lease("lead", holder: "a", milliseconds: 60_000))
            #expect(try await other.lease("lead", holder: "b", milliseconds: 60_000) == false)
            #expect(try await other.lease("else", holder: "b", milliseconds: 60_000))
            try await other.release("lead", holder: "b")  // Not its own.
            #expect(try await other.lease("lead", holder: "b", milliseconds: 60_000) == false)
            try await store.release("lead", holder: "a")
            #expect(try await other.lease("lead", holder: "b", milliseconds: 0))
            // It ran out at once.
            #expect(try await store.lease("lead", holder: "a", milliseconds: 60_000))
            #expect(try await other.lease("lead", holder: "b", milliseconds: 60_000) == false)
            await other.close()
        }
    }

    @Test("each change is told to whoever listens", arguments: Backend.allCases)
    func events(_ backend: Backend) async throws {
        try await backend.withStore { store, _ in
            var events = store.events().makeAsyncIterator()
            let gateway = GatewayRecord(id: Identifier(high: 1, low: 2), name: "gw")
            _ = try await store.commit(creating(service("a", id: 1)), onto: 0)
            #expect(await events.next() == .revision(1))
            try await store.save(gateway)
            #expect(await events.next() == .gatewayChanged(gateway.id))
            try await store.add(
                TokenRecord(id: gateway.id, name: "t", hash: "h", roles: [], createdAt: 1, createdBy: "x"))
            #expect(await events.next() == .tokensChanged)
            // What fails tells nothing.
            _ = await storeError { () throws(StoreError) in
                _ = try await store.commit(creating(service("b", id: 2)), onto: 0)
            }
            _ = try await store.commit(deleting(service("a", id: 1)), onto: 1)
            #expect(await events.next() == .revision(2))
        }
    }

    @Test("a listener that falls behind gets one resync for what it missed", arguments: Backend.allCases)
    func slowListener(_ backend: Backend) async throws {
        try await backend.withStore { store, _ in
            let ids = [Identifier(high: 1, low: 1), Identifier(high: 1, low: 2)]
            let slow = store.events()
            var quick = store.events().makeAsyncIterator()
            // Two that take turns, so that no two in a row are the same.
            for number in 0..<1100 {
                try await store.save(GatewayRecord(id: ids[number % 2], name: "gw"))
                #expect(await quick.next() == .gatewayChanged(ids[number % 2]))
            }
            var events = slow.makeAsyncIterator()
            #expect(await events.next() == .resync)
            #expect(await events.next() != .resync)
        }
    }

    @Test("closing ends the streams of events", arguments: Backend.allCases)
    func closing(_ backend: Backend) async throws {
        try await backend.withStore { _, another in
            let other = try another()
            let stream = other.events()
            let reader = Task {
                for await _ in stream {}
                return true
            }
            await other.close()
            #expect(await reader.value)
        }
    }
}
