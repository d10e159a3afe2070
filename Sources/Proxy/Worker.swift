// One thread of the data plane: its loop, its connections, its view of the configuration.

import Bytes
import CLinux
import Engine
import HTTP
import Snapshot
import Synchronization
import Telemetry

/// What control tells a worker.
enum WorkerMessage: Sendable {
    case adopt(RunningSnapshot)
    case endpoints(ClusterDirectory.Update)
    /// Accept from these sockets, and no longer from those it had.
    case listen([WorkerSocket])
    case log(AccessLog?)
    /// Stop accepting; end when the last exchange has.
    /// Connections may begin a last request for `idle` milliseconds.
    case drain(idle: Int)
    /// End now.
    case stop
}

/// A listening socket given to a worker, which owns the descriptor.
struct WorkerSocket: Sendable {
    var address: String
    var port: Int
    var kind: ListenerKind
    /// Bound and not connected; else it listens.
    var udp: Bool
    var descriptor: Int32
}

/// What a worker tells control.
enum WorkerReport: Sendable {
    case adopted(worker: Int, revision: UInt64)
    case drained(worker: Int)
}

/// A worker. Everything it holds is touched on its thread alone.
final class Worker {
    let index: Int
    let loop = EventLoop()
    let buffers = BufferPool(limit: 512)
    let metrics: WorkerMetrics
    /// For one read and what is done with it at once.
    let scratch = Buffer(capacity: 64 * 1024)
    /// For one message and its sending.
    let output = Buffer(capacity: 32 * 1024)
    /// For one head.
    let fields = FieldWriter()
    /// For one read of an HTTP/2 connection and what is done with its frames.
    let frames = Buffer(capacity: 64 * 1024)
    private(set) var running: RunningSnapshot
    /// Every response is its connection's last.
    private(set) var isDraining = false
    /// Connections without a request are closed at once.
    private(set) var closesIdle = false
    private var idlePatience: IdlePatience?
    private var drainedAt: Int64 = 0
    private(set) var lane: AccessLog.Lane?
    private var log: AccessLog?
    private var slots: RouteSlots
    private let board: HealthBoard
    private let reports: Mailbox<WorkerReport>
    private var acceptors: [Acceptor] = []
    /// Everything that is no HTTP.
    private(set) lazy var streams = StreamPlane(worker: self)
    private var clients: [ObjectIdentifier: ClientTransport] = [:]
    private var spare: [Exchange] = []
    private var clusters: [WorkerCluster?] = []
    private var clustersByID: [ID: WorkerCluster] = [:]
    private var endpoints: [EndpointList]
    private var idState: (UInt64, UInt64)
    private var entities: LogFragments
    private let dateText = Buffer(capacity: 64)
    private var dateSecond: Int64 = -1

    private static let spareMax = 1024

    init(
        index: Int, running: RunningSnapshot, board: HealthBoard, metrics: WorkerMetrics, log: AccessLog?,
        mailbox: Mailbox<WorkerMessage>, reports: Mailbox<WorkerReport>
    ) {
        self.index = index
        self.running = running
        self.board = board
        self.metrics = metrics
        self.log = log
        lane = log?.lanes[index]
        self.reports = reports
        slots = RouteSlots(count: running.snapshot.routes.count)
        clusters = Array(repeating: nil, count: running.snapshot.clusters.count)
        endpoints = running.endpoints
        entities = LogFragments(running)
        idState = (UInt64.random(in: 1 ... .max), UInt64.random(in: 1 ... .max))
        mailbox.attach(to: loop) { [unowned self] message in self.take(message) }
    }

    /// Runs until told to stop, on the calling thread.
    func run() {
        reports.send(.adopted(worker: index, revision: running.snapshot.revision))
        loop.run()
    }

    // MARK: Messages

    private func take(_ message: WorkerMessage) {
        switch message {
        case .adopt(let next): adopt(next)
        case .endpoints(let update): adopt(update)
        case .listen(let sockets): listen(sockets)
        case .log(let next):
            log = next
            lane = next?.lanes[index]
        case .drain(let idle): drain(idle: idle)
        case .stop: loop.stop()
        }
    }

