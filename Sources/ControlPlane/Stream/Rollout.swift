// A revision that some gateways get before the others: what is kept of it.

internal import Foundation
internal import Model

/// A staged rollout. As long as it runs, gateways without its labels stay at `base`.
struct Rollout: Codable, Equatable, Sendable {
    enum Phase: String, Codable, Sendable {
        /// The revision is about to be committed.
        case preparing
        /// The gateways with the labels get it and are watched.
        case watching
        case promoted, reverted
    }

    /// A UUID.
    var id: String
    /// What the others stay at.
    var base: UInt64
    /// 0: not committed yet.
    var revision: UInt64 = 0
    var labels: [String: String]
    var phase = Phase.preparing
    /// Why it stands as it does, for a person.
    var reason = ""
    /// Who began it.
    var actor: String
    /// Unix milliseconds; `endedAt` 0: it runs.
    var startedAt: Int64
    var endedAt: Int64 = 0
    /// Ids of the gateways that were there when it began: all of them have to acknowledge.
    var gateways: [String] = []

    init(id: Identifier, base: UInt64, labels: [String: String], actor: String, startedAt: Int64) {
        self.id = id.description
        self.base = base
        self.labels = labels
        self.actor = actor
        self.startedAt = startedAt
    }

    init?(stored bytes: [UInt8]) {
        guard let rollout = try? JSONDecoder().decode(Rollout.self, from: Data(bytes)) else { return nil }
        self = rollout
    }

    var stored: [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = .sortedKeys
        return (try? encoder.encode(self)).map { Array($0) } ?? []
    }

    func isCanary(_ labels: [String: String]) -> Bool { self.labels.allSatisfy { labels[$0.key] == $0.value } }
}

/// When a rollout is good, and when it has failed.
public struct RolloutRules: Sendable {
    /// How long the gateways are watched after the last one acknowledged, milliseconds.
    public var watch: Int64 = 10_000
    /// How long they may take to acknowledge, milliseconds.
    public var timeout: Int64 = 300_000
    /// How far the share of answers of 500 and above may rise above what it was: 0.02 are two of a hundred.
    public var errorRise = 0.02
    /// Below so many requests a share says nothing.
    public var requestsMin: UInt64 = 20

    public init() {}
}
