// A configuration file as a compact tree: flat nodes, text in one pool, a place for every node and key.

import Bytes

/// The kind of a node, as YAML 1.1 (the way Kong's reader resolves it) or JSON tells it.
enum NodeKind: UInt8, Sendable {
    case null = 0, bool, int, double, string, array, record
    /// A record's key; the node after it is its value. Never seen through `Document`'s accessors.
    case key
}

/// Where a node stands in its file, both counted from 1.
struct Position: Sendable, Hashable {
    var line: Int
    var column: Int
    init(line: Int, column: Int) {
        self.line = line
        self.column = column
    }
}

/// Twenty bytes for each node, so that a file of 100,000 routes costs tens of megabytes, not hundreds.
struct Node {
    var kind: NodeKind
    /// Scalars: written plain, so that the text decides the kind.
    var isPlain: Bool
    /// Columns past 65,535 are not told apart.
    var column: UInt16
    var line: Int32
    /// The next sibling, or -1.
    var next: Int32
    /// Scalars: start of the text in the pool. Containers: first child, or -1. Keys: the symbol.
    var first: Int32
    /// Scalars: length of the text. Containers: number of children (entries of a record).
    var count: Int32
}

/// A parsed file. Nodes are addressed by index; `none` stands for an absent one.
final class Document: Sendable {
    static let none = -1

    let nodes: [Node]
    let pool: [UInt8]
    /// Distinct keys of all records; a key's symbol is an index into this.
    let symbols: [String]
    /// The document's top node, or `none` for an empty file.
    let root: Int

    init(nodes: [Node], pool: [UInt8], symbols: [String], root: Int) {
        self.nodes = nodes
        self.pool = pool
        self.symbols = symbols
        self.root = root
    }

    func kind(_ node: Int) -> NodeKind { nodes[node].kind }

    func position(_ node: Int) -> Position {
        Position(line: Int(nodes[node].line), column: Int(nodes[node].column))
    }

    /// Number of elements of an array or entries of a record; 0 for a scalar.
    func count(_ node: Int) -> Int {
        switch nodes[node].kind {
        case .array, .record: Int(nodes[node].count)
        case .null, .bool, .int, .double, .string, .key: 0
        }
    }

    /// The first element of an array, or `none`. With `next`, walks it in order.
    func firstElement(_ node: Int) -> Int {
        nodes[node].kind == .array ? Int(nodes[node].first) : Document.none
    }

    /// The element after `element`, or `none`.
    func next(_ element: Int) -> Int { Int(nodes[element].next) }

    /// The first entry of a record, or `none`; entries are walked with `nextEntry`.
    func firstEntry(_ node: Int) -> Int {
        nodes[node].kind == .record ? Int(nodes[node].first) : Document.none
    }

    func nextEntry(_ entry: Int) -> Int { Int(nodes[Int(nodes[entry].next)].next) }

    /// Index into `symbols` of an entry's key.
    func symbol(_ entry: Int) -> Int { Int(nodes[entry].first) }

    func value(_ entry: Int) -> Int { Int(nodes[entry].next) }

    /// The value of `key` in a record, or `none`.
    func member(_ node: Int, _ key: String) -> Int {
        var entry = firstEntry(node)
        while entry != Document.none {
            if symbols[symbol(entry)] == key { return value(entry) }
            entry = nextEntry(entry)
        }
        return Document.none
    }

    /// Lends a scalar's text.
    func withText<R>(_ node: Int, _ body: (Bytes) -> R) -> R {
        let start = Int(nodes[node].first)
        let count = Int(nodes[node].count)
        return pool.withBytes { body($0[start..<start + count]) }
    }

    /// A scalar's text as written (after unescaping); empty for a container.
    func text(_ node: Int) -> String {
        switch nodes[node].kind {
        case .array, .record, .key: ""
        case .null, .bool, .int, .double, .string: withText(node) { $0.string }
        }
    }

    /// The text of a string node, nil for any other kind.
    func string(_ node: Int) -> String? { kind(node) == .string ? text(node) : nil }

    func bool(_ node: Int) -> Bool? {
        guard kind(node) == .bool else { return nil }
        return withText(node) { ScalarText.bool($0) }
    }

    /// A whole number; a double without a fraction counts as one, as it does for Kong.
    func int(_ node: Int) -> Int? {
        switch kind(node) {
        case .int: withText(node) { ScalarText.int($0) }
        case .double: number(node).flatMap { Int(exactly: $0) }
        case .null, .bool, .string, .array, .record, .key: nil
        }
    }

    func number(_ node: Int) -> Double? {
        switch kind(node) {
        case .int: withText(node) { ScalarText.int($0) }.map(Double.init)
        case .double: withText(node) { ScalarText.double($0) }
        case .null, .bool, .string, .array, .record, .key: nil
        }
    }
}
