// The configuration of each plugin that Seaway runs: Kong's fields, defaults and constraints.

/// The schemas; checks over several fields are in Dialects/Kong/PluginChecks.swift.
enum PluginSchemas {
    static let all: [PluginDescription] = [
        correlationID, cors, keyAuth, basicAuth, ipRestriction, requestSizeLimiting, acl, rateLimiting,
        requestTransformer, responseTransformer, prometheus, requestTermination,
    ]

    private static func text(_ form: TextForm) -> FieldSchema { FieldSchema("", .string, [.form(form)]) }
    private static let anyText = FieldSchema("", .string)
    private static let empty = ConfigValue.array([])
    private static func flag(_ name: String, _ value: Bool) -> FieldSchema {
        FieldSchema(name, .boolean, required: true, default: .bool(value))
    }
    private static func strings(_ values: [String]) -> ConfigValue { .array(values.map { .string($0) }) }

    static let correlationID = PluginDescription(
        "correlation-id", priority: 100_001,
        [
            FieldSchema("header_name", .string, default: .string("Kong-Request-ID"), [.form(.headerName)]),
            FieldSchema(
                "generator", .string, required: true, default: .string("uuid#counter"),
                [.oneOf(["uuid", "uuid#counter", "tracker"])]),
            flag("echo_downstream", false),
        ])

    private static let corsMethods = ["GET", "HEAD", "PUT", "PATCH", "POST", "DELETE", "OPTIONS", "TRACE", "CONNECT"]

    static let cors = PluginDescription(
        "cors", priority: 2000, allowsConsumer: false,
        [
            FieldSchema("origins", .array(text(.origin))),
            FieldSchema("headers", .array(anyText)),
            FieldSchema("exposed_headers", .array(anyText)),
            FieldSchema(
                "methods", .array(FieldSchema("", .string, [.oneOf(corsMethods)])), default: strings(corsMethods)),
            FieldSchema("max_age", .number),
            flag("credentials", false),
            flag("private_network", false),
            flag("preflight_continue", false),
            flag("allow_origin_absent", true),
        ])

    static let keyAuth = PluginDescription(
        "key-auth", priority: 1250, allowsConsumer: false,
        [
            FieldSchema(
                "key_names", .array(text(.headerName)), required: true, default: strings(["apikey"]),
                [.lengthAtLeast(1)]),
            flag("hide_credentials", false),
            FieldSchema("anonymous", .string),
            flag("key_in_header", true),
            flag("key_in_query", true),
            flag("key_in_body", false),
            flag("run_on_preflight", true),
            FieldSchema("realm", .string),
        ])

    static let basicAuth = PluginDescription(
        "basic-auth", priority: 1100, allowsConsumer: false,
        [
            FieldSchema("anonymous", .string),
            flag("hide_credentials", false),
            FieldSchema("realm", .string, required: true, default: .string("service")),
        ])

    static let ipRestriction = PluginDescription(
        "ip-restriction", priority: 990, protocols: [.http, .https, .grpc, .grpcs, .tcp, .tls],
        defaultProtocols: [.grpc, .grpcs, .http, .https, .tcp, .tls],
        [
            FieldSchema("allow", .array(text(.ipOrPrefix))),
            FieldSchema("deny", .array(text(.ipOrPrefix))),
            FieldSchema("status", .integer, [.between(100, 599)]),
            FieldSchema("message", .string),
        ])

    static let requestSizeLimiting = PluginDescription(
        "request-size-limiting", priority: 951,
        [
            FieldSchema("allowed_payload_size", .integer, default: .int(128)),
            FieldSchema(
                "size_unit", .string, required: true, default: .string("megabytes"),
                [.oneOf(["megabytes", "kilobytes", "bytes"])]),
            flag("require_content_length", false),
        ])

    static let acl = PluginDescription(
        "acl", priority: 950, allowsConsumer: false,
        [
            FieldSchema("allow", .array(anyText)),
            FieldSchema("deny", .array(anyText)),
            flag("hide_groups_header", false),
            flag("always_use_authenticated_groups", false),
        ])

    /// Requests; fractions are allowed, as in Kong.
    private static let limit: [Rule] = [.greaterThan(0)]

    private static let redis = RecordSchema(
        "redis",
        [
            FieldSchema("host", .string, [.form(.host)]),
            FieldSchema("port", .integer, default: .int(6379), [.between(0, 65535)]),
            FieldSchema("timeout", .integer, default: .int(2000), [.between(0, 2_147_483_646)]),
            FieldSchema("username", .string, referenceable: true),
            FieldSchema("password", .string, [.lengthAtLeast(0)], referenceable: true),
            FieldSchema("database", .integer, default: .int(0)),
            FieldSchema("ssl", .boolean, default: .bool(false)),
            FieldSchema("ssl_verify", .boolean, default: .bool(false)),
            FieldSchema("server_name", .string, [.form(.serverName)]),
        ])

