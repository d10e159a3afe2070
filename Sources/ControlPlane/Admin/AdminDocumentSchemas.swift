// Entity schemas as JSON Schema 2020-12: what answers hold, and what requests may.

import Model

/// The schemas of the document.
enum AdminDocumentSchemas {
    static func reference(_ name: String) -> ConfigValue {
        .record([.init("$ref", .string("#/components/schemas/\(name)"))])
    }

    static let all: [ConfigValue.Entry] =
        EntityKind.allCases.flatMap { kind -> [ConfigValue.Entry] in
            let name = ResourceType.of(kind).kind
            return [.init(name, answer(kind)), .init("\(name)Input", input(kind))]
        } + [
            .init("Error", error),
            .init("Message", object([("message", type("string"))], required: ["message"])),
            .init(
                "Tag",
                object(
                    [("entity_name", type("string")), ("entity_id", uuid), ("tag", type("string"))],
                    required: ["entity_name", "entity_id", "tag"])),
            .init(
                "DataPlane",
                object(
                    [
                        ("id", uuid), ("hostname", type("string")), ("ip", type("string")),
                        ("version", type("string")), ("last_seen", type("integer")),
                        ("config_hash", type("string")), ("sync_status", type("string")),
                    ], required: ["id", "hostname", "ip", "version", "last_seen", "config_hash", "sync_status"])),
        ]

    private static let uuid = ConfigValue.record([
        .init("type", .string("string")), .init("format", .string("uuid")),
    ])

    private static let error = object(
        [
            ("code", type("integer")), ("name", type("string")), ("message", type("string")),
            ("fields", type("object")), ("options", type("object")), ("flattened_errors", type("array")),
        ], required: ["message"])

    /// `{"data": […], "next": …, "offset": …}`
    static func page(_ element: ConfigValue) -> ConfigValue {
        object(
            [
                ("data", .record([.init("type", .string("array")), .init("items", element)])),
                ("next", .record([.init("type", .array([.string("string"), .string("null")]))])),
                ("offset", type("string")),
            ], required: ["data", "next"])
    }

    /// What `POST /config` takes.
    static let configuration = object(
        [("_format_version", .record([.init("enum", .array(["1.1", "2.1", "3.0"].map { .string($0) }))]))]
            + EntityKind.allCases.map { ($0.rawValue, type("array")) },
        required: ["_format_version"])

    // MARK: Entities

    /// Every field is there; what was not given and has no default is null.
    private static func answer(_ kind: EntityKind) -> ConfigValue {
        let schema = EntitySchemas.schema(kind)
        var properties = schema.fields.filter { $0.name != "url" }.map { ($0.name, json($0, isAnswer: true)) }
        // Without expressions a route has neither of the two.
        var required = properties.map(\.0).filter { kind != .routes || !["expression", "priority"].contains($0) }
        if kind == .certificates {
            properties.append(("snis", .record([.init("type", .string("array")), .init("items", type("string"))])))
            required.append("snis")
        }
        return object(properties, required: required, isOpen: false)
    }

    private static func input(_ kind: EntityKind) -> ConfigValue {
        var properties = EntitySchemas.schema(kind).fields.map { ($0.name, json($0, isAnswer: false)) }
        if kind == .certificates {
            properties.append(
                (
                    "snis",
                    .record([
                        .init("type", .array([.string("array"), .string("null")])), .init("items", type("string")),
                    ])
                ))
        }
        if kind == .plugins, let index = properties.firstIndex(where: { $0.0 == "name" }) {
            let names = PluginCatalog.supported.keys.sorted()
            properties[index].1 = .record([.init("enum", .array(names.map { .string($0) }))])
        }
        return object(properties, required: [], isOpen: false)
    }

    /// - Parameters:
    ///   - required: whether fields without a default must be given.
    ///   - field: a foreign key that the path gives.
    ///   - named: the path gives the entity's name.
    static func input(
        _ kind: EntityKind, required: Bool, without field: String?, named: Bool = false
    ) -> ConfigValue {
        let schema = reference("\(ResourceType.of(kind).kind)Input")
        guard required else { return schema }
        var names = EntitySchemas.schema(kind).fields.filter { $0.isRequired && $0.defaultValue.isNull }.map(\.name)
        // A url gives the host as well.
        names.removeAll { $0 == field || named && $0 == kind.endpointKey || kind == .services && $0 == "host" }
        guard !names.isEmpty else { return schema }
        return .record([
            .init(
                "allOf",
                .array([schema, .record([.init("required", .array(names.map { .string($0) }))])]))
        ])
    }

    /// A body that creates one; nil: it needs another entity or a certificate, which no example can have.
    static func example(_ kind: EntityKind, without field: String?) -> ConfigValue? {
        func record(_ fields: [(String, String)]) -> ConfigValue { .record(fields.map { .init($0.0, .string($0.1)) }) }
        let isChild = field != nil
        switch kind {
        case .services: return record([("name", "users"), ("url", "http://users.internal:8080")])
        case .routes: return .record([.init("name", .string("users")), .init("paths", .array([.string("/users")]))])
        case .upstreams: return record([("name", "users.internal")])
        case .targets: return record([("target", "10.0.0.1:8080")])
        case .consumers: return record([("username", "ada")])
        case .plugins: return record([("name", "cors")])
        case .keyAuthCredentials: return isChild ? record([("key", "a-key-of-your-own")]) : nil
        case .basicAuthCredentials: return isChild ? record([("username", "ada"), ("password", "secret")]) : nil
        case .hmacAuthCredentials: return isChild ? record([("username", "ada")]) : nil
        case .jwtSecrets: return isChild ? record([("key", "issuer")]) : nil
        case .oauth2Credentials: return isChild ? record([("name", "app")]) : nil
        case .acls: return isChild ? record([("group", "staff")]) : nil
        case .snis: return isChild ? record([("name", "users.example")]) : nil
        case .vaults: return record([("name", "env"), ("prefix", "my-env")])
        case .keySets: return record([("name", "signing")])
        case .keys, .certificates, .caCertificates: return nil
        }
    }

