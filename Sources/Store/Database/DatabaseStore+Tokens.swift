// Tokens: who may talk to the APIs, and with what gateways join.

internal import Model

private let tokenColumns =
    "id, name, hash, roles, labels, created_at, expires_at, revoked_at, used_at, created_by"

extension DatabaseStore {
    public func tokens() async throws(StoreError) -> [TokenRecord] {
        try await read { (session) throws(StoreError) in
            try session.query("SELECT \(tokenColumns) FROM tokens ORDER BY created_at, id", []) {
                (row) throws(StoreError) in
                TokenRecord(
                    id: try row.identifier(0), name: try row.text(1), hash: try row.text(2), roles: try row.list(3),
                    labels: try row.labels(4), createdAt: try row.integer(5), expiresAt: try row.integer(6),
                    revokedAt: try row.integer(7), usedAt: try row.integer(8), createdBy: try row.text(9))
            }
        }
    }

    public func add(_ token: TokenRecord) async throws(StoreError) {
        try await write { (session, attempt) throws(StoreError) in
            let there = try session.query(
                """
                SELECT id, name, hash FROM tokens
                WHERE id = $1 OR hash = $2 OR (name = $3 AND revoked_at = 0 AND $4 = 0)
                """,
                [.identifier(token.id), .text(token.hash), .text(token.name), .integer(token.revokedAt)]
            ) { (row) throws(StoreError) in (id: try row.identifier(0), hash: try row.text(2)) }
            // Its own row, from an attempt whose answer was lost.
            if attempt == .maybeDone, there.contains(where: { $0.id == token.id && $0.hash == token.hash }) { return }
            guard there.isEmpty else {
                throw .duplicate("There is a token named “\(token.name)” already: revoke it, or choose another name.")
            }
            try session.execute(
                "INSERT INTO tokens (\(tokenColumns)) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
                [
                    .identifier(token.id), .text(token.name), .text(token.hash), try .list(token.roles),
                    try .labels(token.labels), .integer(token.createdAt), .integer(token.expiresAt),
                    .integer(token.revokedAt), .integer(token.usedAt), .text(token.createdBy),
                ])
            try session.notify(.tokensChanged)
        }
    }

    public func update(_ token: TokenRecord) async throws(StoreError) {
        try await write { (session, _) throws(StoreError) in
            let written = try session.execute(
                """
                UPDATE tokens SET roles = $1, labels = $2, expires_at = $3,
                    revoked_at = CASE WHEN revoked_at <> 0 THEN revoked_at ELSE $4 END, used_at = $5
                WHERE id = $6
                """,
                [
                    try .list(token.roles), try .labels(token.labels), .integer(token.expiresAt),
                    .integer(token.revokedAt), .integer(token.usedAt), .identifier(token.id),
                ])
            guard written == 1 else { throw .notFound }
            try session.notify(.tokensChanged)
        }
    }
}
