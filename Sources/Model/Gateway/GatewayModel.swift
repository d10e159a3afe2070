// A gateway's configuration, validated: Kong's entities with defaults filled in and references resolved.

/// Everything a `kong.yml` declares. References between entities are indices into these arrays; -1
/// means none. Every entity says where it was declared.
public struct GatewayModel: Sendable {
    public var services: [ServiceEntity] = []
    public var routes: [RouteEntity] = []
    public var upstreams: [UpstreamEntity] = []
    public var consumers: [ConsumerEntity] = []
    public var plugins: [PluginEntity] = []
    public var certificates: [CertificateEntity] = []
    public var serverNames: [ServerNameEntity] = []
    public var caCertificates: [CACertificateEntity] = []
    public var keyAuthCredentials: [KeyAuthEntity] = []
    public var basicAuthCredentials: [BasicAuthEntity] = []
    public var hmacAuthCredentials: [HMACAuthEntity] = []
    public var jwtSecrets: [JWTSecretEntity] = []
    public var oauth2Credentials: [OAuth2Entity] = []
    public var vaults: [VaultEntity] = []
    public var keySets: [KeySetEntity] = []
    public var keys: [KeyEntity] = []

    public init() {}
}

/// What all entities share.
public struct EntityHead: Sendable {
    public var id = Identifier()
    /// Unix seconds; 0: not given.
    public var createdAt = 0
    /// Unix seconds; 0: not given.
    public var updatedAt = 0
    public var tags: [String] = []
    /// 1-based place of the declaration; 0: unknown.
    public var line = 0
    public var column = 0

    public init() {}
}

/// A protocol of a service or a route.
public enum GatewayProtocol: String, Sendable, CaseIterable, Hashable {
    case http, https, grpc, grpcs, tcp, tls, udp
    case tlsPassthrough = "tls_passthrough"

    /// Carried over bare TCP, TLS or UDP rather than HTTP.
    public var isStream: Bool {
        switch self {
        case .http, .https, .grpc, .grpcs: false
        case .tcp, .tls, .udp, .tlsPassthrough: true
        }
    }
}

public struct ServiceEntity: Sendable {
    public var head = EntityHead()
    /// Empty: none.
    public var name = ""
    public var `protocol` = GatewayProtocol.http
    public var host = ""
    public var port = 80
    /// Empty: none.
    public var path = ""
    /// Attempts after the first.
    public var retries = 5
    /// Milliseconds, as the two below.
    public var connectTimeout = 60000
    public var writeTimeout = 60000
    public var readTimeout = 60000
    public var clientCertificate = -1
    public var tlsVerify: Bool?
    public var tlsVerifyDepth: Int?
    public var caCertificates: [Int] = []
    public var isEnabled = true

    public init() {}
}

/// An entry of a stream route's `sources` or `destinations`.
public struct AddressMatch: Sendable, Hashable {
    /// IP address or CIDR; empty: any.
    public var ip = ""
    /// 0: any.
    public var port = 0

    public init() {}
}

/// A route's matcher on one header.
public struct HeaderMatch: Sendable, Hashable {
    public var name: String
    public var values: [String]

    public init(name: String, values: [String]) {
        self.name = name
        self.values = values
    }
}

public struct RouteEntity: Sendable {
    public var head = EntityHead()
    public var name = ""
    public var service = -1
    public var protocols: [GatewayProtocol] = [.http, .https]
    public var methods: [String] = []
    public var hosts: [String] = []
    /// `/prefix` or `~regex`, migrated to the 3.0 form.
    public var paths: [String] = []
    /// Sorted by name.
    public var headers: [HeaderMatch] = []
    public var serverNames: [String] = []
    public var sources: [AddressMatch] = []
    public var destinations: [AddressMatch] = []
    public var regexPriority = 0
    /// In place of the fields above; empty: none. Not read yet, so it may hold mistakes.
    public var expression = ""
    /// Where its text begins, both from 1.
    public var expressionLine = 0
    public var expressionColumn = 0
    /// Of an expression: larger goes first.
    public var priority = 0
    public var stripPath = true
    public var isPathHandlingV1 = false
    public var preserveHost = false
    public var httpsRedirectStatus = 426
    public var requestBuffering = true
    public var responseBuffering = true

    public init() {}

    /// Serves bare TCP, TLS or UDP.
    public var isStream: Bool { protocols.first?.isStream ?? false }
}

/// What a consistent-hashing upstream hashes.
public struct HashChoice: Sendable, Hashable {
    public enum Source: String, Sendable {
        case none, consumer, ip, header, cookie, path
        case queryArgument = "query_arg"
        case uriCapture = "uri_capture"
    }
    public var source = Source.none
    /// Header, cookie, argument or capture; empty for the others.
    public var name = ""

    public init() {}
}

