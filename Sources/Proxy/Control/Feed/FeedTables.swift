// The configurations that a control plane sends: which is in effect, which is on its way, what to build upon.
//
//     message ──► take ──► adopt ──► (workers) ──► adopted ──► applied
//                    │        └─► refused ──► rejected, the one before stays
//                    └─► a newer one waits while one is being adopted; only the newest of them is

import Bytes
import Snapshot

/// One configuration of the control plane: its tables, without this gateway's settings and listeners.
struct FeedVersion: Sendable {
    var revision: UInt64
    var tables: Snapshot
    /// Monotonic nanoseconds at which its message came.
    var arrivedAt: Int64 = 0
}

/// What to do about a message or an adoption's end.
enum FeedStep {
    /// Put it in effect on every worker; `adopted` or `refused` follows.
    case adopt(FeedVersion)
    case applied(revision: UInt64, microseconds: Int)
    case rejected(GatewayRejected)
}

/// The gateway's side of a stream's configurations. No socket, no clock.
struct FeedTables {
    private(set) var effective: FeedVersion?
    private(set) var adopting: FeedVersion?
    /// The newest that came meanwhile.
    private var waiting: FeedVersion?
    /// Could not be used, but later ones may build on it.
    private var unusable: FeedVersion?

    init() {}

    /// Takes a configuration or a delta. A farewell is nobody's business here.
    mutating func take(_ message: ControlPlaneMessage, now: Int64) -> FeedStep? {
        if let full = message.configuration { return take(full, now: now) }
        if let delta = message.delta { return take(delta, now: now) }
        return nil
    }

    private mutating func take(_ full: ControlPlaneMessage.Configuration, now: Int64) -> FeedStep? {
        do throws(WireError) {
            let tables = try full.snapshot.withBytes { (bytes) throws(WireError) in try Snapshot(wire: bytes) }
            return offer(FeedVersion(revision: full.revision, tables: Self.bare(tables), arrivedAt: now))
        } catch {
            return reject(full.revision, "the configuration's bytes are damaged: \(error)", needsFull: true)
        }
    }

    private mutating func take(_ delta: ControlPlaneMessage.Delta, now: Int64) -> FeedStep? {
        if delta.delta.isEmpty { return renumber(delta, now: now) }
        guard let base = version(delta.base) else {
            return reject(delta.revision, "revision \(delta.base), which it builds upon, is not here", needsFull: true)
        }
        do throws(FeedDeltaFault) {
            let tables = try FeedDelta.apply(delta.delta, to: base.tables)
            return offer(FeedVersion(revision: delta.revision, tables: tables, arrivedAt: now))
        } catch {
            return reject(
                delta.revision, "it cannot be built upon revision \(delta.base): \(error.description)", needsFull: true)
        }
    }

    /// Nothing changes for this gateway but the number.
    private mutating func renumber(_ delta: ControlPlaneMessage.Delta, now: Int64) -> FeedStep? {
        if waiting?.revision == delta.base {
            waiting?.revision = delta.revision
        } else if adopting?.revision == delta.base, waiting == nil {
            adopting?.revision = delta.revision
        } else if effective?.revision == delta.base, adopting == nil {
            effective?.revision = delta.revision
            unusable = nil
            return .applied(revision: delta.revision, microseconds: 0)
        } else if let base = version(delta.base) {
            return offer(FeedVersion(revision: delta.revision, tables: base.tables, arrivedAt: now))
        } else {
            return reject(delta.revision, "revision \(delta.base), which it builds upon, is not here", needsFull: true)
        }
        return nil
    }

    private func version(_ revision: UInt64) -> FeedVersion? {
        for candidate in [waiting, adopting, effective, unusable] where candidate?.revision == revision {
            return candidate
        }
        return nil
    }

    private mutating func offer(_ version: FeedVersion) -> FeedStep? {
        guard adopting == nil else {
            waiting = version
            return nil
        }
        adopting = version
        return .adopt(version)
    }

    private func reject(_ revision: UInt64, _ reason: String, needsFull: Bool) -> FeedStep {
        var rejected = GatewayRejected()
        rejected.revision = revision
        rejected.reason = reason
        rejected.needsFull = needsFull
        return .rejected(rejected)
    }

    /// What is put in effect from elsewhere, such as the disk: only where nothing came yet.
    mutating func begin(with version: FeedVersion, now: Int64) -> FeedStep? {
        guard effective == nil, adopting == nil else { return nil }
        var version = version
        version.arrivedAt = now
        return offer(version)
    }

    /// The one that was being adopted is in effect on every worker.
    mutating func adopted(now: Int64) -> [FeedStep] {
        guard let version = adopting else { return [] }
        adopting = nil
        unusable = nil
        effective = version
        let microseconds = Int(clamping: max(0, now - version.arrivedAt) / 1000)
        return [.applied(revision: version.revision, microseconds: microseconds)] + next()
    }

    /// The one that was being adopted cannot be used.
    mutating func refused(entity: String, reason: String) -> [FeedStep] {
        guard let version = adopting else { return [] }
        adopting = nil
        unusable = version
        var rejected = GatewayRejected()
        rejected.revision = version.revision
        rejected.entity = entity
        rejected.reason = reason
        return [.rejected(rejected)] + next()
    }

    private mutating func next() -> [FeedStep] {
        guard let version = waiting else { return [] }
        waiting = nil
        adopting = version
        return [.adopt(version)]
    }

    /// Settings and listeners are the gateway's own, whatever was sent.
    static func bare(_ snapshot: Snapshot) -> Snapshot {
        var tables = snapshot
        tables.revision = 0
        tables.settings = Settings()
        tables.listeners = []
        return tables
    }
}

/// Deltas between tables.
enum FeedDelta {
    static func apply(_ bytes: [UInt8], to tables: Snapshot) throws(FeedDeltaFault) -> Snapshot {
        let delta: SnapshotDelta
        do throws(WireError) {
            delta = try bytes.withBytes { (bytes) throws(WireError) in try SnapshotDelta(wire: bytes) }
        } catch {
            throw FeedDeltaFault(description: "its bytes are damaged: \(error)")
        }
        do throws(DeltaError) {
            return FeedTables.bare(try delta.apply(to: tables))
        } catch {
            throw FeedDeltaFault(description: error.description)
        }
    }
}

/// Why a delta cannot be applied.
struct FeedDeltaFault: Error {
    var description: String
}
