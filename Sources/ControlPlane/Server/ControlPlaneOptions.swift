// How a control plane is set up.

/// Everything that `seaway control-plane run` can say.
public struct ControlPlaneOptions: Sendable {
    public struct Endpoint: Sendable, Hashable {
        /// IPv4 or IPv6 address without brackets.
        public var address: String
        /// 0: any free one.
        public var port: Int

        public init(address: String, port: Int) {
            self.address = address
            self.port = port
        }
    }

    /// Its name among several, in status and leases.
    public var name = "control-plane"
    /// `sqlite:PATH` or `postgres://…`.
    public var store: String
    /// For the admin token and what is exported.
    public var dataDirectory: String
    /// Nil: no Admin API.
    public var admin: Endpoint? = Endpoint(address: "127.0.0.1", port: 8001)
    public var api = Endpoint(address: "127.0.0.1", port: 5681)
    public var stream = Endpoint(address: "127.0.0.1", port: 5678)
    public var exportDirectory: String
    /// Routes may be expressions.
    public var expressions = false
    /// Seconds that a gateway's certificate lasts.
    public var certificateLifetime = 86_400
    /// Base URL of an OpenTelemetry collector's OTLP/HTTP receiver; nil: no traces.
    public var traces: String?
    /// Everybody is an admin.
    public var insecureNoAuth = false
    /// Names besides localhost that listeners on loopback answer to.
    public var hostNames: [String] = []
    /// Logins of people by an OpenID provider; nil: tokens only.
    public var login: OIDCSettings?
    /// Of this program.
    public var version = ""
    /// What `{vault://env/…}` references read.
    public var environment: [String: String] = [:]

    public init(store: String, dataDirectory: String) {
        self.store = store
        self.dataDirectory = dataDirectory
        exportDirectory = dataDirectory + "/export"
    }
}
