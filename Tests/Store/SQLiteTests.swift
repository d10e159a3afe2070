// What is SQLite's own: the file, its permissions, the triggers in it; and how a store is named.

import Foundation
import GRDB
import Store
import Testing

@Suite("SQLite files and store addresses", .serialized)
struct SQLiteTests {
    private let directory = FileManager.default.temporaryDirectory.appendingPathComponent("seaway-sqlite-\(UUID())")
    private var path: String { directory.appendingPathComponent("store.db").path }

    @Test("only the owner can read the file and what stands beside it")
    func permissions() async throws {
        defer { try? FileManager.default.removeItem(at: directory) }
        let store = try SQLiteStore(path: path)
        try await store.migrate()
        _ = try await store.replace("key", expecting: nil, with: [1])
        let names = try FileManager.default.contentsOfDirectory(atPath: directory.path)
        #expect(names.contains("store.db-wal"))
        for name in names {
            let file = directory.appendingPathComponent(name).path
            let mode = try FileManager.default.attributesOfItem(atPath: file)[.posixPermissions] as? Int
            #expect(mode == 0o600, "\(name)")
        }
        #expect(try FileManager.default.attributesOfItem(atPath: directory.path)[.posixPermissions] as? Int == 0o700)
        await store.close()
    }

    @Test("commits are on disk before they are answered")
    func durability() async throws {
        defer { try? FileManager.default.removeItem(at: directory) }
        let store = try SQLiteStore(path: path)
        try await store.migrate()
        _ = try await store.commit(creating(service("a", id: 1)), onto: 0)
        // As a crash would leave it: the files, while nothing was closed.
        let copy = directory.appendingPathComponent("copy.db").path
        for suffix in ["", "-wal"] { try FileManager.default.copyItem(atPath: path + suffix, toPath: copy + suffix) }
        let recovered = try SQLiteStore(path: copy)
        #expect(try await recovered.state().resources.map(\.name) == ["a"])
        await recovered.close()
        await store.close()
    }

    @Test("the audit log cannot be changed, and shows when it was changed all the same")
    func appendOnly() async throws {
        defer { try? FileManager.default.removeItem(at: directory) }
        let store = try SQLiteStore(path: path)
        try await store.migrate()
        for number in 1...5 as ClosedRange<Int64> {
            try await store.append([
                AuditRecord(time: number, actor: "a", address: "", action: "x", target: "t", outcome: "denied")
            ])
        }
        await store.close()
        let statements = [
            "UPDATE audit SET actor = 'b' WHERE number = 2", "DELETE FROM audit WHERE number = 5",
            "INSERT OR REPLACE INTO audit SELECT number, time, 'b', address, action, target, outcome, detail, "
                + "revision, hash FROM audit WHERE number = 2",
        ]
        for statement in statements {
            #expect(throws: DatabaseError.self) { try execute([statement], on: path) }
        }
        for (statement, firstBad) in zip(statements, [2, 5, 2] as [UInt64]) {
            let copy = directory.appendingPathComponent("copy-\(UUID()).db").path
            try FileManager.default.copyItem(atPath: path, toPath: copy)
            let triggers = ["audit_keeps_lines", "audit_keeps_fields", "audit_keeps_numbers"]
            try execute(triggers.map { "DROP TRIGGER \($0)" } + [statement], on: copy)
            let tampered = try SQLiteStore(path: copy)
            #expect(try await tampered.verifyAudit() == firstBad, "\(statement)")
            await tampered.close()
        }
    }

    @Test("tables of a newer program are refused in words")
    func newer() async throws {
        defer { try? FileManager.default.removeItem(at: directory) }
        let store = try SQLiteStore(path: path)
        try await store.migrate()
        try await store.migrate()  // Once more does no harm.
        await store.close()
        try execute(["INSERT INTO migrations VALUES (99, 0)"], on: path)
        let old = try SQLiteStore(path: path)
        let error = await storeError { () throws(StoreError) in try await old.migrate() }
        guard case .failed(let why) = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(why.contains("version 99") && why.contains("newer seaway"))
        await old.close()
    }

    @Test("a file that is no database, and a place that cannot be written, are refused in words")
    func unusable() async throws {
        defer { try? FileManager.default.removeItem(at: directory) }
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        try Data(repeating: 65, count: 8192).write(to: URL(fileURLWithPath: path))
        let error = await storeError { () throws(StoreError) in
            let store = try SQLiteStore(path: path)
            try await store.migrate()
        }
        guard case .failed(let why) = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(why.contains("not a database"))
        let nowhere = await storeError { () throws(StoreError) in _ = try SQLiteStore(path: "\(path)/below/a.db") }
        guard case .unavailable(let reason) = nowhere else {
            Issue.record("\(String(describing: nowhere))")
            return
        }
        #expect(reason.contains("below"))
    }

    @Test("a temporary store leaves nothing behind")
    func temporary() async throws {
        let names = { () -> Set<String> in
            let all = try FileManager.default.contentsOfDirectory(atPath: FileManager.default.temporaryDirectory.path)
            return Set(all.filter { $0.hasPrefix("seaway-temporary-") })
        }
        let before = try names()
        let store = try SQLiteStore.temporary()
        try await store.migrate()
        let made = try names().subtracting(before)
        #expect(!made.isEmpty)
        await store.close()
        #expect(try names().subtracting(before).count < made.count)
    }

    @Test(
        "an address that names no store is answered with one that does",
        arguments: [
            ("", "sqlite:data/seaway.db"), ("data/x.db", "Write sqlite:data/x.db"), ("sqlite:", "sqlite:PATH"),
            ("sqlite::memory:", "sqlite:PATH"), ("sqlite://data/x.db", "Write sqlite:data/x.db"),
            ("mysql://a/b", "postgres://USER"), ("postgres://u:p@ss@h:port/db", "%40"),
            ("postgres://h/db?sslmod=require", "sslmod"),
        ])
    func addresses(_ text: String, _ said: String) throws {
        do {
            _ = try StoreURL.open(text)
            Issue.record("\(text) was opened")
        } catch {
            guard case .failed(let why) = error else {
                Issue.record("\(error)")
                return
            }
            #expect(why.contains(said), "\(why)")
            #expect(!why.contains("ss@h"))
        }
    }

    @Test("an address is shown without its secrets")
    func shown() {
        #expect(
            StoreURL.shown("postgres://u:secret@db.example:5433/seaway?sslmode=require")
                == "postgres://db.example:5433/seaway")
        #expect(!StoreURL.shown("postgres://u:sec@ret@h:x/seaway").contains("ret"))
        #expect(StoreURL.shown("sqlite:data/x.db") == "sqlite:data/x.db")
    }

    @Test("sqlite:PATH opens a file")
    func opens() async throws {
        defer { try? FileManager.default.removeItem(at: directory) }
        for text in ["sqlite:\(path)", "sqlite://\(path)"] {
            let store = try StoreURL.open(text)
            try await store.migrate()
            await store.close()
        }
        #expect(FileManager.default.fileExists(atPath: path))
    }

    private func execute(_ statements: [String], on path: String) throws {
        let queue = try DatabaseQueue(path: path)
        defer { try? queue.close() }
        try queue.write { database in
            for statement in statements { try database.execute(sql: statement) }
        }
    }
}