/// Counters of one direction of a health check; 0 switches a counter off.
public struct HealthCounters: Sendable, Hashable {
    /// Seconds between probes; 0: no probes.
    public var interval = 0.0
    public var successes = 0
    public var httpFailures = 0
    public var tcpFailures = 0
    public var timeouts = 0
    public var statuses: [Int] = []

    public init() {}
}

public struct ActiveCheck: Sendable, Hashable {
    /// `http`, `https`, `tcp`, `grpc` or `grpcs`.
    public var kind = "http"
    /// Seconds.
    public var timeout = 1.0
    public var concurrency = 10
    public var path = "/"
    public var serverName = ""
    public var verifyCertificate = true
    public var headers: [HeaderMatch] = []
    public var healthy = HealthCounters()
    public var unhealthy = HealthCounters()

    public init() {}
}

public struct PassiveCheck: Sendable, Hashable {
    public var kind = "http"
    public var healthy = HealthCounters()
    public var unhealthy = HealthCounters()

    public init() {}
}

public struct UpstreamEntity: Sendable {
    public var head = EntityHead()
    public var name = ""
    /// `round-robin`, `consistent-hashing`, `least-connections` or `latency`.
    public var algorithm = "round-robin"
    public var hashOn = HashChoice()
    public var hashFallback = HashChoice()
    public var hashCookiePath = "/"
    public var slots = 10000
    public var active = ActiveCheck()
    public var passive = PassiveCheck()
    /// Percent of weight that must be available.
    public var threshold = 0.0
    public var hostHeader = ""
    public var clientCertificate = -1
    public var useSRVName = false
    public var targets: [TargetEntity] = []

    public init() {}
}

public struct TargetEntity: Sendable {
    public var head = EntityHead()
    /// IP address without brackets, or a name.
    public var host = ""
    public var port = 8000
    public var weight = 100

    public init() {}
}

public struct ConsumerEntity: Sendable {
    public var head = EntityHead()
    public var username = ""
    public var customID = ""
    /// Names of the ACL groups it belongs to, in order of declaration.
    public var groups: [String] = []

    public init() {}
}

public struct PluginEntity: Sendable {
    public var head = EntityHead()
    public var name = ""
    public var instanceName = ""
    public var service = -1
    public var route = -1
    public var consumer = -1
    public var isEnabled = true
    public var protocols: [GatewayProtocol] = []
    /// Complete: defaults applied, deprecated spellings moved.
    public var config = ConfigValue.record([])

    public init() {}
}

public struct CertificateEntity: Sendable {
    public var head = EntityHead()
    /// PEM; the chain follows the certificate.
    public var certificate = ""
    public var key = ""
    /// A second pair of another key type, or empty.
    public var alternativeCertificate = ""
    public var alternativeKey = ""

    public init() {}
}

public struct ServerNameEntity: Sendable {
    public var head = EntityHead()
    public var name = ""
    public var certificate = -1

    public init() {}
}

public struct CACertificateEntity: Sendable {
    public var head = EntityHead()
    public var certificate = ""

    public init() {}
}

public struct KeyAuthEntity: Sendable {
    public var head = EntityHead()
    public var consumer = -1
    public var key = ""
    /// Seconds from `createdAt`; 0: for ever.
    public var ttl = 0

    public init() {}
}

public struct BasicAuthEntity: Sendable {
    public var head = EntityHead()
    public var consumer = -1
    public var username = ""
    /// Lower-case hex SHA-1 of the password followed by the consumer's id.
    public var passwordHash = ""

    public init() {}
}

public struct HMACAuthEntity: Sendable {
    public var head = EntityHead()
    public var consumer = -1
    public var username = ""
    public var secret = ""

    public init() {}
}

public struct JWTSecretEntity: Sendable {
    public var head = EntityHead()
    public var consumer = -1
    public var key = ""
    public var secret = ""
    public var publicKey = ""
    public var algorithm = "HS256"

    public init() {}
}

public struct OAuth2Entity: Sendable {
    public var head = EntityHead()
    public var consumer = -1
    public var name = ""
    public var clientID = ""
    public var clientSecret = ""
    public var hashSecret = false
    public var redirectURIs: [String] = []
    public var isPublic = false

    public init() {}
}

public struct VaultEntity: Sendable {
    public var head = EntityHead()
    public var prefix = ""
    public var name = ""
    public var description = ""
    public var configPrefix = ""

    public init() {}
}

public struct KeySetEntity: Sendable {
    public var head = EntityHead()
    public var name = ""

    public init() {}
}

public struct KeyEntity: Sendable {
    public var head = EntityHead()
    public var set = -1
    public var name = ""
    public var keyID = ""
    public var jwk = ""
    public var publicKey = ""
    public var privateKey = ""

    public init() {}
}
