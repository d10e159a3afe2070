// Schemas as data: what Kong's Admin API serves under /schemas, and what forms are made of.

public import Model

/// Schemas in Kong's shape: `{"fields": [{"host": {"type": "string", "required": true}}, …]}`.
public enum SchemaJSON {
    /// The schema of an entity.
    public static func entity(_ kind: EntityKind) -> ConfigValue { .record([]) }

    /// The schema of a plugin, with its `config`; nil when Seaway does not run it.
    public static func plugin(_ name: String) -> ConfigValue? { nil }
}
