// A connection before its first byte of HTTP: TLS, and which version was agreed.

import Bytes
import Engine
import HTTP
import Snapshot
import Telemetry

/// A client's connection during its TLS handshake. Then a connection of the agreed version goes on.
final class Arrival: ClientTransport {
    private var isOver = false

    /// Begins the handshake on an accepted socket.
    func start(_ descriptor: Int32, server: TLSServer) {
        guard attach(descriptor) else {
            Socket.close(descriptor)
            return worker.clientClosed(self)
        }
        begin(server)
    }

    /// Begins the handshake on a connection that another handler prepared.
    func begin(_ server: TLSServer) {
        guard let session = server.session(descriptor) else { return abort() }
        tls = session
        loop.setDeadline(self, loop.now + Int64(worker.running.settings.tlsHandshakeTimeout))
        if mayRead { handshake() }
    }

    override func ready(_ events: Readiness) {
        super.ready(events)
        handshake()
    }

    override func timedOut() { abort() }

    override func closeIdle() { abort() }

    private func handshake() {
        guard !isOver, let tls else { return }
        switch tls.handshake() {
        case .bytes: established(tls)
        case .wantsRead, .wantsWrite: break
        case .closed, .failed:
            worker.metrics.count(.tlsHandshakeFailures)
            abort()
        }
    }

    private func established(_ tls: TLSSession) {
        isOver = true
        mayRead = true
        if let name = tls.serverName { serverName = Array(name.utf8) }
        if tls.agreedHTTP2 {
            HTTP2ClientConnection(continuing: self).begin(early: .empty)
        } else {
            ClientConnection(continuing: self).begin()
        }
    }

    private func abort() {
        guard !isOver else { return }
        isOver = true
        closeStream()
        worker.clientClosed(self)
    }
}
