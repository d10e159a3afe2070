// The health of every endpoint in the process, shared by all workers without locks on the way.

import Bytes
import CLinux
import Snapshot
import Synchronization

/// Names an endpoint's health across reloads.
struct HealthKey: Hashable, Sendable {
    var cluster: ID
    var address: IPAddress
    var port: UInt16
    var targetName: String
}

/// A crossing between available and unavailable, for the log and the metrics.
struct HealthTransition: Sendable, Equatable {
    var key: HealthKey
    var isAvailable: Bool
    /// Monotonic nanoseconds.
    var at: Int64
}

/// A table of cells, two words each: the state (`HealthState`) and when an ejected endpoint may next
/// be tried. Workers read and change cells with atomics; only control adds and removes them.
///
/// A worker need not look at every cell on every pick: `generation` counts crossings, and while it
/// stands still no availability has changed.
@safe
final class HealthBoard: @unchecked Sendable {  // Cells are atomics at fixed addresses until deinit.
    private let cells: UnsafeMutablePointer<Cell>
    let capacity: Int
    private let crossings = Atomic<UInt64>(0)
    private let registry: Mutex<Registry>

    /// What an endpoint costs is 16 bytes, touched only when used.
    static let standardCapacity = 65536
    /// Removed endpoints keep their state this long, as in Kong: a reload may bring them back.
    static let graceNanoseconds: Int64 = 300_000_000_000
    /// Crossings kept for `drainTransitions`; older ones are dropped first.
    static let transitionsMax = 1024

    private struct Cell: ~Copyable {
        let state = Atomic<UInt64>(0)
        let trialAt = Atomic<Int64>(0)
    }

    private struct Registry {
        struct Entry { var cell: Int32, users: Int, idleSince: Int64 }
        var entries: [HealthKey: Entry] = [:]
        var keys: [Int32: HealthKey] = [:]
        var free: [Int32] = []
        var used: Int32 = 0
        var transitions: [HealthTransition] = []
    }

    init(capacity: Int = HealthBoard.standardCapacity) {
        self.capacity = max(capacity, 1)
        unsafe cells = .allocate(capacity: self.capacity)
        registry = Mutex(Registry())
    }

    deinit {
        let used = registry.withLock { Int($0.used) }
        unsafe cells.deinitialize(count: used)
        unsafe cells.deallocate()
    }

    // MARK: Control

    /// The cell of `key`, new or kept from before; -1 when the board is full (the endpoint then
    /// always counts as available). Each call is balanced by one `release`.
    func acquire(_ key: HealthKey, now: Int64) -> Int32 {
        registry.withLock { registry in
            if var entry = registry.entries[key] {
                entry.users += 1
                registry.entries[key] = entry
                return entry.cell
            }
            if registry.free.isEmpty, Int(registry.used) >= capacity { collect(&registry, now: now) }
            let cell: Int32
            if let reused = registry.free.popLast() {
                cell = reused
                unsafe cells[Int(cell)].state.store(0, ordering: .relaxed)
                unsafe cells[Int(cell)].trialAt.store(0, ordering: .relaxed)
            } else {
                guard Int(registry.used) < capacity else { return -1 }
                cell = registry.used
                unsafe (cells + Int(cell)).initialize(to: Cell())
                registry.used += 1
            }
            registry.entries[key] = .init(cell: cell, users: 1, idleSince: 0)
            registry.keys[cell] = key
            return cell
        }
    }

    func release(_ key: HealthKey, now: Int64) {
        registry.withLock { registry in
            guard var entry = registry.entries[key], entry.users > 0 else { return }
            entry.users -= 1
            entry.idleSince = now
            registry.entries[key] = entry
        }
    }

    /// Frees the cells of endpoints that nobody has used for the grace period.
    func collect(now: Int64) { registry.withLock { collect(&$0, now: now) } }

    /// Sets an endpoint's health by hand; false when there is no such endpoint.
    func force(_ key: HealthKey, healthy: Bool, now: Int64) -> Bool {
        guard let cell = registry.withLock({ $0.entries[key]?.cell }) else { return false }
        change(cell, now: now) { $0.force(healthy ? .healthy : .unhealthy) }
        return true
    }

    /// The state of an endpoint, for status pages; nil when there is no such endpoint.
    func state(_ key: HealthKey) -> HealthState? {
        guard let cell = registry.withLock({ $0.entries[key]?.cell }) else { return nil }
        return state(cell)
    }

