// One transaction on an SQLite file.

internal import Foundation
internal import GRDB
internal import Model

final class SQLiteSession: SQLSession {
    let lockClause = ""
    private let database: Database
    /// To be sent once the transaction is committed.
    private(set) var events: [StoreEvent] = []

    init(_ database: Database) {
        self.database = database
    }

    func query<T>(
        _ sql: String, _ parameters: [SQLValue], _ read: (any SQLRow) throws(StoreError) -> T
    ) throws(StoreError) -> [T] {
        do {
            let statement = try database.cachedStatement(sql: sql)
            let rows = try Row.fetchCursor(statement, arguments: StatementArguments(parameters.map(\.databaseValue)))
            var results: [T] = []
            while let row = try rows.next() { results.append(try read(SQLiteRow(row: row))) }
            return results
        } catch {
            throw StoreError(sqlite: error)
        }
    }

    func execute(_ sql: String, _ parameters: [SQLValue]) throws(StoreError) -> Int {
        do {
            let statement = try database.cachedStatement(sql: sql)
            try statement.execute(arguments: StatementArguments(parameters.map(\.databaseValue)))
            return database.changesCount
        } catch {
            throw StoreError(sqlite: error)
        }
    }

    func script(_ sql: String) throws(StoreError) {
        do { try database.execute(sql: sql) } catch { throw StoreError(sqlite: error) }
    }

    func insert(
        into table: String, _ columns: [String], count: Int, row: (Int) throws(StoreError) -> [SQLValue]
    ) throws(StoreError) {
        let places = columns.indices.map { "$\($0 + 1)" }.joined(separator: ", ")
        let sql = "INSERT INTO \(table) (\(columns.joined(separator: ", "))) VALUES (\(places))"
        for index in 0..<count { _ = try execute(sql, try row(index)) }
    }

    func end(_ keys: [ResourceKey], by revision: UInt64) throws(StoreError) -> Int {
        let sql = "UPDATE resources SET until = $1 WHERE type = $2 AND id = $3 AND until IS NULL"
        var count = 0
        for key in keys { count += try execute(sql, [.number(revision), .text(key.type), .identifier(key.id)]) }
        return count
    }

    func now() -> Int64 {
        Int64(Date().timeIntervalSince1970 * 1000)
    }

    func notify(_ event: StoreEvent) {
        events.append(event)
    }
}

extension SQLValue {
    fileprivate var databaseValue: DatabaseValue {
        switch storable {
        case .null: .null
        case .integer(let value): value.databaseValue
        case .text(let value): value.databaseValue
        case .bytes(let value): Data(value).databaseValue
        case .identifier(let value): Data(value.bytes).databaseValue
        }
    }
}

private struct SQLiteRow: SQLRow {
    let row: Row

    func isNull(_ column: Int) -> Bool {
        row.hasNull(atIndex: column)
    }

    func integer(_ column: Int) throws(StoreError) -> Int64 {
        guard case .int64(let value) = storage(column) else { throw mismatch(column) }
        return value
    }

    func text(_ column: Int) throws(StoreError) -> String {
        guard case .string(let value) = storage(column) else { throw mismatch(column) }
        return value
    }

    func bytes(_ column: Int) throws(StoreError) -> [UInt8] {
        guard case .blob(let value) = storage(column) else { throw mismatch(column) }
        return [UInt8](value)
    }

    func identifier(_ column: Int) throws(StoreError) -> Identifier {
        guard case .blob(let value) = storage(column), let id = Identifier(bytes: value) else { throw mismatch(column) }
        return id
    }

    private func storage(_ column: Int) -> DatabaseValue.Storage {
        (row[column] as DatabaseValue).storage
    }

    private func mismatch(_ column: Int) -> StoreError {
        .failed("The database holds a value of an unexpected type, column \(column) of a result.")
    }
}

extension StoreError {
    /// What SQLite's words mean to the caller.
    init(sqlite error: any Error) {
        switch error {
        case let error as StoreError:
            self = error
        case let error as DatabaseError:
            let text = error.message ?? "SQLite error \(error.extendedResultCode.rawValue)"
            switch error.extendedResultCode {
            case .SQLITE_CONSTRAINT_UNIQUE, .SQLITE_CONSTRAINT_PRIMARYKEY: self = .duplicate(text)
            default:
                switch error.resultCode {
                case .SQLITE_BUSY, .SQLITE_LOCKED:
                    self = .unavailable("Another process has kept the database locked for too long: \(text)")
                case .SQLITE_FULL: self = .unavailable("There is no room left for the database: \(text)")
                case .SQLITE_IOERR, .SQLITE_CANTOPEN: self = .unavailable("The database file cannot be used: \(text)")
                default: self = .failed("SQLite: \(text)")
                }
            }
        default:
            self = .failed("SQLite: \(error)")
        }
    }
}
