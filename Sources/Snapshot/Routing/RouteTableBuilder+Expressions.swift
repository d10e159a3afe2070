// Rules with a program: routes by expression, and what the flavour adds to the others.

internal import Bytes

extension RouteTableBuilder {
    /// A route with an expression: compiled, and put where its hints say.
    mutating func addExpression(_ part: RoutePart, _ route: Route) throws(RouteTableError) {
        let number: Int
        let hints: ExpressionHints
        do throws(ExpressionError) {
            let expression = try RouteExpression(parsing: route.expression, domain: .http)
            number = try expressions.add(expression, text: route.expression, protocols: route.protocols)
            hints = ExpressionHints(expression.root)
        } catch {
            throw .expression(route: part.route, error)
        }
        numberHeaders()
        var rule = Rule(route: UInt32(part.route))
        rule.program = Int32(number)
        rule.isExpression = true
        rule.hosts.start = UInt32(ruleHosts.count)
        for host in hints.values[.host, default: []] { addHost(host.name, host.text, port: 0) }
        rule.hosts.count = UInt32(ruleHosts.count) - rule.hosts.start
        rule.paths.start = UInt32(paths.count)
        for path in hints.values[.path, default: []] {
            let stored = path.text.withBytes { store($0) }
            paths.append(PathRecord(offset: stored.offset, count: stored.count, pattern: -1))
        }
        rule.paths.count = UInt32(paths.count) - rule.paths.start
        let keys = keys(of: hints)
        if !keys.isEmpty { expressionKeys[UInt32(rules.count)] = keys }
        rules.append(rule)
        place(rule, rank: UInt32(rules.count - 1))
    }

    /// Programs and the table number headers alike: rules with an expression come first, so that the names
    /// in theirs are the table's first.
    private mutating func numberHeaders() {
        while headerIndex.count < expressions.headerNames.count {
            let name = expressions.headerNames[headerIndex.count]
            traits.hasProgramHeaders = true
            traits.headerNameLengths |= 1 << UInt64(min(name.utf8.count, 63))
            _ = Self.number(name, in: &headerIndex, seed, pool)
        }
    }

    private func keys(of hints: ExpressionHints) -> [[CellDivider.Key]] {
        var groups: [[CellDivider.Key]] = []
        for (kind, values) in hints.values {
            switch kind {
            case .host, .path, .address, .port: break
            case .method: groups.append(values.map { CellDivider.Key(kind: .method, parameter: 0, text: $0.text) })
            case .segment(let number):
                groups.append(
                    values.map { CellDivider.Key(kind: .segment, parameter: UInt32(number), text: $0.text) })
            case .serverName:
                guard values.allSatisfy({ value in value.text.withBytes { Self.isFoundByLabels(value.name, $0) } })
                else { continue }
                groups.append(
                    values.map { CellDivider.Key(kind: .init(serverName: $0.name), parameter: 0, text: $0.text) })
            case .header(let name):
                let number = name.withBytes { headerIndex.find(hash($0, 0), 0, $0, in: pool) }
                guard number >= 0, number < Dimension.parameterLimit else { continue }
                groups.append(
                    values.map { CellDivider.Key(kind: .header, parameter: UInt32(number), text: $0.text) })
            }
        }
        return groups
    }

    /// In the flavour expressions, a route's protocols are a condition, and so are its sources and
    /// destinations; -1: there are none.
    func guardProgram(_ part: RoutePart, _ route: Route) throws(RouteTableError) -> Int32 {
        var parts: [CompiledExpressions.Part] = []
        if let node = CompiledExpressions.condition(on: route.protocols) {
            parts.append(CompiledExpressions.Part(node: node, origin: .protocols))
        }
        if let node = try Self.condition(route.sources, .sourceAddress, .sourcePort, part.route) {
            parts.append(CompiledExpressions.Part(node: node, origin: .sources))
        }
        if let node = try Self.condition(route.destinations, .destinationAddress, .destinationPort, part.route) {
            parts.append(CompiledExpressions.Part(node: node, origin: .destinations))
        }
        guard !parts.isEmpty else { return -1 }
        do throws(ExpressionError) {
            return Int32(try expressions.add(parts))
        } catch {
            throw .expression(route: part.route, error)
        }
    }

    private static func condition(
        _ rules: [AddressRule], _ address: ExpressionField, _ port: ExpressionField, _ route: Int
    ) throws(RouteTableError) -> RouteExpression.Node? {
        typealias Node = RouteExpression.Node
        var nodes: [Node] = []
        for rule in rules {
            var both: [Node] = []
            if !rule.address.isEmpty {
                guard let network = IPPrefix(rule.address) else { throw .address(route: route, text: rule.address) }
                both.append(Node(.predicate(RouteExpression.Predicate(address, .isIn, .network(network)))))
            }
            if rule.port > 0 {
                both.append(Node(.predicate(RouteExpression.Predicate(port, .equal, .number(rule.port)))))
            }
            // A rule that asks for nothing: any port is more than 0.
            if both.isEmpty { both.append(Node(.predicate(RouteExpression.Predicate(port, .notEqual, .number(0))))) }
            nodes.append(ExpressionParser.join(both) { .all($0) })
        }
        return nodes.isEmpty ? nil : ExpressionParser.join(nodes) { .any($0) }
    }
}
