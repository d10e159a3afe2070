// The gateways of this control plane: their streams, what they are sent, what they said.
//
// 1. `run` takes each published revision and wakes the streams   2. a stream asks `next`, then `message`
// 3. the gateway's answer comes in at `received`   4. `GatewayLedger` keeps what lasts in the store

internal import Authority
internal import Foundation
internal import Logging
public import Model
internal import Snapshot
public import Store
internal import Synchronization

/// A stream's end inside the hub: what wakes its writer, and its number.
struct StreamHandle: Sendable {
    var number: UInt64
    var gateway: Identifier
    /// Yields when `next` has something new to say.
    var wakes: AsyncStream<Void>
    /// Yields when the stream is to end.
    var ends: AsyncStream<Void>
}

public final class GatewayHub: Sendable {
    private struct Live {
        var gateway: Identifier
        var wake: AsyncStream<Void>.Continuation
        var end: AsyncStream<Void>.Continuation
        var workers = 0
        var applyMicroseconds = 0
        var pushMilliseconds = 0.0
        var bytesSent: UInt64 = 0
        var messagesSent: UInt64 = 0
        var connectedAt: Int64
        var report: GatewayReport?
    }

    private struct State {
        var fleet = FleetState()
        var live: [UInt64: Live] = [:]
        /// The stream of each gateway.
        var numbers: [Identifier: UInt64] = [:]
        var lastNumber: UInt64 = 0
        var isStopped = false
        /// When each revision that is still on its way was published, Unix milliseconds.
        var publishedAt: [UInt64: Int64] = [:]
        var watchers: [UInt64: AsyncStream<Identifier>.Continuation] = [:]
        var counters = StreamCounters()
    }

    let options: StreamOptions
    let ledger: GatewayLedger
    let editions: Editions
    let rollouts: RolloutBoard
    private let source: any ConfigurationSource
    private let clock: @Sendable () -> Int64
    private let state = Mutex(State())
    private let logger = Logger(label: "seaway.stream")

    public init(
        source: any ConfigurationSource, store: any Store, options: StreamOptions = StreamOptions(),
        clock: @escaping @Sendable () -> Int64 = { Clock.now() }
    ) {
        self.source = source
        self.options = options
        self.clock = clock
        ledger = GatewayLedger(store: store, controlPlane: options.controlPlane, clock: clock)
        rollouts = RolloutBoard(store: store)
        editions = Editions(source: source, expressions: options.expressions)
    }

    // MARK: Reading

    /// All gateways that ever joined and were not removed, by name.
    public func gateways() -> [GatewayStatus] {
        let records = ledger.records
        return state.withLock { state in
            records.map { Self.status($0, state, clock()) }
        }.sorted { ($0.record.name, $0.record.id) < ($1.record.name, $1.record.id) }
    }

    public func gateway(_ id: Identifier) -> GatewayStatus? {
        guard let record = ledger.record(id) else { return nil }
        return state.withLock { Self.status(record, $0, clock()) }
    }

    /// Ids of gateways about which something changed, from now on; at most 1024 wait.
    public func changes() -> AsyncStream<Identifier> {
        let (stream, continuation) = AsyncStream.makeStream(
            of: Identifier.self, bufferingPolicy: .bufferingNewest(1024))
        let number = state.withLock { state in
            state.lastNumber += 1
            state.watchers[state.lastNumber] = continuation
            return state.lastNumber
        }
        continuation.onTermination = { [weak self] _ in self?.state.withLock { $0.watchers[number] = nil } }
        return stream
    }

    /// Counts since the start.
    public var counters: StreamCounters {
        state.withLock { state in
            var counters = state.counters
            counters.streams = state.live.count
            return counters
        }
    }

    private static func status(_ record: GatewayRecord, _ state: borrowing State, _ now: Int64) -> GatewayStatus {
        var status = GatewayStatus(record: record)
        status.targetRevision = state.fleet.target(record.labels)?.revision ?? 0
        guard let number = state.numbers[record.id], let live = state.live[number] else {
            // Another control plane's: believed for as long as it writes.
            let isFresh = now - record.lastSeenAt < GatewayLedger.reportInterval * 3
            status.isConnected = !record.controlPlane.isEmpty && record.revokedAt == 0 && isFresh
            status.report = record.decodedReport
            return status
        }
        status.isHere = true
        status.isConnected = true
        status.workers = live.workers
        status.applyMicroseconds = live.applyMicroseconds
        status.pushMilliseconds = live.pushMilliseconds
        status.bytesSent = live.bytesSent
        status.messagesSent = live.messagesSent
        status.connectedAt = live.connectedAt
        status.report = live.report ?? record.decodedReport
        return status
    }

