// Makes a route table: parts in order, their matchers as numbers, then the index over them.

internal import Bytes

/// The arrays of a `RouteTable` while they grow. What only building needs goes with the builder.
struct RouteTableBuilder {
    let seed: UInt64
    let flavour: RouterFlavour
    let pool: Buffer
    let patterns = PatternStore()
    let expressions = CompiledExpressions()
    var facts: [RouteFacts] = []
    var rules: [Rule] = []
    var paths: [PathRecord] = []
    var entries: [Entry] = []
    var hostIndex: TextIndex
    var groups: [Range32] = []
    var lengths: [UInt32] = []
    var cellIndex: TextIndex
    var cells: [Cell] = []
    var bucketIndex = TextIndex()
    var buckets: [Range32] = []
    var dimensions: [Dimension] = []
    var methodIndex = TextIndex()
    var ruleMethods: [UInt32] = []
    var ruleHosts: [UInt32] = []
    var serverNames: [NamePattern] = []
    var headerIndex = TextIndex()
    var headerConditions: [HeaderCondition] = []
    var headerValues: [HeaderValue] = []
    var traits = Traits()

    /// Entries and the cell each belongs to, in the order of their keys.
    private var drafts: [Draft] = []
    private var patternIndex = TextIndex()
    /// By rank, what else than host and path the rules with an expression are found by.
    var expressionKeys: [UInt32: [[CellDivider.Key]]] = [:]

    struct Draft {
        /// A cell, or a bucket.
        var owner: UInt32
        var entry: Entry
    }

    /// Places in the index that one part may take; beyond, only its hosts are indexed.
    static let placeLimit = 256
    /// Routes are numbered in 32 bits with room for flags.
    static let routeLimit = 1 << 26

    init(routes: [Route], flavour: RouterFlavour, seed: UInt64) {
        self.seed = seed
        self.flavour = flavour
        pool = Buffer(capacity: routes.count * 48)
        hostIndex = TextIndex(expecting: routes.count)
        cellIndex = TextIndex(expecting: routes.count)
    }

    mutating func build(_ routes: [Route]) throws(RouteTableError) {
        guard routes.count < Self.routeLimit else { throw .tooLarge }
        facts.reserveCapacity(routes.count)
        for route in routes {
            facts.append(
                RouteFacts(
                    protocols: UInt16(truncatingIfNeeded: route.protocols.rawValue),
                    redirectStatus: UInt16(truncatingIfNeeded: route.httpsRedirectStatus)))
        }
        let parts = RoutePart.ordered(routes)
        rules.reserveCapacity(parts.count)
        drafts.reserveCapacity(parts.count)
        for part in parts {
            let route = routes[part.route]
            if route.expression.isEmpty { try add(part, route) } else { try addExpression(part, route) }
        }
        traits.hasPrograms = expressions.count > 0
        traits.wantsAddresses = expressions.wantsAddresses
        guard pool.end < Int(UInt32.max), paths.count < Int(Entry.pathMask) else { throw .tooLarge }
        makeCells()
        makeBuckets()
        makeLengths()
        hostIndex.freeze()
        cellIndex.freeze()
        bucketIndex.freeze()
        methodIndex.freeze()
        headerIndex.freeze()
    }

    // MARK: One part

    private mutating func add(_ part: RoutePart, _ route: Route) throws(RouteTableError) {
        var rule = Rule(route: UInt32(part.route))
        rule.paths = try addPaths(part, route)
        rule.methods.start = UInt32(ruleMethods.count)
        for method in route.methods {
            ruleMethods.append(UInt32(Self.number(method, in: &methodIndex, seed, pool)))
        }
        rule.methods.count = UInt32(ruleMethods.count) - rule.methods.start
        rule.hosts = addHosts(route)
        rule.serverNames = addServerNames(route)
        rule.headers = try addHeaders(part, route)
        if flavour == .expressions { rule.program = try guardProgram(part, route) }
        rules.append(rule)
        place(rule, rank: UInt32(rules.count - 1))
    }

