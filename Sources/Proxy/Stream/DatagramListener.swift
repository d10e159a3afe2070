// A UDP listener: clients' datagrams in, each client's session found or made, replies out again.

import Bytes
import Engine
import Snapshot
import Telemetry

/// Who talks to whom: two clients are told apart by their address, and one client's talks with two of our
/// addresses too.
struct DatagramPeer: Hashable {
    var client: SocketAddress
    /// Our address; nil where the listener has just one.
    var local: IPAddress?
}

/// One UDP socket of a worker.
final class DatagramListener: EventHandler {
    unowned let plane: StreamPlane
    private let address: String
    let port: Int
    /// The address it is bound to; nil for a wildcard, where each datagram tells.
    private let ip: IPAddress?
    private var sessions: [DatagramPeer: DatagramSession] = [:]
    /// The socket while it is not watched any more: replies still leave through it.
    private var retired: Int32 = -1

    /// Reads of one listener before others get their turn.
    private static let readsPerTurn = 8
    /// Nil, with the descriptor closed, if the kernel refuses to watch it.
    init?(_ plane: StreamPlane, _ socket: WorkerSocket) {
        self.plane = plane
        address = socket.address
        port = socket.port
        let bound = IPAddress(socket.address)
        let isWildcard = bound.map { $0.high == 0 && $0.low == 0 } ?? true
        ip = isWildcard ? nil : bound
        super.init()
        if isWildcard { Socket.tellLocalAddress(socket.descriptor, isIPv6: bound?.isIPv6 ?? false) }
        guard plane.worker.loop.add(self, descriptor: socket.descriptor, events: .readable, edgeTriggered: false) else {
            Socket.close(socket.descriptor)
            return nil
        }
    }

    func isAt(_ address: String, _ port: Int) -> Bool { self.port == port && self.address == address }

    // MARK: In

    override func ready(_ events: Readiness) {
        let batch = plane.batch
        for _ in 0..<Self.readsPerTurn {
            guard case .datagrams(let count, let more) = batch.receive(descriptor) else { return }
            deliver(count)
            if !more { return }
        }
    }

    /// Neighbours of one client go on together.
    private func deliver(_ count: Int) {
        let batch = plane.batch
        var first = 0
        while first < count {
            let peer = DatagramPeer(client: batch.peer(first), local: batch.local(first))
            var next = first + 1
            while next < count, batch.peer(next) == peer.client, batch.local(next) == peer.local { next += 1 }
            if let session = sessions[peer] ?? open(peer) { session.forward(first..<next) }
            first = next
        }
    }

    private func open(_ peer: DatagramPeer) -> DatagramSession? {
        let worker = plane.worker
        guard plane.datagramSessions < plane.datagramSessionsMax else {
            worker.metrics.refuse(.tooManySessions)
            return nil
        }
        let running = worker.running
        let question = StreamQuestion(
            transport: .udp, source: peer.client.address, sourcePort: peer.client.port,
            destination: peer.local ?? ip ?? peer.client.address,
            destinationPort: UInt16(truncatingIfNeeded: port))
        let route = running.streams.match(question, memory: plane.expressions)
        guard route >= 0, let target = StreamTarget(route, of: running, on: worker) else {
            worker.metrics.refuse(.noRoute)
            return nil
        }
        if let chain = target.chain, !chain.admits(peer.client.address) {
            worker.metrics.refuse(.notAdmitted)
            return nil
        }
        let session = DatagramSession(self, peer, target)
        sessions[peer] = session
        plane.datagramSessions += 1
        worker.metrics.count(.streamSessions)
        return session.start() ? session : nil
    }

    // MARK: Out

    /// Sends datagrams of the batch to a client, from the address that it wrote to.
    func reply(_ range: Range<Int>, to peer: DatagramPeer) -> Int {
        let socket = descriptor >= 0 ? descriptor : retired
        guard socket >= 0 else { return 0 }
        let sent = plane.batch.send(range, on: socket, to: peer.client, from: peer.local)
        if sent.count < range.count { plane.worker.metrics.count(.datagramsLost, range.count - sent.count) }
        return sent.count
    }

    // MARK: Sessions

    func ended(_ session: DatagramSession) {
        sessions[session.peer] = nil
        plane.datagramsEnded()
        if sessions.isEmpty, retired >= 0 { close() }
    }

    /// Ends the sessions of routes that are not in `routes`: their clients' next datagrams find what holds now.
    func keep(_ routes: Set<ID>) {
        for session in Array(sessions.values) where !routes.contains(session.target.route) {
            session.finish(.withdrawn)
        }
    }

    /// Reads no more. A successor reads from the same socket; replies of what is under way go out.
    func stop() {
        if let descriptor = plane.worker.loop.detach(self) { retired = descriptor }
        if sessions.isEmpty { close() }
    }

    func closeIdle(since: Int64) {
        for session in Array(sessions.values) where session.movedAt < since { session.finish(.drained) }
    }

    /// Ends the listener with all its sessions.
    func close() {
        let socket = plane.worker.loop.detach(self) ?? retired
        retired = -1
        for session in Array(sessions.values) { session.finish(.withdrawn) }
        if socket >= 0 { Socket.close(socket) }
    }
}
