// Reads entities of any kind at any nesting, and gives each its id.

import Bytes
import Model

/// The entity around a nested one.
struct Parent {
    var kind: EntityKind
    var index: Int
    var id: Identifier
}

/// Entities that may nest in others, and the child's field that names its parent.
let nestedKinds: [EntityKind: [EntityKind: String]] = [
    .services: [.routes: "service", .plugins: "service"],
    .routes: [.plugins: "route"],
    .consumers: [
        .plugins: "consumer", .keyAuthCredentials: "consumer", .basicAuthCredentials: "consumer",
        .hmacAuthCredentials: "consumer", .jwtSecrets: "consumer", .oauth2Credentials: "consumer",
        .acls: "consumer",
    ],
    .upstreams: [.targets: "upstream"],
    .certificates: [.snis: "certificate", .services: "client_certificate", .upstreams: "client_certificate"],
    .keySets: [.keys: "set"],
]

extension KongLoader {
    /// Reads an array of entities.
    func readEntities(_ kind: EntityKind, _ array: Int, parent: Parent?) {
        switch document.kind(array) {
        case .null: return
        case .array: break
        case .record where document.count(array) == 0: return
        case .bool, .int, .double, .string, .record, .key:
            report(
                .wrongType, at: array, field: kind.rawValue,
                "expected a list of \(kind.rawValue), found \(found(array))",
                remedy: "write each on a line of its own that begins with \"- \"")
            return
        }
        reserve(kind, document.count(array))
        var element = document.firstElement(array)
        while element != Document.none {
            scopes.append(Scope(kind: kind, node: element))
            let path = self.path
            self.path = []
            if document.kind(element) == .record {
                readEntity(kind, element, parent: parent)
            } else if kind == .snis, let name = document.string(element) {
                addServerName(name, element, parent)
            } else {
                report(
                    .wrongType, at: element, "expected a record, found \(found(element))",
                    remedy: "write the fields of the \(kind.singular) as name: value")
            }
            self.path = path
            scopes.removeLast()
            element = document.next(element)
        }
    }

    private func reserve(_ kind: EntityKind, _ count: Int) {
        switch kind {
        case .routes where model.routes.isEmpty: model.routes.reserveCapacity(count)
        case .services where model.services.isEmpty: model.services.reserveCapacity(count)
        case .consumers where model.consumers.isEmpty: model.consumers.reserveCapacity(count)
        default: break
        }
    }

    private func readEntity(_ kind: EntityKind, _ node: Int, parent: Parent?) {
        var children: [(EntityKind, Int)] = []
        let nested = nestedKinds[kind]
        var skipped: Set<String> = []
        if kind == .services, usesURL(node) { skipped = ["protocol", "host", "port", "path"] }
        let records = fileDefaults[kind].map { [node, $0] } ?? [node]
        let fields = read(records, EntitySchemas.schema(kind), skipping: skipped) { key, entry in
            if key == "_comment" || key == "_ignore" || key == "ws_id" { return true }
            if let child = EntityKind(rawValue: key), nested?[child] != nil {
                children.append((child, document.value(entry)))
                return true
            }
            return isKnownExtra(key, entry, kind)
        }
        var except = skipped
        if let parent, let field = nestedKinds[parent.kind]?[kind] { except.insert(field) }
        reportMissing(fields, at: node, except: except)
        let before = purpose.collectsRecords ? count(kind) : 0
        let entity = add(kind, fields, node, parent)
        if purpose.collectsRecords, count(kind) > before { draft(kind, fields, node) }
        guard let entity else { return }
        for (child, array) in children { readEntities(child, array, parent: entity) }
    }

    /// Keys outside the schema that have a meaning for some kinds of entity.
    private func isKnownExtra(_ key: String, _ entry: Int, _ kind: EntityKind) -> Bool {
        let value = document.value(entry)
        switch (kind, key) {
        case (.plugins, "_config"), (.plugins, "run_on"): return true
        // Written by some dumps with nothing in them.
        case (_, "mtls_auth_credentials"), (_, "groups"), (_, "partials"), (_, "consumer_group"), (_, "ordering"):
            return document.kind(value) == .null
                || (document.kind(value) == .array || document.kind(value) == .record) && document.count(value) == 0
        default: return false
        }
    }

    private func add(_ kind: EntityKind, _ fields: Fields, _ node: Int, _ parent: Parent?) -> Parent? {
        switch kind {
        case .services: return addService(fields, node, parent)
        case .routes: return addRoute(fields, node, parent)
        case .upstreams: return addUpstream(fields, node, parent)
        case .targets: addTarget(fields, node, parent)
        case .consumers: return addConsumer(fields, node)
        case .plugins: addPlugin(fields, node, parent)
        case .certificates: return addCertificate(fields, node)
        case .snis: addServerName(fields, node, parent)
        case .caCertificates: addCACertificate(fields, node)
        case .keyAuthCredentials: addKeyAuth(fields, node, parent)
        case .basicAuthCredentials: addBasicAuth(fields, node, parent)
        case .hmacAuthCredentials: addHMACAuth(fields, node, parent)
        case .jwtSecrets: addJWTSecret(fields, node, parent)
        case .oauth2Credentials: addOAuth2(fields, node, parent)
        case .acls: addGroup(fields, node, parent)
        case .vaults: addVault(fields, node)
        case .keySets: return addKeySet(fields, node)
        case .keys: addKey(fields, node, parent)
        }
        return nil
    }