    /// Crossings since the last call, oldest first.
    func drainTransitions() -> [HealthTransition] {
        registry.withLock { registry in
            defer { registry.transitions = [] }
            return registry.transitions
        }
    }

    // MARK: Workers

    /// Changes whenever some endpoint becomes available or unavailable.
    @inline(__always)
    var generation: UInt64 { crossings.load(ordering: .acquiring) }

    func state(_ cell: Int32) -> HealthState {
        guard isCell(cell) else { return HealthState() }
        return unsafe HealthState(word: cells[Int(cell)].state.load(ordering: .relaxed))
    }

    /// Tells what a request or probe saw. Costs one relaxed load when a healthy endpoint does well.
    func report(_ event: HealthEvent, cell: Int32, from source: HealthSource, limits: HealthLimits, now: Int64) {
        guard isCell(cell) else { return }
        var before = state(cell)
        while true {
            var after = before
            after.report(event, from: source, limits: limits)
            if after == before { return }
            guard let current = exchange(cell, before, after, now: now) else { return }
            before = current
        }
    }

    /// Settles a trial that `claimTrial` allowed.
    func reportTrial(_ event: HealthEvent, cell: Int32, limits: HealthLimits, now: Int64) {
        guard isCell(cell) else { return }
        change(cell, now: now) { $0.reportTrial(event, limits: limits) }
        let state = state(cell)
        if !state.isAvailable {
            let next = now + TrialBackoff.nanoseconds(failedTrials: state.failedTrials)
            unsafe cells[Int(cell)].trialAt.store(next, ordering: .relaxed)
        }
    }

    /// When an unavailable endpoint may be tried; `Int64.max` when never.
    func trialTime(_ cell: Int32) -> Int64 {
        guard isCell(cell), !state(cell).isForced else { return .max }
        return unsafe cells[Int(cell)].trialAt.load(ordering: .relaxed)
    }

    /// Takes the one trial of this period, so that no other worker does. A trial that is never
    /// reported (the client left) only costs its period.
    func claimTrial(_ cell: Int32, now: Int64) -> Bool {
        guard isCell(cell) else { return false }
        let state = state(cell)
        guard !state.isAvailable, !state.isForced else { return false }
        let due = unsafe cells[Int(cell)].trialAt.load(ordering: .relaxed)
        guard now >= due else { return false }
        let next = now + TrialBackoff.nanoseconds(failedTrials: state.failedTrials)
        return unsafe cells[Int(cell)].trialAt.compareExchange(
            expected: due, desired: next, ordering: .relaxed
        ).exchanged
    }

    // MARK: Private

    private func isCell(_ cell: Int32) -> Bool { cell >= 0 && Int(cell) < capacity }

    private func change(_ cell: Int32, now: Int64, _ body: (inout HealthState) -> Void) {
        var before = state(cell)
        while true {
            var after = before
            body(&after)
            if after == before { return }
            guard let current = exchange(cell, before, after, now: now) else { return }
            before = current
        }
    }

    /// Nil when `after` was stored, else the state that stood in the way.
    private func exchange(
        _ cell: Int32, _ before: HealthState, _ after: HealthState, now: Int64
    ) -> HealthState? {
        if before.isAvailable, !after.isAvailable {
            // Before the state, so that no worker sees an ejected endpoint with an old trial time.
            unsafe cells[Int(cell)].trialAt.store(
                now + TrialBackoff.nanoseconds(failedTrials: 0), ordering: .relaxed)
        }
        let (done, current) = unsafe cells[Int(cell)].state.compareExchange(
            expected: before.word, desired: after.word, ordering: .acquiringAndReleasing)
        guard done else { return HealthState(word: current) }
        if before.isAvailable != after.isAvailable { crossed(cell, isAvailable: after.isAvailable, now: now) }
        return nil
    }

    private func crossed(_ cell: Int32, isAvailable: Bool, now: Int64) {
        registry.withLock { registry in
            guard let key = registry.keys[cell] else { return }
            if registry.transitions.count >= Self.transitionsMax { registry.transitions.removeFirst() }
            registry.transitions.append(.init(key: key, isAvailable: isAvailable, at: now))
        }
        crossings.add(1, ordering: .releasing)
    }

    private func collect(_ registry: inout Registry, now: Int64) {
        let idle = registry.entries.filter { $0.value.users == 0 && now - $0.value.idleSince >= Self.graceNanoseconds }
        for (key, entry) in idle {
            registry.entries[key] = nil
            registry.keys[entry.cell] = nil
            registry.free.append(entry.cell)
        }
    }
}
