// The look-up: steps 1 to 5 of `RouteTable`.

public import Bytes

/// One request in the form that the tables are searched with.
@usableFromInline
struct Probe {
    var path = Bytes.empty
    var host = Bytes.empty
    var port = 0
    /// Empty without TLS.
    var serverName = Bytes.empty
    var isTLS = false
    var methodText = Bytes.empty
    /// Number of the method in the table; -1: no route names it.
    var method = -1
    /// What programs look at; only set if there are any.
    var values = ExpressionValues(networkProtocol: .empty)
    /// Some candidate looks at headers: `note` must be called for each.
    @usableFromInline var wantsHeaders = false

    @usableFromInline init() {}
}

extension RouteTable {
    /// Steps 1 to 3: everything that needs no headers. False: the path is not UTF-8.
    @usableFromInline
    func prepare(_ request: MatchRequest, _ probe: inout Probe, _ result: MatchResult) -> Bool {
        result.route = -1
        result.rank = -1
        result.prefixCount = -1
        result.captureCount = 0
        result.pattern = -1
        result.isByExpression = false
        result.candidates.removeAll(keepingCapacity: true)
        result.headers.removeAll(keepingCapacity: true)
        let target = request.target
        let raw = PathNormalizer.queryOffset(in: target).map { target.prefix($0) } ?? target
        let path = PathNormalizer.normalize(raw, into: result.pathBuffer)
        result.path = path
        guard PathNormalizer.isUTF8(path) else { return false }
        probe.path = path
        setNames(request, &probe, result.hostBuffer)
        probe.methodText = request.method
        if !methodIndex.isEmpty {
            let hash = PrefixHash.of(request.method, 0, seed: seed)
            probe.method = methodIndex.find(hash, 0, request.method, in: pool)
        }
        if traits.hasPrograms { setValues(request, &probe, result, queryFrom: raw.count) }
        gather(&probe, result)
        return true
    }

    private func setValues(_ request: MatchRequest, _ probe: inout Probe, _ result: MatchResult, queryFrom: Int) {
        result.expressions.headers.removeAll(keepingCapacity: true)
        probe.values = ExpressionValues(
            networkProtocol: request.isTLS ? Bytes("https") : Bytes("http"), serverName: probe.serverName,
            source: request.source, sourcePort: request.sourcePort, destination: request.destination,
            destinationPort: probe.port)
        probe.values.method = request.method
        probe.values.host = probe.host
        probe.values.path = probe.path
        probe.values.query = request.target.dropFirst(queryFrom + 1)
    }

    /// Splits the host, and brings it and the server name to the form of `HostName`.
    private func setNames(_ request: MatchRequest, _ probe: inout Probe, _ buffer: Buffer) {
        var host = request.host
        probe.port = request.port
        if let colon = host.firstIndex(of: 0x3A), let port = host.dropFirst(colon + 1).decimal() {
            probe.port = port
            host = host.prefix(colon)
        }
        host = HostName.trimmed(host)
        let serverName = request.isTLS ? HostName.trimmed(request.serverName) : .empty
        buffer.clear()
        buffer.reserve(host.count + serverName.count)
        probe.isTLS = request.isTLS
        probe.host = Self.lowered(host, buffer)
        probe.serverName = Self.lowered(serverName, buffer)
    }

    /// `text` itself if it has no upper-case letter, else a lower-case copy in `buffer`, which has room.
    private static func lowered(_ text: Bytes, _ buffer: Buffer) -> Bytes {
        var at = 0
        while at < text.count, text[at] &- 0x41 >= 26 { at += 1 }
        if at == text.count { return text }
        let start = buffer.end
        at = 0
        while at < text.count {
            buffer.append(ASCII.lower(text[at]))
            at += 1
        }
        return buffer.bytes(at: start, count: text.count)
    }

    // MARK: Steps 2 and 3: host, then prefix

    private func gather(_ probe: inout Probe, _ result: MatchResult) {
        let host = probe.host
        if !host.isEmpty { gather(.exact, host, &probe, result) }
        if !traits.suffixes.isEmpty {
            if traits.suffixes.least == 0 { gather(.suffix, .empty, &probe, result) }
            var at = max(0, host.count - traits.suffixes.most)
            while at < host.count, host.count - at >= traits.suffixes.least {
                if host[at] == 0x2E { gather(.suffix, host.dropFirst(at), &probe, result) }
                at += 1
            }
        }
        if !traits.prefixes.isEmpty {
            var at = max(0, traits.prefixes.least - 1)
            let end = min(host.count, traits.prefixes.most)
            while at < end {
                if host[at] == 0x2E { gather(.prefix, host.prefix(at + 1), &probe, result) }
                at += 1
            }
        }
        if traits.anyHostGroup >= 0 { gather(group: traits.anyHostGroup, &probe, result) }
    }

