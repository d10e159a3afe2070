// Running a compiled expression on one request or connection. Nothing here allocates.

internal import Bytes

extension CompiledExpressions {
    /// True if expression `number` holds. A predicate on a value that is absent is false, even `!=`.
    public func holds(_ number: Int, _ values: ExpressionValues, _ memory: ExpressionMemory) -> Bool {
        let program = programs[number]
        memory.evaluations &+= 1
        return run(from: program.start, to: program.start + program.count, values, memory, records: false)
    }

    /// Runs the instructions from `start` up to `end`, which stands for true as `accept` does.
    func run(
        from start: Int32, to end: Int32, _ values: ExpressionValues, _ memory: ExpressionMemory, records: Bool
    ) -> Bool {
        var at = start
        while at >= 0, at < end {
            let instruction = instructions[Int(at)]
            at = test(instruction, at, values, memory, records) ? instruction.onTrue : instruction.onFalse
        }
        return at != ExpressionInstruction.reject
    }

    /// Runs an expression that holds once more, to keep what it matched: captures, and what of the path.
    func record(_ number: Int, _ values: ExpressionValues, _ memory: ExpressionMemory) {
        memory.forget()
        let program = programs[number]
        guard program.leavesTraces else { return }
        _ = run(from: program.start, to: program.start + program.count, values, memory, records: true)
    }

    // MARK: Captures

    /// The text of the group called `name` in the latest match that has it; nil if there is none.
    func capture(named name: Bytes, _ memory: ExpressionMemory) -> Bytes? {
        var at = memory.captures.count
        while at > 0 {
            at -= 1
            let set = memory.captures[at]
            if let found = memory.capture(patterns.group(Int(set.pattern), named: name), in: set) { return found }
        }
        return nil
    }

    /// All named captures of the last match, the latest of each name.
    func namedCaptures(_ memory: ExpressionMemory) -> [(name: String, value: Bytes)] {
        var names: [String] = []
        for set in memory.captures {
            for (name, _) in patterns.names(Int(set.pattern)) where !names.contains(name) { names.append(name) }
        }
        return names.compactMap { name in
            name.withBytes { capture(named: $0, memory) }.map { (name, $0) }
        }
    }

    // MARK: One predicate

    private func test(
        _ x: ExpressionInstruction, _ at: Int32, _ values: ExpressionValues, _ memory: ExpressionMemory, _ records: Bool
    ) -> Bool {
        switch x.field {
        case .networkProtocol: return testText(x, at, values.networkProtocol, memory, records)
        case .method: return testText(x, at, values.method, memory, records)
        case .path: return testText(x, at, values.path, memory, records)
        case .host: return !values.host.isEmpty && testText(x, at, values.host, memory, records)
        case .serverName: return !values.serverName.isEmpty && testText(x, at, values.serverName, memory, records)
        case .segments:
            guard let segments = PathSegments.range(Int(x.first), Int(x.last), of: values.path) else { return false }
            return testText(x, at, segments, memory, records)
        case .segmentCount: return testNumber(x, PathSegments.count(of: values.path))
        case .sourcePort: return values.sourcePort > 0 && testNumber(x, values.sourcePort)
        case .destinationPort: return values.destinationPort > 0 && testNumber(x, values.destinationPort)
        case .sourceAddress: return testAddress(x, values.source)
        case .destinationAddress: return testAddress(x, values.destination)
        case .header: return testHeader(x, at, memory, records)
        case .query: return testQuery(x, at, values.query, memory, records)
        }
    }

    private func testHeader(
        _ x: ExpressionInstruction, _ at: Int32, _ memory: ExpressionMemory, _ records: Bool
    ) -> Bool {
        var holds = false
        var index = 0
        while index < memory.headers.count {
            let header = memory.headers[index]
            index += 1
            guard header.number == x.first else { continue }
            let one = testText(x, at, header.value, memory, records)
            if one == x.isAny { return one }
            holds = one
        }
        return holds
    }

    private func testQuery(
        _ x: ExpressionInstruction, _ at: Int32, _ query: Bytes, _ memory: ExpressionMemory, _ records: Bool
    ) -> Bool {
        let name = pool.bytes(at: Int(x.first), count: Int(x.last))
        var holds = false
        var arguments = QueryArguments(query)
        while let argument = arguments.next() {
            guard QueryArguments.decoded(argument.name, memory.decoded) == name else { continue }
            let one = testText(x, at, QueryArguments.decoded(argument.value, memory.decoded), memory, records)
            if one == x.isAny { return one }
            holds = one
        }
        return holds
    }

