// A person who is logged in at the web UI: what the store keeps of it.

import Model
import Store

/// One login. The cookie's secret is nowhere; the store's key is its hash.
struct Session: Sendable, Equatable {
    /// Names of store values.
    static let prefix = "session/"
    /// Unused for so long, or this old: it ends. Milliseconds.
    static let idle: Int64 = 8 * 3_600_000
    static let lifetime: Int64 = 24 * 3_600_000
    /// Use is noted at most this often.
    static let noted: Int64 = 60_000

    /// The token that it was opened with; nil: a person whom the OIDC provider vouched for.
    var token: Identifier?
    /// `user:ada@example.com`; for a token's session that token's name at the time.
    var actor: String
    /// Of an OIDC login; a token's session has the token's roles of the moment.
    var roles: [String]
    var createdAt: Int64
    var usedAt: Int64

    func isOver(_ now: Int64) -> Bool {
        now >= createdAt + Self.lifetime || now >= usedAt + Self.idle
    }

    var bytes: [UInt8] {
        ConfigValue.record([
            ConfigValue.Entry("token", token.map { .string($0.description) } ?? .null),
            ConfigValue.Entry("actor", .string(actor)),
            ConfigValue.Entry("roles", .array(roles.map { .string($0) })),
            ConfigValue.Entry("created_at", .int(Int(createdAt))),
            ConfigValue.Entry("used_at", .int(Int(usedAt))),
        ]).json
    }

    init(token: Identifier?, actor: String, roles: [String], now: Int64) {
        self.token = token
        self.actor = actor
        self.roles = roles
        createdAt = now
        usedAt = now
    }

    init?(_ bytes: [UInt8]) {
        guard let value = try? ConfigValue(json: bytes), let actor = value["actor"].string,
            let created = value["created_at"].int, let used = value["used_at"].int
        else { return nil }
        token = value["token"].string.flatMap { Identifier($0) }
        // A damaged token field must not turn a token's session into one without a token to revoke.
        if token == nil, !value["token"].isNull { return nil }
        self.actor = actor
        roles = value["roles"].strings
        createdAt = Int64(created)
        usedAt = Int64(used)
    }
}