    private func gather(_ kind: NameKind, _ text: Bytes, _ probe: inout Probe, _ result: MatchResult) {
        var hash = PrefixHash(seed: seed)
        let context = Self.hostContext(kind, port: 0)
        let group = hostIndex.find(hash.prefix(text, text.count, context), context, text, in: pool)
        if group >= 0 { gather(group: group, &probe, result) }
        if traits.hasPorts, probe.port > 0 {
            let context = Self.hostContext(kind, port: probe.port)
            let group = hostIndex.find(hash.prefix(text, text.count, context), context, text, in: pool)
            if group >= 0 { gather(group: group, &probe, result) }
        }
    }

    static func hostContext(_ kind: NameKind, port: Int) -> UInt64 {
        UInt64(kind.rawValue) | UInt64(truncatingIfNeeded: port) << 8
    }

    private func gather(group: Int, _ probe: inout Probe, _ result: MatchResult) {
        var hash = PrefixHash(seed: seed)
        let context = UInt64(group)
        for at in groups[group].range {
            let length = Int(lengths[at])
            if length > probe.path.count { break }
            let prefix = probe.path.prefix(length)
            let cell = cellIndex.find(hash.prefix(probe.path, length, context), context, prefix, in: pool)
            if cell >= 0 { insert(cell, &probe, result) }
        }
    }

    /// Keeps the candidates in the order of their best rule. There are few.
    private func insert(_ cell: Int, _ probe: inout Probe, _ result: MatchResult) {
        let bestRank = cells[cell].bestRank
        if cells[cell].wantsHeaders { probe.wantsHeaders = true }
        var at = result.candidates.count
        result.candidates.append(MatchResult.Candidate(cell: Int32(cell), bestRank: bestRank))
        while at > 0, result.candidates[at - 1].bestRank > bestRank {
            result.candidates.swapAt(at - 1, at)
            at -= 1
        }
    }

    // MARK: Headers

    /// Keeps a header's value, in lower case, if some route looks at it.
    @usableFromInline
    func note(_ name: Bytes, _ value: Bytes, _ result: MatchResult) {
        if traits.headerNameLengths >> UInt64(min(name.count, 63)) & 1 == 0 { return }
        let buffer = result.headerBuffer
        if result.headers.isEmpty { buffer.clear() }
        let start = buffer.end
        Self.appendHeaderName(name, to: buffer)
        let canonical = buffer.bytes(at: start, count: name.count)
        let number = headerIndex.find(PrefixHash.of(canonical, 0, seed: seed), 0, canonical, in: pool)
        buffer.truncate(to: start)
        guard number >= 0 else { return }
        if traits.hasProgramHeaders {
            result.expressions.headers.append(ExpressionMemory.Header(number: UInt32(number), value: value))
        }
        buffer.reserve(value.count)
        var at = 0
        while at < value.count {
            buffer.append(ASCII.lower(value[at]))
            at += 1
        }
        result.headers.append(
            MatchResult.NotedHeader(name: UInt32(number), offset: Int32(start), count: Int32(value.count)))
    }

    /// Appends `name` in lower case with `_` for `-`: the two are one to Kong.
    static func appendHeaderName(_ name: Bytes, to buffer: Buffer) {
        var at = 0
        while at < name.count {
            let byte = ASCII.lower(name[at])
            buffer.append(byte == 0x2D ? 0x5F : byte)
            at += 1
        }
    }

    // MARK: Steps 4 and 5: the best rule

    /// Tries the candidates. False: no rule matches.
    @usableFromInline
    func search(_ probe: Probe, _ result: MatchResult) -> Bool {
        var best = UInt64.max
        var at = 0
        while at < result.candidates.count {
            let candidate = result.candidates[at]
            if UInt64(candidate.bestRank) << 32 > best { break }
            search(cell: Int(candidate.cell), probe, result, &best)
            at += 1
        }
        guard best != UInt64.max else { return false }
        result.rank = Int(best >> 32)
        let rule = rules[result.rank]
        result.route = Int(rule.route)
        if rule.isExpression { keepTraces(rule, probe, result) }
        return true
    }

