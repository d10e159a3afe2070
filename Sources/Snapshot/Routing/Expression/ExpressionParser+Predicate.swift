// The three parts of a predicate: subject, operator, literal.

internal import Bytes

extension ExpressionParser {
    /// `subject operator literal`; the place is at a letter.
    mutating func predicate() throws(ExpressionError) -> RouteExpression.Predicate {
        let start = at
        let subject = try subject()
        skipSpace()
        let comparison = try comparison(subject.field)
        skipSpace()
        let literalStart = at
        let literal = try literal(subject.field, comparison.value)
        let predicate = RouteExpression.Predicate(
            subject.field, comparison.value, literal, isLowered: subject.isLowered, isAny: subject.isAny)
        try check(
            predicate, subject: subject.range, comparison: comparison.range, literal: literalStart..<at)
        remark(predicate, start..<at)
        return predicate
    }

    // MARK: Subject

    private struct Subject {
        var field: ExpressionField
        var range: Range<Int>
        var isLowered = false
        var isAny = false
    }

    /// A field, in any number of `lower(` and `any(`.
    private mutating func subject() throws(ExpressionError) -> Subject {
        var open = 0
        var isLowered = false
        var isAny = false
        while true {
            skipSpace()
            let start = at
            let name = identifier()
            guard !name.isEmpty else {
                throw ExpressionError(
                    at..<min(at + 1, text.count), "a field should stand here",
                    remedy: "write lower(http.path), for example")
            }
            let end = at
            skipSpace()
            if peek == 0x28 {
                switch name {
                case "lower": isLowered = true
                case "any": isAny = true
                default:
                    throw ExpressionError(
                        start..<end, "there is no function \(name)()", remedy: "there are lower() and any()")
                }
                open += 1
                guard open <= RouteExpression.depthLimit else {
                    throw ExpressionError(start..<end, "functions are nested too deep", remedy: "once is enough")
                }
                at += 1
                continue
            }
            let field = try field(name, start..<end)
            for _ in 0..<open {
                guard take(")") else {
                    throw ExpressionError(
                        at..<min(at + 1, text.count), "the function is not closed after its field",
                        remedy: "write ) after \(name); operators and values stand outside")
                }
            }
            return Subject(field: field, range: start..<end, isLowered: isLowered, isAny: isAny)
        }
    }

    /// Letters, digits, `_` and `.`, beginning with a letter; empty if there is none.
    private mutating func identifier() -> String {
        let start = at
        guard ASCII.isAlpha(peek) else { return "" }
        while ASCII.isAlpha(peek) || ASCII.isDigit(peek) || peek == 0x5F || peek == 0x2E { at += 1 }
        return text[start..<at].string
    }

    private mutating func field(_ name: String, _ range: Range<Int>) throws(ExpressionError) -> ExpressionField {
        if peek == 0x2D, range.upperBound == at, ASCII.isAlpha(peek(1)) || ASCII.isDigit(peek(1)) {
            let isHeader = name.hasPrefix(ExpressionField.headerPrefix)
            throw ExpressionError(
                at..<at + 1, "a field's name holds no -",
                remedy: isHeader
                    ? "write _ for each - of a header's name" : "only letters, digits, _ and . can be asked for")
        }
        if name == ExpressionField.oldPortName {
            remarks.append(
                ExpressionRemark(
                    kind: .deprecated, range: range, message: "net.port is the old name of net.dst.port",
                    remedy: "write net.dst.port"))
        }
        do throws(FieldProblem) {
            return try ExpressionField.named(name, in: domain)
        } catch {
            throw ExpressionError(range, error.message, remedy: error.remedy)
        }
    }

    // MARK: Operator

    private mutating func comparison(
        _ field: ExpressionField
    ) throws(ExpressionError) -> (value: RouteExpression.Comparison, range: Range<Int>) {
        let start = at
        let signs: [(StaticString, RouteExpression.Comparison)] = [
            ("==", .equal), ("!=", .notEqual), ("=^", .suffix), ("^=", .prefix), (">=", .greaterOrEqual),
            ("<=", .lessOrEqual), (">", .greater), ("<", .less), ("~", .regex),
        ]
        let rest = text.dropFirst(at)
        for (wrong, right) in Self.habits where rest.starts(with: wrong) {
            throw ExpressionError(
                at..<at + wrong.utf8CodeUnitCount, "\(wrong) is no operator", remedy: "write \(right)")
        }
        for (sign, value) in signs where rest.starts(with: sign) {
            at += sign.utf8CodeUnitCount
            return (value, start..<at)
        }
        let word = word(at)
        switch word {
        case "in":
            at += 2
            return (.isIn, start..<at)
        case "contains":
            at += 8
            return (.contains, start..<at)
        case "not":
            at += 3
            skipSpace()
            guard self.word(at) == "in" else { break }
            at += 2
            return (.notIn, start..<at)
        default: break
        }
        throw noOperator(field, start, word)
    }

