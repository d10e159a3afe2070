// Which operators go with which fields and literals.

internal import Bytes

extension ExpressionParser {
    /// - Throws: a mismatch of types, at the part that is most likely the wrong one.
    func check(
        _ predicate: RouteExpression.Predicate, subject: Range<Int>, comparison: Range<Int>, literal: Range<Int>
    ) throws(ExpressionError) {
        let field = predicate.field
        if predicate.isLowered, field.type != .text {
            throw ExpressionError(
                subject, "lower() takes a string, and \(field) is \(field.type.name)", remedy: "write \(field) alone")
        }
        let fitting: Set<RouteExpression.Comparison> =
            switch field.type {
            case .text: [.equal, .notEqual, .regex, .prefix, .suffix, .contains]
            case .number: [.equal, .notEqual, .greater, .greaterOrEqual, .less, .lessOrEqual]
            case .address: [.equal, .notEqual, .isIn, .notIn]
            }
        guard fitting.contains(predicate.comparison) else {
            throw ExpressionError(
                comparison, "\(predicate.comparison.rawValue) does not compare \(field.type.name), which \(field) is",
                remedy: Self.insteadOf(predicate))
        }
        switch (field.type, predicate.literal) {
        case (.text, .text), (.number, .number): return
        case (.address, .address(let address)):
            if predicate.comparison == .equal || predicate.comparison == .notEqual { return }
            throw ExpressionError(
                literal, "\(predicate.comparison.rawValue) wants a network, not an address",
                remedy: "write \(field) \(predicate.comparison == .isIn ? "==" : "!=") \(address)")
        case (.address, .network(let network)):
            if predicate.comparison == .isIn || predicate.comparison == .notIn { return }
            throw ExpressionError(
                literal, "\(predicate.comparison.rawValue) wants an address, not a network",
                remedy:
                    "write \(field) \(predicate.comparison == .equal ? "in" : "not in") \(network.address)/\(network.length)"
            )
        case (.text, let other):
            throw ExpressionError(
                literal, "\(field) is a string, and this is \(Self.name(other))", remedy: "write \"\(other)\"")
        case (.number, let other), (.address, let other):
            var remedy = "write \(Self.example(field))"
            if case .text(let text) = other, Self.isBare(text, field.type) {
                remedy = "write \(text) without the quotes"
            }
            throw ExpressionError(
                literal, "\(field) is \(field.type.name), and this is \(Self.name(other))", remedy: remedy)
        }
    }

    private static func name(_ literal: RouteExpression.Literal) -> String {
        switch literal {
        case .text: "a string"
        case .number: "a number"
        case .address: "an IP address"
        case .network: "a network"
        }
    }

    /// True if the text of a string is what the field wants without its quotes.
    private static func isBare(_ text: String, _ type: ExpressionField.ValueType) -> Bool {
        switch type {
        case .text: false
        case .number: Int(text) != nil
        case .address: IPPrefix(text) != nil
        }
    }

    private static func insteadOf(_ predicate: RouteExpression.Predicate) -> String {
        switch (predicate.field.type, predicate.comparison) {
        case (.text, .isIn): "write \(predicate.field) contains … , or == for each value, joined with ||"
        case (.text, .notIn): "write !(\(predicate.field) contains …)"
        case (.number, .isIn), (.number, .notIn): "write a range: \(predicate.field) >= 1 && \(predicate.field) <= 9"
        case (.address, _), (.number, _), (.text, _): "write \(example(predicate.field))"
        }
    }

    // MARK: What can never hold

    mutating func remark(_ predicate: RouteExpression.Predicate, _ range: Range<Int>) {
        guard let reason = Self.neverHolds(predicate) else { return }
        remarks.append(
            ExpressionRemark(kind: .neverHolds, range: range, message: reason.message, remedy: reason.remedy))
    }

    private static func neverHolds(_ predicate: RouteExpression.Predicate) -> (message: String, remedy: String)? {
        switch (predicate.field, predicate.comparison, predicate.literal) {
        case (.networkProtocol, .equal, .text(let text)):
            guard !["http", "https", "tcp", "tls", "udp"].contains(text) else { return nil }
            return (
                "net.protocol is http or https, tcp, tls or udp, never \(text)",
                "write one of these; a route's protocols are compared anyway"
            )
        case (_, .equal, .text(let text)), (_, .prefix, .text(let text)), (_, .suffix, .text(let text)),
            (_, .contains, .text(let text)):
            guard predicate.isLowered, text.utf8.contains(where: { $0 &- 0x41 < 26 }) else { return nil }
            return ("lower() leaves no capital letters, and the string has some", "write the string in lower case")
        case (.destinationPort, .equal, .number(let number)), (.sourcePort, .equal, .number(let number)):
            guard !(0...65535).contains(number) else { return nil }
            return ("a port is at most 65535", "write the port")
        default: return nil
        }
    }
}
