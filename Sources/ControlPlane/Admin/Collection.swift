// How the Admin API calls each kind of entity: paths, the field that names one, what nests under what.

import Model

/// A child kind that stands under a parent's path because of a foreign key: routes under `/services/{service}`.
struct Nesting: Sendable, Hashable {
    var parent: EntityKind
    var child: EntityKind
    /// The child's foreign key.
    var field: String
}

extension EntityKind {
    /// The first segment of its paths.
    var collection: String {
        switch self {
        case .keyAuthCredentials: "key-auths"
        case .basicAuthCredentials: "basic-auths"
        case .hmacAuthCredentials: "hmac-auths"
        case .jwtSecrets: "jwts"
        case .oauth2Credentials: "oauth2"
        case .keySets: "key-sets"
        case .services, .routes, .upstreams, .targets, .consumers, .plugins, .certificates, .snis, .caCertificates,
            .acls, .vaults, .keys:
            rawValue
        }
    }

    /// Its segment under a parent.
    var nestedCollection: String {
        switch self {
        case .keyAuthCredentials: "key-auth"
        case .basicAuthCredentials: "basic-auth"
        case .hmacAuthCredentials: "hmac-auth"
        case .jwtSecrets: "jwt"
        default: collection
        }
    }

    /// The name of the path parameter that stands for one of them.
    var parameter: String {
        switch self {
        case .keyAuthCredentials: "key_auth"
        case .basicAuthCredentials: "basic_auth"
        case .hmacAuthCredentials: "hmac_auth"
        case .jwtSecrets: "jwt"
        case .oauth2Credentials: "oauth2_credential"
        case .acls: "acl"
        case .keySets: "key_set"
        default: singular
        }
    }

    /// The field that can stand in a path instead of the id; nil: only ids can.
    var endpointKey: String? {
        switch self {
        case .services, .routes, .upstreams, .snis, .keySets, .keys: "name"
        case .consumers, .basicAuthCredentials, .hmacAuthCredentials: "username"
        case .targets: "target"
        case .plugins: "instance_name"
        case .keyAuthCredentials, .jwtSecrets: "key"
        case .oauth2Credentials: "client_id"
        case .acls: "group"
        case .vaults: "prefix"
        // Certificates are also found by the name of an SNI; see Entities.find.
        case .certificates, .caCertificates: nil
        }
    }

    /// Whether it has a collection of its own: targets exist under their upstream only.
    var isTopLevel: Bool { self != .targets }

    /// Every foreign key of every kind, by the order of kinds and of fields.
    static let nestings: [Nesting] = allCases.flatMap { child in
        EntitySchemas.schema(child).fields.compactMap { field in
            guard case .foreign(let parent) = field.type else { return nil }
            return Nesting(parent: parent, child: child, field: field.name)
        }
    }

    /// What stands under it.
    var nested: [Nesting] { Self.nestings.filter { $0.parent == self } }
}
