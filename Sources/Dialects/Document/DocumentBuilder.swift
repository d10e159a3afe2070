// Builds a `Document` out of the events that the YAML and the JSON reader tell.

import Bytes

/// What a file may cost to read. Past a limit the file is refused, so that a small file cannot
/// take the memory of the machine (alias bombs, deep nesting).
public struct DocumentLimits: Sendable {
    /// Size of the file in bytes.
    public var bytes = 256 << 20
    /// Arrays and records inside each other.
    public var depth = 64
    /// Nodes, counting those behind an alias each time that it is used.
    public var nodes = 32_000_000

    public init() {}
}

/// Why a file is not readable as a document.
struct DocumentProblem: Error {
    var code: String
    var position: Position
    var message: String
    var remedy: String
}

struct DocumentBuilder {
    private struct Open {
        var node: Int
        var last: Int
        var isRecord: Bool
        var pendingKey: Bool
        var anchor: String?
        /// Nodes below, those behind aliases counted each time.
        var size: Int
    }

    private struct Anchor {
        var node: Int
        var size: Int
    }

    private var nodes: [Node] = []
    private var pool: [UInt8] = []
    private var symbols: [String] = []
    /// Open addressing over `symbols` by hash of the key's bytes; -1: free.
    private var symbolTable = [Int32](repeating: -1, count: 256)
    /// For each symbol: the record that last used it, to find duplicates.
    private var symbolUse: [Int32] = []
    private var stack: [Open] = []
    private var anchors: [String: Anchor] = [:]
    private var root = Document.none
    private var size = 0
    private let limits: DocumentLimits
    /// Findings that do not stop the reading.
    private(set) var problems: [DocumentProblem] = []

    init(limits: DocumentLimits, byteCount: Int) {
        self.limits = limits
        nodes.reserveCapacity(min(byteCount / 6 + 16, 4_000_000))
        pool.reserveCapacity(byteCount / 2 + 64)
    }

    var isInsideRecordBeforeKey: Bool {
        guard let top = stack.last else { return false }
        return top.isRecord && !top.pendingKey
    }

    consuming func finish() -> Document {
        Document(nodes: nodes, pool: pool, symbols: symbols, root: root)
    }

    // MARK: Events

    mutating func begin(record: Bool, anchor: String?, _ position: Position) throws(DocumentProblem) {
        try refuseContainerKey(position)
        guard stack.count < limits.depth else {
            throw DocumentProblem(
                code: "K003", position: position, message: "more than \(limits.depth) levels of nesting",
                remedy: "flatten the file")
        }
        let node = try add(
            Node(
                kind: record ? .record : .array, isPlain: false, column: 0, line: 0, next: -1, first: -1, count: 0),
            position)
        stack.append(
            Open(node: node, last: -1, isRecord: record, pendingKey: false, anchor: anchor, size: 1))
    }

    mutating func end() throws(DocumentProblem) {
        guard let open = stack.popLast() else { return }
        if open.isRecord { try closeRecord(open.node) }
        try account(open.size)
        if let anchor = open.anchor { anchors[anchor] = Anchor(node: open.node, size: open.size) }
    }

    /// A record's key. `text` is copied.
    mutating func key(_ text: Bytes, _ position: Position) throws(DocumentProblem) {
        let symbol = intern(text)
        _ = try add(
            Node(
                kind: .key, isPlain: false, column: 0, line: 0, next: -1, first: Int32(symbol), count: 0),
            position)
        stack[stack.count - 1].pendingKey = true
    }

    mutating func key(_ text: [UInt8], _ position: Position) throws(DocumentProblem) {
        try text.withBytes { (bytes) throws(DocumentProblem) in try key(bytes, position) }
    }

    /// A quoted scalar.
    mutating func string(_ text: [UInt8], _ position: Position) throws(DocumentProblem) {
        try text.withBytes { (bytes) throws(DocumentProblem) in
            try scalar(bytes, kind: .string, plain: false, anchor: nil, position)
        }
    }

    mutating func scalar(
        _ text: Bytes, kind: NodeKind, plain: Bool, anchor: String?, _ position: Position
    ) throws(DocumentProblem) {
        let start = pool.count
        for i in 0..<text.count { pool.append(text[i]) }
        let node = try add(
            Node(
                kind: kind, isPlain: plain, column: 0, line: 0, next: -1, first: Int32(truncatingIfNeeded: start),
                count: Int32(truncatingIfNeeded: text.count)),
            position)
        if let anchor { anchors[anchor] = Anchor(node: node, size: 1) }
        try account(1)
    }

    /// Stands for the node that `name` was given to; shares its children.
    mutating func alias(_ name: String, _ position: Position) throws(DocumentProblem) {
        try refuseContainerKey(position)
        guard let anchor = anchors[name] else {
            throw DocumentProblem(
                code: "K002", position: position, message: "alias *\(name) has no anchor before it",
                remedy: "define &\(name) above this line, outside the value that uses it")
        }
        var copy = nodes[anchor.node]
        copy.next = -1
        _ = try add(copy, position)
        try account(anchor.size)
    }

    // MARK: Links

    private mutating func refuseContainerKey(_ position: Position) throws(DocumentProblem) {
        guard isInsideRecordBeforeKey else { return }
        throw DocumentProblem(
            code: "K002", position: position, message: "a key must be a plain text, not a list, a map or an alias",
            remedy: "quote the key")
    }

