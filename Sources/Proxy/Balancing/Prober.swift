// Runs active health checks on control's loop: what ProbePlan says is due is probed for real.
//
// 1. `update` gives the plan a cluster's endpoints
// 2. the timer asks the plan what is due and starts a ProbeConnection for each
// 3. each ends once, with an event for the health board

import Bytes
import CLinux
import Engine
import Snapshot

/// Active health checks of all clusters. Confined to control's thread.
final class Prober {
    private let loop: EventLoop
    private let board: HealthBoard
    private var plan = ProbePlan()
    private var targets: [ID: Checks] = [:]
    private var running: [Int32: ProbeConnection] = [:]
    private let timer = ProberTimer()
    private let buffers = BufferPool(limit: 16)
    private var clients: [TLSPolicy: TLSClient] = [:]

    /// TLS policies kept; making one reads the system's authorities, so reloads reuse them.
    static let clientsMax = 64

    private struct TLSPolicy: Hashable {
        var verifies: Bool
        var chain: String
        var key: String
    }

    /// What a cluster's probes need.
    private struct Checks {
        var checks: HealthChecks
        var policy: HealthPolicy
        var endpoints: [Int32: Endpoint]
        /// For https; nil when its material cannot be used, which fails every probe.
        var tls: TLSClient?
    }

    init(loop: EventLoop, board: HealthBoard) {
        self.loop = loop
        self.board = board
        timer.prober = self
    }

    deinit {
        loop.cancelDeadline(timer)
        for connection in running.values { connection.abandon() }
    }

    /// Adopts a cluster's endpoints and settings; without active checks, forgets it.
    func update(_ cluster: Cluster, _ list: EndpointList, identity: TLSIdentity?) {
        let policy = HealthPolicy(cluster.health)
        var endpoints: [Int32: Endpoint] = [:]
        for endpoint in list.endpoints where endpoint.cell >= 0 { endpoints[endpoint.cell] = endpoint }
        let cells = list.endpoints.map(\.cell).filter { $0 >= 0 }
        plan.set(
            cluster.id, cells: cells, policy: policy, concurrency: cluster.health.activeConcurrency,
            now: sys_monotonic_nanoseconds())
        guard policy.healthyInterval > 0 || policy.unhealthyInterval > 0 else {
            targets[cluster.id] = nil
            return
        }
        let isSecure = cluster.health.activeKind == .https
        let tls = isSecure ? client(verifies: cluster.health.activeVerifyCertificate, identity) : nil
        targets[cluster.id] = Checks(checks: cluster.health, policy: policy, endpoints: endpoints, tls: tls)
        // Once per turn, however many clusters a reload brings.
        loop.callAgain(timer)
    }

    private func client(verifies: Bool, _ identity: TLSIdentity?) -> TLSClient? {
        let policy = TLSPolicy(verifies: verifies, chain: identity?.chain ?? "", key: identity?.key ?? "")
        if let known = clients[policy] { return known }
        guard let fresh = try? TLSClient(verify: verifies, depth: nil, authorities: [], identity: identity) else {
            return nil
        }
        if clients.count >= Self.clientsMax { clients = [:] }
        clients[policy] = fresh
        return fresh
    }

    func remove(_ cluster: ID) {
        plan.remove(cluster)
        targets[cluster] = nil
    }

    // MARK: Private

    fileprivate func work() {
        let now = loop.nowNanoseconds
        for probe in plan.due(now: now, isAvailable: { board.state($0).isAvailable }) { start(probe) }
        schedule()
    }

    private func start(_ probe: ProbePlan.Probe) {
        guard let target = targets[probe.cluster], let endpoint = target.endpoints[probe.cell],
            running[probe.cell] == nil
        else { return plan.finished(probe) }
        let checks = target.checks
        let seconds = min(max(checks.activeTimeout, 0.05), 3600)
        let connection = ProbeConnection(
            loop: loop, buffers: buffers, kind: checks.activeKind, timeoutMilliseconds: Int64(seconds * 1000))
        if checks.activeKind != .tcp {
            ProbeMessage.request(
                path: checks.activePath, host: endpoint.host, headers: checks.activeHeaders, into: connection.request)
        }
        connection.tlsClient = target.tls
        connection.serverName =
            checks.activeServerName.isEmpty ? endpoint.host.withBytes { $0.string } : checks.activeServerName
        connection.done = { [weak self] event in self?.finished(probe, event) }
        running[probe.cell] = connection
        connection.start(SocketAddress(endpoint.address, port: endpoint.port))
    }

