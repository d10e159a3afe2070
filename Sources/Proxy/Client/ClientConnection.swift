// A client's HTTP/1.1 connection: requests in, one exchange at a time, responses out.

import Bytes
import Engine
import HTTP
import Snapshot
import Telemetry

/// The downstream side. It reads heads, hands each to an exchange, and closes as RFC 9112 section 9.6
/// asks: finish sending, then read on for a while, so that the peer sees our last words.
final class ClientConnection: ClientTransport {
    private var phase = Phase.idle
    /// Bytes read and not yet consumed. While an exchange runs it also holds the request's head.
    private(set) var input: Buffer?
    /// Continues the input once a body is longer than what came with its head.
    var overflow: Buffer?
    private var parser = RequestParser()
    private(set) var exchange: Exchange?
    private var requests = 0
    private var tunnel: Tunnel?
    /// What is left of a body with a length, of the request that is in progress.
    var bodyLeft = 0
    var bodyDecoder = ChunkedDecoder()
    /// A part of the answer stands in the worker's output and has not been sent.
    var isHeld = false
    /// Bytes of the head among them.
    var heldHead = 0
    var sendsChunks = false
    /// What the kernel held for the client when its time was up last; nil: it took something since.
    private var heldOutput: Int?

    private enum Phase {
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

    /// Reads of one connection before others get their turn.
    static let readsPerTurn = 32
    /// Bytes of answers that may wait for the client before its next request is looked at.
    static let pipelinedOutputMax = 64 * 1024

    /// Whether no request is in progress: a draining worker may close it at once.
    override var isIdle: Bool {
        switch phase {
        case .idle: true
        default: false
        }
    }

    override func closeIdle() { close(linger: false) }

    /// Begins serving on an accepted socket.
    func start(_ descriptor: Int32) {
        guard attach(descriptor) else {
            Socket.close(descriptor)
            worker.clientClosed(self)
            return
        }
        loop.setDeadline(self, loop.now + Int64(worker.running.settings.headTimeout))
    }

    /// Begins serving on a connection that another handler prepared.
    func begin() {
        loop.setDeadline(self, loop.now + Int64(worker.running.settings.headTimeout))
        readHead()
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
            case .idle, .head, .closed: break
            }
        }
        advance()
    }

    override func again() {
        // What it was called again for may be in the buffer already.
        if case .exchange = phase { exchange?.clientReadable() } else { advance() }
    }

    private func advance() {
        switch phase {
        case .idle, .head: readHead()
        case .exchange: if mayRead { exchange?.clientReadable() }
        case .lingering: discard()
        case .tunnel: tunnel?.clientReadable()
        case .closing, .closed: break
        }
    }

    private func drained() {
        switch phase {
        case .closing(let linger): finish(linger: linger)
        case .exchange: exchange?.clientWritable()
        case .tunnel: tunnel?.clientWritable()
        case .idle: loop.setDeadline(self, loop.now + Int64(worker.running.settings.idleTimeout))
        case .head, .lingering, .closed: break
        }
    }

    /// The peer took some of what waits: a slow reader is not a silent one.
    private func progressed() {
        heldOutput = nil
        switch phase {
        case .idle, .exchange, .closing:
            loop.setDeadline(self, loop.now + Int64(worker.running.settings.bodyTimeout))
        case .head, .lingering, .tunnel, .closed: break
        }
    }

    // MARK: Request heads

    private func readHead() {
        // Who pipelines must also read: answers do not pile up here.
        guard pendingOutput < Self.pipelinedOutputMax else { return }
        while true {
            if let input, !input.isEmpty {
                // Over TLS, ALPN has decided.
                if requests == 0, !isTLS, case .idle = phase, let verdict = speaksHTTP2(input) {
                    if verdict { return }
                } else if parseHead(input) {
                    return
                }
            }
            guard mayRead else { return rest() }
            let buffer = input ?? takeInput()
            if buffer.free < 512 { buffer.reserve(4096) }
            switch receive(into: buffer, limit: buffer.free) {
            case .bytes: continue
            case .wouldBlock: return rest()
            // A client may finish sending before it has read its answers.
            case .ended: return pendingOutput > 0 ? close(linger: false) : abort()
            case .failed: return abort()
            }
        }
    }

    /// Whether the first bytes are HTTP/2's preface (RFC 9113 section 3.3): true: it goes on as such;
    /// false: more must come before it is known; nil: no.
    private func speaksHTTP2(_ input: Buffer) -> Bool? {
        let preface = Bytes(HTTP2Link.preface)
        let n = min(input.count, preface.count)
        guard input.readable.prefix(n) == preface.prefix(n) else { return nil }
        guard n == preface.count else { return false }
        self.input = nil
        phase = .closed
        let next = HTTP2ClientConnection(continuing: self)
        next.begin(early: input.readable)
        worker.buffers.give(input)
        return true
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
            if case .length(let n) = exchange.request.framing { bodyLeft = n }
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

    // MARK: Tunnels

    var isTunnel: Bool { tunnel != nil }

    func becomeTunnel(_ tunnel: Tunnel) {
        phase = .tunnel
        self.tunnel = tunnel
        exchange = nil
    }

    func giveInput() {
        if let input { worker.buffers.give(input) }
        if let overflow { worker.buffers.give(overflow) }
        input = nil
        overflow = nil
    }

    // MARK: The end of an exchange

    /// The response is complete. `keep`: the connection goes on to its next request.
    func exchangeFinished(keep: Bool, linger: Bool) {
        exchange = nil
        tunnel = nil
        bodyLeft = 0
        bodyDecoder = ChunkedDecoder()
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
        if !discardInput() { abort() }
    }

    /// Ends the connection now.
    func abort() {
        if case .closed = phase { return }
        phase = .closed
        if let exchange {
            self.exchange = nil
            exchange.clientGone()
        }
        if let tunnel {
            self.tunnel = nil
            tunnel.clientGone()
        }
        giveInput()
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
        case .idle, .closing, .lingering: abort()
        case .tunnel: tunnel?.timedOut()
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
}
