// Kong's entities as schemas: field names, types, defaults, constraints.

/// The schema of each entity kind. Foreign keys are written as the parent's name or id.
public enum EntitySchemas {
    /// What every entity has.
    static let common: [FieldSchema] = [
        FieldSchema("id", .string, [.form(.uuid)]),
        FieldSchema("created_at", .number),
        FieldSchema("updated_at", .number),
        FieldSchema("tags", .set(FieldSchema("", .string, [.form(.tag)]))),
    ]

    /// Milliseconds.
    static let timeout: [Rule] = [.between(1, 2_147_483_646)]
    static let port: [Rule] = [.between(0, 65535)]
    static let protocols = ["grpc", "grpcs", "http", "https", "tcp", "tls", "tls_passthrough", "udp"]

    static func text(_ form: TextForm) -> FieldSchema { FieldSchema("", .string, [.form(form)]) }
    static let anyText = FieldSchema("", .string)
    static func strings(_ values: String...) -> ConfigValue { .array(values.map { .string($0) }) }

    public static func schema(_ kind: EntityKind) -> RecordSchema {
        switch kind {
        case .services: service
        case .routes: route
        case .upstreams: upstream
        case .targets: target
        case .consumers: consumer
        case .plugins: plugin
        case .certificates: certificate
        case .snis: sni
        case .caCertificates: caCertificate
        case .keyAuthCredentials: keyAuthCredential
        case .basicAuthCredentials: basicAuthCredential
        case .hmacAuthCredentials: hmacAuthCredential
        case .jwtSecrets: jwtSecret
        case .oauth2Credentials: oauth2Credential
        case .acls: acl
        case .vaults: vault
        case .keySets: keySet
        case .keys: key
        }
    }

    public static let service = RecordSchema(
        "services",
        common + [
            FieldSchema("name", .string, [.form(.name)]),
            FieldSchema("retries", .integer, default: .int(5), [.between(0, 32767)]),
            FieldSchema(
                "protocol", .string, required: true, default: .string("http"),
                [.oneOf(["grpc", "grpcs", "http", "https", "tcp", "tls", "tls_passthrough", "udp"])]),
            FieldSchema("host", .string, required: true, [.form(.host)]),
            FieldSchema("port", .integer, required: true, default: .int(80), port),
            FieldSchema("path", .string, [.form(.path)]),
            FieldSchema("connect_timeout", .integer, default: .int(60000), timeout),
            FieldSchema("write_timeout", .integer, default: .int(60000), timeout),
            FieldSchema("read_timeout", .integer, default: .int(60000), timeout),
            FieldSchema("client_certificate", .foreign(.certificates)),
            FieldSchema("tls_verify", .boolean),
            FieldSchema("tls_verify_depth", .integer, [.between(0, 64)]),
            FieldSchema("ca_certificates", .array(text(.uuid))),
            FieldSchema("enabled", .boolean, required: true, default: .bool(true)),
            FieldSchema("url", .string, [.form(.url)]),
        ])

    static let address = RecordSchema(
        "address",
        [
            FieldSchema("ip", .string, [.form(.ipOrPrefix)]),
            FieldSchema("port", .integer, port),
        ])

    public static let route = RecordSchema(
        "routes",
        common + [
            FieldSchema("name", .string, [.form(.name)]),
            FieldSchema(
                "protocols", .set(FieldSchema("", .string, [.oneOf(protocols)])), required: true,
                default: strings("http", "https"), [.lengthAtLeast(1)]),
            FieldSchema(
                "https_redirect_status_code", .integer, required: true, default: .int(426),
                [.oneOfIntegers([426, 301, 302, 307, 308])]),
            FieldSchema("strip_path", .boolean, required: true, default: .bool(true)),
            FieldSchema("preserve_host", .boolean, required: true, default: .bool(false)),
            FieldSchema("request_buffering", .boolean, required: true, default: .bool(true)),
            FieldSchema("response_buffering", .boolean, required: true, default: .bool(true)),
            FieldSchema("methods", .set(text(.method))),
            FieldSchema("hosts", .array(text(.routeHost))),
            FieldSchema("paths", .array(text(.routePath))),
            FieldSchema(
                "headers",
                .map(keys: text(.headerName), values: FieldSchema("", .array(text(.headerMatch))))),
            FieldSchema("snis", .set(text(.wildcardServerName))),
            FieldSchema("sources", .set(FieldSchema("", .record(address)))),
            FieldSchema("destinations", .set(FieldSchema("", .record(address)))),
            FieldSchema("regex_priority", .integer, default: .int(0)),
            FieldSchema("path_handling", .string, default: .string("v0"), [.oneOf(["v0", "v1"])]),
            FieldSchema("service", .foreign(.services)),
            FieldSchema("expression", .string),
            FieldSchema("priority", .integer, [.between(0, 70_368_744_177_663)]),
        ])

