// A client's HTTP/1.1 connection: requests in, one exchange at a time, responses out.

import Bytes
import Engine
import HTTP
import Snapshot
import Telemetry

/// The downstream side. It reads heads, hands each to an exchange, and closes as RFC 9112 section 9.6
/// asks: finish sending, then read on for a while, so that the peer sees our last words.
final class ClientConnection: StreamConnection {
    let worker: Worker
    let listener: RunningListener
    let peer: SocketAddress
    /// The peer's address as text, for every request's forwarding fields.
    let peerText: [UInt8]
    private var phase = Phase.idle
    /// Bytes read and not yet consumed. While an exchange runs it also holds the request's head.
    private(set) var input: Buffer?
    /// Continues the input once a body is longer than what came with its head.
    private var overflow: Buffer?
    private var parser = RequestParser()
    private(set) var exchange: Exchange?
    private var requests = 0
    private var discarded = 0
    private var tunnelPeer: UpstreamConnection?
    private var tunnelIdle: Int64 = 0
    /// What the kernel held for the client when its time was up last; nil: it took something since.
    private var heldOutput: Int?
    /// TLS server name as sent, for routing.
    private(set) var serverName: [UInt8] = []

    private enum Phase {
        case handshake
        /// Between requests, nothing read yet.
        case idle
        case head
        case exchange
        /// The last bytes are on their way out; then the connection ends.
        case closing(linger: Bool)
        /// Our side has ended; what still comes is thrown away.
        case lingering
        case tunnel
        case closed
    }

    static let lingerMilliseconds: Int64 = 2000
    static let lingerBytes = 1 << 20
    /// Reads of one connection before others get their turn.
    static let readsPerTurn = 32
    /// Bytes of answers that may wait for the client before its next request is looked at.
    static let pipelinedOutputMax = 64 * 1024

    init(worker: Worker, listener: RunningListener, peer: SocketAddress) {
        self.worker = worker
        self.listener = listener
        self.peer = peer
        peerText = Array(peer.address.description.utf8)
        super.init(loop: worker.loop, buffers: worker.buffers)
    }

    var isTLS: Bool { tls != nil }

    /// Whether no request is in progress: a draining worker may close it at once.
    var isIdle: Bool {
        switch phase {
        case .idle: true
        default: false
        }
    }

    /// Begins serving on an accepted socket.
    func start(_ descriptor: Int32, server: TLSServer?) {
        guard attach(descriptor) else {
            Socket.close(descriptor)
            worker.clientClosed(self)
            return
        }
        if let server {
            guard let session = server.session(descriptor) else { return abort() }
            tls = session
            phase = .handshake
            loop.setDeadline(self, loop.now + Int64(worker.running.settings.tlsHandshakeTimeout))
        } else {
            loop.setDeadline(self, loop.now + Int64(worker.running.settings.headTimeout))
        }
    }

    // MARK: Events

    override func ready(_ events: Readiness) {
        super.ready(events)
        if pendingOutput > 0 {
            let waiting = pendingOutput
            guard flush() else { return abort() }
            if pendingOutput == 0 { drained() } else if pendingOutput < waiting { progressed() }
        }
        if !events.isDisjoint(with: [.failed, .hungUp]) {
            switch phase {
            case .exchange, .tunnel, .closing, .lingering: return abort()
            case .handshake, .idle, .head, .closed: break
            }
        }
        advance()
    }

    override func again() { advance() }

    private func advance() {
        switch phase {
        case .handshake: handshake()
        case .idle, .head: readHead()
        case .exchange: if mayRead { exchange?.clientReadable() }
        case .lingering: discard()
        case .tunnel: pumpTunnel()
        case .closing, .closed: break
        }
    }

    private func drained() {
        switch phase {
        case .closing(let linger): finish(linger: linger)
        case .exchange: exchange?.clientWritable()
        case .tunnel: tunnelPeer?.clientDrained()
        case .idle: loop.setDeadline(self, loop.now + Int64(worker.running.settings.idleTimeout))
        case .handshake, .head, .lingering, .closed: break
        }
    }

