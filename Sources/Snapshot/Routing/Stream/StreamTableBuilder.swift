// Makes a stream table: routes in order, their conditions, then the lists of each lane.

internal import Bytes

/// The arrays of a `StreamTable` while they grow.
struct StreamTableBuilder {
    let seed: UInt64
    let pool = Buffer(capacity: 4096)
    let expressions = CompiledExpressions()
    var rules: [StreamRule] = []
    var addresses: [AddressCondition] = []
    var names: [NamePattern] = []

    init(seed: UInt64) { self.seed = seed }

    mutating func add(_ routes: [Route]) throws(RouteTableError) {
        for index in StreamPriority.ordered(routes) {
            let route = routes[index]
            guard let number = UInt32(exactly: index) else { throw .tooLarge }
            var rule = StreamRule(route: number, protocols: UInt16(truncatingIfNeeded: route.protocols.rawValue))
            if route.expression.isEmpty {
                rule.sources = try add(route.sources, index)
                rule.destinations = try add(route.destinations, index)
                rule.names = add(route.serverNames)
            } else {
                try addExpression(route, index, to: &rule)
            }
            rules.append(rule)
        }
        guard addresses.count < Int(Int32.max), names.count < Int(Int32.max), pool.end < Int(UInt32.max) else {
            throw .tooLarge
        }
    }

    private mutating func add(_ rules: [AddressRule], _ route: Int) throws(RouteTableError) -> Range32 {
        let start = UInt32(truncatingIfNeeded: addresses.count)
        for rule in rules {
            var prefix: IPPrefix?
            if !rule.address.isEmpty {
                guard let parsed = IPPrefix(rule.address) else { throw .address(route: route, text: rule.address) }
                prefix = parsed
            }
            guard let port = UInt16(exactly: rule.port) else { throw .address(route: route, text: "port \(rule.port)") }
            addresses.append(AddressCondition(prefix: prefix, port: port))
        }
        return Range32(start: start, count: UInt32(truncatingIfNeeded: rules.count))
    }

    private mutating func add(_ serverNames: [String]) -> Range32 {
        let start = UInt32(truncatingIfNeeded: names.count)
        for name in serverNames {
            let (kind, text) = Self.pattern(name)
            add(kind, text)
        }
        return Range32(start: start, count: UInt32(truncatingIfNeeded: serverNames.count))
    }

    /// Compiles an expression. Protocols are no part of it: the lanes tell them apart.
    private mutating func addExpression(
        _ route: Route, _ index: Int, to rule: inout StreamRule
    ) throws(RouteTableError) {
        let hints: ExpressionHints
        do throws(ExpressionError) {
            let expression = try RouteExpression(parsing: route.expression, domain: .stream)
            rule.program = Int32(truncatingIfNeeded: try expressions.add(expression, text: route.expression))
            hints = ExpressionHints(expression.root)
        } catch {
            throw .expression(route: index, error)
        }
        rule.sources = add(hints.addresses(.source))
        rule.destinations = add(hints.addresses(.destination))
        let serverNames = hints.values[.serverName, default: []]
        // Other parts of a name than whole labels are not looked up.
        guard
            serverNames.allSatisfy({ name in name.text.withBytes { RouteTableBuilder.isFoundByLabels(name.name, $0) } })
        else { return }
        let start = UInt32(truncatingIfNeeded: names.count)
        for name in serverNames { add(name.name, name.text) }
        rule.names = Range32(start: start, count: UInt32(truncatingIfNeeded: serverNames.count))
    }

    private mutating func add(_ conditions: [AddressCondition]) -> Range32 {
        let start = UInt32(truncatingIfNeeded: addresses.count)
        addresses += conditions
        return Range32(start: start, count: UInt32(truncatingIfNeeded: conditions.count))
    }

    private mutating func add(_ kind: NameKind, _ text: [UInt8]) {
        let offset = UInt32(truncatingIfNeeded: pool.end)
        text.withBytes { pool.append($0) }
        names.append(NamePattern(kind: kind, offset: offset, count: UInt32(truncatingIfNeeded: text.count)))
    }

    /// `*.x` is anything that ends with `.x`, `x.*` anything that begins with `x.`.
    private static func pattern(_ name: String) -> (kind: NameKind, text: [UInt8]) {
        let text = HostName.canonical(name)
        if text.first == 0x2A { return (.suffix, Array(text.dropFirst())) }
        if text.last == 0x2A { return (.prefix, Array(text.dropLast())) }
        return (.exact, text)
    }

    // MARK: Lanes

