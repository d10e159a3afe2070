// Fields that a schema lacks: those of Kong Enterprise, those in the wrong place, and slips of the hand.

import Model

extension KongLoader {
    /// Fields that exist in Kong Enterprise only, by the record that they stand in.
    private static let enterpriseFields: [String: Set<String>] = [
        "plugins": ["ordering", "condition", "partials", "consumer_group"],
        "services": ["tls_sans"],
        "upstreams": ["sticky_sessions_cookie", "sticky_sessions_cookie_path"],
        "consumers": ["groups", "type"],
        "targets": ["failover"],
        "acl": ["include_consumer_groups"],
        "basic-auth": ["brute_force_protection"],
        "key-auth": ["identity_realms"],
        "redis": ["cloud_authentication"],
    ]

    func reportUnknown(_ key: String, _ entry: Int, _ record: Int, _ schema: RecordSchema) {
        if Self.enterpriseFields[schema.name]?.contains(key) == true {
            if isIdle(key, document.value(entry)) { return }
            refuse(
                .enterpriseField, at: entry, field: key, "\(key) exists in Kong Enterprise only",
                remedy: "remove the field")
            return
        }
        if schema.name == "plugins", let name = document.string(maybe: document.member(record, "name")),
            PluginCatalog.supported[name]?.config.position(of: key) != nil
        {
            refuse(
                .unknownField, at: entry, field: key, "unknown field \(key)",
                remedy: "move it into config:, where \(name) has a field of that name")
            return
        }
        let near = Suggestion.nearest(to: key, in: schema.fields.map(\.name))
        refuse(
            .unknownField, at: entry, field: key, "unknown field \(key)",
            remedy: near.map { "did you mean \($0)?" } ?? "remove it, or see docs/kong-compatibility.md")
    }

    /// Kong Enterprise dumps every field with its default; a value that changes nothing is no reason to
    /// refuse the file.
    private func isIdle(_ key: String, _ value: Int) -> Bool {
        if document.kind(value) == .null { return true }
        switch key {
        case "include_consumer_groups", "failover": return document.bool(value) == false
        // Read by the algorithm sticky-sessions alone, which has a finding of its own.
        case "sticky_sessions_cookie", "sticky_sessions_cookie_path": return document.kind(value) == .string
        case "brute_force_protection":
            guard document.kind(value) == .record else { return false }
            let strategy = document.member(value, "strategy")
            // YAML reads an unquoted off as false.
            return strategy == Document.none || document.bool(strategy) == false || document.string(strategy) == "off"
        case "identity_realms":
            // "cp" is the file's own consumers.
            return document.kind(value) == .array
                && elements(value).allSatisfy {
                    document.kind($0) == .record && document.string(maybe: document.member($0, "scope")) == "cp"
                }
        default: return false
        }
    }

    /// `ws` and `wss`, which Kong Enterprise has as protocols of services and routes.
    func reportsWebSocket(_ value: String, among values: [String], at node: Int) -> Bool {
        guard value == "ws" || value == "wss", values.contains("http") else { return false }
        report(
            .enterpriseField, at: node, "the protocol \(value) exists in Kong Enterprise only",
            remedy: "write \(value == "ws" ? "http" : "https"); WebSockets work over it")
        return true
    }
}
