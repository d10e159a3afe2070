// Which store a URL means.

public enum StoreURL {
    /// Opens the store of `sqlite:PATH`.
    public static func open(_ text: String) throws(StoreError) -> any Store {
        guard text.hasPrefix("sqlite:") else { throw .failed("a store is sqlite:PATH, not \(text)") }
        return try SQLiteStore(path: String(text.dropFirst("sqlite:".count)))
    }
}
