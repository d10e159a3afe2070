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

extension EntityRecord {
    /// Fills in `created_at` and `updated_at`: what the entity brings, else what is stored, else now. Whoever changes
    /// nothing keeps the times, so that the spec is equal to the stored one.
    ///
    /// - Parameters:
    ///   - stored: the spec that this one replaces; nil: the entity is new.
    ///   - now: Unix milliseconds.
    public mutating func stamp(over stored: ConfigValue?, now: Int) {
        guard case .record(var entries) = spec else { return }
        // Kong keeps whole seconds, but milliseconds of targets.
        let time: ConfigValue = kind == .targets ? .double(Double(now) / 1000) : .int(now / 1000)
        if entries["created_at"].isNull {
            let known = stored?["created_at"] ?? .null
            entries["created_at"] = known.isNull ? time : known
        }
        if entries["updated_at"].isNull, let stored {
            entries["updated_at"] = stored["updated_at"]
            if ConfigValue.record(entries).json != stored.json { entries["updated_at"] = time }
        }
        if entries["updated_at"].isNull { entries["updated_at"] = time }
        spec = .record(entries)
    }
}
