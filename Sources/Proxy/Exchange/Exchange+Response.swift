// Step 5: the upstream's response to the client, no faster than the client takes it.

import Bytes
import Engine
import HTTP
import Snapshot
import Telemetry

extension Exchange {
    private static let interimLimit = 8

    /// The method that the upstream got has no response body.
    var isHeadUpstream: Bool { request.method == .head || upstreamMethod.readable == "HEAD" }

    /// The upstream has bytes, or has ended.
    func upstreamReadable() {
        switch stage {
        case .forwarding: readResponseHead()
        case .responding: pumpResponse()
        case .idle, .collecting: break
        }
    }

    /// The client took what waited.
    func clientWritable() {
        guard stage == .responding else { return }
        if let client { client.setDeadline(requestBodyDone ? .max : client.deadline) }
        pumpResponse()
    }

    // MARK: The head

    private func readResponseHead() {
        while stage == .forwarding, let upstream {
            switch upstream.readHead(self) {
            case .wait: return
            case .interim: guard interim(upstream) else { return }
            case .final:
                // Over HTTP/2 a 2xx is the agreement (RFC 8441 section 5): one without a switch would be taken for it.
                if request.wantsWebSocket, request.httpVersion == 2, response.status < 300 {
                    return failUpstream(.malformed(.unexpectedUpgrade))
                }
                return headReceived(upstream)
            case .switched: return switched(upstream)
            case .failed(let failure): return failUpstream(failure)
            }
        }
    }

    /// A 1xx response. True to go on reading heads.
    private func interim(_ upstream: any UpstreamSide) -> Bool {
        interimCount += 1
        guard interimCount <= Self.interimLimit else {
            failUpstream(.malformed(.tooManyInterim))
            return false
        }
        if let client, response.status != 100 || request.expectsContinue && !sentContinue {
            if response.status == 100 { sentContinue = true }
            guard client.sendInterim(self) else {
                client.abort()
                return false
            }
        }
        return true
    }

    var latency: Double { Double(headReceivedAt - attemptStartedAt) / 1e9 }

