// Begins, watches and ends rollouts. Any control plane begins one; the one that leads watches it.
//
// 1. `prepare` holds what comes after `base` back   2. the change is committed   3. `start` names its revision
// 4. `run`, on the leader, judges each second   5. `promote` lets it go, `revert` undoes it

internal import Foundation
internal import Logging
public import Model
public import Store
internal import Synchronization

/// Undoes what a failed rollout did.
public protocol RevisionKeeper: Sendable {
    /// Makes everything as it was at `revision`, as a new revision.
    func restore(_ revision: UInt64, message: String) async throws
    /// The newest revision.
    var newest: UInt64 { get }
}

extension Workspace: RevisionKeeper {
    public func restore(_ revision: UInt64, message: String) async throws {
        let system = Author(name: "system", source: "rollback", permissions: [Permission()])
        _ = try await rollback(to: revision, by: system, message: message)
    }

    public var newest: UInt64 { catalog.revision }
}

public final class RolloutDriver: Sendable {
    private static let lease = "leader"
    private static let leaseMilliseconds = 3000
    /// A rollout that was prepared and not started for so long belongs to a control plane that died, milliseconds.
    private static let preparingMax: Int64 = 15_000

    private let store: any Store
    private let board: RolloutBoard
    private let hub: GatewayHub
    private let keeper: any RevisionKeeper
    private let rules: RolloutRules
    private let clock: @Sendable () -> Int64
    private let holder: String
    private let judge = Mutex<RolloutJudge?>(nil)
    private let leading = Mutex(false)
    private let watchers = Mutex<[UInt64: AsyncStream<Identifier>.Continuation]>([:])
    private let watcherCount = Atomic<UInt64>(0)
    private let logger = Logger(label: "seaway.rollout")

    /// - Parameter holder: tells this control plane from the others; unique to the process.
    public init(
        store: any Store, hub: GatewayHub, keeper: any RevisionKeeper, rules: RolloutRules = RolloutRules(),
        holder: String, clock: @escaping @Sendable () -> Int64 = { Clock.now() }
    ) {
        self.store = store
        self.hub = hub
        self.keeper = keeper
        self.rules = rules
        self.clock = clock
        self.holder = holder
        board = hub.rollouts
    }

    /// This control plane has the lease.
    public var isLeading: Bool { leading.withLock { $0 } }

    /// Ids of rollouts that began, moved on or ended, from now on; at most 64 wait.
    public func changes() -> AsyncStream<Identifier> {
        let (stream, continuation) = AsyncStream.makeStream(of: Identifier.self, bufferingPolicy: .bufferingNewest(64))
        let number = watcherCount.add(1, ordering: .relaxed).newValue
        watchers.withLock { $0[number] = continuation }
        continuation.onTermination = { [weak self] _ in self?.watchers.withLock { $0[number] = nil } }
        return stream
    }

    private func changed(_ rollout: Rollout) async {
        await hub.holdChanged()
        guard let id = Identifier(rollout.id) else { return }
        for watcher in watchers.withLock({ Array($0.values) }) { watcher.yield(id) }
    }

    // MARK: What people do

    /// Newest first.
    public func rollouts() async -> [RolloutStatus] {
        do throws(StoreError) { return try await board.all().compactMap(\.status) } catch { return [] }
    }

    /// Holds revisions after `base` back from gateways without `labels`, until `start` says which one it is about.
    public func prepare(
        labels: [String: String], base: UInt64, by author: Author
    ) async throws(ChangeError) -> Identifier {
        let id = Identifier.random()
        var rollout = Rollout(id: id, base: base, labels: labels, actor: author.name, startedAt: clock())
        rollout.gateways = hub.gateways().filter { $0.isConnected && rollout.isCanary($0.record.labels) }.map {
            $0.id.description
        }
        let begun = rollout
        guard try await stored({ () throws(StoreError) in try await self.board.begin(begun) }) else {
            throw .invalid([
                Diagnostic(
                    .error, code: "rollout-running", file: "", line: 0, column: 0, entity: "the rollout",
                    field: "canary", message: "another rollout is still running",
                    remedy: "promote or revert it first: see GET /v1/rollouts")
            ])
        }
        return id
    }

    /// The revision is committed. Nil: nothing was; the rollout is forgotten.
    public func start(_ id: Identifier, revision: UInt64?) async throws(ChangeError) {
        let rollout = try await running(id)
        guard let revision else {
            _ = try await stored { () throws(StoreError) in try await self.board.end(rollout, as: nil) }
            return await changed(rollout)
        }
        var started = rollout
        started.revision = revision
        // What somebody else committed since `prepare` is not held back.
        started.base = max(rollout.base, revision - 1)
        started.phase = .watching
        started.startedAt = clock()
        let next = started
        _ = try await stored { () throws(StoreError) in try await self.board.replace(rollout, with: next) }
        await changed(rollout)
    }

