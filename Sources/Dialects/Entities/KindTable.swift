// One value for each kind of entity, without hashing.

import Model

/// An array that is indexed by kind.
struct KindTable<Value> {
    private var values: [Value]

    init(repeating value: Value) { values = Array(repeating: value, count: EntityKind.allCases.count) }

    subscript(kind: EntityKind) -> Value {
        get { values[Self.position(kind)] }
        _modify { yield &values[Self.position(kind)] }
    }

    private static func position(_ kind: EntityKind) -> Int {
        switch kind {
        case .services: 0
        case .routes: 1
        case .upstreams: 2
        case .targets: 3
        case .consumers: 4
        case .plugins: 5
        case .certificates: 6
        case .snis: 7
        case .caCertificates: 8
        case .keyAuthCredentials: 9
        case .basicAuthCredentials: 10
        case .hmacAuthCredentials: 11
        case .jwtSecrets: 12
        case .oauth2Credentials: 13
        case .acls: 14
        case .vaults: 15
        case .keySets: 16
        case .keys: 17
        }
    }
}

extension KindTable: Sendable where Value: Sendable {}
