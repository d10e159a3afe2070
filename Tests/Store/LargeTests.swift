// A hundred thousand entities in one transaction.

import Foundation
import Model
import Store
import Testing

@Suite("Large commits", .serialized)
struct LargeTests {
    @Test("a hundred thousand resources come, change and go in one revision each", arguments: Backend.allCases)
    func hundredThousand(_ backend: Backend) async throws {
        try await backend.withStore { store, _ in
            let count = 100_000
            let first = resources(count, spec: String(repeating: "x", count: 400), version: 1)
            let second = resources(count, spec: String(repeating: "y", count: 400), version: 2)
            let clock = ContinuousClock()
            var marks = [clock.now]

            let created = try await store.commit(
                changing(first.map { Change(key: $0.key, before: nil, after: $0) }), onto: 0)
            #expect(created.created == count)
            marks.append(clock.now)
            let state = try await store.state()
            #expect(state.resources == first)
            marks.append(clock.now)
            let updated = try await store.commit(
                changing(zip(first, second).map { Change(key: $0.key, before: $0, after: $1) }), onto: 1)
            #expect(updated.updated == count)
            marks.append(clock.now)
            let changes = try await store.changes(from: 1, to: 2)
            #expect(changes.count == count)
            marks.append(clock.now)
            let deleted = try await store.commit(
                changing(second.map { Change(key: $0.key, before: $0, after: nil) }), onto: 2)
            #expect(deleted.deleted == count)
            marks.append(clock.now)
            let times = zip(marks, marks.dropFirst()).map { "\($1 - $0)" }
            print("\(backend): create, read, replace, compare, delete \(count): \(times)")

            let end = try await store.state()
            #expect(end.resources.isEmpty && end.lastOrder == UInt64(count))
            let net = try await store.changes(from: 0, to: 3)
            #expect(net.isEmpty)
        }
    }
}

private func resources(_ count: Int, spec: String, version: UInt64) -> [Resource] {
    (1...UInt64(count)).map { number in
        // Identifiers come in no order, as random ones do.
        var new = service("s\(number)", id: number &* 0x9E37_79B9_7F4A_7C15, spec: spec, order: number)
        new.version = version
        return new
    }
}
