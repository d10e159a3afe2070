// decK's `${{ env "DECK_X" }}` templating: rendered into the text before it is read as YAML.

import Bytes

/// Renders the templates of a file. Supported: `env "NAME"` piped through `toBool`, `toInt`, `toFloat`,
/// `indent N`, also in call form (`toInt (env "NAME")`, `indent 4 (env "NAME")`).
struct EnvironmentTemplate {
    /// The rendered text; equal to the input when it holds no template.
    private(set) var text: [UInt8] = []
    private(set) var problems: [DocumentProblem] = []
    /// For rendered texts with more lines than the source: (first rendered line, lines to take off).
    private var shifts: [(line: Int, added: Int, removed: Int)] = []

    private static let opening: StaticString = "${{"

    /// Names must begin so, as in decK: a file cannot read any variable it likes.
    static let prefix = "DECK_"

    /// Renders `source`, or returns nil when there is nothing to render.
    static func render(_ source: Bytes, environment: [String: String]) -> EnvironmentTemplate? {
        guard next(in: source, from: 0) != nil else { return nil }
        var template = EnvironmentTemplate()
        template.run(source, environment)
        return template
    }

    /// The line of the source file that a line of the rendered text came from.
    func sourceLine(_ line: Int) -> Int {
        var result = line
        for shift in shifts where line > shift.line { result = max(shift.line - shift.removed, line - shift.added) }
        return result
    }

    private static func next(in text: Bytes, from start: Int) -> Int? {
        var at = start
        while let dollar = text.firstIndex(of: UInt8(ascii: "$"), from: at) {
            if text.dropFirst(dollar).starts(with: Bytes(opening)) { return dollar }
            at = dollar + 1
        }
        return nil
    }

    private mutating func run(_ source: Bytes, _ environment: [String: String]) {
        text.reserveCapacity(source.count + 1024)
        var at = 0
        var line = 1
        var lineStart = 0
        var added = 0
        while let start = Self.next(in: source, from: at) {
            for i in at..<start {
                text.append(source[i])
                if source[i] == 0x0A {
                    line += 1
                    lineStart = i + 1
                }
            }
            let position = Position(line: line, column: start - lineStart + 1)
            guard let end = Self.closing(source, from: start + 3) else {
                problems.append(
                    DocumentProblem(
                        code: "K012", position: position, message: "${{ without its }}", remedy: "close the template"))
                at = start + 3
                continue
            }
            let inner = source[start + 3..<end]
            at = end + 2
            switch Self.evaluate(inner.string, environment) {
            case .success(let value):
                let breaks = value.utf8.count { $0 == 0x0A }
                if breaks > 0 {
                    added += breaks
                    shifts.append((line: line + added - breaks, added: added, removed: added - breaks))
                }
                text.append(contentsOf: value.utf8)
            case .failure(let failure):
                problems.append(
                    DocumentProblem(
                        code: failure.code, position: position, message: failure.message, remedy: failure.remedy))
                // A value that is valid in most places, so that the rest of the file is still checked.
                text.append(contentsOf: "null".utf8)
            }
        }
        for i in at..<source.count { text.append(source[i]) }
    }

    /// Offset of the `}}` that ends a template, quotes respected; templates do not span lines.
    private static func closing(_ source: Bytes, from start: Int) -> Int? {
        var at = start
        var quoted = false
        while at + 1 < source.count, source[at] != 0x0A {
            if source[at] == UInt8(ascii: "\"") { quoted.toggle() }
            if !quoted, source[at] == UInt8(ascii: "}"), source[at + 1] == UInt8(ascii: "}") { return at }
            at += 1
        }
        return nil
    }

    private struct Failure: Error {
        var code: String
        var message: String
        var remedy: String
    }