    /// Operators of other languages, longest first.
    private static let habits: [(StaticString, StaticString)] = [
        ("===", "=="), ("=~", "~"), ("!~", "!(… ~ …) around the whole predicate"), ("~=", "~"), ("<>", "!="),
        ("~*", "lower(…) ~ with a pattern in lower case"), ("=>", ">="), ("=<", "<="),
        ("!^=", "!(… ^= …) around the whole predicate"), ("!=^", "!(… =^ …) around the whole predicate"),
    ]

    private func noOperator(_ field: ExpressionField, _ start: Int, _ word: String) -> ExpressionError {
        if start >= text.count {
            return ExpressionError(
                start..<start, "the operator after \(field) is missing", remedy: "write \(Self.example(field))")
        }
        let one = start..<start + 1
        switch text[start] {
        case 0x3D: return ExpressionError(one, "= is no operator", remedy: "write ==")
        case 0x5E: return ExpressionError(one, "^ is no operator", remedy: "write ^= (begins with) or =^ (ends with)")
        case 0x29, 0x26, 0x7C:
            return ExpressionError(
                one, "\(field) is not compared with anything", remedy: "write \(Self.example(field))")
        default: break
        }
        let sorts: [(words: Set<String>, remedy: String)] = [
            (["startswith", "starts_with", "prefix", "beginswith"], "write ^="),
            (["endswith", "ends_with", "suffix"], "write =^"), (["matches", "match", "regex", "like"], "write ~"),
            (["eq", "is", "equals"], "write =="), (["ne", "isnt"], "write !="),
            (["not"], "write not in for a network, != for a value, !(…) for the rest"),
        ]
        for sort in sorts where sort.words.contains(word.lowercased()) {
            return ExpressionError(start..<start + word.utf8.count, "\(word) is no operator", remedy: sort.remedy)
        }
        return ExpressionError(
            word.isEmpty ? one : start..<start + word.utf8.count, "an operator should stand after \(field)",
            remedy: "write \(Self.example(field))")
    }

    static func example(_ field: ExpressionField) -> String {
        switch field.type {
        case .text: "\(field) == \"…\", or ^= (begins with), =^ (ends with), contains, ~ (regular expression)"
        case .number: "\(field) == 80, or !=, >, >=, <, <="
        case .address: "\(field) == 192.0.2.1, or in 192.0.2.0/24"
        }
    }

    // MARK: Literal

    private mutating func literal(
        _ field: ExpressionField, _ comparison: RouteExpression.Comparison
    ) throws(ExpressionError) -> RouteExpression.Literal {
        let start = at
        if peek == 0x22 { return .text(try quoted()) }
        if peek == 0x72, peek(1) == 0x23, peek(2) == 0x22 { return .text(try raw()) }
        while at < text.count, Self.isNumeric(text[at]) { at += 1 }
        guard at > start else { throw noLiteral(field, start) }
        let body = text[start..<at]
        if body.contains(0x3A) || body.contains(0x2E) { return try address(body, start..<at) }
        return try number(body, field, start..<at)
    }

    /// What a number, an address or a network is made of, and what people write when they forget the quotes.
    private static func isNumeric(_ byte: UInt8) -> Bool {
        ASCII.isAlpha(byte) || ASCII.isDigit(byte) || byte == 0x2E || byte == 0x3A || byte == 0x2F || byte == 0x2D
            || byte == 0x5F
    }

    private func noLiteral(_ field: ExpressionField, _ start: Int) -> ExpressionError {
        let remedy = "write \(Self.example(field))"
        guard start < text.count else {
            return ExpressionError(start..<start, "the value after the operator is missing", remedy: remedy)
        }
        let one = start..<start + 1
        switch text[start] {
        case 0x27: return ExpressionError(one, "strings stand in double quotes", remedy: "write \"…\"")
        case 0x28, 0x5B:
            return ExpressionError(
                one, "there are no lists",
                remedy: field.type == .address
                    ? "write (\(field) in 192.0.2.0/24 || \(field) == 198.51.100.7)"
                    : "write (\(field) == … || \(field) == …)")
        default: return ExpressionError(one, "a value should stand here", remedy: remedy)
        }
    }

