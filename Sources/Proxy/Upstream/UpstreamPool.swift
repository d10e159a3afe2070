// Resting connections to one endpoint, per worker.

import Bytes
import Engine
import Snapshot

/// What connections may be shared by: an address, and how TLS is done to it.
struct PoolKey: Hashable {
    var address: SocketAddress
    /// How TLS is done; nil: plain. The pool holds the policy, so that its identity stays its own.
    var policy: ObjectIdentifier?
    var serverName: String
    var isHTTP2 = false
}

/// Connections to one endpoint. The youngest is used first, so that surplus ones age and close.
final class UpstreamPool {
    let address: SocketAddress
    let tls: TLSClient?
    let serverName: String
    /// Exchanges share connections.
    let isHTTP2: Bool
    var resumption: TLSResumption?
    private let worker: Worker
    private var idle: [UpstreamConnection] = []
    /// HTTP/2 connections that take streams.
    private var shared: [HTTP2UpstreamConnection] = []
    /// Streams that a connection is thought to take before the upstream has said it: what it said last, or
    /// what RFC 9113 section 6.5.2 advises servers to allow at least.
    var streamsExpected = 100
    private(set) var openCount = 0
    /// Nobody will ask this pool again: what comes back to it is closed.
    private(set) var isDropped = false

    init(worker: Worker, address: SocketAddress, tls: TLSClient?, serverName: String, isHTTP2: Bool) {
        self.isHTTP2 = isHTTP2
        self.worker = worker
        self.address = address
        self.tls = tls
        self.serverName = serverName
    }

    /// A connection at rest, ready to send on; nil if there is none.
    func take() -> UpstreamConnection? { idle.popLast() }

    /// A new connection, not connected yet.
    func make() -> UpstreamConnection {
        openCount += 1
        return UpstreamConnection(worker: worker, pool: self)
    }

    /// A stream of a connection with room, the oldest first, so that there are few; else of a new one. Nil
    /// if the socket cannot be made.
    func openStream(for exchange: Exchange, timeout: Int) -> UpstreamStream? {
        for connection in shared where connection.hasRoom {
            if let stream = connection.stream(for: exchange) { return stream }
        }
        openCount += 1
        let fresh = HTTP2UpstreamConnection(worker: worker, pool: self)
        guard fresh.connect(timeout: timeout) else {
            openCount -= 1
            return nil
        }
        if !isDropped { shared.append(fresh) }
        return fresh.stream(for: exchange)
    }

    func forget(_ connection: HTTP2UpstreamConnection) { shared.removeAll { $0 === connection } }

    func give(_ connection: UpstreamConnection) {
        let settings = worker.running.settings
        let isWorn = settings.upstreamKeepAliveRequests > 0 && connection.uses >= settings.upstreamKeepAliveRequests
        guard !isWorn, !isDropped, !worker.isDraining, idle.count < settings.upstreamKeepAlive else {
            return connection.close()
        }
        worker.loop.setDeadline(connection, worker.loop.now + Int64(settings.upstreamIdleTimeout))
        idle.append(connection)
    }

    func forget(_ connection: UpstreamConnection) {
        if let index = idle.lastIndex(where: { $0 === connection }) { idle.remove(at: index) }
    }

    func closed() { openCount -= 1 }

    var isUnused: Bool { openCount == 0 }

    /// Closes what rests here, because the endpoint is gone or the worker ends.
    func drop() {
        isDropped = true
        let all = idle
        idle = []
        for connection in all { connection.close() }
        let busy = shared
        shared = []
        for connection in busy { connection.retire() }
    }
}
