// A snapshot made ready to run: indexed, with certificates loaded and filters built.

public import Bytes
import Engine
public import HTTP
public import Snapshot
import Telemetry

/// A listener of the snapshot with its TLS side.
final class RunningListener: Sendable {
    let address: String
    let port: Int
    let kind: ListenerKind
    let udp: Bool
    /// Connections begin with a PROXY protocol header.
    let proxyProtocol: Bool
    let tls: TLSServer?
    let ip: IPAddress?
    /// Bound to every address of the machine: each connection has to be asked which one it came to.
    let isWildcard: Bool

    init(_ listener: Listener, tls: TLSServer?) {
        address = listener.address
        port = listener.port
        kind = listener.kind
        udp = listener.udp
        proxyProtocol = listener.proxyProtocol
        self.tls = tls
        ip = IPAddress(listener.address)
        isWildcard = ip.map { $0.high == 0 && $0.low == 0 } ?? true
    }
}

/// The plain values of a route.
struct RouteFacts: Sendable {
    var service: Int32
    var chain: Int32
    var stripPath: Bool
    var pathHandling: PathHandling
    var preserveHost: Bool
    var requestBuffering: Bool
    var responseBuffering: Bool

    init(_ route: Route) {
        service = Int32(route.service)
        chain = Int32(route.chain)
        stripPath = route.stripPath
        pathHandling = route.pathHandling
        preserveHost = route.preserveHost
        requestBuffering = route.requestBuffering
        responseBuffering = route.responseBuffering
    }
}

/// Why a snapshot cannot be put in effect; the one before stays.
struct SnapshotRefusal: Error, CustomStringConvertible {
    /// `route "users"`, `certificate 4f…`; empty: no single one.
    var entity = ""
    let description: String
}

/// Everything a request needs, immutable and shared by all workers. A request keeps the one it
/// started with.
final class RunningSnapshot: @unchecked Sendable {  // All `let`, made by the control thread before it is shared.
    let snapshot: Snapshot
    let settings: Settings
    let table: RouteTable
    /// Routes of connections and datagrams.
    let streams: StreamTable
    /// What the request path reads of each route, without touching its strings.
    let facts: [RouteFacts]
    let chains: [RunningChain]
    let listeners: [RunningListener]
    /// Per cluster of the snapshot: what was known of its endpoints when it was made.
    let endpoints: [EndpointList]
    let headLimits: HeadLimits
    let responseLimits: HeadLimits
    /// What HTTP/2 connections announce and enforce.
    let http2ClientLimits: HTTP2Limits
    let http2UpstreamLimits: HTTP2Limits
    private let trusted: [IPPrefix]
    private let realIP: FieldKey
    /// TLS towards upstreams: each distinct policy once, and its index per service (-1: plain).
    let profiles: [TLSClient]
    let serviceProfiles: [Int]
    /// The same for services of stream routes.
    let streamProfiles: (profiles: [TLSClient], byService: [Int])
    let servicePaths: [[UInt8]]
    /// What metrics call each consumer: the username, or the custom id.
    let consumerNames: [[UInt8]]

    init(_ snapshot: Snapshot, directory: ClusterDirectory, tickets: TicketKeys, shared: SharedState)
        throws(SnapshotRefusal)
    {
        try Self.checkReferences(snapshot)
        self.snapshot = snapshot
        let settings = snapshot.settings
        self.settings = settings
        do throws(RouteTableError) {
            table = try RouteTable(routes: snapshot.routes, flavour: snapshot.settings.router)
            streams = try StreamTable(routes: snapshot.routes)
        } catch {
            throw SnapshotRefusal(description: "the routes cannot be indexed: \(error)")
        }
        listeners = try Self.listeners(snapshot, tickets)
        let tls = try Self.profiles(snapshot)
        profiles = tls.profiles
        serviceProfiles = tls.byService
        streamProfiles = try Self.profiles(snapshot, of: .tls)
        consumerNames = snapshot.consumers.map { Array(($0.username.isEmpty ? $0.customID : $0.username).utf8) }
        servicePaths = snapshot.services.map { Array($0.path.utf8) }
        let filters = snapshot.filters.map(FilterFactory(snapshot, shared: shared).make)
        chains = snapshot.chains.map { RunningChain($0.steps.map { Self.step($0, filters) }) }
        headLimits = HeadLimits(
            line: settings.requestLineLimit, head: settings.requestHeadLimit, fields: settings.headerCountLimit)
        responseLimits = HeadLimits(
            line: settings.responseHeadLimit, head: settings.responseHeadLimit,
            fields: max(256, settings.headerCountLimit))
        var client = HTTP2Limits.server
        client.head = headLimits
        http2ClientLimits = client
        var upstream = HTTP2Limits.client
        upstream.head = responseLimits
        // One that stalls keeps its window's worth in memory: no more than what a client may keep here.
        upstream.streamWindow = 65_535
        // Streams that wait for their clients must not keep others from the connection: their own windows bound
        // what it holds.
        upstream.connectionWindow = Int(Int32.max)
        http2UpstreamLimits = upstream
        trusted = settings.trustedPeers.compactMap { IPPrefix($0) }
        realIP = FieldKey(settings.realIPHeader)
        facts = snapshot.routes.map(RouteFacts.init)
        // Last: the directory changes with it, and everything that can be refused has been.
        endpoints = directory.adopt(snapshot, now: Clock.monotonicNanoseconds())
    }

