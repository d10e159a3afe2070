// The proxy as a process: workers on their threads, control on the main one.
//
// 1. run        connect to the supervisor (or start from what is stored)
// 2. listen     sockets arrive and are handed to the workers
// 3. apply      a snapshot is indexed here, then given to every worker by its mailbox
//    join       or a control plane's, which ConfigurationFeed brings (ProxyProcess+Feed.swift)
// 4. adopted    all workers have it: acknowledge
// 5. drain      workers finish what they began, then the process ends

import Bytes
import CLinux
import Engine
import HTTP
public import Snapshot
import Telemetry

/// What a proxy is started with.
public struct ProxyOptions: Sendable {
    /// Path of the supervisor's control socket.
    public var control = ""
    public var stateDirectory = ""
    public var workers = 1
    public var version = ""
    /// DNS servers to use instead of resolv.conf's: `HOST:PORT`.
    public var resolvers: [String] = []

    public init() {}
}

public final class ProxyProcess: ControlOwner {
    let options: ProxyOptions
    let loop = EventLoop()
    let board = HealthBoard()
    let directory: ClusterDirectory
    private let tickets = TicketKeys()
    private let shared = SharedState()
    private let reports = Mailbox<WorkerReport>()
    let buffers = BufferPool(limit: 16)
    private var mailboxes: [Mailbox<WorkerMessage>] = []
    private(set) var metrics: [WorkerMetrics] = []
    private(set) var channel: ControlChannel?
    private(set) var running: RunningSnapshot?
    private var sockets: [(socket: ListenSocket, descriptor: Int32)] = []
    private var statusAcceptors: [Acceptor] = []
    private var statusConnections: [ObjectIdentifier: StatusConnection] = [:]
    private var log: AccessLog?
    private var logKey = ""
    private(set) var waiting: (revision: UInt64, workers: Int)?
    private var notDrained = 0
    private var refused = 0
    private var drainTimer: DrainTimer?
    /// What a control plane's configurations are put in effect with; nil: the supervisor gives them.
    var feeding: Feeding?
    let startedAt = Int(sys_realtime_nanoseconds() / 1_000_000_000)
    private let nodeID: String

    public init(_ options: ProxyOptions) {
        self.options = options
        nodeID = ID(high: .random(in: .min ... .max), low: .random(in: .min ... .max)).description
        let resolver = Resolver(Self.resolution(options), loop: loop)
        directory = ClusterDirectory(resolver: resolver, board: board, prober: Prober(loop: loop, board: board))
    }

    static func resolution(_ options: ProxyOptions) -> DNSConfiguration {
        var configuration = DNSConfiguration(resolvConf: SystemFile.text("/etc/resolv.conf"))
        configuration.hosts = HostsFile(SystemFile.text("/etc/hosts"))
        let own = options.resolvers.compactMap { DNSConfiguration.server($0) }
        if !own.isEmpty { configuration.servers = own }
        return configuration
    }

    /// Serves until drained. Returns the exit code.
    public func run() -> Int32 {
        // Shells give a thousand: less than one worker's connections.
        _ = sys_raise_descriptor_limit()
        directory.publish = { [unowned self] update in self.tell(.endpoints(update)) }
        reports.attach(to: loop) { [unowned self] report in self.take(report) }
        watchSignals()
        let channel = ControlChannel(loop: loop, path: options.control, owner: self)
        self.channel = channel
        channel.start()
        loop.run()
        log?.close()
        return 0
    }

    /// A service manager may send SIGTERM to every process of the service at once: what was begun is
    /// finished all the same.
    private func watchSignals() {
        let descriptor = sys_signals_as_descriptor(1 << UInt64(SIGTERM) | 1 << UInt64(SIGINT))
        guard descriptor >= 0 else { return }
        let watcher = SignalWatcher { [unowned self] number in
            guard number == SIGTERM || number == SIGINT else { return }
            self.drain(timeout: self.running?.settings.drainTimeout ?? 1, idle: 0)
        }
        signals = watcher
        _ = loop.add(watcher, descriptor: descriptor, events: .readable, edgeTriggered: false)
    }

    private var signals: SignalWatcher?

    private func tell(_ message: WorkerMessage) {
        for mailbox in mailboxes { mailbox.send(message) }
    }

    // MARK: Control

    public var introduction: (hello: Hello, descriptors: [Int32]) {
        var hello = Hello()
        hello.pid = Int(getpid())
        hello.version = options.version
        hello.workers = options.workers
        hello.revision = feeding.map(\.answered) ?? (waiting == nil ? running?.snapshot.revision ?? 0 : 0)
        hello.sockets = sockets.map(\.socket)
        return (hello, sockets.map(\.descriptor))
    }

