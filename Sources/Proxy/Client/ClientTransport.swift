// What every client's connection is, whichever protocol it speaks.

import Bytes
import Engine

/// A client's connection: where it came in, and from whom. Subclasses speak its protocol.
class ClientTransport: StreamConnection {
    final let worker: Worker
    final let listener: RunningListener
    final private(set) var peer: SocketAddress
    /// The peer's address as text, for every request's forwarding fields.
    final private(set) var peerText: [UInt8]
    /// TLS server name as sent, for routing.
    final var serverName: [UInt8] = []
    /// The address that the client connected to, where routes ask for it.
    final lazy var localAddress: IPAddress? = Socket.localAddress(descriptor)?.address

    init(worker: Worker, listener: RunningListener, peer: SocketAddress) {
        self.worker = worker
        self.listener = listener
        self.peer = peer
        peerText = Array(peer.address.description.utf8)
        super.init(loop: worker.loop, buffers: worker.buffers)
    }

    /// Goes on with the connection that `other` began.
    init(continuing other: ClientTransport) {
        worker = other.worker
        listener = other.listener
        peer = other.peer
        peerText = other.peerText
        serverName = other.serverName
        super.init(loop: other.loop, buffers: other.buffers)
        take(over: other)
        worker.clientContinues(other, as: self)
    }

    /// A trusted hop says whose connection it passes on.
    final func came(from client: SocketAddress) {
        peer = client
        peerText = Array(client.address.description.utf8)
    }

    final var isTLS: Bool { tls != nil }

    /// Whether no request is in progress: a draining worker may end it at once.
    var isIdle: Bool { true }

    /// The worker drains: no request after those that are in progress.
    func drain() {}

    /// Ends a connection without a request.
    func closeIdle() {}

    // MARK: Lingering

    /// How long, and for how many bytes, a client is read on after our last words, so that it sees them (RFC 9112
    /// section 9.6).
    static let lingerMilliseconds: Int64 = 2000
    private static let lingerBytes = 1 << 20
    private final var discarded = 0

    /// Throws away what the client still sends. False: it is over, or it has sent too much.
    final func discardInput() -> Bool {
        while mayRead {
            let scratch = worker.scratch
            scratch.clear()
            switch receive(into: scratch, limit: scratch.free) {
            case .bytes(let n):
                discarded += n
                if discarded > Self.lingerBytes { return false }
            case .wouldBlock: return true
            case .ended, .failed: return false
            }
        }
        return true
    }
}
