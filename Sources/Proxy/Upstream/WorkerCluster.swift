// A cluster as one worker sees it: its balancer and its pools of connections.

import Bytes
import Engine
import HTTP
import Snapshot

final class WorkerCluster {
    let id: ID
    let balancer: Balancer
    private var hashKey: HashKey
    private var pools: [PoolKey: UpstreamPool] = [:]
    private var sweepAt = WorkerCluster.sweepMin
    private static let sweepMin = 256
    private let worker: Worker
    /// The pool used last: most clusters have one endpoint or few.
    private var lastPool: (serial: UInt32, service: Int, running: ObjectIdentifier, pool: UpstreamPool)?

    init(_ cluster: Cluster, list: EndpointList, worker: Worker, board: HealthBoard) {
        id = cluster.id
        self.worker = worker
        hashKey = HashKey(cluster)
        balancer = Balancer(
            cluster: cluster, list: list, board: board, worker: worker.index, now: worker.loop.nowNanoseconds)
    }

    func update(_ cluster: Cluster, list: EndpointList) {
        hashKey = HashKey(cluster)
        balancer.update(cluster: cluster, list: list, now: worker.loop.nowNanoseconds)
        dropUnusedPools()
    }

    func update(list: EndpointList) {
        balancer.update(list: list, now: worker.loop.nowNanoseconds)
        dropUnusedPools()
    }

    private func dropUnusedPools() {
        lastPool = nil
        let addresses = Set(balancer.list.endpoints.map { SocketAddress($0.address, port: $0.port) })
        for (key, pool) in pools where !addresses.contains(key.address) {
            pool.drop()
            pools[key] = nil
        }
    }

    func hash(of exchange: Exchange) -> UInt32? {
        guard hashKey.isOn else { return nil }
        let cookie = Buffer(capacity: 128)
        let hash = hashKey.hash(exchange, newCookie: cookie)
        if !cookie.isEmpty { exchange.addedHeaders.add(.setCookie, cookie.readable) }
        return hash
    }

    /// The hash for a stream session: of all that a cluster may hash, it has an address alone.
    func hash(of client: IPAddress) -> UInt32? {
        guard hashKey.isOn else { return nil }
        return hashKey.hash(AddressInput(clientAddress: client), newCookie: Buffer(capacity: 64))
    }

    func pool(for exchange: Exchange, _ pick: Balancer.Pick) -> UpstreamPool {
        let running = ObjectIdentifier(exchange.running)
        if let last = lastPool, last.serial == pick.serial, last.service == exchange.service, last.running == running {
            return last.pool
        }
        let profile = exchange.running.serviceProfiles[exchange.service]
        let address = SocketAddress(pick.address, port: pick.port)
        let name = profile >= 0 ? exchange.upstreamServerName : ""
        let policy = profile >= 0 ? exchange.running.profiles[profile] : nil
        let isHTTP2 = exchange.running.snapshot.services[exchange.service].http2
        let key = PoolKey(
            address: address, policy: policy.map { ObjectIdentifier($0) }, serverName: name, isHTTP2: isHTTP2)
        let pool: UpstreamPool
        if let known = pools[key] {
            pool = known
        } else {
            if pools.count >= sweepAt { sweep() }
            pool = UpstreamPool(worker: worker, address: address, tls: policy, serverName: name, isHTTP2: isHTTP2)
            pools[key] = pool
        }
        if profile < 0 { lastPool = (pick.serial, exchange.service, running, pool) }
        return pool
    }

    /// Where the client's Host is kept, clients name the pools: those without a connection go.
    private func sweep() {
        for (key, pool) in pools where pool.isUnused { pools[key] = nil }
        sweepAt = max(Self.sweepMin, pools.count * 2)
    }

    /// Pools of TLS policies that no snapshot has any more.
    func dropStalePolicies(_ current: Set<ObjectIdentifier>) {
        lastPool = nil
        for (key, pool) in pools {
            guard let policy = key.policy, !current.contains(policy) else { continue }
            pool.drop()
            pools[key] = nil
        }
    }

    func dropAll() {
        lastPool = nil
        for pool in pools.values { pool.drop() }
        pools = [:]
    }
}

/// What a stream session lends for hashing.
private struct AddressInput: HashInputs {
    let clientAddress: IPAddress

    func withConsumer(_ body: (Bytes) -> Void) {}
    func withHeader(_ name: Bytes, _ body: (Bytes) -> Void) {}
    func withCookie(_ name: Bytes, _ body: (Bytes) -> Void) {}
    var path: Bytes { .empty }
    var queryBytes: Bytes { .empty }
    func withCapture(_ name: Bytes, _ body: (Bytes) -> Void) {}
}

extension Exchange: HashInputs {
    var queryBytes: Bytes { query ?? .empty }

    func withConsumer(_ body: (Bytes) -> Void) {
        if consumer >= 0 {
            running.snapshot.consumers[consumer].id.description.withBytes(body)
        } else if let credential {
            credential.description.withBytes(body)
        }
    }

    func withHeader(_ name: Bytes, _ body: (Bytes) -> Void) {
        var at = 0
        while let index = requestHeaders.index(named: name, from: at) {
            body(requestHeaders.value(index))
            at = index + 1
        }
    }

    func withCookie(_ name: Bytes, _ body: (Bytes) -> Void) {
        var at = 0
        while let index = requestHeaders.index(of: .cookie, from: at) {
            at = index + 1
            let value = requestHeaders.value(index)
            var start = 0
            while start <= value.count {
                let end = value.firstIndex(of: 0x3B, from: start) ?? value.count
                let pair = value[start..<end].trimmed()
                start = end + 1
                if let equals = pair.firstIndex(of: 0x3D), pair.prefix(equals) == name {
                    return body(pair.dropFirst(equals + 1))
                }
            }
        }
    }

    func withCapture(_ name: Bytes, _ body: (Bytes) -> Void) {
        if let number = name.decimal() {
            if let text = match.capture(number) { body(text) }
        } else if let text = running.table.capture(named: name, of: match) {
            body(text)
        }
    }

    /// The name that TLS towards the upstream asks for: the Host that is sent, without its port.
    var upstreamServerName: String {
        if !upstreamHost.isEmpty { return HostSyntax.name(upstreamHost.readable).string }
        if running.facts[route].preserveHost, !request.host.isEmpty {
            return HostSyntax.name(request.host).string
        }
        guard let cluster, let pick, let endpoint = cluster.balancer.endpoint(of: pick) else { return "" }
        return endpoint.host.withBytes { HostSyntax.name($0).string }
    }
}
