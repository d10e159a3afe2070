// From what a user writes after `--store` to a store.

/// Where a control plane keeps its state: `sqlite:PATH`, or `postgres://…`.
public enum StoreURL {
    /// Opens the store that `text` names. SQLite files are made when they are not there; PostgreSQL is connected
    /// to when it is first used.
    ///
    /// - Throws: `failed` with what to write instead, or what opening the file says.
    public static func open(_ text: String) throws(StoreError) -> any Store {
        let scheme = text.prefix { $0 != ":" }
        let rest = text.dropFirst(scheme.count + 1)
        switch scheme.lowercased() {
        case "postgres", "postgresql": return try PostgresStore(url: text)
        case "sqlite", "sqlite3": return try SQLiteStore(path: try path(rest))
        case "file" where text.contains(":"): throw .failed("Write sqlite:\(rest) for a store in a file.")
        default:
            guard text.contains("://") else {
                throw .failed(
                    "“\(text)” names no store. Write sqlite:\(text.isEmpty ? "data/seaway.db" : text) for a file, or "
                        + "postgres://USER:PASSWORD@HOST/DATABASE.")
            }
            throw .failed(
                "\(scheme):// is no store that seaway knows. Write sqlite:PATH for a file, or "
                    + "postgres://USER:PASSWORD@HOST/DATABASE.")
        }
    }

    /// `text` fit for logs and messages: without user, password and options.
    public static func shown(_ text: String) -> String {
        guard text.lowercased().hasPrefix("postgres") else { return text }
        return (try? PostgresAddress(text))?.shown ?? "postgres://…"
    }

    private static func path(_ rest: Substring) throws(StoreError) -> String {
        guard rest.hasPrefix("//") else {
            guard !rest.isEmpty, rest != ":memory:" else {
                throw .failed("A store needs a file: write sqlite:PATH, such as sqlite:data/seaway.db.")
            }
            return String(rest)
        }
        guard rest.hasPrefix("///"), rest.count > 3 else {
            throw .failed(
                "sqlite:\(rest) has a host, and files have none. Write sqlite:\(rest.dropFirst(2)) for a path from "
                    + "here, or sqlite:/\(rest.dropFirst(2)) for one from the root.")
        }
        return String(rest.dropFirst(2))
    }
}