    static let rateLimiting = PluginDescription(
        "rate-limiting", priority: 910,
        [
            FieldSchema("second", .number, limit),
            FieldSchema("minute", .number, limit),
            FieldSchema("hour", .number, limit),
            FieldSchema("day", .number, limit),
            FieldSchema("month", .number, limit),
            FieldSchema("year", .number, limit),
            FieldSchema(
                "limit_by", .string, default: .string("consumer"),
                [.oneOf(["consumer", "credential", "ip", "service", "header", "path", "consumer-group"])]),
            FieldSchema("header_name", .string, [.form(.headerName)]),
            FieldSchema("path", .string, [.form(.path)]),
            FieldSchema(
                "policy", .string, default: .string("local"),
                [.lengthAtLeast(0), .oneOf(["local", "cluster", "redis"])]),
            flag("fault_tolerant", true),
            FieldSchema("redis", .record(redis), required: true),
            flag("hide_client_headers", false),
            FieldSchema("error_code", .number, default: .int(429), [.greaterThan(0)]),
            FieldSchema("error_message", .string, default: .string("API rate limit exceeded")),
            FieldSchema("sync_rate", .number, required: true, default: .int(-1)),
            FieldSchema("redis_host", .string, [.form(.host)], movedTo: ["redis", "host"]),
            FieldSchema("redis_port", .integer, [.between(0, 65535)], movedTo: ["redis", "port"]),
            FieldSchema("redis_timeout", .integer, movedTo: ["redis", "timeout"]),
            FieldSchema("redis_username", .string, movedTo: ["redis", "username"]),
            FieldSchema("redis_password", .string, [.lengthAtLeast(0)], movedTo: ["redis", "password"]),
            FieldSchema("redis_database", .integer, movedTo: ["redis", "database"]),
            FieldSchema("redis_ssl", .boolean, movedTo: ["redis", "ssl"]),
            FieldSchema("redis_ssl_verify", .boolean, movedTo: ["redis", "ssl_verify"]),
            FieldSchema("redis_server_name", .string, movedTo: ["redis", "server_name"]),
        ])

    private static func list(_ name: String, _ form: TextForm?) -> FieldSchema {
        FieldSchema(
            name, .array(form.map { text($0) } ?? anyText), required: true, default: empty)
    }

    private static func requestChange(_ name: String, headers: TextForm?, others: TextForm?) -> FieldSchema {
        var fields = [list("body", others), list("headers", headers), list("querystring", others)]
        if name == "replace" { fields.append(FieldSchema("uri", .string, [.form(.template)])) }
        return FieldSchema(name, .record(RecordSchema(name, fields)), required: true)
    }

    static let requestTransformer = PluginDescription(
        "request-transformer", priority: 801,
        [
            FieldSchema("http_method", .string, [.form(.method)]),
            requestChange("remove", headers: .plainName, others: .plainName),
            requestChange("rename", headers: .renamePair, others: .templatePair),
            requestChange("replace", headers: .templateHeaderPair, others: .templatePair),
            requestChange("add", headers: .templateHeaderPair, others: .templatePair),
            requestChange("append", headers: .templateHeaderPair, others: .templatePair),
        ])

    private static func responseChange(_ name: String, _ form: TextForm?, headers: TextForm?) -> FieldSchema {
        var fields = [list("headers", headers), list("json", form)]
        if name == "replace" || name == "add" || name == "append" {
            fields.append(
                FieldSchema(
                    "json_types", .array(FieldSchema("", .string, [.oneOf(["boolean", "number", "string"])])),
                    required: true, default: empty))
        }
        return FieldSchema(name, .record(RecordSchema(name, fields)), required: true)
    }

    static let responseTransformer = PluginDescription(
        "response-transformer", priority: 800,
        [
            responseChange("remove", nil, headers: nil),
            responseChange("rename", .pair, headers: .renamePair),
            responseChange("replace", .pair, headers: .headerPair),
            responseChange("add", .pair, headers: .headerPair),
            responseChange("append", .pair, headers: .headerPair),
        ])

    static let prometheus = PluginDescription(
        "prometheus", priority: 13, protocols: Set(GatewayProtocol.allCases),
        [
            flag("per_consumer", false),
            flag("status_code_metrics", false),
            flag("ai_metrics", false),
            flag("latency_metrics", false),
            flag("bandwidth_metrics", false),
            flag("upstream_health_metrics", false),
            flag("wasm_metrics", false),
        ])

    static let requestTermination = PluginDescription(
        "request-termination", priority: 2,
        [
            FieldSchema("status_code", .integer, required: true, default: .int(503), [.between(100, 599)]),
            FieldSchema("message", .string),
            FieldSchema("content_type", .string),
            FieldSchema("body", .string),
            flag("echo", false),
            FieldSchema("trigger", .string, [.form(.headerName)]),
        ])
}
