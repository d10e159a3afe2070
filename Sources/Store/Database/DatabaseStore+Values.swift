// Small values by name, and leases: who leads.

extension DatabaseStore {
    public func value(_ name: String) async throws(StoreError) -> [UInt8]? {
        try await read { (session) throws(StoreError) in try session.value(name) }
    }

    public func replace(
        _ name: String, expecting expected: [UInt8]?, with value: [UInt8]?
    ) async throws(StoreError) -> Bool {
        guard (1...200).contains(name.utf8.count) else {
            throw .failed("A value's name has 1 to 200 bytes; this one has \(name.utf8.count).")
        }
        guard value?.count ?? 0 <= 1 << 20 else {
            throw .failed("The value “\(name)” is larger than 1 MiB, the most that is kept under a name.")
        }
        return try await write { (session, attempt) throws(StoreError) in
            // Writes first, asks later: an insert or update waits for others that have the row, a look does not.
            let written =
                switch (expected, value) {
                case (nil, let value?):
                    try session.execute(
                        "INSERT INTO small_values (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING",
                        [.text(name), .bytes(value)])
                case (let expected?, let value?):
                    try session.execute(
                        "UPDATE small_values SET value = $1 WHERE name = $2 AND value = $3",
                        [.bytes(value), .text(name), .bytes(expected)])
                case (let expected?, nil):
                    try session.execute(
                        "DELETE FROM small_values WHERE name = $1 AND value = $2", [.text(name), .bytes(expected)])
                case (nil, nil):
                    try session.value(name) == nil ? 1 : 0
                }
            if written == 0, attempt == .maybeDone { return try session.value(name) == value }
            return written > 0
        }
    }

    public func names(_ prefix: String) async throws(StoreError) -> [String] {
        try await read { (session) throws(StoreError) in
            try session.query(
                "SELECT name FROM small_values WHERE substr(name, 1, length($1)) = $1 ORDER BY name", [.text(prefix)]
            ) { (row) throws(StoreError) in try row.text(0) }
        }
    }

    public func lease(_ name: String, holder: String, milliseconds: Int) async throws(StoreError) -> Bool {
        try await write { (session, _) throws(StoreError) in
            let now = try session.now()
            return try session.execute(
                """
                INSERT INTO leases (name, holder, until) VALUES ($1, $2, $3)
                ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, until = excluded.until
                WHERE leases.holder = excluded.holder OR leases.until <= $4
                """,
                [.text(name), .text(holder), .integer(now + Int64(max(0, milliseconds))), .integer(now)]) > 0
        }
    }

    public func release(_ name: String, holder: String) async throws(StoreError) {
        try await write { (session, _) throws(StoreError) in
            _ = try session.execute("DELETE FROM leases WHERE name = $1 AND holder = $2", [.text(name), .text(holder)])
        }
    }
}

extension SQLSession {
    fileprivate func value(_ name: String) throws(StoreError) -> [UInt8]? {
        try first("SELECT value FROM small_values WHERE name = $1", [.text(name)]) { (row) throws(StoreError) in
            try row.bytes(0)
        }
    }
}
