// Endpoints: the addresses behind a cluster's targets, as one immutable list per cluster.

import Bytes
import Snapshot

/// One address that requests of a cluster can go to.
struct Endpoint: Sendable {
    var address: IPAddress
    var port: UInt16
    /// 0 to `weightMax`; 0 drains. From the target, or from the SRV record.
    var weight: Int
    /// Index into `Cluster.targets`.
    var target: Int
    /// The target as configured: its host (IPv6 in brackets) and port.
    var targetName: String
    var targetPort: UInt16
    /// What the ring hashes: the address (IPv6 in brackets), or for an SRV record the name it points to.
    var ringName: String
    /// This endpoint's cell on the health board; -1 when its cluster has no health checks.
    var cell: Int32 = -1
    /// Host for the upstream when the client's is not preserved, without port; also its TLS server name.
    var host: [UInt8] = []
    /// `host` with the port unless it is 80 (for http) or 443 (for https).
    var authority: [UInt8] = []
    var secureAuthority: [UInt8] = []

    /// - Parameters:
    ///   - hostHeader: the cluster's own Host; empty: the target's name, or `recordName` with useSRVName.
    ///   - recordName: the name that an SRV record points to; nil for other records and literals.
    init(
        address: IPAddress, port: UInt16, weight: Int, target: Int, targetName: String, targetPort: UInt16,
        recordName: String? = nil, hostHeader: String = "", useSRVName: Bool = false
    ) {
        self.address = address
        self.port = port
        self.weight = weight
        self.target = target
        self.targetName = targetName
        self.targetPort = targetPort
        ringName = recordName ?? Endpoint.literal(address)
        let name = useSRVName ? recordName ?? targetName : targetName
        let text = hostHeader.isEmpty ? name : hostHeader
        host = Array(text.utf8)
        let withPort = Array("\(text):\(port)".utf8)
        authority = port == 80 ? host : withPort
        secureAuthority = port == 443 ? host : withPort
    }

    /// 65535 as configured, times the addresses that share an SRV record's weight.
    static let weightMax = 65535 * 64

    /// An address as it is written in a target: IPv6 in brackets.
    static func literal(_ address: IPAddress) -> String {
        address.isIPv6 ? "[\(address.description)]" : address.description
    }
}

/// Why a cluster has no endpoints.
enum ResolutionState: Sendable, Equatable {
    /// Every target that has a name resolved at least once, or some endpoint exists.
    case resolved
    /// No answer has come yet, or the name does not exist: 503 `name resolution failed`.
    case unresolved
}

/// What control publishes to workers for one cluster; replaced as a whole.
final class EndpointList: Sendable {
    let endpoints: [Endpoint]
    /// All targets of the cluster, resolved or not; the ring's size of shares depends on it.
    let targetCount: Int
    let state: ResolutionState
    /// Present for consistent-hashing clusters: built once, shared by all workers.
    let ring: HashRing?

    /// More endpoints than this are left out, in the order of targets.
    static let endpointsMax = 4096

    init(
        _ endpoints: [Endpoint], targetCount: Int, state: ResolutionState = .resolved,
        ringSlots: Int? = nil
    ) {
        self.endpoints = Array(endpoints.prefix(Self.endpointsMax))
        self.targetCount = targetCount
        self.state = state
        ring = ringSlots.map { [kept = self.endpoints] in
            HashRing(endpoints: kept, targetCount: targetCount, slots: $0)
        }
    }
}
