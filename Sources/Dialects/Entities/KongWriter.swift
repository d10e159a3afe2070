// Stored entities as a kong.yml: what an export gives, and what reading it gives back.

public import Model

/// Writes Kong's declarative format 3.0 in the shape of decK's dumps.
public enum KongWriter {
    /// - Parameter entities: kinds and specs, in the order in which they are to stand. References that lead out of them
    ///   are written as ids.
    /// - Returns: YAML. Children nest in their parents, references are names where there is one, defaults and times are
    ///   left out, ids are written only where there is no name to find the entity by. `_transform: false` says that
    ///   passwords are hashed; their hashes are over the ids of consumers, which are written then.
    public static func write(_ entities: [(kind: EntityKind, spec: ConfigValue)]) -> [UInt8] {
        var writer = Writer(entities)
        return YAMLText.write(writer.file())
    }
}

/// Puts entities into each other.
private struct Writer {
    typealias Entry = ConfigValue.Entry

    private let entities: [(kind: EntityKind, spec: ConfigValue)]
    /// Positions in `entities` by kind and id.
    private var positions = KindTable<[String: Int]>(repeating: [:])
    private var children: [Int: [Int]] = [:]
    private var roots = KindTable<[Int]>(repeating: [])
    private var needsID: Set<Int> = []
    private var hasHashes = false

    /// The order of sections in decK's dumps.
    private static let sections: [EntityKind] = [
        .vaults, .certificates, .caCertificates, .keySets, .keys, .services, .routes, .upstreams, .targets, .snis,
        .consumers, .plugins, .acls, .keyAuthCredentials, .basicAuthCredentials, .hmacAuthCredentials, .jwtSecrets,
        .oauth2Credentials,
    ]

    init(_ entities: [(kind: EntityKind, spec: ConfigValue)]) {
        self.entities = entities
        for (index, entity) in entities.enumerated() {
            if let id = entity.spec["id"].string { positions[entity.kind][id] = index }
        }
        for index in entities.indices {
            if let parent = parent(of: index) {
                children[parent, default: []].append(index)
            } else {
                roots[entities[index].kind].append(index)
            }
            noteID(index)
        }
    }

    /// The entity that this one is written inside of.
    private func parent(of index: Int) -> Int? {
        let spec = entities[index].spec
        func found(_ kind: EntityKind, _ field: String) -> Int? {
            spec[field]["id"].string.flatMap { positions[kind][$0] }
        }
        switch entities[index].kind {
        case .routes: return found(.services, "service")
        case .targets: return found(.upstreams, "upstream")
        case .snis: return found(.certificates, "certificate")
        case .keys: return found(.keySets, "set")
        case .acls, .keyAuthCredentials, .basicAuthCredentials, .hmacAuthCredentials, .jwtSecrets, .oauth2Credentials:
            return found(.consumers, "consumer")
        case .plugins:
            // On one thing: inside of it. On several: by itself.
            let scopes = [("route", EntityKind.routes), ("service", .services), ("consumer", .consumers)]
            let given = scopes.filter { !spec[$0.0].isNull }
            guard given.count == 1, let scope = given.first else { return nil }
            return found(scope.1, scope.0)
        case .services, .upstreams, .consumers, .certificates, .caCertificates, .vaults, .keySets: return nil
        }
    }

    private mutating func noteID(_ index: Int) {
        let (kind, spec) = entities[index]
        switch kind {
        case .services, .routes, .keySets: if spec["name"].isNull { needsID.insert(index) }
        case .certificates, .caCertificates: needsID.insert(index)
        case .jwtSecrets: if spec["key"].isNull { needsID.insert(index) }
        case .oauth2Credentials: if spec["client_id"].isNull { needsID.insert(index) }
        case .basicAuthCredentials:
            guard let password = spec["password"].string, !password.hasPrefix("{vault://") else { return }
            hasHashes = true
            if let consumer = parent(of: index) { needsID.insert(consumer) }
        case .consumers: if spec["username"].isNull { needsID.insert(index) }
        case .upstreams, .targets, .plugins, .snis, .keyAuthCredentials, .hmacAuthCredentials, .acls, .vaults, .keys:
            // A vault's secret is no key to find it by.
            if spec["key"].string?.hasPrefix("{vault://") == true { needsID.insert(index) }
        }
    }

