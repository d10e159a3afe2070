// Where a PostgreSQL is, from a URL, and what to say when it cannot be reached.

internal import CPostgres
internal import Glibc

/// A connection URL that libpq can read, with our defaults for what it leaves open.
struct PostgresAddress: Sendable {
    private let url: String
    /// Without user, password and options: for messages.
    let shown: String
    private let defaults: [(String, String)]

    init(_ url: String) throws(StoreError) {
        let given = try Self.parse(url)
        self.url = url
        let host = given["host"] ?? given["hostaddr"] ?? "local socket"
        shown = "postgres://\(host)\(given["port"].map { ":\($0)" } ?? "")/\(given["dbname"] ?? "")"
        let needsTLS = unsafe !Self.isLocal(given) && getenv("PGSSLMODE") == nil
        defaults =
            [
                // Seconds for each host; then milliseconds that sent bytes may stay without an answer.
                ("connect_timeout", "5"), ("tcp_user_timeout", "15000"),
                ("keepalives_idle", "10"), ("keepalives_interval", "5"), ("keepalives_count", "3"),
                ("fallback_application_name", "seaway"),
            ] + (needsTLS ? [("sslmode", "require")] : [])
    }

    /// What the address says, by libpq's names for it.
    private static func parse(_ url: String) throws(StoreError) -> [String: String] {
        var problem: UnsafeMutablePointer<CChar>?
        guard let options = unsafe PQconninfoParse(url, &problem) else {
            // A password that is not escaped lands in other parts of the address, and so in this message.
            let why = unsafe url.contains("@") ? nil : problem.map { unsafe oneLine(String(cString: $0)) }
            if let problem = unsafe problem { unsafe PQfreemem(problem) }
            throw unreadable(why)
        }
        defer { unsafe PQconninfoFree(options) }
        var given: [String: String] = [:]
        // The list ends with an entry that has no keyword.
        var option = unsafe options
        while let keyword = unsafe option.pointee.keyword {
            if let value = unsafe option.pointee.val { unsafe given[String(cString: keyword)] = String(cString: value) }
            unsafe option += 1
        }
        // libpq takes these, and fails later with the rest of the password in its message.
        let ports = (given["port"] ?? "").split(separator: ",")
        guard given["host"]?.contains("@") != true, ports.allSatisfy({ UInt16($0) != nil }) else {
            throw unreadable(nil)
        }
        return given
    }

    private static func unreadable(_ why: String?) -> StoreError {
        .failed(
            "The PostgreSQL address cannot be read\(why.map { ": \($0)" } ?? ""). Write "
                + "postgres://USER:PASSWORD@HOST:5432/DATABASE?sslmode=verify-full, with characters such as "
                + "@ : / ? # in the password as %40 %3A %2F %3F %23.")
    }

    /// libpq would talk in the clear to a server far away that has no TLS; keys and credentials are in there.
    private static func isLocal(_ given: [String: String]) -> Bool {
        let hosts = (given["hostaddr"] ?? given["host"] ?? "").split(separator: ",", omittingEmptySubsequences: false)
        return hosts.allSatisfy {
            $0.isEmpty || $0.hasPrefix("/") || $0 == "localhost" || $0.hasPrefix("127.") || $0 == "::1"
        }
    }

    /// In the order in which later ones win.
    var parameters: [(String, String)] {
        defaults + [("dbname", url), ("client_encoding", "UTF8")]
    }

    /// Why a connection did not come about.
    func refusal(_ message: String) -> StoreError {
        // libpq gives no code here. What an operator has to change is told apart by the server's words.
        let lasting = ["authentication failed", "no pg_hba.conf entry", "does not exist", "certificate verify failed"]
        if lasting.contains(where: message.contains) {
            return .failed("PostgreSQL at \(shown) refuses the connection: \(message)")
        }
        if message.contains("does not support SSL") {
            return .failed(
                "PostgreSQL at \(shown) does not speak TLS. Turn on its `ssl` setting, or, if nobody can listen on "
                    + "the way to it, add sslmode=disable to the address.")
        }
        return .unavailable("PostgreSQL at \(shown) cannot be reached: \(message)")
    }
}
