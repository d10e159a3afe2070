// Step 5: the upstream's response to the client, no faster than the client takes it.

import Bytes
import Engine
import HTTP
import Snapshot
import Telemetry

extension Exchange {
    private static let interimLimit = 8

    /// The method that the upstream got has no response body.
    private var isHeadUpstream: Bool { request.method == .head || upstreamMethod.readable == "HEAD" }

    /// The upstream's socket has bytes, or has ended.
    func upstreamReadable() {
        switch stage {
        case .forwarding: readResponseHead()
        case .responding: pumpResponse()
        case .idle, .collecting, .tunnel: break
        }
    }

    /// The client took what waited.
    func clientWritable() {
        guard stage == .responding else { return }
        if let client { worker.loop.setDeadline(client, requestBodyDone ? .max : client.deadline) }
        pumpResponse()
    }

    // MARK: The head

    private func readResponseHead() {
        guard let upstream else { return }
        while true {
            if let input = upstream.input, !input.isEmpty {
                switch upstream.parser.parse(
                    input, into: response, limits: running.responseLimits, toHead: isHeadUpstream)
                {
                case .incomplete: break
                case .failed(let fault): return failUpstream(.malformed(fault))
                case .complete(let bodyAt):
                    input.consume(bodyAt - input.start)
                    if response.status >= 200 { return headReceived(upstream) }
                    guard interim(upstream, input) else { return }
                    continue
                }
            }
            guard upstream.mayRead else { return }
            switch receive(upstream) {
            case .bytes, .wouldBlock: continue
            case .ended: return failUpstream(.closed)
            case .failed: return failUpstream(.reset)
            }
        }
    }

    private func receive(_ upstream: UpstreamConnection) -> ReadResult {
        let buffer: Buffer
        if let input = upstream.input {
            buffer = input
            // A head that outgrows the buffer is refused by the parser's limit.
            if buffer.free < 1024 { buffer.reserve(Buffer.standardCapacity) }
        } else {
            buffer = worker.buffers.take()
            upstream.input = buffer
            upstream.parser.begin(at: 0)
        }
        return upstream.receive(into: buffer, limit: buffer.free)
    }

    /// A 1xx response. True to go on reading heads.
    private func interim(_ upstream: UpstreamConnection, _ input: Buffer) -> Bool {
        interimCount += 1
        guard interimCount <= Self.interimLimit else {
            failUpstream(.malformed(.tooManyInterim))
            return false
        }
        if response.status == 101 {
            guard request.wantsWebSocket, requestBodyDone, response.connection.contains(.upgrade),
                response.headers.first(.upgrade).map({ $0.equalsIgnoringCase("websocket") }) ?? false
            else {
                failUpstream(.malformed(.unexpectedUpgrade))
                return false
            }
            openTunnel(upstream)
            return false
        }
        if let client, request.minorVersion == 1, response.status != 100 || request.expectsContinue && !sentContinue {
            if response.status == 100 { sentContinue = true }
            let out = worker.output
            out.clear()
            writeStatusLine(response.status, response.reason, to: out)
            response.headers.write(to: out, except: Forwarding.responseHop)
            out.append("\r\n")
            guard client.send(out.readable) else {
                client.abort()
                return false
            }
        }
        upstream.parser.begin(at: input.start)
        return true
    }

    private func openTunnel(_ upstream: UpstreamConnection) {
        guard let client else { return }
        headReceivedAt = worker.loop.nowNanoseconds
        record.upstreamStatus = 101
        dropNamedResponseFields()
        runResponseFilters()
        let out = worker.output
        out.clear()
        writeStatusLine(101, response.reason, to: out)
        writeHeaders(to: out)
        out.append("Connection: Upgrade\r\nUpgrade: websocket\r\n")
        writeOwnHeaders(to: out)
        out.append("\r\n")
        responseBytes += out.count
        finishAttempt(.status(101), latency: latency)
        guard client.send(out.readable) else { return client.abort() }
        stage = .tunnel
        let idle = running.snapshot.services[service].readTimeout
        self.upstream = nil
        self.client = nil
        client.beginTunnel(upstream, idle: idle)
        conclude(aborted: false)
        upstream.openTunnel(client)
        client.startTunnel()
    }

    var latency: Double { Double(headReceivedAt - attemptStartedAt) / 1e9 }

