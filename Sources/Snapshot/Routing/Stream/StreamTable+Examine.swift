// Why other stream routes did not take a connection: every route against one question, for explanations.

internal import Bytes

/// A kind of condition that a stream route can set.
public enum StreamMatcher: Sendable, Equatable {
    /// Its protocols.
    case transport
    case source, destination, serverName
}

/// One stream route held against a question.
public struct StreamExamined: Sendable {
    /// Its place in the table's order; 0 is asked first.
    public var rank: Int
    public var route: Int
    /// Conditions that do not hold; empty: it matches too, and lost by its rank.
    public var failed: [StreamMatcher]
}

extension StreamTable {
    /// Holds up to `limit` routes, from rank 0, against `question`. Costs as much as a scan.
    public func examine(_ question: StreamQuestion, limit: Int) -> [StreamExamined] {
        (0..<min(limit, rules.count)).map { rank in
            StreamExamined(rank: rank, route: Int(rules[rank].route), failed: failures(rules[rank], question))
        }
    }

    private func failures(_ rule: StreamRule, _ question: StreamQuestion) -> [StreamMatcher] {
        let protocols = Protocols(rawValue: Int(rule.protocols))
        var failed: [StreamMatcher] = []
        if protocols.isDisjoint(with: question.candidates) { failed.append(.transport) }
        if !holds(rule.sources, question.source, question.sourcePort) { failed.append(.source) }
        if !holds(rule.destinations, question.destination, question.destinationPort) { failed.append(.destination) }
        let checksNames = question.transport == .tls || protocols.contains(.tlsPassthrough)
        if checksNames, !holds(rule.names, question.serverName) { failed.append(.serverName) }
        return failed
    }
}

extension StreamQuestion {
    /// The protocols of routes that may answer.
    public var candidates: Protocols {
        switch transport {
        case .udp: .udp
        case .tcp: isPassthrough ? [.tcp, .tlsPassthrough] : .tcp
        case .tls: isPassthrough ? [.tls, .tlsPassthrough] : .tls
        }
    }
}