    public func listen(_ sockets: [ListenSocket], descriptors: [Int32]) {
        let former = self.sockets
        self.sockets = Array(zip(sockets, descriptors))
        if isServing { handOutSockets() } else { openStatus() }
        for entry in former { Socket.close(entry.descriptor) }
    }

    /// Each worker gets duplicates of its own: it may close them without ending the socket.
    private func handOutSockets() {
        for worker in mailboxes.indices {
            let own = sockets.filter { $0.socket.role == .gateway && $0.socket.worker % mailboxes.count == worker }
            mailboxes[worker].send(
                .listen(
                    own.map {
                        WorkerSocket(
                            address: $0.socket.address, port: $0.socket.port, kind: $0.socket.kind,
                            udp: $0.socket.udp, descriptor: sys_duplicate($0.descriptor))
                    }))
        }
        openStatus()
    }

    private func openStatus() {
        for acceptor in statusAcceptors { acceptor.close() }
        statusAcceptors = sockets.filter { $0.socket.role == .status }.compactMap { entry in
            Acceptor(loop: loop, listener: sys_duplicate(entry.descriptor)) { [unowned self] descriptor, _ in
                self.statusAccepted(descriptor)
            }
        }
    }

    public func apply(_ snapshot: Snapshot) {
        endFeed()
        do throws(SnapshotRefusal) {
            try install(snapshot)
        } catch {
            refused += 1
            channel?.rejected(snapshot.revision, reason: error.description)
        }
    }

    /// Indexes a snapshot and gives it to every worker.
    ///
    /// - Parameter serves: clients are let in with it; else they wait, as before the first one.
    func install(_ snapshot: Snapshot, serves: Bool = true) throws(SnapshotRefusal) {
        // Before the directory takes the new clusters: a log that cannot be opened changes nothing.
        let fresh = try openLog(snapshot.settings)
        let next: RunningSnapshot
        do throws(SnapshotRefusal) {
            next = try RunningSnapshot(snapshot, directory: directory, tickets: tickets, shared: shared)
        } catch {
            fresh?.log?.close()
            throw error
        }
        if let fresh { use(fresh) }
        let isFirst = running == nil
        running = next
        waiting = (snapshot.revision, options.workers)
        if isFirst { startWorkers(next) } else { tell(.adopt(next)) }
        if serves, !isServing, nameTimer == nil { awaitNames() }
        Memory.giveBack()
    }

    /// Before the first request, names get a moment to resolve: clients wait in the backlog instead of
    /// meeting 503s.
    private func awaitNames() {
        let limit = loop.now + Self.namesMilliseconds
        let timer = Ticker(loop: loop, every: 10) { [unowned self] in
            guard self.directory.isSettled || self.loop.now >= limit else { return true }
            self.letIn()
            self.nameTimer = nil
            return false
        }
        if directory.isSettled { return letIn() }
        nameTimer = timer
        timer.start()
    }

    private func letIn() {
        isServing = true
        handOutSockets()
    }

    /// Workers accept.
    private var isServing = false
    private static let namesMilliseconds: Int64 = 1000
    private var nameTimer: Ticker?

    /// The log that these settings want, opened; nil: the one that is there.
    private func openLog(_ settings: Settings) throws(SnapshotRefusal) -> (log: AccessLog?, key: String)? {
        let key = "\(settings.accessLogFormat.rawValue) \(settings.accessLog)"
        guard key != logKey else { return nil }
        guard !settings.accessLog.isEmpty else { return (nil, key) }
        do throws(AccessLogError) {
            return (
                try AccessLog(
                    path: settings.accessLog, format: settings.accessLogFormat == .json ? .json : .combined,
                    lanes: options.workers), key
            )
        } catch {
            throw SnapshotRefusal(description: error.description)
        }
    }

    private func use(_ fresh: (log: AccessLog?, key: String)) {
        let former = log
        log = fresh.log
        logKey = fresh.key
        tell(.log(log))
        // Workers may still write a line or two to the former one; its writer goes on until they are out.
        if let former { retiredLogs.append(former) }
    }

    private var retiredLogs: [AccessLog] = []