    // MARK: Heads and ids

    private static let idPosition = EntitySchemas.service["id"]
    private static let createdPosition = EntitySchemas.service["created_at"]
    private static let updatedPosition = EntitySchemas.service["updated_at"]
    private static let tagsPosition = EntitySchemas.service["tags"]

    /// The common fields. An id that is not written is derived from `key`, as Kong does it; what Kong
    /// would give a random id gets one derived from its content, so that equal files are equal.
    func head(_ kind: EntityKind, _ fields: Fields, _ node: Int, key: () -> String) -> EntityHead {
        var head = EntityHead()
        if purpose.hasPlaces {
            let place = document.position(node)
            head.line = sourceLine(place.line)
            head.column = place.column
        }
        head.tags = strings(fields, Self.tagsPosition, unique: true)
        head.createdAt = seconds(fields, Self.createdPosition)
        head.updatedAt = seconds(fields, Self.updatedPosition)
        if let written = string(fields, Self.idPosition).flatMap({ Identifier($0) }) {
            head.id = written
            // What is stored has an id each, told apart already.
            if purpose == .stored { return head }
            if let line = ids[kind, default: [:]].updateValue(head.line, forKey: written) {
                report(
                    .notUnique, at: fields.nodes[Self.idPosition], field: "id",
                    "another \(kind.singular) with this id is on line \(line)",
                    remedy: "remove one, or give it another id")
            }
        } else {
            head.id = identifier(kind, key())
        }
        return head
    }

    private func seconds(_ fields: Fields, _ position: Int) -> Int {
        number(fields, position).flatMap { Int(exactly: $0.rounded(.towardZero)) } ?? 0
    }

    /// UUIDv5 of `key` in the kind's namespace.
    func identifier(_ kind: EntityKind, _ key: String) -> Identifier {
        if let namespace = namespaces[kind] { return Identifier(namespace: namespace, name: key) }
        let root = Identifier(high: 0xFD02_801F_0957_4A15, low: 0xA55A_C8D9_606F_30B5)
        let namespace = Identifier(namespace: root, name: kind.rawValue)
        namespaces[kind] = namespace
        return Identifier(namespace: namespace, name: key)
    }

    /// An id for an entity that has no unique key: its content, told apart from equal ones by a number.
    func contentIdentifier(_ kind: EntityKind, _ content: String) -> Identifier {
        var id = identifier(kind, content)
        var copy = 1
        while ids[kind]?[id] != nil {
            copy += 1
            id = identifier(kind, "\(content)#\(copy)")
        }
        ids[kind, default: [:]][id] = 0
        return id
    }

    // MARK: References

    /// The index of a parent: the entity around, or the one that the field names (resolved later).
    func link(
        _ fields: Fields, _ position: Int, to target: EntityKind, from kind: EntityKind, _ index: Int, _ parent: Parent?
    ) -> Int {
        let field = fields.schema.fields[position].name
        if let parent, nestedKinds[parent.kind]?[kind] == field {
            if let text = referenceText(fields.nodes[position]), !matches(text, parent) {
                report(
                    .ambiguousParent, at: fields.nodes[position], field: field,
                    "names \"\(text)\", but stands inside another \(target.singular)",
                    remedy: "remove the field or move the entity")
            }
            return parent.index
        }
        guard let text = referenceText(fields.nodes[position]) else { return -1 }
        pending.append(
            PendingReference(
                kind: kind, index: index, field: field, target: target, text: text, scopes: scopes,
                node: fields.nodes[position]))
        return -1
    }

    /// What stands for a foreign key in derived ids: the parent's id when nested, else the text as written.
    func keyPart(_ fields: Fields, _ position: Int, _ parent: Parent?, _ kind: EntityKind) -> String {
        let field = fields.schema.fields[position].name
        if let parent, nestedKinds[parent.kind]?[kind] == field { return parent.id.description }
        return referenceText(fields.nodes[position]) ?? ""
    }

    private func matches(_ text: String, _ parent: Parent) -> Bool {
        if Identifier(text) == parent.id { return true }
        return switch parent.kind {
        case .services: model.services[parent.index].name == text
        case .routes: model.routes[parent.index].name == text
        case .upstreams: model.upstreams[parent.index].name == text
        case .consumers: model.consumers[parent.index].username == text
        case .keySets: model.keySets[parent.index].name == text
        default: false
        }
    }
}

extension Fields {
    subscript(position: Int) -> Int { nodes[position] }
}
