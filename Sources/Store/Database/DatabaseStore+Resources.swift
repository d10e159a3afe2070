// Resources and revisions: reading a state, committing a revision, what changed between two.

internal import Model

/// The columns that `resource(_:)` reads.
private let resourceColumns = "type, id, since, place, name, labels, spec"
private let revisionColumns = "number, time, actor, message, source, created, updated, deleted"

extension DatabaseStore {
    public func state() async throws(StoreError) -> StoredState {
        try await read { (session) throws(StoreError) in
            let head = try session.head()
            let resources = try session.resources("until IS NULL ORDER BY place", [])
            return StoredState(revision: head.revision, resources: resources, lastOrder: head.lastOrder)
        }
    }

    public func head() async throws(StoreError) -> UInt64 {
        try await read { (session) throws(StoreError) in try session.head().revision }
    }

    public func commit(_ commit: Commit, onto base: UInt64) async throws(StoreError) -> Revision {
        guard !commit.changes.isEmpty else { throw .failed("A commit without changes makes no revision.") }
        let id = Identifier.random()
        return try await write { (session, attempt) throws(StoreError) in
            // Whoever holds this row commits; the others wait for it here, so numbers have no gaps.
            let head = try session.head(locked: true)
            if attempt == .maybeDone, let done = try session.revision("commit_id = $1", .identifier(id)) { return done }
            guard head.revision == base else { throw .conflict(head: head.revision) }
            return try session.store(commit, as: id, after: head)
        }
    }

    public func revisions(limit: Int, before: UInt64?) async throws(StoreError) -> [Revision] {
        try await read { (session) throws(StoreError) in
            try session.query(
                "SELECT \(revisionColumns) FROM revisions WHERE number < $1 ORDER BY number DESC LIMIT $2",
                [.number(before ?? .max), .integer(Int64(max(0, limit)))], revisionRow)
        }
    }

    public func revision(_ number: UInt64) async throws(StoreError) -> Revision? {
        try await read { (session) throws(StoreError) in try session.revision("number = $1", .number(number)) }
    }

    public func changes(of number: UInt64) async throws(StoreError) -> [Change] {
        guard number > 0 else { return [] }
        return try await read { (session) throws(StoreError) in
            try session.changes(from: number - 1, to: number)
        }
    }

    public func changes(from first: UInt64, to last: UInt64) async throws(StoreError) -> [Change] {
        let changes = try await read { (session) throws(StoreError) in
            try session.changes(from: min(first, last), to: max(first, last))
        }
        let differing = changes.filter { !$0.isRestored }
        return first <= last ? differing : differing.map { Change(key: $0.key, before: $0.after, after: $0.before) }
    }

    public func progress(since revision: UInt64) async throws(StoreError) -> StoreProgress {
        try await read { (session) throws(StoreError) in
            let head = try session.head()
            let changes = try session.changes(from: revision, to: max(revision, head.revision))
            return StoreProgress(revision: head.revision, lastOrder: head.lastOrder, changes: changes)
        }
    }
}

private struct Head {
    var revision: UInt64
    var lastOrder: UInt64
}

extension Change {
    /// Whether the resource ends as it began, but for its version.
    fileprivate var isRestored: Bool {
        guard let before, var after else { return false }
        after.version = before.version
        return before == after
    }
}

extension SQLSession {
    fileprivate func head(locked: Bool = false) throws(StoreError) -> Head {
        let lock = locked ? lockClause : ""
        let head = try first("SELECT revision, last_place FROM head WHERE only_row = 1 \(lock)") {
            (row) throws(StoreError) in
            Head(revision: try row.number(0), lastOrder: try row.number(1))
        }
        guard let head else { throw .failed("The database has lost its head row: restore it from a copy.") }
        return head
    }

