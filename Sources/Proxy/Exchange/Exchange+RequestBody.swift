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
        case .idle: break
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
        guard let client, let upstream, sentToUpstream, upstream.takesBody else { return }
        var budget = ClientConnection.readsPerTurn
        while !requestBodyDone {
            let room = upstream.room(Buffer.standardCapacity)
            if room == 0 {
                let timeout = running.snapshot.services[service].writeTimeout
                upstream.setDeadline(worker.loop.now + Int64(timeout))
                client.setDeadline(.max)
                return
            }
            budget -= 1
            if budget == 0 {
                awaitClient(client, upstream)
                return client.callAgain()
            }
            switch client.readBody(room) {
            case .data(let bytes, let last):
                guard passes(bytes.count) else { return failBody(.bodyTooLarge) }
                keep(bytes)
                requestBodyDone = last
                guard upstream.sendBody(bytes, last: last) else { return upstream.writeFailed() }
            case .end:
                requestBodyDone = true
                guard upstream.endBody(self) else { return upstream.writeFailed() }
            case .wait: return awaitClient(client, upstream)
            case .malformed: return failBody(.badChunk)
            case .broken: return client.abort()
            }
            guard self.upstream === upstream else { return }
        }
        client.setDeadline(.max)
        if stage == .forwarding { awaitResponse(upstream) } else { responseMayBeDone() }
    }

    /// Keeps the beginning of a streamed body until the upstream has answered.
    private func keep(_ bytes: Bytes) {
        guard stage == .forwarding, isReplayable else { return }
        let kept = replay ?? worker.buffers.take()
        replay = kept
        if kept.free >= bytes.count { kept.append(bytes) } else { dropReplay() }
    }

    func dropReplay() {
        isReplayable = false
        guard let kept = replay else { return }
        replay = nil
        worker.buffers.give(kept)
    }

    /// Part of the request's body is sent after its head.
    var streamsBody: Bool { !requestBodyDone || replay != nil }

    private func awaitClient(_ client: any ClientSide, _ upstream: any UpstreamSide) {
        client.setDeadline(worker.loop.now + Int64(running.settings.bodyTimeout))
        upstream.setDeadline(.max)
    }

    /// Counts more of the body; false: it is larger than any may be.
    private func passes(_ count: Int) -> Bool {
        requestBytes += count
        let sum = requestBytes - request.wireCount
        let limit = running.settings.requestBodyLimit
        return sum <= bodyLimit && (limit == 0 || sum <= limit)
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
