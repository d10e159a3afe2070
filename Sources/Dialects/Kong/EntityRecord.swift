// One entity on its own, as a store keeps it and the Admin API shows it.

public import Model

/// An entity taken out of a file, or completed from a request: whole, valid by itself, references by id.
public struct EntityRecord: Sendable, Equatable {
    public var kind: EntityKind
    public var id: Identifier
    /// What is unique within the kind: `name` of services, routes, upstreams, key sets, keys and snis, `username` of
    /// consumers, `prefix` of vaults, `instance_name` of plugins; nil for entities without one.
    public var name: String?
    /// A record with every field of the schema in its order, defaults filled in; foreign keys are `{"id": …}` or
    /// null; `{vault://…}` references stay as written.
    public var spec: ConfigValue
    /// 1-based place of its declaration in the file; 0: none.
    public var line: Int
    public var column: Int

    public init(kind: EntityKind, id: Identifier, name: String?, spec: ConfigValue, line: Int = 0, column: Int = 0) {
        self.kind = kind
        self.id = id
        self.name = name
        self.spec = spec
        self.line = line
        self.column = column
    }
}