    func hash(_ text: Bytes, _ context: UInt64) -> UInt64 { PrefixHash.of(text, context, seed: seed) }

    static func number(_ text: String, in index: inout TextIndex, _ seed: UInt64, _ pool: Buffer) -> Int {
        text.withBytes { index.add(PrefixHash.of($0, 0, seed: seed), 0, $0, in: pool) }
    }

    mutating func store(_ text: Bytes) -> (offset: UInt32, count: UInt32) {
        let offset = pool.end
        pool.append(text)
        return (UInt32(truncatingIfNeeded: offset), UInt32(truncatingIfNeeded: text.count))
    }

    private mutating func pattern(_ text: [UInt8], _ route: Int) throws(RouteTableError) -> Int32 {
        let seed = seed
        let pool = pool
        let number = text.withBytes { patternIndex.add(PrefixHash.of($0, 0, seed: seed), 0, $0, in: pool) }
        if number < patterns.count { return Int32(number) }
        do {
            return Int32(try text.withBytes { (text) throws(PatternError) in try patterns.add(text) })
        } catch {
            throw .pattern(route: route, text: String(decoding: text, as: UTF8.self), error)
        }
    }

    private mutating func addPaths(_ part: RoutePart, _ route: Route) throws(RouteTableError) -> Range32 {
        let start = UInt32(paths.count)
        for index in part.paths {
            let text = Array(route.paths[index].utf8)
            if text.first == 0x7E {
                // Kong puts `^` before the text, so that an alternative after `|` is not anchored.
                let pattern = try pattern([0x5E] + text.dropFirst(), part.route)
                let literal = text.withBytes { PatternLiteral.prefix(of: $0.dropFirst(1)) }
                let stored = literal.withBytes { store($0) }
                paths.append(PathRecord(offset: stored.offset, count: stored.count, pattern: pattern))
            } else {
                let stored = text.withBytes { store($0) }
                paths.append(PathRecord(offset: stored.offset, count: stored.count, pattern: -1))
            }
        }
        return Range32(start: start, count: UInt32(paths.count) - start)
    }

    private mutating func addHosts(_ route: Route) -> Range32 {
        let start = UInt32(ruleHosts.count)
        for host in route.hosts {
            var name = host[...]
            var port = 0
            if let colon = host.utf8.firstIndex(of: 0x3A),
                let number = Array(host[colon...].utf8).withBytes({ $0.dropFirst(1).decimal() })
            {
                port = number
                name = host[..<colon]
            }
            var text = HostName.canonical(String(name))
            addHost(Self.takeWildcard(&text), text, port: port)
        }
        return Range32(start: start, count: UInt32(ruleHosts.count) - start)
    }

    /// - Parameter text: in lower case, without its `*`.
    mutating func addHost(_ kind: NameKind, _ text: [UInt8], port: Int) {
        if port != 0 { traits.hasPorts = true }
        let context = RouteTable.hostContext(kind, port: port)
        let (seed, pool) = (seed, pool)
        let group = text.withBytes { hostIndex.add(PrefixHash.of($0, context, seed: seed), context, $0, in: pool) }
        ruleHosts.append(UInt32(group))
        if kind == .suffix { traits.suffixes.add(text.count) }
        if kind == .prefix { traits.prefixes.add(text.count) }
    }

    /// Removes a leading or trailing `*` and says which it was.
    private static func takeWildcard(_ text: inout [UInt8]) -> NameKind {
        if text.first == 0x2A {
            text.removeFirst()
            return .suffix
        }
        if text.last == 0x2A {
            text.removeLast()
            return .prefix
        }
        return .exact
    }

