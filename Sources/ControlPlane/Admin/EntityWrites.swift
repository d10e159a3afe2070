// POST, PUT, PATCH and DELETE on entities: what a request comes to on the catalog of the moment, as edits.

import Dialects
import Model
import Store

/// What a write comes to.
struct WritePlan: Sendable {
    var edits: [Edit] = []
    /// The entity that the answer shows; nil: none.
    var shown: ResourceKey?
}

/// Plans writes on one catalog. Pure: the workspace may ask for the plan again on a newer one.
struct EntityWrites: Sendable {
    let entities: Entities
    let request: AdminRequest
    /// Unix milliseconds.
    let now: Int
    /// Routes may be written as expressions.
    let expressions: Bool

    // MARK: On a collection and its entities

    func create(_ kind: EntityKind, within parent: Resource? = nil, _ nesting: Nesting? = nil) throws(AdminFault)
        -> WritePlan
    {
        var input = try request.body.record(EntitySchemas.schema(kind))
        if let parent, let nesting { input.set(nesting.field, Self.reference(parent.key.id)) }
        return try put(kind, input, over: nil, isCreation: true)
    }

    /// Creates or replaces what the path names.
    func replace(
        _ kind: EntityKind, _ text: String, within parent: (nesting: Nesting, id: Identifier)? = nil
    ) throws(AdminFault) -> WritePlan {
        let existing = try entities.find(kind, text, within: parent)
        var input = try request.body.record(
            EntitySchemas.schema(kind), plugin: existing.flatMap { SpecValue.of($0)["name"].string })
        if let parent { input.set(parent.nesting.field, Self.reference(parent.id)) }
        if let existing {
            input.set("id", .string(existing.key.id.description))
        } else if let id = Identifier(text) {
            // An id that is there, but under another parent, is not this one's to replace.
            if parent != nil, entities.catalog.resource(ResourceKey(type: kind.rawValue, id: id)) != nil {
                throw .notFound
            }
            input.set("id", .string(id.description))
        }
        if Identifier(text) == nil {
            if let key = kind.endpointKey {
                input.set(key, .string(text))
            } else if kind == .certificates, existing == nil {
                var names = input["snis"].strings
                if !names.contains(text) { names.append(text) }
                input.set("snis", .array(names.map { .string($0) }))
            }
        }
        return try put(kind, input, over: existing, isCreation: false)
    }

    /// Changes the fields that the request names.
    func update(
        _ kind: EntityKind, _ text: String, within parent: (nesting: Nesting, id: Identifier)? = nil
    ) throws(AdminFault) -> WritePlan {
        guard let existing = try entities.find(kind, text, within: parent) else { throw .notFound }
        let stored = SpecValue.of(existing)
        let plugin = kind == .plugins ? stored["name"].string : nil
        let body = try request.body.record(EntitySchemas.schema(kind), plugin: plugin)
        var input = SpecMerge.merge(body, onto: stored, EntitySchemas.schema(kind), plugin: plugin)
        input.set("id", .string(existing.key.id.description))
        return try put(kind, input, over: existing, isCreation: false, said: body)
    }

    func delete(
        _ kind: EntityKind, _ text: String, within parent: (nesting: Nesting, id: Identifier)? = nil
    ) throws(AdminFault) -> WritePlan {
        guard let existing = try entities.find(kind, text, within: parent) else {
            if parent != nil { throw .notFound }
            return WritePlan()
        }
        return WritePlan(edits: [.delete(existing.key, ifVersion: request.ifVersion)])
    }

    // MARK: On a child's parent: /routes/{route}/service

    func replaceForeign(_ nesting: Nesting) throws(AdminFault) -> WritePlan {
        let child = try entities.readable(nesting.child, request.first)
        if let id = SpecValue.reference(child, nesting.field) { return try replace(nesting.parent, id.description) }
        var plan = try create(nesting.parent)
        guard let parent = plan.shown else { return plan }
        var spec = SpecValue.of(child)
        spec.set(nesting.field, Self.reference(parent.id))
        plan.edits.append(.put(Draft(key: child.key, spec: spec)))
        return plan
    }

    func updateForeign(_ nesting: Nesting) throws(AdminFault) -> WritePlan {
        let child = try entities.readable(nesting.child, request.first)
        guard let id = SpecValue.reference(child, nesting.field) else { throw .notFound }
        return try update(nesting.parent, id.description)
    }

    // MARK: One entity

    static func reference(_ id: Identifier) -> ConfigValue { .record([.init("id", .string(id.description))]) }

