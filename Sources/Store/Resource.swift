// What a store keeps: resources, the revisions that changed them, and what each revision changed.

public import Model

/// Names a resource for ever: its type and its id.
public struct ResourceKey: Sendable, Hashable, Comparable {
    /// A type's plural as it stands in paths: `services`, `routes`, `roles`.
    public var type: String
    public var id: Identifier

    public init(type: String, id: Identifier) {
        self.type = type
        self.id = id
    }

    public static func < (a: ResourceKey, b: ResourceKey) -> Bool {
        (a.type, a.id.high, a.id.low) < (b.type, b.id.high, b.id.low)
    }
}

/// One stored resource, whole and valid at the time it was stored.
public struct Resource: Sendable, Equatable {
    public var key: ResourceKey
    /// Unique within its type when it is there.
    public var name: String?
    /// For roles and for gateways that choose by label. A gateway entity's are its tags of the form `key=value`.
    public var labels: [String: String]
    /// Canonical JSON: an object with every field of its schema, defaults filled in, references as `{"id": "…"}`.
    public var spec: [UInt8]
    /// The revision that last changed it: the number that If-Match compares.
    public var version: UInt64
    /// Its place among all resources, in the order of creation; never given out twice.
    public var order: UInt64

    public init(
        key: ResourceKey, name: String?, labels: [String: String] = [:], spec: [UInt8], version: UInt64 = 0,
        order: UInt64 = 0
    ) {
        self.key = key
        self.name = name
        self.labels = labels
        self.spec = spec
        self.version = version
        self.order = order
    }
}

/// What a revision did to one resource.
public struct Change: Sendable, Equatable {
    public var key: ResourceKey
    /// Nil: the revision created it.
    public var before: Resource?
    /// Nil: the revision deleted it.
    public var after: Resource?

    public init(key: ResourceKey, before: Resource?, after: Resource?) {
        self.key = key
        self.before = before
        self.after = after
    }
}

/// One transaction that changed something: who, when, why, how much.
public struct Revision: Sendable, Equatable {
    /// From 1, without gaps.
    public var number: UInt64
    /// Unix milliseconds.
    public var time: Int64
    /// Who: `token:ci`, `user:ada@example.com`.
    public var actor: String
    /// Why, in the author's words; may be empty.
    public var message: String
    /// Through what: `admin-api`, `resource-api`, `apply`, `rollback`, `ui`.
    public var source: String
    public var created: Int
    public var updated: Int
    public var deleted: Int

    public init(
        number: UInt64, time: Int64, actor: String, message: String, source: String, created: Int, updated: Int,
        deleted: Int
    ) {
        self.number = number
        self.time = time
        self.actor = actor
        self.message = message
        self.source = source
        self.created = created
        self.updated = updated
        self.deleted = deleted
    }
}
