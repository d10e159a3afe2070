// A client's HTTP/1.1 connection as its exchange uses it: the request's body in, the answer out.
//
// What an answer consists of gathers in the worker's output until `flush`, so that a head and what is
// there of its body leave in one write. Nothing else of the worker's turn comes in between.

import Bytes
import Engine
import HTTP
import Snapshot

extension ClientConnection: ClientSide {
    var transport: ClientTransport { self }

    func setDeadline(_ deadline: Int64) { loop.setDeadline(self, deadline) }

    func callAgain() { loop.callAgain(self) }

    // MARK: The request's body

    func readBody(_ limit: Int) -> BodyPiece {
        if isTunnel { return readTunnel(limit) }
        guard limit > 0 else { return .wait }
        while true {
            if let source = overflow ?? input, !source.isEmpty, let piece = takePiece(source, limit) { return piece }
            guard mayRead else { return .wait }
            switch receiveBody() {
            case .bytes, .wouldBlock: continue
            case .ended, .failed: return .broken
            }
        }
    }

    /// What `source` holds of the body; nil: nothing that is complete. A chunk may exceed the limit by
    /// what the buffer holds.
    private func takePiece(_ source: Buffer, _ limit: Int) -> BodyPiece? {
        guard let exchange else { return .broken }
        guard case .chunked = exchange.request.framing else {
            let n = min(bodyLeft, source.count, limit)
            guard n > 0 else { return .end }
            bodyLeft -= n
            let piece = source.readable.prefix(n)
            source.consume(n)
            return .data(piece, last: bodyLeft == 0)
        }
        switch bodyDecoder.next(source, trailers: exchange.requestTrailers) {
        case .incomplete: return nil
        case .failed: return .malformed
        case .end: return .end
        case .data(let n):
            let piece = source.readable.prefix(n)
            source.consume(n)
            return .data(piece, last: false)
        }
    }

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
        if buffer.isEmpty { buffer.clear() } else if buffer.free < 1024 { buffer.compact() }
        // Whoever asks has taken all data: what is left is a part of a line, which decoders bound.
        if buffer.free < 1024 { buffer.reserve(Buffer.standardCapacity) }
        return receive(into: buffer, limit: buffer.free)
    }

    func skipBody() -> Bool {
        guard let exchange, case .length = exchange.request.framing, let source = overflow ?? input,
            source.count >= bodyLeft
        else { return false }
        source.consume(bodyLeft)
        exchange.requestBytes += bodyLeft
        bodyLeft = 0
        return true
    }

    // MARK: The answer

    func sendContinue() { _ = send(Bytes("HTTP/1.1 100 Continue\r\n\r\n")) }

    func sendInterim(_ exchange: Exchange) -> Bool {
        // HTTP/1.0 knows no such thing (RFC 9110 section 15.2).
        guard exchange.request.minorVersion == 1 else { return true }
        beginHead(exchange.response.status, exchange.response.reason).block(
            exchange.response.headers, except: Forwarding.responseHop)
        worker.output.append("\r\n")
        isHeld = false
        return send(worker.output.readable)
    }

    func beginHead(_ status: Int, _ reason: Bytes) -> FieldWriter {
        let out = worker.output
        out.clear()
        out.append("HTTP/1.1 ")
        out.append(decimal: status)
        out.append(0x20)
        if reason.isEmpty { out.append(Reason.phrase(status)) } else { out.append(reason) }
        out.append("\r\n")
        isHeld = true
        sendsChunks = false
        worker.fields.begin(lines: out)
        return worker.fields
    }

    func writeFraming(_ framing: BodyFraming, _ exchange: Exchange) {
        let out = worker.output
        switch framing {
        case .none: break
        case .length(let n):
            out.append("Content-Length: ")
            out.append(decimal: n)
            out.append("\r\n")
        case .chunked, .untilClose:
            if exchange.request.minorVersion == 1 {
                sendsChunks = true
                out.append("Transfer-Encoding: chunked\r\n")
            } else {
                exchange.keepsClient = false
            }
        }
        // A reply of our own that names a protocol to upgrade to has its `Connection` already.
        if exchange.isLocalReply, exchange.keepsClient, exchange.replyHeaders.contains(.connection) { return }
        out.append(exchange.keepsClient ? "Connection: keep-alive\r\n" : "Connection: close\r\n")
    }

    func writeUpgrade(_ exchange: Exchange) {
        let out = worker.output
        out.append("Connection: Upgrade\r\nUpgrade: websocket\r\n")
        // An HTTP/2 upstream was not asked to prove anything: what the client asked for is ours to say.
        if exchange.response.httpVersion == 2, let key = exchange.requestHeaders.first(WebSocketKey.name) {
            WebSocketKey.accept(key, to: worker.fields.open("Sec-WebSocket-Accept"))
            worker.fields.close()
        }
    }

    func endHead(ends: Bool) {
        worker.output.append("\r\n")
        heldHead = worker.output.count
    }

    func room(_ limit: Int) -> Int { pendingOutput >= limit ? 0 : worker.scratch.capacity }

    func sendBody(_ bytes: Bytes, last: Bool) -> Bool {
        let out = worker.output
        if sendsChunks {
            hold()
            if !bytes.isEmpty { ChunkWriter.write(bytes, to: out) }
            if last { out.append("0\r\n\r\n") }
            return out.count < Buffer.standardCapacity || flushHeld()
        }
        if isHeld, bytes.count <= Buffer.standardCapacity {
            out.append(bytes)
            return true
        }
        // A large piece is sent from where it is: the output buffer is for good, and stays small.
        guard flushHeld() else { return false }
        exchange?.responseBytes += bytes.count
        exchange?.responseBodyBytes += bytes.count
        return send(bytes)
    }

    func endBody(_ exchange: Exchange) -> Bool {
        guard sendsChunks else { return true }
        hold()
        ChunkWriter.end(
            exchange.responseTrailers, announcedIn: exchange.response.headers, allowed: exchange.allowsTrailers,
            to: worker.output)
        return true
    }

    func flush(_ exchange: Exchange) -> Bool { flushHeld() }

    private func hold() {
        guard !isHeld else { return }
        worker.output.clear()
        isHeld = true
        heldHead = 0
    }

    private func flushHeld() -> Bool {
        guard isHeld else { return true }
        isHeld = false
        let out = worker.output
        exchange?.responseBytes += out.count
        exchange?.responseBodyBytes += out.count - heldHead
        return send(out.readable)
    }

    // MARK: Tunnels

    func begin(_ tunnel: Tunnel) {
        becomeTunnel(tunnel)
        sendsChunks = false
    }

    private func readTunnel(_ limit: Int) -> BodyPiece {
        guard limit > 0 else { return .wait }
        if let early = overflow ?? input, !early.isEmpty {
            let piece = early.readable.prefix(limit)
            early.consume(piece.count)
            return .data(piece, last: false)
        }
        giveInput()
        while mayRead {
            let scratch = worker.scratch
            scratch.clear()
            switch receive(into: scratch, limit: min(limit, scratch.free)) {
            case .bytes: return .data(scratch.readable, last: false)
            case .wouldBlock: continue
            case .ended: return .end
            case .failed: return .broken
            }
        }
        return .wait
    }
}

/// Chunks as we write them.
enum ChunkWriter {
    static func write(_ data: Bytes, to out: Buffer) {
        out.append(hex: UInt64(data.count))
        out.append("\r\n")
        out.append(data)
        out.append("\r\n")
    }

    /// The last chunk, with the trailer fields that may cross.
    static func end(_ trailers: HeaderBlock, announcedIn headers: HeaderBlock, allowed: Bool, to out: Buffer) {
        out.append("0\r\n")
        for index in 0..<trailers.count where Forwarding.passes(trailers, index, announcedIn: headers, allowed: allowed)
        {
            out.appendField(trailers.name(index), trailers.value(index))
        }
        out.append("\r\n")
    }
}
