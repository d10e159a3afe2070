// Changes through the workspace: all or nothing, checked, versioned, cascaded, undone.

import ControlPlane
import Dialects
import Foundation
import Model
import Store
import Testing

@Suite("workspace")
struct WorkspaceTests {
    static let admin = Author(name: "token:test", source: "resource-api", permissions: [Permission()])

    /// A workspace over a new SQLite file, and its store.
    static func make() async throws -> (Workspace, SQLiteStore) {
        let path = FileManager.default.temporaryDirectory.appendingPathComponent("seaway-\(UUID()).db").path
        let store = try SQLiteStore(path: path)
        try await store.migrate()
        let workspace = Workspace(store: store, clock: { 1_700_000_000_000 })
        try await workspace.start()
        return (workspace, store)
    }

    static func draft(_ kind: EntityKind, _ json: String, _ catalog: Catalog) throws(ChangeError) -> Draft {
        let completed = KongEntities.complete(
            kind, input: (try? ConfigValue(json: Array(json.utf8))) ?? .null, now: 1_700_000_000_000
        ) { kind, text in catalog.resource(type: kind.rawValue, nameOrID: text)?.key.id }
        switch completed {
        case .success(let record): return Draft(record)
        case .failure: throw .notFound(type: kind.rawValue, name: json)
        }
    }

    static func put(
        _ workspace: Workspace, _ kind: EntityKind, _ json: String, by author: Author = admin
    ) async throws -> ChangeResult {
        try await workspace.change(by: author) { catalog throws(ChangeError) in
            [.put(try draft(kind, json, catalog))]
        }
    }