    private static let statuses = FieldSchema("", .integer, [.between(100, 999)])
    private static let counter: [Rule] = [.between(0, 255)]
    private static func statusList(_ values: [Int]) -> ConfigValue { .array(values.map { .int($0) }) }
    private static let probeKinds: [Rule] = [.oneOf(["tcp", "http", "https", "grpc", "grpcs"])]

    static let activeCheck = RecordSchema(
        "active",
        [
            FieldSchema("type", .string, default: .string("http"), probeKinds),
            FieldSchema("timeout", .number, default: .int(1), [.between(0, 65535)]),
            FieldSchema("concurrency", .integer, default: .int(10), [.between(1, 2_147_483_648)]),
            FieldSchema("http_path", .string, default: .string("/"), [.form(.path)]),
            FieldSchema("https_sni", .string, [.form(.serverName)]),
            FieldSchema("https_verify_certificate", .boolean, default: .bool(true)),
            FieldSchema("headers", .map(keys: text(.headerName), values: FieldSchema("", .array(anyText)))),
            FieldSchema(
                "healthy",
                .record(
                    RecordSchema(
                        "healthy",
                        [
                            FieldSchema("interval", .number, default: .int(0), [.between(0, 65535)]),
                            FieldSchema("http_statuses", .array(statuses), default: statusList([200, 302])),
                            FieldSchema("successes", .integer, default: .int(0), counter),
                        ]))),
            FieldSchema(
                "unhealthy",
                .record(
                    RecordSchema(
                        "unhealthy",
                        [
                            FieldSchema("interval", .number, default: .int(0), [.between(0, 65535)]),
                            FieldSchema(
                                "http_statuses", .array(statuses),
                                default: statusList([429, 404, 500, 501, 502, 503, 504, 505])),
                            FieldSchema("tcp_failures", .integer, default: .int(0), counter),
                            FieldSchema("timeouts", .integer, default: .int(0), counter),
                            FieldSchema("http_failures", .integer, default: .int(0), counter),
                        ]))),
        ])

    static let passiveCheck = RecordSchema(
        "passive",
        [
            FieldSchema("type", .string, default: .string("http"), probeKinds),
            FieldSchema(
                "healthy",
                .record(
                    RecordSchema(
                        "healthy",
                        [
                            FieldSchema(
                                "http_statuses", .array(statuses),
                                default: statusList(Array(200...208) + [226] + Array(300...308))),
                            FieldSchema("successes", .integer, default: .int(0), counter),
                        ]))),
            FieldSchema(
                "unhealthy",
                .record(
                    RecordSchema(
                        "unhealthy",
                        [
                            FieldSchema("http_statuses", .array(statuses), default: statusList([429, 500, 503])),
                            FieldSchema("tcp_failures", .integer, default: .int(0), counter),
                            FieldSchema("timeouts", .integer, default: .int(0), counter),
                            FieldSchema("http_failures", .integer, default: .int(0), counter),
                        ]))),
        ])

    public static let upstream = RecordSchema(
        "upstreams",
        common + [
            FieldSchema("name", .string, required: true, [.form(.upstreamName)]),
            FieldSchema(
                "algorithm", .string, default: .string("round-robin"),
                [.oneOf(["consistent-hashing", "least-connections", "round-robin", "latency", "sticky-sessions"])]),
            FieldSchema("hash_on", .string, default: .string("none"), hashSources),
            FieldSchema("hash_fallback", .string, default: .string("none"), hashSources),
            FieldSchema("hash_on_header", .string, [.form(.headerName)]),
            FieldSchema("hash_fallback_header", .string, [.form(.headerName)]),
            FieldSchema("hash_on_cookie", .string, [.form(.cookieName)]),
            FieldSchema("hash_on_cookie_path", .string, default: .string("/"), [.form(.path)]),
            FieldSchema("hash_on_query_arg", .string),
            FieldSchema("hash_fallback_query_arg", .string),
            FieldSchema("hash_on_uri_capture", .string),
            FieldSchema("hash_fallback_uri_capture", .string),
            FieldSchema("slots", .integer, default: .int(10000), [.between(10, 65536)]),
            FieldSchema(
                "healthchecks",
                .record(
                    RecordSchema(
                        "healthchecks",
                        [
                            FieldSchema("active", .record(activeCheck)),
                            FieldSchema("passive", .record(passiveCheck)),
                            FieldSchema("threshold", .number, default: .int(0), [.between(0, 100)]),
                        ]))),
            FieldSchema("host_header", .string, [.form(.host)]),
            FieldSchema("client_certificate", .foreign(.certificates)),
            FieldSchema("use_srv_name", .boolean, default: .bool(false)),
        ])

    private static let hashSources: [Rule] = [
        .oneOf(["none", "consumer", "ip", "header", "cookie", "path", "query_arg", "uri_capture"])
    ]

    public static let target = RecordSchema(
        "targets",
        common + [
            FieldSchema("upstream", .foreign(.upstreams), required: true),
            FieldSchema("target", .string, required: true, [.form(.target)]),
            FieldSchema("weight", .integer, default: .int(100), [.between(0, 65535)]),
        ])

