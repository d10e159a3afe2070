// Many expressions as one set of flat tables, which workers share.

internal import Bytes

/// Compiled expressions by number. `add` fills it; then it is only read, by any number of threads.
///
///     let expressions = CompiledExpressions()
///     let number = try expressions.add(text, domain: .stream)
///     expressions.holds(number, values, memory)
public final class CompiledExpressions: @unchecked Sendable {  // Written by `add` alone, before it is shared.
    let pool = Buffer(capacity: 256)
    let patterns = PatternStore()
    private(set) var instructions: [ExpressionInstruction] = []
    private(set) var programs: [ExpressionProgram] = []
    private(set) var conjuncts: [ExpressionConjunct] = []
    private(set) var networks: [IPPrefix] = []
    private(set) var headerNames: [String] = []
    private var headerNumbers: [String: UInt32] = [:]
    private var patternNumbers: [String: UInt32] = [:]

    public init() {}

    public var count: Int { programs.count }

    /// Some predicate looks at the client's address or port, or at the address it connected to.
    var wantsAddresses: Bool {
        instructions.contains {
            switch $0.field {
            case .sourceAddress, .sourcePort, .destinationAddress: true
            case .networkProtocol, .serverName, .method, .host, .path, .segments, .header, .query, .segmentCount,
                .destinationPort:
                false
            }
        }
    }

    /// Expression `number` looks at headers.
    func usesHeaders(_ number: Int) -> Bool { programs[number].usesHeaders }

    /// Reads, checks and compiles an expression as its author wrote it.
    ///
    /// - Parameter protocols: the route's; they become part of the condition as in Kong, unless empty.
    /// - Returns: its number.
    /// - Throws: the first mistake, that of a regular expression included.
    public func add(
        _ text: String, domain: RouteExpression.Domain, protocols: Protocols = []
    ) throws(ExpressionError) -> Int {
        let expression = try RouteExpression(parsing: text, domain: domain)
        return try add(expression, text: text, protocols: protocols)
    }

    /// Reads, checks and compiles an expression, to say what is wrong with it.
    ///
    /// - Returns: what can be used and hardly means what it says.
    /// - Throws: the first mistake.
    public func check(
        _ text: String, domain: RouteExpression.Domain
    ) throws(ExpressionError) -> [ExpressionRemark] {
        let expression = try RouteExpression(parsing: text, domain: domain)
        _ = try add(expression, text: text)
        return expression.remarks
    }

    /// Compiles an expression.
    ///
    /// - Parameter text: what it was read from, for the places of mistakes in regular expressions.
    func add(
        _ expression: RouteExpression, text: String = "", protocols: Protocols = []
    ) throws(ExpressionError) -> Int {
        var parts: [Part] = []
        if case .all(let nodes) = expression.root.kind {
            parts = nodes.map { Part(node: $0, origin: .expression) }
        } else {
            parts = [Part(node: expression.root, origin: .expression)]
        }
        if let node = Self.condition(on: protocols) { parts.append(Part(node: node, origin: .protocols)) }
        return try add(parts, text: text)
    }

    /// Conditions that all must hold.
    struct Part {
        var node: RouteExpression.Node
        var origin: ExpressionOrigin
    }

    func add(_ parts: [Part], text: String = "") throws(ExpressionError) -> Int {
        let firstConjunct = conjuncts.count
        let start = Int32(instructions.count)
        for (index, part) in parts.enumerated() {
            let from = Int32(instructions.count)
            let end = from + Int32(part.node.leafCount)
            let next = index == parts.count - 1 ? ExpressionInstruction.accept : end
            try emit(part.node, onTrue: next, onFalse: ExpressionInstruction.reject, text)
            conjuncts.append(
                ExpressionConjunct(
                    start: from, end: end, textStart: UInt32(part.node.range.lowerBound),
                    textEnd: UInt32(part.node.range.upperBound), origin: part.origin))
        }
        let all = instructions[Int(start)...]
        programs.append(
            ExpressionProgram(
                start: start, count: Int32(all.count),
                conjuncts: Range32(start: UInt32(firstConjunct), count: UInt32(conjuncts.count - firstConjunct)),
                usesHeaders: all.contains { $0.field == .header },
                leavesTraces: all.contains { $0.test == .regex || $0.field == .path }))
        return programs.count - 1
    }

    // MARK: Protocols

    /// Kong's `net.protocol ==` for a route's protocols; nil where they are no condition: https, tls and
    /// tls_passthrough alone (a request in clear must get its redirect), and where all are allowed.
    static func condition(on protocols: Protocols) -> RouteExpression.Node? {
        if protocols.isEmpty || protocols == .https || protocols == .tls || protocols == .tlsPassthrough { return nil }
        let names: [(Protocols, String)] = [
            (.http, "http"), (.https, "https"), (.grpc, "http"), (.grpcs, "https"), (.tcp, "tcp"), (.tls, "tls"),
            (.udp, "udp"), (.tlsPassthrough, "tcp"),
        ]
        let wanted = names.filter { protocols.contains($0.0) }.map(\.1)
        if wanted.contains("http"), wanted.contains("https") { return nil }
        return ExpressionParser.join(
            wanted.map {
                RouteExpression.Node(.predicate(RouteExpression.Predicate(.networkProtocol, .equal, .text($0))))
            }
        ) { .any($0) }
    }

    // MARK: Instructions

