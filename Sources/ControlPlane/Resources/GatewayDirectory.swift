// What the Resource API asks of whoever has the gateways' streams.

public import Model

/// A gateway as all control planes together know it.
public struct GatewayView: Sendable {
    public var id: Identifier
    public var name: String
    public var labels: [String: String]
    public var address: String
    public var version: String
    /// Its stream is open, here or at another control plane.
    public var isConnected: Bool
    /// The control plane that has its stream; empty: none.
    public var controlPlane: String
    /// Unix milliseconds; 0: never, not.
    public var joinedAt: Int64
    public var lastSeenAt: Int64
    public var revokedAt: Int64
    public var certificateExpiresAt: Int64
    /// In effect on every worker; 0: none.
    public var revision: UInt64
    /// Rejected last and not got past; 0: none.
    public var rejectedRevision: UInt64
    public var rejectedEntity: String
    public var rejectedReason: String
    /// Its latest report: requests, errors and latency since a moment, and health of targets.
    public var report: ConfigValue

    public init(id: Identifier, name: String) {
        self.id = id
        self.name = name
        labels = [:]
        address = ""
        version = ""
        isConnected = false
        controlPlane = ""
        joinedAt = 0
        lastSeenAt = 0
        revokedAt = 0
        certificateExpiresAt = 0
        revision = 0
        rejectedRevision = 0
        rejectedEntity = ""
        rejectedReason = ""
        report = .null
    }
}

/// A revision that goes to some gateways before the others.
public struct RolloutStatus: Sendable {
    public var id: Identifier
    public var revision: UInt64
    /// What the other gateways stay at until it is promoted.
    public var base: UInt64
    /// Of the gateways that get it first.
    public var labels: [String: String]
    /// `watching`, `promoted` or `reverted`.
    public var state: String
    /// Why it stands as it does, for a person.
    public var reason: String
    /// Unix milliseconds; `endedAt` 0: not yet.
    public var startedAt: Int64
    public var endedAt: Int64
    public var actor: String

    public init(
        id: Identifier, revision: UInt64, base: UInt64, labels: [String: String], state: String, reason: String = "",
        startedAt: Int64, endedAt: Int64 = 0, actor: String
    ) {
        self.id = id
        self.revision = revision
        self.base = base
        self.labels = labels
        self.state = state
        self.reason = reason
        self.startedAt = startedAt
        self.endedAt = endedAt
        self.actor = actor
    }
}

/// Knows the gateways and steers rollouts.
public protocol GatewayDirectory: Sendable {
    /// All that ever joined and were not removed, by name.
    func gateways() async -> [GatewayView]
    /// Cuts the gateway's stream within a second and never lets it in again.
    func revoke(_ id: Identifier, by author: Author) async throws(ChangeError)

    /// Newest first.
    func rollouts() async -> [RolloutStatus]
    /// Holds revisions after `base` back from gateways without `labels`, until `start` says which one it is about.
    func prepareRollout(
        labels: [String: String], base: UInt64, by author: Author
    ) async throws(ChangeError) -> Identifier
    /// The revision is committed. Nil: nothing was; the rollout is forgotten.
    func startRollout(_ id: Identifier, revision: UInt64?) async throws(ChangeError)
    func promote(_ id: Identifier, by author: Author) async throws(ChangeError)
    func revert(_ id: Identifier, by author: Author) async throws(ChangeError)

    /// Something about a gateway or a rollout changed; at most 64 wait.
    func events() -> AsyncStream<GatewayEvent>
}

public enum GatewayEvent: Sendable, Equatable {
    case gateway(Identifier)
    case rollout(Identifier)
}