    private func testNumber(_ x: ExpressionInstruction, _ value: Int) -> Bool {
        switch x.test {
        case .numberEqual: value == x.number
        case .numberNotEqual: value != x.number
        case .greater: value > x.number
        case .greaterOrEqual: value >= x.number
        case .less: value < x.number
        case .lessOrEqual: value <= x.number
        case .equal, .notEqual, .regex, .prefix, .suffix, .contains, .isIn, .notIn, .addressNotEqual: false
        }
    }

    /// Between addresses of different families only `!=` holds, not even `not in`.
    private func testAddress(_ x: ExpressionInstruction, _ value: IPAddress?) -> Bool {
        guard let value else { return false }
        let network = networks[Int(x.offset)]
        switch x.test {
        case .isIn: return network.contains(value)
        case .notIn: return network.address.isIPv6 == value.isIPv6 && !network.contains(value)
        case .addressNotEqual: return !network.contains(value)
        case .equal, .notEqual, .regex, .prefix, .suffix, .contains, .numberEqual, .numberNotEqual, .greater,
            .greaterOrEqual, .less, .lessOrEqual:
            return false
        }
    }

    // MARK: Text

    private func testText(
        _ x: ExpressionInstruction, _ at: Int32, _ value: Bytes, _ memory: ExpressionMemory, _ records: Bool
    ) -> Bool {
        let value = x.isLowered ? LowerCase.of(value, memory.lowered) : value
        if x.test == .regex { return testPattern(x, at, value, memory, records) }
        let literal = pool.bytes(at: Int(x.offset), count: Int(x.count))
        switch x.test {
        case .equal:
            guard value == literal else { return false }
        case .prefix:
            guard value.starts(with: literal) else { return false }
        case .notEqual: return value != literal
        case .suffix: return value.ends(with: literal)
        case .contains: return Self.contains(value, literal)
        case .regex, .numberEqual, .numberNotEqual, .greater, .greaterOrEqual, .less, .lessOrEqual, .isIn, .notIn,
            .addressNotEqual:
            return false
        }
        if records, x.field == .path { memory.prefixCount = literal.count }
        return true
    }

    private func testPattern(
        _ x: ExpressionInstruction, _ at: Int32, _ value: Bytes, _ memory: ExpressionMemory, _ records: Bool
    ) -> Bool {
        let isPath = x.field == .path && !x.isLowered
        switch patterns.match(Int(x.offset), value, validUTF8: isPath, with: memory.matcher) {
        case .no: return false
        case .limit:
            memory.patternLimitHits += 1
            return false
        case .yes(let groups):
            if records {
                memory.keep(groups, of: value, at, pattern: x.offset)
                // What matched elsewhere than at the beginning cannot be taken off it.
                if x.field == .path, let range = memory.matcher.range(0), range.lowerBound == 0 {
                    memory.prefixCount = range.count
                }
            }
            return true
        }
    }

    private static func contains(_ value: Bytes, _ literal: Bytes) -> Bool {
        guard !literal.isEmpty else { return true }
        var from = 0
        while let at = value.firstIndex(of: literal[0], from: from) {
            if value.dropFirst(at).starts(with: literal) { return true }
            from = at + 1
        }
        return false
    }
}

extension ExpressionMemory {
    /// Keeps the groups of the last match; a predicate that matches several values keeps its last.
    fileprivate func keep(_ groups: Int, of value: Bytes, _ instruction: Int32, pattern: UInt32) {
        if let last = captures.last, last.instruction == instruction {
            captures.removeLast()
            offsets.removeLast(offsets.count - Int(last.first))
        }
        captures.append(
            CaptureSet(
                instruction: instruction, pattern: pattern, first: Int32(truncatingIfNeeded: offsets.count),
                groups: Int32(truncatingIfNeeded: groups), offset: Int32(truncatingIfNeeded: captured.end),
                count: Int32(truncatingIfNeeded: value.count)))
        captured.append(value)
        for group in 0..<groups {
            let range = matcher.range(group)
            offsets.append(Int32(truncatingIfNeeded: range?.lowerBound ?? -1))
            offsets.append(Int32(truncatingIfNeeded: range?.upperBound ?? -1))
        }
    }
}