    private func startWorkers(_ first: RunningSnapshot) {
        let reasons = RejectReason.names
        for index in 0..<options.workers {
            let mailbox = Mailbox<WorkerMessage>()
            let metrics = WorkerMetrics(reasons: reasons)
            mailboxes.append(mailbox)
            self.metrics.append(metrics)
            let start = WorkerStart(
                index: index, running: first, board: board, metrics: metrics, log: log, mailbox: mailbox,
                reports: reports)
            start.launch()
        }
    }

    private func take(_ report: WorkerReport) {
        switch report {
        case .adopted(_, let revision):
            guard let expected = waiting, expected.revision == revision else { return }
            let left = expected.workers - 1
            waiting = left > 0 ? (revision, left) : nil
            if left == 0 { allAdopted(revision) }
        case .drained:
            notDrained -= 1
            if notDrained == 0 { end() }
        }
    }

    private func allAdopted(_ revision: UInt64) {
        for log in retiredLogs { log.close() }
        retiredLogs = []
        if feeding == nil { channel?.applied(revision) } else { feedAdopted() }
    }

    public func drain(timeout: Int, idle: Int) {
        endFeed()
        // Held here, they would go on taking connections that nobody accepts; a successor has its own.
        for entry in sockets { Socket.close(entry.descriptor) }
        sockets = []
        if let drainTimer {
            // It was replaced first, and now the whole gateway stops.
            loop.setDeadline(drainTimer, loop.now + Int64(max(1, timeout)))
            return tell(.drain(idle: idle))
        }
        for acceptor in statusAcceptors { acceptor.close() }
        statusAcceptors = []
        let timer = DrainTimer { [unowned self] in self.end() }
        drainTimer = timer
        loop.setDeadline(timer, loop.now + Int64(max(1, timeout)))
        notDrained = mailboxes.count
        if notDrained == 0 { return end() }
        tell(.drain(idle: idle))
    }

    private func end() {
        channel?.drained()
        if let drainTimer { loop.cancelDeadline(drainTimer) }
        loop.stop()
    }

    public func reopenLogs() { log?.reopen() }

    public func supervisorIsMissing() {
        guard running == nil, feeding == nil, let stored = StoredState.snapshot(in: options.stateDirectory) else {
            return
        }
        var descriptors: [Int32] = []
        var kept: [ListenSocket] = []
        for socket in StoredState.sockets(in: options.stateDirectory) {
            guard let address = IPAddress(socket.address), let port = UInt16(exactly: socket.port),
                let descriptor = try? Self.open(socket, SocketAddress(address, port: port))
            else { continue }
            descriptors.append(descriptor)
            kept.append(socket)
        }
        sockets = Array(zip(kept, descriptors))
        guard var join = StoredState.join(in: options.stateDirectory) else { return apply(stored) }
        join.revision = stored.revision
        self.join(join, base: stored)
    }

    private static func open(_ socket: ListenSocket, _ address: SocketAddress) throws(SystemError) -> Int32 {
        socket.udp ? try Socket.bindDatagram(address) : try Socket.listen(address)
    }

    // MARK: Status

    private func statusAccepted(_ descriptor: Int32) {
        guard statusConnections.count < 128 else { return Socket.close(descriptor) }
        let connection = StatusConnection(loop: loop, buffers: buffers, source: self) { [unowned self] ended in
            self.statusConnections[ObjectIdentifier(ended)] = nil
        }
        statusConnections[ObjectIdentifier(connection)] = connection
        connection.start(descriptor)
    }

    private var isConfigured: Bool {
        if let feeding { return feeding.feed.tables.effective != nil }
        return running != nil && waiting == nil
    }

    private var facts: NodeFacts {
        var facts = NodeFacts()
        facts.nodeID = nodeID
        facts.version = options.version
        facts.processID = Int(getpid())
        facts.residentBytes = Memory.resident
        facts.startedAt = startedAt
        facts.revision = feeding.map(\.feed.facts.revision) ?? running?.snapshot.revision ?? 0
        facts.refusedConfigurations = refused + (feeding?.feed.facts.rejected ?? 0)
        facts.controlPlane = feeding?.feed.facts
        facts.now = Int(loop.wallNanoseconds / 1_000_000_000)
        return facts
    }
}

extension ProxyProcess: StatusSource {
    func page(_ path: Bytes, into out: Buffer) -> (status: Int, contentType: StaticString)? {
        if path == "/metrics" {
            var exposition = Exposition()
            exposition.node = facts
            exposition.workers = metrics
            exposition.accessLog = log?.counts
            exposition.targets = targetHealth
            exposition.render(into: out)
            return (200, Exposition.contentType)
        }
        if path == "/status" {
            StatusPage.render(facts, workers: metrics, into: out)
            return (200, "application/json; charset=utf-8")
        }
        if path == "/status/ready" {
            let reason: String? =
                drainTimer != nil ? "draining" : isConfigured ? nil : StatusPage.noConfiguration
            return (StatusPage.renderReady(reason: reason, into: out), "application/json; charset=utf-8")
        }
        return nil
    }

