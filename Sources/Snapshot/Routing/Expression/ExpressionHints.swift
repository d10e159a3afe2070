// What an expression cannot hold without: where its route stands in the index.

internal import Bytes

/// Values of which a request must have one, for each kind that the expression says something about. Only
/// what is certain: a request without any of them does not satisfy the expression. The converse is not
/// claimed; the expression is evaluated all the same.
struct ExpressionHints {
    /// A kind of value that an index finds routes by.
    enum Kind: Hashable {
        case host, path, method, serverName
        case header(String)
        case segment(Int)
        case address(StreamKey.Side)
        case port(StreamKey.Side)
    }

    /// One value.
    struct Value: Hashable {
        var name: NameKind
        /// Hosts, server names and header values are in lower case.
        var text: [UInt8] = []
        var network: IPPrefix?
        var port: UInt16 = 0
    }

    /// Alternatives by kind; no kind has none.
    private(set) var values: [Kind: [Value]] = [:]

    /// More alternatives than these help nobody.
    static let alternativeLimit = 64

    init(_ node: RouteExpression.Node) { values = Self.needs(of: node) }

    /// What one end of a connection must be: networks or ports, whichever are fewer.
    func addresses(_ side: StreamKey.Side) -> [AddressCondition] {
        let networks = values[.address(side)].map { $0.map { AddressCondition(prefix: $0.network, port: 0) } }
        let ports = values[.port(side)].map { $0.map { AddressCondition(prefix: nil, port: $0.port) } }
        guard let networks, let ports else { return networks ?? ports ?? [] }
        return networks.count <= ports.count ? networks : ports
    }

    private static func needs(of node: RouteExpression.Node) -> [Kind: [Value]] {
        switch node.kind {
        case .predicate(let predicate): return needs(of: predicate)
        case .not: return [:]
        case .all(let nodes):
            // Each condition is needed; of two of a kind the one with fewer alternatives says more.
            return nodes.reduce(into: [:]) { all, node in
                all.merge(needs(of: node)) { best(of: $0, $1) }
            }
        case .any(let nodes):
            // Only what every branch needs is needed.
            guard let first = nodes.first else { return [:] }
            return nodes.dropFirst().reduce(needs(of: first)) { all, node in
                let other = all.isEmpty ? [:] : needs(of: node)
                var both: [Kind: [Value]] = [:]
                for (kind, values) in all {
                    guard let more = other[kind] else { continue }
                    let joined = values + more.filter { !values.contains($0) }
                    if joined.count <= alternativeLimit { both[kind] = joined }
                }
                return both
            }
        }
    }

    /// Fewer alternatives are better; then the longer text, as `/a/b` of `/a` and `/a/b`.
    private static func best(of a: [Value], _ b: [Value]) -> [Value] {
        if a.count != b.count { return a.count < b.count ? a : b }
        let length = { (values: [Value]) in values.map(\.text.count).min() ?? 0 }
        return length(a) >= length(b) ? a : b
    }

    private static func needs(of predicate: RouteExpression.Predicate) -> [Kind: [Value]] {
        guard case .text(let literal) = predicate.literal else { return numericNeeds(of: predicate) }
        let text = Array(literal.utf8)
        let name: NameKind? =
            switch predicate.comparison {
            case .equal: .exact
            case .prefix: .prefix
            case .suffix: .suffix
            case .notEqual, .regex, .contains, .greater, .greaterOrEqual, .less, .lessOrEqual, .isIn, .notIn: nil
            }
        switch predicate.field {
        case .path:
            guard !predicate.isLowered else { return [:] }
            if predicate.comparison == .regex { return pathNeeds(ofPattern: text) }
            return name == .exact || name == .prefix ? [.path: [Value(name: .prefix, text: text)]] : [:]
        case .segment(0), .segments(0, _):
            guard !predicate.isLowered, name == .exact || name == .prefix, !text.isEmpty else { return [:] }
            return [.path: [Value(name: .prefix, text: [0x2F] + text)]]
        case .segment(let number):
            guard !predicate.isLowered, name == .exact, !text.isEmpty else { return [:] }
            return [.segment(number): [Value(name: .exact, text: text)]]
        case .method:
            return predicate.isLowered || name != .exact ? [:] : [.method: [Value(name: .exact, text: text)]]
        case .host, .serverName:
            guard let name else { return [:] }
            let kind: Kind = predicate.field == .host ? .host : .serverName
            return [kind: [Value(name: name, text: HostName.literal(literal, predicate.comparison))]]
        case .header(let header):
            // The index knows values in ASCII's lower case only.
            guard name == .exact, !predicate.isLowered || text.allSatisfy({ $0 < 0x80 }) else { return [:] }
            return [.header(header): [Value(name: .exact, text: text.map(ASCII.lower))]]
        case .networkProtocol, .segments, .segmentCount, .query, .sourceAddress, .sourcePort, .destinationAddress,
            .destinationPort:
            return [:]
        }
    }

    private static func numericNeeds(of predicate: RouteExpression.Predicate) -> [Kind: [Value]] {
        let side: StreamKey.Side =
            predicate.field == .sourceAddress || predicate.field == .sourcePort ? .source : .destination
        switch (predicate.field, predicate.comparison, predicate.literal) {
        case (.sourceAddress, .equal, .address(let address)), (.destinationAddress, .equal, .address(let address)):
            return [.address(side): [Value(name: .exact, network: IPPrefix(address))]]
        case (.sourceAddress, .isIn, .network(let network)), (.destinationAddress, .isIn, .network(let network)):
            return [.address(side): [Value(name: .exact, network: network)]]
        case (.sourcePort, .equal, .number(let number)), (.destinationPort, .equal, .number(let number)):
            guard let port = UInt16(exactly: number), port > 0 else { return [:] }
            return [.port(side): [Value(name: .exact, port: port)]]
        default: return [:]
        }
    }

    /// A pattern that is anchored begins with its literal text, and may name segments.
    private static func pathNeeds(ofPattern text: [UInt8]) -> [Kind: [Value]] {
        guard text.first == 0x5E else { return [:] }
        let literal = text.withBytes { PatternLiteral.prefix(of: $0) }
        var needs: [Kind: [Value]] = literal.isEmpty ? [:] : [.path: [Value(name: .prefix, text: literal)]]
        for segment in text.withBytes({ PatternLiteral.segments(of: $0) }) {
            needs[.segment(segment.number)] = [Value(name: .exact, text: segment.text)]
        }
        return needs
    }
}