    private mutating func addServerNames(_ route: Route) -> Range32 {
        let start = UInt32(serverNames.count)
        for name in route.serverNames {
            var text = HostName.canonical(name)
            let kind = Self.takeWildcard(&text)
            let stored = text.withBytes { store($0) }
            serverNames.append(NamePattern(kind: kind, offset: stored.offset, count: stored.count))
        }
        return Range32(start: start, count: UInt32(serverNames.count) - start)
    }

    private mutating func addHeaders(_ part: RoutePart, _ route: Route) throws(RouteTableError) -> Range32 {
        let start = UInt32(headerConditions.count)
        for header in route.headers {
            let name = String(
                decoding: header.name.utf8.map { $0 == 0x2D ? 0x5F : ASCII.lower($0) }, as: UTF8.self)
            let first = UInt32(headerValues.count)
            traits.headerNameLengths |= 1 << UInt64(min(name.utf8.count, 63))
            for value in header.values {
                let text = Array(value.utf8)
                if text.starts(with: [0x7E, 0x2A]) {
                    let pattern = try pattern(Self.loweredPattern(text.dropFirst(2)), part.route)
                    headerValues.append(HeaderValue(offset: 0, count: 0, pattern: pattern))
                } else {
                    let stored = text.map { ASCII.lower($0) }.withBytes { store($0) }
                    headerValues.append(HeaderValue(offset: stored.offset, count: stored.count, pattern: -1))
                }
            }
            headerConditions.append(
                HeaderCondition(
                    name: UInt32(Self.number(name, in: &headerIndex, seed, pool)),
                    values: Range32(start: first, count: UInt32(headerValues.count) - first)))
        }
        return Range32(start: start, count: UInt32(headerConditions.count) - start)
    }

    /// Values are compared in lower case, so Kong lowers the pattern too. A letter behind a
    /// backslash keeps its case: `\D` is not `\d`.
    static func loweredPattern(_ text: ArraySlice<UInt8>) -> [UInt8] {
        var result: [UInt8] = []
        var escaped = false
        for byte in text {
            result.append(escaped ? byte : ASCII.lower(byte))
            escaped = !escaped && byte == 0x5C
        }
        return result
    }

    // MARK: Where a part stands in the index

    /// Makes an entry for each host pattern and path that leads to `rule`.
    mutating func place(_ rule: Rule, rank: UInt32) {
        let hosts = indexedHosts(rule)
        let hostFlag = hosts == nil && rule.hosts.count > 0 ? Entry.checkHost : 0
        let groups = hosts ?? [anyHostGroup()]
        let indexPaths = rule.paths.count > 0 && groups.count * Int(rule.paths.count) <= Self.placeLimit
        for group in groups {
            guard indexPaths else {
                let flag = rule.paths.count > 0 ? Entry.checkPath : 0
                addDraft(group, .empty, Entry(rank: rank, path: flag | hostFlag))
                continue
            }
            for path in rule.paths.range {
                let text = pool.bytes(at: Int(paths[path].offset), count: Int(paths[path].count))
                addDraft(group, text, Entry(rank: rank, path: UInt32(path + 1) | hostFlag))
            }
        }
    }

    private mutating func anyHostGroup() -> Int {
        if traits.anyHostGroup < 0 {
            let context = RouteTable.hostContext(.any, port: 0)
            let hash = hash(.empty, context)
            traits.anyHostGroup = hostIndex.add(hash, context, .empty, in: pool)
        }
        return traits.anyHostGroup
    }

    /// The rule's host groups; nil if it has none, or one that cannot be found by its labels.
    private func indexedHosts(_ rule: Rule) -> [Int]? {
        guard rule.hosts.count > 0 else { return nil }
        var groups: [Int] = []
        for at in rule.hosts.range {
            let group = Int(ruleHosts[at])
            let text = hostIndex.text(group, in: pool)
            switch NameKind(rawValue: UInt8(truncatingIfNeeded: hostIndex.context(group))) {
            case .suffix: guard text.isEmpty || text[0] == 0x2E else { return nil }
            case .prefix: guard !text.isEmpty, text[text.count - 1] == 0x2E else { return nil }
            case .exact, .any, nil: break
            }
            groups.append(group)
        }
        return groups
    }

