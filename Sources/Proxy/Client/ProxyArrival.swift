// A connection that begins with a PROXY protocol header: whom it comes from, before TLS and HTTP.

import Bytes
import Engine
import HTTP
import Snapshot
import Telemetry

/// A client's connection until its header is complete. Then it goes on as if it had come from the address that
/// the header tells: that address is logged, limited, and trusted or not.
final class ProxyArrival: ClientTransport {
    private var isOver = false

    /// Begins on an accepted socket. Only trusted peers may say who their clients are; of others no word is read.
    func start(_ descriptor: Int32) {
        guard attach(descriptor) else {
            Socket.close(descriptor)
            return worker.clientClosed(self)
        }
        guard worker.running.trusts(peer.address) else { return refuse(.untrustedPeer) }
        loop.setDeadline(self, loop.now + Int64(worker.running.settings.tlsHandshakeTimeout))
    }

    override func ready(_ events: Readiness) {
        super.ready(events)
        guard !isOver else { return }
        switch Self.header(of: self, isLast: peerFinished, through: worker.scratch) {
        case .incomplete: break
        case .failed: refuse(.badProxyHeader)
        case .complete(let header):
            if let told = header.addresses { came(from: SocketAddress(told.source, port: told.sourcePort)) }
            goOn()
        }
    }

    override func timedOut() { refuse(.setupTimeout) }

    override func closeIdle() { abort() }

    private func goOn() {
        isOver = true
        if let server = listener.tls {
            Arrival(continuing: self).begin(server)
        } else {
            ClientConnection(continuing: self).begin()
        }
    }

    private func refuse(_ reason: ConnectionRefusal) {
        guard !isOver else { return }
        worker.metrics.refuse(reason)
        abort()
    }

    private func abort() {
        guard !isOver else { return }
        isOver = true
        closeStream()
        worker.clientClosed(self)
    }

    /// Reads a header from a socket, and takes it from there once it is complete.
    ///
    /// - Parameter isLast: the peer sends no more, so that half a header will never be a whole one.
    static func header(of handler: EventHandler, isLast: Bool, through scratch: Buffer) -> ProxyHeader.Reading {
        scratch.clear()
        switch handler.peek(into: scratch, limit: ProxyHeader.lengthMax2) {
        case .wouldBlock: return .incomplete
        case .ended, .failed: return .failed(.malformed)
        case .bytes: break
        }
        let reading = ProxyHeader.read(scratch.readable)
        switch reading {
        case .incomplete: return isLast ? .failed(.malformed) : .incomplete
        case .failed: return reading
        case .complete(let header):
            scratch.clear()
            return handler.take(header.length, into: scratch) ? reading : .failed(.malformed)
        }
    }
}
