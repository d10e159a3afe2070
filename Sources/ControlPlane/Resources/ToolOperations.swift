// What helps to work with resources: types, schemas, the route tester, expiry of certificates, this API's description.

import Dialects
import Hummingbird
import Model
import Store

extension ResourceAPI {
    static let toolOperations: [Operation] = [
        Operation(
            method: .get, path: "/v1/types", name: "listTypes",
            summary: "List the types of resources, and what the author may do with each.", right: .somebody,
            answers: [.init(status: 200, schema: "TypeList", meaning: "The types.")],
            run: { .json($0.types($1)) }),
        Operation(
            method: .get, path: "/v1/schemas", name: "listSchemas", summary: "List the names of types and plugins.",
            right: .somebody,
            answers: [.init(status: 200, schema: "SchemaNames", meaning: "The names.")],
            run: { _, _ in
                .json(
                    .object([
                        "types": .array(ResourceType.all.map { .string($0.plural) }),
                        "plugins": .array(PluginCatalog.supported.keys.sorted().map { .string($0) }),
                    ]))
            }),
        Operation(
            method: .get, path: "/v1/schemas/{type}", name: "readSchema",
            summary: "Read the schema of a type, in the Admin API's form.", right: .somebody,
            answers: [.init(status: 200, schema: "Schema", meaning: "The schema.")],
            run: { _, call in
                let type = try call.type()
                guard let kind = type.entity else { return .json(OpenAPISchemas.role) }
                return .json(SchemaJSON.entity(kind))
            }),
        // A path of its own: routers that have gone down "plugins" for the next operation do not come back for {type}.
        Operation(
            method: .get, path: "/v1/schemas/plugins", name: "readSchemaOfPlugins",
            summary: "Read what all plugins have, in the Admin API's form.", right: .somebody,
            answers: [.init(status: 200, schema: "Schema", meaning: "The schema.")],
            run: { _, _ in .json(SchemaJSON.entity(.plugins)) }),
        Operation(
            method: .get, path: "/v1/schemas/plugins/{name}", name: "readPluginSchema",
            summary: "Read the schema of a plugin, with its config.", right: .somebody,
            answers: [.init(status: 200, schema: "Schema", meaning: "The schema.")],
            run: { _, call in
                let name = try call.part("name")
                guard let schema = SchemaJSON.plugin(name) else {
                    let near = NearestWord.nearest(to: name, in: PluginCatalog.supported.keys.sorted())
                    throw Problem.notFound(
                        "there is no plugin \(name.prefix(80))" + (near.map { "; did you mean \($0)?" } ?? ""))
                }
                return .json(schema)
            }),
        Operation(
            method: .post, path: "/v1/match", name: "match",
            summary: "Say which route answers a request, or takes a connection, and why.",
            right: .ever(.read, "routes"), body: "MatchInput",
            answers: [.init(status: 200, schema: "MatchAnswer", meaning: "The answer of the gateways' own tables.")],
            run: { api, call in
                let input = try await call.record(MatchInput.fields)
                return .json(bytes: try await api.matcher.answer(try MatchInput.read(input), api.workspace.current))
            }),
        Operation(
            method: .get, path: "/v1/certificates-expiry", name: "listExpiries",
            summary: "List certificates by when they end, the first first.", right: .ever(.read, "certificates"),
            answers: [.init(status: 200, schema: "ExpiryList", meaning: "The certificates.")],
            run: { api, call in
                let expiries = await api.expiries(call.author)
                let now = api.authenticator.clock()
                return .json(.object(["items": .array(expiries.map { $0.value(now: now) })]))
            }),
        Operation(
            method: .get, path: "/v1/openapi.json", name: "readDescription",
            summary: "Read this description (OpenAPI 3.1).", right: .somebody,
            answers: [.init(status: 200, schema: "Description", meaning: "The description.")],
            run: { _, _ in .json(bytes: OpenAPI.document) }),
    ]

    private func types(_ call: Call) -> ConfigValue {
        let catalog = workspace.catalog
        let items = ResourceType.all.map { type -> ConfigValue in
            let verbs = [Verb.read, .create, .update, .delete].filter { verb in
                (try? Self.demand(verb, type.plural, call.author)) != nil
            }
            let references = type.references.map { reference in
                ConfigValue.object([
                    "field": .string(reference.field), "type": .string(reference.target),
                    "belongs": .bool(reference.cascades),
                ])
            }
            return .object([
                "type": .string(type.plural), "kind": .string(type.kind),
                "nameField": type.nameField.isEmpty ? .null : .string(type.nameField),
                "count": verbs.contains(.read) ? .int(catalog.count(type.plural)) : .null,
                "verbs": .array(verbs.map { .string($0.rawValue) }), "references": .array(references),
            ])
        }
        return .object(["items": .array(items)])
    }

    private func expiries(_ author: Author) async -> [CertificateExpiry] {
        let catalog = workspace.catalog
        var found = await environment.certificates()
        for type in ["certificates", "ca_certificates"] {
            for resource in catalog.all(type) where author.may(.read, type: type, labels: resource.labels) {
                found += CertificateExpiry.of(resource)
            }
        }
        return found.sorted { ($0.notAfter, $0.id) < ($1.notAfter, $1.id) }
    }
}
