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
    /// Continues the input once a framed body is longer than what came with its head: the head stays
    /// where it is, for trailers and the log.
    private var overflow: Buffer?
    var parser = ResponseParser()
    /// Requests sent over it so far.
    private(set) var uses = 0
    private var tunnelClient: ClientConnection?
    private var clientFinished = false

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
                if pendingOutput == 0 { tunnelDrained() }
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

    // MARK: Bodies, for the exchange

    /// The buffer whose readable bytes come next in the response's body.
    var bodyBuffer: Buffer? { overflow ?? input }

    /// Reads more of the body. The head's buffer is left as it is.
    func receiveBody() -> ReadResult {
        let buffer: Buffer
        if let overflow {
            buffer = overflow
        } else {
            buffer = worker.buffers.take()
            if let input {
                buffer.append(input.readable)
                input.consume(input.count)
            }
            overflow = buffer
        }
        if buffer.isEmpty { buffer.clear() } else if buffer.free < 4096 { buffer.compact() }
        // Whoever asks has taken all data: what is left is a part of a line, which decoders bound.
        if buffer.free < 1024 { buffer.reserve(Buffer.standardCapacity) }
        return receive(into: buffer, limit: buffer.free)
    }

    private func giveBuffers() {
        for buffer in [input, overflow] { if let buffer { worker.buffers.give(buffer) } }
        input = nil
        overflow = nil
    }

    // MARK: The end of an exchange

    /// The exchange is done with it. `reusable`: both messages ended where they should.
    func release(reusable: Bool) {
        exchange = nil
        giveBuffers()
        guard reusable, phase == .active, !peerFinished, pendingOutput == 0, isQuiet() else { return close() }
        if let tls, pool.resumption == nil || !tls.wasResumed { pool.resumption = tls.resumption ?? pool.resumption }
        phase = .idle
        pool.give(self)
    }

    /// Nothing is there that could be taken for the next request's answer.
    private func isQuiet() -> Bool {
        guard mayRead else { return true }
        if let tls { return !tls.hasUnread }
        let scratch = worker.scratch
        scratch.clear()
        return receive(into: scratch, limit: scratch.free) == .wouldBlock
    }

    func close() {
        guard phase != .closed else { return }
        phase = .closed
        exchange = nil
        giveBuffers()
        closeStream()
        pool.closed()
    }

    // MARK: Tunnels

    /// From now on bytes pass in both directions untouched. The client's side is a tunnel already.
    func openTunnel(_ client: ClientConnection) {
        phase = .tunnel
        tunnelClient = client
        exchange = nil
        loop.setDeadline(self, .max)
        if let input, !input.isEmpty {
            guard client.send(input.readable) else { return abortTunnel() }
        }
        giveBuffers()
        loop.callAgain(self)
    }

    func clientDrained() { pumpTunnel() }

    private func pumpTunnel() {
        guard let client = tunnelClient else { return }
        var budget = ClientConnection.readsPerTurn
        while mayRead, client.pendingOutput < worker.running.settings.bodyBuffer {
            budget -= 1
            if budget == 0 { return loop.callAgain(self) }
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

    private func tunnelDrained() {
        if clientFinished { finishSending() }
        tunnelClient?.pumpTunnel()
    }

    /// The client has finished sending; the upstream gets what waits, and may still speak.
    func finishTunnelSending() {
        guard !clientFinished else { return }
        clientFinished = true
        if pendingOutput == 0 { finishSending() }
    }

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