    mutating func file() -> ConfigValue {
        var entries = [Entry("_format_version", .string("3.0"))]
        if hasHashes { entries.append(Entry("_transform", .bool(false))) }
        for kind in Self.sections where !roots[kind].isEmpty {
            entries.append(Entry(kind.rawValue, .array(roots[kind].map { entity($0, inside: nil) })))
        }
        return .record(entries)
    }

    private func entity(_ index: Int, inside parent: EntityKind?) -> ConfigValue {
        let (kind, spec) = entities[index]
        let schema = EntitySchemas.schema(kind)
        let parentField = parent.flatMap { nestedKinds[$0]?[kind] }
        var own: [Entry] = []
        for field in schema.fields where field.name != parentField {
            let value = spec[field.name]
            if value.isNull { continue }
            switch field.name {
            case "id": if needsID.contains(index) { own.append(Entry("id", value)) }
            // The life of a key counts from when it was made.
            case "created_at": if !spec["ttl"].isNull { own.append(Entry("created_at", value)) }
            case "updated_at": continue
            case "config" where kind == .plugins: plugin(value, spec, &own)
            case "protocols" where kind == .plugins: protocols(value, spec, &own)
            default:
                if case .foreign(let target) = field.type {
                    own.append(Entry(field.name, .string(reference(value, target))))
                } else if let shown = Self.shown(value, field) {
                    own.append(Entry(field.name, shown))
                }
            }
        }
        // A name is what people look for.
        for key in ["prefix", "username", "name"] {
            if let place = own.firstIndex(where: { $0.key == key }) { own.insert(own.remove(at: place), at: 0) }
        }
        let nested = Dictionary(grouping: children[index] ?? []) { entities[$0].kind }
        for child in Self.sections where nested[child] != nil {
            own.append(Entry(child.rawValue, .array((nested[child] ?? []).map { entity($0, inside: kind) })))
        }
        return .record(own)
    }

    private func plugin(_ config: ConfigValue, _ spec: ConfigValue, _ own: inout [Entry]) {
        guard let name = spec["name"].string, let description = PluginCatalog.supported[name] else {
            own.append(Entry("config", config))
            return
        }
        let shown = Self.shown(config, description.config)
        if !shown.isEmpty { own.append(Entry("config", .record(shown))) }
    }

    private func protocols(_ value: ConfigValue, _ spec: ConfigValue, _ own: inout [Entry]) {
        let usual = spec["name"].string.flatMap { PluginCatalog.supported[$0]?.defaultProtocols } ?? []
        if value != .array(usual.map { .string($0.rawValue) }) { own.append(Entry("protocols", value)) }
    }

    /// The name of what a reference leads to, or its id.
    private func reference(_ value: ConfigValue, _ target: EntityKind) -> String {
        let id = value["id"].string ?? ""
        guard let position = positions[target][id] else { return id }
        let spec = entities[position].spec
        return spec[target == .consumers ? "username" : "name"].string ?? id
    }

    // MARK: Defaults

    /// The value without what its defaults say; nil when nothing is left.
    private static func shown(_ value: ConfigValue, _ field: FieldSchema) -> ConfigValue? {
        if value.isNull || value == field.defaultValue { return nil }
        guard case .record(let schema) = field.type else { return value }
        let entries = shown(value, schema)
        return entries.isEmpty ? nil : .record(entries)
    }

    private static func shown(_ value: ConfigValue, _ schema: RecordSchema) -> [Entry] {
        schema.fields.compactMap { field in
            shown(value[field.name], field).map { Entry(field.name, $0) }
        }
    }
}
