// Control's view of all clusters: which addresses their targets have now.

import Bytes
import Engine
import Snapshot

/// Keeps the endpoint lists of the snapshot in effect. Lives on the control thread; workers get the
/// lists with the snapshot, and a message when a name's addresses change.
final class ClusterDirectory {
    let board: HealthBoard
    private let now: () -> Int64

    init(board: HealthBoard, now: @escaping () -> Int64) {
        self.board = board
        self.now = now
    }

    /// The lists of a new snapshot's clusters, in order.
    func adopt(_ snapshot: Snapshot) -> [EndpointList] {
        snapshot.clusters.map { list($0) }
    }

    private func list(_ cluster: Cluster) -> EndpointList {
        var endpoints: [Endpoint] = []
        for (index, target) in cluster.targets.enumerated() {
            guard let address = literal(target.host), let port = UInt16(exactly: target.port) else { continue }
            endpoints.append(
                Endpoint(
                    address: address, port: port, weight: target.weight, target: index, targetName: target.host,
                    targetPort: port, hostHeader: cluster.hostHeader))
        }
        return EndpointList(
            endpoints, targetCount: cluster.targets.count, state: endpoints.isEmpty ? .unresolved : .resolved,
            ringSlots: cluster.algorithm == .consistentHashing ? cluster.slots : nil)
    }

    private func literal(_ host: String) -> IPAddress? {
        host.hasPrefix("[") && host.hasSuffix("]") ? IPAddress(String(host.dropFirst().dropLast())) : IPAddress(host)
    }
}