    private func headReceived(_ upstream: any UpstreamSide) {
        headReceivedAt = worker.loop.nowNanoseconds
        record.upstreamStatus = response.status
        finishAttempt(.status(response.status), latency: latency)
        stage = .responding
        dropReplay()
        dropNamedResponseFields()
        if !requestBodyDone || worker.isDraining { keepsClient = false }
        if response.framing == .untilClose, request.minorVersion == 0 { keepsClient = false }
        if let chain, chain.needsResponseBody, response.framing != .none {
            responseBody = worker.buffers.take()
            return pumpResponse()
        }
        runResponseFilters()
        sendResponseHead()
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

    /// The head; it leaves with as much of the body as is there.
    private func sendResponseHead() {
        guard let client else { return }
        let fields = client.beginHead(response.status, response.reason)
        writeHeaders(fields)
        client.writeFraming(responseFraming(fields), self)
        writeOwnHeaders(fields)
        let ends = response.framing == .none
        client.endHead(ends: ends)
        if ends {
            responseEnded = true
            guard client.flush(self) else { return client.abort() }
            return responseMayBeDone()
        }
        pumpResponse()
    }

    private func writeHeaders(_ fields: FieldWriter) {
        fields.block(response.headers, except: Forwarding.responseHop)
        fields.block(addedHeaders)
    }

    /// What is said of the length. Without a body, it is that of what HEAD or 304 stands for, as the
    /// upstream said it.
    private func responseFraming(_ fields: FieldWriter) -> BodyFraming {
        guard response.framing == .none else { return response.framing }
        let isBodiless = response.status == 204 || response.status == 304
        if request.method != .head, isHeadUpstream, !isBodiless { return .length(0) }
        if response.status != 204, let length = response.headers.first(.contentLength) {
            fields.field(.contentLength, length)
            return .none
        }
        return isBodiless || isHeadUpstream || isGRPC ? .none : .length(0)
    }

    /// Via, latencies and the request id, by header style.
    private func writeOwnHeaders(_ fields: FieldWriter) {
        // A response without one gets it from the first recipient with a clock (RFC 9110 section 6.6.1).
        if !response.headers.contains(.date) { fields.field(.date, worker.date) }
        writeVia(response.headers, version: response.httpVersion, fields)
        guard running.settings.headerStyle != .off else { return }
        let upstreamMilliseconds = Int((headReceivedAt - forwardedAt) / 1_000_000)
        let ownMilliseconds = Int((forwardedAt - startedAt) / 1_000_000)
        if running.settings.headerStyle == .kong {
            fields.field("X-Kong-Upstream-Latency", decimal: upstreamMilliseconds)
            fields.field("X-Kong-Proxy-Latency", decimal: ownMilliseconds)
            fields.field("X-Kong-Request-Id", requestID.readable)
        } else {
            fields.field("X-Seaway-Upstream-Latency", decimal: upstreamMilliseconds)
            fields.field("X-Seaway-Proxy-Latency", decimal: ownMilliseconds)
            fields.field(.xRequestID, requestID.readable)
        }
    }

    // MARK: The body

    /// Moves the body until the upstream has none, or the client takes none.
    func pumpResponse() {
        guard let upstream, let client else { return }
        if responseBody != nil { return collectResponse(upstream) }
        let limit = running.facts[route].responseBuffering ? running.settings.bodyBuffer : Buffer.standardCapacity
        var budget = 32
        while !responseEnded {
            let room = client.room(limit)
            if room == 0 {
                guard client.flush(self) else { return client.abort() }
                return pauseUpstream(upstream, client)
            }
            budget -= 1
            let piece = budget > 0 ? upstream.readBody(room) : .wait
            switch piece {
            case .data(let bytes, let last):
                responseEnded = last
                guard client.sendBody(bytes, last: last) else { return client.abort() }
            case .end:
                responseEnded = true
                guard client.endBody(self) else { return client.abort() }
            case .wait:
                guard client.flush(self) else { return client.abort() }
                upstream.setDeadline(worker.loop.now + Int64(running.snapshot.services[service].readTimeout))
                if budget == 0 { upstream.callAgain() }
                return
            case .malformed, .broken:
                // The client has part of a response that will not be completed: it must be able to tell.
                guard client.flush(self) else { return client.abort() }
                return failUpstream(.malformed(.badChunk))
            }
        }
        guard client.flush(self) else { return client.abort() }
        responseMayBeDone()
    }

    /// The client is behind: the upstream waits, and the client has a deadline.
    private func pauseUpstream(_ upstream: any UpstreamSide, _ client: any ClientSide) {
        upstream.setDeadline(.max)
        client.setDeadline(worker.loop.now + Int64(running.settings.bodyTimeout))
    }

    /// Both directions must be done before the exchange is.
    func responseMayBeDone() {
        guard stage == .responding, responseEnded else { return }
        conclude(
            aborted: false,
            upstreamReusable: requestBodyDone && response.keepsAlive && response.framing != .untilClose)
    }

    // MARK: Collected bodies

    private func collectResponse(_ upstream: any UpstreamSide) {
        guard let body = responseBody else { return }
        while !responseEnded {
            guard body.count <= running.settings.bodyBuffer * 16 else { return failCollected() }
            switch upstream.readBody(worker.scratch.capacity) {
            case .data(let bytes, let last):
                body.append(bytes)
                responseEnded = last
            case .end: responseEnded = true
            case .wait:
                upstream.setDeadline(worker.loop.now + Int64(running.snapshot.services[service].readTimeout))
                return
            case .malformed, .broken: return failCollected()
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
        let fields = client.beginHead(response.status, response.reason)
        writeHeaders(fields)
        client.writeFraming(.length(body.count), self)
        writeOwnHeaders(fields)
        client.endHead(ends: body.isEmpty)
        guard client.sendBody(body.readable, last: true), client.flush(self) else { return client.abort() }
        responseMayBeDone()
    }
}

// MARK: WebSockets

extension Exchange {
    /// The upstream agreed to speak something else: the exchange ends, a tunnel begins.
    private func switched(_ upstream: any UpstreamSide) {
        guard request.wantsWebSocket, requestBodyDone else { return failUpstream(.malformed(.unexpectedUpgrade)) }
        guard let client else { return }
        headReceivedAt = worker.loop.nowNanoseconds
        record.upstreamStatus = response.status
        dropNamedResponseFields()
        // It proves something about a key that an HTTP/2 client did not send.
        if request.httpVersion == 2 { response.headers.removeAll(WebSocketKey.acceptName) }
        runResponseFilters()
        finishAttempt(.status(101), latency: latency)
        let fields = client.beginHead(101, response.reason)
        writeHeaders(fields)
        client.writeUpgrade(self)
        writeOwnHeaders(fields)
        client.endHead(ends: false)
        guard client.flush(self) else { return client.abort() }
        stage = .responding
        let idle = running.snapshot.services[service].readTimeout
        self.upstream = nil
        self.client = nil
        let tunnel = Tunnel(worker: worker, client: client, upstream: upstream, idle: idle)
        conclude(aborted: false)
        tunnel.start()
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
