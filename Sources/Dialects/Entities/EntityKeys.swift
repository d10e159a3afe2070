// By what an entity is found and told apart from others of its kind, besides its id.

import Model

/// The keys of one entity.
struct EntityKeys: Equatable {
    /// No two entities of a kind share one. The field is for messages: several with commas between them.
    var unique: [(field: String, key: String)] = []
    /// For entities without a name: what they say. Several may say the same.
    var content: String?

    static func == (a: EntityKeys, b: EntityKeys) -> Bool {
        a.content == b.content && a.unique.elementsEqual(b.unique) { $0 == $1 }
    }

    mutating func add(_ field: String, _ key: String) {
        if !key.isEmpty { unique.append((field, key)) }
    }

    /// Consumers are found by both of their names.
    static func customID(_ id: String) -> String { "\u{1}custom_id:\(id)" }

    static func target(_ upstream: Identifier, _ target: TargetEntity) -> EntityKeys {
        EntityKeys(unique: [("target", "\(upstream):\(target.host):\(target.port)")])
    }

    static func group(_ consumer: Identifier, _ group: String) -> EntityKeys {
        EntityKeys(unique: [("group", "acls:\(consumer):\(group)")])
    }
}

/// Gives the id behind an index; nil for none.
typealias ParentID = (EntityKind, Int) -> Identifier?

/// An entity that has an array of its own in `GatewayModel`.
protocol GatewayEntity {
    static var kind: EntityKind { get }
    var head: EntityHead { get set }
    func keys(_ parent: ParentID) -> EntityKeys
    /// What a finding calls it; empty: by its id. No secrets.
    var title: String { get }
    /// Takes over what belongs to it but was declared elsewhere.
    mutating func adopt(childrenOf old: Self)
}

extension GatewayEntity {
    mutating func adopt(childrenOf old: Self) {}
    var title: String { "" }

    /// `route "users"`, or with its id if it has no name.
    var label: String { "\(Self.kind.singular) \"\(title.isEmpty ? head.id.description : title)\"" }
}

extension ServiceEntity: GatewayEntity {
    static var kind: EntityKind { .services }
    var title: String { name }
    func keys(_ parent: ParentID) -> EntityKeys {
        var keys = EntityKeys()
        keys.add("name", name)
        if name.isEmpty { keys.content = "\(`protocol`.rawValue)://\(host):\(port)\(path)" }
        return keys
    }
}

extension RouteEntity: GatewayEntity {
    static var kind: EntityKind { .routes }
    var title: String { name }
    func keys(_ parent: ParentID) -> EntityKeys {
        var keys = EntityKeys()
        keys.add("name", name)
        if name.isEmpty { keys.content = content(service: parent(.services, service)?.description ?? "") }
        return keys
    }

    /// What a route without a name is known by.
    func content(service: String) -> String {
        var parts = [service]
        parts.append(methods.joined(separator: ","))
        parts.append(hosts.joined(separator: ","))
        parts.append(paths.joined(separator: ","))
        parts.append(headers.map { "\($0.name)=\($0.values.joined(separator: ","))" }.joined(separator: "&"))
        parts.append(serverNames.joined(separator: ","))
        for side in [sources, destinations] where !side.isEmpty {
            parts.append(side.map { "\($0.ip):\($0.port)" }.joined(separator: ","))
        }
        if !expression.isEmpty { parts.append(expression) }
        return parts.joined(separator: "|")
    }
}

extension UpstreamEntity: GatewayEntity {
    static var kind: EntityKind { .upstreams }
    var title: String { name }
    func keys(_ parent: ParentID) -> EntityKeys { EntityKeys(unique: [("name", name)]) }
    mutating func adopt(childrenOf old: UpstreamEntity) { targets = old.targets }
}