    private func headReceived(_ upstream: UpstreamConnection) {
        headReceivedAt = worker.loop.nowNanoseconds
        record.upstreamStatus = response.status
        finishAttempt(.status(response.status), latency: latency)
        stage = .responding
        dropNamedResponseFields()
        if !requestBodyDone || worker.isDraining { keepsClient = false }
        switch response.framing {
        case .none, .untilClose, .chunked: responseBodyLeft = 0
        case .length(let n): responseBodyLeft = n
        }
        if response.framing == .untilClose, request.minorVersion == 0 { keepsClient = false }
        if let chain, chain.needsResponseBody, response.framing != .none {
            responseBody = worker.buffers.take()
            return pumpResponse()
        }
        runResponseFilters()
        sendResponseHead(upstream)
    }

    private func dropNamedResponseFields() {
        guard response.connection.contains(.named) else { return }
        var at = 0
        while let index = response.headers.index(of: .connection, from: at) {
            at = index + 1
            let value = response.headers.value(index)
            var start = 0
            while start <= value.count {
                let comma = value.firstIndex(of: 0x2C, from: start) ?? value.count
                let token = value[start..<comma].trimmed()
                start = comma + 1
                switch FieldName(token) {
                case .contentLength, .transferEncoding, .connection, .upgrade: continue
                default: if !token.isEmpty { response.headers.removeAll(named: token) }
                }
            }
        }
    }

    func runResponseFilters() {
        guard let chain, chain.hasResponsePhase else { return }
        for step in chain.steps {
            if let filter = step.instance(for: consumer), filter.hasResponsePhase { filter.response(self) }
        }
    }

    /// Head and as much of the body as is there, in one write.
    private func sendResponseHead(_ upstream: UpstreamConnection) {
        guard let client else { return }
        let out = worker.output
        out.clear()
        writeStatusLine(response.status, response.reason, to: out)
        writeHeaders(to: out)
        writeResponseFraming(to: out)
        writeOwnHeaders(to: out)
        out.append("\r\n")
        let headCount = out.count
        appendBody(upstream, to: out)
        responseBytes += out.count
        responseBodyBytes += out.count - headCount
        let failed = bodyFailed
        guard client.send(out.readable) else { return client.abort() }
        if failed { return failUpstream(.malformed(.badChunk)) }
        if responseIsDone { return responseMayBeDone() }
        pumpResponse()
    }

    private func writeStatusLine(_ status: Int, _ reason: Bytes, to out: Buffer) {
        out.append("HTTP/1.1 ")
        out.append(decimal: status)
        out.append(0x20)
        if reason.isEmpty { out.append(Reason.phrase(status)) } else { out.append(reason) }
        out.append("\r\n")
    }

    private func writeHeaders(to out: Buffer) {
        response.headers.write(to: out, except: Forwarding.responseHop)
        addedHeaders.write(to: out)
    }

    private func writeResponseFraming(to out: Buffer) {
        switch response.framing {
        case .none:
            // The length of what HEAD or 304 stands for; a zero length otherwise.
            if request.method != .head, isHeadUpstream, response.status != 204, response.status != 304 {
                out.append("Content-Length: 0\r\n")
            } else if response.status != 204, let length = response.headers.first(.contentLength) {
                out.append("Content-Length: ")
                out.append(length)
                out.append("\r\n")
            }
        case .length(let n):
            out.append("Content-Length: ")
            out.append(decimal: n)
            out.append("\r\n")
        case .chunked, .untilClose:
            if request.minorVersion == 1 {
                sendsChunked = true
                out.append("Transfer-Encoding: chunked\r\n")
            } else {
                keepsClient = false
            }
        }
        out.append(keepsClient ? "Connection: keep-alive\r\n" : "Connection: close\r\n")
    }

    /// Via, latencies and the request id, by header style.
    private func writeOwnHeaders(to out: Buffer) {
        // A response without one gets it from the first recipient with a clock (RFC 9110 section 6.6.1).
        if !response.headers.contains(.date) { worker.writeDate(to: out) }
        writeVia(response.headers, to: out)
        guard running.settings.headerStyle != .off else { return }
        let upstreamMilliseconds = Int((headReceivedAt - forwardedAt) / 1_000_000)
        let ownMilliseconds = Int((forwardedAt - startedAt) / 1_000_000)
        let isKong = running.settings.headerStyle == .kong
        out.append(isKong ? "X-Kong-Upstream-Latency: " : "X-Seaway-Upstream-Latency: ")
        out.append(decimal: upstreamMilliseconds)
        out.append(isKong ? "\r\nX-Kong-Proxy-Latency: " : "\r\nX-Seaway-Proxy-Latency: ")
        out.append(decimal: ownMilliseconds)
        out.append(isKong ? "\r\nX-Kong-Request-Id: " : "\r\nX-Request-ID: ")
        out.append(requestID.readable)
        out.append("\r\n")
    }

