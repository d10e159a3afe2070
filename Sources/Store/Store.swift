// The one way to what is kept: a protocol with two implementations, SQLiteStore and PostgresStore.

public import Model

/// Why a store could not do what it was asked.
public enum StoreError: Error, Sendable, Equatable {
    /// Somebody else committed first; the head is now `head`. Catch up with `progress(since:)` and try again.
    case conflict(head: UInt64)
    case notFound
    /// The name, or the hash, is taken.
    case duplicate(String)
    /// The database cannot be reached or does not answer in time. Trying again later may help.
    case unavailable(String)
    /// The database answered, and refused or returned what cannot be read. Trying again will not help.
    case failed(String)
}

/// All resources as of a revision.
public struct StoredState: Sendable {
    /// 0: nothing was ever committed.
    public var revision: UInt64
    /// By `order`.
    public var resources: [Resource]
    /// The largest `Resource.order` ever given out.
    public var lastOrder: UInt64

    public init(revision: UInt64, resources: [Resource], lastOrder: UInt64) {
        self.revision = revision
        self.resources = resources
        self.lastOrder = lastOrder
    }
}

/// What happened to the resources since a revision: all that somebody who has that one needs to have the newest.
public struct StoreProgress: Sendable {
    /// The newest revision.
    public var revision: UInt64
    /// The largest `Resource.order` ever given out.
    public var lastOrder: UInt64
    /// By key; with those that were changed and changed back, because their version is another one now.
    public var changes: [Change]

    public init(revision: UInt64, lastOrder: UInt64, changes: [Change]) {
        self.revision = revision
        self.lastOrder = lastOrder
        self.changes = changes
    }
}

/// What a commit writes. The store gives the revision its number and sets `version` of what it writes to it.
public struct Commit: Sendable {
    public var changes: [Change]
    public var actor: String
    public var message: String
    public var source: String
    /// Unix milliseconds.
    public var time: Int64
    /// Written in the same transaction; their `revision` is set to the new number.
    public var audit: [AuditRecord]

    public init(
        changes: [Change], actor: String, message: String, source: String, time: Int64, audit: [AuditRecord] = []
    ) {
        self.changes = changes
        self.actor = actor
        self.message = message
        self.source = source
        self.time = time
        self.audit = audit
    }
}

/// What another control plane, or this one, did to the store.
public enum StoreEvent: Sendable, Equatable {
    /// A revision was committed.
    case revision(UInt64)
    case tokensChanged
    /// A gateway joined, reported something lasting, or was revoked.
    case gatewayChanged(Identifier)
    /// Events may have been lost (the connection was): look at everything again.
    case resync
}

/// Resources, revisions, audit, tokens, gateways. Every method is one transaction; all may be called from any task.
///
/// SQLite: one file, WAL, `synchronous=FULL`, one control plane. PostgreSQL: any number of control planes.
public protocol Store: Sendable {
    /// Brings the schema up to date. Safe when several start at once. Called once, before anything else.
    func migrate() async throws(StoreError)
    /// Gives back connections and files; nothing is called after it.
    func close() async
    /// Whether the database answers.
    func ping() async throws(StoreError)

    // MARK: Resources and revisions

    func state() async throws(StoreError) -> StoredState
    /// The number of the newest revision; 0: none.
    func head() async throws(StoreError) -> UInt64
    /// What to add to the state of `revision` to get the newest one, and which that is: read at one moment.
    func progress(since revision: UInt64) async throws(StoreError) -> StoreProgress
    /// Writes one revision if the head is still `base`; else throws `conflict`.
    ///
    /// When the connection is lost on the way, this finds out whether the revision was stored and returns the
    /// truth. Only if the database stays away for longer than that takes (about 30 s) it throws `unavailable`
    /// without knowing; the head tells later.
    func commit(_ commit: Commit, onto base: UInt64) async throws(StoreError) -> Revision
    /// Newest first; at most `limit`, only numbers below `before` if that is given.
    func revisions(limit: Int, before: UInt64?) async throws(StoreError) -> [Revision]
    func revision(_ number: UInt64) async throws(StoreError) -> Revision?
    /// What `number` changed, by key. Empty for an unknown number.
    func changes(of number: UInt64) async throws(StoreError) -> [Change]
    /// The net change from after `first` to `last`: for each key that differs, its state then and now.
    /// Either may be the larger one. Keys that end as they began are left out.
    func changes(from first: UInt64, to last: UInt64) async throws(StoreError) -> [Change]

    // MARK: Audit

    func append(_ records: [AuditRecord]) async throws(StoreError)
    /// Newest first.
    func audit(_ query: AuditQuery) async throws(StoreError) -> [AuditRecord]

    /// The number of the first line of the log that is not as it was written: changed, removed or put in
    /// later. Nil: there is none. Reads the whole log.
    func verifyAudit() async throws(StoreError) -> UInt64?

    // MARK: Tokens

    func tokens() async throws(StoreError) -> [TokenRecord]
    /// Adds one, or throws `duplicate`.
    func add(_ token: TokenRecord) async throws(StoreError)
    /// Replaces roles, labels, `expiresAt`, `revokedAt`, `usedAt` of the one with its id, or throws `notFound`. What was
    /// revoked stays so: whoever notes a use may not have heard of it yet.
    func update(_ token: TokenRecord) async throws(StoreError)

    // MARK: Gateways

    func gateways() async throws(StoreError) -> [GatewayRecord]
    /// Adds it or replaces the one with its id. One that is revoked stays revoked.
    func save(_ gateway: GatewayRecord) async throws(StoreError)
    /// Does nothing when there is none.
    func remove(gateway id: Identifier) async throws(StoreError)

    // MARK: Small things by name

    /// A value under a name: the authority's key, the signing key of snapshots, sessions. Nil: none.
    func value(_ name: String) async throws(StoreError) -> [UInt8]?
    /// Writes `value` if the one there now equals `expected` (nil: there is none); whether it did.
    /// A nil `value` removes it. Names are at most 200 bytes, values 1 MiB.
    func replace(_ name: String, expecting expected: [UInt8]?, with value: [UInt8]?) async throws(StoreError) -> Bool
    /// Names that begin with `prefix`, sorted.
    func names(_ prefix: String) async throws(StoreError) -> [String]

    // MARK: Leading

    /// Takes or keeps the lease `name` for `holder` until `milliseconds` from now, by the database's clock;
    /// whether it has it. Another's lease that has run out is taken over.
    func lease(_ name: String, holder: String, milliseconds: Int) async throws(StoreError) -> Bool
    func release(_ name: String, holder: String) async throws(StoreError)

    // MARK: Events

    /// What happens from now on, from this and other control planes; at most 1024 wait, then they become `resync`.
    func events() -> AsyncStream<StoreEvent>
}
