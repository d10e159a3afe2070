// Plugin configurations -> typed filters, one mapping for each plugin name.

import Model
import Snapshot

/// The table of mappings. Configurations arrive complete and checked: defaults here only satisfy types.
enum FilterMapping {
    typealias Mapping = @Sendable (_ config: ConfigValue, _ plugin: PluginEntity, _ compilation: Compilation) -> Filter

    /// By plugin name. A test compares it with `PluginCatalog.supported`.
    static let table: [String: Mapping] = [
        "acl": { config, _, _ in .acl(acl(config)) },
        "basic-auth": { config, _, _ in .basicAuth(basicAuth(config)) },
        "correlation-id": { config, _, _ in .correlationID(correlationID(config)) },
        "cors": { config, _, _ in .cors(cors(config)) },
        "ip-restriction": { config, _, _ in .ipRestriction(ipRestriction(config)) },
        "key-auth": { config, _, _ in .keyAuth(keyAuth(config)) },
        "prometheus": { config, _, _ in .prometheus(prometheus(config)) },
        "rate-limiting": { config, plugin, compilation in .rateLimiting(rateLimiting(config, plugin, compilation)) },
        "request-size-limiting": { config, _, _ in .requestSizeLimiting(requestSizeLimiting(config)) },
        "request-termination": { config, _, _ in .requestTermination(requestTermination(config)) },
        "request-transformer": { config, _, _ in .requestTransformer(requestTransformer(config)) },
        "response-transformer": { config, _, _ in .responseTransformer(responseTransformer(config)) },
    ]

    static func filter(for plugin: PluginEntity, in compilation: Compilation) -> Filter? {
        table[plugin.name]?(plugin.config, plugin, compilation)
    }

    private static func acl(_ config: ConfigValue) -> ACL {
        var filter = ACL()
        filter.allow = config["allow"].strings
        filter.deny = config["deny"].strings
        filter.hideGroupsHeader = config["hide_groups_header"].bool ?? false
        filter.alwaysUseAuthenticatedGroups = config["always_use_authenticated_groups"].bool ?? false
        return filter
    }

    private static func basicAuth(_ config: ConfigValue) -> BasicAuth {
        var filter = BasicAuth()
        filter.hideCredentials = config["hide_credentials"].bool ?? false
        filter.anonymous = config["anonymous"].string ?? ""
        filter.realm = config["realm"].string ?? "service"
        return filter
    }

    private static func correlationID(_ config: ConfigValue) -> CorrelationID {
        var filter = CorrelationID()
        filter.headerName = config["header_name"].string ?? "Kong-Request-ID"
        filter.generator =
            switch config["generator"].string {
            case "uuid": .uuid
            case "tracker": .tracker
            default: .counter
            }
        filter.echoDownstream = config["echo_downstream"].bool ?? false
        return filter
    }

    private static func cors(_ config: ConfigValue) -> CORS {
        var filter = CORS()
        filter.origins = config["origins"].strings
        filter.methods = config["methods"].strings
        filter.headers = config["headers"].strings
        filter.exposedHeaders = config["exposed_headers"].strings
        filter.maxAge = whole(config["max_age"]) ?? -1
        filter.credentials = config["credentials"].bool ?? false
        filter.privateNetwork = config["private_network"].bool ?? false
        filter.preflightContinue = config["preflight_continue"].bool ?? false
        filter.allowOriginAbsent = config["allow_origin_absent"].bool ?? true
        return filter
    }

    private static func ipRestriction(_ config: ConfigValue) -> IPRestriction {
        var filter = IPRestriction()
        filter.allow = config["allow"].strings
        filter.deny = config["deny"].strings
        filter.status = config["status"].int ?? 403
        filter.message = config["message"].string ?? ""
        return filter
    }

    private static func keyAuth(_ config: ConfigValue) -> KeyAuth {
        var filter = KeyAuth()
        filter.keyNames = config["key_names"].strings
        filter.keyInHeader = config["key_in_header"].bool ?? true
        filter.keyInQuery = config["key_in_query"].bool ?? true
        filter.keyInBody = config["key_in_body"].bool ?? false
        filter.hideCredentials = config["hide_credentials"].bool ?? false
        filter.anonymous = config["anonymous"].string ?? ""
        filter.realm = config["realm"].string ?? ""
        filter.runOnPreflight = config["run_on_preflight"].bool ?? true
        return filter
    }

    private static func prometheus(_ config: ConfigValue) -> Prometheus {
        var filter = Prometheus()
        filter.perConsumer = config["per_consumer"].bool ?? false
        filter.statusCodeMetrics = config["status_code_metrics"].bool ?? false
        filter.latencyMetrics = config["latency_metrics"].bool ?? false
        filter.bandwidthMetrics = config["bandwidth_metrics"].bool ?? false
        filter.upstreamHealthMetrics = config["upstream_health_metrics"].bool ?? false
        return filter
    }