    /// Sends the rollout's revision to all gateways now.
    public func promote(_ id: Identifier, by author: Author) async throws(ChangeError) {
        try await end(try await running(id), .promoted, "by \(author.name)")
    }

    /// Goes back to the revision before the rollout, as a new revision.
    public func revert(_ id: Identifier, by author: Author) async throws(ChangeError) {
        try await end(try await running(id), .reverted, "by \(author.name)")
    }

    // MARK: Leading

    /// Takes part in leading, and leads, until cancelled.
    public func run() async {
        while !Task.isCancelled {
            await turn()
            try? await Task.sleep(for: .seconds(1))
        }
        try? await store.release(Self.lease, holder: holder)
    }

    /// One second's work.
    func turn() async {
        do throws(StoreError) {
            let before = board.known
            let rollout = try await board.read()
            if rollout != before, let seen = rollout ?? before { await changed(seen) }
            let isLeading = try await store.lease(
                Self.lease, holder: holder, milliseconds: Self.leaseMilliseconds)
            leading.withLock { $0 = isLeading }
            guard isLeading, let rollout else {
                judge.withLock { $0 = nil }
                return
            }
            try await drive(rollout)
        } catch {
            leading.withLock { $0 = false }
            logger.warning("the store does not answer", metadata: ["error": "\(error)"])
        }
    }

    private func drive(_ rollout: Rollout) async throws(StoreError) {
        guard rollout.phase == .watching else { return try await recover(rollout) }
        // Later revisions go to the same gateways and are part of it.
        var current = rollout
        if keeper.newest > rollout.revision { current.revision = keeper.newest }
        let gateways = hub.gateways()
        let verdict = judge.withLock { judge -> RolloutJudge.Verdict in
            var next =
                judge.flatMap { $0.id == current.id && $0.revision == current.revision ? $0 : nil }
                ?? RolloutJudge(current, rules: rules)
            defer { judge = next }
            return next.judge(gateways, now: clock())
        }
        do throws(ChangeError) {
            switch verdict {
            case .wait(let reason):
                current.reason = reason
                guard current != rollout else { return }
                let next = current
                _ = try await stored { () throws(StoreError) in try await self.board.replace(rollout, with: next) }
            case .promote(let reason): try await end(rollout, .promoted, reason)
            case .revert(let reason): try await end(rollout, .reverted, reason)
            }
        } catch {
            logger.error("a rollout cannot be ended", metadata: ["rollout": "\(rollout.id)", "error": "\(error)"])
        }
    }

    /// Ends the preparation of a control plane that died in it.
    private func recover(_ rollout: Rollout) async throws(StoreError) {
        guard clock() - rollout.startedAt > Self.preparingMax else { return }
        guard keeper.newest > rollout.base else {
            _ = try await board.end(rollout, as: nil)
            return await changed(rollout)
        }
        var started = rollout
        started.revision = keeper.newest
        started.phase = .watching
        started.startedAt = clock()
        _ = try await board.replace(rollout, with: started)
        await changed(rollout)
    }

    private func end(_ rollout: Rollout, _ phase: Rollout.Phase, _ reason: String) async throws(ChangeError) {
        var ended = rollout
        ended.phase = phase
        ended.reason = reason
        ended.endedAt = clock()
        if phase == .reverted, rollout.revision != 0 {
            // First the way back: while the hold lasts, the other gateways never see what is undone.
            do {
                try await keeper.restore(rollout.base, message: "rollout of revision \(rollout.revision): \(reason)")
            } catch let error as ChangeError {
                throw error
            } catch {
                throw .store(.failed("\(error)"))
            }
        }
        let last = ended
        _ = try await stored { () throws(StoreError) in try await self.board.end(rollout, as: last) }
        judge.withLock { $0 = nil }
        logger.notice(
            "a rollout ended",
            metadata: ["revision": "\(rollout.revision)", "phase": "\(phase.rawValue)", "reason": "\(reason)"])
        await changed(rollout)
    }

    // MARK: Helpers

    private func running(_ id: Identifier) async throws(ChangeError) -> Rollout {
        let rollout = try await stored { () throws(StoreError) in try await self.board.read() }
        guard let rollout, rollout.id == id.description else {
            throw .notFound(type: "rollouts", name: id.description)
        }
        return rollout
    }

    private func stored<R: Sendable>(
        _ body: () async throws(StoreError) -> R
    ) async throws(ChangeError) -> R {
        do throws(StoreError) { return try await body() } catch { throw .store(error) }
    }
}

extension Rollout {
    fileprivate var status: RolloutStatus? {
        guard let id = Identifier(id) else { return nil }
        return RolloutStatus(
            id: id, revision: revision, base: base, labels: labels,
            state: phase == .preparing ? "watching" : phase.rawValue, reason: reason, startedAt: startedAt,
            endedAt: endedAt, actor: actor)
    }
}