    /// - Parameter said: what the request itself says, when `input` holds more than that.
    private func put(
        _ kind: EntityKind, _ input: ConfigValue, over existing: Resource?, isCreation: Bool, said: ConfigValue? = nil
    ) throws(AdminFault) -> WritePlan {
        var input = input
        let names = kind == .certificates ? try ServerNames.taken(from: &input) : nil
        // What was stored is hashed already; what the request brings is not.
        let hashes = said.map { !$0["password"].isNull } ?? true
        let record = try completed(kind, input, hashesPasswords: hashes)
        let key = ResourceKey(type: kind.rawValue, id: record.id)
        if isCreation, entities.catalog.resource(key) != nil {
            let id = ConfigValue.record([.init("id", .string(record.id.description))])
            throw KongError.primaryKeyViolation.fault(
                "primary key violation on key '\(LuaText.of(id))'", fields: id)
        }
        var plan = WritePlan(edits: [.put(Draft(record), ifVersion: request.ifVersion)], shown: key)
        if let names { plan.edits += try serverNames(names, of: record.id) }
        return plan
    }

    func completed(
        _ kind: EntityKind, _ input: ConfigValue, hashesPasswords: Bool = true, new: Identifier? = nil
    ) throws(AdminFault) -> EntityRecord {
        let result = KongEntities.complete(
            kind, input: input, now: now, expressions: expressions, hashesPasswords: hashesPasswords
        ) { kind, text in
            if let new, Identifier(text) == new { return new }
            return entities.known(kind, text)
        }
        switch result {
        case .success(let record): return record
        case .failure(let violations): throw AdminFault(violations)
        }
    }

    /// The SNIs that a certificate's list of names comes to: new ones, and those that are to go.
    private func serverNames(_ names: [String], of certificate: Identifier) throws(AdminFault) -> [Edit] {
        var edits: [Edit] = []
        let type = EntityKind.snis.rawValue
        for name in names {
            if let sni = entities.catalog.resource(type: type, named: name) {
                let owner = SpecValue.reference(sni, "certificate")
                guard owner == certificate else {
                    var violations = ViolationTree()
                    violations.add(
                        "snis", "\(name) already associated with existing certificate '\(owner?.description ?? "")'")
                    throw KongError.schemaViolation(violations)
                }
                continue
            }
            let input = ConfigValue.record([
                .init("name", .string(name)), .init("certificate", Self.reference(certificate)),
            ])
            edits.append(.put(Draft(try completed(.snis, input, new: certificate))))
        }
        for sni in entities.catalog.resources(type, where: "certificate", is: certificate) {
            if let name = sni.name, !names.contains(name) { edits.append(.delete(sni.key)) }
        }
        return edits
    }
}

/// `snis` of a certificate: a field of requests and answers that no certificate is stored with.
enum ServerNames {
    /// Removes it from `input`; nil: the request does not say.
    static func taken(from input: inout ConfigValue) throws(AdminFault) -> [String]? {
        guard var entries = input.entries, let index = entries.firstIndex(where: { $0.key == "snis" }) else {
            return nil
        }
        let value = entries.remove(at: index).value
        input = .record(entries)
        switch value {
        case .null: return []
        case .string(let text): return unique(text.split(separator: ",").map(String.init))
        case .array(let values) where values.allSatisfy({ $0.string != nil }):
            return unique(values.compactMap(\.string))
        default:
            var violations = ViolationTree()
            violations.add("snis", "expected a set")
            throw KongError.schemaViolation(violations)
        }
    }

    private static func unique(_ names: [String]) -> [String] {
        var seen: Set<String> = []
        return names.filter { seen.insert($0).inserted }
    }
}

/// PATCH: records merge field by field, everything else is replaced; null puts a field back to its default.
enum SpecMerge {
    static func merge(
        _ body: ConfigValue, onto stored: ConfigValue, _ schema: RecordSchema, plugin: String? = nil
    ) -> ConfigValue {
        guard let changes = body.entries, var entries = stored.entries else { return body }
        // A url stands for all four, a path that it does not have included.
        if schema.name == "services", !body["url"].isNull {
            entries.removeAll { ["protocol", "host", "port", "path"].contains($0.key) }
        }
        var merged = ConfigValue.record(entries)
        for change in changes {
            guard change.value.entries != nil, merged[change.key].entries != nil,
                let position = schema.position(of: change.key),
                let inner = record(schema.fields[position].type, plugin)
            else {
                merged.set(change.key, change.value)
                continue
            }
            merged.set(change.key, merge(change.value, onto: merged[change.key], inner))
        }
        return merged
    }

    private static func record(_ type: FieldType, _ plugin: String?) -> RecordSchema? {
        switch type {
        case .record(let schema): schema
        case .open: plugin.flatMap { PluginCatalog.supported[$0]?.config }
        default: nil
        }
    }
}

extension ConfigValue {
    /// Sets a member of a record, where it stands or at the end.
    mutating func set(_ key: String, _ value: ConfigValue) {
        var entries = self.entries ?? []
        if let index = entries.firstIndex(where: { $0.key == key }) {
            entries[index].value = value
        } else {
            entries.append(.init(key, value))
        }
        self = .record(entries)
    }
}
