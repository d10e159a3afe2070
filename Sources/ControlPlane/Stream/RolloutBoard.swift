// The store's one running rollout and those before it, as every control plane reads them.

internal import Foundation
internal import Store
internal import Synchronization

/// Reads and writes rollouts. The running one is the value `rollout`; those that ended are `rollouts/…`.
final class RolloutBoard: Sendable {
    private static let runningName = "rollout"
    private static let endedPrefix = "rollouts/"
    /// Ended ones that are kept.
    private static let endedMax = 50

    private let store: any Store
    private let last = Mutex<Rollout?>(nil)

    init(store: any Store) { self.store = store }

    /// As it was read last.
    var known: Rollout? { last.withLock { $0 } }

    /// The running one; nil: none.
    func read() async throws(StoreError) -> Rollout? {
        let rollout = try await store.value(Self.runningName).flatMap { Rollout(stored: $0) }
        last.withLock { $0 = rollout }
        return rollout
    }

    /// Writes the first state of a new one; false: one is running.
    func begin(_ rollout: Rollout) async throws(StoreError) -> Bool {
        let isWritten = try await store.replace(Self.runningName, expecting: nil, with: rollout.stored)
        if isWritten { last.withLock { $0 = rollout } }
        return isWritten
    }

    /// Replaces the running one; false: it is no longer as `old`.
    func replace(_ old: Rollout, with new: Rollout) async throws(StoreError) -> Bool {
        let isWritten = try await store.replace(Self.runningName, expecting: old.stored, with: new.stored)
        if isWritten { last.withLock { $0 = new } }
        return isWritten
    }

    /// Takes the running one away and keeps how it ended; false: it is no longer as `old`.
    func end(_ old: Rollout, as ended: Rollout?) async throws(StoreError) -> Bool {
        if let ended {
            _ = try await store.replace(Self.name(ended), expecting: nil, with: ended.stored)
            try await trim()
        }
        let isGone = try await store.replace(Self.runningName, expecting: old.stored, with: nil)
        if isGone { last.withLock { $0 = nil } }
        return isGone
    }

    /// Newest first, the running one included.
    func all() async throws(StoreError) -> [Rollout] {
        var rollouts: [Rollout] = []
        if let running = try await read() { rollouts.append(running) }
        for name in try await store.names(Self.endedPrefix).reversed() {
            if let bytes = try await store.value(name), let rollout = Rollout(stored: bytes) {
                rollouts.append(rollout)
            }
        }
        return rollouts
    }

    private func trim() async throws(StoreError) {
        let names = try await store.names(Self.endedPrefix)
        for name in names.dropLast(Self.endedMax) {
            guard let bytes = try await store.value(name) else { continue }
            _ = try await store.replace(name, expecting: bytes, with: nil)
        }
    }

    /// Names sort as the rollouts began.
    private static func name(_ rollout: Rollout) -> String {
        let digits = String(rollout.startedAt)
        return endedPrefix + String(repeating: "0", count: max(0, 15 - digits.count)) + digits + "-" + rollout.id
    }
}