    private func finished(_ probe: ProbePlan.Probe, _ event: HealthEvent) {
        running[probe.cell] = nil
        plan.finished(probe)
        if let target = targets[probe.cluster], target.endpoints[probe.cell] != nil {
            board.report(event, cell: probe.cell, from: .active, limits: target.policy.active, now: loop.nowNanoseconds)
        }
        loop.callAgain(timer)
    }

    private func schedule() {
        let now = sys_monotonic_nanoseconds()
        let deadline = plan.deadline(now: now) { board.state($0).isAvailable }
        if deadline == .max { return loop.cancelDeadline(timer) }
        loop.setDeadline(timer, max(deadline / 1_000_000 + 1, loop.now))
    }
}

private final class ProberTimer: EventHandler {
    weak var prober: Prober?
    override func timedOut() { prober?.work() }
    override func again() { prober?.work() }
}

/// One probe: connect, handshake, ask, read a status. Ends once, through `done`.
private final class ProbeConnection: StreamConnection {
    let request = Buffer(capacity: 512)
    var tlsClient: TLSClient?
    var serverName = ""
    var done: ((HealthEvent) -> Void)?

    private let kind: ProbeKind
    private let timeoutMilliseconds: Int64
    private let answer = Buffer(capacity: 1024)
    private var stage = Stage.connecting

    private enum Stage { case connecting, handshaking, reading }

    init(loop: EventLoop, buffers: BufferPool, kind: ProbeKind, timeoutMilliseconds: Int64) {
        self.kind = kind
        self.timeoutMilliseconds = timeoutMilliseconds
        super.init(loop: loop, buffers: buffers)
    }

    func start(_ address: SocketAddress) {
        guard let socket = try? Socket.connect(address) else { return finish(.connectionFailed) }
        guard attach(socket) else {
            sys_close(socket)
            return finish(.connectionFailed)
        }
        loop.setDeadline(self, loop.now + timeoutMilliseconds)
    }

    /// Closes without a result.
    func abandon() {
        done = nil
        closeStream()
    }

    override func timedOut() { finish(.timedOut) }

    override func ready(_ events: Readiness) {
        super.ready(events)
        guard done != nil else { return }
        if stage == .connecting {
            guard !events.isDisjoint(with: [.writable, .failed, .hungUp]) else { return }
            guard sys_socket_error(descriptor) == 0 else { return finish(.connectionFailed) }
            connected()
        }
        if stage == .handshaking { handshake() }
        if stage == .reading { read() }
    }

    private func connected() {
        switch kind {
        case .tcp: finish(.connected)
        case .https:
            guard let session = tlsClient?.session(descriptor, name: serverName, resuming: nil) else {
                return finish(.connectionFailed)
            }
            tls = session
            stage = .handshaking
        case .http, .grpc, .grpcs: ask()
        }
    }

    private func handshake() {
        switch tls?.handshake() {
        case .bytes: ask()
        case .wantsRead, .wantsWrite: break
        case .closed, .failed, nil: finish(.connectionFailed)
        }
    }

    private func ask() {
        stage = .reading
        mayRead = true
        if !send(request.readable) { finish(.connectionFailed) }
    }

    private func read() {
        guard flush() else { return finish(.connectionFailed) }
        while done != nil, mayRead {
            switch receive(into: answer, limit: ProbeMessage.answerMax) {
            case .bytes:
                if let status = ProbeMessage.status(answer.readable, isComplete: false) { finish(.status(status)) }
            case .wouldBlock: return
            case .ended:
                guard !answer.isEmpty else { return finish(.connectionFailed) }
                finish(.status(ProbeMessage.status(answer.readable, isComplete: true) ?? 0))
            case .failed: finish(.connectionFailed)
            }
        }
    }

    private func finish(_ event: HealthEvent) {
        guard let done else { return }
        self.done = nil
        closeStream()
        done(event)
    }
}