    private static func rateLimiting(
        _ config: ConfigValue, _ plugin: PluginEntity, _ compilation: Compilation
    ) -> RateLimiting {
        var filter = RateLimiting()
        filter.second = limit(config["second"])
        filter.minute = limit(config["minute"])
        filter.hour = limit(config["hour"])
        filter.day = limit(config["day"])
        filter.month = limit(config["month"])
        filter.year = limit(config["year"])
        filter.limitBy =
            switch config["limit_by"].string {
            case "credential": .credential
            case "ip": .ip
            case "service": .service
            case "header": .header
            case "path": .path
            default: .consumer
            }
        filter.headerName = config["header_name"].string ?? ""
        filter.path = config["path"].string ?? ""
        filter.hideClientHeaders = config["hide_client_headers"].bool ?? false
        filter.faultTolerant = config["fault_tolerant"].bool ?? true
        filter.errorCode = whole(config["error_code"]) ?? 429
        filter.errorMessage = config["error_message"].string ?? "API rate limit exceeded"
        if plugin.route >= 0 { filter.route = ID(compilation.model.routes[plugin.route].head.id) }
        if plugin.service >= 0 { filter.service = ID(compilation.model.services[plugin.service].head.id) }
        return filter
    }

    private static func requestSizeLimiting(_ config: ConfigValue) -> RequestSizeLimiting {
        var filter = RequestSizeLimiting()
        filter.allowedPayloadSize = config["allowed_payload_size"].int ?? 128
        filter.sizeUnit =
            switch config["size_unit"].string {
            case "kilobytes": .kilobytes
            case "bytes": .bytes
            default: .megabytes
            }
        filter.requireContentLength = config["require_content_length"].bool ?? false
        return filter
    }

    private static func requestTermination(_ config: ConfigValue) -> RequestTermination {
        var filter = RequestTermination()
        filter.statusCode = config["status_code"].int ?? 503
        filter.message = config["message"].string ?? ""
        filter.body = config["body"].string ?? ""
        filter.contentType = config["content_type"].string ?? ""
        filter.echo = config["echo"].bool ?? false
        filter.trigger = config["trigger"].string ?? ""
        return filter
    }

    private static func requestTransformer(_ config: ConfigValue) -> RequestTransformer {
        var filter = RequestTransformer()
        filter.httpMethod = config["http_method"].string ?? ""
        filter.remove.headers = config["remove"]["headers"].strings
        filter.remove.querystring = config["remove"]["querystring"].strings
        filter.remove.body = config["remove"]["body"].strings
        filter.rename = requestEdits(config["rename"])
        filter.replace = requestEdits(config["replace"])
        if let uri = config["replace"]["uri"].string { filter.replaceURI = (try? Template(parsing: uri)) ?? Template() }
        filter.add = requestEdits(config["add"])
        filter.append = requestEdits(config["append"])
        return filter
    }

    private static func requestEdits(_ config: ConfigValue) -> RequestEdits {
        var edits = RequestEdits()
        edits.headers = config["headers"].strings.compactMap(pair)
        edits.querystring = config["querystring"].strings.compactMap(pair)
        edits.body = config["body"].strings.compactMap(pair)
        return edits
    }

    /// The dialect refused what is no pair or holds an unknown expression.
    private static func pair(_ entry: String) -> TemplatePair? { (try? TemplatePair(parsing: entry)) ?? nil }

    private static func responseTransformer(_ config: ConfigValue) -> ResponseTransformer {
        var filter = ResponseTransformer()
        filter.remove.headers = config["remove"]["headers"].strings
        filter.remove.json = config["remove"]["json"].strings
        filter.rename = responseEdits(config["rename"])
        filter.replace = responseEdits(config["replace"])
        filter.add = responseEdits(config["add"])
        filter.append = responseEdits(config["append"])
        return filter
    }

    private static func responseEdits(_ config: ConfigValue) -> ResponseEdits {
        var edits = ResponseEdits()
        edits.headers = config["headers"].strings.compactMap { TypedPair(parsing: $0) }
        let types = config["json_types"].strings
        for (index, entry) in config["json"].strings.enumerated() {
            let type: JSONType =
                switch index < types.count ? types[index] : "string" {
                case "number": .number
                case "boolean": .boolean
                default: .string
                }
            if let pair = TypedPair(parsing: entry, type: type) { edits.json.append(pair) }
        }
        return edits
    }

    // MARK: Numbers

    /// A number without its fraction; nil when it is none or does not fit.
    private static func whole(_ value: ConfigValue) -> Int? {
        value.number.flatMap { Int(exactly: $0.rounded(.down)) }
    }

    /// Requests per window. Kong counts whole requests against a fraction, so 0.5 allows none after the
    /// first would exceed it; the least that means a limit here is 1.
    private static func limit(_ value: ConfigValue) -> Int {
        guard let number = value.number, number > 0 else { return 0 }
        return max(1, Int(exactly: number.rounded(.down)) ?? Int.max)
    }
}
