// Control's side of balancing: from clusters and names to the endpoint lists that workers use.
//
// 1. `adopt` takes a snapshot, watches its names, gives health cells to its endpoints
// 2. the resolver tells `nameChanged`; the lists of the clusters concerned are made anew
// 3. `publish` hands each new list to the workers; the prober gets it too

import Bytes
import CLinux
import Engine
import Snapshot

/// Keeps one `EndpointList` per cluster of the current snapshot. Confined to control's thread.
final class ClusterDirectory {
    /// One cluster's new endpoints; workers whose snapshot has another revision ignore it.
    struct Update: Sendable {
        var revision: UInt64
        /// Index into `Snapshot.clusters`.
        var cluster: Int
        var list: EndpointList
    }

    private let resolver: Resolver
    private let board: HealthBoard
    private let prober: Prober?
    /// Called for each list that changes after `adopt`.
    var publish: (Update) -> Void = { _ in }

    private var revision: UInt64 = 0
    private var clusters: [Cluster] = []
    private var certificates: [Certificate] = []
    private var built: [Built] = []
    private var clustersByName: [String: [Int]] = [:]

    /// A cluster's list and what it was made from: the same inputs give the same list again, so that
    /// a reload costs what it changes.
    private struct Built {
        var inputs: Inputs
        var list: EndpointList
        /// Health cells held for the list.
        var keys: [HealthKey]
    }

    private struct Inputs: Equatable {
        var targets: [Target]
        var answers: [NameAnswer]
        var hostHeader: String
        var useSRVName: Bool
        var isUpstream: Bool
        var hasHealth: Bool
        /// Nil without consistent hashing.
        var ringSlots: Int?
    }

    /// - Parameter prober: runs active health checks; nil where nothing should be probed.
    init(resolver: Resolver, board: HealthBoard, prober: Prober? = nil) {
        self.resolver = resolver
        self.board = board
        self.prober = prober
        resolver.onChange = { [weak self] name in self?.nameChanged(name) }
    }

    /// The lists for a new snapshot, by cluster index, with what is known already: the last answers
    /// of names that the old snapshot had, and their health.
    func adopt(_ snapshot: Snapshot, now: Int64) -> [EndpointList] {
        let oldNames = clustersByName
        var old: [ID: Built] = [:]
        for (cluster, built) in zip(clusters, built) { old[cluster.id] = built }
        let oldClusters = clusters
        revision = snapshot.revision
        clusters = snapshot.clusters
        certificates = snapshot.certificates
        clustersByName = [:]
        for (index, cluster) in clusters.enumerated() {
            for target in cluster.targets {
                let name = target.host.lowercased()
                if clustersByName[name]?.last != index { clustersByName[name, default: []].append(index) }
            }
        }
        // New names before the old ones go, so that those in both keep their answers.
        for name in clustersByName.keys.sorted() { resolver.watch(name) }
        for name in oldNames.keys.sorted() { resolver.unwatch(name) }
        built = clusters.map { cluster in
            let inputs = inputs(cluster)
            if let same = old[cluster.id], same.inputs == inputs {
                old[cluster.id] = nil
                return same
            }
            return make(cluster, inputs, now: now)
        }
        // After the new lists took their cells, so that endpoints in both keep their health.
        for gone in old.values { release(gone, now: now) }
        board.collect(now: now)
        for (cluster, built) in zip(clusters, built) { probe(cluster, built.list) }
        let current = Set(clusters.map(\.id))
        for cluster in oldClusters where !current.contains(cluster.id) { prober?.remove(cluster.id) }
        return lists
    }

    /// The current lists, by cluster index.
    var lists: [EndpointList] { built.map(\.list) }

    /// Whether every name of the snapshot has been answered once, well or badly. A start may wait
    /// for it, for a moment, so that the first requests do not meet unresolved names.
    var isSettled: Bool { resolver.isSettled }