    private static func step(_ step: FilterStep, _ filters: [FilterInstance]) -> RunningStep {
        var overrides: [Int: FilterInstance] = [:]
        for pair in stride(from: 0, to: step.overrides.count - 1, by: 2) {
            overrides[step.overrides[pair]] = filters[step.overrides[pair + 1]]
        }
        return RunningStep(base: step.filter >= 0 ? filters[step.filter] : nil, overrides: overrides)
    }

    /// A snapshot may come from anywhere: an index that leads nowhere is refused here, once, so that
    /// nothing on the request path has to ask again.
    private static func checkReferences(_ s: Snapshot) throws(SnapshotRefusal) {
        func check(
            _ index: Int, _ count: Int, _ entity: @autoclosure () -> String, _ what: String, optional: Bool = true
        ) throws(SnapshotRefusal) {
            guard index < count, index >= (optional ? -1 : 0) else {
                let entity = entity()
                throw SnapshotRefusal(
                    entity: entity, description: "\(what) of \(entity) refers to entry \(index) of \(count)")
            }
        }
        for route in s.routes {
            try check(route.service, s.services.count, name("route", route.name, route.id), "the service")
            try check(route.chain, s.chains.count, name("route", route.name, route.id), "the filter chain")
        }
        try check(s.globalChain, s.chains.count, "the configuration", "the global chain")
        for service in s.services {
            try check(
                service.cluster, s.clusters.count, name("service", service.name, service.id), "the cluster",
                optional: false)
            try check(
                service.tls.clientCertificate, s.certificates.count, name("service", service.name, service.id),
                "the certificate")
            for authority in service.tls.caCertificates {
                try check(
                    authority, s.caCertificates.count, name("service", service.name, service.id), "an authority",
                    optional: false)
            }
        }
        for cluster in s.clusters {
            try check(
                cluster.clientCertificate, s.certificates.count, name("upstream", cluster.name, cluster.id),
                "the certificate")
        }
        for sni in s.serverNames {
            try check(
                sni.certificate, s.certificates.count, "sni \"\(sni.name)\"", "the certificate", optional: false)
        }
        for credential in s.keyCredentials {
            try check(credential.consumer, s.consumers.count, "key \(credential.id)", "the consumer", optional: false)
        }
        for credential in s.basicCredentials {
            try check(credential.consumer, s.consumers.count, "user \(credential.id)", "the consumer", optional: false)
        }
        for chain in s.chains {
            for step in chain.steps {
                try check(step.filter, s.filters.count, "a plugin", "a filter step")
                guard step.overrides.count.isMultiple(of: 2) else {
                    throw SnapshotRefusal(description: "a filter step's overrides are no pairs")
                }
                for pair in stride(from: 0, to: step.overrides.count, by: 2) {
                    try check(
                        step.overrides[pair], s.consumers.count, "a plugin", "an override's consumer", optional: false)
                    try check(
                        step.overrides[pair + 1], s.filters.count, "a plugin", "an override's filter", optional: false)
                }
            }
        }
    }

    /// `route "users"`, or by its id where it has no name.
    private static func name(_ kind: String, _ name: String, _ id: ID) -> String {
        name.isEmpty ? "\(kind) \(id)" : "\(kind) \"\(name)\""
    }

    // MARK: TLS

    private static func identity(_ certificate: Certificate) -> TLSIdentity {
        TLSIdentity(
            chain: certificate.chain, key: certificate.key, alternativeChain: certificate.alternativeChain,
            alternativeKey: certificate.alternativeKey)
    }