    /// What an expression captured and matched of the path: found by running it again, since those that
    /// were tried after it have overwritten what it left.
    private func keepTraces(_ rule: Rule, _ probe: Probe, _ result: MatchResult) {
        expressions.record(Int(rule.program), probe.values, result.expressions)
        result.isByExpression = true
        // lower() may have made the text longer than the path is.
        result.prefixCount = min(result.expressions.prefixCount, probe.path.count)
        result.captureCount = result.expressions.groupCount
        result.pattern = -1
    }

    private func search(cell number: Int, _ probe: Probe, _ result: MatchResult, _ best: inout UInt64) {
        let cell = cells[number]
        scan(cell.list, probe, result, &best)
        if !probe.isTLS { scan(cell.ignoringServerNames, probe, result, &best) }
        for at in cell.dimensions.range {
            let dimension = dimensions[at]
            if UInt64(dimension.bestRank) << 32 > best { continue }
            search(cell: number, dimension, probe, result, &best)
        }
        if cell.hasHeaderBuckets {
            var at = 0
            while at < result.headers.count {
                let header = result.headers[at]
                let value = result.headerBuffer.bytes(at: Int(header.offset), count: Int(header.count))
                scan(bucket(number, .header, Int(header.name), value), probe, result, &best)
                at += 1
            }
        }
    }

    private func search(
        cell: Int, _ dimension: Dimension, _ probe: Probe, _ result: MatchResult, _ best: inout UInt64
    ) {
        let name = probe.serverName
        switch dimension.kind {
        case .header: break
        case .method: scan(bucket(cell, .method, 0, probe.methodText), probe, result, &best)
        case .segment:
            if let segment = PatternLiteral.segment(Int(dimension.parameter), of: probe.path) {
                scan(bucket(cell, .segment, Int(dimension.parameter), segment), probe, result, &best)
            }
        case .serverName:
            if probe.isTLS { scan(bucket(cell, .serverName, 0, name), probe, result, &best) }
        case .serverNameSuffix:
            guard probe.isTLS, name.count <= 255 else { return }
            for at in 0..<name.count where name[at] == 0x2E {
                scan(bucket(cell, .serverNameSuffix, 0, name.dropFirst(at)), probe, result, &best)
            }
        case .serverNamePrefix:
            guard probe.isTLS, name.count <= 255 else { return }
            for at in 0..<name.count where name[at] == 0x2E {
                scan(bucket(cell, .serverNamePrefix, 0, name.prefix(at + 1)), probe, result, &best)
            }
        }
    }

    private func bucket(_ cell: Int, _ kind: Dimension.Kind, _ parameter: Int, _ text: Bytes) -> Range32 {
        let context = Dimension.context(cell, kind, parameter)
        let number = bucketIndex.find(PrefixHash.of(text, context, seed: seed), context, text, in: pool)
        return number < 0 ? Range32() : buckets[number]
    }

    /// Goes through entries in order, up to the first that matches or that cannot beat `best`.
    private func scan(_ list: Range32, _ probe: Probe, _ result: MatchResult, _ best: inout UInt64) {
        for at in list.range {
            let entry = entries[at]
            if entry.key >= best { return }
            if holds(entry, probe, result) {
                best = entry.key
                return
            }
        }
    }

    /// Checks what the entry's place in the index did not decide; fills in what the path matched.
    private func holds(_ entry: Entry, _ probe: Probe, _ result: MatchResult) -> Bool {
        let rule = rules[Int(entry.rank)]
        if rule.program >= 0, !expressions.holds(Int(rule.program), probe.values, result.expressions) { return false }
        if rule.isExpression { return true }
        if rule.methods.count > 0, !hasMethod(rule.methods, probe.method) { return false }
        if entry.path & Entry.checkHost != 0, !hasHost(rule.hosts, probe) { return false }
        if rule.serverNames.count > 0, probe.isTLS, !hasServerName(rule.serverNames, probe.serverName) {
            return false
        }
        for at in rule.headers.range where !holds(headerConditions[at], result) { return false }
        if entry.path & Entry.checkPath != 0 {
            for at in rule.paths.range where holdsWhole(paths[at], probe, result) { return true }
            return false
        }
        let path = Int(entry.path & Entry.pathMask)
        if path == 0 {
            result.prefixCount = -1
            result.captureCount = 0
            result.pattern = -1
            return true
        }
        return holds(paths[path - 1], probe, result)
    }