    private func nameChanged(_ name: String) {
        let now = Clock.monotonicNanoseconds()
        for index in clustersByName[name] ?? [] where index < clusters.count {
            let inputs = inputs(clusters[index])
            let old = built[index]
            guard inputs != old.inputs else { continue }
            built[index] = make(clusters[index], inputs, now: now)
            release(old, now: now)
            let list = built[index].list
            // A name that fails for the first time changes nothing for the workers.
            guard !list.endpoints.isEmpty || !old.list.endpoints.isEmpty else { continue }
            publish(Update(revision: revision, cluster: index, list: list))
            probe(clusters[index], list)
        }
    }

    private func probe(_ cluster: Cluster, _ list: EndpointList) {
        guard let prober, cluster.isUpstream else { return }
        let certificate =
            certificates.indices.contains(cluster.clientCertificate) ? certificates[cluster.clientCertificate] : nil
        let identity = certificate.map {
            TLSIdentity(
                chain: $0.chain, key: $0.key, alternativeChain: $0.alternativeChain, alternativeKey: $0.alternativeKey)
        }
        prober.update(cluster, list, identity: identity)
    }

    // MARK: Lists

    private func inputs(_ cluster: Cluster) -> Inputs {
        Inputs(
            targets: cluster.targets, answers: cluster.targets.map { resolver.answer($0.host) },
            hostHeader: cluster.hostHeader, useSRVName: cluster.useSRVName, isUpstream: cluster.isUpstream,
            hasHealth: cluster.isUpstream && HealthPolicy(cluster.health).isOn,
            ringSlots: cluster.algorithm == .consistentHashing ? cluster.slots : nil)
    }

    private func release(_ built: Built, now: Int64) {
        for key in built.keys { board.release(key, now: now) }
    }

    private func make(_ cluster: Cluster, _ inputs: Inputs, now: Int64) -> Built {
        var endpoints: [Endpoint] = []
        var isMissingName = false
        for (index, target) in cluster.targets.enumerated() {
            guard case .addresses(let addresses) = inputs.answers[index] else {
                isMissingName = true
                continue
            }
            append(addresses, of: target, index, cluster, to: &endpoints)
        }
        endpoints = Array(endpoints.prefix(EndpointList.endpointsMax))
        var held: [HealthKey] = []
        if inputs.hasHealth {
            for index in endpoints.indices where endpoints[index].weight > 0 {
                let endpoint = endpoints[index]
                let key = HealthKey(
                    cluster: cluster.id, address: endpoint.address, port: endpoint.port,
                    targetName: endpoint.targetName)
                endpoints[index].cell = board.acquire(key, now: now)
                held.append(key)
            }
        }
        // Kong speaks of a failed name only for a plain host; an upstream has no peer then.
        let isUnresolved = endpoints.isEmpty && isMissingName && !cluster.isUpstream
        let list = EndpointList(
            endpoints, targetCount: cluster.targets.count, state: isUnresolved ? .unresolved : .resolved,
            ringSlots: inputs.ringSlots)
        return Built(inputs: inputs, list: list, keys: held)
    }

    /// Each address once per target. A target that weighs 0 drains whatever its SRV records say.
    private func append(
        _ addresses: [ResolvedAddress], of target: Target, _ index: Int, _ cluster: Cluster,
        to endpoints: inout [Endpoint]
    ) {
        let first = endpoints.count
        let name = target.host.contains(":") && !target.host.hasPrefix("[") ? "[\(target.host)]" : target.host
        let configuredPort = UInt16(clamping: target.port)
        for address in addresses {
            let port = address.port ?? configuredPort
            let isKnown = endpoints[first...].contains { $0.address == address.address && $0.port == port }
            guard !isKnown, port > 0 else { continue }
            let weight = target.weight <= 0 ? 0 : address.weight ?? target.weight
            endpoints.append(
                Endpoint(
                    address: address.address, port: port, weight: min(max(weight, 0), Endpoint.weightMax),
                    target: index,
                    targetName: name, targetPort: configuredPort, recordName: address.recordName,
                    hostHeader: cluster.hostHeader, useSRVName: cluster.useSRVName))
        }
    }
}

/// The monotonic clock, for control; workers read their loop's.
enum Clock {
    static func monotonicNanoseconds() -> Int64 { sys_monotonic_nanoseconds() }
}
