// What somebody asks to change, and what came of it.

public import Dialects
public import Model
public import Store

/// A resource as it is to be: name, labels, version and place are derived from it and from what is there.
///
/// `created_at` null means the existing one's, or now; `updated_at` becomes now if anything else differs. Both are
/// left out of comparisons, so writing the same thing again changes nothing.
public struct Draft: Sendable {
    public var key: ResourceKey
    /// Complete: every field of the type's schema.
    public var spec: ConfigValue
    /// The place that a resource which is there no more had among the others; nil: behind all of them.
    var order: UInt64?

    public init(key: ResourceKey, spec: ConfigValue) {
        self.key = key
        self.spec = spec
    }

    public init(_ record: EntityRecord) {
        key = ResourceKey(type: record.kind.rawValue, id: record.id)
        spec = record.spec
    }
}

public enum Edit: Sendable {
    /// Creates or replaces. `ifVersion`: only if the version now is this one; 0: only if it does not exist.
    case put(Draft, ifVersion: UInt64? = nil)
    /// With everything that goes with it. A resource that is not there is no error.
    case delete(ResourceKey, ifVersion: UInt64? = nil)
}

public struct ChangeResult: Sendable {
    /// The revision that came of it; the one there was if nothing differs or nothing was to be stored.
    public var revision: UInt64
    /// In the order they were asked for; what goes with a deleted resource stands before it.
    public var changes: [Change]
    public var warnings: [Diagnostic]

    public init(revision: UInt64, changes: [Change], warnings: [Diagnostic] = []) {
        self.revision = revision
        self.changes = changes
        self.warnings = warnings
    }
}

/// A revision that is now the current one. A reader that is slow gets only the newest.
public struct Publication: Sendable {
    public var revision: UInt64
    public var catalog: Catalog
    public var model: GatewayModel

    public init(revision: UInt64, catalog: Catalog, model: GatewayModel) {
        self.revision = revision
        self.catalog = catalog
        self.model = model
    }
}
