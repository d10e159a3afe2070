// One transaction on PostgreSQL.

internal import Model

final class PostgresSession: SQLSession {
    /// Rows are sent to COPY in pieces of about this size.
    private static let pieceBytes = 256 << 10
    static let channel = "seaway"

    let lockClause = "FOR UPDATE"
    private let connection: PostgresConnection

    init(_ connection: PostgresConnection) {
        self.connection = connection
    }

    func query<T>(
        _ sql: String, _ parameters: [SQLValue], _ read: (any SQLRow) throws(StoreError) -> T
    ) throws(StoreError) -> [T] {
        var results: [T] = []
        try connection.query(sql, PostgresParameters(parameters)) { (row) throws(StoreError) in
            results.append(try read(row))
        }
        return results
    }

    func execute(_ sql: String, _ parameters: [SQLValue]) throws(StoreError) -> Int {
        try connection.execute(sql, PostgresParameters(parameters))
    }

    func script(_ sql: String) throws(StoreError) {
        try connection.command(sql)
    }

    func insert(
        into table: String, _ columns: [String], count: Int, row: (Int) throws(StoreError) -> [SQLValue]
    ) throws(StoreError) {
        guard count > 0 else { return }
        var index = 0
        let sql = "COPY \(table) (\(columns.joined(separator: ", "))) FROM STDIN (FORMAT binary)"
        try connection.copy(sql) { (buffer) throws(StoreError) in
            while index < count, buffer.bytes.count < Self.pieceBytes {
                buffer.append(Int16(clamping: columns.count))
                for value in try row(index) { buffer.append(field: value) }
                index += 1
            }
        }
    }

    func end(_ keys: [ResourceKey], by revision: UInt64) throws(StoreError) -> Int {
        guard !keys.isEmpty else { return 0 }
        var parameters = PostgresParameters([.number(revision)])
        parameters.append(array: keys.map { .text($0.type) })
        parameters.append(array: keys.map { .identifier($0.id) })
        return try connection.execute(
            """
            UPDATE resources SET until = $1 FROM unnest($2, $3) AS ended (type, id)
            WHERE resources.type = ended.type AND resources.id = ended.id AND resources.until IS NULL
            """, parameters)
    }

    func now() throws(StoreError) -> Int64 {
        let sql = "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint"
        return try first(sql) { (row) throws(StoreError) in try row.integer(0) } ?? 0
    }

    func notify(_ event: StoreEvent) throws(StoreError) {
        guard let payload = event.payload else { return }
        _ = try query("SELECT pg_notify($1, $2)", [.text(Self.channel), .text(payload)]) { _ throws(StoreError) in }
    }
}

extension StoreEvent {
    /// As it travels between control planes; nil: it does not.
    fileprivate var payload: String? {
        switch self {
        case .revision(let number): "revision \(number)"
        case .tokensChanged: "tokens"
        case .gatewayChanged(let id): "gateway \(id)"
        case .resync: nil
        }
    }

    /// What cannot be read, from a newer control plane, is a reason to look at everything.
    init(payload: String) {
        let words = payload.split(separator: " ")
        switch words.first {
        case "revision": self = words.last.flatMap { UInt64($0) }.map { .revision($0) } ?? .resync
        case "tokens": self = .tokensChanged
        case "gateway": self = words.last.flatMap { Identifier(String($0)) }.map { .gatewayChanged($0) } ?? .resync
        default: self = .resync
        }
    }
}