    /// `"…"` with `\" \\ \n \r \t`.
    private mutating func quoted() throws(ExpressionError) -> String {
        let open = at
        var bytes: [UInt8] = []
        at += 1
        while at < text.count, text[at] != 0x22 {
            var byte = text[at]
            if byte == 0x5C {
                switch peek(1) {
                case 0x22, 0x5C: byte = peek(1)
                case 0x6E: byte = 0x0A
                case 0x72: byte = 0x0D
                case 0x74: byte = 0x09
                default:
                    throw ExpressionError(
                        at..<min(at + 2, text.count), "only \\\" \\\\ \\n \\r and \\t follow a backslash in a string",
                        remedy: "write \\\\ for a backslash, or a raw string: r#\"…\"#")
                }
                at += 1
            }
            bytes.append(byte)
            at += 1
        }
        guard at < text.count else {
            throw ExpressionError(open..<open + 1, "this string is not closed", remedy: "add the missing \"")
        }
        at += 1
        return String(decoding: bytes, as: UTF8.self)
    }

    /// `r#"…"#`, everything in it as it stands.
    private mutating func raw() throws(ExpressionError) -> String {
        let open = at
        at += 3
        let start = at
        while at < text.count {
            if text[at] == 0x22, peek(1) == 0x23 {
                let body = text[start..<at].string
                at += 2
                return body
            }
            at += 1
        }
        throw ExpressionError(open..<open + 3, "this raw string is not closed", remedy: "end it with \"#")
    }

    private func address(_ body: Bytes, _ range: Range<Int>) throws(ExpressionError) -> RouteExpression.Literal {
        let written = body.string
        guard body.contains(0x2F) else {
            if let address = IPAddress(body) { return .address(address) }
            throw ExpressionError(
                range, "\(written) is no IP address",
                remedy: "write four numbers up to 255, IPv6, or \"…\" for a string")
        }
        // An IPv4 address in IPv6 form has become IPv4; its length would count other bits.
        guard let network = IPPrefix(written), network.address.isIPv6 == body.contains(0x3A) else {
            throw ExpressionError(
                range, "\(written) is no network", remedy: "write address/length, as in 192.0.2.0/24 or 2001:db8::/32")
        }
        let base = network.base
        guard base == network.address else {
            throw ExpressionError(
                range, "the address has bits past the length \(network.length)",
                remedy: "write \(base)/\(network.length) for the network, or == for the one address")
        }
        return .network(network)
    }

    /// Decimal, `0x` hexadecimal or `0` octal, with or without `-`.
    private func number(
        _ body: Bytes, _ field: ExpressionField, _ range: Range<Int>
    ) throws(ExpressionError) -> RouteExpression.Literal {
        let isNegative = body[0] == 0x2D
        var digits = isNegative ? body.dropFirst(1) : body
        var radix = 10
        if digits.starts(with: "0x") {
            radix = 16
            digits = digits.dropFirst(2)
        } else if digits.count > 1, digits[0] == 0x30 {
            radix = 8
            digits = digits.dropFirst(1)
        }
        if let number = Int((isNegative ? "-" : "") + digits.string, radix: radix), digits.count > 0, digits[0] != 0x2D,
            digits[0] != 0x2B
        {
            return .number(number)
        }
        let written = body.string
        if radix == 8, digits.array.allSatisfy({ ASCII.isDigit($0) }) {
            throw ExpressionError(
                range, "\(written) is no number: a leading 0 makes it octal", remedy: "write it without the 0")
        }
        let looksLikeNumber = ASCII.isDigit(body[0]) || isNegative
        throw ExpressionError(
            range, looksLikeNumber ? "\(written) is no number of 64 bits" : "\(written) is no value",
            remedy: field.type == .text ? "write \"\(written)\"" : "write \(Self.example(field))")
    }
}

extension IPPrefix {
    /// The network's first address.
    var base: IPAddress {
        guard address.isIPv6 else {
            let mask: UInt64 = length == 0 ? 0 : ~0 << UInt64(32 - length) & 0xFFFF_FFFF
            return IPAddress(v4: UInt32(truncatingIfNeeded: address.low & mask))
        }
        let high: UInt64 = length == 0 ? 0 : length >= 64 ? .max : ~0 << UInt64(64 - length)
        let low: UInt64 = length <= 64 ? 0 : length >= 128 ? .max : ~0 << UInt64(128 - length)
        return IPAddress(v6High: address.high & high, low: address.low & low)
    }
}
