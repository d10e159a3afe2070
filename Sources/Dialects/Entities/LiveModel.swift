// A GatewayModel that follows a store: entity by entity, without reading the rest again.
//
// 1. Read what was put (`LiveModel+Reading.swift`).
// 2. Put it into its arrays, take out what was removed; indices that moved are followed (`LiveModel+Splicing.swift`).
// 3. Resolve the references of what was put (`LiveModel+References.swift`).
// 4. Move targets and groups into their parents.
// 5. Replace the keys, and see that no two entities share one.

public import Model

/// What happened to one stored entity.
public enum EntityChange: Sendable {
    /// Created or replaced. `order` is its place among all entities, the same for as long as it lives and no other
    /// entity's; `spec` is JSON with references as `{"id": …}`.
    case put(EntityKind, Identifier, order: UInt64, spec: [UInt8])
    case remove(EntityKind, Identifier)
}

/// The model of what is stored. A value: copy it, try a change on the copy, keep the copy or drop it.
public struct LiveModel: Sendable {
    /// What the changes so far add up to; entities stand in their `order`. Lines and columns are 0.
    public internal(set) var model = GatewayModel()

    let environment: [String: String]
    let hasExpressions: Bool
    /// Where each entity stands in its array; targets and groups are in `children`.
    var places = KindTable<Places>(repeating: Places())
    /// Ids by names and natural keys (`EntityKeys`).
    var keys = KindTable<[String: Identifier]>(repeating: [:])
    var children = Children()
    /// Specs with vault references: read again when a vault changes.
    var referring: [Reference: (order: UInt64, spec: [UInt8])] = [:]

    /// Names one entity.
    struct Reference: Hashable {
        var kind: EntityKind
        var id: Identifier
    }

    /// - Parameters:
    ///   - environment: what `{vault://env/x}` reads from. Specs keep references as written; the model has what is
    ///     behind them.
    ///   - expressions: the gateways' router is of the flavour that has expressions.
    public init(environment: [String: String] = [:], expressions: Bool = false) {
        self.environment = environment
        hasExpressions = expressions
    }

    /// Applies changes in one step: the order among them means nothing, references may go both ways. Of several changes
    /// to one entity the last counts.
    ///
    /// - Returns: findings about the changed entities and about those that refer to removed ones. With an error among
    ///   them the model is not to be used: go on with the copy from before.
    public mutating func apply(_ changes: [EntityChange]) -> [Diagnostic] {
        var batch = Batch(changes)
        addReferring(to: &batch)
        let loader = read(batch)
        let oldKeys = currentKeys(of: batch)
        var findings = loader.sortedFindings()
        splice(loader.model, batch, &findings)
        resolve(loader, &findings)
        adoptChildren(loader, batch, &findings)
        replaceKeys(oldKeys, with: currentKeys(of: batch), &findings)
        checkAnonymous(loader.model.plugins, &findings)
        return findings
    }

    /// The stored entity with this name, id or natural key: what `KongEntities` asks for as `known`.
    public func known(_ kind: EntityKind, _ key: String) -> Identifier? {
        if let id = keys[kind][key] { return id }
        if kind == .consumers, let id = keys[kind][EntityKeys.customID(key)] { return id }
        guard let id = Identifier(key), contains(kind, id) else { return nil }
        return id
    }

    /// Whether there is such an entity.
    func contains(_ kind: EntityKind, _ id: Identifier) -> Bool {
        switch kind {
        case .targets: children.targets[id] != nil
        case .acls: children.groups[id] != nil
        default: places[kind].orderOf[id] != nil
        }
    }
}

/// Changes by kind, the last for each id.
struct Batch {
    struct Put {
        var id: Identifier
        var order: UInt64
        var spec: [UInt8]
    }

    private(set) var puts = KindTable<[Put]>(repeating: [])
    private(set) var removed = KindTable<Set<Identifier>>(repeating: [])
    private var positions = KindTable<[Identifier: Int]>(repeating: [:])

    init(_ changes: [EntityChange]) {
        for change in changes {
            switch change {
            case .put(let kind, let id, let order, let spec): put(kind, Put(id: id, order: order, spec: spec))
            case .remove(let kind, let id): remove(kind, id)
            }
        }
    }

    mutating func put(_ kind: EntityKind, _ put: Put) {
        removed[kind].remove(put.id)
        if let position = positions[kind][put.id] {
            puts[kind][position] = put
        } else {
            positions[kind][put.id] = puts[kind].count
            puts[kind].append(put)
        }
    }

    private mutating func remove(_ kind: EntityKind, _ id: Identifier) {
        removed[kind].insert(id)
        guard let position = positions[kind].removeValue(forKey: id) else { return }
        puts[kind].remove(at: position)
        for (index, put) in puts[kind].enumerated().dropFirst(position) { positions[kind][put.id] = index }
    }

    /// The place of an entity that was put.
    func order(_ kind: EntityKind, _ id: Identifier) -> UInt64? {
        positions[kind][id].map { puts[kind][$0].order }
    }

    func touches(_ kind: EntityKind) -> Bool { !puts[kind].isEmpty || !removed[kind].isEmpty }
}
