// A connection to an endpoint: connecting, serving one exchange at a time, resting in its pool.

import Bytes
import Engine
import HTTP
import Snapshot

/// The upstream side of HTTP/1.1.
final class UpstreamConnection: StreamConnection {
    let worker: Worker
    let pool: UpstreamPool
    private(set) var phase = Phase.connecting
    private(set) var exchange: Exchange?
    /// Bytes of the response not yet consumed; nil at rest.
    var input: Buffer?
    var parser = ResponseParser()
    /// Requests sent over it so far.
    private(set) var uses = 0
    private var tunnelClient: ClientConnection?

    enum Phase { case connecting, handshake, active, idle, tunnel, closed }

    init(worker: Worker, pool: UpstreamPool) {
        self.worker = worker
        self.pool = pool
        super.init(loop: worker.loop, buffers: worker.buffers)
    }

    /// A reused connection may have been closed by the peer at the very moment we chose it.
    var isReused: Bool { uses > 1 }

    // MARK: Connecting

    /// Starts connecting for `exchange`. False if the socket cannot even be made.
    func connect(for exchange: Exchange, timeout: Int) -> Bool {
        do throws(SystemError) {
            let descriptor = try Socket.connect(pool.address)
            guard attach(descriptor) else {
                Socket.close(descriptor)
                return false
            }
        } catch {
            return false
        }
        self.exchange = exchange
        uses = 1
        loop.setDeadline(self, loop.now + Int64(timeout))
        return true
    }

    /// Takes a resting connection into use.
    func reuse(for exchange: Exchange) {
        self.exchange = exchange
        phase = .active
        uses += 1
    }

    private func connected() {
        guard let client = pool.tls else {
            phase = .active
            exchange?.upstreamConnected()
            return
        }
        guard let session = client.session(descriptor, name: pool.serverName, resuming: pool.resumption) else {
            return fail(.connect)
        }
        tls = session
        phase = .handshake
        handshake()
    }

    private func handshake() {
        guard let tls else { return }
        switch tls.handshake() {
        case .bytes:
            phase = .active
            mayRead = true
            exchange?.upstreamConnected()
        case .wantsRead, .wantsWrite: break
        case .closed, .failed: fail(.connect)
        }
    }

    // MARK: Events

    override func ready(_ events: Readiness) {
        super.ready(events)
        switch phase {
        case .connecting:
            if !events.isDisjoint(with: [.failed, .hungUp]) || Socket.error(descriptor) != 0 { return fail(.connect) }
            if events.contains(.writable) { connected() }
        case .handshake: handshake()
        case .active:
            if pendingOutput > 0 {
                guard flush() else { return writeFailed() }
                if pendingOutput == 0 { exchange?.upstreamWritable() }
            }
            if phase == .active, mayRead { exchange?.upstreamReadable() }
        case .idle: rested(events)
        case .tunnel:
            if pendingOutput > 0 {
                guard flush() else { return abortTunnel() }
                if pendingOutput == 0 { tunnelClient?.pumpTunnel() }
            }
            pumpTunnel()
        case .closed: break
        }
    }

    override func again() {
        switch phase {
        case .active: exchange?.upstreamReadable()
        case .tunnel: pumpTunnel()
        case .connecting, .handshake, .idle, .closed: break
        }
    }

    /// A resting connection has nothing to say: any byte, or its end, means that it is over. TLS may
    /// still deliver tickets.
    private func rested(_ events: Readiness) {
        if tls != nil, !peerFinished, events.isDisjoint(with: [.failed, .hungUp, .readClosed]) {
            let scratch = worker.scratch
            scratch.clear()
            if receive(into: scratch, limit: scratch.free) == .wouldBlock { return }
        }
        if events.isDisjoint(with: [.readable, .readClosed, .failed, .hungUp]) { return }
        pool.forget(self)
        close()
    }

    override func timedOut() {
        switch phase {
        case .connecting, .handshake: fail(.connectTimeout)
        case .active: exchange?.upstreamTimedOut()
        case .idle:
            pool.forget(self)
            close()
        case .tunnel: abortTunnel()
        case .closed: break
        }
    }

    /// The exchange could not send: the peer may still have answered (an early 413, say), so what
    /// it sent is read before giving up.
    func writeFailed() {
        // The failed write is often the first that is heard of it: the loop has not told yet.
        mayRead = true
        exchange?.upstreamReadable()
        guard phase == .active else { return }
        if exchange?.stopSending() != true { fail(.write) }
    }

    private func fail(_ failure: UpstreamFailure) {
        let failed = exchange
        exchange = nil
        close()
        failed?.upstreamFailed(failure)
    }

    // MARK: The end of an exchange

    /// The exchange is done with it. `reusable`: both messages ended where they should.
    func release(reusable: Bool) {
        exchange = nil
        if let input {
            worker.buffers.give(input)
            self.input = nil
        }
        guard reusable, phase == .active, !peerFinished, pendingOutput == 0 else { return close() }
        if let tls, pool.resumption == nil || !tls.wasResumed { pool.resumption = tls.resumption ?? pool.resumption }
        phase = .idle
        pool.give(self)
    }

    func close() {
        guard phase != .closed else { return }
        phase = .closed
        exchange = nil
        if let input {
            worker.buffers.give(input)
            self.input = nil
        }
        closeStream()
        pool.closed()
    }

    // MARK: Tunnels

    func openTunnel(_ client: ClientConnection) {
        phase = .tunnel
        tunnelClient = client
        exchange = nil
        loop.setDeadline(self, .max)
        if let input, !input.isEmpty {
            guard client.send(input.readable) else { return abortTunnel() }
        }
        if let input {
            worker.buffers.give(input)
            self.input = nil
        }
        loop.callAgain(self)
    }

    func clientDrained() { pumpTunnel() }

    private func pumpTunnel() {
        guard let client = tunnelClient else { return }
        while mayRead, client.pendingOutput < worker.running.settings.bodyBuffer {
            let scratch = worker.scratch
            scratch.clear()
            switch receive(into: scratch, limit: scratch.free) {
            case .bytes:
                client.touchTunnel()
                guard client.send(scratch.readable) else { return abortTunnel() }
            case .wouldBlock: return
            case .ended, .failed: return abortTunnel()
            }
        }
    }

    /// The client has finished sending; the upstream may still speak.
    func finishTunnelSending() { finishSending() }

    func abortTunnel() {
        guard phase == .tunnel else { return }
        let client = tunnelClient
        tunnelClient = nil
        close()
        client?.tunnelEnded()
    }
}

/// Why an attempt at an upstream failed.
enum UpstreamFailure {
    case connect
    case connectTimeout
    case write
    case writeTimeout
    case readTimeout
    /// It closed before a complete head.
    case closed
    case reset
    /// It sent something that is no HTTP/1.1 response.
    case malformed(ResponseFault)

    var isBrokenConnection: Bool {
        switch self {
        case .write, .closed, .reset: true
        case .connect, .connectTimeout, .writeTimeout, .readTimeout, .malformed: false
        }
    }
}