    /// The peer took some of what waits: a slow reader is not a silent one.
    private func progressed() {
        heldOutput = nil
        switch phase {
        case .idle, .exchange, .closing:
            loop.setDeadline(self, loop.now + Int64(worker.running.settings.bodyTimeout))
        case .handshake, .head, .lingering, .tunnel, .closed: break
        }
    }

    private func handshake() {
        guard let tls else { return }
        switch tls.handshake() {
        case .bytes:
            mayRead = true
            phase = .idle
            if let name = tls.serverName { serverName = Array(name.utf8) }
            loop.setDeadline(self, loop.now + Int64(worker.running.settings.headTimeout))
            readHead()
        case .wantsRead, .wantsWrite: break
        case .closed, .failed:
            worker.metrics.count(.tlsHandshakeFailures)
            abort()
        }
    }

    // MARK: Request heads

    private func readHead() {
        // Who pipelines must also read: answers do not pile up here.
        guard pendingOutput < Self.pipelinedOutputMax else { return }
        while true {
            if let input, !input.isEmpty, parseHead(input) { return }
            guard mayRead else { return rest() }
            let buffer = input ?? takeInput()
            if buffer.free < 512 { buffer.reserve(4096) }
            switch receive(into: buffer, limit: buffer.free) {
            case .bytes:
                if case .idle = phase { headBegan() }
            case .wouldBlock: return rest()
            // A client may finish sending before it has read its answers.
            case .ended: return pendingOutput > 0 ? close(linger: false) : abort()
            case .failed: return abort()
            }
        }
    }

    private func takeInput() -> Buffer {
        let buffer = worker.buffers.take()
        input = buffer
        parser.begin(at: buffer.start)
        return buffer
    }

    private func headBegan() {
        phase = .head
        worker.metrics.count(.reading)
        let fresh = worker.takeExchange()
        fresh.startedAt = loop.nowNanoseconds
        fresh.startedWall = loop.wallNanoseconds
        exchange = fresh
        loop.setDeadline(self, loop.now + Int64(worker.running.settings.headTimeout))
    }

    /// Nothing to do until more bytes come; an idle connection holds no memory but itself.
    private func rest() {
        if case .idle = phase, let input, input.isEmpty {
            worker.buffers.give(input)
            self.input = nil
        }
    }

    /// True when the connection has left the head phase.
    private func parseHead(_ input: Buffer) -> Bool {
        if case .idle = phase { headBegan() }
        guard let exchange else { return true }
        switch parser.parse(input, into: exchange.request, limits: worker.running.headLimits) {
        case .incomplete:
            return false
        case .complete(let bodyAt):
            input.consume(bodyAt - input.start)
            requests += 1
            phase = .exchange
            loop.setDeadline(self, .max)
            exchange.begin(self)
        case .failed(let fault):
            phase = .exchange
            exchange.reject(fault, on: self)
        }
        return true
    }

    /// Whether the next response must end the connection.
    var isLastRequest: Bool {
        let limit = worker.running.settings.keepAliveRequests
        return worker.isDraining || (limit > 0 && requests >= limit) || peerFinished && !hasInput
    }

    private var hasInput: Bool { !((overflow ?? input)?.isEmpty ?? true) || mayRead }

    // MARK: Request bodies, for the exchange

