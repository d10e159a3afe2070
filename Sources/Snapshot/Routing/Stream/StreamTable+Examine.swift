// Why other stream routes did not take a connection: every route against one question, for explanations.

internal import Bytes

/// A kind of condition that a stream route can set.
public enum StreamMatcher: Sendable, Equatable {
    /// Its protocols.
    case transport
    case source, destination, serverName
    /// A part of the route's expression that must hold, as in `Matcher.expression`.
    case expression(Range<Int>, observed: [String]?)
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
        let memory = ExpressionMemory()
        return (0..<min(limit, rules.count)).map { rank in
            StreamExamined(rank: rank, route: Int(rules[rank].route), failed: failures(rules[rank], question, memory))
        }
    }

    private func failures(
        _ rule: StreamRule, _ question: StreamQuestion, _ memory: ExpressionMemory
    ) -> [StreamMatcher] {
        let protocols = Protocols(rawValue: Int(rule.protocols))
        var failed: [StreamMatcher] = []
        if protocols.isDisjoint(with: question.candidates) { failed.append(.transport) }
        if rule.program >= 0 {
            var probe = StreamProbe(question: question, checksNames: false, memory: memory)
            let isTLS = question.transport == .tls || protocols.contains(.tlsPassthrough)
            if question.transport == .udp { probe.setValues("udp") } else { probe.setValues(isTLS ? "tls" : "tcp") }
            for failure in expressions.failures(Int(rule.program), probe.values, memory) {
                guard case .expression(let range, let observed) = failure else { continue }
                failed.append(.expression(range, observed: observed))
            }
            return failed
        }
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
