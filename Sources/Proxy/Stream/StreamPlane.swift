// The stream side of one worker: its listeners, its sessions, and what they share.

import Bytes
import CLinux
import Engine
import HTTP
import Snapshot
import Telemetry

/// Everything of a worker that is no HTTP. Touched on the worker's thread alone.
final class StreamPlane {
    unowned let worker: Worker
    let memory: RelayMemory
    /// For one look at a client's first bytes.
    let hello = ClientHelloReader()
    /// For one look-up among routes.
    let expressions = ExpressionMemory()
    /// For one call's datagrams; made with the first UDP listener.
    private(set) lazy var batch = DatagramBatch()
    private var acceptors: [Acceptor] = []
    private var sessions: [StreamSession] = []
    private var datagramListeners: [DatagramListener] = []
    /// Client sessions of datagrams, over all listeners.
    var datagramSessions = 0
    /// Datagrams of further clients are dropped: whoever forges addresses must not take the descriptors that
    /// others need.
    let datagramSessionsMax: Int

    /// At most, and this part of the process's descriptors at most, for each worker.
    private static let datagramSessionsMost = 10_000
    private static let descriptorShare = 16

    init(worker: Worker) {
        self.worker = worker
        datagramSessionsMax = min(Self.datagramSessionsMost, Int(sys_raise_descriptor_limit()) / Self.descriptorShare)
        memory = RelayMemory(scratch: worker.scratch, buffers: worker.buffers, pipes: PipePool())
    }

    /// Nothing is under way.
    var isIdle: Bool { sessions.isEmpty && datagramSessions == 0 }

    // MARK: Listening

    /// Serves these sockets, and no longer those it had. Datagram sessions of listeners that stay go on.
    func listen(_ sockets: [WorkerSocket]) {
        for acceptor in acceptors { acceptor.close() }
        acceptors = []
        var former = datagramListeners
        datagramListeners = []
        for socket in sockets {
            guard socket.udp else {
                accept(from: socket)
                continue
            }
            if let known = former.firstIndex(where: { $0.isAt(socket.address, socket.port) }) {
                datagramListeners.append(former.remove(at: known))
                Socket.close(socket.descriptor)
            } else if let made = DatagramListener(self, socket) {
                datagramListeners.append(made)
            }
        }
        for gone in former { gone.close() }
    }

    private func accept(from socket: WorkerSocket) {
        let address = socket.address
        let port = socket.port
        let acceptor = Acceptor(loop: worker.loop, listener: socket.descriptor) { [unowned self] descriptor, peer in
            self.accepted(descriptor, peer, address, port)
        }
        if let acceptor { acceptors.append(acceptor) } else { Socket.close(socket.descriptor) }
    }

    private func accepted(_ descriptor: Int32, _ peer: SocketAddress, _ address: String, _ port: Int) {
        guard sessions.count < worker.running.settings.connectionLimit,
            let listener = worker.running.listener(address: address, port: port, udp: false), listener.kind == .stream
        else {
            worker.metrics.refuse(.tooManySessions)
            return Socket.close(descriptor)
        }
        let session = StreamSession(self, listener: listener, peer: peer, place: sessions.count)
        sessions.append(session)
        worker.metrics.count(.streamSessions)
        session.start(descriptor)
    }

    // MARK: Sessions

    /// The session is over.
    func ended(_ session: StreamSession) {
        let place = session.place
        let last = sessions.removeLast()
        if last !== session {
            sessions[place] = last
            last.place = place
        }
        endedOne()
    }

    func datagramsEnded() {
        datagramSessions -= 1
        endedOne()
    }

    private func endedOne() {
        worker.metrics.count(.streamEnded)
        if isIdle { worker.streamsIdle() }
    }

    // MARK: Changes

    /// Connections go on as they are. Sessions of datagrams go on while their route is there.
    func adopt(_ next: RunningSnapshot) {
        guard datagramSessions > 0 else { return }
        var routes: Set<ID> = []
        for route in next.snapshot.routes where route.protocols.contains(.udp) { routes.insert(route.id) }
        for listener in datagramListeners { listener.keep(routes) }
    }

    /// Takes no new clients. What is under way goes on.
    func drain() {
        for acceptor in acceptors {
            // What waits in the queue was promised a connection when its handshake was completed.
            acceptor.takeAll()
            acceptor.close()
        }
        acceptors = []
        for listener in datagramListeners { listener.stop() }
    }

    /// Ends the sessions that have been silent since the drain began.
    func closeIdle(since: Int64) {
        for session in sessions where session.movedAt < since { session.drained() }
        for listener in datagramListeners { listener.closeIdle(since: since) }
    }
}
