// YAML, through libyaml's events.

import Bytes
import CYAML

/// Reads YAML documents.
enum YAMLReader {
    /// Reads a file of one document; an empty file is a document without a root.
    static func read(_ text: Bytes, limits: DocumentLimits) throws(DocumentProblem) -> (Document, [DocumentProblem]) {
        let documents = try documents(text, limits: limits, several: false)
        return documents.first ?? (DocumentBuilder(limits: limits, byteCount: 0).finish(), [])
    }

    /// Reads a file of any number of documents, each with what is wrong without stopping the reading.
    ///
    /// - Parameter several: false: a second document is a mistake.
    static func documents(
        _ text: Bytes, limits: DocumentLimits, several: Bool = true
    ) throws(DocumentProblem) -> [(Document, [DocumentProblem])] {
        var parser = unsafe yaml_parser_t()
        guard unsafe yaml_parser_initialize(&parser) == 1 else {
            throw DocumentProblem(
                code: "K001", position: Position(line: 1, column: 1), message: "no memory to read the file",
                remedy: "free some memory")
        }
        defer { unsafe yaml_parser_delete(&parser) }
        unsafe yaml_parser_set_input_string(
            &parser, UnsafePointer<UInt8>(bitPattern: text.address), text.count)
        var builder = DocumentBuilder(limits: limits, byteCount: several ? 0 : text.count)
        var documents: [(Document, [DocumentProblem])] = []
        while true {
            var event = unsafe yaml_event_t()
            guard unsafe yaml_parser_parse(&parser, &event) == 1 else { throw unsafe syntaxProblem(&parser) }
            defer { unsafe yaml_event_delete(&event) }
            switch unsafe event.type {
            case YAML_STREAM_END_EVENT: return documents
            case YAML_DOCUMENT_START_EVENT where !documents.isEmpty && !several:
                throw DocumentProblem(
                    code: "K005", position: unsafe place(event), message: "a second document (---) in one file",
                    remedy: "keep one document; Kong reads the first and ignores the rest")
            case YAML_DOCUMENT_END_EVENT:
                let problems = builder.problems
                documents.append((builder.finish(), problems))
                builder = DocumentBuilder(limits: limits, byteCount: 0)
            default: try unsafe take(&event, into: &builder)
            }
        }
    }

    private static func take(
        _ event: inout yaml_event_t, into builder: inout DocumentBuilder
    ) throws(DocumentProblem) {
        let position = unsafe place(event)
        switch unsafe event.type {
        case YAML_SCALAR_EVENT:
            let scalar = unsafe event.data.scalar
            let bytes = unsafe view(scalar.value, scalar.length)
            if builder.isInsideRecordBeforeKey { return try builder.key(bytes, position) }
            let plain = unsafe scalar.style == YAML_PLAIN_SCALAR_STYLE
            let kind = try unsafe kind(bytes, tag: scalar.tag, plain: plain, position)
            try builder.scalar(
                bytes, kind: kind, plain: plain, anchor: unsafe name(scalar.anchor), position)
        case YAML_SEQUENCE_START_EVENT:
            try builder.begin(record: false, anchor: unsafe name(event.data.sequence_start.anchor), position)
        case YAML_MAPPING_START_EVENT:
            try builder.begin(record: true, anchor: unsafe name(event.data.mapping_start.anchor), position)
        case YAML_SEQUENCE_END_EVENT, YAML_MAPPING_END_EVENT: try builder.end()
        case YAML_ALIAS_EVENT: try builder.alias(unsafe name(event.data.alias.anchor) ?? "", position)
        default: break
        }
    }

    /// Explicit tags force a kind; a quoted scalar is a string; a plain one says it by its text.
    private static func kind(
        _ text: Bytes, tag: UnsafeMutablePointer<UInt8>?, plain: Bool, _ position: Position
    ) throws(DocumentProblem) -> NodeKind {
        if let tag = unsafe name(tag) {
            let wanted: NodeKind? =
                switch tag {
                case "tag:yaml.org,2002:str": .string
                case "tag:yaml.org,2002:int": .int
                case "tag:yaml.org,2002:float": .double
                case "tag:yaml.org,2002:bool": .bool
                case "tag:yaml.org,2002:null": .null
                default: nil
                }
            if let wanted {
                let resolved = ScalarText.kind(text)
                guard wanted == .string || wanted == resolved || (wanted == .double && resolved == .int) else {
                    throw DocumentProblem(
                        code: "K002", position: position, message: "\"\(text.string)\" does not fit its tag \(tag)",
                        remedy: "remove the tag or correct the value")
                }
                return wanted == .string ? .string : resolved
            }
        }
        return plain ? ScalarText.kind(text) : .string
    }

    private static func place(_ event: yaml_event_t) -> Position {
        unsafe Position(line: Int(event.start_mark.line) + 1, column: Int(event.start_mark.column) + 1)
    }

    private static func view(_ start: UnsafeMutablePointer<UInt8>?, _ count: Int) -> Bytes {
        guard let start = unsafe start else { return .empty }
        return unsafe Bytes(unsafeBase: UnsafeRawPointer(start), count: count)
    }

    private static func name(_ start: UnsafeMutablePointer<UInt8>?) -> String? {
        guard let start = unsafe start else { return nil }
        return unsafe String(cString: start)
    }

    private static func syntaxProblem(_ parser: inout yaml_parser_t) -> DocumentProblem {
        var message = unsafe parser.problem.map { unsafe String(cString: $0) } ?? "this is no YAML"
        if let context = unsafe parser.context { message += unsafe " (\(String(cString: context)))" }
        var position = unsafe Position(
            line: Int(parser.problem_mark.line) + 1, column: Int(parser.problem_mark.column) + 1)
        if unsafe parser.error == YAML_READER_ERROR {
            message += unsafe " at byte \(parser.problem_offset)"
            position = unsafe Position(line: Int(parser.mark.line) + 1, column: Int(parser.mark.column) + 1)
        }
        return DocumentProblem(
            code: "K001", position: position, message: "not valid YAML: \(message)",
            remedy: remedy(for: message))
    }

    /// The mistakes people make most, said in their words.
    private static func remedy(for message: String) -> String {
        if message.contains("cannot start any token") {
            return "indent with spaces, not tabs, and quote values that begin with % @ or `"
        }
        if message.contains("mapping values are not allowed") {
            return "quote a value that contains \": \", and check the indentation"
        }
        return "check indentation and quotes on this line and the one above"
    }
}
