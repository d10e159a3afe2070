// Which parts of an expression do not hold, and what they look at. For explanations; it may allocate.

internal import Bytes

extension CompiledExpressions {
    /// The parts that do not hold by themselves; none if all of the expression holds.
    func failures(_ number: Int, _ values: ExpressionValues, _ memory: ExpressionMemory) -> [Matcher] {
        conjuncts[programs[number].conjuncts.range].compactMap { conjunct in
            if run(from: conjunct.start, to: conjunct.end, values, memory, records: false) { return nil }
            switch conjunct.origin {
            case .protocols: return .protocols
            case .sources: return .sources
            case .destinations: return .destinations
            case .expression:
                let isSingle = conjunct.end - conjunct.start == 1
                return .expression(
                    Int(conjunct.textStart)..<Int(conjunct.textEnd),
                    observed: isSingle ? observed(instructions[Int(conjunct.start)], values, memory) : nil)
            }
        }
    }

    /// The values that a predicate looks at, before `lower()`.
    private func observed(
        _ x: ExpressionInstruction, _ values: ExpressionValues, _ memory: ExpressionMemory
    ) -> [String] {
        let text = { (bytes: Bytes) in bytes.isEmpty ? [] : [bytes.string] }
        switch x.field {
        case .networkProtocol: return text(values.networkProtocol)
        case .serverName: return text(values.serverName)
        case .method: return text(values.method)
        case .host: return text(values.host)
        case .path: return text(values.path)
        case .segments: return PathSegments.range(Int(x.first), Int(x.last), of: values.path).map(text) ?? []
        case .segmentCount: return ["\(PathSegments.count(of: values.path))"]
        case .sourcePort: return values.sourcePort > 0 ? ["\(values.sourcePort)"] : []
        case .destinationPort: return values.destinationPort > 0 ? ["\(values.destinationPort)"] : []
        case .sourceAddress: return values.source.map { ["\($0)"] } ?? []
        case .destinationAddress: return values.destination.map { ["\($0)"] } ?? []
        case .header: return memory.headers.filter { $0.number == x.first }.map(\.value.string)
        case .query:
            let name = pool.bytes(at: Int(x.first), count: Int(x.last))
            var found: [String] = []
            var arguments = QueryArguments(values.query)
            while let argument = arguments.next() {
                guard QueryArguments.decoded(argument.name, memory.decoded) == name else { continue }
                found.append(QueryArguments.decoded(argument.value, memory.decoded).string)
            }
            return found
        }
    }
}
