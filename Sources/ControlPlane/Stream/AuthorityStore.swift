// The authority that control planes on one store share.

public import Authority
public import Store

extension Authority {
    /// The name of its value in the store.
    static let valueName = "authority"

    /// The store's authority; made now if there is none. Of control planes that start at once, one makes it.
    ///
    /// - Parameter now: Unix seconds.
    public static func shared(in store: any Store, now: Int) async throws -> Authority {
        while true {
            if let bytes = try await store.value(valueName) { return try Authority(stored: bytes) }
            let new = try Authority.make(now: now)
            if try await store.replace(valueName, expecting: nil, with: try new.stored()) { return new }
        }
    }
}
