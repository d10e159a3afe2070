// Secrets inside resources: shown to those who may change them, `<redacted>` to everybody else.

public import Model
public import Store

public enum Redaction {
    /// What stands in the place of a secret.
    public static let mark = "<redacted>"

    /// Dotted paths of the secret fields of each type.
    private static let fields: [String: [[String]]] = [
        "certificates": [["key"], ["key_alt"]],
        "keyauth_credentials": [["key"]],
        "basicauth_credentials": [["password"]],
        "hmacauth_credentials": [["secret"]],
        "jwt_secrets": [["secret"]],
        "oauth2_credentials": [["client_secret"]],
        "keys": [["jwk"], ["pem", "private_key"]],
    ]
    /// Fields of plugin configurations, at any depth.
    private static let pluginFields: Set<String> = [
        "password", "secret", "client_secret", "redis_password", "sentinel_password", "private_key", "api_key",
    ]

    /// Whether resources of the type can hold secrets at all.
    public static func concerns(_ type: String) -> Bool { type == "plugins" || fields[type] != nil }

    /// The spec as `author` may see it: with secrets only when they could also replace them.
    public static func shown(_ resource: Resource, to author: Author) -> [UInt8] {
        guard concerns(resource.key.type),
            !author.may(.update, type: resource.key.type, labels: resource.labels),
            let spec = try? ConfigValue(json: resource.spec)
        else { return resource.spec }
        return redacted(spec, type: resource.key.type).json
    }

    /// A spec without its secrets. References into a vault stay: they are no secrets.
    public static func redacted(_ spec: ConfigValue, type: String) -> ConfigValue {
        if type == "plugins" {
            guard case .record(let entries) = spec else { return spec }
            return .record(
                entries.map { entry in
                    entry.key == "config" ? ConfigValue.Entry(entry.key, withoutSecrets(entry.value)) : entry
                })
        }
        return (fields[type] ?? []).reduce(spec) { hide($1[...], in: $0) }
    }

    /// A value that stands at `path` inside a spec, without its secrets.
    static func redacted(_ value: ConfigValue, type: String, inside path: [String]) -> ConfigValue {
        let wrapped = path.reversed().reduce(value) { ConfigValue.record([ConfigValue.Entry($1, $0)]) }
        return path.reduce(redacted(wrapped, type: type)) { $0[$1] }
    }

    private static func hide(_ path: ArraySlice<String>, in value: ConfigValue) -> ConfigValue {
        guard let first = path.first else { return hidden(value) }
        guard case .record(let entries) = value else { return value }
        return .record(
            entries.map { entry in
                entry.key == first ? ConfigValue.Entry(entry.key, hide(path.dropFirst(), in: entry.value)) : entry
            })
    }

    private static func withoutSecrets(_ value: ConfigValue) -> ConfigValue {
        switch value {
        case .record(let entries):
            .record(
                entries.map { entry in
                    let isSecret = pluginFields.contains(entry.key)
                    return ConfigValue.Entry(entry.key, isSecret ? hidden(entry.value) : withoutSecrets(entry.value))
                })
        case .array(let values): .array(values.map(withoutSecrets))
        default: value
        }
    }

    private static func hidden(_ value: ConfigValue) -> ConfigValue {
        if value.isNull { return .null }
        if let text = value.string, text.isEmpty || text.hasPrefix("{vault://") { return value }
        return .string(mark)
    }
}
