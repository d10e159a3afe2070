// A declarative description of what users write: fields, types, defaults and constraints.

/// The fields of an entity, of a plugin's `config`, or of a record inside either.
public final class RecordSchema: Sendable {
    public let name: String
    public let fields: [FieldSchema]
    private let positions: [String: Int]

    public init(_ name: String, _ fields: [FieldSchema]) {
        self.name = name
        self.fields = fields
        var positions: [String: Int] = [:]
        for (index, field) in fields.enumerated() { positions[field.name] = index }
        self.positions = positions
    }

    /// Position of a field in `fields`, nil if the schema has none of that name.
    public func position(of name: String) -> Int? { positions[name] }

    /// Position of a field that the schema is known to have.
    public subscript(name: String) -> Int {
        guard let position = positions[name] else { preconditionFailure("\(self.name) has no field \(name)") }
        return position
    }
}

/// The type of a field's value.
public indirect enum FieldType: Sendable {
    case string
    case integer
    case number
    case boolean
    case array(FieldSchema)
    /// An array whose repeated values are dropped.
    case set(FieldSchema)
    case map(keys: FieldSchema, values: FieldSchema)
    case record(RecordSchema)
    /// A record whose schema another field decides (a plugin's `config`).
    case open
    /// Another entity, by name or id.
    case foreign(EntityKind)

    /// As an error message names it.
    public var expectation: String {
        switch self {
        case .string: "a string"
        case .integer: "an integer"
        case .number: "a number"
        case .boolean: "a boolean"
        case .array: "an array"
        case .set: "a set"
        case .map: "a map"
        case .record, .open: "a record"
        case .foreign(let kind): "the name or id of one of the \(kind.rawValue)"
        }
    }
}

/// One field.
public struct FieldSchema: Sendable {
    public var name: String
    public var type: FieldType
    /// Must have a value after defaults were applied.
    public var isRequired: Bool
    /// Taken when the field is absent or null; `.null`: no default.
    public var defaultValue: ConfigValue
    public var rules: [Rule]
    /// May hold a `{vault://…}` reference.
    public var isReferenceable: Bool
    /// Where the value goes when this is a deprecated spelling: a path inside the same record.
    public var movedTo: [String]
    /// Not settable here: a foreign key that a plugin forbids, for example.
    public var isForbidden: Bool

    public init(
        _ name: String, _ type: FieldType, required: Bool = false, default defaultValue: ConfigValue = .null,
        _ rules: [Rule] = [], referenceable: Bool = false, movedTo: [String] = [], forbidden: Bool = false
    ) {
        self.name = name
        self.type = type
        self.isRequired = required
        self.defaultValue = defaultValue
        self.rules = rules
        self.isReferenceable = referenceable
        self.movedTo = movedTo
        self.isForbidden = forbidden
    }
}

/// What a value must hold to besides its type.
public enum Rule: Sendable {
    case oneOf([String])
    case oneOfIntegers([Int])
    case between(Double, Double)
    case greaterThan(Double)
    /// Bytes of a string, elements of an array. Strings have at least one byte unless this says 0.
    case lengthAtLeast(Int)
    case lengthAtMost(Int)
    case form(TextForm)
}

/// Forms of text that need more than a comparison.
public enum TextForm: String, Sendable {
    case uuid
    /// `[A-Za-z0-9.\-_~]` and letters outside ASCII.
    case name
    /// A host name or IP address without a port.
    case host
    /// A route's host: one `*` at most, leftmost or rightmost; a port may follow.
    case routeHost
    /// A path of a service: begins with `/`, no empty segment, RFC 3986 characters.
    case path
    /// `/prefix` in normal form, or `~/regex`.
    case routePath
    case method
    case headerName
    /// A header matcher's value; `~*` begins a regular expression.
    case headerMatch
    /// A TLS server name: no IP address, no port.
    case serverName
    case wildcardServerName
    case url
    case ip
    case ipOrPrefix
    /// A tag: no `,` and no `/`.
    case tag
    /// A regular expression (or `*`, for origins).
    case origin
    case regex
    /// `key:value`.
    case pair
    case headerPair
    /// A `key:value` whose value may hold `$(…)` templates.
    case templatePair
    case templateHeaderPair
    case renamePair
    case template
    /// A name in which templates are not read.
    case plainName
    case cookieName
    case vaultPrefix
    case upstreamName
    case target
    case jwk
}

/// The kinds of entity that a file declares, by Kong's names.
public enum EntityKind: String, Sendable, CaseIterable {
    case services, routes, upstreams, targets, consumers, plugins, certificates, snis
    case caCertificates = "ca_certificates"
    case keyAuthCredentials = "keyauth_credentials"
    case basicAuthCredentials = "basicauth_credentials"
    case hmacAuthCredentials = "hmacauth_credentials"
    case jwtSecrets = "jwt_secrets"
    case oauth2Credentials = "oauth2_credentials"
    case acls
    case vaults
    case keySets = "key_sets"
    case keys

    /// One of them, as a message says it.
    public var singular: String {
        switch self {
        case .services: "service"
        case .routes: "route"
        case .upstreams: "upstream"
        case .targets: "target"
        case .consumers: "consumer"
        case .plugins: "plugin"
        case .certificates: "certificate"
        case .snis: "sni"
        case .caCertificates: "ca_certificate"
        case .keyAuthCredentials: "key-auth credential"
        case .basicAuthCredentials: "basic-auth credential"
        case .hmacAuthCredentials: "hmac-auth credential"
        case .jwtSecrets: "jwt secret"
        case .oauth2Credentials: "oauth2 credential"
        case .acls: "acl group"
        case .vaults: "vault"
        case .keySets: "key set"
        case .keys: "key"
        }
    }
}
