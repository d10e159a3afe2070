// Documents of any shape, YAML or JSON, as values that still know their lines.

import Bytes
public import Model

/// One document of a file.
public struct ConfigDocument: Sendable {
    /// What it says. YAML's `1:30` and `0x1F` are integers, `yes` is a boolean, as for kong.yml.
    public let value: ConfigValue
    private let document: Document
    private let node: Int

    fileprivate init(document: Document, node: Int) {
        value = document.configValue(node)
        self.document = document
        self.node = node
    }

    /// The place, both from 1, of what stands at a path such as `spec.paths[1]` (positions from 1), or of the nearest
    /// thing around it that is there.
    public func place(of path: String) -> (line: Int, column: Int) {
        var place = document.position(node)
        var current = node
        for step in path.split(whereSeparator: { $0 == "." || $0 == "[" }) {
            let next =
                step.last == "]"
                ? element(Int(step.dropLast()) ?? 0, of: current) : entry(String(step), of: current, &place)
            guard next != Document.none else { break }
            current = next
            if step.last == "]" { place = document.position(current) }
        }
        return (place.line, place.column)
    }

    /// The value of a key; `place` becomes the key's.
    private func entry(_ key: String, of record: Int, _ place: inout Position) -> Int {
        var entry = document.firstEntry(record)
        while entry != Document.none {
            if document.symbols[document.symbol(entry)] == key {
                place = document.position(entry)
                return document.value(entry)
            }
            entry = document.nextEntry(entry)
        }
        return Document.none
    }

    private func element(_ position: Int, of array: Int) -> Int {
        guard position > 0, position <= document.count(array) else { return Document.none }
        var element = document.firstElement(array)
        for _ in 1..<position where element != Document.none { element = document.next(element) }
        return element
    }
}

extension ConfigDocument {
    /// Reads a file of one or several documents: `---` between them in YAML, a list of them in JSON. Empty ones are
    /// passed over.
    ///
    /// - Parameters:
    ///   - text: at most 64 MB and a million values; the bytes may be anything.
    ///   - file: its name, for findings; a name that ends in `.json` is read as JSON only.
    /// - Returns: the documents, none when there are errors; and the findings.
    public static func read(_ text: [UInt8], file: String) -> (documents: [ConfigDocument], findings: [Diagnostic]) {
        var limits = DocumentLimits()
        limits.bytes = 64 << 20
        // Values are unfolded: aliases cost their size each time.
        limits.nodes = 1_000_000
        var found: [ConfigDocument] = []
        var findings: [Diagnostic] = []
        do throws(DocumentProblem) {
            for (document, problems) in try parse(text, file, limits) {
                findings += problems.map { finding($0, file) }
                guard document.root != Document.none, document.kind(document.root) != .null else { continue }
                found += roots(document).map { ConfigDocument(document: document, node: $0) }
            }
        } catch {
            findings.append(finding(error, file))
        }
        return (findings.contains { $0.severity == .error } ? [] : found, findings)
    }

    private static func parse(
        _ text: [UInt8], _ file: String, _ limits: DocumentLimits
    ) throws(DocumentProblem) -> [(Document, [DocumentProblem])] {
        guard text.count <= limits.bytes else {
            throw DocumentProblem(
                code: "K003", position: Position(line: 1, column: 1),
                message: "the file is larger than \(limits.bytes >> 20) MB", remedy: "split it")
        }
        let first = text.first { $0 > 0x20 }
        let isJSON = file.lowercased().hasSuffix(".json")
        let mayBeJSON = first == UInt8(ascii: "{") || first == UInt8(ascii: "[")
        return try text.withBytes { (bytes) throws(DocumentProblem) in
            if isJSON { return [try JSONReader.read(bytes, limits: limits)] }
            if mayBeJSON, let json = try? JSONReader.read(bytes, limits: limits) { return [json] }
            return try YAMLReader.documents(bytes, limits: limits)
        }
    }

    private static func roots(_ document: Document) -> [Int] {
        guard document.kind(document.root) == .array else { return [document.root] }
        var roots: [Int] = []
        var element = document.firstElement(document.root)
        while element != Document.none {
            if document.kind(element) != .null { roots.append(element) }
            element = document.next(element)
        }
        return roots
    }

    private static func finding(_ problem: DocumentProblem, _ file: String) -> Diagnostic {
        Diagnostic(
            code: problem.code, file: file, line: problem.position.line, column: problem.position.column,
            entity: "the file", message: problem.message, remedy: problem.remedy)
    }
}

extension Document {
    /// A node and all below it as a value. Depth and size are bounded by what the document was read with.
    func configValue(_ node: Int) -> ConfigValue {
        switch kind(node) {
        case .null, .key: return .null
        case .bool: return bool(node).map { .bool($0) } ?? .null
        case .int: return int(node).map { .int($0) } ?? number(node).map { .double($0) } ?? .null
        case .double: return number(node).map { .double($0) } ?? .null
        case .string: return .string(text(node))
        case .array:
            var values: [ConfigValue] = []
            values.reserveCapacity(count(node))
            var element = firstElement(node)
            while element != Document.none {
                values.append(configValue(element))
                element = next(element)
            }
            return .array(values)
        case .record:
            var entries: [ConfigValue.Entry] = []
            entries.reserveCapacity(count(node))
            var entry = firstEntry(node)
            while entry != Document.none {
                entries.append(ConfigValue.Entry(symbols[symbol(entry)], configValue(value(entry))))
                entry = nextEntry(entry)
            }
            return .record(entries)
        }
    }
}