    // MARK: The body

    private var responseIsDone: Bool { response.framing == .none || responseEnded }

    /// Appends what the upstream's buffer holds of the body, framed for the client.
    private func appendBody(_ upstream: UpstreamConnection, to out: Buffer) {
        guard let input = upstream.bodyBuffer else { return }
        switch response.framing {
        case .none: break
        case .length:
            let n = min(responseBodyLeft, input.count)
            out.append(input.readable.prefix(n))
            input.consume(n)
            responseBodyLeft -= n
            if responseBodyLeft == 0 { responseEnded = true }
        case .untilClose:
            guard !input.isEmpty else { return }
            if sendsChunked { ChunkWriter.write(input.readable, to: out) } else { out.append(input.readable) }
            input.consume(input.count)
        case .chunked: appendChunks(input, to: out)
        }
    }

    private func appendChunks(_ input: Buffer, to out: Buffer) {
        while true {
            switch responseDecoder.next(input, trailers: responseTrailers) {
            case .incomplete: return
            case .failed:
                bodyFailed = true
                return
            case .data(let n):
                if sendsChunked {
                    ChunkWriter.write(input.readable.prefix(n), to: out)
                } else {
                    out.append(input.readable.prefix(n))
                }
                input.consume(n)
            case .end:
                responseEnded = true
                if sendsChunked {
                    ChunkWriter.end(
                        responseTrailers, announcedIn: response.headers, allowed: request.acceptsTrailers, to: out)
                }
                return
            }
        }
    }

    /// Moves the body until the upstream has none, or the client takes none.
    func pumpResponse() {
        guard let upstream, let client else { return }
        if responseBody != nil { return collectResponse(upstream) }
        let limit = running.facts[route].responseBuffering ? running.settings.bodyBuffer : Buffer.standardCapacity
        var budget = 32
        while !responseIsDone {
            if client.pendingOutput >= limit { return pauseUpstream(upstream, client) }
            budget -= 1
            guard upstream.mayRead, budget > 0 else {
                worker.loop.setDeadline(
                    upstream, worker.loop.now + Int64(running.snapshot.services[service].readTimeout))
                if upstream.mayRead { worker.loop.callAgain(upstream) }
                return
            }
            switch moveBody(upstream, client) {
            case .bytes, .wouldBlock: continue
            case .ended: return upstreamEnded(upstream, client)
            case .failed: return breakOff()
            }
        }
        responseMayBeDone()
    }

    /// One read of the upstream and one write to the client.
    private func moveBody(_ upstream: UpstreamConnection, _ client: ClientConnection) -> ReadResult {
        let source: Buffer
        let result: ReadResult
        if case .chunked = response.framing {
            result = upstream.receiveBody()
            guard case .bytes = result, let input = upstream.bodyBuffer else { return result }
            let out = worker.output
            out.clear()
            appendChunks(input, to: out)
            if bodyFailed { return .failed }
            return deliver(out.readable, client) ? result : .failed
        }
        source = worker.scratch
        source.clear()
        // Never past this body: what follows it is not ours to throw away unseen.
        result = upstream.receive(into: source, limit: source.free)
        guard case .bytes(let n) = result else { return result }
        if case .length = response.framing {
            let take = min(n, responseBodyLeft)
            responseBodyLeft -= take
            if responseBodyLeft == 0 {
                responseEnded = true
                if n > take { upstreamSentExtra = true }
            }
            return deliver(source.readable.prefix(take), client) ? result : .failed
        }
        if sendsChunked {
            let out = worker.output
            out.clear()
            ChunkWriter.write(source.readable, to: out)
            return deliver(out.readable, client) ? result : .failed
        }
        return deliver(source.readable, client) ? result : .failed
    }

    private func deliver(_ bytes: Bytes, _ client: ClientConnection) -> Bool {
        guard bytes.count > 0 else { return true }
        responseBytes += bytes.count
        responseBodyBytes += bytes.count
        return client.send(bytes)
    }

    /// The client is behind: the upstream waits, and the client has a deadline.
    private func pauseUpstream(_ upstream: UpstreamConnection, _ client: ClientConnection) {
        worker.loop.setDeadline(upstream, .max)
        worker.loop.setDeadline(client, worker.loop.now + Int64(running.settings.bodyTimeout))
    }

