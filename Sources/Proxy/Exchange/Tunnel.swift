// After a switch of protocols: bytes pass in both directions untouched, until one side ends.

import Bytes
import Engine
import Snapshot

/// Joins a client's side and an upstream's side whose exchange is over. Neither connection is used
/// for anything else afterwards.
final class Tunnel {
    private let worker: Worker
    private var client: (any ClientSide)?
    private var upstream: (any UpstreamSide)?
    private var clientEnded = false
    /// Milliseconds without a byte in either direction that end it.
    private let idle: Int64
    /// Bytes that may wait in each direction.
    private let limit: Int

    /// Bytes are not moved before `start`: whoever makes it has its own things to end first.
    init(worker: Worker, client: any ClientSide, upstream: any UpstreamSide, idle: Int) {
        self.worker = worker
        self.client = client
        self.upstream = upstream
        self.idle = Int64(idle)
        limit = worker.running.settings.bodyBuffer
        client.begin(self)
        upstream.begin(self)
    }

    func start() {
        touch()
        upstream?.setDeadline(.max)
        toUpstream()
        toClient()
    }

    private func touch() { client?.setDeadline(worker.loop.now + idle) }

    // MARK: What the sides tell

    func clientReadable() { toUpstream() }
    func upstreamWritable() { toUpstream() }
    func upstreamReadable() { toClient() }
    func clientWritable() { toClient() }
    func timedOut() { end(client) }

    func clientGone() {
        client = nil
        let upstream = upstream
        self.upstream = nil
        upstream?.close()
    }

    func upstreamGone() {
        upstream = nil
        end(client)
    }

    /// Breaks both sides off.
    private func end(_ side: (any ClientSide)?) {
        client = nil
        side?.abort()
        clientGone()
    }

    // MARK: Moving bytes

    private func toUpstream() {
        var budget = ClientConnection.readsPerTurn
        while !clientEnded, let client, let upstream {
            budget -= 1
            if budget == 0 { return client.callAgain() }
            switch client.readBody(upstream.room(limit)) {
            case .data(let bytes, let last):
                touch()
                guard upstream.sendBody(bytes, last: last) else { return end(client) }
                clientEnded = last
            case .end:
                clientEnded = true
                // The upstream may still speak.
                guard upstream.sendBody(.empty, last: true) else { return end(client) }
            case .wait: return
            case .malformed, .broken: return end(client)
            }
        }
    }

    private func toClient() {
        var budget = ClientConnection.readsPerTurn
        while let client, let upstream {
            budget -= 1
            if budget == 0 { return upstream.callAgain() }
            switch upstream.readBody(client.room(limit)) {
            case .data(let bytes, let last):
                touch()
                guard client.sendBody(bytes, last: last) else { return end(client) }
                if last { return upstreamEnded() }
            case .end:
                guard client.sendBody(.empty, last: true) else { return end(client) }
                return upstreamEnded()
            case .wait: return
            case .malformed, .broken: return end(client)
            }
        }
    }

    private func upstreamEnded() {
        let client = client
        let upstream = upstream
        self.client = nil
        self.upstream = nil
        upstream?.close()
        client?.exchangeFinished(keep: false, linger: false)
    }
}
