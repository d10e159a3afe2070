// The state of all resources at one revision: what every read and every plan of a change looks at.

public import Model
public import Store

/// All resources of a revision. A value: what was read stays as it is while changes go on.
public struct Catalog: Sendable {
    /// 0: nothing was ever committed.
    public internal(set) var revision: UInt64 = 0
    /// The largest order given out.
    var lastOrder: UInt64 = 0
    private var tables: [String: Table] = [:]
    /// Who refers to a resource.
    private var referrers: [ResourceKey: [ResourceKey]] = [:]

    struct Row: Sendable {
        var resource: Resource
        var facts: SpecFacts
    }

    private struct Table: Sendable {
        var rows: [Identifier: Row] = [:]
        var names: [String: Identifier] = [:]
        var unique: [SpecFacts.UniqueValue: Identifier] = [:]
        /// Ascending.
        var ids: [Identifier] = []
        /// Added, replaced or removed since `ids` was right.
        var moved: Set<Identifier> = []

        /// A value that another row has stays that row's: `clash` finds it.
        mutating func register(_ row: Row) {
            let id = row.resource.key.id
            if let name = row.facts.name, names[name] == nil { names[name] = id }
            for value in row.facts.unique where unique[value] == nil { unique[value] = id }
        }

        mutating func forget(_ row: Row) {
            let id = row.resource.key.id
            if let name = row.facts.name, names[name] == id { names[name] = nil }
            for value in row.facts.unique where unique[value] == id { unique[value] = nil }
        }

        mutating func settle() {
            guard !moved.isEmpty else { return }
            // A name may have become free after somebody else asked for it.
            for id in moved { if let row = rows[id] { register(row) } }
            if moved.count > 32 {
                ids = rows.keys.sorted()
            } else {
                for id in moved { place(id) }
            }
            moved = []
        }

        private mutating func place(_ id: Identifier) {
            let place = ids.lowerBound(id)
            let isThere = place < ids.count && ids[place] == id
            if rows[id] == nil {
                if isThere { ids.remove(at: place) }
            } else if !isThere {
                ids.insert(id, at: place)
            }
        }
    }

    public init() {}

    // MARK: Reading

    public func resource(_ key: ResourceKey) -> Resource? { tables[key.type]?.rows[key.id]?.resource }

    /// By exact name.
    public func resource(type: String, named name: String) -> Resource? {
        guard let table = tables[type], let id = table.names[name] else { return nil }
        return table.rows[id]?.resource
    }

    /// By id if the text is a UUID that is there, else by name.
    public func resource(type: String, nameOrID text: String) -> Resource? {
        if let id = Identifier(text), let found = resource(ResourceKey(type: type, id: id)) { return found }
        return resource(type: type, named: text)
    }

    /// The resource of the type whose unique `field` (`username`, `consumer,group`) has `value`.
    public func resource(type: String, unique field: String, value: String) -> Resource? {
        guard let table = tables[type], let id = table.unique[SpecFacts.UniqueValue(field: field, value: value)]
        else { return nil }
        return table.rows[id]?.resource
    }

    public func count(_ type: String) -> Int { tables[type]?.ids.count ?? 0 }

    /// How many there are of all types.
    public var count: Int { tables.values.reduce(0) { $0 + $1.ids.count } }

    /// In the order of creation.
    public func all(_ type: String) -> [Resource] { sorted(type).sorted { $0.order < $1.order } }

    /// By id, as pages of lists are cut.
    public func sorted(_ type: String) -> [Resource] {
        guard let table = tables[type] else { return [] }
        return table.ids.compactMap { table.rows[$0]?.resource }
    }

    /// A page by id: at most `limit` resources with ids from `start` on (nil: the beginning).
    public func page(_ type: String, from start: Identifier?, limit: Int) -> (resources: [Resource], next: Identifier?)
    {
        guard let table = tables[type] else { return ([], nil) }
        let first = start.map { table.ids.lowerBound($0) } ?? 0
        let last = min(table.ids.count, first + max(0, limit))
        let page = table.ids[first..<last].compactMap { table.rows[$0]?.resource }
        return (page, last < table.ids.count ? table.ids[last] : nil)
    }

    /// Resources with a reference to `key`, by type and id.
    public func referrers(of key: ResourceKey) -> [Resource] {
        (referrers[key] ?? []).sorted().compactMap { resource($0) }
    }

    /// Resources of `type` whose reference `field` leads to `id`, in the order of creation.
    public func resources(_ type: String, where field: String, is id: Identifier) -> [Resource] {
        guard let rules = ResourceType.named(type)?.references.filter({ $0.field == field }) else { return [] }
        var found: [Resource] = []
        for target in Set(rules.map(\.target)) {
            for key in referrers[ResourceKey(type: target, id: id)] ?? [] where key.type == type {
                guard let row = tables[type]?.rows[key.id] else { continue }
                if row.facts.references.contains(where: { $0.rule.field == field && $0.target.id == id }) {
                    found.append(row.resource)
                }
            }
        }
        return found.sorted { $0.order < $1.order }
    }

    // MARK: Changing

    func row(_ key: ResourceKey) -> Row? { tables[key.type]?.rows[key.id] }
    func referrerKeys(of key: ResourceKey) -> [ResourceKey] { referrers[key] ?? [] }

    /// Which of its values, settled, belongs to another resource; nil: none.
    func clash(_ key: ResourceKey, _ facts: SpecFacts) -> SpecFacts.UniqueValue? {
        guard let table = tables[key.type] else { return nil }
        if let name = facts.name, let id = table.names[name], id != key.id {
            return SpecFacts.UniqueValue(field: ResourceType.named(key.type)?.nameField ?? "name", value: name)
        }
        return facts.unique.first { value in table.unique[value].map { $0 != key.id } ?? false }
    }

    /// Adds or replaces. Call `settle` after the last one; until then lists and pages are those of before.
    mutating func put(_ row: Row) {
        let key = row.resource.key
        remove(key, keepingPlace: true)
        var table = tables.removeValue(forKey: key.type) ?? Table()
        table.register(row)
        for (target, _) in row.facts.references { referrers[target, default: []].append(key) }
        table.rows[key.id] = row
        table.moved.insert(key.id)
        lastOrder = max(lastOrder, row.resource.order)
        tables[key.type] = table
    }

    mutating func remove(_ key: ResourceKey) { remove(key, keepingPlace: false) }

    private mutating func remove(_ key: ResourceKey, keepingPlace: Bool) {
        guard var table = tables.removeValue(forKey: key.type) else { return }
        defer { tables[key.type] = table }
        guard let old = table.rows.removeValue(forKey: key.id) else { return }
        table.forget(old)
        for (target, _) in old.facts.references {
            referrers[target]?.removeAll { $0 == key }
            if referrers[target]?.isEmpty == true { referrers[target] = nil }
        }
        if !keepingPlace { table.moved.insert(key.id) }
    }

    /// Brings names and lists up to date after `put` and `remove`.
    mutating func settle() {
        for type in Array(tables.keys) {
            guard var table = tables.removeValue(forKey: type) else { continue }
            table.settle()
            tables[type] = table
        }
    }
}

extension Array where Element: Comparable {
    /// Index of the first element that is not below `value`; the array is ascending.
    func lowerBound(_ value: Element) -> Int {
        var low = 0
        var high = count
        while low < high {
            let middle = (low + high) / 2
            if self[middle] < value { low = middle + 1 } else { high = middle }
        }
        return low
    }
}
