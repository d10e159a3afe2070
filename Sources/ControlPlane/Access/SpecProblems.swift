// Mistakes in what a client sent, collected so that all of them can be said at once.

public import Model

/// All mistakes of one document, each with the field's path and a remedy.
public struct SpecProblems: Error, Sendable, Equatable {
    public struct Problem: Sendable, Equatable {
        /// As in docs/errors.md.
        public var code: DiagnosticCode
        /// Dotted path such as `rules[1].verbs[2]`, positions from 1; empty: the whole.
        public var field: String
        public var message: String
        public var remedy: String
    }

    public private(set) var list: [Problem] = []

    public init() {}

    mutating func add(
        _ field: String, _ message: String, _ remedy: String, code: DiagnosticCode = .badValue
    ) {
        // A hostile document must not make an answer many times its own size.
        if list.count < 100 {
            list.append(Problem(code: code, field: field, message: message, remedy: remedy))
        }
    }

    mutating func addUnknown(_ word: String, _ what: String, at field: String, known: [String]) {
        let shown = word.prefix(80)
        let code: DiagnosticCode = what == "field" ? .unknownField : .badValue
        if let near = NearestWord.nearest(to: word, in: known) {
            add(field, "unknown \(what) \"\(shown)\"", "did you mean \"\(near)\"?", code: code)
        } else {
            add(field, "unknown \(what) \"\(shown)\"", "one of: \(known.joined(separator: ", "))", code: code)
        }
    }

    mutating func checkFields(_ entries: [ConfigValue.Entry], at path: String, known: [String]) {
        var seen: Set<String> = []
        for entry in entries {
            let field = path.isEmpty ? entry.key : "\(path).\(entry.key)"
            if !known.contains(entry.key) { addUnknown(entry.key, "field", at: field, known: known) }
            if !seen.insert(entry.key).inserted { add(field, "the field is there twice", "keep one of them") }
        }
    }

    /// As findings about `entity`.
    public func findings(_ entity: String) -> [Diagnostic] {
        list.map {
            Diagnostic(
                code: $0.code.rawValue, entity: entity, field: $0.field, message: $0.message, remedy: $0.remedy)
        }
    }
}
