// What a gateway keeps of its control plane, for as long as it takes: who it is, the last good configuration, and
// which configuration it was putting in effect when it died.

import Bytes
import CLinux
import Engine
import Snapshot
import Synchronization

/// Files of the state directory, mode 0600.
///
///     identity       key and certificate
///     configuration  the last configuration in effect
///     attempt        revisions that are being put in effect or never came so far, and how many processes died of each
final class FeedFiles: Sendable {
    private let directory: String
    private let writer = Mutex(Writer())

    private struct Writer {
        /// Only the latest configuration is worth storing.
        var pending: FeedVersion?
        var isRunning = false
        /// The process is about to end: no pause any more.
        var hurries = false
        var writtenAt = Int64.min
        var error: Int32 = 0
    }

    /// Nanoseconds between two writes: configurations may be large and come often.
    private static let pause: Int64 = 1_000_000_000
    /// Processes that may die of one revision before it is refused.
    static let deathsMax = 2

    init(directory: String) { self.directory = directory }

    private var configurationPath: String { directory + "/configuration" }
    private var attemptPath: String { directory + "/attempt" }
    private var identityPath: String { directory + "/identity" }

    // MARK: Identity

    var identity: FeedIdentity? { StateFile.message(identityPath) }

    /// The errno of what failed; 0: it is stored.
    func store(_ identity: FeedIdentity) -> Int32 {
        StateFile.replace(identityPath, with: identity.wire, isDurable: true)
    }

    func forgetIdentity() { StateFile.remove(identityPath) }

    // MARK: The last good configuration

    var configuration: FeedVersion? {
        guard let stored: StoredConfiguration = StateFile.message(configurationPath) else { return nil }
        let tables = try? stored.tables.withBytes { (bytes) throws(WireError) in try Snapshot(wire: bytes) }
        return tables.map { FeedVersion(revision: stored.revision, tables: $0) }
    }

    /// Stores it soon, on a thread of its own.
    func store(_ version: FeedVersion) {
        let starts = writer.withLock { writer in
            writer.pending = version
            defer { writer.isRunning = true }
            return !writer.isRunning
        }
        guard starts else { return }
        let context = unsafe Unmanaged.passRetained(self)
        var thread = pthread_t()
        let failed = unsafe sys_thread_start(
            &thread,
            { context in
                // The pointer is the one retained above, handed to exactly one thread.
                if let context = unsafe context {
                    unsafe Unmanaged<FeedFiles>.fromOpaque(context).takeRetainedValue().work()
                }
                return nil
            }, context.toOpaque(), "store")
        if failed != 0 {
            unsafe context.release()
            work()  // No thread to be had: late is better than never.
        }
    }

    private func work() {
        while true {
            let (version, wait) = writer.withLock { writer -> (FeedVersion?, Int64) in
                let now = sys_monotonic_nanoseconds()
                let due = writer.writtenAt == .min ? now : writer.writtenAt + Self.pause
                if writer.pending != nil, due > now, !writer.hurries { return (nil, due - now) }
                guard let version = writer.pending else {
                    writer.isRunning = false
                    return (nil, 0)
                }
                writer.pending = nil
                writer.writtenAt = now
                return (version, 0)
            }
            if let version {
                let stored = StoredConfiguration(revision: version.revision, tables: version.tables.wire)
                let error = StateFile.replace(configurationPath, with: stored.wire, isDurable: true)
                writer.withLock { $0.error = error }
            } else if wait > 0 {
                // Short, so that an ending process need not wait for it.
                _ = sys_poll_many(0, 0, Int32(clamping: min(50, wait / 1_000_000 + 1)))
            } else {
                return
            }
        }
    }

    /// Waits until what was to be stored is, for as long as disks take.
    func finish() {
        writer.withLock { $0.hurries = true }
        for _ in 0..<2000 {
            guard writer.withLock({ $0.isRunning }) else { return }
            _ = sys_poll_many(0, 0, 5)
        }
    }

    /// The errno of the last write; 0: it went well.
    var storeError: Int32 { writer.withLock { $0.error } }

    // MARK: The attempt

    /// How many processes died while they put `revision` in effect.
    func deaths(of revision: UInt64) -> Int {
        let attempts: Attempts? = StateFile.message(attemptPath)
        return attempts?.entries.first { $0.revision == revision }?.count ?? 0
    }

    /// From now on until `endAttempt`, this process's death counts.
    func beginAttempt(_ revision: UInt64) {
        var attempts: Attempts = StateFile.message(attemptPath) ?? Attempts()
        let count = attempts.entries.first { $0.revision == revision }?.count ?? 0
        attempts.entries.removeAll { $0.revision == revision }
        attempts.entries.append(Attempt(revision: revision, count: count + 1))
        // The oldest are the least likely to come again.
        attempts.entries = attempts.entries.suffix(Self.attemptsMax)
        _ = StateFile.replace(attemptPath, with: attempts.wire, isDurable: false)
    }

    /// The process lives, and `revision` is in effect or was refused.
    func endAttempt(_ revision: UInt64) {
        var attempts: Attempts = StateFile.message(attemptPath) ?? Attempts()
        attempts.entries.removeAll { $0.revision == revision }
        if attempts.entries.isEmpty { return StateFile.remove(attemptPath) }
        _ = StateFile.replace(attemptPath, with: attempts.wire, isDurable: false)
    }

    private static let attemptsMax = 8
}

private struct Attempts: WireMessage {
    var entries: [Attempt] = []

    init() {}

    func encode(into out: inout WireWriter) { out.put(1, messages: entries) }

    mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
        switch field {
        case 1: entries.append(try reader.message())
        default: try reader.skip()
        }
    }
}

private struct Attempt: WireMessage {
    var revision: UInt64 = 0
    var count = 0

    init() {}
    init(revision: UInt64, count: Int) {
        self.revision = revision
        self.count = count
    }

    func encode(into out: inout WireWriter) {
        out.put(1, revision)
        out.put(2, count)
    }

    mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
        switch field {
        case 1: revision = try reader.unsigned()
        case 2: count = try reader.int()
        default: try reader.skip()
        }
    }
}

private struct StoredConfiguration: WireMessage {
    var revision: UInt64 = 0
    var tables: [UInt8] = []

    init() {}
    init(revision: UInt64, tables: [UInt8]) {
        self.revision = revision
        self.tables = tables
    }

    func encode(into out: inout WireWriter) {
        out.put(1, revision)
        out.put(2, tables)
    }

    mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
        switch field {
        case 1: revision = try reader.unsigned()
        case 2: tables = try reader.data()
        default: try reader.skip()
        }
    }
}