    private mutating func add(_ node: Node, _ position: Position) throws(DocumentProblem) -> Int {
        guard nodes.count < limits.nodes else { throw tooLarge(position) }
        var node = node
        node.line = Int32(clamping: position.line)
        node.column = UInt16(clamping: position.column)
        let index = nodes.count
        nodes.append(node)
        guard let top = stack.last else {
            root = index
            return index
        }
        if top.last >= 0 {
            nodes[top.last].next = Int32(index)
        } else {
            nodes[top.node].first = Int32(index)
        }
        stack[stack.count - 1].last = index
        if node.kind != .key {
            nodes[top.node].count += 1
            stack[stack.count - 1].pendingKey = false
        }
        return index
    }

    private mutating func account(_ added: Int) throws(DocumentProblem) {
        guard !stack.isEmpty else { return }
        stack[stack.count - 1].size += added
        size = max(size, stack[stack.count - 1].size)
        guard size < limits.nodes else {
            let node = nodes[stack[stack.count - 1].node]
            throw tooLarge(Position(line: Int(node.line), column: Int(node.column)))
        }
    }

    private func tooLarge(_ position: Position) -> DocumentProblem {
        DocumentProblem(
            code: "K003", position: position,
            message: "the file unfolds to more than \(limits.nodes) values",
            remedy: "split the file, or use fewer aliases (&name, *name)")
    }

    // MARK: Records

    /// Reports duplicate keys and unfolds merge keys (`<<`): explicit keys win, then earlier merges.
    private mutating func closeRecord(_ record: Int) throws(DocumentProblem) {
        let mark = Int32(truncatingIfNeeded: record)
        var hasMerge = false
        var entry = Int(nodes[record].first)
        while entry >= 0 {
            let value = Int(nodes[entry].next)
            let symbol = Int(nodes[entry].first)
            if symbols[symbol] == "<<" {
                hasMerge = true
            } else if symbolUse[symbol] == mark {
                problems.append(
                    DocumentProblem(
                        code: "K004", position: place(entry), message: "the key \"\(symbols[symbol])\" is given twice",
                        remedy: "keep one of the two; other readers silently take the last"))
            } else {
                symbolUse[symbol] = mark
            }
            entry = Int(nodes[value].next)
        }
        if hasMerge { try unfoldMerges(record, mark: mark) }
    }

    private mutating func unfoldMerges(_ record: Int, mark: Int32) throws(DocumentProblem) {
        var kept: [(key: Int, value: Int)] = []
        var sources: [Int] = []
        var entry = Int(nodes[record].first)
        while entry >= 0 {
            let value = Int(nodes[entry].next)
            let following = Int(nodes[value].next)
            if symbols[Int(nodes[entry].first)] == "<<" {
                switch nodes[value].kind {
                case .record: sources.append(value)
                case .array:
                    var element = Int(nodes[value].first)
                    while element >= 0 {
                        guard nodes[element].kind == .record else { throw badMerge(element) }
                        sources.append(element)
                        element = Int(nodes[element].next)
                    }
                case .null, .bool, .int, .double, .string, .key: throw badMerge(value)
                }
            } else {
                kept.append((entry, value))
            }
            entry = following
        }
        for source in sources {
            var entry = Int(nodes[source].first)
            while entry >= 0 {
                let value = Int(nodes[entry].next)
                let symbol = Int(nodes[entry].first)
                if symbolUse[symbol] != mark {
                    symbolUse[symbol] = mark
                    guard nodes.count + 2 < limits.nodes else { throw tooLarge(place(record)) }
                    nodes.append(nodes[entry])
                    nodes.append(nodes[value])
                    kept.append((nodes.count - 2, nodes.count - 1))
                }
                entry = Int(nodes[value].next)
            }
        }
        var previous = -1
        for (key, value) in kept {
            nodes[key].next = Int32(value)
            nodes[value].next = -1
            if previous >= 0 { nodes[previous].next = Int32(key) }
            previous = value
        }
        nodes[record].first = Int32(kept.first?.key ?? -1)
        nodes[record].count = Int32(kept.count)
    }

    private func badMerge(_ node: Int) -> DocumentProblem {
        DocumentProblem(
            code: "K002", position: place(node), message: "the merge key << takes a map or a list of maps",
            remedy: "write <<: *anchor, where &anchor names a map")
    }

    private func place(_ node: Int) -> Position {
        Position(line: Int(nodes[node].line), column: Int(nodes[node].column))
    }

    // MARK: Symbols

    private mutating func intern(_ text: Bytes) -> Int {
        var slot = Int(truncatingIfNeeded: text.hash64() & UInt64(symbolTable.count - 1))
        while symbolTable[slot] >= 0 {
            let candidate = Int(symbolTable[slot])
            if matches(symbols[candidate], text) { return candidate }
            slot = (slot + 1) & (symbolTable.count - 1)
        }
        symbols.append(text.string)
        symbolUse.append(-1)
        symbolTable[slot] = Int32(symbols.count - 1)
        if symbols.count * 2 > symbolTable.count { growSymbols() }
        return symbols.count - 1
    }

    private func matches(_ symbol: String, _ text: Bytes) -> Bool {
        let utf8 = symbol.utf8
        guard utf8.count == text.count else { return false }
        var i = 0
        for byte in utf8 {
            if byte != text[i] { return false }
            i += 1
        }
        return true
    }

    private mutating func growSymbols() {
        symbolTable = [Int32](repeating: -1, count: symbolTable.count * 2)
        for (index, symbol) in symbols.enumerated() {
            let hash = symbol.withBytes { $0.hash64() }
            var slot = Int(truncatingIfNeeded: hash & UInt64(symbolTable.count - 1))
            while symbolTable[slot] >= 0 { slot = (slot + 1) & (symbolTable.count - 1) }
            symbolTable[slot] = Int32(index)
        }
    }
}
