// Edits -> the changes they come to on a catalog, checked: rights, versions, uniqueness, references.

internal import Model
internal import Store

/// One attempt to apply edits to a catalog. Pure: what it needs of the world is given.
struct ChangePlan {
    private(set) var catalog: Catalog
    /// Net changes in the order of the edits.
    private(set) var changes: [Change] = []
    private let author: Author
    /// Unix seconds.
    private let now: Int
    private var deleted: Set<ResourceKey> = []

    init(_ edits: [Edit], onto catalog: Catalog, by author: Author, now: Int) throws(ChangeError) {
        self.catalog = catalog
        self.author = author
        self.now = now
        for edit in edits {
            switch edit {
            case .put(let draft, let version): try put(draft, version)
            case .delete(let key, let version): try delete(key, version)
            }
        }
        self.catalog.settle()
        try check()
    }

    private mutating func put(_ draft: Draft, _ version: UInt64?) throws(ChangeError) {
        guard let type = ResourceType.named(draft.key.type) else {
            throw .notFound(type: "types", name: draft.key.type)
        }
        let old = catalog.row(draft.key)?.resource
        if let version, version != old?.version ?? 0 { throw .preconditionFailed(version: old?.version ?? 0) }
        guard let spec = Timestamps.settled(draft.spec, over: old?.spec, now: now, kept: type.entity != nil) else {
            return
        }
        let facts = SpecFacts(spec, of: type)
        var resource = Resource(key: draft.key, name: facts.name, labels: facts.labels, spec: spec.json)
        resource.order = old?.order ?? draft.order ?? catalog.lastOrder + 1
        try demand(old == nil ? .create : .update, resource)
        if let old { try demand(.update, old) }
        record(Change(key: draft.key, before: old, after: resource))
        catalog.put(Catalog.Row(resource: resource, facts: facts))
    }

    private mutating func delete(_ key: ResourceKey, _ version: UInt64?) throws(ChangeError) {
        guard let row = catalog.row(key) else {
            if let version, version != 0 { throw .preconditionFailed(version: 0) }
            return
        }
        if let version, version != row.resource.version { throw .preconditionFailed(version: row.resource.version) }
        for referrer in catalog.referrerKeys(of: key) {
            guard let other = catalog.row(referrer) else { continue }
            if other.facts.references.contains(where: { $0.target == key && $0.rule.cascades }) {
                try delete(referrer, nil)
            }
        }
        try demand(.delete, row.resource)
        record(Change(key: key, before: row.resource, after: nil))
        catalog.remove(key)
        deleted.insert(key)
    }

    private var places: [ResourceKey: Int] = [:]

    /// Several edits of one resource come to one change.
    private mutating func record(_ change: Change) {
        if let place = places[change.key] {
            changes[place].after = change.after
        } else {
            places[change.key] = changes.count
            changes.append(change)
        }
    }

    private func demand(_ verb: Verb, _ resource: Resource) throws(ChangeError) {
        // Whoever may write roles may give themselves everything.
        let verb = resource.key.type == "roles" ? Verb.administer : verb
        guard author.may(verb, type: resource.key.type, labels: resource.labels) else {
            throw .denied(rule: "\(verb.rawValue) on \(resource.key.type)/\(resource.name ?? "\(resource.key.id)")")
        }
    }

    // MARK: Checks of the outcome

    private mutating func check() throws(ChangeError) {
        changes.removeAll { $0.before == nil && $0.after == nil }
        for change in changes {
            guard change.after != nil, let row = catalog.row(change.key) else { continue }
            if let clash = catalog.clash(change.key, row.facts) {
                throw .notUnique(type: change.key.type, field: clash.field, value: clash.value)
            }
            for (target, rule) in row.facts.references where catalog.row(target) == nil {
                throw .unresolved(type: change.key.type, field: rule.field, id: target.id.description)
            }
        }
        for key in deleted where catalog.row(key) == nil {
            if let referrer = catalog.referrerKeys(of: key).first {
                throw .referenced(type: key.type, by: referrer.type)
            }
        }
    }
}

/// `created_at` and `updated_at`, which are about a change and no part of it.
enum Timestamps {
    /// `spec` with both filled in; nil if it says what `old` says already.
    static func settled(_ spec: ConfigValue, over old: [UInt8]?, now: Int, kept: Bool) -> ConfigValue? {
        guard kept else {
            return old == spec.json ? nil : spec
        }
        var entries = spec.entries ?? []
        let before = old.flatMap { try? ConfigValue(json: $0) }
        let isSame = before.map { same($0.entries ?? [], entries) } ?? false
        if isSame { return nil }
        for (index, entry) in entries.enumerated() {
            switch entry.key {
            case "created_at":
                if entry.value.isNull || before != nil {
                    let kept = before?["created_at"] ?? .null
                    entries[index].value = kept.isNull ? (entry.value.isNull ? .int(now) : entry.value) : kept
                }
            case "updated_at": entries[index].value = .int(now)
            default: break
            }
        }
        return .record(entries)
    }

    private static func same(_ a: [ConfigValue.Entry], _ b: [ConfigValue.Entry]) -> Bool {
        guard a.count == b.count else { return false }
        return zip(a, b).allSatisfy { $0.key == $1.key && ($0.value == $1.value || isTime($0.key)) }
    }

    private static func isTime(_ key: String) -> Bool { key == "created_at" || key == "updated_at" }
}