    /// The upstream's end: the body's end if that is how it was framed, else a broken response.
    private func upstreamEnded(_ upstream: UpstreamConnection, _ client: ClientConnection) {
        guard response.framing == .untilClose else { return breakOff() }
        responseEnded = true
        if sendsChunked { _ = deliver(Bytes("0\r\n\r\n"), client) }
        responseMayBeDone()
    }

    /// The client has part of a response that will not be completed: it must be able to tell.
    private func breakOff() { client?.abort() }

    /// Both directions must be done before the exchange is.
    func responseMayBeDone() {
        guard stage == .responding, responseIsDone else { return }
        let isClean = upstream?.bodyBuffer?.isEmpty ?? true
        conclude(
            aborted: false,
            upstreamReusable: requestBodyDone && isClean && !upstreamSentExtra && response.keepsAlive
                && response.framing != .untilClose)
    }

    // MARK: Collected bodies

    private func collectResponse(_ upstream: UpstreamConnection) {
        guard let body = responseBody else { return }
        while !responseIsDone {
            if upstream.bodyBuffer?.isEmpty == false {
                let wasChunked = sendsChunked
                sendsChunked = false
                appendBody(upstream, to: body)
                sendsChunked = wasChunked
                if bodyFailed { return failCollected() }
                if responseIsDone { break }
            }
            guard body.count <= running.settings.bodyBuffer * 16 else { return failCollected() }
            guard upstream.mayRead else {
                worker.loop.setDeadline(
                    upstream, worker.loop.now + Int64(running.snapshot.services[service].readTimeout))
                return
            }
            switch upstream.receiveBody() {
            case .bytes, .wouldBlock: continue
            case .ended:
                guard response.framing == .untilClose else { return failCollected() }
                responseEnded = true
            case .failed: return failCollected()
            }
        }
        sendCollected(body)
    }

    private func failCollected() { failUpstream(.malformed(.badChunk)) }

    private func sendCollected(_ body: Buffer) {
        guard let client else { return }
        runResponseFilters()
        if let chain {
            for step in chain.steps {
                if let filter = step.instance(for: consumer), filter.needsResponseBody { filter.responseBody(self) }
            }
        }
        let out = worker.output
        out.clear()
        writeStatusLine(response.status, response.reason, to: out)
        writeHeaders(to: out)
        out.append("Content-Length: ")
        out.append(decimal: body.count)
        out.append(keepsClient ? "\r\nConnection: keep-alive\r\n" : "\r\nConnection: close\r\n")
        writeOwnHeaders(to: out)
        out.append("\r\n")
        responseBytes += out.count + body.count
        responseBodyBytes += body.count
        // As for requests: the output buffer stays small.
        let isSmall = body.count <= Buffer.standardCapacity
        if isSmall { out.append(body.readable) }
        guard client.send(out.readable), isSmall || client.send(body.readable) else { return client.abort() }
        responseMayBeDone()
    }
}

/// Reason phrases for statuses that come without one.
enum Reason {
    static func phrase(_ status: Int) -> StaticString {
        switch status {
        case 100: "Continue"
        case 101: "Switching Protocols"
        case 103: "Early Hints"
        case 200: "OK"
        case 201: "Created"
        case 202: "Accepted"
        case 204: "No Content"
        case 206: "Partial Content"
        case 301: "Moved Permanently"
        case 302: "Found"
        case 303: "See Other"
        case 304: "Not Modified"
        case 307: "Temporary Redirect"
        case 308: "Permanent Redirect"
        case 400: "Bad Request"
        case 401: "Unauthorized"
        case 403: "Forbidden"
        case 404: "Not Found"
        case 405: "Method Not Allowed"
        case 408: "Request Timeout"
        case 409: "Conflict"
        case 411: "Length Required"
        case 412: "Precondition Failed"
        case 413: "Payload Too Large"
        case 414: "URI Too Long"
        case 415: "Unsupported Media Type"
        case 417: "Expectation Failed"
        case 421: "Misdirected Request"
        case 426: "Upgrade Required"
        case 429: "Too Many Requests"
        case 431: "Request Header Fields Too Large"
        case 500: "Internal Server Error"
        case 501: "Not Implemented"
        case 502: "Bad Gateway"
        case 503: "Service Unavailable"
        case 504: "Gateway Timeout"
        case 505: "HTTP Version Not Supported"
        default: "Status"
        }
    }
}
