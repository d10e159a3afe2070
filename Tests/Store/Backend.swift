// Fresh stores of both kinds for the tests, and what they are filled with.

import Foundation
import Model
import Store
import Testing

/// The suites run once for each.
enum Backend: String, CaseIterable, CustomTestStringConvertible {
    case sqlite, postgres

    var testDescription: String { rawValue }

    /// Runs `body` with an empty, migrated database; gives it a way to open further stores on the same one.
    func withStore(_ body: (any Store, Opener) async throws -> Void) async throws {
        switch self {
        case .sqlite:
            let directory = FileManager.default.temporaryDirectory.appendingPathComponent("seaway-store-\(UUID())")
            defer { try? FileManager.default.removeItem(at: directory) }
            let path = directory.appendingPathComponent("a/store.db").path
            try await Opener { () throws(StoreError) in try SQLiteStore(path: path) }.use(body)
        case .postgres:
            let server = try await PostgresServer.shared.value
            let address = try server.makeDatabase()
            try await Opener { () throws(StoreError) in try PostgresStore(url: address) }.use(body)
        }
    }
}

/// Opens stores on one database.
struct Opener {
    let open: @Sendable () throws(StoreError) -> any Store

    func callAsFunction() throws(StoreError) -> any Store {
        try open()
    }

    func use(_ body: (any Store, Opener) async throws -> Void) async throws {
        let store = try open()
        do {
            try await store.migrate()
            try await body(store, self)
        } catch {
            await store.close()
            throw error
        }
        await store.close()
    }
}

func service(_ name: String, id: UInt64, spec: String = "{}", order: UInt64 = 0, labels: [String: String] = [:])
    -> Resource
{
    Resource(
        key: ResourceKey(type: "services", id: Identifier(high: 7, low: id)), name: name, labels: labels,
        spec: Array(spec.utf8), order: order == 0 ? id : order)
}

func creating(_ resources: Resource...) -> Commit {
    changing(resources.map { Change(key: $0.key, before: nil, after: $0) })
}

func changing(_ changes: [Change], audit: [AuditRecord] = []) -> Commit {
    Commit(
        changes: changes, actor: "token:test", message: "why", source: "apply", time: 1_700_000_000_123, audit: audit)
}

func replacing(_ before: Resource, _ after: Resource) -> Commit {
    changing([Change(key: before.key, before: before, after: after)])
}

func deleting(_ before: Resource) -> Commit {
    changing([Change(key: before.key, before: before, after: nil)])
}

/// What `body` throws; nil when it does not.
func storeError(_ body: () async throws(StoreError) -> Void) async -> StoreError? {
    do {
        try await body()
        return nil
    } catch {
        return error
    }
}