    private mutating func addDraft(_ group: Int, _ prefix: Bytes, _ entry: Entry) {
        // The prefix is a view of the pool, which may move while it is added to.
        let context = UInt64(group)
        let hash = hash(prefix, context)
        var cell = cellIndex.find(hash, context, prefix, in: pool)
        if cell < 0 {
            cell = prefix.array.withBytes { cellIndex.add(hash, context, $0, in: pool) }
        }
        drafts.append(Draft(owner: UInt32(cell), entry: entry))
    }

    // MARK: Cells, buckets, lengths

    /// Sorts drafts into their owners; stable, so that each list stays in order.
    private mutating func collect(_ drafts: [Draft], owners: Int) -> [Range32] {
        var lists = [Range32](repeating: Range32(), count: owners)
        for draft in drafts { lists[Int(draft.owner)].count += 1 }
        var start = UInt32(entries.count)
        for owner in 0..<owners {
            lists[owner].start = start
            start += lists[owner].count
            lists[owner].count = 0
        }
        entries.append(contentsOf: repeatElement(Entry(rank: 0, path: 0), count: Int(start) - entries.count))
        for draft in drafts {
            let owner = Int(draft.owner)
            entries[Int(lists[owner].start + lists[owner].count)] = draft.entry
            lists[owner].count += 1
        }
        return lists
    }

    private mutating func makeCells() {
        let lists = collect(drafts, owners: cellIndex.count)
        drafts = []
        cells.reserveCapacity(lists.count)
        for list in lists {
            var cell = Cell(list: list)
            cell.bestRank = entries[Int(list.start)].rank
            for at in list.range {
                let rule = rules[Int(entries[at].rank)]
                if rule.headers.count > 0 || rule.isExpression && expressions.usesHeaders(Int(rule.program)) {
                    cell.wantsHeaders = true
                }
            }
            cells.append(cell)
        }
    }

    private mutating func makeBuckets() {
        var drafts: [Draft] = []
        for cell in 0..<cells.count where cells[cell].list.count > CellDivider.smallCell {
            divide(cell, &drafts)
        }
        buckets = collect(drafts, owners: bucketIndex.count)
    }

    /// Gives a large cell buckets by what tells its rules apart.
    private mutating func divide(_ cell: Int, _ drafts: inout [Draft]) {
        var divider = CellDivider()
        let list = cells[cell].list
        let all = Array(entries[list.range])
        let allKeys = all.map { keys(of: $0) }
        for keys in allKeys { divider.count(keys) }
        var rest: [Entry] = []
        var ignoringServerNames: [Entry] = []
        let firstDimension = dimensions.count
        for (entry, keys) in zip(all, allKeys) {
            let chosen = divider.choose(keys, of: all.count)
            if chosen.isEmpty {
                rest.append(entry)
                continue
            }
            for key in chosen { put(entry, key, cell, firstDimension, &drafts) }
            // Without TLS an expression on the server name does not hold; other routes ignore theirs.
            if chosen[0].kind.isServerName, !rules[Int(entry.rank)].isExpression { ignoringServerNames.append(entry) }
        }
        cells[cell].dimensions = Range32(
            start: UInt32(firstDimension), count: UInt32(dimensions.count - firstDimension))
        // The cell's own list shrinks in place; the other list goes to the end.
        for (offset, entry) in rest.enumerated() { entries[Int(list.start) + offset] = entry }
        cells[cell].list.count = UInt32(rest.count)
        cells[cell].ignoringServerNames = Range32(
            start: UInt32(entries.count), count: UInt32(ignoringServerNames.count))
        entries.append(contentsOf: ignoringServerNames)
    }

