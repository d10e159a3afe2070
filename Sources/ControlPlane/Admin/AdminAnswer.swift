// What the Admin API answers, and every error in the form that Kong's clients know.

import HTTPTypes
import Hummingbird
import Model
import NIOCore
import Store

/// A status, headers and JSON bytes.
struct AdminAnswer: Sendable {
    typealias Status = HTTPResponse.Status

    var status: HTTPResponse.Status
    var headers = HTTPFields()
    /// Nil: no body at all.
    var body: [UInt8]?

    init(_ status: HTTPResponse.Status, body: [UInt8]? = nil) {
        self.status = status
        self.body = body
    }

    init(_ status: HTTPResponse.Status, _ value: ConfigValue) {
        self.init(status, body: value.json)
    }

    /// `{"message": …}`, the form of everything that is no database error to Kong.
    static func message(_ status: HTTPResponse.Status, _ text: String) -> AdminAnswer {
        AdminAnswer(status, .record([.init("message", .string(text))]))
    }

    static let notFound = message(.notFound, "Not found")

    /// - Parameter isHead: the length is told, the body is not sent.
    func response(isHead: Bool) -> Response {
        var headers = headers
        headers[.cacheControl] = "no-store"
        guard let body else { return Response(status: status, headers: headers) }
        if headers[.contentType] == nil { headers[.contentType] = "application/json; charset=utf-8" }
        let response = Response(
            status: status, headers: headers, body: ResponseBody(byteBuffer: ByteBuffer(bytes: body)))
        return isHead ? response.createHeadResponse() : response
    }
}

/// An answer that ends a request from wherever it is noticed.
struct AdminFault: Error, Sendable {
    var answer: AdminAnswer
    /// The right that the author lacks: goes to the audit log.
    var rule: String?

    init(_ answer: AdminAnswer) { self.answer = answer }

    init(_ status: HTTPResponse.Status, _ message: String) {
        self.answer = .message(status, message)
    }

    static let notFound = AdminFault(.notFound)

    /// `rule`: what would be needed, such as `read on services/payments`.
    static func denied(_ rule: String) -> AdminFault {
        var fault = AdminFault(.forbidden, rule)
        fault.rule = rule
        return fault
    }
}

/// Kong's database errors: number, name, status.
enum KongError: Int, Sendable, CaseIterable {
    case invalidPrimaryKey = 1
    case schemaViolation = 2
    case primaryKeyViolation = 3
    case foreignKeyViolation = 4
    case uniqueViolation = 5
    case notFound = 6
    case invalidOffset = 7
    case databaseError = 8
    case invalidSize = 9
    case invalidUnique = 10
    case invalidOptions = 11
    case operationUnsupported = 12
    case foreignKeysUnresolved = 13
    case declarativeConfig = 14
    case referencedByOthers = 19

    var name: String {
        switch self {
        case .invalidPrimaryKey: "invalid primary key"
        case .schemaViolation: "schema violation"
        case .primaryKeyViolation: "primary key violation"
        case .foreignKeyViolation: "foreign key violation"
        case .uniqueViolation: "unique constraint violation"
        case .notFound: "not found"
        case .invalidOffset: "invalid offset"
        case .databaseError: "database error"
        case .invalidSize: "invalid size"
        case .invalidUnique: "invalid unique"
        case .invalidOptions: "invalid options"
        case .operationUnsupported: "operation unsupported"
        case .foreignKeysUnresolved: "foreign keys unresolved"
        case .declarativeConfig: "invalid declarative configuration"
        case .referencedByOthers: "referenced by others"
        }
    }

    var status: HTTPResponse.Status {
        switch self {
        case .uniqueViolation: .conflict
        case .notFound: .notFound
        case .databaseError: .internalServerError
        case .operationUnsupported: .methodNotAllowed
        default: .badRequest
        }
    }

    /// `{code, name, message, fields}`; the fields of invalid options are called `options`.
    func fault(_ message: String, fields: ConfigValue? = nil, extra: [ConfigValue.Entry] = []) -> AdminFault {
        var entries: [ConfigValue.Entry] = [
            .init("code", .int(rawValue)), .init("name", .string(name)), .init("message", .string(message)),
        ]
        if let fields { entries.append(.init(self == .invalidOptions ? "options" : "fields", fields)) }
        return AdminFault(AdminAnswer(status, .record(entries + extra)))
    }

