// The store in PostgreSQL, for any number of control planes.

/// A store in the schema `seaway` of a PostgreSQL database, through libpq.
///
/// It needs sessions of its own: a pooler in between must be in session mode. Several hosts may be given,
/// with `target_session_attrs=read-write` the one that takes writes is found.
public final class PostgresStore: DatabaseStore {
    let hub = EventHub()
    private let pool: PostgresPool
    private let listener: PostgresListener

    /// Connects when it is first used.
    ///
    /// - Parameter url: `postgres://USER:PASSWORD@HOST:PORT/DATABASE?OPTIONS`, as libpq reads it. Without
    ///   `sslmode` a server on another machine must speak TLS.
    /// - Throws: `failed` when the address cannot be read.
    public init(url: String) throws(StoreError) {
        let address = try PostgresAddress(url)
        pool = PostgresPool(address)
        listener = try PostgresListener(address, hub)
    }

    public func migrate() async throws(StoreError) {
        try await migrateTables()
        try await listener.start()
    }

    public func close() async {
        listener.stop()
        hub.finish()
        await pool.close()
    }

    public func ping() async throws(StoreError) {
        try await pool.transaction(begin: Self.reading, patienceMilliseconds: 1000) {
            (session, _) throws(StoreError) in
            _ = try session.query("SELECT 1", []) { _ throws(StoreError) in }
        }
    }

    private static let reading = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"

    func read<T: Sendable>(
        _ work: @escaping @Sendable (any SQLSession) throws(StoreError) -> T
    ) async throws(StoreError) -> T {
        try await pool.transaction(begin: Self.reading) { (session, _) throws(StoreError) in try work(session) }
    }

    func write<T: Sendable>(
        _ work: @escaping @Sendable (any SQLSession, Attempt) throws(StoreError) -> T
    ) async throws(StoreError) -> T {
        // Locks of rows decide who waits for whom; after the wait a statement must see what the other one wrote.
        try await pool.transaction(begin: "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE", work)
    }

    let dialect = SQLDialect(
        integer: "BIGINT", text: #"TEXT COLLATE "C""#, bytes: "BYTEA", identifier: "UUID", noBytes: "''",
        tableOptions: "",
        appendOnly: """
            CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN RAISE EXCEPTION 'the audit log is append-only'; END $$;
            CREATE TRIGGER audit_keeps_lines BEFORE UPDATE OR DELETE ON audit
            FOR EACH ROW EXECUTE FUNCTION refuse_change();
            CREATE TRIGGER audit_keeps_all BEFORE TRUNCATE ON audit
            FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
            """,
        // The number is “seaway” in ASCII.
        migrationLock: """
            SELECT pg_advisory_xact_lock(126879264104825);
            CREATE SCHEMA IF NOT EXISTS seaway;
            """)
}