    @Test("a change is one revision with its author, and writing the same again is none")
    func oneRevision() async throws {
        let (workspace, store) = try await Self.make()
        let first = try await Self.put(workspace, .services, #"{"name": "a", "host": "a.example"}"#)
        #expect(first.revision == 1)
        let stored = try #require(workspace.catalog.resource(type: "services", named: "a"))
        #expect(stored.version == 1)
        let spec = try ConfigValue(json: stored.spec)
        #expect(spec["created_at"].int == 1_700_000_000)
        let again = try await workspace.change(by: Self.admin) { _ throws(ChangeError) in
            [.put(Draft(key: stored.key, spec: spec))]
        }
        #expect(again.revision == 1 && again.changes.isEmpty)
        let revisions = try await store.revisions(limit: 10, before: nil)
        #expect(revisions.map(\.actor) == ["token:test"])
        let audit = try await store.audit(AuditQuery())
        #expect(audit.map(\.target) == ["services/a"])
    }

    @Test("a mistake anywhere in a change leaves everything as it was")
    func allOrNothing() async throws {
        let (workspace, _) = try await Self.make()
        _ = try await Self.put(workspace, .services, #"{"name": "a", "host": "a.example"}"#)
        await #expect(throws: ChangeError.self) {
            try await workspace.change(by: Self.admin) { catalog throws(ChangeError) in
                [
                    .put(try Self.draft(.services, #"{"name": "b", "host": "b.example"}"#, catalog)),
                    .put(try Self.draft(.services, #"{"name": "a", "host": "other.example"}"#, catalog)),
                ]
            }
        }
        #expect(workspace.catalog.revision == 1)
        #expect(workspace.catalog.count("services") == 1)
        #expect(workspace.current.model.services.map(\.name) == ["a"])
    }

    @Test("names may be swapped in one change")
    func swap() async throws {
        let (workspace, _) = try await Self.make()
        _ = try await Self.put(workspace, .services, #"{"name": "a", "host": "a.example"}"#)
        _ = try await Self.put(workspace, .services, #"{"name": "b", "host": "b.example"}"#)
        let result = try await workspace.change(by: Self.admin) { catalog throws(ChangeError) in
            var edits: [Edit] = []
            for (old, new) in [("a", "b"), ("b", "a")] {
                guard let resource = catalog.resource(type: "services", named: old),
                    case .record(var entries)? = try? ConfigValue(json: resource.spec),
                    let place = entries.firstIndex(where: { $0.key == "name" })
                else { throw ChangeError.notFound(type: "services", name: old) }
                entries[place].value = .string(new)
                edits.append(.put(Draft(key: resource.key, spec: .record(entries))))
            }
            return edits
        }
        #expect(result.changes.count == 2)
        let renamed = try #require(workspace.catalog.resource(type: "services", named: "b"))
        #expect(try ConfigValue(json: renamed.spec)["host"].string == "a.example")
    }

    @Test("deleting takes along what belongs to it and refuses what others need")
    func cascade() async throws {
        let (workspace, _) = try await Self.make()
        _ = try await Self.put(workspace, .services, #"{"name": "a", "host": "a.example"}"#)
        _ = try await Self.put(workspace, .routes, #"{"name": "r", "paths": ["/r"], "service": {"name": "a"}}"#)
        _ = try await Self.put(workspace, .plugins, #"{"name": "key-auth", "route": {"name": "r"}}"#)
        let service = try #require(workspace.catalog.resource(type: "services", named: "a"))
        let route = try #require(workspace.catalog.resource(type: "routes", named: "r"))
        await #expect {
            try await workspace.change(by: Self.admin) { _ throws(ChangeError) in [.delete(service.key)] }
        } throws: { error in
            guard case ChangeError.referenced(type: "services", by: "routes") = error else { return false }
            return true
        }
        let result = try await workspace.change(by: Self.admin) { _ throws(ChangeError) in [.delete(route.key)] }
        #expect(result.changes.map(\.key.type) == ["plugins", "routes"])
        #expect(workspace.catalog.count == 1)
        #expect(workspace.current.model.plugins.isEmpty)
    }

    @Test("a version that is not the current one is refused")
    func versions() async throws {
        let (workspace, _) = try await Self.make()
        _ = try await Self.put(workspace, .services, #"{"name": "a", "host": "a.example"}"#)
        let service = try #require(workspace.catalog.resource(type: "services", named: "a"))
        await #expect {
            try await workspace.change(by: Self.admin) { _ throws(ChangeError) in [.delete(service.key, ifVersion: 7)] }
        } throws: { error in
            guard case ChangeError.preconditionFailed(version: 1) = error else { return false }
            return true
        }
    }

    @Test("rights are asked for every resource, before and after")
    func rights() async throws {
        let (workspace, _) = try await Self.make()
        let team = Author(
            name: "token:team", source: "resource-api",
            permissions: [Permission(verbs: [.create, .update], types: ["services"], labels: ["team": "a"])])
        _ = try await Self.put(workspace, .services, #"{"name": "a", "host": "a", "tags": ["team=a"]}"#, by: team)
        _ = try await Self.put(workspace, .services, #"{"name": "b", "host": "b", "tags": ["team=b"]}"#)
        let others = try #require(workspace.catalog.resource(type: "services", named: "b"))
        // Somebody else's service cannot be taken by giving it one's own label.
        await #expect {
            try await workspace.change(by: team) { catalog throws(ChangeError) in
                var mine = try Self.draft(.services, #"{"name": "b", "host": "b", "tags": ["team=a"]}"#, catalog)
                mine.key = others.key
                return [.put(mine)]
            }
        } throws: { error in
            guard case ChangeError.denied = error else { return false }
            return true
        }
        #expect(workspace.catalog.resource(type: "services", named: "b") == others)
    }

    @Test("a rollback makes everything as it was, deleted things included, and can be rolled back")
    func rollback() async throws {
        let (workspace, _) = try await Self.make()
        _ = try await Self.put(workspace, .services, #"{"name": "a", "host": "a.example"}"#)
        _ = try await Self.put(workspace, .services, #"{"name": "b", "host": "b.example"}"#)
        let then = workspace.catalog
        let key = try #require(then.resource(type: "services", named: "a")).key
        _ = try await workspace.change(by: Self.admin) { _ throws(ChangeError) in [.delete(key)] }
        let undone = try await workspace.rollback(to: 2, by: Self.admin, message: "a is needed")
        #expect(undone.revision == 4)
        #expect(workspace.catalog.all("services").map(\.spec) == then.all("services").map(\.spec))
        _ = try await workspace.rollback(to: 3, by: Self.admin)
        #expect(workspace.catalog.all("services").compactMap(\.name) == ["b"])
    }

    @Test("what another control plane commits is taken in, and neither loses a change")
    func twoWorkspaces() async throws {
        let (one, store) = try await Self.make()
        let two = Workspace(store: store)
        try await two.start()
        async let following: Void = two.follow()
        try await withThrowingTaskGroup(of: Void.self) { group in
            for (index, workspace) in [one, two].enumerated() {
                group.addTask {
                    for number in 0..<10 {
                        _ = try await Self.put(
                            workspace, .services, #"{"name": "s\#(index)-\#(number)", "host": "h"}"#)
                    }
                }
            }
            try await group.waitForAll()
        }
        // Both have all of it after one more change through each.
        _ = try await Self.put(one, .services, #"{"name": "last-one", "host": "h"}"#)
        _ = try await Self.put(two, .services, #"{"name": "last-two", "host": "h"}"#)
        _ = try await Self.put(one, .services, #"{"name": "last", "host": "h"}"#)
        #expect(one.catalog.revision == 23)
        #expect(one.catalog.count("services") == 23)
        #expect(one.current.model.services.count == 23)
        await store.close()
        await following
    }

    @Test("a catalog of the past shows what was there")
    func past() async throws {
        let (workspace, _) = try await Self.make()
        for name in ["a", "b", "c"] {
            _ = try await Self.put(workspace, .services, #"{"name": "\#(name)", "host": "h"}"#)
        }
        let past = try await workspace.catalog(at: 2)
        #expect(past.revision == 2)
        #expect(past.all("services").compactMap(\.name) == ["a", "b"])
    }
}
