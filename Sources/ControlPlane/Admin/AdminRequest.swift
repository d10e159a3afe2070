// A request to the Admin API taken apart: path, query, body by its content type.

import HTTPTypes
import Hummingbird
import Model
import NIOCore

/// What the operations see of a request.
struct AdminRequest: Sendable {
    var author: Author
    /// Path parameters in the order of the path, decoded.
    var parameters: [String]
    /// As written, for `next`.
    var segments: [String]
    var query: [String: String]
    var body = AdminBody.none
    /// The version that If-Match asks for.
    var ifVersion: UInt64?

    /// The last path parameter.
    var last: String { parameters.last ?? "" }
    var first: String { parameters.first ?? "" }

    /// The segments of a path, decoded; a slash at the end counts for nothing.
    static func segments(_ path: String) -> [String] {
        var segments = path.split(separator: "/", omittingEmptySubsequences: false).map { PercentCoding.decode($0) }
        if segments.first == "" { segments.removeFirst() }
        if segments.last == "" { segments.removeLast() }
        return segments
    }

    /// The first value of each name.
    static func query(_ text: String?) -> [String: String]? {
        guard let pairs = FormBody.pairs(text ?? "") else { return nil }
        return Dictionary(pairs.map { ($0.name, $0.value) }, uniquingKeysWith: { first, _ in first })
    }
}

/// What a request carries.
enum AdminBody: Sendable {
    case none
    case json(ConfigValue)
    case form(FormBody)
    /// YAML: `/config` takes it, nothing else does.
    case text([UInt8])

    /// As a record for `schema`; `plugin`: whose schema the field `config` has when the body does not name it.
    func record(_ schema: RecordSchema, plugin: String? = nil) throws(AdminFault) -> ConfigValue {
        switch self {
        case .none: return .record([])
        case .form(let form): return form.value(schema, plugin: plugin)
        case .json(let value): return value
        case .text: throw Self.unsupported
        }
    }

    static let unsupported = AdminFault(
        .unsupportedMediaType,
        "Unsupported media type: send application/json, application/x-www-form-urlencoded or multipart/form-data")

    /// - Throws: 400 or 415 in Kong's words.
    static func read(_ bytes: [UInt8], headers: HTTPFields, yaml: Bool) throws(AdminFault) -> AdminBody {
        let types = headers[values: .contentType]
        guard types.count <= 1 else {
            throw AdminFault(.badRequest, "only one Content-Type header is allowed")
        }
        guard !bytes.isEmpty else { return .none }
        guard let type = types.first else { throw unsupported }
        let name = type.prefix { $0 != ";" && $0 != " " && $0 != "," }.lowercased()
        switch name {
        case "application/json":
            // Every entity is an object; nothing else could be merged with anything.
            guard let value = try? ConfigValue(json: bytes), value.entries != nil else {
                throw AdminFault(.badRequest, "Cannot parse JSON body")
            }
            return .json(value)
        case "application/x-www-form-urlencoded":
            guard let form = FormBody(urlencoded: bytes) else {
                throw AdminFault(.badRequest, "Cannot parse form body: too many fields, or too deep")
            }
            return .form(form)
        case "multipart/form-data":
            guard let form = MultipartBody.form(bytes, contentType: type) else {
                throw AdminFault(.badRequest, "Cannot parse multipart body")
            }
            return .form(form)
        case "text/yaml", "text/x-yaml", "application/yaml", "application/x-yaml":
            guard yaml else { throw unsupported }
            return .text(bytes)
        default: throw unsupported
        }
    }
}
