// The store in one SQLite file, for one control plane: WAL, every commit on disk before it is answered.

internal import Foundation
internal import GRDB

/// A store in an SQLite file, through GRDB. Only its owner can read the file.
public final class SQLiteStore: DatabaseStore {
    let hub = EventHub()
    private let pool: DatabasePool
    /// A directory that goes when the store is closed.
    private let scratch: URL?

    /// Opens the file, or makes it, with the directories above it.
    ///
    /// - Throws: `unavailable` when the file cannot be opened, `failed` when it is no database.
    public convenience init(path: String) throws(StoreError) {
        try self.init(path: path, scratch: nil)
    }

    /// A store in a file of its own under the system's directory for such, removed by `close()`. For tests.
    public static func temporary() throws(StoreError) -> SQLiteStore {
        let directory = FileManager.default.temporaryDirectory.appendingPathComponent("seaway-temporary-\(UUID())")
        return try SQLiteStore(path: directory.appendingPathComponent("store.db").path, scratch: directory)
    }

    private init(path: String, scratch: URL?) throws(StoreError) {
        self.scratch = scratch
        do {
            try Self.prepareFile(path)
            pool = try DatabasePool(path: path, configuration: Self.configuration)
        } catch {
            let error = StoreError(sqlite: error)
            guard case .unavailable(let why) = error else { throw error }
            throw .unavailable("\(path): \(why)")
        }
    }

    private static var configuration: Configuration {
        var configuration = Configuration()
        configuration.label = "seaway.store"
        configuration.journalMode = .wal
        configuration.foreignKeysEnabled = true
        configuration.busyMode = .timeout(10)
        configuration.prepareDatabase { database in
            // GRDB lowers this to NORMAL with WAL, which may lose the last commits when the machine stops.
            try database.execute(sql: "PRAGMA synchronous = FULL")
            // 32 MiB: an apply of many entities touches index pages all over.
            try database.execute(sql: "PRAGMA cache_size = -32768")
        }
        return configuration
    }

    /// SQLite gives the journal and the shared memory beside the file the file's own permissions.
    private static func prepareFile(_ path: String) throws {
        let files = FileManager.default
        let directory = URL(fileURLWithPath: path).deletingLastPathComponent().path
        if !files.fileExists(atPath: directory) {
            do {
                try files.createDirectory(
                    atPath: directory, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
            } catch {
                throw StoreError.unavailable("the directory \(directory) cannot be made")
            }
        }
        if !files.fileExists(atPath: path) {
            guard files.createFile(atPath: path, contents: nil, attributes: [.posixPermissions: 0o600]) else {
                throw StoreError.unavailable("the file cannot be made; may this user write to \(directory)?")
            }
        }
        try? files.setAttributes([.posixPermissions: 0o600], ofItemAtPath: path)
    }

    public func migrate() async throws(StoreError) {
        try await migrateTables()
    }

    public func close() async {
        hub.finish()
        let pool = pool
        await withCheckedContinuation { done in
            // Waits for what is under way.
            pool.asyncWriteWithoutTransaction { _ in done.resume() }
        }
        try? pool.close()
        if let scratch { try? FileManager.default.removeItem(at: scratch) }
    }

    func read<T: Sendable>(
        _ work: @escaping @Sendable (any SQLSession) throws(StoreError) -> T
    ) async throws(StoreError) -> T {
        let result = await withCheckedContinuation { (done: CheckedContinuation<Result<T, StoreError>, Never>) in
            // A transaction in WAL mode sees the state of its first statement throughout.
            pool.asyncRead { database in
                do {
                    let session = SQLiteSession(try database.get())
                    done.resume(returning: .success(try work(session)))
                } catch {
                    done.resume(returning: .failure(StoreError(sqlite: error)))
                }
            }
        }
        return try result.get()
    }

    func write<T: Sendable>(
        _ work: @escaping @Sendable (any SQLSession, Attempt) throws(StoreError) -> T
    ) async throws(StoreError) -> T {
        let result = await withCheckedContinuation { (done: CheckedContinuation<Result<T, StoreError>, Never>) in
            pool.asyncWriteWithoutTransaction { [hub] database in
                do {
                    let session = SQLiteSession(database)
                    var value: T?
                    try database.inTransaction(.immediate) {
                        value = try work(session, .fresh)
                        return .commit
                    }
                    for event in session.events { hub.send(event) }
                    guard let value else { throw StoreError.failed("A transaction ended without a result.") }
                    done.resume(returning: .success(value))
                } catch {
                    done.resume(returning: .failure(StoreError(sqlite: error)))
                }
            }
        }
        return try result.get()
    }

    let dialect = SQLDialect(
        integer: "INTEGER", text: "TEXT", bytes: "BLOB", identifier: "BLOB", noBytes: "x''", tableOptions: " STRICT",
        appendOnly: """
            CREATE TRIGGER audit_keeps_lines BEFORE DELETE ON audit
            BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
            CREATE TRIGGER audit_keeps_fields BEFORE UPDATE ON audit
            BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
            -- INSERT OR REPLACE removes rows without asking the triggers above.
            CREATE TRIGGER audit_keeps_numbers BEFORE INSERT ON audit
            WHEN EXISTS (SELECT 1 FROM audit WHERE number = NEW.number)
            BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
            """,
        // Write transactions begin with BEGIN IMMEDIATE.
        migrationLock: "")
}