    public static let consumer = RecordSchema(
        "consumers",
        common + [
            FieldSchema("username", .string),
            FieldSchema("custom_id", .string),
        ])

    public static let plugin = RecordSchema(
        "plugins",
        common + [
            FieldSchema("name", .string, required: true),
            FieldSchema("instance_name", .string, [.form(.name)]),
            FieldSchema("route", .foreign(.routes)),
            FieldSchema("service", .foreign(.services)),
            FieldSchema("consumer", .foreign(.consumers)),
            FieldSchema("config", .open),
            // Kong Enterprise writes ws and wss into every dump; routes cannot have them, so they mean nothing.
            FieldSchema(
                "protocols", .set(FieldSchema("", .string, [.oneOf(protocols + ["ws", "wss"])])),
                default: strings("grpc", "grpcs", "http", "https")),
            FieldSchema("enabled", .boolean, required: true, default: .bool(true)),
        ])

    public static let certificate = RecordSchema(
        "certificates",
        common + [
            FieldSchema("cert", .string, required: true, referenceable: true),
            FieldSchema("key", .string, required: true, referenceable: true),
            FieldSchema("cert_alt", .string, referenceable: true),
            FieldSchema("key_alt", .string, referenceable: true),
        ])

    public static let sni = RecordSchema(
        "snis",
        common + [
            FieldSchema("name", .string, required: true, [.form(.wildcardServerName)]),
            FieldSchema("certificate", .foreign(.certificates), required: true),
        ])

    public static let caCertificate = RecordSchema(
        "ca_certificates",
        common + [
            FieldSchema("cert", .string, required: true, referenceable: true),
            FieldSchema("cert_digest", .string),
        ])

    public static let keyAuthCredential = RecordSchema(
        "keyauth_credentials",
        common + [
            FieldSchema("consumer", .foreign(.consumers), required: true),
            FieldSchema("key", .string, referenceable: true),
            FieldSchema("ttl", .integer, [.between(0, 100_000_000)]),
        ])

    public static let basicAuthCredential = RecordSchema(
        "basicauth_credentials",
        common + [
            FieldSchema("consumer", .foreign(.consumers), required: true),
            FieldSchema("username", .string, required: true),
            FieldSchema("password", .string, required: true, referenceable: true),
        ])

    public static let hmacAuthCredential = RecordSchema(
        "hmacauth_credentials",
        common + [
            FieldSchema("consumer", .foreign(.consumers), required: true),
            FieldSchema("username", .string, required: true),
            FieldSchema("secret", .string, referenceable: true),
        ])

    public static let jwtSecret = RecordSchema(
        "jwt_secrets",
        common + [
            FieldSchema("consumer", .foreign(.consumers), required: true),
            FieldSchema("key", .string),
            FieldSchema("secret", .string, referenceable: true),
            FieldSchema("rsa_public_key", .string),
            FieldSchema(
                "algorithm", .string, default: .string("HS256"),
                [
                    .oneOf([
                        "HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "ES256", "ES384", "ES512", "PS256",
                        "PS384", "PS512", "EdDSA",
                    ])
                ]),
        ])

    public static let oauth2Credential = RecordSchema(
        "oauth2_credentials",
        common + [
            FieldSchema("consumer", .foreign(.consumers), required: true),
            FieldSchema("name", .string, required: true),
            FieldSchema("client_id", .string),
            FieldSchema("client_secret", .string, referenceable: true),
            FieldSchema("hash_secret", .boolean, required: true, default: .bool(false)),
            FieldSchema("redirect_uris", .array(text(.url))),
            FieldSchema(
                "client_type", .string, required: true, default: .string("confidential"),
                [.oneOf(["confidential", "public"])]),
        ])

    public static let acl = RecordSchema(
        "acls",
        common + [
            FieldSchema("consumer", .foreign(.consumers), required: true),
            FieldSchema("group", .string, required: true),
        ])

    public static let vault = RecordSchema(
        "vaults",
        common + [
            FieldSchema("prefix", .string, required: true, [.form(.vaultPrefix)]),
            FieldSchema("name", .string, required: true),
            FieldSchema("description", .string),
            FieldSchema("config", .record(RecordSchema("config", [FieldSchema("prefix", .string)]))),
        ])

    public static let keySet = RecordSchema("key_sets", common + [FieldSchema("name", .string)])

    public static let key = RecordSchema(
        "keys",
        common + [
            FieldSchema("set", .foreign(.keySets)),
            FieldSchema("name", .string),
            FieldSchema("kid", .string, required: true),
            FieldSchema("jwk", .string, [.form(.jwk)], referenceable: true),
            FieldSchema(
                "pem",
                .record(
                    RecordSchema(
                        "pem",
                        [
                            FieldSchema("private_key", .string, referenceable: true),
                            FieldSchema("public_key", .string, referenceable: true),
                        ]))),
        ])
}
