// A route's expression as a tree: what its author wrote, read and checked, before it is compiled.

public import Bytes

/// An expression of Kong's router language, typed and complete.
///
///     expression = group ("&&" group)*
///     group      = term ("||" term)*            || binds tighter than &&
///     term       = predicate | "!"? "(" expression ")"
///     predicate  = subject operator literal
///     subject    = field | ("lower" | "any") "(" subject ")"
///
/// Two expressions are equal if they mean the same in the same order; where they stand in a text plays
/// no part. `init(parsing:domain:)` reads one, `description` writes it in a form that reads back as equal.
public struct RouteExpression: Sendable, Equatable, CustomStringConvertible {
    /// Which routes the expression is for; it decides which fields there are.
    public enum Domain: Sendable {
        /// Routes of http, https, grpc and grpcs.
        case http
        /// Routes of tcp, tls, udp and tls_passthrough.
        case stream
    }

    /// The longest text, in bytes.
    public static let lengthLimit = 64 * 1024
    /// Parentheses inside each other.
    public static let depthLimit = 64
    /// Predicates in one expression.
    public static let predicateLimit = 1024

    public var root: Node
    /// What loads and hardly means what it says; not part of the meaning.
    public var remarks: [ExpressionRemark] = []

    public init(_ root: Node) { self.root = root }

    public static func == (a: RouteExpression, b: RouteExpression) -> Bool { a.root == b.root }

    /// A part of the tree and the bytes of the text that it was read from; empty for a part that was made.
    public struct Node: Sendable, Equatable {
        /// What a part is.
        public indirect enum Kind: Sendable, Equatable {
            case predicate(Predicate)
            /// `&&` of two and more; none of them is an `all` itself.
            case all([Node])
            /// `||` of two and more; none of them is an `any` itself.
            case any([Node])
            /// `!(…)`.
            case not(Node)
        }

        public var kind: Kind
        public var range: Range<Int>

        public init(_ kind: Kind, range: Range<Int> = 0..<0) {
            self.kind = kind
            self.range = range
        }

        public static func == (a: Node, b: Node) -> Bool { a.kind == b.kind }

        /// Number of predicates in it.
        var leafCount: Int {
            switch kind {
            case .predicate: 1
            case .all(let nodes), .any(let nodes): nodes.reduce(0) { $0 + $1.leafCount }
            case .not(let node): node.leafCount
            }
        }
    }

    /// One comparison of a field with a literal.
    public struct Predicate: Sendable, Hashable {
        public var field: ExpressionField
        /// `lower()`: the value is compared in lower case; the literal is taken as it stands.
        public var isLowered: Bool
        /// `any()`: of a field with several values one suffices; without it, all must satisfy.
        public var isAny: Bool
        public var comparison: Comparison
        public var literal: Literal

        public init(
            _ field: ExpressionField, _ comparison: Comparison, _ literal: Literal, isLowered: Bool = false,
            isAny: Bool = false
        ) {
            self.field = field
            self.comparison = comparison
            self.literal = literal
            self.isLowered = isLowered
            self.isAny = isAny
        }
    }

    /// How a field is compared.
    public enum Comparison: String, Sendable, CaseIterable {
        case equal = "=="
        case notEqual = "!="
        case regex = "~"
        case prefix = "^="
        case suffix = "=^"
        case contains = "contains"
        case greater = ">"
        case greaterOrEqual = ">="
        case less = "<"
        case lessOrEqual = "<="
        case isIn = "in"
        case notIn = "not in"
    }

    /// The right side of a predicate.
    public enum Literal: Sendable, Hashable {
        case text(String)
        /// 64 bits, signed.
        case number(Int)
        case address(IPAddress)
        /// Bits past the length are zero.
        case network(IPPrefix)
    }

    // MARK: As text

    public var description: String {
        var out = ""
        Self.write(root, isInside: false, to: &out)
        return out
    }

    /// A group inside another gets parentheses even where `||` would need none: they cost nothing, and most
    /// readers take the precedence to be the other way round.
    private static func write(_ node: Node, isInside: Bool, to out: inout String) {
        switch node.kind {
        case .predicate(let predicate): out += predicate.description
        case .all(let nodes): write(nodes, " && ", isInside, to: &out)
        case .any(let nodes): write(nodes, " || ", isInside, to: &out)
        case .not(let node):
            out += "!("
            write(node, isInside: false, to: &out)
            out += ")"
        }
    }

    private static func write(_ nodes: [Node], _ joint: String, _ isInside: Bool, to out: inout String) {
        if isInside { out += "(" }
        for (index, node) in nodes.enumerated() {
            if index > 0 { out += joint }
            write(node, isInside: true, to: &out)
        }
        if isInside { out += ")" }
    }
}

/// Something to know about an expression that can be used.
public struct ExpressionRemark: Sendable, Equatable {
    /// What kind of remark it is.
    public enum Kind: Sendable {
        /// A name that goes away.
        case deprecated
        /// A predicate that no request satisfies.
        case neverHolds
    }

    public var kind: Kind
    /// The bytes that it is about.
    public var range: Range<Int>
    public var message: String
    public var remedy: String
}

extension RouteExpression.Predicate: CustomStringConvertible {
    public var description: String {
        var subject = field.description
        if isLowered { subject = "lower(\(subject))" }
        if isAny { subject = "any(\(subject))" }
        return "\(subject) \(comparison.rawValue) \(literal)"
    }
}

extension RouteExpression.Literal: CustomStringConvertible {
    public var description: String {
        switch self {
        case .text(let text): Self.quoted(text)
        case .number(let number): "\(number)"
        case .address(let address): "\(address)"
        case .network(let network): "\(network.address)/\(network.length)"
        }
    }

    /// Raw if that saves backslashes.
    private static func quoted(_ text: String) -> String {
        if text.utf8.contains(where: { $0 == 0x5C || $0 == 0x22 }), !text.contains("\"#"),
            !text.utf8.contains(where: { $0 < 0x20 })
        {
            return "r#\"\(text)\"#"
        }
        var out = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": out += "\\\""
            case "\\": out += "\\\\"
            case "\n": out += "\\n"
            case "\r": out += "\\r"
            case "\t": out += "\\t"
            default: out.unicodeScalars.append(scalar)
            }
        }
        return out + "\""
    }
}
