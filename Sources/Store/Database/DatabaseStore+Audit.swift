// The audit log: appended to, never changed, each line tied to the one before it by a hash.

internal import Crypto
internal import Synchronization

private let auditColumns = "number, time, actor, address, action, target, outcome, detail, revision"

extension DatabaseStore {
    public func append(_ records: [AuditRecord]) async throws(StoreError) {
        guard !records.isEmpty else { return }
        let earlier = EarlierAppend()
        try await write { (session, attempt) throws(StoreError) in
            // The lock on this row puts all writers in line.
            let head = try session.auditHead(locked: true)
            if attempt == .maybeDone, let end = earlier.end.withLock({ $0 }), try session.holds(end) { return }
            let end = try session.append(audit: records, after: head)
            earlier.end.withLock { $0 = end }
        }
    }

    public func audit(_ query: AuditQuery) async throws(StoreError) -> [AuditRecord] {
        try await read { (session) throws(StoreError) in
            var conditions = ["number < $1"]
            var parameters: [SQLValue] = [.number(query.before ?? .max)]
            func add(_ value: SQLValue?, _ condition: (String) -> String) {
                guard let value else { return }
                parameters.append(value)
                conditions.append(condition("$\(parameters.count)"))
            }
            add(query.actor.map { .text($0) }) { "actor = \($0)" }
            add(query.action.map { .text($0) }) { "action = \($0)" }
            add(query.outcome.map { .text($0) }) { "outcome = \($0)" }
            add(query.target.map { .text($0) }) { "substr(target, 1, length(\($0))) = \($0)" }
            add(query.since.map { .integer($0) }) { "time >= \($0)" }
            add(query.until.map { .integer($0) }) { "time <= \($0)" }
            parameters.append(.integer(Int64(min(1000, max(1, query.limit)))))
            let sql = """
                SELECT \(auditColumns) FROM audit WHERE \(conditions.joined(separator: " AND "))
                ORDER BY number DESC LIMIT $\(parameters.count)
                """
            return try session.query(sql, parameters, auditRecord)
        }
    }

    public func verifyAudit() async throws(StoreError) -> UInt64? {
        var seen = AuditHead(number: 0, hash: [])
        // A page at a time: the log may be larger than memory, and grows meanwhile.
        while true {
            let after = seen.number
            let (page, head) = try await read { (session) throws(StoreError) in
                let sql = "SELECT \(auditColumns), hash FROM audit WHERE number > $1 ORDER BY number LIMIT 10000"
                let page = try session.query(sql, [.number(after)]) { (row) throws(StoreError) in
                    (record: try auditRecord(row), hash: try row.bytes(9))
                }
                return (page, try session.auditHead())
            }
            for line in page {
                let next = seen.next(line.record)
                guard next.number == line.record.number, next.hash == line.hash else { return next.number }
                seen = next
            }
            if page.isEmpty { return seen == head ? nil : min(seen.number, head.number) + 1 }
        }
    }
}

/// Where the log ends: the number and hash of its last line.
struct AuditHead: Sendable, Equatable {
    var number: UInt64
    /// Empty before the first line.
    var hash: [UInt8]

    /// The end after `record` was added. The hash is SHA-256 over the one before, then the line's number and
    /// fields: numbers as 8 bytes, most significant first, texts as UTF-8 after their length as a number.
    func next(_ record: AuditRecord) -> AuditHead {
        var digest = SHA256()
        digest.update(data: hash)
        func add(_ number: UInt64) {
            digest.update(data: (0..<8).map { UInt8(truncatingIfNeeded: number >> UInt64(56 - $0 * 8)) })
        }
        add(number + 1)
        add(UInt64(bitPattern: record.time))
        for text in [record.actor, record.address, record.action, record.target, record.outcome, record.detail] {
            add(UInt64(text.utf8.count))
            digest.update(data: Array(text.utf8))
        }
        add(record.revision)
        return AuditHead(number: number + 1, hash: Array(digest.finalize()))
    }
}

/// What an attempt to append wrote, for the next attempt to look for.
private final class EarlierAppend: Sendable {
    let end = Mutex<AuditHead?>(nil)
}

extension SQLSession {
    fileprivate func auditHead(locked: Bool = false) throws(StoreError) -> AuditHead {
        let lock = locked ? lockClause : ""
        let head = try first("SELECT number, hash FROM audit_head WHERE only_row = 1 \(lock)") {
            (row) throws(StoreError) in
            AuditHead(number: try row.number(0), hash: try row.bytes(1))
        }
        guard let head else { throw .failed("The database has lost the end of its audit log: restore it from a copy.") }
        return head
    }

    fileprivate func holds(_ end: AuditHead) throws(StoreError) -> Bool {
        try first("SELECT hash FROM audit WHERE number = $1", [.number(end.number)]) { (row) throws(StoreError) in
            try row.bytes(0)
        } == end.hash
    }

    /// Adds lines within a transaction that does more than that.
    func append(audit records: [AuditRecord]) throws(StoreError) {
        if !records.isEmpty { _ = try append(audit: records, after: try auditHead(locked: true)) }
    }

    fileprivate func append(audit records: [AuditRecord], after head: AuditHead) throws(StoreError) -> AuditHead {
        // The hash is over what will be read back.
        let records = records.map(\.storable)
        let columns = [
            "number", "time", "actor", "address", "action", "target", "outcome", "detail", "revision", "hash",
        ]
        var end = head
        try insert(into: "audit", columns, count: records.count) { (index) throws(StoreError) in
            let record = records[index]
            end = end.next(record)
            return [
                .number(end.number), .integer(record.time), .text(record.actor), .text(record.address),
                .text(record.action), .text(record.target), .text(record.outcome), .text(record.detail),
                .number(record.revision), .bytes(end.hash),
            ]
        }
        try execute(
            "UPDATE audit_head SET number = $1, hash = $2 WHERE only_row = 1", [.number(end.number), .bytes(end.hash)])
        return end
    }
}

extension AuditRecord {
    fileprivate var storable: AuditRecord {
        var record = self
        for field in [\AuditRecord.actor, \.address, \.action, \.target, \.outcome, \.detail] {
            record[keyPath: field] = record[keyPath: field].withoutNUL
        }
        return record
    }
}

private func auditRecord(_ row: any SQLRow) throws(StoreError) -> AuditRecord {
    var record = AuditRecord(
        time: try row.integer(1), actor: try row.text(2), address: try row.text(3), action: try row.text(4),
        target: try row.text(5), outcome: try row.text(6), detail: try row.text(7), revision: try row.number(8))
    record.number = try row.number(0)
    return record
}