    /// `schema violation (host: required field missing)` with the fields as a tree; one message per field.
    static func schemaViolation(_ fields: ViolationTree) -> AdminFault {
        let texts = fields.texts
        let message =
            texts.count == 1
            ? "schema violation (\(texts[0]))"
            : "\(texts.count) schema violations (\(texts.joined(separator: "; ")))"
        return KongError.schemaViolation.fault(message, fields: fields.value)
    }

    static func invalidOption(_ option: String, _ text: String) -> AdminFault {
        KongError.invalidOptions.fault(
            "invalid option (\(option): \(text))", fields: .record([.init(option, .string(text))]))
    }
}

/// Messages by field path, as `fields` of a schema violation shows them: records within records, arrays by position.
struct ViolationTree: Sendable {
    private(set) var value = ConfigValue.record([])
    private var entity: [String] = []

    var isEmpty: Bool { value == .record([]) }

    /// `path` is dotted, positions in brackets: `config.origins[1]`, 1-based as Kong counts. Empty: the entity itself.
    mutating func add(_ path: String, _ message: String) {
        if path.isEmpty || path == "@entity" {
            entity.append(message)
            insert(["@entity"][...], .array(entity.map { .string($0) }), into: &value)
        } else {
            insert(Self.steps(path)[...], .string(message), into: &value)
        }
    }

    private static func steps(_ path: String) -> [String] {
        path.split(separator: ".").flatMap { part -> [String] in
            var steps = part.split(separator: "[", omittingEmptySubsequences: true).map(String.init)
            for index in steps.indices.dropFirst() where steps[index].last == "]" { steps[index].removeLast() }
            return steps.isEmpty ? [String(part)] : steps
        }
    }

    private func insert(_ steps: ArraySlice<String>, _ message: ConfigValue, into value: inout ConfigValue) {
        guard let step = steps.first else {
            // The first finding about a field stays; a record of findings about its parts says more than one text.
            if case .record = value { return }
            value = message
            return
        }
        var entries = value.entries ?? []
        if let index = entries.firstIndex(where: { $0.key == step }) {
            if steps.count == 1, step != "@entity" { return }
            insert(steps.dropFirst(), message, into: &entries[index].value)
        } else {
            var child = ConfigValue.null
            insert(steps.dropFirst(), message, into: &child)
            entries.append(.init(step, child))
        }
        value = .record(entries)
    }

    /// One text for each violation: those of the entity first, the others by the order of names.
    var texts: [String] {
        let entries = value.entries ?? []
        let fields = entries.filter { $0.key != "@entity" }.sorted { $0.key < $1.key }
        return entity
            + fields.flatMap { field -> [String] in
                guard let parts = field.value.entries else { return ["\(field.key): \(field.value.string ?? "")"] }
                return parts.sorted { $0.key < $1.key }.map { part in
                    "\(field.key).\(part.key): \(part.value.string ?? LuaText.of(part.value))"
                }
            }
    }
}

/// Values as Kong prints them inside messages: `{name="x"}`.
enum LuaText {
    static func of(_ value: ConfigValue) -> String {
        switch value {
        case .null: return "null"
        case .bool(let flag): return flag ? "true" : "false"
        case .int(let number): return String(number)
        case .double(let number): return String(number)
        case .string(let text): return "\"\(text)\""
        case .array(let values): return "{" + values.map(of).joined(separator: ",") + "}"
        case .record(let entries):
            let parts = entries.map { entry in
                let isName = entry.key.utf8.allSatisfy {
                    $0 == UInt8(ascii: "_") || UInt8(ascii: "a")...UInt8(ascii: "z") ~= $0 | 0x20
                        || UInt8(ascii: "0")...UInt8(ascii: "9") ~= $0
                }
                return (isName ? entry.key : "[\"\(entry.key)\"]") + "=" + of(entry.value)
            }
            return "{" + parts.joined(separator: ",") + "}"
        }
    }
}
