// What a stream session keeps of its route: a session may last for days, and must not hold a whole
// configuration for so long.

import Bytes
import Engine
import Snapshot
import Telemetry

/// A route and its service, as far as a session needs them.
struct StreamTarget {
    let route: ID
    let cluster: WorkerCluster
    /// Extra attempts after the first.
    let retries: Int
    /// Milliseconds.
    let connectTimeout: Int64
    /// Milliseconds without a byte, and with bytes that a peer does not take.
    let readTimeout: Int64
    let writeTimeout: Int64
    let proxyProtocol: ProxyProtocolVersion
    /// How TLS is done to the upstream; nil: it gets the bytes as they are.
    let policy: TLSClient?
    /// The upstream is asked for the name that the client asked for.
    let keepsServerName: Bool
    let chain: RunningChain?
    let families: MetricFamilies
    let slot: WorkerMetrics.Slot?
    /// JSON for the log; empty where nothing is logged as JSON.
    let routeText: [UInt8]
    let serviceText: [UInt8]

    /// Nil when the route leads to no service.
    init?(_ route: Int, of running: RunningSnapshot, on worker: Worker) {
        let service = Int(running.facts[route].service)
        guard service >= 0 else { return nil }
        let snapshot = running.snapshot
        self.route = snapshot.routes[route].id
        cluster = worker.cluster(running, snapshot.services[service].cluster)
        retries = min(max(0, snapshot.services[service].retries), Self.retriesMax)
        connectTimeout = Int64(snapshot.services[service].connectTimeout)
        readTimeout = Int64(snapshot.services[service].readTimeout)
        writeTimeout = Int64(snapshot.services[service].writeTimeout)
        proxyProtocol = snapshot.services[service].proxyProtocol
        let profile = running.streamProfiles.byService[service]
        policy = profile >= 0 ? running.streamProfiles.profiles[profile] : nil
        keepsServerName = running.facts[route].preserveHost
        let chain = Int(running.facts[route].chain)
        self.chain = chain >= 0 ? running.chains[chain] : nil
        families = self.chain?.families(-1) ?? []
        slot = families.isEmpty ? nil : worker.slot(of: route, in: running)
        let wantsText = worker.lane?.wantsEntities ?? false
        routeText = wantsText ? worker.fragments(running).route(route) : []
        serviceText = wantsText ? worker.fragments(running).service(service) : []
    }

    private static let retriesMax = 1000
}

/// The attempts of one session at its cluster's endpoints.
struct StreamAttempts {
    private(set) var count = 0
    private(set) var pick: Balancer.Pick?
    private var tried = Tried()
    private var hash: UInt32?
    /// For the log; kept only where there is one.
    private(set) var tries: [UpstreamTry] = []

    /// Chooses the next endpoint; nil when there is none.
    mutating func next(_ target: StreamTarget, client: IPAddress, on worker: Worker) -> Balancer.Pick? {
        if count == 0 { hash = target.cluster.hash(of: client) }
        count += 1
        let choice = target.cluster.balancer.pick(hash: hash, excluding: tried, now: worker.loop.nowNanoseconds)
        guard case .endpoint(let pick) = choice else { return nil }
        self.pick = pick
        tried.insert(pick.serial)
        if count > 1 { worker.metrics.count(.retries) }
        worker.metrics.count(.upstreamOpened)
        note(pick, on: worker)
        return pick
    }

    private mutating func note(_ pick: Balancer.Pick, on worker: Worker) {
        guard worker.lane != nil, tries.count < RequestRecord.triesMax else { return }
        var one = UpstreamTry()
        one.address = pick.address
        one.port = pick.port
        one.balancerStart = worker.loop.wallNanoseconds
        tries.append(one)
    }

    /// The endpoint took the connection, or answered.
    mutating func connected(_ target: StreamTarget, latency: Double, now: Int64) {
        guard var pick else { return }
        target.cluster.balancer.connected(&pick, latency: latency, now: now)
        self.pick = pick
    }

    /// The attempt failed. Whether there may be another.
    mutating func failed(_ target: StreamTarget, _ event: HealthEvent, now: Int64) -> Bool {
        if !tries.isEmpty, tries.count == count {
            tries[count - 1].state = .failed
            tries[count - 1].code = event == .timedOut ? 504 : 502
        }
        finish(target, event, now: now)
        return count <= target.retries && target.cluster.balancer.mayRetry(now: now)
    }

    /// The pick is over.
    mutating func finish(_ target: StreamTarget, _ event: HealthEvent, now: Int64) {
        guard let pick else { return }
        self.pick = nil
        target.cluster.balancer.finished(pick, event: event, latency: nil, now: now)
    }

    /// The name that TLS asks the endpoint for.
    func serverName(_ target: StreamTarget) -> String {
        guard let pick, let endpoint = target.cluster.balancer.endpoint(of: pick) else { return "" }
        return String(decoding: endpoint.host, as: UTF8.self)
    }
}