    /// Given when a prometheus filter wants it.
    private var targetHealth: [TargetHealth]? {
        guard let running, running.wantsTargetHealth else { return nil }
        var all: [TargetHealth] = []
        for (cluster, list) in zip(running.snapshot.clusters, directory.lists) where cluster.isUpstream {
            for endpoint in list.endpoints {
                let state: TargetHealth.State =
                    endpoint.cell < 0
                    ? .healthchecksOff : board.state(endpoint.cell).isAvailable ? .healthy : .unhealthy
                all.append(
                    TargetHealth(
                        upstream: cluster.name, target: "\(endpoint.targetName):\(endpoint.targetPort)",
                        address: "\(Endpoint.literal(endpoint.address)):\(endpoint.port)", state: state))
            }
            for (index, target) in cluster.targets.enumerated()
            where !list.endpoints.contains(where: { $0.target == index }) {
                all.append(
                    TargetHealth(
                        upstream: cluster.name, target: "\(target.host):\(target.port)", address: "", state: .dnsError))
            }
        }
        return all
    }
}

/// Calls back at an interval until told to stop by `false`.
private final class Ticker: EventHandler {
    private let loop: EventLoop
    private let interval: Int64
    private let tick: () -> Bool

    init(loop: EventLoop, every interval: Int64, _ tick: @escaping () -> Bool) {
        self.loop = loop
        self.interval = interval
        self.tick = tick
    }

    func start() { loop.setDeadline(self, loop.now + interval) }
    override func timedOut() { if tick() { start() } }
}

private final class SignalWatcher: EventHandler {
    private let received: (Int32) -> Void
    init(_ received: @escaping (Int32) -> Void) { self.received = received }

    override func ready(_ events: Readiness) {
        while case let number = sys_signalfd_next(descriptor), number != 0 { received(number) }
    }
}

private final class DrainTimer: EventHandler {
    private let fire: () -> Void
    init(_ fire: @escaping () -> Void) { self.fire = fire }
    override func timedOut() { fire() }
}

/// A worker's ingredients, carried to its thread.
private final class WorkerStart: @unchecked Sendable {  // Handed over once; only shared state inside.
    private let make: () -> Worker
    private let name: String

    init(
        index: Int, running: RunningSnapshot, board: HealthBoard, metrics: WorkerMetrics, log: AccessLog?,
        mailbox: Mailbox<WorkerMessage>, reports: Mailbox<WorkerReport>
    ) {
        name = "worker-\(index)"
        make = {
            Worker(
                index: index, running: running, board: board, metrics: metrics, log: log, mailbox: mailbox,
                reports: reports)
        }
    }

    func launch() {
        var thread = pthread_t()
        let context = unsafe Unmanaged.passRetained(self).toOpaque()
        let code = unsafe sys_thread_start(
            &thread,
            { context in
                guard let context = unsafe context else { return nil }
                let start = unsafe Unmanaged<WorkerStart>.fromOpaque(context).takeRetainedValue()
                start.make().run()
                return nil
            }, context, name)
        precondition(code == 0, "the kernel refused a thread")
    }
}

/// Files of the system, small and read whole.
enum SystemFile {
    static func text(_ path: String) -> String {
        let descriptor = unsafe sys_open(path, O_RDONLY | O_CLOEXEC, 0)
        guard descriptor >= 0 else { return "" }
        defer { Socket.close(descriptor) }
        let buffer = Buffer(capacity: 4096)
        while buffer.count < 1 << 20 {
            buffer.reserve(4096)
            if buffer.appendFrom(limit: buffer.free, { Int(sys_read(descriptor, $0, $1)) }) <= 0 { break }
        }
        return buffer.readable.string
    }
}

/// The process's memory.
enum Memory {
    /// Hands freed pages back to the kernel, after work that made many.
    static func giveBack() { malloc_trim(0) }

    /// Resident bytes; 0: unknown.
    static var resident: Int {
        let fields = SystemFile.text("/proc/self/statm").split(separator: " ")
        return fields.count > 1 ? (Int(fields[1]) ?? 0) * Int(sysconf(Int32(_SC_PAGESIZE))) : 0
    }
}