    /// From the next request on, everything follows the new snapshot.
    private func adopt(_ next: RunningSnapshot) {
        running = next
        for exchange in spare { exchange.reset(next) }
        endpoints = next.endpoints
        slots = RouteSlots(count: next.snapshot.routes.count)
        entities = LogFragments(next)
        clusters = Array(repeating: nil, count: next.snapshot.clusters.count)
        var kept: [ID: WorkerCluster] = [:]
        if !clustersByID.isEmpty {
            let policies = Set(next.profiles.map { ObjectIdentifier($0) })
            for (position, cluster) in next.snapshot.clusters.enumerated() {
                guard let known = clustersByID.removeValue(forKey: cluster.id) else { continue }
                known.update(cluster, list: next.endpoints[position])
                known.dropStalePolicies(policies)
                clusters[position] = known
                kept[cluster.id] = known
            }
            for removed in clustersByID.values { removed.dropAll() }
        }
        clustersByID = kept
        streams.adopt(next)
        metrics.count(.snapshots)
        reports.send(.adopted(worker: index, revision: next.snapshot.revision))
    }

    private func adopt(_ update: ClusterDirectory.Update) {
        guard update.revision == running.snapshot.revision, endpoints.indices.contains(update.cluster) else { return }
        endpoints[update.cluster] = update.list
        clusters[update.cluster]?.update(list: update.list)
    }

    private func listen(_ sockets: [WorkerSocket]) {
        for acceptor in acceptors { acceptor.close() }
        acceptors = []
        guard !isDraining else {
            for socket in sockets { Socket.close(socket.descriptor) }
            return
        }
        streams.listen(sockets.filter { $0.kind == .stream })
        for socket in sockets where socket.kind == .http {
            let address = socket.address
            let port = socket.port
            let acceptor = Acceptor(loop: loop, listener: socket.descriptor) { [unowned self] descriptor, peer in
                self.accepted(descriptor, peer, address, port)
            }
            if let acceptor { acceptors.append(acceptor) } else { Socket.close(socket.descriptor) }
        }
    }

    private func accepted(_ descriptor: Int32, _ peer: SocketAddress, _ address: String, _ port: Int) {
        guard clients.count < running.settings.connectionLimit,
            let listener = running.listener(address: address, port: port, udp: false), listener.kind == .http
        else {
            metrics.count(.refused)
            return Socket.close(descriptor)
        }
        metrics.count(.accepted)
        if listener.proxyProtocol {
            let arrival = ProxyArrival(worker: self, listener: listener, peer: peer)
            clients[ObjectIdentifier(arrival)] = arrival
            arrival.start(descriptor)
        } else if let server = listener.tls {
            let arrival = Arrival(worker: self, listener: listener, peer: peer)
            clients[ObjectIdentifier(arrival)] = arrival
            arrival.start(descriptor, server: server)
        } else {
            let client = ClientConnection(worker: self, listener: listener, peer: peer)
            clients[ObjectIdentifier(client)] = client
            client.start(descriptor)
        }
    }

    /// A connection goes on in the hands of another handler.
    func clientContinues(_ client: ClientTransport, as next: ClientTransport) {
        clients[ObjectIdentifier(client)] = nil
        clients[ObjectIdentifier(next)] = next
        if isDraining { next.drain() }
    }

    func clientClosed(_ client: ClientTransport) {
        guard clients.removeValue(forKey: ObjectIdentifier(client)) != nil else { return }
        metrics.count(.closed)
        reportIfDrained()
    }

    /// The last stream session is over.
    func streamsIdle() { reportIfDrained() }

    private func reportIfDrained() {
        if isDraining, clients.isEmpty, streams.isIdle { reports.send(.drained(worker: index)) }
    }

    // MARK: Draining

    private func drain(idle: Int) {
        if let idlePatience {
            loop.setDeadline(idlePatience, loop.now + Int64(max(1, idle)))
            return
        }
        isDraining = true
        for acceptor in acceptors {
            // What waits in the queue was promised an answer when its handshake was completed.
            acceptor.takeAll()
            acceptor.close()
        }
        acceptors = []
        streams.drain()
        drainedAt = loop.now
        for cluster in clustersByID.values { cluster.dropAll() }
        // A client may have sent its next request before it could know: an idle connection gets its
        // answer, with `Connection: close`, until this patience ends.
        let patience = IdlePatience { [unowned self] in self.closeIdle() }
        idlePatience = patience
        loop.setDeadline(patience, loop.now + Int64(max(1, idle)))
        for client in Array(clients.values) { client.drain() }
        reportIfDrained()
    }

    private func closeIdle() {
        closesIdle = true
        for client in Array(clients.values) where client.isIdle { client.closeIdle() }
        streams.closeIdle(since: drainedAt)
    }