    private mutating func put(
        _ entry: Entry, _ key: CellDivider.Key, _ cell: Int, _ firstDimension: Int, _ drafts: inout [Draft]
    ) {
        if key.kind == .header {
            cells[cell].hasHeaderBuckets = true
        } else if !dimensions[firstDimension...].contains(where: {
            $0.kind == key.kind && $0.parameter == key.parameter
        }) {
            dimensions.append(Dimension(kind: key.kind, parameter: key.parameter, bestRank: entry.rank))
        }
        let context = Dimension.context(cell, key.kind, Int(key.parameter))
        let (seed, pool) = (seed, pool)
        let bucket = key.text.withBytes {
            bucketIndex.add(PrefixHash.of($0, context, seed: seed), context, $0, in: pool)
        }
        drafts.append(Draft(owner: UInt32(bucket), entry: entry))
    }

    /// Every condition of an entry's rule that one look-up could decide, as groups of alternatives.
    private func keys(of entry: Entry) -> [[CellDivider.Key]] {
        let rule = rules[Int(entry.rank)]
        if rule.isExpression { return expressionKeys[entry.rank, default: []] }
        var groups: [[CellDivider.Key]] = []
        for at in rule.headers.range {
            let condition = headerConditions[at]
            let values = headerValues[condition.values.range]
            guard condition.name < Dimension.parameterLimit, values.allSatisfy({ $0.pattern < 0 }) else { continue }
            groups.append(
                values.map {
                    CellDivider.Key(
                        kind: .header, parameter: condition.name,
                        text: pool.bytes(at: Int($0.offset), count: Int($0.count)).array)
                })
        }
        if rule.serverNames.count > 0, rule.serverNames.range.allSatisfy({ isFoundByLabels(serverNames[$0]) }) {
            groups.append(
                rule.serverNames.range.map {
                    let name = serverNames[$0]
                    let text = pool.bytes(at: Int(name.offset), count: Int(name.count)).array
                    return CellDivider.Key(kind: .init(serverName: name.kind), parameter: 0, text: text)
                })
        }
        if rule.methods.count > 0 {
            groups.append(
                rule.methods.range.map {
                    let text = methodIndex.text(Int(ruleMethods[$0]), in: pool).array
                    return CellDivider.Key(kind: .method, parameter: 0, text: text)
                })
        }
        let path = Int(entry.path & Entry.pathMask)
        if path > 0, paths[path - 1].pattern >= 0 {
            let pattern = patternIndex.text(Int(paths[path - 1].pattern), in: pool)
            for segment in PatternLiteral.segments(of: pattern) {
                let key = CellDivider.Key(kind: .segment, parameter: UInt32(segment.number), text: segment.text)
                groups.append([key])
            }
        }
        return groups
    }

    /// True if trying the ends of a name at each dot finds the pattern.
    private func isFoundByLabels(_ name: NamePattern) -> Bool {
        Self.isFoundByLabels(name.kind, pool.bytes(at: Int(name.offset), count: Int(name.count)))
    }

    static func isFoundByLabels(_ kind: NameKind, _ text: Bytes) -> Bool {
        switch kind {
        case .exact, .any: true
        case .suffix: !text.isEmpty && text[0] == 0x2E
        case .prefix: !text.isEmpty && text[text.count - 1] == 0x2E
        }
    }

    /// For each host group, the distinct lengths of its prefixes, shortest first.
    private mutating func makeLengths() {
        groups = [Range32](repeating: Range32(), count: hostIndex.count)
        var pairs: [UInt64] = []
        pairs.reserveCapacity(cellIndex.count)
        for cell in 0..<cellIndex.count {
            pairs.append(cellIndex.context(cell) << 32 | UInt64(cellIndex.text(cell, in: pool).count))
        }
        pairs.sort()
        var last = UInt64.max
        for pair in pairs where pair != last {
            last = pair
            let group = Int(pair >> 32)
            if groups[group].count == 0 { groups[group].start = UInt32(lengths.count) }
            groups[group].count += 1
            lengths.append(UInt32(truncatingIfNeeded: pair))
        }
    }
}