    private static func evaluate(_ expression: String, _ environment: [String: String]) -> Result<String, Failure> {
        do {
            var words = try tokens(expression)[...]
            var value = try call(&words, piped: nil, environment)
            while words.first == "|" {
                words.removeFirst()
                value = try call(&words, piped: value, environment)
            }
            guard words.isEmpty else { throw unknown(expression) }
            return .success(value)
        } catch let failure as Failure {
            return .failure(failure)
        } catch {
            return .failure(unknown(expression))
        }
    }

    private static func unknown(_ expression: String) -> Failure {
        Failure(
            code: "K012", message: "cannot render ${{\(expression)}}",
            remedy: "write ${{ env \"DECK_NAME\" }}, with | toInt, | toBool, | toFloat or | indent N after it")
    }

    private static func tokens(_ expression: String) throws -> [String] {
        var words: [String] = []
        var word = ""
        var quoted = false
        for character in expression {
            if quoted {
                if character == "\"" {
                    quoted = false
                    words.append("\"" + word)
                    word = ""
                } else {
                    word.append(character)
                }
                continue
            }
            switch character {
            case "\"": quoted = true
            case " ", "\t", "(", ")", "|":
                if !word.isEmpty { words.append(word) }
                word = ""
                if character != " ", character != "\t" { words.append(String(character)) }
            default: word.append(character)
            }
        }
        guard !quoted else { throw unknown(expression) }
        if !word.isEmpty { words.append(word) }
        return words
    }

    /// One function call; `piped` is its last argument when it stands behind a `|`.
    private static func call(
        _ words: inout ArraySlice<String>, piped: String?, _ environment: [String: String]
    ) throws -> String {
        guard let function = words.popFirst() else { throw unknown("") }
        switch function {
        case "env": return try variable(try argument(&words, piped, environment), environment)
        case "toInt":
            let value = try argument(&words, piped, environment)
            guard Int(value) != nil else { throw notA("whole number", value) }
            return value
        case "toFloat":
            let value = try argument(&words, piped, environment)
            guard let number = Double(value) else { throw notA("number", value) }
            return Int(exactly: number).map { "\($0)" } ?? "\(number)"
        case "toBool":
            let value = try argument(&words, piped, environment)
            switch value {
            case "1", "t", "T", "true", "TRUE", "True": return "true"
            case "0", "f", "F", "false", "FALSE", "False": return "false"
            default: throw notA("boolean", value)
            }
        case "indent":
            guard let count = words.popFirst().flatMap({ Int($0) }), (0...200).contains(count) else {
                throw unknown("indent")
            }
            let value = try argument(&words, piped, environment)
            let pad = String(repeating: " ", count: count)
            return value.split(separator: "\n", omittingEmptySubsequences: false).joined(separator: "\n" + pad)
        default: throw unknown(" \(function) … ")
        }
    }

    private static func argument(
        _ words: inout ArraySlice<String>, _ piped: String?, _ environment: [String: String]
    ) throws -> String {
        if let piped { return piped }
        guard let word = words.popFirst() else { throw unknown("") }
        if word.hasPrefix("\"") { return String(word.dropFirst()) }
        guard word == "(" else { throw unknown(" \(word) ") }
        let value = try call(&words, piped: nil, environment)
        guard words.popFirst() == ")" else { throw unknown("") }
        return value
    }

    private static func variable(_ name: String, _ environment: [String: String]) throws -> String {
        guard name.hasPrefix(prefix) else {
            throw Failure(
                code: "K011", message: "the variable \(name) does not begin with \(prefix)",
                remedy: "rename it to \(prefix)\(name); other variables are not readable from a file")
        }
        guard let value = environment[name] else {
            throw Failure(
                code: "K010", message: "the environment variable \(name) is not set",
                remedy: "export \(name)=… before you start")
        }
        return value
    }

    private static func notA(_ kind: String, _ value: String) -> Failure {
        // The value may be a secret: it is not shown.
        Failure(
            code: "K011", message: "the variable's value is no \(kind) (\(value.utf8.count) characters)",
            remedy: "correct the variable or drop the cast")
    }
}
