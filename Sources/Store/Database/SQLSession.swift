// What both databases look like to the queries of this module: sessions, rows, values.

internal import Model

/// One parameter of a statement.
enum SQLValue: Sendable {
    case null
    case integer(Int64)
    case text(String)
    case bytes([UInt8])
    case identifier(Identifier)

    /// A number that the database has as a signed one.
    static func number(_ value: UInt64) -> SQLValue {
        .integer(Int64(clamping: value))
    }

    /// Without NUL in texts, which PostgreSQL has no place for; names are checked long before this.
    var storable: SQLValue {
        guard case .text(let text) = self, text.utf8.contains(0) else { return self }
        return .text(text.withoutNUL)
    }

    /// Nil is null.
    static func text(optional value: String?) -> SQLValue {
        value.map { .text($0) } ?? .null
    }
}

extension String {
    /// With U+FFFD in the place of each NUL.
    var withoutNUL: String {
        utf8.contains(0) ? String(String.UnicodeScalarView(unicodeScalars.map { $0 == "\0" ? "\u{FFFD}" : $0 })) : self
    }
}

/// One row of a result, valid while the closure that got it runs.
protocol SQLRow {
    func isNull(_ column: Int) -> Bool
    /// Each throws `failed` when the column has another type or is null.
    func integer(_ column: Int) throws(StoreError) -> Int64
    func text(_ column: Int) throws(StoreError) -> String
    func bytes(_ column: Int) throws(StoreError) -> [UInt8]
    func identifier(_ column: Int) throws(StoreError) -> Identifier
}

extension SQLRow {
    func number(_ column: Int) throws(StoreError) -> UInt64 {
        guard let number = UInt64(exactly: try integer(column)) else {
            throw .failed("The database holds a negative number where none can be.")
        }
        return number
    }

    func count(_ column: Int) throws(StoreError) -> Int {
        Int(clamping: try integer(column))
    }

    func optionalText(_ column: Int) throws(StoreError) -> String? {
        isNull(column) ? nil : try text(column)
    }
}

/// One connection within one transaction. Statements have parameters `$1`, `$2` …
///
/// Every method throws `unavailable` when the connection is lost, `duplicate` when a unique index refuses a
/// row, and `failed` for whatever else the database says. After an error the transaction can only be given up.
protocol SQLSession: AnyObject {
    /// Appended to a SELECT, it keeps the row from all others until the transaction ends.
    var lockClause: String { get }

    func query<T>(
        _ sql: String, _ parameters: [SQLValue], _ read: (any SQLRow) throws(StoreError) -> T
    ) throws(StoreError) -> [T]
    /// The number of rows that it wrote.
    @discardableResult
    func execute(_ sql: String, _ parameters: [SQLValue]) throws(StoreError) -> Int
    /// Several statements without parameters.
    func script(_ sql: String) throws(StoreError)
    /// Inserts many rows; `row` gives each as it is needed.
    func insert(
        into table: String, _ columns: [String], count: Int, row: (Int) throws(StoreError) -> [SQLValue]
    ) throws(StoreError)
    /// Marks the current versions of the resources as ended by `revision`; how many there were.
    func end(_ keys: [ResourceKey], by revision: UInt64) throws(StoreError) -> Int
    /// Unix milliseconds by the clock that all control planes on this database share.
    func now() throws(StoreError) -> Int64
    /// Tells every control plane if and when the transaction is committed.
    func notify(_ event: StoreEvent) throws(StoreError)
}

extension SQLSession {
    func first<T>(
        _ sql: String, _ parameters: [SQLValue] = [], _ read: (any SQLRow) throws(StoreError) -> T
    ) throws(StoreError) -> T? {
        try query(sql, parameters, read).first
    }
}

/// A store on a database of tables. The queries are extensions of this; the databases differ below it.
protocol DatabaseStore: Store {
    var hub: EventHub { get }
    var dialect: SQLDialect { get }

    /// Runs `work` in a transaction that sees one state of the database and changes nothing.
    func read<T: Sendable>(
        _ work: @escaping @Sendable (any SQLSession) throws(StoreError) -> T
    ) async throws(StoreError) -> T

    /// Runs `work` in a transaction and commits it, unless it throws.
    ///
    /// A connection that was lost is made anew and `work` runs again. When it was lost after the commit was
    /// asked for, nobody knows yet whether it happened: then `work` is told so by `.maybeDone`, and must find
    /// out after it took the lock that the first attempt held.
    func write<T: Sendable>(
        _ work: @escaping @Sendable (any SQLSession, Attempt) throws(StoreError) -> T
    ) async throws(StoreError) -> T
}

/// What is known of earlier attempts at a transaction.
enum Attempt: Sendable {
    case fresh
    /// An earlier one may have been committed.
    case maybeDone
}

extension DatabaseStore {
    public func events() -> AsyncStream<StoreEvent> {
        hub.subscribe()
    }

    public func ping() async throws(StoreError) {
        _ = try await read { (session) throws(StoreError) in
            try session.query("SELECT 1", []) { _ throws(StoreError) in 1 }.count
        }
    }
}
