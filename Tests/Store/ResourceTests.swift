// Resources and revisions, on each database: what is stored comes back, and nothing is lost between writers.

import Foundation
import Model
import Store
import Testing

@Suite("Resources and revisions", .serialized)
struct ResourceTests {
    @Test("an empty store is at revision 0", arguments: Backend.allCases)
    func empty(_ backend: Backend) async throws {
        try await backend.withStore { store, _ in
            let state = try await store.state()
            #expect(state.revision == 0 && state.resources.isEmpty && state.lastOrder == 0)
            #expect(try await store.head() == 0)
            #expect(try await store.revision(1) == nil)
            #expect(try await store.revisions(limit: 10, before: nil).isEmpty)
            #expect(try await store.changes(of: 1).isEmpty)
            #expect(try await store.changes(of: 0).isEmpty)
        }
    }

    @Test("what is committed comes back whole, in the order of creation", arguments: Backend.allCases)
    func roundTrip(_ backend: Backend) async throws {
        try await backend.withStore { store, another in
            var odd = service("ünïcode “name” 🚢", id: 1, spec: #"{"a":[1,2]}"#, order: 9)
            odd.labels = ["seaway.gateways.zone": "eu", "quote\"s": "a\\b\n"]
            var nameless = service("", id: .max, spec: "")
            nameless.name = nil
            nameless.key.type = "plugins"
            nameless.order = 2
            nameless.spec = Array(0...255)
            let revision = try await store.commit(creating(odd, nameless), onto: 0)
            let expected = Revision(
                number: 1, time: 1_700_000_000_123, actor: "token:test", message: "why", source: "apply", created: 2,
                updated: 0, deleted: 0)
            #expect(revision == expected)
            var unusual = creating(service("other", id: 77))
            unusual.message = "a\0b"
            _ = try await store.commit(unusual, onto: 1)
            #expect(try await store.revision(2)?.message == "a\u{FFFD}b")
            _ = try await store.commit(deleting(service("other", id: 77)), onto: 2)
            odd.version = 1
            nameless.version = 1
            for reader in [store, try another()] {
                let state = try await reader.state()
                #expect(state.resources == [nameless, odd])
                #expect(state.revision == 3 && state.lastOrder == 77)
                #expect(try await reader.revision(1) == expected)
                #expect(try await reader.changes(of: 1).map(\.after) == [nameless, odd])
                if reader as AnyObject !== store as AnyObject { await reader.close() }
            }
        }
    }

    @Test("a commit onto an old head is refused with the new one", arguments: Backend.allCases)
    func conflict(_ backend: Backend) async throws {
        try await backend.withStore { store, _ in
            _ = try await store.commit(creating(service("a", id: 1)), onto: 0)
            let error = await storeError { () throws(StoreError) in
                _ = try await store.commit(creating(service("b", id: 2)), onto: 0)
            }
            #expect(error == .conflict(head: 1))
            #expect(try await store.state().resources.map(\.name) == ["a"])
            let early = await storeError { () throws(StoreError) in
                _ = try await store.commit(creating(service("b", id: 2)), onto: 5)
            }
            #expect(early == .conflict(head: 1))
        }
    }

    @Test("a commit that does not fit what is stored leaves nothing behind", arguments: Backend.allCases)
    func mismatch(_ backend: Backend) async throws {
        try await backend.withStore { store, _ in
            let first = service("a", id: 1)
            _ = try await store.commit(creating(first), onto: 0)
            let commits = [
                creating(service("b", id: 2), service("a", id: 3)),  // The name is taken.
                creating(service("b", id: 2), service("c", id: 1)),  // The id is taken.
                changing([
                    Change(key: service("b", id: 2).key, before: nil, after: service("b", id: 2)),
                    Change(key: service("x", id: 9).key, before: service("x", id: 9), after: nil),
                ]),
                changing([]),
            ]
            for commit in commits {
                let error = await storeError { () throws(StoreError) in _ = try await store.commit(commit, onto: 1) }
                switch error {
                case .duplicate, .failed: break
                default: Issue.record("\(String(describing: error))")
                }
            }
            #expect(try await store.state().resources.count == 1)
            #expect(try await store.head() == 1)
            // Names may change hands within one commit.
            _ = try await store.commit(creating(service("b", id: 2)), onto: 1)
            let swap = changing([
                Change(key: first.key, before: first, after: service("b", id: 1)),
                Change(key: service("b", id: 2).key, before: service("b", id: 2), after: service("a", id: 2)),
            ])
            #expect(try await store.commit(swap, onto: 2).updated == 2)
            #expect(try await store.state().resources.map(\.name) == ["b", "a"])
        }
    }

    @Test("history tells what each revision did, and the net of many", arguments: Backend.allCases)
    func history(_ backend: Backend) async throws {
        try await backend.withStore { store, _ in
            var a = service("a", id: 1, spec: "1")
            var b = service("b", id: 2, spec: "1")
            _ = try await store.commit(creating(a, b), onto: 0)
            (a.version, b.version) = (1, 1)
            var a2 = service("a", id: 1, spec: "2")
            _ = try await store.commit(replacing(a, a2), onto: 1)
            a2.version = 2
            _ = try await store.commit(deleting(b), onto: 2)
            let c = service("c", id: 3)
            _ = try await store.commit(creating(c), onto: 3)
            _ = try await store.commit(deleting(c), onto: 4)
            _ = try await store.commit(replacing(a2, a), onto: 5)

            #expect(try await store.changes(of: 2) == [Change(key: a.key, before: a, after: a2)])
            #expect(try await store.changes(of: 3) == [Change(key: b.key, before: b, after: nil)])
            #expect(try await store.changes(of: 5).map(\.after) == [nil])
            // b is gone; a was changed back and c came and went.
            #expect(try await store.changes(from: 1, to: 6) == [Change(key: b.key, before: b, after: nil)])
            #expect(try await store.changes(from: 6, to: 1) == [Change(key: b.key, before: nil, after: b)])
            #expect(try await store.changes(from: 1, to: 2) == [Change(key: a.key, before: a, after: a2)])
            #expect(try await store.changes(from: 2, to: 1) == [Change(key: a.key, before: a2, after: a)])
            #expect(try await store.changes(from: 4, to: 4).isEmpty)
            #expect(try await store.changes(from: 0, to: 6).map(\.after?.version) == [6])
            // Who follows learns the new version of what was changed back.
            let progress = try await store.progress(since: 1)
            #expect(progress.revision == 6 && progress.lastOrder == 3)
            #expect(progress.changes.map(\.after?.version) == [6, nil])
            #expect(try await store.progress(since: 6).changes.isEmpty)

            #expect(try await store.revisions(limit: 2, before: nil).map(\.number) == [6, 5])
            #expect(try await store.revisions(limit: 9, before: 3).map(\.number) == [2, 1])
            #expect(try await store.revision(3)?.deleted == 1)
            // A place in the order is never given out twice, even though its resource is gone.
            #expect(try await store.state().lastOrder == 3)
        }
    }

    @Test("any two states follow from one another", arguments: Backend.allCases, [UInt64.random(in: 0...999_999)])
    func random(_ backend: Backend, seed: UInt64) async throws {
        var random = Seeded(state: seed)
        try await backend.withStore { store, _ in
            var states: [[ResourceKey: Resource]] = [[:]]
            for revision in 1...30 as ClosedRange<UInt64> {
                var state = states[states.count - 1]
                var changes: [ResourceKey: Change] = [:]
                for _ in 0..<Int.random(in: 1...6, using: &random) {
                    let id = UInt64.random(in: 1...12, using: &random)
                    var new = service("s\(id)", id: id, spec: "\(Int.random(in: 0...2, using: &random))")
                    new.version = revision
                    let before = states[states.count - 1][new.key]
                    let after = Bool.random(using: &random) ? new : nil
                    guard changes[new.key] == nil, before != nil || after != nil else { continue }
                    state[new.key] = after
                    changes[new.key] = Change(key: new.key, before: before, after: after)
                }
                if changes.isEmpty {
                    let new = service("x\(revision)", id: 100 + revision)
                    changes[new.key] = Change(key: new.key, before: nil, after: new)
                    state[new.key] = new
                    state[new.key]?.version = revision
                }
                _ = try await store.commit(changing(Array(changes.values)), onto: revision - 1)
                states.append(state)
            }
            #expect(
                try await store.state().resources.sorted { $0.key < $1.key }
                    == states[30].values.sorted { $0.key < $1.key })
            for _ in 0..<40 {
                let (from, to) = (Int.random(in: 0...30, using: &random), Int.random(in: 0...30, using: &random))
                var state = states[from]
                for change in try await store.changes(from: UInt64(from), to: UInt64(to)) {
                    #expect(change.before == state[change.key], "seed \(seed), \(from) to \(to)")
                    state[change.key] = change.after
                }
                #expect(contents(state) == contents(states[to]), "seed \(seed), \(from) to \(to)")
                let progress = try await store.progress(since: UInt64(from))
                state = states[from]
                for change in progress.changes { state[change.key] = change.after }
                #expect(state == states[30], "seed \(seed), since \(from)")
            }
        }
    }

