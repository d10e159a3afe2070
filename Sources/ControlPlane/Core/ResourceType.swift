// The types of resource: what each is called, what it refers to, what is unique in it, what goes with it.

public import Model
internal import Store

/// A type of resource. Kong's entities have Kong's plurals; everything else is named likewise.
public struct ResourceType: Sendable {
    /// A field that names another resource by its id.
    public struct Reference: Sendable, Equatable {
        public var field: String
        /// The plural of what it names.
        public var target: String
        /// What becomes of this resource when the other one is deleted: it goes too, or the deletion is refused.
        public var cascades: Bool
        /// The field is an array of ids.
        public var isList = false
    }

    /// As it stands in paths: `services`.
    public var plural: String
    /// As it stands in documents: `Service`.
    public var kind: String
    /// Kong's entity; nil: no part of a gateway's configuration.
    public var entity: EntityKind?
    public var schema: RecordSchema
    /// The field that holds the unique name; empty: none.
    public var nameField: String
    public var references: [Reference]
    /// Fields, or groups of fields, whose values no two resources of the type share; nulls do not count.
    public var unique: [[String]]

    init(
        _ kind: String, _ entity: EntityKind, name: String = "", references: [Reference] = [], unique: [[String]] = []
    ) {
        plural = entity.rawValue
        self.kind = kind
        self.entity = entity
        schema = EntitySchemas.schema(entity)
        nameField = name
        self.references = references
        self.unique = unique
    }

    init(_ kind: String, plural: String, schema: RecordSchema) {
        self.plural = plural
        self.kind = kind
        self.schema = schema
        nameField = "name"
        references = []
        unique = []
    }
}

extension ResourceType {
    /// Every type, those first that others refer to.
    public static let all: [ResourceType] = gateway + [roles]

    /// By plural; nil: unknown.
    public static func named(_ plural: String) -> ResourceType? { byPlural[plural] }
    /// By the `type:` of a document; nil: unknown.
    public static func ofKind(_ kind: String) -> ResourceType? { byKind[kind] }
    public static func of(_ entity: EntityKind) -> ResourceType {
        guard let type = byPlural[entity.rawValue] else { preconditionFailure("\(entity) has no resource type") }
        return type
    }

    private static let byPlural = Dictionary(uniqueKeysWithValues: all.map { ($0.plural, $0) })
    private static let byKind = Dictionary(uniqueKeysWithValues: all.map { ($0.kind, $0) })

    private static func owner(_ field: String, _ target: EntityKind) -> Reference {
        Reference(field: field, target: target.rawValue, cascades: true)
    }
    private static func user(_ field: String, _ target: EntityKind) -> Reference {
        Reference(field: field, target: target.rawValue, cascades: false)
    }

    private static let gateway: [ResourceType] = [
        ResourceType("Vault", .vaults, name: "prefix"),
        ResourceType("KeySet", .keySets, name: "name"),
        ResourceType("Key", .keys, name: "name", references: [owner("set", .keySets)], unique: [["kid", "set"]]),
        ResourceType("CACertificate", .caCertificates, unique: [["cert"]]),
        ResourceType("Certificate", .certificates),
        ResourceType("SNI", .snis, name: "name", references: [owner("certificate", .certificates)]),
        ResourceType(
            "Upstream", .upstreams, name: "name", references: [user("client_certificate", .certificates)]),
        ResourceType(
            "Target", .targets, references: [owner("upstream", .upstreams)], unique: [["upstream", "target"]]),
        ResourceType(
            "Service", .services, name: "name",
            references: [
                user("client_certificate", .certificates),
                Reference(
                    field: "ca_certificates", target: EntityKind.caCertificates.rawValue, cascades: false, isList: true),
            ]),
        ResourceType("Route", .routes, name: "name", references: [user("service", .services)]),
        ResourceType("Consumer", .consumers, name: "username", unique: [["custom_id"]]),
        ResourceType(
            "Plugin", .plugins, name: "instance_name",
            references: [owner("route", .routes), owner("service", .services), owner("consumer", .consumers)]),
        ResourceType(
            "KeyAuthCredential", .keyAuthCredentials, references: [owner("consumer", .consumers)], unique: [["key"]]),
        ResourceType(
            "BasicAuthCredential", .basicAuthCredentials, references: [owner("consumer", .consumers)],
            unique: [["username"]]),
        ResourceType(
            "HMACAuthCredential", .hmacAuthCredentials, references: [owner("consumer", .consumers)],
            unique: [["username"]]),
        ResourceType("JWTSecret", .jwtSecrets, references: [owner("consumer", .consumers)], unique: [["key"]]),
        ResourceType(
            "OAuth2Credential", .oauth2Credentials, references: [owner("consumer", .consumers)],
            unique: [["client_id"]]),
        ResourceType(
            "ACL", .acls, references: [owner("consumer", .consumers)], unique: [["consumer", "group"]]),
    ]