    private static func listeners(_ s: Snapshot, _ tickets: TicketKeys) throws(SnapshotRefusal) -> [RunningListener] {
        var servers: [String: TLSServer] = [:]
        var result: [RunningListener] = []
        for listener in s.listeners {
            var server: TLSServer?
            if listener.tls {
                let key = "\(listener.kind) \(listener.clientAuthorities)"
                server = servers[key]
                if server == nil {
                    server = try tlsServer(s, listener.clientAuthorities, listener.kind, tickets)
                    servers[key] = server
                }
            }
            result.append(RunningListener(listener, tls: server))
        }
        return result
    }

    private static func tlsServer(
        _ s: Snapshot, _ authorities: String, _ kind: ListenerKind, _ tickets: TicketKeys
    ) throws(SnapshotRefusal) -> TLSServer {
        var failed = -1
        do throws(TLSError) {
            return try TLSServer(
                identities: s.certificates.map(identity), names: s.serverNames.map { ($0.name, $0.certificate) },
                clientAuthorities: authorities, isHTTP: kind == .http, tickets: tickets,
                failed: { index, _ in failed = index })
        } catch {
            let which = failed >= 0 ? "certificate \(s.certificates[failed].id)" : "the listener's TLS settings"
            throw SnapshotRefusal(
                entity: failed >= 0 ? which : "", description: "\(which) cannot be used: \(error)")
        }
    }

    private static func profiles(
        _ s: Snapshot, of protocols: Protocols = [.https, .grpcs]
    ) throws(SnapshotRefusal) -> (profiles: [TLSClient], byService: [Int]) {
        var known: [UpstreamTLS: Int] = [:]
        var profiles: [TLSClient] = []
        var byService: [Int] = []
        byService.reserveCapacity(s.services.count)
        for service in s.services {
            guard !service.protocol.isDisjoint(with: protocols) else {
                byService.append(-1)
                continue
            }
            var policy = service.tls
            if policy.clientCertificate < 0 { policy.clientCertificate = s.clusters[service.cluster].clientCertificate }
            if let index = known[policy] {
                byService.append(index)
                continue
            }
            do throws(TLSError) {
                profiles.append(
                    try TLSClient(
                        verify: policy.verify, depth: policy.verify ? policy.depth : nil,
                        authorities: policy.caCertificates.map { s.caCertificates[$0].pem },
                        identity: policy.clientCertificate >= 0
                            ? identity(s.certificates[policy.clientCertificate]) : nil))
            } catch {
                throw SnapshotRefusal(
                    entity: "service \"\(service.name)\"",
                    description: "the TLS settings of service \(service.name) cannot be used: \(error)")
            }
            known[policy] = profiles.count - 1
            byService.append(profiles.count - 1)
        }
        return (profiles, byService)
    }

    // MARK: Peers

    func trusts(_ address: IPAddress) -> Bool {
        for prefix in trusted where prefix.contains(address) { return true }
        return false
    }

    /// The client's address as a trusted peer tells it; nil if it does not.
    func realAddress(_ headers: HeaderBlock, peer: IPAddress) -> IPAddress? {
        guard realIP.id == .xForwardedFor else { return headers.first(realIP).flatMap { Self.address($0.trimmed()) } }
        guard let index = headers.index(of: realIP) else { return nil }
        var value = headers.value(index)
        var found: IPAddress?
        // From the right: the last entry was added by our own peer.
        while true {
            let comma = value.lastIndex(of: 0x2C)
            guard let address = Self.address(value.dropFirst(comma.map { $0 + 1 } ?? 0).trimmed()) else { return found }
            found = address
            guard settings.realIPRecursive, trusts(address), let comma else { return found }
            value = value.prefix(comma)
        }
    }

    /// An address with or without a port.
    private static func address(_ text: Bytes) -> IPAddress? {
        if let address = IPAddress(text) { return address }
        if text.count > 0, text[0] == 0x5B, let close = text.firstIndex(of: 0x5D) { return IPAddress(text[1..<close]) }
        return text.lastIndex(of: 0x3A).flatMap { IPAddress(text.prefix($0)) }
    }

    /// Some prometheus filter exports target health.
    var wantsTargetHealth: Bool {
        chains.contains { chain in chain.steps.contains { $0.base?.families?.contains(.upstreamHealth) ?? false } }
    }

    func listener(address: String, port: Int, udp: Bool) -> RunningListener? {
        listeners.first { $0.port == port && $0.udp == udp && $0.address == address }
    }
}

extension HeaderBlock: HeaderLookup {
    public var fieldCount: Int { count }
    public func isAbsent(_ index: Int) -> Bool { isRemoved(index) }
    public func fieldName(_ index: Int) -> Bytes { name(index) }
    public func fieldValue(_ index: Int) -> Bytes { value(index) }
}