    fileprivate func resources(_ condition: String, _ parameters: [SQLValue]) throws(StoreError) -> [Resource] {
        var labels = LabelReader()
        return try query("SELECT \(resourceColumns) FROM resources WHERE \(condition)", parameters) {
            (row) throws(StoreError) in
            Resource(
                key: ResourceKey(type: try row.text(0), id: try row.identifier(1)), name: try row.optionalText(4),
                labels: try labels.labels(row, 5), spec: try row.bytes(6), version: try row.number(2),
                order: try row.number(3))
        }
    }

    fileprivate func revision(_ condition: String, _ parameter: SQLValue) throws(StoreError) -> Revision? {
        try query("SELECT \(revisionColumns) FROM revisions WHERE \(condition)", [parameter], revisionRow).first
    }

    /// Everything that differs between two states, by key, with keys that only have another version.
    fileprivate func changes(from first: UInt64, to last: UInt64) throws(StoreError) -> [Change] {
        let range: [SQLValue] = [.number(first), .number(last)]
        var changes: [ResourceKey: Change] = [:]
        // In force at `first`, ended by `last`.
        for resource in try resources("until > $1 AND until <= $2 AND since <= $1", range) {
            changes[resource.key] = Change(key: resource.key, before: resource, after: nil)
        }
        // Begun after `first`, in force at `last`.
        for resource in try resources("since > $1 AND since <= $2 AND (until IS NULL OR until > $2)", range) {
            changes[resource.key, default: Change(key: resource.key, before: nil, after: nil)].after = resource
        }
        return changes.values.sorted { $0.key < $1.key }
    }

    /// Ends what the commit replaces or deletes, adds what it creates, and moves the head.
    fileprivate func store(_ commit: Commit, as id: Identifier, after head: Head) throws(StoreError) -> Revision {
        let number = head.revision + 1
        let ended = commit.changes.filter { $0.before != nil }.map(\.key)
        guard try end(ended, by: number) == ended.count else {
            throw .failed("The commit replaces or deletes a resource that is not there, or names one twice.")
        }
        let begun = commit.changes.compactMap(\.after)
        let columns = ["type", "id", "since", "place", "name", "labels", "spec"]
        try insert(into: "resources", columns, count: begun.count) { (index) throws(StoreError) in
            let resource = begun[index]
            return [
                .text(resource.key.type), .identifier(resource.key.id), .number(number), .number(resource.order),
                .text(optional: resource.name), try .labels(resource.labels), .bytes(resource.spec),
            ]
        }
        let updated = commit.changes.count { $0.before != nil && $0.after != nil }
        let revision = Revision(
            number: number, time: commit.time, actor: commit.actor, message: commit.message, source: commit.source,
            created: begun.count - updated, updated: updated, deleted: ended.count - updated)
        try store(revision, as: id, lastOrder: begun.reduce(head.lastOrder) { max($0, $1.order) })
        var audit = commit.audit
        for index in audit.indices { audit[index].revision = number }
        try append(audit: audit)
        try notify(.revision(number))
        return revision
    }

    private func store(_ revision: Revision, as id: Identifier, lastOrder: UInt64) throws(StoreError) {
        try execute(
            "INSERT INTO revisions (commit_id, \(revisionColumns)) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
            [
                .identifier(id), .number(revision.number), .integer(revision.time), .text(revision.actor),
                .text(revision.message), .text(revision.source), .integer(Int64(revision.created)),
                .integer(Int64(revision.updated)), .integer(Int64(revision.deleted)),
            ])
        try execute(
            "UPDATE head SET revision = $1, last_place = $2 WHERE only_row = 1",
            [.number(revision.number), .number(lastOrder)])
    }
}

private func revisionRow(_ row: any SQLRow) throws(StoreError) -> Revision {
    Revision(
        number: try row.number(0), time: try row.integer(1), actor: try row.text(2), message: try row.text(3),
        source: try row.text(4), created: try row.count(5), updated: try row.count(6), deleted: try row.count(7))
}
