// Step 6: our own replies, counters, the log line, and what becomes of the connection.

import Bytes
import Engine
import HTTP
import Snapshot
import Telemetry

extension Exchange {
    /// Sends the reply that was set with `setReply` and its kin.
    func sendReply() {
        guard let client else { return }
        isLocalReply = true
        stage = .responding
        settleRequestBody()
        if worker.isDraining { keepsClient = false }
        let isGRPC = isGRPC
        if isGRPC { ErrorBody.completeGRPC(self) }
        runResponseFilters()
        let isBodiless = replyStatus == 204 || replyStatus == 304
        // What gRPC makes of an error stands in grpc-status; the HTTP status of an answer is 200.
        let fields = client.beginHead(isGRPC ? 200 : replyStatus, .empty)
        fields.block(replyHeaders)
        fields.block(addedHeaders)
        client.writeFraming(isBodiless || isGRPC ? .none : .length(replyBody.count), self)
        writeReplyHeaders(fields)
        let ends = replyBody.isEmpty || isBodiless || request.method == .head
        client.endHead(ends: ends)
        guard ends || client.sendBody(replyBody.readable, last: true), client.flush(self) else { return client.abort() }
        conclude(aborted: false)
    }

    private func writeReplyHeaders(_ fields: FieldWriter) {
        if !replyHeaders.contains(.date) { fields.field(.date, worker.date) }
        let milliseconds = Int((worker.loop.nowNanoseconds - startedAt) / 1_000_000)
        switch running.settings.headerStyle {
        case .kong:
            fields.field(.server, Product.kongServer)
            fields.field("X-Kong-Response-Latency", decimal: milliseconds)
            fields.field("X-Kong-Request-Id", requestID.readable)
        case .seaway:
            fields.field(.server, Product.server)
            fields.field("X-Seaway-Response-Latency", decimal: milliseconds)
            fields.field(.xRequestID, requestID.readable)
        case .off: return
        }
    }

    /// A body that nobody will read: skipped if it is here already, else it costs the connection.
    private func settleRequestBody() {
        guard !requestBodyDone else { return }
        if !request.expectsContinue, client?.skipBody() == true {
            requestBodyDone = true
            return
        }
        keepsClient = false
    }

    /// The exchange is over: count it, log it, free it, and let the connection go on.
    func conclude(aborted: Bool, upstreamReusable: Bool = false) {
        // Given back twice, it would serve two requests at once.
        guard !isOver else { return }
        isOver = true
        disarmCallDeadline()
        finishAttempt(.none)
        // Before the upstream is let go: the log line reads the response from its buffer.
        account(aborted: aborted)
        if let upstream {
            self.upstream = nil
            upstream.release(reusable: upstreamReusable)
        }
        let client = client
        self.client = nil
        let keep = keepsClient && requestBodyDone
        let linger = !requestBodyDone || isLocalReply
        stage = .idle
        dropReplay()
        if let requestBody { worker.buffers.give(requestBody) }
        if let responseBody { worker.buffers.give(responseBody) }
        requestBody = nil
        responseBody = nil
        worker.giveExchange(self)
        if !aborted { client?.exchangeFinished(keep: keep, linger: linger) }
    }
}

// MARK: Counters and the log line

extension Exchange {
    private func account(aborted: Bool) {
        let now = worker.loop.nowNanoseconds
        let metrics = worker.metrics
        // The client left before its head was complete: that was no request.
        guard peer != nil else { return metrics.count(.reading, -1) }
        metrics.count(.requests)
        metrics.count(.writing, -1)
        let status = isLocalReply ? replyStatus : response.status
        metrics.finished(status: status, microseconds: Int((now - startedAt) / 1000))
        if let chain, let families = chain.families(consumer) {
            var sample = RequestSample()
            // A client that left before its answer: nginx's 499, as Kong counts it.
            sample.status = aborted && status == 0 ? 499 : status
            sample.isFromService = !isLocalReply && status != 0
            sample.requestBytes = requestBytes
            sample.responseBytes = responseBytes
            let total = now - startedAt
            let upstream = headReceivedAt > 0 ? headReceivedAt - forwardedAt : -1
            sample.requestMicroseconds = Int(total / 1000)
            sample.upstreamMicroseconds = upstream >= 0 ? Int(upstream / 1000) : -1
            sample.kongMicroseconds = Int((forwardedAt > 0 ? forwardedAt - startedAt : total) / 1000)
            let slot = route >= 0 ? worker.slot(of: route, in: running) : worker.unroutedSlot
            if families.contains(.perConsumer), consumer >= 0 {
                running.consumerNames[consumer].withBytes { metrics.record(slot, families, sample, consumer: $0) }
            } else {
                metrics.record(slot, families, sample)
            }
        }
        if let lane = worker.lane { log(lane, now, aborted && status == 0 ? 499 : status) }
    }

    private func log(_ lane: AccessLog.Lane, _ now: Int64, _ status: Int) {
        guard let peer = peer else { return }
        record.startedAt = startedWall / 1_000_000
        record.method = request.methodBytes
        record.uri = request.target
        record.version = request.httpVersion == 2 ? 20 : request.minorVersion == 1 ? 11 : 10
        record.host = HostSyntax.name(request.host)
        record.isTLS = isClientTLS
        record.localPort = localPort
        record.client = clientAddress
        record.clientPort = peer.port
        record.status = status
        record.requestBytes = requestBytes
        record.responseBytes = responseBytes
        record.responseBodyBytes = responseBodyBytes
        record.upstreamURI = forwardedAt > 0 ? upstreamURI.readable : .empty
        record.isFromUpstream = !isLocalReply
        record.kongLatency = Int((forwardedAt > 0 ? forwardedAt - startedAt : now - startedAt) / 1_000_000)
        record.proxyLatency = headReceivedAt > 0 ? Int((headReceivedAt - forwardedAt) / 1_000_000) : -1
        record.receiveLatency = headReceivedAt > 0 ? Int((now - headReceivedAt) / 1_000_000) : -1
        record.requestLatency = Int((now - startedAt) / 1_000_000)
        record.requestID = requestID.readable
        credentialName.withBytes { user in
            record.user = user
            if lane.wantsEntities {
                logWithEntities(lane, status)
            } else {
                write(to: lane, status)
            }
            record.user = .empty
        }
    }

    private func write(to lane: AccessLog.Lane, _ status: Int) {
        lane.write(record, request: request.headers, response: status == 499 ? nil : responseHeaders)
    }

    /// The views that the record borrows end with this call.
    private func logWithEntities(_ lane: AccessLog.Lane, _ status: Int) {
        let fragments = worker.fragments(running)
        let route = route >= 0 ? fragments.route(route) : []
        let service = service >= 0 ? fragments.service(service) : []
        let consumer = consumer >= 0 ? fragments.consumer(consumer) : []
        let entity = credential.map { Array($0.description.utf8) } ?? []
        route.withBytes { route in
            service.withBytes { service in
                consumer.withBytes { consumer in
                    entity.withBytes { entity in
                        record.route = route
                        record.service = service
                        record.consumer = consumer
                        record.credentialID = entity
                        write(to: lane, status)
                    }
                }
            }
        }
        record.route = .empty
        record.service = .empty
        record.consumer = .empty
        record.credentialID = .empty
    }

    /// A new attempt, for the log.
    func noteTry(_ pick: Balancer.Pick) {
        if attempts > 1 { worker.metrics.count(.retries) }
        var attempt = UpstreamTry()
        attempt.address = pick.address
        attempt.port = pick.port
        attempt.balancerStart = worker.loop.wallNanoseconds
        record.add(attempt)
    }
}
