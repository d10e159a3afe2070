// Routes, services and consumers as the JSON objects that log records carry.

internal import Bytes
public import Snapshot

/// Makes the JSON objects that `RequestRecord` refers to. Made on a route's first request and kept
/// with the snapshot, so that 100,000 idle routes cost nothing.
public enum LogEntities {
    /// `route`, as Kong's log has it; null fields are left out.
    public static func route(_ route: Route, in snapshot: Snapshot) -> [UInt8] {
        var object = JSONObject()
        object.add("id", route.id.description)
        if !route.name.isEmpty { object.add("name", route.name) }
        if snapshot.services.indices.contains(route.service) {
            object.add("service", raw: "{\"id\":\"\(snapshot.services[route.service].id.description)\"}")
        }
        object.add("protocols", names(route.protocols))
        if !route.methods.isEmpty { object.add("methods", route.methods) }
        if !route.hosts.isEmpty { object.add("hosts", route.hosts) }
        if !route.paths.isEmpty { object.add("paths", route.paths) }
        if !route.headers.isEmpty {
            var headers = JSONObject()
            for rule in route.headers { headers.add(rule.name, rule.values) }
            object.add("headers", raw: headers.text)
        }
        if !route.serverNames.isEmpty { object.add("snis", route.serverNames) }
        object.add("regex_priority", route.regexPriority)
        object.add("strip_path", route.stripPath)
        object.add("path_handling", route.pathHandling == .v0 ? "v0" : "v1")
        object.add("preserve_host", route.preserveHost)
        object.add("https_redirect_status_code", route.httpsRedirectStatus)
        object.add("request_buffering", route.requestBuffering)
        object.add("response_buffering", route.responseBuffering)
        if route.createdAt != 0 { object.add("created_at", route.createdAt) }
        return Array(object.text.utf8)
    }

    /// `service`.
    public static func service(_ service: Service) -> [UInt8] {
        var object = JSONObject()
        object.add("id", service.id.description)
        if !service.name.isEmpty { object.add("name", service.name) }
        object.add("protocol", names(service.protocol).first ?? "http")
        object.add("host", service.host)
        object.add("port", service.port)
        if !service.path.isEmpty { object.add("path", service.path) }
        object.add("retries", service.retries)
        object.add("connect_timeout", service.connectTimeout)
        object.add("write_timeout", service.writeTimeout)
        object.add("read_timeout", service.readTimeout)
        object.add("enabled", service.enabled)
        return Array(object.text.utf8)
    }

    /// `consumer`.
    public static func consumer(_ consumer: Consumer) -> [UInt8] {
        var object = JSONObject()
        object.add("id", consumer.id.description)
        if !consumer.username.isEmpty { object.add("username", consumer.username) }
        if !consumer.customID.isEmpty { object.add("custom_id", consumer.customID) }
        return Array(object.text.utf8)
    }

    private static func names(_ protocols: Protocols) -> [String] {
        let all: [(Protocols, String)] = [
            (.http, "http"), (.https, "https"), (.grpc, "grpc"), (.grpcs, "grpcs"), (.tcp, "tcp"), (.tls, "tls"),
            (.udp, "udp"), (.tlsPassthrough, "tls_passthrough"),
        ]
        return all.filter { protocols.contains($0.0) }.map(\.1)
    }
}

/// Builds one JSON object as text, in the order of the calls. Not for the request path.
struct JSONObject {
    private var parts: [String] = []

    var text: String { "{" + parts.joined(separator: ",") + "}" }

    mutating func add(_ name: String, raw: String) { parts.append(Self.quote(name) + ":" + raw) }
    mutating func add(_ name: String, _ value: String) { add(name, raw: Self.quote(value)) }
    mutating func add(_ name: String, _ value: Int) { add(name, raw: String(value)) }
    mutating func add(_ name: String, _ value: Bool) { add(name, raw: value ? "true" : "false") }
    mutating func add(_ name: String, _ values: [String]) {
        add(name, raw: "[" + values.map(Self.quote).joined(separator: ",") + "]")
    }

    static func quote(_ text: String) -> String {
        var out = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": out += "\\\""
            case "\\": out += "\\\\"
            case "\n": out += "\\n"
            case "\r": out += "\\r"
            case "\t": out += "\\t"
            case "\u{0}"..<" ", "\u{7F}":
                let hex = String(scalar.value, radix: 16)
                out += "\\u" + String(repeating: "0", count: 4 - hex.count) + hex
            default: out.unicodeScalars.append(scalar)
            }
        }
        return out + "\""
    }
}