    /// Emits the predicates of `node` in their order; each knows where evaluation goes on.
    private func emit(
        _ node: RouteExpression.Node, onTrue: Int32, onFalse: Int32, _ text: String
    ) throws(ExpressionError) {
        switch node.kind {
        case .predicate(let predicate):
            instructions.append(try instruction(predicate, onTrue, onFalse, node.range, text))
        case .not(let inner):
            try emit(inner, onTrue: onFalse, onFalse: onTrue, text)
        case .all(let nodes):
            for (index, inner) in nodes.enumerated() {
                let next = Int32(instructions.count + inner.leafCount)
                try emit(inner, onTrue: index == nodes.count - 1 ? onTrue : next, onFalse: onFalse, text)
            }
        case .any(let nodes):
            for (index, inner) in nodes.enumerated() {
                let next = Int32(instructions.count + inner.leafCount)
                try emit(inner, onTrue: onTrue, onFalse: index == nodes.count - 1 ? onFalse : next, text)
            }
        }
    }

    private func instruction(
        _ predicate: RouteExpression.Predicate, _ onTrue: Int32, _ onFalse: Int32, _ range: Range<Int>, _ text: String
    ) throws(ExpressionError) -> ExpressionInstruction {
        var result = ExpressionInstruction(
            onTrue: onTrue, onFalse: onFalse, test: Self.test(predicate), field: .path,
            isLowered: predicate.isLowered, isAny: predicate.isAny)
        var foldsCase = false
        switch predicate.field {
        case .networkProtocol: result.field = .networkProtocol
        case .serverName: (result.field, foldsCase) = (.serverName, true)
        case .method: result.field = .method
        case .host: (result.field, foldsCase) = (.host, true)
        case .path: result.field = .path
        case .segment(let number):
            (result.field, result.first, result.last) = (.segments, UInt32(number), UInt32(number))
        case .segments(let first, let last):
            (result.field, result.first, result.last) = (.segments, UInt32(first), UInt32(last))
        case .segmentCount: result.field = .segmentCount
        case .header(let name): (result.field, result.first) = (.header, header(name))
        case .query(let name):
            let stored = store(Array(name.utf8))
            (result.field, result.first, result.last) = (.query, stored.offset, stored.count)
        case .sourceAddress: result.field = .sourceAddress
        case .sourcePort: result.field = .sourcePort
        case .destinationAddress: result.field = .destinationAddress
        case .destinationPort: result.field = .destinationPort
        }
        switch predicate.literal {
        case .number(let number): result.number = number
        case .address(let address): result.offset = network(IPPrefix(address))
        case .network(let prefix): result.offset = network(prefix)
        case .text(let literal):
            if result.test == .regex {
                result.offset = try pattern(literal, foldsCase: foldsCase, range, text)
            } else {
                let stored = store(foldsCase ? HostName.literal(literal, predicate.comparison) : Array(literal.utf8))
                (result.offset, result.count) = (stored.offset, stored.count)
            }
        }
        return result
    }

    private static func test(_ predicate: RouteExpression.Predicate) -> ExpressionInstruction.Test {
        let type = predicate.field.type
        return switch predicate.comparison {
        case .equal: type == .text ? .equal : type == .number ? .numberEqual : .isIn
        case .notEqual: type == .text ? .notEqual : type == .number ? .numberNotEqual : .addressNotEqual
        case .regex: .regex
        case .prefix: .prefix
        case .suffix: .suffix
        case .contains: .contains
        case .greater: .greater
        case .greaterOrEqual: .greaterOrEqual
        case .less: .less
        case .lessOrEqual: .lessOrEqual
        case .isIn: .isIn
        case .notIn: .notIn
        }
    }

    // MARK: Literals

    private func store(_ bytes: [UInt8]) -> (offset: UInt32, count: UInt32) {
        let offset = pool.end
        pool.append(bytes)
        return (UInt32(truncatingIfNeeded: offset), UInt32(truncatingIfNeeded: bytes.count))
    }

    private func header(_ name: String) -> UInt32 {
        if let number = headerNumbers[name] { return number }
        let number = UInt32(headerNames.count)
        headerNames.append(name)
        headerNumbers[name] = number
        return number
    }

    private func network(_ prefix: IPPrefix) -> UInt32 {
        networks.append(prefix)
        return UInt32(networks.count - 1)
    }

    private func pattern(
        _ literal: String, foldsCase: Bool, _ range: Range<Int>, _ text: String
    ) throws(ExpressionError) -> UInt32 {
        let lead = foldsCase ? "(?i)" : ""
        let source = lead + literal
        if let number = patternNumbers[source] { return number }
        do throws(PatternError) {
            let number = UInt32(try source.withBytes { (bytes) throws(PatternError) in try patterns.add(bytes) })
            patternNumbers[source] = number
            return number
        } catch {
            let place = ExpressionLiteral.place(of: error.offset - lead.utf8.count, inLiteralOf: range, text)
            throw ExpressionError(
                place, "the regular expression does not compile: \(error.message)",
                remedy: "mend the pattern; a raw string, r#\"…\"#, needs no doubled backslashes")
        }
    }
}

/// Finds a byte of a literal's value in the text that it was written in.
enum ExpressionLiteral {
    /// - Parameters:
    ///   - offset: in the value of the string that ends the predicate at `range`.
    ///   - range: the predicate's bytes in `text`.
    static func place(of offset: Int, inLiteralOf range: Range<Int>, _ text: String) -> Range<Int> {
        let bytes = Array(text.utf8)
        guard range.upperBound <= bytes.count, let open = range.first(where: { bytes[$0] == 0x22 }) else {
            return range
        }
        let isRaw = open >= 2 && bytes[open - 1] == 0x23 && bytes[open - 2] == 0x72
        var at = open + 1
        var left = max(0, offset)
        while left > 0, at < range.upperBound {
            at += !isRaw && bytes[at] == 0x5C ? 2 : 1
            left -= 1
        }
        at = min(at, range.upperBound)
        return at..<min(at + 1, range.upperBound)
    }
}
