// A store that counts how long its operations take.

internal import Model
internal import Store

/// Passes everything on to another store; `commit`, other writes and reads are timed apart.
final class MeteredStore: Store {
    let commits = Timings()
    let writes = Timings()
    let reads = Timings()
    private let store: any Store

    init(_ store: any Store) { self.store = store }

    func migrate() async throws(StoreError) { try await store.migrate() }
    func close() async { await store.close() }
    func ping() async throws(StoreError) { try await reads.measure { () throws(StoreError) in try await store.ping() } }

    func state() async throws(StoreError) -> StoredState {
        try await reads.measure { () throws(StoreError) in try await store.state() }
    }
    func head() async throws(StoreError) -> UInt64 {
        try await reads.measure { () throws(StoreError) in try await store.head() }
    }
    func progress(since revision: UInt64) async throws(StoreError) -> StoreProgress {
        try await reads.measure { () throws(StoreError) in try await store.progress(since: revision) }
    }
    func commit(_ commit: Commit, onto base: UInt64) async throws(StoreError) -> Revision {
        try await commits.measure { () throws(StoreError) in try await store.commit(commit, onto: base) }
    }
    func revisions(limit: Int, before: UInt64?) async throws(StoreError) -> [Revision] {
        try await reads.measure { () throws(StoreError) in try await store.revisions(limit: limit, before: before) }
    }
    func revision(_ number: UInt64) async throws(StoreError) -> Revision? {
        try await reads.measure { () throws(StoreError) in try await store.revision(number) }
    }
    func changes(of number: UInt64) async throws(StoreError) -> [Change] {
        try await reads.measure { () throws(StoreError) in try await store.changes(of: number) }
    }
    func changes(from first: UInt64, to last: UInt64) async throws(StoreError) -> [Change] {
        try await reads.measure { () throws(StoreError) in try await store.changes(from: first, to: last) }
    }

    func append(_ records: [AuditRecord]) async throws(StoreError) {
        try await writes.measure { () throws(StoreError) in try await store.append(records) }
    }
    func audit(_ query: AuditQuery) async throws(StoreError) -> [AuditRecord] {
        try await reads.measure { () throws(StoreError) in try await store.audit(query) }
    }

    func verifyAudit() async throws(StoreError) -> UInt64? { try await store.verifyAudit() }

    func tokens() async throws(StoreError) -> [TokenRecord] {
        try await reads.measure { () throws(StoreError) in try await store.tokens() }
    }
    func add(_ token: TokenRecord) async throws(StoreError) {
        try await writes.measure { () throws(StoreError) in try await store.add(token) }
    }
    func update(_ token: TokenRecord) async throws(StoreError) {
        try await writes.measure { () throws(StoreError) in try await store.update(token) }
    }

    func gateways() async throws(StoreError) -> [GatewayRecord] {
        try await reads.measure { () throws(StoreError) in try await store.gateways() }
    }
    func save(_ gateway: GatewayRecord) async throws(StoreError) {
        try await writes.measure { () throws(StoreError) in try await store.save(gateway) }
    }
    func remove(gateway id: Identifier) async throws(StoreError) {
        try await writes.measure { () throws(StoreError) in try await store.remove(gateway: id) }
    }

    func value(_ name: String) async throws(StoreError) -> [UInt8]? {
        try await reads.measure { () throws(StoreError) in try await store.value(name) }
    }
    func replace(
        _ name: String, expecting expected: [UInt8]?, with value: [UInt8]?
    ) async throws(StoreError) -> Bool {
        try await writes.measure { () throws(StoreError) in
            try await store.replace(name, expecting: expected, with: value)
        }
    }
    func names(_ prefix: String) async throws(StoreError) -> [String] {
        try await reads.measure { () throws(StoreError) in try await store.names(prefix) }
    }

    func lease(_ name: String, holder: String, milliseconds: Int) async throws(StoreError) -> Bool {
        try await store.lease(name, holder: holder, milliseconds: milliseconds)
    }
    func release(_ name: String, holder: String) async throws(StoreError) {
        try await store.release(name, holder: holder)
    }
    func events() -> AsyncStream<StoreEvent> { store.events() }
}
