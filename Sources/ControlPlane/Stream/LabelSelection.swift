// Which labels of gateways a configuration looks at: gateways that agree on those get the same snapshot.

internal import Model

/// What tells one group of gateways from another under a configuration: their labels, without those that no
/// resource chooses by.
struct LabelSelection: Hashable, Sendable {
    var labels: [String: String] = [:]

    init() {}

    /// - Parameter keys: those that the configuration chooses by.
    init(_ labels: [String: String], keys: Set<String>) {
        self.labels = labels.filter { keys.contains($0.key) }
    }

    /// The keys of all tags `seaway.gateways.KEY=VALUE` in a model.
    static func keys(in model: GatewayModel) -> Set<String> {
        var keys: Set<String> = []
        func scan(_ head: EntityHead) {
            for tag in head.tags where tag.hasPrefix(prefix) {
                let rest = tag.dropFirst(prefix.count)
                if let equals = rest.firstIndex(of: "=") { keys.insert(String(rest[..<equals])) }
            }
        }
        for entity in model.services { scan(entity.head) }
        for entity in model.routes { scan(entity.head) }
        for entity in model.upstreams { scan(entity.head) }
        for entity in model.upstreams { for target in entity.targets { scan(target.head) } }
        for entity in model.consumers { scan(entity.head) }
        for entity in model.plugins { scan(entity.head) }
        for entity in model.certificates { scan(entity.head) }
        for entity in model.serverNames { scan(entity.head) }
        for entity in model.caCertificates { scan(entity.head) }
        for entity in model.keyAuthCredentials { scan(entity.head) }
        for entity in model.basicAuthCredentials { scan(entity.head) }
        for entity in model.hmacAuthCredentials { scan(entity.head) }
        for entity in model.jwtSecrets { scan(entity.head) }
        for entity in model.oauth2Credentials { scan(entity.head) }
        for entity in model.vaults { scan(entity.head) }
        for entity in model.keySets { scan(entity.head) }
        for entity in model.keys { scan(entity.head) }
        return keys
    }

    private static let prefix = "seaway.gateways."
}

/// A configuration as a group of gateways gets it.
struct EditionKey: Hashable, Sendable {
    var revision: UInt64
    var selection: LabelSelection
}