    /// What gateways with these labels are to have now; nil: nothing was published yet.
    func target(_ labels: [String: String]) -> EditionKey? { state.withLock { $0.fleet.target(labels) } }

    // MARK: Running

    /// Reads the store's gateways. Call once, before `run` and before the first stream.
    public func start() async throws(StoreError) { try await ledger.load() }

    /// Publishes and keeps records until cancelled.
    public func run() async {
        await withTaskGroup { group in
            group.addTask { await self.publish() }
            group.addTask { await self.ledger.saveFromTimeToTime() }
            group.addTask {
                await self.ledger.follow { changed in
                    for id in changed { self.notice(id) }
                }
            }
            await group.waitForAll()
        }
    }

    private func publish() async {
        for await published in source.published() {
            await take(published)
        }
    }

    /// Sends a revision on its way. What a running rollout holds back is asked of the store first, so that no gateway
    /// gets what is not for it, however many control planes there are.
    func take(_ published: PublishedModel) async {
        let head = FleetState.Target(
            revision: published.revision, keys: LabelSelection.keys(in: published.model))
        let now = clock()
        let rollout = await currentRollout()
        let kept = Set([rollout?.base].compactMap { $0 })
        await editions.install(published.revision, published.model, keeping: kept)
        let hold = await hold(rollout)
        let woken = state.withLock { state in
            state.publishedAt[published.revision] = now
            // Older ones are on their way to slow gateways only; nobody measures those.
            if state.publishedAt.count > 64 {
                state.publishedAt = state.publishedAt.filter { $0.key + 64 > published.revision }
            }
            return state.fleet.publish(head, hold: hold).compactMap { state.live[$0]?.wake }
        }
        for wake in woken { wake.yield() }
        await editions.prune(inUse: state.withLock { $0.fleet.editionsInUse })
    }

    /// A rollout began, moved on or ended: gateways may be due another revision.
    func holdChanged() async {
        let hold = await hold(rollouts.known)
        let woken = state.withLock { state in
            guard let head = state.fleet.head else { return [] as [AsyncStream<Void>.Continuation] }
            return state.fleet.publish(head, hold: hold).compactMap { state.live[$0]?.wake }
        }
        for wake in woken { wake.yield() }
    }

    private func currentRollout() async -> Rollout? {
        while !Task.isCancelled {
            do throws(StoreError) {
                return try await rollouts.read()
            } catch {
                logger.warning("the store does not answer; revisions wait", metadata: ["error": "\(error)"])
                try? await Task.sleep(for: .milliseconds(500))
            }
        }
        return rollouts.known
    }

    private func hold(_ rollout: Rollout?) async -> FleetState.Hold? {
        ledger.setEager(rollout != nil)
        guard let rollout else { return nil }
        let keys = (try? await editions.keys(of: rollout.base)) ?? []
        return FleetState.Hold(base: .init(revision: rollout.base, keys: keys), canary: rollout.labels)
    }

    /// Ends all streams; no new ones are taken.
    public func stop(reason: String) {
        var farewell = ControlPlaneMessage.Farewell()
        farewell.reason = reason
        let woken = state.withLock { state in
            state.isStopped = true
            for number in state.live.keys { state.fleet.end(number, farewell) }
            return state.live.values.flatMap { [$0.wake, $0.end] }
        }
        for wake in woken { wake.yield() }
    }

    // MARK: Streams

    /// A stream begins. An older one of the same gateway ends.
    ///
    /// - Returns: nil when there are too many, or the hub has stopped.
    func open(_ record: GatewayRecord, hello: GatewayHello, labels: [String: String]) async -> StreamHandle? {
        let target = state.withLock { $0.fleet.target(labels) }
        var base: EditionKey?
        if let target {
            base = await editions.base(hello.revision, digest: hello.digest, labels: labels, target: target)
        }
        let (wakes, wake) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
        let (ends, end) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
        var older: Live?
        let number: UInt64? = state.withLock { state in
            guard !state.isStopped, state.live.count < options.streamsMax else { return nil }
            state.lastNumber += 1
            let number = state.lastNumber
            if let old = state.numbers[record.id] {
                var farewell = ControlPlaneMessage.Farewell()
                farewell.reason = "the gateway opened another stream"
                state.fleet.end(old, farewell)
                older = state.live[old]
            }
            state.numbers[record.id] = number
            state.fleet.open(number, labels: labels, base: base)
            var live = Live(gateway: record.id, wake: wake, end: end, connectedAt: clock())
            live.workers = hello.workers
            state.live[number] = live
            return number
        }
        older?.wake.yield()
        older?.end.yield()
        guard let number else { return nil }
        ledger.connected(record.id, labels: labels, hello: hello, address: record.address)
        wake.yield()
        notice(record.id)
        return StreamHandle(number: number, gateway: record.id, wakes: wakes, ends: ends)
    }

