// Clusters: where requests go, how they are spread, and how health is told.

/// How a cluster chooses among its endpoints (Kong's `algorithm`).
public enum Algorithm: Int, Sendable {
    case roundRobin = 0
    case consistentHashing = 1
    case leastConnections = 2
    case latency = 3
}

/// What a consistent-hashing cluster hashes (Kong's `hash_on`, `hash_fallback`).
public enum HashSource: Int, Sendable {
    case none = 0
    case consumer, ip, header, cookie, path, queryArgument, uriCapture
}

/// One hash input; `name` is the header, cookie, argument or capture it reads.
public struct HashInput: WireMessage, Sendable, Hashable {
    public var source = HashSource.none
    public var name = ""

    public init() {}
    public init(_ source: HashSource, name: String = "") {
        self.source = source
        self.name = name
    }

    public func encode(into out: inout WireWriter) {
        out.put(1, source)
        out.put(2, name)
    }

    public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
        switch field {
        case 1: source = try reader.value()
        case 2: name = try reader.string()
        default: try reader.skip()
        }
    }
}

/// A target of an upstream: `host` is an IP address or a name that DNS resolves.
public struct Target: WireMessage, Sendable, Hashable {
    public var id = ID()
    public var host = ""
    public var port = 8000
    /// 0 drains: no new requests.
    public var weight = 100

    public init() {}

    public func encode(into out: inout WireWriter) {
        out.put(1, id)
        out.put(2, host)
        out.put(3, port)
        out.put(4, weight)
    }

    public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
        switch field {
        case 1: id = try reader.id()
        case 2: host = try reader.string()
        case 3: port = try reader.int()
        case 4: weight = try reader.int()
        default: try reader.skip()
        }
    }
}

/// An upstream with its targets, or (without a name of its own) a service's plain host.
public struct Cluster: WireMessage, Sendable {
    public var id = ID()
    /// The upstream's name, or `host:port` of the service it was made for.
    public var name = ""
    /// False for a cluster made from a plain service host.
    public var isUpstream = true
    public var algorithm = Algorithm.roundRobin
    public var hashOn = HashInput()
    public var hashFallback = HashInput()
    public var hashCookiePath = "/"
    /// 10 to 65536.
    public var slots = 10000
    /// Sent as Host when the route does not preserve the client's; empty: the target's name.
    public var hostHeader = ""
    /// With SRV records: the Host is the SRV name rather than the record's target.
    public var useSRVName = false
    public var targets: [Target] = []
    public var health = HealthChecks()
    /// Index into `Snapshot.certificates`; -1: none. The service's own wins.
    public var clientCertificate = -1

    public init() {}

    public func encode(into out: inout WireWriter) {
        out.put(1, id)
        out.put(2, name)
        out.put(3, isUpstream)
        out.put(4, algorithm)
        out.put(5, message: hashOn)
        out.put(6, message: hashFallback)
        out.put(7, hashCookiePath)
        out.put(8, slots)
        out.put(9, hostHeader)
        out.put(10, useSRVName)
        out.put(11, messages: targets)
        out.put(12, message: health)
        out.put(13, clientCertificate)
    }

    public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
        switch field {
        case 1: id = try reader.id()
        case 2: name = try reader.string()
        case 3: isUpstream = try reader.bool()
        case 4: algorithm = try reader.value()
        case 5: hashOn = try reader.message()
        case 6: hashFallback = try reader.message()
        case 7: hashCookiePath = try reader.string()
        case 8: slots = try reader.int()
        case 9: hostHeader = try reader.string()
        case 10: useSRVName = try reader.bool()
        case 11: targets.append(try reader.message())
        case 12: health = try reader.message()
        case 13: clientCertificate = try reader.int()
        default: try reader.skip()
        }
    }
}

/// Which protocol a probe speaks.
public enum ProbeKind: Int, Sendable { case http = 0, https, tcp, grpc, grpcs }

/// Counters of one direction of a health check; 0 switches a counter off.
public struct HealthThresholds: WireMessage, Sendable, Hashable {
    /// Seconds between probes (active checks only); 0: no probes.
    public var interval = 0.0
    public var successes = 0
    public var httpFailures = 0
    public var tcpFailures = 0
    public var timeouts = 0
    public var statuses: [Int] = []

    public init() {}

    public func encode(into out: inout WireWriter) {
        out.put(1, interval)
        out.put(2, successes)
        out.put(3, httpFailures)
        out.put(4, tcpFailures)
        out.put(5, timeouts)
        out.put(6, statuses)
    }

    public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
        switch field {
        case 1: interval = try reader.double()
        case 2: successes = try reader.int()
        case 3: httpFailures = try reader.int()
        case 4: tcpFailures = try reader.int()
        case 5: timeouts = try reader.int()
        case 6: try reader.ints(into: &statuses)
        default: try reader.skip()
        }
    }
}

/// Active and passive checks of a cluster (Kong's `healthchecks`).
public struct HealthChecks: WireMessage, Sendable, Hashable {
    public var activeKind = ProbeKind.http
    public var activePath = "/"
    /// Seconds.
    public var activeTimeout = 1.0
    public var activeConcurrency = 10
    public var activeVerifyCertificate = true
    public var activeServerName = ""
    public var activeHeaders: [HeaderRule] = []
    public var activeHealthy = HealthThresholds()
    public var activeUnhealthy = HealthThresholds()
    public var passiveKind = ProbeKind.http
    public var passiveHealthy = HealthThresholds()
    public var passiveUnhealthy = HealthThresholds()
    /// Percent of the weight that must be available; 0: any.
    public var threshold = 0.0

    public init() {}

    public func encode(into out: inout WireWriter) {
        out.put(1, activeKind)
        out.put(2, activePath)
        out.put(3, activeTimeout)
        out.put(4, activeConcurrency)
        out.put(5, activeVerifyCertificate)
        out.put(6, activeServerName)
        out.put(7, messages: activeHeaders)
        out.put(8, message: activeHealthy)
        out.put(9, message: activeUnhealthy)
        out.put(10, passiveKind)
        out.put(11, message: passiveHealthy)
        out.put(12, message: passiveUnhealthy)
        out.put(13, threshold)
    }

    public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
        switch field {
        case 1: activeKind = try reader.value()
        case 2: activePath = try reader.string()
        case 3: activeTimeout = try reader.double()
        case 4: activeConcurrency = try reader.int()
        case 5: activeVerifyCertificate = try reader.bool()
        case 6: activeServerName = try reader.string()
        case 7: activeHeaders.append(try reader.message())
        case 8: activeHealthy = try reader.message()
        case 9: activeUnhealthy = try reader.message()
        case 10: passiveKind = try reader.value()
        case 11: passiveHealthy = try reader.message()
        case 12: passiveUnhealthy = try reader.message()
        case 13: threshold = try reader.double()
        default: try reader.skip()
        }
    }
}