    /// What people and tokens may do beyond the built-in roles.
    private static let roles = ResourceType(
        "Role", plural: "roles",
        schema: RecordSchema(
            "roles",
            [
                FieldSchema("name", .string, required: true, [.form(.name)]),
                FieldSchema("description", .string),
                FieldSchema(
                    "rules", .array(FieldSchema("", .record(roleRule))), required: true, [.lengthAtLeast(1)]),
            ]))

    private static let roleRule = RecordSchema(
        "rule",
        [
            FieldSchema(
                "verbs", .set(FieldSchema("", .string, [.oneOf(Verb.allCases.map(\.rawValue))])),
                default: .array([])),
            FieldSchema("types", .set(FieldSchema("", .string)), default: .array([])),
            FieldSchema(
                "labels", .map(keys: FieldSchema("", .string), values: FieldSchema("", .string)),
                default: .record([])),
        ])
}

/// What the catalog must know of a spec: read out of it once.
struct SpecFacts: Sendable {
    var name: String?
    var labels: [String: String] = [:]
    /// Where its references lead, with the rule of each.
    var references: [(target: ResourceKey, rule: ResourceType.Reference)] = []
    /// Values that must be unique, as `field=value` and how a message names the value.
    var unique: [UniqueValue] = []

    struct UniqueValue: Sendable, Hashable {
        var field: String
        var value: String
    }

    init(_ spec: ConfigValue, of type: ResourceType) {
        if !type.nameField.isEmpty, let text = spec[type.nameField].string, !text.isEmpty { name = text }
        for tag in spec["tags"].strings {
            guard let equals = tag.firstIndex(of: "="), equals != tag.startIndex else { continue }
            labels[String(tag[..<equals])] = String(tag[tag.index(after: equals)...])
        }
        if type.entity == nil {
            for entry in spec["labels"].entries ?? [] { labels[entry.key] = entry.value.string }
        }
        for rule in type.references {
            let value = spec[rule.field]
            for item in rule.isList ? value.array ?? [] : [value] {
                guard let id = Self.identifier(item) else { continue }
                references.append((ResourceKey(type: rule.target, id: id), rule))
            }
        }
        for fields in type.unique {
            let texts = fields.map { Self.text(spec[$0]) }
            guard texts.contains(where: { $0 != nil }), fields.count > 1 || texts[0] != nil else { continue }
            unique.append(
                UniqueValue(
                    field: fields.joined(separator: ","), value: texts.map { $0 ?? "" }.joined(separator: ",")))
        }
        if type.entity == .plugins {
            let scope = ["route", "service", "consumer"].map { Self.text(spec[$0]) ?? "" }
            unique.append(
                UniqueValue(
                    field: "name,route,service,consumer",
                    value: ([spec["name"].string ?? ""] + scope).joined(separator: ",")))
        }
    }

    static func identifier(_ value: ConfigValue) -> Identifier? {
        (value.string ?? value["id"].string).flatMap { Identifier($0) }
    }

    private static func text(_ value: ConfigValue) -> String? {
        value.string ?? value["id"].string ?? value.int.map { String($0) }
    }
}
