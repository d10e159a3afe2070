// Step 3: an endpoint, a connection to it, the upstream head; and what to do when that fails.

import Bytes
import Engine
import HTTP
import Snapshot
import Telemetry

extension Exchange {
    /// Sends the request to an endpoint of the service's cluster.
    func forward() {
        stage = .forwarding
        let cluster = worker.cluster(running, running.snapshot.services[service].cluster)
        self.cluster = cluster
        forwardedAt = worker.loop.nowNanoseconds
        hash = cluster.hash(of: self)
        attempt()
    }

    private func attempt() {
        guard let cluster else { return }
        attempts += 1
        attemptStartedAt = worker.loop.nowNanoseconds
        switch cluster.balancer.pick(hash: hash, excluding: tried, now: attemptStartedAt) {
        case .none(.unresolved): answer(503, "name resolution failed")
        case .none(.unavailable): answer(503, "failure to get a peer from the ring-balancer")
        case .endpoint(let pick):
            self.pick = pick
            tried.insert(pick.serial)
            noteTry(pick)
            connect(cluster.pool(for: self, pick))
        }
    }

    private func connect(_ pool: UpstreamPool) {
        if pool.isHTTP2 { return openStream(pool) }
        if let resting = pool.take() {
            upstream = resting
            wasReused = true
            worker.metrics.count(.upstreamReused)
            resting.reuse(for: self)
            sendHead(resting)
            return
        }
        wasReused = false
        worker.metrics.count(.upstreamOpened)
        let fresh = pool.make()
        upstream = fresh
        let timeout = running.snapshot.services[service].connectTimeout
        guard fresh.connect(for: self, timeout: timeout) else {
            fresh.close()
            return upstreamFailed(.connect)
        }
    }

    /// A stream of a connection that others use too. While that connects, `upstreamConnected` follows.
    private func openStream(_ pool: UpstreamPool) {
        let timeout = running.snapshot.services[service].connectTimeout
        guard let stream = pool.openStream(for: self, timeout: timeout) else { return upstreamFailed(.connect) }
        upstream = stream
        wasReused = stream.isOpen
        worker.metrics.count(wasReused ? .upstreamReused : .upstreamOpened)
        if wasReused { sendHead(stream) }
    }

    /// The connection takes fewer streams than was thought. Nothing was sent: this is no new attempt.
    func upstreamFull(_ pool: UpstreamPool) {
        guard stage == .forwarding else { return }
        upstream = nil
        openStream(pool)
    }

    func upstreamConnected() {
        guard let upstream else { return }
        sendHead(upstream)
    }

    // MARK: The head

    private func sendHead(_ upstream: any UpstreamSide) {
        sentToUpstream = true
        guard upstream.sendRequest(self) else { return upstream.writeFailed() }
        guard stage == .forwarding, self.upstream === upstream else { return }
        if let replay {
            guard upstream.sendBody(replay.readable, last: requestBodyDone && requestTrailers.count == 0),
                !requestBodyDone || requestTrailers.count == 0 || upstream.endBody(self)
            else { return upstream.writeFailed() }
        }
        if requestBodyDone {
            awaitResponse(upstream)
        } else {
            continueClient()
            pumpRequestBody()
        }
        if self.upstream === upstream { upstream.callIfReadable() }
    }

    func awaitResponse(_ upstream: any UpstreamSide) {
        upstream.setDeadline(worker.loop.now + Int64(running.snapshot.services[service].readTimeout))
    }

    /// Every field of the upstream's head but those that say who is asked and where the body ends.
    func writeRequestFields(_ fields: FieldWriter) {
        fields.block(requestHeaders, except: Forwarding.requestHop)
        writeForwardedHeaders(fields)
    }

    /// The authority that is asked: Host, or `:authority`.
    func writeHost(to out: Buffer) {
        if !upstreamHost.isEmpty {
            out.append(upstreamHost.readable)
        } else if running.facts[route].preserveHost, !request.host.isEmpty {
            out.append(request.host)
        } else if let cluster, let pick, let endpoint = cluster.balancer.endpoint(of: pick) {
            out.append(isUpstreamSecure ? endpoint.secureAuthority : endpoint.authority)
        } else {
            out.append(running.snapshot.services[service].host)
        }
    }

    var isUpstreamSecure: Bool { !running.snapshot.services[service].protocol.isDisjoint(with: [.https, .grpcs]) }

