// Text -> RouteExpression: the grammar. What a predicate's parts may be stands in ExpressionParser+Predicate.

internal import Bytes

extension RouteExpression {
    /// Reads an expression and checks fields, types and limits; regular expressions are compiled later.
    ///
    /// - Throws: the first mistake, with its place.
    public init(parsing text: String, domain: Domain) throws(ExpressionError) {
        self = try text.withBytes { (bytes) throws(ExpressionError) in
            var parser = ExpressionParser(bytes, domain: domain)
            return try parser.parse()
        }
    }
}

/// One pass over the text, with as much recursion as there may be parentheses.
struct ExpressionParser {
    let text: Bytes
    let domain: RouteExpression.Domain
    var at = 0
    var predicateCount = 0
    var remarks: [ExpressionRemark] = []

    init(_ text: Bytes, domain: RouteExpression.Domain) {
        self.text = text
        self.domain = domain
    }

    mutating func parse() throws(ExpressionError) -> RouteExpression {
        guard text.count <= RouteExpression.lengthLimit else {
            throw ExpressionError(
                RouteExpression.lengthLimit..<text.count,
                "the expression is longer than \(RouteExpression.lengthLimit) bytes",
                remedy: "split it over several routes")
        }
        skipSpace()
        guard at < text.count else {
            throw ExpressionError(
                0..<0, "the expression is empty", remedy: "write a predicate, as in http.path ^= \"/\"")
        }
        let root = try expression(depth: 0)
        guard at == text.count else { throw afterTerm() }
        var result = RouteExpression(root)
        result.remarks = remarks
        return result
    }

    // MARK: Groups

    /// Terms joined by `&&` and `||`; `||` binds tighter.
    private mutating func expression(depth: Int) throws(ExpressionError) -> RouteExpression.Node {
        var groups: [RouteExpression.Node] = []
        repeat { groups.append(try group(depth: depth)) } while take("&&")
        return Self.join(groups) { .all($0) }
    }

    private mutating func group(depth: Int) throws(ExpressionError) -> RouteExpression.Node {
        var terms: [RouteExpression.Node] = []
        repeat { terms.append(try term(depth: depth)) } while take("||")
        return Self.join(terms) { .any($0) }
    }

    /// One node as it is; several as one, without a group of the same kind inside.
    static func join(
        _ nodes: [RouteExpression.Node], _ kind: ([RouteExpression.Node]) -> RouteExpression.Node.Kind
    ) -> RouteExpression.Node {
        guard let first = nodes.first, let last = nodes.last, nodes.count > 1 else { return nodes[0] }
        let joined = kind([])
        var flat: [RouteExpression.Node] = []
        for node in nodes {
            switch (joined, node.kind) {
            case (.all, .all(let inner)), (.any, .any(let inner)): flat += inner
            default: flat.append(node)
            }
        }
        return RouteExpression.Node(kind(flat), range: first.range.lowerBound..<last.range.upperBound)
    }

    private mutating func term(depth: Int) throws(ExpressionError) -> RouteExpression.Node {
        skipSpace()
        let start = at
        let byte = peek
        if byte == 0x21, peek(1) != 0x3D {  // `!`
            at += 1
            skipSpace()
            guard peek == 0x28 else {
                throw ExpressionError(
                    start..<at, "! stands only before a parenthesis",
                    remedy: "write !(…) around what is to be turned round")
            }
            let inner = try parenthesis(depth: depth)
            return RouteExpression.Node(.not(inner), range: start..<at)
        }
        if byte == 0x28 {
            var inner = try parenthesis(depth: depth)
            inner.range = start..<at
            return inner
        }
        guard ASCII.isAlpha(byte) else { throw noTerm() }
        predicateCount += 1
        guard predicateCount <= RouteExpression.predicateLimit else {
            throw ExpressionError(
                start..<start, "the expression has more than \(RouteExpression.predicateLimit) predicates",
                remedy: "split it over several routes")
        }
        let predicate = try predicate()
        return RouteExpression.Node(.predicate(predicate), range: start..<at)
    }

    private mutating func parenthesis(depth: Int) throws(ExpressionError) -> RouteExpression.Node {
        let open = at
        guard depth < RouteExpression.depthLimit else {
            throw ExpressionError(
                open..<open + 1, "parentheses are nested more than \(RouteExpression.depthLimit) deep",
                remedy: "take out those that change nothing")
        }
        at += 1
        let inner = try expression(depth: depth + 1)
        guard take(")") else {
            if at < text.count { throw afterTerm() }
            throw ExpressionError(open..<open + 1, "this parenthesis is not closed", remedy: "add the missing )")
        }
        return inner
    }

    // MARK: Mistakes between terms

    /// What stands where a predicate should begin.
    private func noTerm() -> ExpressionError {
        if at >= text.count {
            return ExpressionError(at..<at, "a predicate is missing", remedy: "add it, or remove what stands before")
        }
        let here = at..<at + 1
        switch peek {
        case 0x22, 0x27, 0x30...0x39:
            return ExpressionError(
                here, "a predicate begins with a field", remedy: "write the field first, as in http.path == \"/a\"")
        case 0x29:
            return ExpressionError(here, "a predicate is missing before )", remedy: "add it, or remove the parentheses")
        case 0x26, 0x7C:
            return ExpressionError(
                here, "a predicate is missing before \(peek == 0x26 ? "&&" : "||")",
                remedy: "add it, or remove the operator")
        default:
            return ExpressionError(here, "a predicate should begin here", remedy: "write one, as in http.path ^= \"/\"")
        }
    }

    /// What stands where `&&`, `||`, `)` or the end should.
    private func afterTerm() -> ExpressionError {
        let here = at..<min(at + 1, text.count)
        switch peek {
        case 0x29: return ExpressionError(here, "this parenthesis closes nothing", remedy: "remove it, or add its (")
        case 0x26: return ExpressionError(here, "& is no operator", remedy: "write &&")
        case 0x7C: return ExpressionError(here, "| is no operator", remedy: "write ||")
        case 0x2C: return ExpressionError(here, "a comma joins nothing", remedy: "write && or ||")
        default: break
        }
        let word = self.word(at)
        switch word.lowercased() {
        case "and": return ExpressionError(at..<at + 3, "and is no operator", remedy: "write &&")
        case "or": return ExpressionError(at..<at + 2, "or is no operator", remedy: "write ||")
        default:
            return ExpressionError(
                here, "&&, || or the end should stand here", remedy: "join predicates with && or ||")
        }
    }

    // MARK: Bytes

    /// The byte at the place, 0 past the end.
    var peek: UInt8 { peek(0) }

    func peek(_ offset: Int) -> UInt8 { at + offset < text.count ? text[at + offset] : 0 }

    mutating func skipSpace() {
        while at < text.count, Self.isSpace(text[at]) { at += 1 }
    }

    static func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 || byte == 0x0A || byte == 0x0D }

    /// Passes over space, then over `token` if it is there, then over space again.
    mutating func take(_ token: StaticString) -> Bool {
        skipSpace()
        guard text.dropFirst(at).starts(with: token) else { return false }
        at += token.utf8CodeUnitCount
        skipSpace()
        return true
    }

    /// The letters from `start` on.
    func word(_ start: Int) -> String {
        var end = start
        while end < text.count, ASCII.isAlpha(text[end]) || text[end] == 0x5F { end += 1 }
        return text[min(start, end)..<end].string
    }
}