    @Test("two stores committing at once leave a gapless history with every commit in it", arguments: Backend.allCases)
    func concurrent(_ backend: Backend) async throws {
        try await backend.withStore { store, another in
            let other = try another()
            let each = 25
            try await withThrowingTaskGroup(of: Void.self) { group in
                for (index, writer) in [store, other, store, other].enumerated() {
                    group.addTask {
                        var head: UInt64 = 0
                        for number in 0..<each {
                            let id = UInt64(index * 1000 + number + 1)
                            while true {
                                do {
                                    head = try await writer.commit(creating(service("s\(id)", id: id)), onto: head)
                                        .number
                                    break
                                } catch StoreError.conflict(let now) {
                                    head = now
                                }
                            }
                        }
                    }
                }
                try await group.waitForAll()
            }
            let state = try await other.state()
            #expect(state.revision == UInt64(4 * each))
            #expect(Set(state.resources.map(\.version)) == Set(1...UInt64(4 * each)))
            #expect(
                try await store.revisions(limit: 1000, before: nil).map(\.number) == (1...UInt64(4 * each)).reversed())
            await other.close()
        }
    }
}

private func contents(_ state: [ResourceKey: Resource]) -> [ResourceKey: Resource] {
    state.mapValues {
        var resource = $0
        resource.version = 0
        return resource
    }
}

/// SplitMix64: the seed alone repeats a run.
struct Seeded: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}