    /// The buffer whose readable bytes come next in the request's body.
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
        if buffer.isEmpty { buffer.clear() } else if buffer.free < 1024 { buffer.compact() }
        // Whoever asks has taken all data: what is left is a part of a line, which decoders bound.
        if buffer.free < 1024 { buffer.reserve(Buffer.standardCapacity) }
        return receive(into: buffer, limit: buffer.free)
    }

    // MARK: The end of an exchange

    /// The response is complete. `keep`: the connection goes on to its next request.
    func exchangeFinished(keep: Bool, linger: Bool) {
        exchange = nil
        if let overflow {
            if let input { worker.buffers.give(input) }
            input = overflow
            self.overflow = nil
        }
        guard keep, !worker.closesIdle else { return close(linger: linger) }
        phase = .idle
        if let input, input.isEmpty {
            worker.buffers.give(input)
            self.input = nil
        } else if let input {
            input.compact()
            parser.begin(at: 0)
        }
        if peerFinished, input == nil, !mayRead { return close(linger: false) }
        let settings = worker.running.settings
        loop.setDeadline(self, loop.now + Int64(pendingOutput > 0 ? settings.bodyTimeout : settings.idleTimeout))
        if input != nil || mayRead { loop.callAgain(self) }
    }

    /// Sends what waits, then ends the connection.
    func close(linger: Bool) {
        phase = .closing(linger: linger)
        loop.setDeadline(self, loop.now + Int64(worker.running.settings.bodyTimeout))
        if pendingOutput == 0 { finish(linger: linger) }
    }

    private func finish(linger: Bool) {
        guard linger, !peerFinished else { return abort() }
        finishSending()
        phase = .lingering
        loop.setDeadline(self, loop.now + Self.lingerMilliseconds)
        discard()
    }

    private func discard() {
        while mayRead {
            let scratch = worker.scratch
            scratch.clear()
            switch receive(into: scratch, limit: scratch.free) {
            case .bytes(let n):
                discarded += n
                if discarded > Self.lingerBytes { return abort() }
            case .wouldBlock: return
            case .ended, .failed: return abort()
            }
        }
    }

    /// Ends the connection now.
    func abort() {
        if case .closed = phase { return }
        phase = .closed
        if let exchange {
            self.exchange = nil
            exchange.clientGone()
        }
        tunnelPeer?.abortTunnel()
        tunnelPeer = nil
        for buffer in [input, overflow] { if let buffer { worker.buffers.give(buffer) } }
        input = nil
        overflow = nil
        closeStream()
        worker.clientClosed(self)
    }

    /// The kernel tells of progress only in large steps; a slow reader whose time is up may still be
    /// reading. Who takes nothing for two timeouts in a row is gone.
    private func isStillReading() -> Bool {
        guard pendingOutput > 0 else { return false }
        let held = unacknowledgedOutput
        guard held > 0, held < heldOutput ?? .max else { return false }
        heldOutput = held
        loop.setDeadline(self, loop.now + Int64(worker.running.settings.bodyTimeout))
        return true
    }

    override func timedOut() {
        if isStillReading() { return }
        switch phase {
        case .handshake, .idle, .closing, .lingering, .tunnel: abort()
        case .head:
            if let exchange, let input, !input.isEmpty {
                phase = .exchange
                exchange.reject(.headTimeout, on: self)
            } else {
                abort()
            }
        case .exchange: exchange?.clientTimedOut()
        case .closed: break
        }
    }

    // MARK: Tunnels

    /// The exchange is over before anything is sent here that could fail: nobody may end it twice.
    /// - Parameter idle: milliseconds without a byte in either direction that end it.
    func beginTunnel(_ upstream: UpstreamConnection, idle: Int) {
        phase = .tunnel
        tunnelPeer = upstream
        tunnelIdle = Int64(idle)
        exchange = nil
        touchTunnel()
    }

    /// Sends what came early on its way; both sides are tunnels now.
    func startTunnel() {
        guard let upstream = tunnelPeer else { return }
        if let early = overflow ?? input, !early.isEmpty {
            guard upstream.send(early.readable) else { return abort() }
            early.consume(early.count)
        }
        for buffer in [input, overflow] { if let buffer { worker.buffers.give(buffer) } }
        input = nil
        overflow = nil
        if mayRead { loop.callAgain(self) }
    }

    func touchTunnel() { loop.setDeadline(self, loop.now + tunnelIdle) }

    func pumpTunnel() {
        guard let upstream = tunnelPeer else { return }
        var budget = Self.readsPerTurn
        while mayRead, upstream.pendingOutput < worker.running.settings.bodyBuffer {
            budget -= 1
            if budget == 0 { return loop.callAgain(self) }
            let scratch = worker.scratch
            scratch.clear()
            switch receive(into: scratch, limit: scratch.free) {
            case .bytes:
                touchTunnel()
                guard upstream.send(scratch.readable) else { return abort() }
            case .wouldBlock: return
            case .ended:
                upstream.finishTunnelSending()
                return
            case .failed: return abort()
            }
        }
    }

    func tunnelEnded() {
        guard case .tunnel = phase else { return }
        tunnelPeer = nil
        close(linger: false)
    }
}
