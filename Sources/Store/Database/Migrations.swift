// The tables, version by version. A version that was released is never changed; a new one is added after it.

/// Where the two databases say the same thing differently.
struct SQLDialect: Sendable {
    /// Types: numbers, text that compares by bytes, bytes, UUIDs.
    var integer: String
    var text: String
    var bytes: String
    var identifier: String
    /// An empty value of `bytes`.
    var noBytes: String
    /// After the closing parenthesis of a table.
    var tableOptions: String
    /// Statements that make the database refuse to change or remove lines of the audit log.
    var appendOnly: String
    /// Statements before all others; they keep other migrations waiting until the transaction ends.
    var migrationLock: String

    /// `{integer}`, `{text}`, `{bytes}`, `{id}` and `{options}` replaced.
    func expand(_ sql: String) -> String {
        var out = ""
        var rest = sql[...]
        while let open = rest.firstIndex(of: "{"), let close = rest[open...].firstIndex(of: "}") {
            out += rest[..<open]
            switch rest[rest.index(after: open)..<close] {
            case "integer": out += integer
            case "text": out += text
            case "bytes": out += bytes
            case "id": out += identifier
            case "options": out += tableOptions
            case "no-bytes": out += noBytes
            case "append-only": out += appendOnly
            case let other: out += "{\(other)}"
            }
            rest = rest[rest.index(after: close)...]
        }
        return out + rest
    }
}

enum Migrations {
    /// Version 1 is the first.
    static let all = [first]

    /// Every version of a resource is one row: in force from revision `since` until before revision `until`,
    /// which replaced or deleted it; a null `until` is the current one. So what a revision did, and the net
    /// change between any two, are range scans, and no specification is stored twice.
    private static let first = """
        CREATE TABLE resources (
            type {text} NOT NULL,
            id {id} NOT NULL,
            since {integer} NOT NULL,
            until {integer} CHECK (until > since),
            place {integer} NOT NULL,
            name {text},
            labels {text} NOT NULL,
            spec {bytes} NOT NULL,
            PRIMARY KEY (type, id, since)
        ){options};
        CREATE UNIQUE INDEX resources_current ON resources (type, id) WHERE until IS NULL;
        CREATE UNIQUE INDEX resources_name ON resources (type, name) WHERE until IS NULL AND name IS NOT NULL;
        CREATE INDEX resources_since ON resources (since);
        CREATE INDEX resources_until ON resources (until) WHERE until IS NOT NULL;

        CREATE TABLE revisions (
            number {integer} NOT NULL PRIMARY KEY,
            commit_id {id} NOT NULL UNIQUE,
            time {integer} NOT NULL,
            actor {text} NOT NULL,
            message {text} NOT NULL,
            source {text} NOT NULL,
            created {integer} NOT NULL,
            updated {integer} NOT NULL,
            deleted {integer} NOT NULL
        ){options};

        CREATE TABLE head (
            only_row {integer} NOT NULL PRIMARY KEY CHECK (only_row = 1),
            revision {integer} NOT NULL,
            last_place {integer} NOT NULL
        ){options};
        INSERT INTO head (only_row, revision, last_place) VALUES (1, 0, 0);

        CREATE TABLE audit (
            number {integer} NOT NULL PRIMARY KEY,
            time {integer} NOT NULL,
            actor {text} NOT NULL,
            address {text} NOT NULL,
            action {text} NOT NULL,
            target {text} NOT NULL,
            outcome {text} NOT NULL,
            detail {text} NOT NULL,
            revision {integer} NOT NULL,
            hash {bytes} NOT NULL
        ){options};
        CREATE INDEX audit_actor ON audit (actor, number);
        CREATE INDEX audit_time ON audit (time);
        {append-only}

        CREATE TABLE audit_head (
            only_row {integer} NOT NULL PRIMARY KEY CHECK (only_row = 1),
            number {integer} NOT NULL,
            hash {bytes} NOT NULL
        ){options};
        INSERT INTO audit_head (only_row, number, hash) VALUES (1, 0, {no-bytes});

        CREATE TABLE tokens (
            id {id} NOT NULL PRIMARY KEY,
            name {text} NOT NULL,
            hash {text} NOT NULL UNIQUE,
            roles {text} NOT NULL,
            labels {text} NOT NULL,
            created_at {integer} NOT NULL,
            expires_at {integer} NOT NULL,
            revoked_at {integer} NOT NULL,
            used_at {integer} NOT NULL,
            created_by {text} NOT NULL
        ){options};
        CREATE UNIQUE INDEX tokens_name ON tokens (name) WHERE revoked_at = 0;

        CREATE TABLE gateways (
            id {id} NOT NULL PRIMARY KEY,
            name {text} NOT NULL,
            labels {text} NOT NULL,
            address {text} NOT NULL,
            version {text} NOT NULL,
            certificate_serial {text} NOT NULL,
            certificate_expires_at {integer} NOT NULL,
            joined_at {integer} NOT NULL,
            revoked_at {integer} NOT NULL,
            last_seen_at {integer} NOT NULL,
            control_plane {text} NOT NULL,
            revision {integer} NOT NULL,
            rejected_revision {integer} NOT NULL,
            rejected_entity {text} NOT NULL,
            rejected_reason {text} NOT NULL,
            report {bytes} NOT NULL
        ){options};

        CREATE TABLE small_values (
            name {text} NOT NULL PRIMARY KEY,
            value {bytes} NOT NULL
        ){options};

        CREATE TABLE leases (
            name {text} NOT NULL PRIMARY KEY,
            holder {text} NOT NULL,
            until {integer} NOT NULL
        ){options};
        """
}

extension DatabaseStore {
    func migrateTables() async throws(StoreError) {
        let dialect = dialect
        try await write { (session, _) throws(StoreError) in
            try session.script(dialect.migrationLock)
            try session.script(
                dialect.expand(
                    """
                    CREATE TABLE IF NOT EXISTS migrations (
                        version {integer} NOT NULL PRIMARY KEY, applied_at {integer} NOT NULL
                    ){options};
                    """))
            let applied =
                try session.first("SELECT coalesce(max(version), 0) FROM migrations") { (row) throws(StoreError) in
                    try row.count(0)
                } ?? 0
            guard applied <= Migrations.all.count else {
                throw .failed(
                    "The database's tables are of version \(applied), and this program knows versions up to "
                        + "\(Migrations.all.count). A newer seaway has used it: run that one, or restore a copy of "
                        + "the database from before.")
            }
            for (index, migration) in Migrations.all.enumerated().dropFirst(applied) {
                try session.script(dialect.expand(migration))
                try session.execute(
                    "INSERT INTO migrations (version, applied_at) VALUES ($1, $2)",
                    [.integer(Int64(index) + 1), .integer(try session.now())])
            }
        }
    }
}