    /// The length of the body that goes upstream, where it is known and worth saying. A zero is kept
    /// where the client said it: some origins want it on POST.
    var announcedLength: Int? {
        if let body = requestBody {
            return !body.isEmpty || request.framing != .none || requestBodyChanged ? body.count : nil
        }
        switch request.framing {
        case .length(let n): return n
        case .chunked: return nil
        case .none, .untilClose: return requestHeaders.contains(.contentLength) ? 0 : nil
        }
    }

    // MARK: Failure

    private static let retriesMax = 1000

    func upstreamTimedOut() {
        failUpstream(requestBodyDone ? .readTimeout : .writeTimeout)
    }

    /// Ends this attempt: the connection is of no more use.
    func failUpstream(_ failure: UpstreamFailure) {
        // Past the head there is no other answer to give: the client must see that it was cut off.
        if stage == .responding, responseBody == nil {
            finishAttempt(event(of: failure))
            client?.abort()
            return
        }
        let broken = upstream
        upstream = nil
        broken?.close()
        upstreamFailed(failure)
    }

    /// The attempt failed; the connection is closed already.
    func upstreamFailed(_ failure: UpstreamFailure) {
        upstream = nil
        // Its buffer went with the connection.
        response.clear()
        if stage == .responding, let body = responseBody {
            // Of a collected response the client has seen nothing.
            worker.buffers.give(body)
            responseBody = nil
            worker.metrics.count(.upstreamFailures)
            let status = status(of: failure)
            return answer(status, ErrorBody.defaultMessage(status))
        }
        guard stage == .forwarding else {
            // The client has part of a response: all that is left is to break off, so that it cannot
            // take the part for the whole.
            finishAttempt(event(of: failure))
            client?.abort()
            return
        }
        let status = status(of: failure)
        record.updateLastTry {
            $0.state = .failed
            $0.code = UInt16(status)
        }
        // A kept connection that the peer closed while we chose it says nothing about the endpoint.
        finishAttempt(wasReused && failure.isBrokenConnection ? .none : event(of: failure))
        if mayRetry(failure) { return attempt() }
        worker.metrics.count(.upstreamFailures)
        answerDefault(status)
    }

    /// Only transport failures are tried again, within the service's retries and the cluster's budget;
    /// a method that is not idempotent only if nothing of it was sent, or nothing can have been read.
    private func mayRetry(_ failure: UpstreamFailure) -> Bool {
        // Attempts that fail at once nest: their number is bounded whatever the configuration says.
        guard let cluster, attempts <= min(running.snapshot.services[service].retries, Self.retriesMax) else {
            return false
        }
        // A streamed body is gone once more of it was sent than is kept.
        guard requestBody != nil || request.framing == .none || !sentToUpstream || isReplayable else { return false }
        switch failure {
        case .connect, .connectTimeout: break
        case .malformed: return false
        case .refused: break
        case .write, .writeTimeout, .readTimeout, .closed, .reset:
            guard request.method.isIdempotent, upstreamMethod.isEmpty || Method(upstreamMethod.readable).isIdempotent
            else { return false }
        }
        sentToUpstream = false
        return cluster.balancer.mayRetry(now: worker.loop.nowNanoseconds)
    }

    private func status(of failure: UpstreamFailure) -> Int {
        switch failure {
        case .connectTimeout, .readTimeout, .writeTimeout: 504
        case .connect, .write, .closed, .reset, .refused, .malformed: 502
        }
    }

    private func event(of failure: UpstreamFailure) -> HealthEvent {
        switch failure {
        case .connectTimeout, .readTimeout, .writeTimeout: .timedOut
        case .connect, .write, .closed, .reset, .malformed: .connectionFailed
        // It is alive, and will answer others.
        case .refused: .none
        }
    }

    /// Tells the balancer how the attempt went.
    func finishAttempt(_ event: HealthEvent, latency: Double? = nil) {
        guard let cluster, let pick else { return }
        self.pick = nil
        cluster.balancer.finished(pick, event: event, latency: latency, now: worker.loop.nowNanoseconds)
    }

    /// Lets go of the upstream in the middle of things.
    func dropUpstream() {
        finishAttempt(.none)
        guard let upstream else { return }
        self.upstream = nil
        response.clear()
        upstream.close()
    }
}
