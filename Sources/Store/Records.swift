// What a store keeps besides resources: audit, tokens, gateways, sessions, authority. None of it makes a revision.

public import Model

/// One line of the audit log. Lines are only ever added.
public struct AuditRecord: Sendable, Equatable {
    /// From 1, given by the store; 0 before.
    public var number: UInt64 = 0
    /// Unix milliseconds.
    public var time: Int64
    public var actor: String
    /// The client's address; empty: none.
    public var address: String
    /// `create`, `update`, `delete`, `apply`, `rollback`, `login`, `token.create`, `token.revoke`, `gateway.join`,
    /// `gateway.revoke`, `read` (only when refused) …
    public var action: String
    /// `services/payments`, `tokens/ci`, a path.
    public var target: String
    /// `allowed`, `denied` or `failed`.
    public var outcome: String
    /// One sentence more: the rule that denied, the error.
    public var detail: String
    /// The revision that came of it; 0: none.
    public var revision: UInt64

    public init(
        time: Int64, actor: String, address: String, action: String, target: String, outcome: String,
        detail: String = "", revision: UInt64 = 0
    ) {
        self.time = time
        self.actor = actor
        self.address = address
        self.action = action
        self.target = target
        self.outcome = outcome
        self.detail = detail
        self.revision = revision
    }
}

/// What to look for in the audit log; nil: anything.
public struct AuditQuery: Sendable {
    public var actor: String?
    public var action: String?
    public var outcome: String?
    /// A prefix of `target`.
    public var target: String?
    /// Unix milliseconds, inclusive.
    public var since: Int64?
    public var until: Int64?
    /// Only records with smaller numbers: the next page of newest-first results.
    public var before: UInt64?
    /// 1 to 1000.
    public var limit = 100

    public init() {}
}

/// A token as the store has it: the secret itself is nowhere.
public struct TokenRecord: Sendable, Equatable {
    public var id: Identifier
    /// For whom: unique among tokens that are not revoked.
    public var name: String
    /// Lower-case hex SHA-256 of the secret.
    public var hash: String
    /// Names of roles, or `gateway` for tokens that gateways join with.
    public var roles: [String]
    /// Labels that a gateway joining with it must have, and gets.
    public var labels: [String: String]
    /// Unix milliseconds; `expiresAt` 0: never; `revokedAt` 0: not revoked; `usedAt` 0: never, exact to a minute.
    public var createdAt: Int64
    public var expiresAt: Int64
    public var revokedAt: Int64
    public var usedAt: Int64
    public var createdBy: String

    public init(
        id: Identifier, name: String, hash: String, roles: [String], labels: [String: String] = [:],
        createdAt: Int64, expiresAt: Int64 = 0, revokedAt: Int64 = 0, usedAt: Int64 = 0, createdBy: String
    ) {
        self.id = id
        self.name = name
        self.hash = hash
        self.roles = roles
        self.labels = labels
        self.createdAt = createdAt
        self.expiresAt = expiresAt
        self.revokedAt = revokedAt
        self.usedAt = usedAt
        self.createdBy = createdBy
    }
}

/// A gateway that has joined.
public struct GatewayRecord: Sendable, Equatable {
    public var id: Identifier
    public var name: String
    public var labels: [String: String]
    public var address: String
    public var version: String
    /// Serial number of its certificate in hex, and when that ends, Unix milliseconds.
    public var certificateSerial: String
    public var certificateExpiresAt: Int64
    /// Unix milliseconds; 0: not.
    public var joinedAt: Int64
    public var revokedAt: Int64
    public var lastSeenAt: Int64
    /// The control plane that has its stream; empty: none.
    public var controlPlane: String
    /// In effect on every worker; 0: none.
    public var revision: UInt64
    /// The revision it rejected last and has not got past; 0: none. With entity and reason.
    public var rejectedRevision: UInt64
    public var rejectedEntity: String
    public var rejectedReason: String
    /// Its latest report, as the stream carried it: traffic and health of targets.
    public var report: [UInt8]

    public init(id: Identifier, name: String, labels: [String: String] = [:]) {
        self.id = id
        self.name = name
        self.labels = labels
        address = ""
        version = ""
        certificateSerial = ""
        certificateExpiresAt = 0
        joinedAt = 0
        revokedAt = 0
        lastSeenAt = 0
        controlPlane = ""
        revision = 0
        rejectedRevision = 0
        rejectedEntity = ""
        rejectedReason = ""
        report = []
    }
}
