// Records of gateways: read once, kept up to date, written back now and then.

internal import Foundation
internal import Logging
internal import Model
internal import Snapshot
internal import Store
internal import Synchronization

/// The records of all gateways, as the store has them and as streams here change them.
///
/// What lasts (joined, connected, in effect, rejected) is written within two seconds, a report and the time it came
/// every 15 s: a thousand gateways shall not keep the store busy.
final class GatewayLedger: Sendable {
    private struct State {
        var records: [Identifier: GatewayRecord] = [:]
        /// Changed here and not written; true: something that lasts.
        var dirty: [Identifier: Bool] = [:]
        /// When each was written last, Unix milliseconds.
        var savedAt: [Identifier: Int64] = [:]
        /// Reports are written as often as what lasts.
        var isEager = false
    }

    /// Milliseconds between writes of what does not last.
    static let reportInterval: Int64 = 15_000
    private static let saveInterval: Int64 = 2_000
    /// Events are gathered for so long before the store is read: a revocation has to work within a second.
    private static let gathering = Duration.milliseconds(200)

    private let store: any Store
    private let controlPlane: String
    private let clock: @Sendable () -> Int64
    private let state = Mutex(State())
    private let logger = Logger(label: "seaway.stream")

    init(store: any Store, controlPlane: String, clock: @escaping @Sendable () -> Int64) {
        self.store = store
        self.controlPlane = controlPlane
        self.clock = clock
    }

    // MARK: Reading

    var records: [GatewayRecord] { state.withLock { Array($0.records.values) } }

    func record(_ id: Identifier) -> GatewayRecord? { state.withLock { $0.records[id] } }

    /// From here or, if it is not known yet, from the store: it may have joined at another control plane just now.
    func find(_ id: Identifier) async throws(StoreError) -> GatewayRecord? {
        if let record = record(id) { return record }
        try await load()
        return record(id)
    }

    /// Reads all records. What streams here know better stays.
    ///
    /// - Returns: those that changed.
    @discardableResult
    func load() async throws(StoreError) -> [Identifier] {
        let stored = try await store.gateways()
        return state.withLock { state in
            var records: [Identifier: GatewayRecord] = [:]
            for record in stored {
                guard var ours = state.records[record.id] else {
                    records[record.id] = record
                    continue
                }
                // Revoked is for ever, also when somebody wrote an older copy over it.
                if ours.revokedAt != 0, record.revokedAt == 0 { state.dirty[record.id] = true }
                if ours.revokedAt == 0 { ours.revokedAt = record.revokedAt }
                guard state.dirty[record.id] != nil else {
                    records[record.id] = record
                    continue
                }
                ours.certificateSerial = record.certificateSerial
                ours.certificateExpiresAt = record.certificateExpiresAt
                records[record.id] = ours
            }
            let changed = Set(records.keys).union(state.records.keys).filter { records[$0] != state.records[$0] }
            state.records = records
            state.dirty = state.dirty.filter { records[$0.key] != nil }
            state.savedAt = state.savedAt.filter { records[$0.key] != nil }
            return Array(changed)
        }
    }

    /// Follows what other control planes write, until cancelled.
    func follow(_ changed: @Sendable ([Identifier]) -> Void) async {
        let (signals, signal) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
        let events = store.events()
        await withTaskGroup { group in
            group.addTask {
                for await event in events {
                    switch event {
                    case .gatewayChanged, .resync: signal.yield()
                    case .revision, .tokensChanged: continue
                    }
                }
                signal.finish()
            }
            for await _ in signals {
                try? await Task.sleep(for: Self.gathering)
                do throws(StoreError) {
                    changed(try await load())
                } catch {
                    logger.warning("gateways cannot be read from the store", metadata: ["error": "\(error)"])
                    try? await Task.sleep(for: .seconds(1))
                    signal.yield()
                }
                if Task.isCancelled { break }
            }
            group.cancelAll()
        }
    }

    // MARK: What streams say

    func connected(_ id: Identifier, labels: [String: String], hello: GatewayHello, address: String) {
        change(id, lasting: true) { record in
            record.labels = labels
            record.version = hello.version
            record.address = address
            record.controlPlane = controlPlane
        }
    }

    func disconnected(_ id: Identifier) {
        change(id, lasting: true) { if $0.controlPlane == controlPlane { $0.controlPlane = "" } }
    }

    func applied(_ id: Identifier, _ revision: UInt64) {
        change(id, lasting: true) { record in
            record.revision = revision
            record.rejectedRevision = 0
            record.rejectedEntity = ""
            record.rejectedReason = ""
        }
    }

    func rejected(_ id: Identifier, _ rejected: GatewayRejected) {
        change(id, lasting: true) { record in
            record.rejectedRevision = rejected.revision
            record.rejectedEntity = String(rejected.entity.prefix(200))
            record.rejectedReason = String(rejected.reason.prefix(1000))
        }
    }

    func reported(_ id: Identifier, _ report: GatewayReport) {
        let bytes = report.wire
        change(id, lasting: false) { $0.report = bytes }
    }

    private func change(_ id: Identifier, lasting: Bool, _ body: (inout GatewayRecord) -> Void) {
        state.withLock { state in
            guard var record = state.records[id] else { return }
            body(&record)
            record.lastSeenAt = clock()
            state.records[id] = record
            state.dirty[id] = (state.dirty[id] ?? false) || lasting
        }
    }

    // MARK: Writing

    /// Writes a new gateway, or one with a new certificate, at once.
    func save(_ record: GatewayRecord) async throws(StoreError) {
        try await store.save(record)
        state.withLock { $0.records[record.id] = record }
    }

    func revoke(_ id: Identifier) async throws(StoreError) -> Bool {
        guard var record = try await find(id) else { return false }
        guard record.revokedAt == 0 else { return true }
        record.revokedAt = clock()
        try await store.save(record)
        state.withLock { state in
            if var known = state.records[id] {
                known.revokedAt = record.revokedAt
                state.records[id] = known
            }
        }
        return true
    }

    /// While a rollout is watched, other control planes have to see what gateways here report.
    func setEager(_ isEager: Bool) { state.withLock { $0.isEager = isEager } }

    func saveFromTimeToTime() async {
        while !Task.isCancelled {
            try? await Task.sleep(for: .milliseconds(500))
            await saveDue()
        }
    }

    /// Writes what is due.
    func saveDue() async {
        let now = clock()
        let due = state.withLock { state in
            state.dirty.filter { id, isLasting in
                now - (state.savedAt[id] ?? 0)
                    >= (isLasting || state.isEager ? Self.saveInterval : Self.reportInterval)
            }.compactMap { state.records[$0.key] }
        }
        for record in due {
            state.withLock { state in
                state.dirty[record.id] = nil
                state.savedAt[record.id] = now
            }
            do throws(StoreError) {
                try await store.save(record)
            } catch {
                state.withLock { $0.dirty[record.id] = true }
                logger.warning("a gateway's record cannot be written", metadata: ["error": "\(error)"])
                return
            }
        }
    }
}
