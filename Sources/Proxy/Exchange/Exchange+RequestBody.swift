// Step 4: the request's body to the upstream, no faster than it takes it.

import Bytes
import Engine
import HTTP
import Snapshot

extension Exchange {
    /// The client's socket has bytes.
    func clientReadable() {
        switch stage {
        case .collecting: collectMore()
        case .forwarding, .responding: if !requestBodyDone, !upstreamStoppedReading { pumpRequestBody() }
        case .idle, .tunnel: break
        }
    }

    /// The upstream took what waited.
    func upstreamWritable() {
        if requestBodyDone {
            if stage == .forwarding, let upstream { awaitResponse(upstream) }
        } else if !upstreamStoppedReading {
            pumpRequestBody()
        }
    }

    /// The upstream takes no more, but has begun to answer: what is left of the request is dropped, and
    /// the answer goes on. False if there is no answer.
    func stopSending() -> Bool {
        guard stage == .responding else { return false }
        upstreamStoppedReading = true
        return true
    }

    /// Moves body bytes until the client has none, or the upstream takes none.
    func pumpRequestBody() {
        // While it connects, the body waits with the client: before the head it would be a request of its own.
        guard let client, let upstream, sentToUpstream, upstream.phase == .active else { return }
        var budget = ClientConnection.readsPerTurn
        while !requestBodyDone {
            if upstream.pendingOutput >= Buffer.standardCapacity {
                let timeout = running.snapshot.services[service].writeTimeout
                worker.loop.setDeadline(upstream, worker.loop.now + Int64(timeout))
                worker.loop.setDeadline(client, .max)
                return
            }
            if let source = client.bodyBuffer, !source.isEmpty {
                switch sendBodyPiece(source, to: upstream) {
                case .taken: continue
                case .failed: return failBody(.badChunk)
                case .needsMore: break
                }
                guard self.upstream === upstream else { return }
            }
            guard client.mayRead else {
                worker.loop.setDeadline(client, worker.loop.now + Int64(running.settings.bodyTimeout))
                worker.loop.setDeadline(upstream, .max)
                return
            }
            budget -= 1
            if budget == 0 {
                worker.loop.setDeadline(client, worker.loop.now + Int64(running.settings.bodyTimeout))
                worker.loop.setDeadline(upstream, .max)
                return worker.loop.callAgain(client)
            }
            switch client.receiveBody() {
            case .bytes, .wouldBlock: continue
            case .ended, .failed: return client.abort()
            }
        }
        worker.loop.setDeadline(client, .max)
        if stage == .forwarding { awaitResponse(upstream) } else { responseMayBeDone() }
    }

    private func sendBodyPiece(_ source: Buffer, to upstream: UpstreamConnection) -> BodyPiece {
        if case .chunked = requestFraming { return sendChunk(source, to: upstream) }
        let n = min(requestBodyLeft, source.count)
        guard n > 0 else { return .needsMore }
        let piece = source.readable.prefix(n)
        requestBytes += n
        requestBodyLeft -= n
        if requestBodyLeft == 0 { requestBodyDone = true }
        let isSent = upstream.send(piece)
        source.consume(n)
        if !isSent { upstream.writeFailed() }
        return isSent ? .taken : .needsMore
    }

    /// Chunks are decoded and made anew; nothing of their framing crosses.
    private func sendChunk(_ source: Buffer, to upstream: UpstreamConnection) -> BodyPiece {
        let out = worker.output
        out.clear()
        switch requestDecoder.next(source, trailers: requestTrailers) {
        case .incomplete: return .needsMore
        case .failed: return .failed
        case .data(let n):
            let limit = running.settings.requestBodyLimit
            if limit > 0 && requestBytes - request.wireCount + n > limit
                || requestBytes - request.wireCount + n > bodyLimit
            {
                failBody(.bodyTooLarge)
                return .needsMore
            }
            ChunkWriter.write(source.readable.prefix(n), to: out)
            source.consume(n)
            requestBytes += n
        case .end:
            requestBodyDone = true
            ChunkWriter.end(requestTrailers, announcedIn: request.headers, allowed: false, to: out)
        }
        guard upstream.send(out.readable) else {
            upstream.writeFailed()
            return .needsMore
        }
        return .taken
    }

    /// The client was silent for too long in the middle of a body, or did not read the response.
    func clientTimedOut() {
        guard stage == .collecting || stage == .forwarding, !requestBodyDone else {
            client?.abort()
            return
        }
        failBody(.bodyTimeout)
    }

    /// The client's connection is gone; so is the exchange.
    func clientGone() {
        client = nil
        keepsClient = false
        conclude(aborted: true)
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

    /// The last chunk, with the trailer fields that may cross: announced in `Trailer` or asked for with
    /// `TE: trailers` (`allowed`), and none that RFC 9110 section 6.5.1 forbids.
    static func end(_ trailers: HeaderBlock, announcedIn headers: HeaderBlock, allowed: Bool, to out: Buffer) {
        out.append("0\r\n")
        for index in 0..<trailers.count where !trailers.isRemoved(index) {
            let name = trailers.name(index)
            guard !Forwarding.isForbiddenTrailer(trailers.id(index)), !IdentityHeaders.contains(name),
                allowed || isAnnounced(name, headers)
            else { continue }
            out.append(name)
            out.append(": ")
            out.append(trailers.value(index))
            out.append("\r\n")
        }
        out.append("\r\n")
    }

    private static func isAnnounced(_ name: Bytes, _ headers: HeaderBlock) -> Bool {
        var at = 0
        while let index = headers.index(of: .trailer, from: at) {
            at = index + 1
            let value = headers.value(index)
            var start = 0
            while start <= value.count {
                let comma = value.firstIndex(of: 0x2C, from: start) ?? value.count
                if value[start..<comma].trimmed().equalsIgnoringCase(name) { return true }
                start = comma + 1
            }
        }
        return false
    }
}