extension ConsumerEntity: GatewayEntity {
    static var kind: EntityKind { .consumers }
    var title: String { username.isEmpty ? customID : username }
    func keys(_ parent: ParentID) -> EntityKeys {
        var keys = EntityKeys()
        keys.add("username", username)
        if !customID.isEmpty { keys.add("custom_id", EntityKeys.customID(customID)) }
        return keys
    }
    mutating func adopt(childrenOf old: ConsumerEntity) { groups = old.groups }
}

extension PluginEntity: GatewayEntity {
    static var kind: EntityKind { .plugins }
    var title: String { name }
    func keys(_ parent: ParentID) -> EntityKeys {
        var keys = EntityKeys()
        keys.add("instance_name", instanceName)
        func part(_ kind: EntityKind, _ index: Int) -> String { parent(kind, index)?.description ?? "" }
        keys.add(
            "name, route, service, consumer",
            "plugins:\(name):\(part(.routes, route)):\(part(.services, service)):\(part(.consumers, consumer))")
        return keys
    }
}

extension CertificateEntity: GatewayEntity {
    static var kind: EntityKind { .certificates }
    func keys(_ parent: ParentID) -> EntityKeys { EntityKeys(content: SHA1.hex(certificate)) }
}

extension ServerNameEntity: GatewayEntity {
    static var kind: EntityKind { .snis }
    var title: String { name }
    func keys(_ parent: ParentID) -> EntityKeys { EntityKeys(unique: [("name", name)]) }
}

extension CACertificateEntity: GatewayEntity {
    static var kind: EntityKind { .caCertificates }
    func keys(_ parent: ParentID) -> EntityKeys { EntityKeys(unique: [("cert_digest", SHA1.hex(certificate))]) }
}

extension KeyAuthEntity: GatewayEntity {
    static var kind: EntityKind { .keyAuthCredentials }
    func keys(_ parent: ParentID) -> EntityKeys { EntityKeys(unique: [("key", key)]) }
}

extension BasicAuthEntity: GatewayEntity {
    static var kind: EntityKind { .basicAuthCredentials }
    func keys(_ parent: ParentID) -> EntityKeys { EntityKeys(unique: [("username", username)]) }
}

extension HMACAuthEntity: GatewayEntity {
    static var kind: EntityKind { .hmacAuthCredentials }
    func keys(_ parent: ParentID) -> EntityKeys { EntityKeys(unique: [("username", username)]) }
}

extension JWTSecretEntity: GatewayEntity {
    static var kind: EntityKind { .jwtSecrets }
    func keys(_ parent: ParentID) -> EntityKeys {
        if !key.isEmpty { return EntityKeys(unique: [("key", key)]) }
        return EntityKeys(content: "\(parent(.consumers, consumer)?.description ?? "")|\(algorithm)")
    }
}

extension OAuth2Entity: GatewayEntity {
    static var kind: EntityKind { .oauth2Credentials }
    func keys(_ parent: ParentID) -> EntityKeys {
        if !clientID.isEmpty { return EntityKeys(unique: [("client_id", clientID)]) }
        return EntityKeys(content: "\(parent(.consumers, consumer)?.description ?? "")|\(name)")
    }
}

extension VaultEntity: GatewayEntity {
    static var kind: EntityKind { .vaults }
    var title: String { prefix }
    func keys(_ parent: ParentID) -> EntityKeys { EntityKeys(unique: [("prefix", prefix)]) }
}

extension KeySetEntity: GatewayEntity {
    static var kind: EntityKind { .keySets }
    var title: String { name }
    func keys(_ parent: ParentID) -> EntityKeys {
        var keys = EntityKeys()
        keys.add("name", name)
        return keys
    }
}

extension KeyEntity: GatewayEntity {
    static var kind: EntityKind { .keys }
    var title: String { name }
    func keys(_ parent: ParentID) -> EntityKeys {
        var keys = EntityKeys()
        keys.add("name", name)
        keys.add("kid, set", "keys:\(keyID):\(parent(.keySets, set)?.description ?? "")")
        return keys
    }
}
