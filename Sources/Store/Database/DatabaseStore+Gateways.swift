// Gateways that have joined, and what they said last.

internal import Model

private let gatewayColumns = """
    id, name, labels, address, version, certificate_serial, certificate_expires_at, joined_at, revoked_at,
    last_seen_at, control_plane, revision, rejected_revision, rejected_entity, rejected_reason, report
    """

extension DatabaseStore {
    public func gateways() async throws(StoreError) -> [GatewayRecord] {
        try await read { (session) throws(StoreError) in
            try session.query("SELECT \(gatewayColumns) FROM gateways ORDER BY joined_at, id", [], gatewayRecord)
        }
    }

    public func save(_ gateway: GatewayRecord) async throws(StoreError) {
        let columns = gatewayColumns.split { ", \n".contains($0) }
        let places = (1...columns.count).map { "$\($0)" }.joined(separator: ", ")
        // Whoever saves an older copy must not undo a revocation.
        let updates = columns.dropFirst().map { column in
            column == "revoked_at"
                ? "revoked_at = CASE WHEN gateways.revoked_at <> 0 THEN gateways.revoked_at ELSE excluded.revoked_at END"
                : "\(column) = excluded.\(column)"
        }.joined(separator: ", ")
        try await write { (session, _) throws(StoreError) in
            try session.execute(
                """
                INSERT INTO gateways (\(gatewayColumns)) VALUES (\(places))
                ON CONFLICT (id) DO UPDATE SET \(updates)
                """,
                [
                    .identifier(gateway.id), .text(gateway.name), try .labels(gateway.labels),
                    .text(gateway.address), .text(gateway.version), .text(gateway.certificateSerial),
                    .integer(gateway.certificateExpiresAt), .integer(gateway.joinedAt), .integer(gateway.revokedAt),
                    .integer(gateway.lastSeenAt), .text(gateway.controlPlane), .number(gateway.revision),
                    .number(gateway.rejectedRevision), .text(gateway.rejectedEntity), .text(gateway.rejectedReason),
                    .bytes(gateway.report),
                ])
            try session.notify(.gatewayChanged(gateway.id))
        }
    }

    public func remove(gateway id: Identifier) async throws(StoreError) {
        try await write { (session, _) throws(StoreError) in
            if try session.execute("DELETE FROM gateways WHERE id = $1", [.identifier(id)]) > 0 {
                try session.notify(.gatewayChanged(id))
            }
        }
    }
}

private func gatewayRecord(_ row: any SQLRow) throws(StoreError) -> GatewayRecord {
    var gateway = GatewayRecord(id: try row.identifier(0), name: try row.text(1), labels: try row.labels(2))
    gateway.address = try row.text(3)
    gateway.version = try row.text(4)
    gateway.certificateSerial = try row.text(5)
    gateway.certificateExpiresAt = try row.integer(6)
    gateway.joinedAt = try row.integer(7)
    gateway.revokedAt = try row.integer(8)
    gateway.lastSeenAt = try row.integer(9)
    gateway.controlPlane = try row.text(10)
    gateway.revision = try row.number(11)
    gateway.rejectedRevision = try row.number(12)
    gateway.rejectedEntity = try row.text(13)
    gateway.rejectedReason = try row.text(14)
    gateway.report = try row.bytes(15)
    return gateway
}
