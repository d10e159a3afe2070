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
}

/// Connections to one endpoint. The youngest is used first, so that surplus ones age and close.
final class UpstreamPool {
    let address: SocketAddress
    let tls: TLSClient?
    let serverName: String
    var resumption: TLSResumption?
    private let worker: Worker
    private var idle: [UpstreamConnection] = []
    private(set) var openCount = 0
    /// Nobody will ask this pool again: what comes back to it is closed.
    private var isDropped = false

    init(worker: Worker, address: SocketAddress, tls: TLSClient?, serverName: String) {
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
    }
}