    /// The routes with `transport` among their protocols, in lists.
    func lane(_ transport: Protocols) -> StreamLane {
        let checksNames = transport == .tls || transport == .tlsPassthrough
        let members = rules.indices.filter { Int(rules[$0].protocols) & transport.rawValue != 0 }
        var shared: [StreamKey: Int] = [:]
        for rank in members {
            for key in dimensions(rules[rank], checksNames).joined() { shared[key, default: 0] += 1 }
        }
        var lane = StreamLane()
        var lists: [StreamKey: [UInt32]] = [:]
        var any: [UInt32] = []
        for rank in members {
            let crowd = { (keys: [StreamKey]) in keys.lazy.map { shared[$0] ?? 0 }.max() ?? 0 }
            let best = dimensions(rules[rank], checksNames).min { (crowd($0), $0.count) < (crowd($1), $1.count) }
            guard let best else {
                any.append(UInt32(truncatingIfNeeded: rank))
                continue
            }
            for key in best { lists[key, default: []].append(UInt32(truncatingIfNeeded: rank)) }
        }
        // Those without a condition match everything: after the first of them none is asked.
        let last = any.firstIndex { rules[Int($0)].program < 0 }
        lane.any = Self.append(last.map { Array(any[...$0]) } ?? any, to: &lane)
        for (key, ranks) in lists { lane.lists[key] = Self.append(ranks, to: &lane) }
        for rank in members { note(rules[rank], checksNames, in: &lane) }
        return lane
    }

    private static func append(_ ranks: [UInt32], to lane: inout StreamLane) -> Range32 {
        let start = UInt32(truncatingIfNeeded: lane.ranks.count)
        lane.ranks += ranks
        return Range32(start: start, count: UInt32(truncatingIfNeeded: ranks.count))
    }

    /// The keys of each kind of condition that a rule has, without repetition.
    private func dimensions(_ rule: StreamRule, _ checksNames: Bool) -> [[StreamKey]] {
        var dimensions: [[StreamKey]] = []
        if rule.destinations.count > 0 { dimensions.append(keys(.destination, rule.destinations)) }
        if rule.sources.count > 0 { dimensions.append(keys(.source, rule.sources)) }
        if checksNames, rule.names.count > 0 {
            dimensions.append(Self.unique(rule.names.range.map { key(names[$0]) }))
        }
        return dimensions
    }

    private func keys(_ side: StreamKey.Side, _ conditions: Range32) -> [StreamKey] {
        Self.unique(
            conditions.range.map { at in
                let condition = addresses[at]
                guard let prefix = condition.prefix else { return StreamKey(side, port: condition.port) }
                return StreamKey(
                    side, prefix.address, length: UInt8(clamping: prefix.length), port: condition.port)
            })
    }

    private func key(_ pattern: NamePattern) -> StreamKey {
        let text = pool.bytes(at: Int(pattern.offset), count: Int(pattern.count)).array
        var hash = NameHash(seed: seed)
        for byte in pattern.kind == .suffix ? text.reversed() : text { hash.add(byte) }
        return switch pattern.kind {
        case .suffix: StreamKey(.suffix, hash)
        case .prefix: StreamKey(.prefix, hash)
        case .exact, .any: StreamKey(.exact, hash)
        }
    }

    private static func unique(_ keys: [StreamKey]) -> [StreamKey] {
        var seen: Set<StreamKey> = []
        return keys.filter { seen.insert($0).inserted }
    }

    // MARK: What occurs at all

    private func note(_ rule: StreamRule, _ checksNames: Bool, in lane: inout StreamLane) {
        for at in rule.sources.range { Self.note(addresses[at], in: &lane.sources) }
        for at in rule.destinations.range { Self.note(addresses[at], in: &lane.destinations) }
        guard checksNames else { return }
        for at in rule.names.range {
            lane.hasNames = true
            if names[at].kind == .prefix { lane.hasPrefixes = true }
            if names[at].kind == .suffix { lane.hasSuffixes = true }
        }
    }

    private static func note(_ condition: AddressCondition, in kinds: inout StreamLane.AddressKinds) {
        guard let prefix = condition.prefix else {
            kinds.hasPorts = true
            return
        }
        let bits = UInt8(clamping: prefix.length)
        let isIPv6 = prefix.address.isIPv6
        let known = kinds.lengths.firstIndex { $0.bits == bits && $0.isIPv6 == isIPv6 }
        if let known {
            if condition.port != 0 { kinds.lengths[known].hasPorts = true }
        } else {
            kinds.lengths.append(StreamLane.PrefixLength(isIPv6: isIPv6, bits: bits, hasPorts: condition.port != 0))
        }
    }
}
