// The description of the Resource API, made of the table that the router is made of.

import HTTPTypes
import Model

enum OpenAPI {
    /// OpenAPI 3.1.0, JSON.
    static let document: [UInt8] = make().json

    private static func make() -> ConfigValue {
        var paths: [(path: String, operations: [ConfigValue.Entry])] = []
        for operation in ResourceAPI.operations {
            let entry = ConfigValue.Entry(operation.method.rawValue.lowercased(), value(operation))
            if let place = paths.firstIndex(where: { $0.path == operation.path }) {
                paths[place].operations.append(entry)
            } else {
                paths.append((operation.path, [entry]))
            }
        }
        return .object([
            "openapi": .string("3.1.0"),
            "info": .object([
                "title": .string("Seaway Resource API"), "version": .string("1"),
                "description": .string(
                    "Everything that gateways serve, as resources with types, names, labels and specs. "
                        + "Every change is one revision."),
            ]),
            "paths": .record(paths.map { ConfigValue.Entry($0.path, .record($0.operations)) }),
            "components": .object([
                "schemas": .record(OpenAPISchemas.all.map { ConfigValue.Entry($0.name, $0.schema) }),
                "securitySchemes": .object([
                    "token": .object(["type": .string("http"), "scheme": .string("bearer")]),
                    "session": .object([
                        "type": .string("apiKey"), "in": .string("cookie"), "name": .string(Authenticator.cookie),
                    ]),
                ]),
            ]),
            "security": .array([.object(["token": .array([])]), .object(["session": .array([])])]),
        ])
    }

    private static func value(_ operation: Operation) -> ConfigValue {
        var fields: [ConfigValue.Entry] = [
            .init("operationId", .string(operation.name)), .init("summary", .string(operation.summary)),
        ]
        if operation.right == .anybody { fields.append(.init("security", .array([]))) }
        let parameters = pathParameters(operation) + queryParameters(operation) + conditionParameters(operation)
        if !parameters.isEmpty { fields.append(.init("parameters", .array(parameters))) }
        if !operation.body.isEmpty {
            let content = operation.bodyTypes.map { ConfigValue.Entry($0, schema(operation.body)) }
            fields.append(
                .init("requestBody", .object(["required": .bool(true), "content": .record(content)])))
        }
        fields.append(.init("responses", responses(operation)))
        return .record(fields)
    }

    private static func schema(_ name: String) -> ConfigValue {
        .object(["schema": .object(["$ref": .string("#/components/schemas/\(name)")])])
    }

    // MARK: - Parameters

    private static func pathParameters(_ operation: Operation) -> [ConfigValue] {
        operation.path.split(separator: "/").filter { $0.hasPrefix("{") }.map { part in
            let name = String(part.dropFirst().dropLast())
            var schema = ConfigValue.object(["type": .string("string"), "minLength": .int(1)])
            if name == "type" {
                schema = .object([
                    "type": .string("string"), "enum": .array(ResourceType.all.map { .string($0.plural) }),
                ])
            } else if name == "id" {
                schema = .object(["type": .string("string"), "format": .string("uuid")])
            } else if name == "number" {
                schema = .object(["type": .string("integer"), "minimum": .int(1)])
            }
            return .object([
                "name": .string(name), "in": .string("path"), "required": .bool(true), "schema": schema,
            ])
        }
    }

    private static func queryParameters(_ operation: Operation) -> [ConfigValue] {
        operation.query.map { parameter in
            .object([
                "name": .string(parameter.name), "in": .string("query"), "required": .bool(false),
                "description": .string(parameter.meaning), "schema": schema(parameter.form),
            ])
        }
    }

    private static func schema(_ form: Operation.Parameter.Form) -> ConfigValue {
        switch form {
        case .text: .object(["type": .string("string")])
        case .flag: .object(["type": .string("boolean")])
        case .number(let range):
            .object([
                "type": .string("integer"), "minimum": .int(range.lowerBound), "maximum": .int(range.upperBound),
            ])
        case .oneOf(let words): .object(["type": .string("string"), "enum": .array(words.map { .string($0) })])
        case .pairs:
            .object([
                "type": .string("array"),
                "items": .object(["type": .string("string"), "pattern": .string("^[^=]+=")]),
            ])
        }
    }

    private static func conditionParameters(_ operation: Operation) -> [ConfigValue] {
        operation.conditions.map { name in
            .object([
                "name": .string(name), "in": .string("header"), "required": .bool(false),
                "description": .string("A version in quotation marks, such as \"12\", or *."),
                "schema": .object(["type": .string("string")]),
            ])
        }
    }

    // MARK: - Responses

    private static func responses(_ operation: Operation) -> ConfigValue {
        var entries = operation.answers.map { answer -> ConfigValue.Entry in
            var fields: [ConfigValue.Entry] = [.init("description", .string(answer.meaning))]
            if !answer.schema.isEmpty {
                fields.append(.init("content", .record([.init(answer.mediaType, schema(answer.schema))])))
            }
            return .init(String(answer.status), .record(fields))
        }
        let problem = ConfigValue.record([.init("application/problem+json", schema("Problem"))])
        for status in refusals(operation) {
            let text = HTTPResponse.Status(code: status).reasonPhrase
            entries.append(
                .init(String(status), .object(["description": .string(text), "content": problem])))
        }
        if operation.conditions.contains("If-None-Match"), operation.method == .get {
            entries.append(.init("304", .object(["description": .string("It has the version that was named.")])))
        }
        return .record(entries.sorted { $0.key < $1.key })
    }

    private static func refusals(_ operation: Operation) -> [Int] {
        // A malformed query, a host that is not served here, and a store that does not answer can meet any request.
        var statuses: Set<Int> = [400, 421, 503]
        if operation.right != .anybody { statuses.formUnion([401, 403, 429]) }
        if operation.path.contains("{") { statuses.insert(404) }
        if !operation.body.isEmpty { statuses.formUnion([413, 415, 422]) }
        if operation.method != .get { statuses.formUnion([401, 403, 404, 409, 412, 422, 429]) }
        if ["/v1/diff", "/metrics"].contains(operation.path) { statuses.insert(404) }
        if operation.path.hasPrefix("/v1/oidc") { statuses.formUnion([401, 403, 404]) }
        return statuses.sorted()
    }
}