    /// The conditions of `rule` that do not hold, for explanations.
    func failures(_ rule: Rule, _ probe: Probe, _ result: MatchResult) -> [Matcher] {
        var failed: [Matcher] = []
        if rule.program >= 0 {
            failed = expressions.failures(Int(rule.program), probe.values, result.expressions)
        }
        if rule.isExpression { return failed }
        if rule.methods.count > 0, !hasMethod(rule.methods, probe.method) { failed.append(.method) }
        if rule.hosts.count > 0, !hasHost(rule.hosts, probe) { failed.append(.host) }
        if rule.paths.count > 0, !rule.paths.range.contains(where: { holdsWhole(paths[$0], probe, result) }) {
            failed.append(.path)
        }
        if rule.serverNames.count > 0, probe.isTLS, !hasServerName(rule.serverNames, probe.serverName) {
            failed.append(.serverName)
        }
        for (number, at) in rule.headers.range.enumerated() where !holds(headerConditions[at], result) {
            failed.append(.header(number))
        }
        return failed
    }

    private func hasMethod(_ methods: Range32, _ method: Int) -> Bool {
        guard method >= 0 else { return false }
        for at in methods.range where Int(ruleMethods[at]) == method { return true }
        return false
    }

    private func hasHost(_ hosts: Range32, _ probe: Probe) -> Bool {
        for at in hosts.range {
            let number = Int(ruleHosts[at])
            let context = hostIndex.context(number)
            let port = context >> 8
            if port != 0, port != UInt64(truncatingIfNeeded: probe.port) { continue }
            guard let kind = NameKind(rawValue: UInt8(truncatingIfNeeded: context)) else { continue }
            if Self.compare(kind, hostIndex.text(number, in: pool), probe.host) { return true }
        }
        return false
    }

    private func hasServerName(_ names: Range32, _ name: Bytes) -> Bool {
        for at in names.range {
            let pattern = serverNames[at]
            let text = pool.bytes(at: Int(pattern.offset), count: Int(pattern.count))
            if Self.compare(pattern.kind, text, name) { return true }
        }
        return false
    }

    private static func compare(_ kind: NameKind, _ pattern: Bytes, _ name: Bytes) -> Bool {
        switch kind {
        case .any: true
        case .exact: name == pattern
        case .suffix: name.ends(with: pattern)
        case .prefix: name.starts(with: pattern)
        }
    }

    private func holds(_ condition: HeaderCondition, _ result: MatchResult) -> Bool {
        var at = 0
        while at < result.headers.count {
            let header = result.headers[at]
            if header.name == condition.name {
                let sent = result.headerBuffer.bytes(at: Int(header.offset), count: Int(header.count))
                for value in condition.values.range where holds(headerValues[value], sent, result) { return true }
            }
            at += 1
        }
        return false
    }

    private func holds(_ value: HeaderValue, _ sent: Bytes, _ result: MatchResult) -> Bool {
        if value.pattern < 0 {
            return Int(value.count) == sent.count
                && pool.bytes(at: Int(value.offset), count: sent.count) == sent
        }
        switch patterns.match(Int(value.pattern), sent, validUTF8: false, with: result.matcher) {
        case .yes: return true
        case .no: return false
        case .limit:
            result.patternLimitHits += 1
            return false
        }
    }

    private func holdsWhole(_ path: PathRecord, _ probe: Probe, _ result: MatchResult) -> Bool {
        if path.pattern < 0 {
            let text = pool.bytes(at: Int(path.offset), count: Int(path.count))
            guard probe.path.starts(with: text) else { return false }
        }
        return holds(path, probe, result)
    }

    private func holds(_ path: PathRecord, _ probe: Probe, _ result: MatchResult) -> Bool {
        if path.pattern < 0 {
            result.prefixCount = Int(path.count)
            result.captureCount = 0
            result.pattern = -1
            return true
        }
        switch patterns.match(Int(path.pattern), probe.path, validUTF8: true, with: result.matcher) {
        case .no: return false
        case .limit:
            result.patternLimitHits += 1
            return false
        case .yes(let groups):
            result.keepCaptures(groups)
            result.pattern = Int(path.pattern)
            return true
        }
    }
}

extension MatchResult {
    /// Copies the offsets of the last match: a later attempt overwrites them.
    fileprivate func keepCaptures(_ groups: Int) {
        captureCount = groups
        for group in 0..<groups {
            let range = matcher.range(group)
            captures[2 * group] = Int32(truncatingIfNeeded: range?.lowerBound ?? -1)
            captures[2 * group + 1] = Int32(truncatingIfNeeded: range?.upperBound ?? -1)
        }
        // Kong takes as many bytes off the path as the pattern matched, wherever it did.
        prefixCount = max(0, Int(captures[1] - captures[0]))
    }
}
