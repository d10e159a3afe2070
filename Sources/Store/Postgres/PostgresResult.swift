// What comes back from PostgreSQL: rows in binary form, and errors with their SQLSTATE.

internal import CPostgres
internal import Model

@safe final class PostgresResult {
    fileprivate let handle: OpaquePointer

    /// Takes over `handle`.
    init(_ handle: OpaquePointer) {
        unsafe self.handle = unsafe handle
    }

    deinit {
        unsafe PQclear(handle)
    }

    var status: ExecStatusType {
        unsafe PQresultStatus(handle)
    }

    /// 0 for statements that write none.
    var rowsWritten: Int {
        guard let text = unsafe PQcmdTuples(handle) else { return 0 }
        return unsafe Int(String(cString: text)) ?? 0
    }

    var error: PostgresError {
        PostgresError(
            state: field("C") ?? "", message: field("M") ?? "no reason given", detail: field("D") ?? "")
    }

    /// The letters are those of the protocol's error fields.
    private func field(_ letter: Unicode.Scalar) -> String? {
        guard let text = unsafe PQresultErrorField(handle, CInt(letter.value)) else { return nil }
        return unsafe String(cString: text)
    }
}

struct PostgresError {
    /// Five characters, the first two of which are the class.
    var state: String
    var message: String
    var detail: String

    /// The server says these and closes.
    var endsConnection: Bool {
        ["57P01", "57P02", "57P03", "57P05", "25P03"].contains(state) || state.hasPrefix("08")
    }

    var meaning: StoreError {
        switch state.prefix(2) {
        case "":
            return .unavailable("The connection to PostgreSQL is lost: \(oneLine(message))")
        case "23" where state == "23505":
            return .duplicate(detail.isEmpty ? message : detail)
        // Connections, resources, operators, deadlocks and serialisation; a lock that was not to be had;
        // a server that is being copied from and takes no writes.
        case "08", "53", "57", "40": return unavailable
        case "55" where state == "55P03": return unavailable
        case "25" where state == "25006" || state == "25P03": return unavailable
        default:
            return .failed("PostgreSQL: \(message)\(detail.isEmpty ? "" : " (\(detail))") [\(state)]")
        }
    }

    private var unavailable: StoreError {
        .unavailable("PostgreSQL: \(message) [\(state)]")
    }
}

/// The one row of a result in single-row mode.
struct PostgresRow: SQLRow {
    let result: PostgresResult

    func isNull(_ column: Int) -> Bool {
        unsafe PQgetisnull(result.handle, 0, CInt(clamping: column)) == 1
    }

    func integer(_ column: Int) throws(StoreError) -> Int64 {
        let bytes = try value(column)
        guard [2, 4, 8].contains(bytes.count) else { throw mismatch(column) }
        let bits = bytes.reduce(0 as UInt64) { $0 << 8 | UInt64($1) }
        return switch bytes.count {
        case 2: Int64(Int16(truncatingIfNeeded: bits))
        case 4: Int64(Int32(truncatingIfNeeded: bits))
        default: Int64(bitPattern: bits)
        }
    }

    func text(_ column: Int) throws(StoreError) -> String {
        String(decoding: try value(column), as: UTF8.self)
    }

    func bytes(_ column: Int) throws(StoreError) -> [UInt8] {
        try value(column)
    }

    func identifier(_ column: Int) throws(StoreError) -> Identifier {
        guard let id = Identifier(bytes: try value(column)) else { throw mismatch(column) }
        return id
    }

    private func value(_ column: Int) throws(StoreError) -> [UInt8] {
        let index = CInt(clamping: column)
        guard !isNull(column), let start = unsafe PQgetvalue(result.handle, 0, index) else { throw mismatch(column) }
        // libpq says how long the value is that it points to.
        let length = unsafe Int(PQgetlength(result.handle, 0, index))
        return unsafe Array(UnsafeRawBufferPointer(start: start, count: length))
    }

    private func mismatch(_ column: Int) -> StoreError {
        .failed("The database holds a value of an unexpected type, column \(column) of a result.")
    }
}
