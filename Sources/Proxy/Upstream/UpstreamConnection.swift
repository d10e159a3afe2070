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
    private var parser = ResponseParser()
    /// What is left of a response's body with a length.
    private var bodyLeft = 0
    private var bodyDecoder = ChunkedDecoder()
    /// More bytes followed the body than the response announced: the connection cannot be trusted.
    private var sentExtra = false
    private var sendsChunks = false
    /// Requests sent over it so far.
    private(set) var uses = 0
    private var tunnel: Tunnel?
    /// The client of a tunnel has finished; so do we once what waits is sent.
    private var finishes = false

    enum Phase { case connecting, handshake, active, idle, tunnel, closed }

    init(worker: Worker, pool: UpstreamPool) {
        self.worker = worker
        self.pool = pool
        super.init(loop: worker.loop, buffers: worker.buffers)
    }

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
                guard flush() else { return close() }
                if pendingOutput == 0 {
                    if finishes { finishSending() }
                    tunnel?.upstreamWritable()
                }
            }
            tunnel?.upstreamReadable()
        case .closed: break
        }
    }

    override func again() {
        switch phase {
        case .active: exchange?.upstreamReadable()
        case .tunnel: tunnel?.upstreamReadable()
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
        case .tunnel: break
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

    private func giveBuffers() {
        if let input { worker.buffers.give(input) }
        if let overflow { worker.buffers.give(overflow) }
        input = nil
        overflow = nil
    }

    // MARK: The end of an exchange

    /// The exchange is done with it. `reusable`: both messages ended where they should.
    func release(reusable: Bool) {
        let isClean = bodyBuffer?.isEmpty ?? true && !sentExtra
        exchange = nil
        giveBuffers()
        guard reusable, isClean, phase == .active, !peerFinished, pendingOutput == 0, isQuiet() else { return close() }
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
        if let tunnel {
            self.tunnel = nil
            tunnel.upstreamGone()
        }
    }
}

// MARK: For the exchange

extension UpstreamConnection: UpstreamSide {
    func setDeadline(_ deadline: Int64) { loop.setDeadline(self, deadline) }
    func callAgain() { loop.callAgain(self) }
    func callIfReadable() { if mayRead { loop.callAgain(self) } }

    // MARK: The request

    var takesBody: Bool { phase == .active }

    func sendRequest(_ exchange: Exchange) -> Bool {
        parser.begin(at: 0)
        bodyDecoder = ChunkedDecoder()
        bodyLeft = 0
        sentExtra = false
        let out = worker.output
        out.clear()
        out.append(exchange.upstreamMethod.isEmpty ? exchange.request.methodBytes : exchange.upstreamMethod.readable)
        out.append(0x20)
        out.append(exchange.upstreamURI.readable)
        out.append(" HTTP/1.1\r\n")
        worker.fields.begin(lines: out)
        exchange.writeHost(to: worker.fields.open(.host))
        worker.fields.close()
        exchange.writeRequestFields(worker.fields)
        writeFraming(exchange, to: out)
        out.append("\r\n")
        // A large body is sent from where it is: the output buffer is for good, and stays small.
        let body = exchange.requestBody?.readable ?? .empty
        let isSmall = body.count <= Buffer.standardCapacity
        if isSmall { out.append(body) }
        return send(out.readable) && (isSmall || send(body))
    }

    private func writeFraming(_ exchange: Exchange, to out: Buffer) {
        let length = exchange.announcedLength
        if let length {
            out.append("Content-Length: ")
            out.append(decimal: length)
            out.append("\r\n")
        } else if exchange.streamsBody {
            out.append("Transfer-Encoding: chunked\r\n")
        }
        sendsChunks = length == nil && exchange.streamsBody
        if exchange.request.acceptsTrailers { out.append("TE: trailers\r\n") }
        if exchange.request.wantsWebSocket {
            // An HTTP/2 client proves nothing by a key (RFC 8441 section 5); HTTP/1.1 wants one.
            if exchange.request.httpVersion == 2 {
                WebSocketKey.random(to: worker.fields.open("Sec-WebSocket-Key"))
                worker.fields.close()
            }
            out.append("Connection: Upgrade\r\nUpgrade: websocket\r\n")
        } else {
            out.append("Connection: keep-alive\r\n")
        }
    }

    func room(_ limit: Int) -> Int { pendingOutput >= limit ? 0 : worker.scratch.capacity }

    func sendBody(_ bytes: Bytes, last: Bool) -> Bool {
        if phase == .tunnel {
            guard send(bytes) else { return false }
            if last {
                finishes = true
                if pendingOutput == 0 { finishSending() }
            }
            return true
        }
        guard sendsChunks else { return send(bytes) }
        let out = worker.output
        out.clear()
        if !bytes.isEmpty { ChunkWriter.write(bytes, to: out) }
        if last { out.append("0\r\n\r\n") }
        return send(out.readable)
    }

    func endBody(_ exchange: Exchange) -> Bool {
        guard sendsChunks else { return true }
        let out = worker.output
        out.clear()
        ChunkWriter.end(
            exchange.requestTrailers, announcedIn: exchange.requestHeaders, allowed: false,
            to: out)
        return send(out.readable)
    }

    // MARK: The response

    func readHead(_ exchange: Exchange) -> HeadRead {
        while true {
            if let input, !input.isEmpty {
                switch parser.parse(
                    input, into: exchange.response, limits: exchange.running.responseLimits,
                    toHead: exchange.isHeadUpstream)
                {
                case .incomplete: break
                case .failed(let fault): return .failed(.malformed(fault))
                case .complete(let bodyAt):
                    input.consume(bodyAt - input.start)
                    let response = exchange.response
                    if response.status == 101 {
                        guard response.connection.contains(.upgrade),
                            response.headers.first(.upgrade).map({ $0.equalsIgnoringCase("websocket") }) ?? false
                        else { return .failed(.malformed(.unexpectedUpgrade)) }
                        return .switched
                    }
                    if response.status < 200 {
                        parser.begin(at: input.start)
                        return .interim
                    }
                    if case .length(let n) = exchange.response.framing { bodyLeft = n }
                    return .final
                }
            }
            guard mayRead else { return .wait }
            switch receiveHead() {
            case .bytes, .wouldBlock: continue
            case .ended: return .failed(.closed)
            case .failed: return .failed(.reset)
            }
        }
    }

    private func receiveHead() -> ReadResult {
        let buffer: Buffer
        if let input {
            buffer = input
            // A head that outgrows the buffer is refused by the parser's limit.
            if buffer.free < 1024 { buffer.reserve(Buffer.standardCapacity) }
        } else {
            buffer = worker.buffers.take()
            input = buffer
        }
        return receive(into: buffer, limit: buffer.free)
    }

    func readBody(_ limit: Int) -> BodyPiece {
        guard limit > 0 else { return .wait }
        if phase == .tunnel { return readTunnel(limit) }
        guard let exchange else { return .broken }
        switch exchange.response.framing {
        case .none: return .end
        case .length: return readLength(limit)
        case .chunked: return readChunk(exchange)
        case .untilClose:
            if let early = takeEarly(limit) { return .data(early, last: false) }
            return readRaw(limit, end: .end)
        }
    }

    /// What of the body came with the head, or nil.
    private func takeEarly(_ limit: Int) -> Bytes? {
        guard let source = bodyBuffer, !source.isEmpty else { return nil }
        let piece = source.readable.prefix(limit)
        source.consume(piece.count)
        return piece
    }

    /// Straight from the socket, through the worker's scratch.
    private func readRaw(_ limit: Int, end: BodyPiece) -> BodyPiece {
        while mayRead {
            let scratch = worker.scratch
            scratch.clear()
            switch receive(into: scratch, limit: min(limit, scratch.free)) {
            case .bytes: return .data(scratch.readable, last: false)
            case .wouldBlock: continue
            case .ended: return end
            case .failed: return .broken
            }
        }
        return .wait
    }

    private func readLength(_ limit: Int) -> BodyPiece {
        guard bodyLeft > 0 else { return .end }
        if let early = takeEarly(min(limit, bodyLeft)) {
            bodyLeft -= early.count
            return .data(early, last: bodyLeft == 0)
        }
        switch readRaw(limit, end: .broken) {
        case .data(let bytes, _):
            let piece = bytes.prefix(bodyLeft)
            bodyLeft -= piece.count
            // What follows the body is no answer to anything: it must not be taken for the next one's.
            if bytes.count > piece.count { sentExtra = true }
            return .data(piece, last: bodyLeft == 0)
        case let other: return other
        }
    }

    private func readChunk(_ exchange: Exchange) -> BodyPiece {
        while true {
            if let source = bodyBuffer, !source.isEmpty {
                switch bodyDecoder.next(source, trailers: exchange.responseTrailers) {
                case .incomplete: break
                case .failed: return .malformed
                case .end: return .end
                case .data(let n):
                    let piece = source.readable.prefix(n)
                    source.consume(n)
                    return .data(piece, last: false)
                }
            }
            guard mayRead else { return .wait }
            switch receiveBody() {
            case .bytes, .wouldBlock: continue
            case .ended, .failed: return .broken
            }
        }
    }

    /// The buffer whose readable bytes come next in the response's body.
    private var bodyBuffer: Buffer? { overflow ?? input }

    /// Reads more of the body. The head's buffer is left as it is.
    private func receiveBody() -> ReadResult {
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

    // MARK: Tunnels

    func begin(_ tunnel: Tunnel) {
        phase = .tunnel
        self.tunnel = tunnel
        exchange = nil
        sendsChunks = false
        loop.setDeadline(self, .max)
    }

    private func readTunnel(_ limit: Int) -> BodyPiece {
        if let early = takeEarly(limit) { return .data(early, last: false) }
        giveBuffers()
        return readRaw(limit, end: .end)
    }
}