    func close(_ handle: StreamHandle) {
        let isLast = state.withLock { state in
            state.fleet.close(handle.number)
            state.live[handle.number]?.wake.finish()
            state.live[handle.number]?.end.finish()
            state.live[handle.number] = nil
            guard state.numbers[handle.gateway] == handle.number else { return false }
            state.numbers[handle.gateway] = nil
            return true
        }
        if isLast { ledger.disconnected(handle.gateway) }
        notice(handle.gateway)
    }

    func next(_ handle: StreamHandle) -> StreamStep { state.withLock { $0.fleet.next(handle.number) } }

    func sent(_ handle: StreamHandle, _ key: EditionKey, _ message: Editions.Message) {
        state.withLock { state in
            state.fleet.sent(handle.number, key, isFull: message.isFull)
            state.live[handle.number]?.bytesSent += UInt64(message.bytes.count)
            state.live[handle.number]?.messagesSent += 1
            state.counters.bytesSent += UInt64(message.bytes.count)
            if message.isFull { state.counters.fullSent += 1 } else { state.counters.deltasSent += 1 }
        }
    }

    /// The gateway said something after its hello.
    func received(_ message: GatewayMessage, on handle: StreamHandle) {
        if let applied = message.applied { took(applied, handle) }
        if let rejected = message.rejected { refused(rejected, handle) }
        if let report = message.report {
            state.withLock { $0.live[handle.number]?.report = report }
            ledger.reported(handle.gateway, report)
        }
        if message.applied != nil || message.rejected != nil || message.report != nil { notice(handle.gateway) }
    }

    private func took(_ applied: GatewayApplied, _ handle: StreamHandle) {
        var measured: Int64?
        let wake: AsyncStream<Void>.Continuation? = state.withLock { state in
            guard state.fleet.applied(handle.number, applied.revision) else { return nil }
            state.counters.applied += 1
            state.live[handle.number]?.workers = applied.workers
            state.live[handle.number]?.applyMicroseconds = applied.microseconds
            if let published = state.publishedAt[applied.revision],
                let began = state.live[handle.number]?.connectedAt, published >= began
            {
                let milliseconds = Double(max(0, clock() - published))
                state.live[handle.number]?.pushMilliseconds = milliseconds
                state.counters.push(milliseconds)
                measured = published
            }
            return state.live[handle.number]?.wake
        }
        guard let wake else { return }
        if let measured, let told = options.onApplied {
            told(ledger.record(handle.gateway)?.name ?? "", applied.revision, measured, clock())
        }
        ledger.applied(handle.gateway, applied.revision)
        wake.yield()
    }

    private func refused(_ rejected: GatewayRejected, _ handle: StreamHandle) {
        let (isRefused, wake) = state.withLock { state in
            let isRefused = state.fleet.rejected(handle.number, rejected.revision, needsFull: rejected.needsFull)
            if isRefused { state.counters.rejected += 1 }
            return (isRefused, state.live[handle.number]?.wake)
        }
        wake?.yield()
        guard isRefused else { return }
        logger.warning(
            "a gateway rejected a revision",
            metadata: [
                "gateway": "\(handle.gateway)", "revision": "\(rejected.revision)", "entity": "\(rejected.entity)",
                "reason": "\(rejected.reason)",
            ])
        ledger.rejected(handle.gateway, rejected)
    }

    // MARK: Revoking

    /// Takes a gateway's certificate out of use and ends its stream, here at once, at other control planes within a
    /// second.
    ///
    /// - Returns: false when there is no such gateway.
    public func revoke(_ id: Identifier) async throws(StoreError) -> Bool {
        guard try await ledger.revoke(id) else { return false }
        notice(id)
        return true
    }

    /// Something is new about a gateway: watchers hear of it, and a revoked one's stream ends.
    private func notice(_ id: Identifier) {
        let isRevoked = ledger.record(id).map { $0.revokedAt != 0 } ?? false
        let (watchers, live) = state.withLock { state in
            var live: Live?
            if isRevoked, let number = state.numbers[id] {
                var farewell = ControlPlaneMessage.Farewell()
                farewell.reason = "the gateway was revoked"
                farewell.isRevoked = true
                state.fleet.end(number, farewell)
                live = state.live[number]
            }
            return (Array(state.watchers.values), live)
        }
        live?.wake.yield()
        live?.end.yield()
        for watcher in watchers { watcher.yield(id) }
    }
}

extension GatewayRecord {
    var decodedReport: GatewayReport? {
        guard !report.isEmpty else { return nil }
        return try? GatewayReport(reading: report)
    }
}
