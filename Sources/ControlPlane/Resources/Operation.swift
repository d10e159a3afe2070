// One operation of the Resource API: what it is called, who may call it, what it takes. The router and the OpenAPI
// document are both made of these, so neither can say what the other does not.

import Foundation
import HTTPTypes
import Hummingbird
import Model
import NIOCore
import Store

struct Operation: Sendable {
    /// Who may call it at all; an operation may look closer.
    enum Right: Sendable, Equatable {
        case anybody
        case somebody
        /// A verb that is allowed on some resource of a type.
        case ever(Verb, String)
        /// The same for the type in the path.
        case onType(Verb)
    }

    struct Parameter: Sendable {
        enum Form: Sendable, Equatable {
            case text
            case flag
            case number(ClosedRange<Int>)
            case oneOf([String])
            /// `key=value`, any number of times.
            case pairs
        }

        var name: String
        var form: Form
        var meaning: String

        init(_ name: String, _ form: Form, _ meaning: String) {
            self.name = name
            self.form = form
            self.meaning = meaning
        }
    }

    struct Answer: Sendable {
        var status: Int
        /// A name in the document's components; empty: no body.
        var schema: String
        var meaning: String
        var mediaType = "application/json"
    }

    var method: HTTPRequest.Method
    /// `/v1/{type}/{name}`.
    var path: String
    var name: String
    var summary: String
    var right: Right
    var query: [Parameter] = []
    /// Header fields it looks at: `If-Match`, `If-None-Match`.
    var conditions: [String] = []
    /// A name in the document's components; empty: no body.
    var body = ""
    var bodyTypes = ["application/json"]
    /// Bytes.
    var bodyLimit = 8 << 20
    var answers: [Answer]
    var run: @Sendable (ResourceAPI, Call) async throws -> Response
}

/// One request to an operation, checked as far as the table goes.
struct Call: Sendable {
    let request: Request
    let context: APIContext
    let operation: Operation
    private let query: [String: [String]]

    var author: Author { context.author }

    init(_ request: Request, _ context: APIContext, _ operation: Operation) throws(Problem) {
        self.request = request
        self.context = context
        self.operation = operation
        query = try Self.query(request, operation.query)
    }

    // MARK: Path

    /// A part of the path, decoded.
    func part(_ name: String) throws(Problem) -> String {
        guard let raw = context.parameters.get(name), let text = raw.removingPercentEncoding, !text.isEmpty,
            !text.utf8.contains(0)
        else { throw .notFound("there is nothing at this path") }
        return text
    }

    /// The type in the path.
    func type() throws(Problem) -> ResourceType {
        let word = try part("type")
        if let type = ResourceType.named(word) { return type }
        let near = NearestWord.nearest(to: word, in: ResourceType.all.map(\.plural))
        throw .notFound("there is no type \(word.prefix(80))" + (near.map { "; did you mean \($0)?" } ?? ""))
    }

    func id() throws(Problem) -> Identifier {
        guard let id = Identifier(try part("id")) else { throw .notFound("the last part of the path is no UUID") }
        return id
    }

    // MARK: Query

    func text(_ name: String) -> String? { query[name]?.first }
    func flag(_ name: String) -> Bool { query[name]?.first == "true" }
    func number(_ name: String) -> Int? { query[name]?.first.flatMap { Int($0) } }

    func pairs(_ name: String) -> [String: String] {
        var pairs: [String: String] = [:]
        for text in query[name] ?? [] {
            let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            if parts.count == 2 { pairs[String(parts[0])] = String(parts[1]) }
        }
        return pairs
    }

    private static func query(
        _ request: Request, _ known: [Operation.Parameter]
    ) throws(Problem) -> [String: [String]] {
        var query: [String: [String]] = [:]
        for pair in (request.uri.query ?? "").split(separator: "&") {
            let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard let key = decoded(parts[0]), let value = decoded(parts.count > 1 ? parts[1] : "") else {
                throw .malformed("the query is not percent-encoded UTF-8")
            }
            guard let parameter = known.first(where: { $0.name == key }) else {
                let near = NearestWord.nearest(to: key, in: known.map(\.name))
                throw .malformed(
                    "unknown parameter \"\(key.prefix(80))\""
                        + (near.map { "; did you mean \($0)?" }
                            ?? (known.isEmpty ? "" : "; there are " + known.map(\.name).joined(separator: ", "))))
            }
            if let complaint = complaint(value, parameter.form) { throw .malformed("\(key): \(complaint)") }
            if query[key] != nil, parameter.form != .pairs { throw .malformed("\(key): it is there twice") }
            query[key, default: []].append(value)
        }
        return query
    }

    /// As forms encode: a plus is a space.
    private static func decoded(_ text: Substring) -> String? {
        String(text).replacing("+", with: " ").removingPercentEncoding
    }

    private static func complaint(_ value: String, _ form: Operation.Parameter.Form) -> String? {
        switch form {
        case .text: value.utf8.contains(0) ? "it has a NUL byte" : nil
        case .flag: ["true", "false"].contains(value) ? nil : "expected true or false"
        case .number(let range):
            (value.utf8.allSatisfy { $0 >= 0x30 && $0 <= 0x39 } ? Int(value) : nil).map(range.contains) == true
                ? nil : "expected a number from \(range.lowerBound) to \(range.upperBound)"
        case .oneOf(let words): words.contains(value) ? nil : "expected one of: \(words.joined(separator: ", "))"
        case .pairs: value.firstIndex(of: "=").map { $0 != value.startIndex } == true ? nil : "expected KEY=VALUE"
        }
    }

    // MARK: Body

    /// The body's bytes, of one of the operation's media types.
    func bytes() async throws -> [UInt8] {
        let type = (request.headers[.contentType] ?? "").prefix { $0 != ";" }.lowercased()
            .filter { $0 != " " && $0 != "\t" }
        guard operation.bodyTypes.contains(type) else {
            throw Problem(
                .unsupportedMediaType, "media-type",
                "the Content-Type must be \(operation.bodyTypes.joined(separator: " or "))")
        }
        do {
            let buffer = try await request.body.collect(upTo: operation.bodyLimit)
            return Array(buffer.readableBytesView)
        } catch is NIOTooManyBytesError {
            throw Problem(
                .contentTooLarge, "too-large", "the body is larger than \(operation.bodyLimit >> 20) MiB")
        }
    }

    /// The body as a record with these fields and no others.
    func record(_ known: [String]) async throws -> ConfigValue {
        let value = try ConfigValue(json: try await bytes())
        guard let entries = value.entries else { throw Problem.malformed("the body must be a JSON object") }
        var problems = SpecProblems()
        problems.checkFields(entries, at: "", known: known)
        guard problems.list.isEmpty else { throw ChangeError.invalid(problems.findings("the body")) }
        return value
    }
}