    // MARK: Fields

    private static func type(_ name: String) -> ConfigValue { .record([.init("type", .string(name))]) }

    private static func object(
        _ properties: [(String, ConfigValue)], required: [String], isOpen: Bool = true
    ) -> ConfigValue {
        var entries: [ConfigValue.Entry] = [
            .init("type", .string("object")),
            .init("properties", .record(properties.map { .init($0.0, $0.1) })),
        ]
        if !required.isEmpty { entries.append(.init("required", .array(required.map { .string($0) }))) }
        if !isOpen { entries.append(.init("additionalProperties", .bool(false))) }
        return .record(entries)
    }

    private static func json(_ field: FieldSchema, isAnswer: Bool) -> ConfigValue {
        // Null in a request puts a field back to its default.
        let isNullable = !field.isRequired || !isAnswer && !field.defaultValue.isNull
        var entries = entries(field.type, isAnswer: isAnswer)
        for rule in field.rules { add(rule, to: &entries) }
        if isNullable, let index = entries.firstIndex(where: { $0.key == "type" }) {
            entries[index].value = .array([entries[index].value, .string("null")])
            if let index = entries.firstIndex(where: { $0.key == "enum" }) {
                entries[index].value = .array((entries[index].value.array ?? []) + [.null])
            }
        }
        if !field.defaultValue.isNull { entries.append(.init("default", field.defaultValue)) }
        return .record(entries)
    }

    private static func element(_ field: FieldSchema, _ isAnswer: Bool) -> ConfigValue {
        var entries = entries(field.type, isAnswer: isAnswer)
        for rule in field.rules { add(rule, to: &entries) }
        return .record(entries)
    }

    private static func entries(_ type: FieldType, isAnswer: Bool) -> [ConfigValue.Entry] {
        func named(_ name: String) -> ConfigValue.Entry { .init("type", .string(name)) }
        switch type {
        case .string: return [named("string")]
        case .integer: return [named("integer")]
        case .number: return [named("number")]
        case .boolean: return [named("boolean")]
        case .array(let field), .set(let field):
            return [named("array"), .init("items", element(field, isAnswer))]
        case .map(_, let values):
            return [named("object"), .init("additionalProperties", element(values, isAnswer))]
        case .record(let schema):
            let properties = schema.fields.map { ConfigValue.Entry($0.name, json($0, isAnswer: isAnswer)) }
            return [named("object"), .init("properties", .record(properties))]
        case .open: return [named("object")]
        case .foreign:
            return [
                named("object"), .init("properties", .record([.init("id", uuid)])),
                .init("required", .array([.string("id")])),
            ]
        }
    }

    private static func add(_ rule: Rule, to entries: inout [ConfigValue.Entry]) {
        switch rule {
        case .oneOf(let values): entries.append(.init("enum", .array(values.map { .string($0) })))
        case .oneOfIntegers(let values): entries.append(.init("enum", .array(values.map { .int($0) })))
        case .between(let low, let high):
            entries.append(.init("minimum", whole(low)))
            entries.append(.init("maximum", whole(high)))
        case .greaterThan(let limit): entries.append(.init("exclusiveMinimum", whole(limit)))
        case .form(.uuid): entries.append(.init("format", .string("uuid")))
        case .form(.method): entries.append(.init("pattern", .string("^[A-Z]+$")))
        case .form(.tag): entries.append(.init("pattern", .string("^[^,/]+$")))
        case .form(let form): if let pattern = pattern(form) { entries.append(.init("pattern", .string(pattern))) }
        // Lengths count bytes, JSON Schema counts characters.
        case .lengthAtLeast, .lengthAtMost: break
        }
    }

    /// What every text of a form matches; the form may ask for more than that.
    private static func pattern(_ form: TextForm) -> String? {
        switch form {
        case .name: "^[A-Za-z0-9._~\\u0080-\\uffff-]+$"
        case .host, .serverName, .wildcardServerName, .upstreamName: "^[^ /?#@]+$"
        case .path: "^/"
        case .routePath: "^~?/"
        case .vaultPrefix: "^[a-z][a-z0-9-]*[a-z0-9]$"
        case .pair, .headerPair, .templatePair, .templateHeaderPair, .renamePair: ":"
        case .uuid, .routeHost, .method, .headerName, .headerMatch, .url, .ip, .ipOrPrefix, .tag, .origin, .regex,
            .template, .plainName, .cookieName, .target, .jwk:
            nil
        }
    }

    private static func whole(_ number: Double) -> ConfigValue {
        Int(exactly: number).map { .int($0) } ?? .double(number)
    }
}