    // MARK: For exchanges

    func takeExchange() -> Exchange {
        guard let exchange = spare.popLast() else { return Exchange(worker: self, running: running) }
        exchange.reset(running)
        return exchange
    }

    func giveExchange(_ exchange: Exchange) {
        guard spare.count < Self.spareMax, exchange.isSlim else { return }
        // A spare one must not keep a configuration alive that no request has any more.
        if exchange.running !== running { exchange.reset(running) }
        spare.append(exchange)
    }

    /// The cluster's state on this worker; made at its first request.
    func cluster(_ snapshot: RunningSnapshot, _ position: Int) -> WorkerCluster {
        if snapshot === running, let known = clusters[position] { return known }
        let config = snapshot.snapshot.clusters[position]
        if let known = clustersByID[config.id] { return known }
        let isCurrent = snapshot === running
        let list = isCurrent ? endpoints[position] : snapshot.endpoints[position]
        let made = WorkerCluster(config, list: list, worker: self, board: board)
        if isCurrent {
            clusters[position] = made
            clustersByID[config.id] = made
        }
        return made
    }

    /// 32 hexadecimal digits, different for every request of every worker (xorshift128+).
    func writeRequestID(to out: Buffer) {
        var a = idState.0
        let b = idState.1
        idState.0 = b
        a ^= a << 23
        a ^= a >> 17 ^ b ^ b >> 26
        idState.1 = a
        out.append(hex: a &+ b, digits: 16)
        out.append(hex: b, digits: 16)
    }

    /// The value of `Date` (IMF-fixdate, RFC 9110 section 5.6.7), made anew each second.
    var date: Bytes {
        let second = loop.wallNanoseconds / 1_000_000_000
        if second != dateSecond {
            dateSecond = second
            dateText.clear()
            dateText.append(HTTPDate.text(second))
        }
        return dateText.readable
    }

    /// The series of a route. A request of a snapshot that was replaced meanwhile is found by its names.
    func slot(of route: Int, in snapshot: RunningSnapshot) -> WorkerMetrics.Slot {
        guard snapshot === running else {
            let names = Self.labels(of: route, in: snapshot.snapshot)
            return names.service.withBytes { service in
                names.route.withBytes { metrics.slot(service: service, route: $0) }
            }
        }
        let isStream = !running.snapshot.routes[route].protocols.isDisjoint(with: .anyStream)
        return slots.slot(route, metrics, isStream: isStream) { Self.labels(of: route, in: snapshot.snapshot) }
    }

    private static func labels(of route: Int, in snapshot: Snapshot) -> (service: String, route: String) {
        let route = snapshot.routes[route]
        let service = route.service >= 0 ? snapshot.services[route.service] : nil
        return (
            service.map { $0.name.isEmpty ? $0.host : $0.name } ?? "",
            route.name.isEmpty ? route.id.description : route.name
        )
    }

    /// The series of requests that match no route.
    lazy var unroutedSlot = metrics.slot(service: .empty, route: .empty)

    /// The JSON that log records carry for these entities; made on first use.
    func fragments(_ snapshot: RunningSnapshot) -> LogFragments {
        snapshot === running ? entities : LogFragments(snapshot)
    }
}

/// JSON of routes, services and consumers for the log, made when first needed.
final class LogFragments {
    private unowned let running: RunningSnapshot
    private var routes: [Int: [UInt8]] = [:]
    private var services: [Int: [UInt8]] = [:]
    private var consumers: [Int: [UInt8]] = [:]

    init(_ running: RunningSnapshot) { self.running = running }

    func route(_ index: Int) -> [UInt8] {
        if let known = routes[index] { return known }
        let made = LogEntities.route(running.snapshot.routes[index], in: running.snapshot)
        routes[index] = made
        return made
    }

    func service(_ index: Int) -> [UInt8] {
        if let known = services[index] { return known }
        let made = LogEntities.service(running.snapshot.services[index])
        services[index] = made
        return made
    }

    func consumer(_ index: Int) -> [UInt8] {
        if let known = consumers[index] { return known }
        let made = LogEntities.consumer(running.snapshot.consumers[index])
        consumers[index] = made
        return made
    }
}

/// When a draining worker stops waiting for idle connections.
private final class IdlePatience: EventHandler {
    private let end: () -> Void
    init(_ end: @escaping () -> Void) { self.end = end }
    override func timedOut() { end() }
}
