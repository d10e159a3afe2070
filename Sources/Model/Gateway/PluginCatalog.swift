// Kong's plugins by name: which Seaway runs, which it knows, which belong to Kong Enterprise.

/// One plugin that Seaway runs.
public struct PluginDescription: Sendable {
    public var name: String
    /// Filters run by falling priority.
    public var priority: Int
    public var config: RecordSchema
    /// What `protocols` may hold, and what it holds when it is not given.
    public var protocols: Set<GatewayProtocol>
    public var defaultProtocols: [GatewayProtocol]
    /// Kong allows a configuration of it for one consumer.
    public var allowsConsumer: Bool

    init(
        _ name: String, priority: Int, protocols: Set<GatewayProtocol> = [.http, .https, .grpc, .grpcs],
        defaultProtocols: [GatewayProtocol] = [.grpc, .grpcs, .http, .https], allowsConsumer: Bool = true,
        _ config: [FieldSchema]
    ) {
        self.name = name
        self.priority = priority
        self.protocols = protocols
        self.defaultProtocols = defaultProtocols
        self.allowsConsumer = allowsConsumer
        self.config = RecordSchema(name, config)
    }
}

/// What is known about a plugin's name.
public enum PluginStanding: Sendable {
    case supported(PluginDescription)
    /// Bundled with Kong; Seaway does not run it yet.
    case notYet
    /// Sold with Kong Enterprise only.
    case enterprise
    case unknown
}

/// The catalog of plugin names.
public enum PluginCatalog {
    public static func standing(_ name: String) -> PluginStanding {
        if let description = supported[name] { return .supported(description) }
        if notYet.contains(name) { return .notYet }
        if enterprise.contains(name) { return .enterprise }
        return .unknown
    }

    /// Every name that a misspelling may have meant.
    public static let allNames: [String] = (Array(supported.keys) + notYet + enterprise).sorted()

    /// The plugins that Seaway runs, by name.
    public static let supported: [String: PluginDescription] = {
        var table: [String: PluginDescription] = [:]
        for plugin in PluginSchemas.all { table[plugin.name] = plugin }
        return table
    }()

    /// Plugins that are not run and that ask who is calling: left out, they leave a door open.
    public static func authenticates(_ name: String) -> Bool { authenticating.contains(name) }

    private static let authenticating: Set<String> = [
        "jwt", "oauth2", "hmac-auth", "ldap-auth", "ldap-auth-advanced", "openid-connect", "mtls-auth", "key-auth-enc",
        "oauth2-introspection", "jwt-signer", "saml", "opa", "vault-auth", "header-cert-auth", "ace",
        "konnect-application-auth", "standard-webhooks", "acl-advanced",
    ]

    static let notYet: [String] = [
        "pre-function", "post-function", "zipkin", "bot-detection", "session", "acme", "jwt", "oauth2", "ldap-auth",
        "hmac-auth", "grpc-gateway", "grpc-web", "response-ratelimiting", "redirect", "ai-request-transformer",
        "ai-prompt-template", "ai-prompt-decorator", "ai-prompt-guard", "ai-proxy", "ai-response-transformer",
        "standard-webhooks", "aws-lambda", "azure-functions", "proxy-cache", "opentelemetry", "http-log", "statsd",
        "datadog", "file-log", "udp-log", "tcp-log", "loggly", "syslog",
    ]

    static let enterprise: [String] = [
        "openid-connect", "rate-limiting-advanced", "mtls-auth", "key-auth-enc", "oauth2-introspection",
        "proxy-cache-advanced", "graphql-proxy-cache-advanced", "graphql-rate-limiting-advanced", "degraphql",
        "request-validator", "oas-validation", "mocking", "canary", "forward-proxy", "upstream-timeout",
        "route-transformer-advanced", "request-transformer-advanced", "response-transformer-advanced",
        "route-by-header", "exit-transformer", "jq", "jwt-signer", "jwe-decrypt", "ldap-auth-advanced", "opa",
        "kafka-upstream", "kafka-log", "kafka-consume", "confluent", "confluent-consume", "saml", "statsd-advanced",
        "tls-handshake-modifier", "tls-metadata-headers", "vault-auth", "websocket-size-limit",
        "websocket-validator", "xml-threat-protection", "json-threat-protection", "injection-protection",
        "header-cert-auth", "service-protection", "upstream-oauth", "app-dynamics", "application-registration",
        "konnect-application-auth", "datakit", "redirect-advanced", "request-callout", "acl-advanced",
        "ai-rate-limiting-advanced", "ai-semantic-cache", "ai-semantic-prompt-guard", "ai-azure-content-safety",
        "ai-proxy-advanced", "ai-sanitizer", "ai-rag-injector", "ai-aws-guardrails", "ai-prompt-compressor",
        "ai-mcp-proxy", "ai-mcp-oauth2", "ai-llm-as-judge", "ai-semantic-response-guard", "solace-upstream",
        "solace-log", "solace-consume", "ace", "metering-and-billing",
    ]
}
