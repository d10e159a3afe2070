// OpenAPI 3.1 of the Admin API, made of the table that the server answers from and the schemas it checks by.

import HTTPTypes
import Model

/// The document. Nothing in it is written twice: a route, a field or a rule that changes, changes here too.
struct AdminDocument: Sendable {
    let value: ConfigValue

    init(_ table: AdminRouteTable) {
        let paths = table.routes.map { route in
            ConfigValue.Entry(route.path, .record(Self.path(route, table)))
        }
        value = .record([
            .init("openapi", .string("3.1.0")),
            .init(
                "info",
                .record([
                    .init("title", .string("Seaway Admin API")),
                    .init("version", .string(AdminAPI.kongVersion)),
                    .init(
                        "description",
                        .string("Services, routes, consumers and plugins, as Kong's Admin API has them.")),
                ])),
            .init("security", Self.security),
            .init("paths", .record(paths)),
            .init(
                "components",
                .record([
                    .init(
                        "securitySchemes",
                        .record([
                            .init(
                                "bearer",
                                .record([.init("type", .string("http")), .init("scheme", .string("bearer"))])),
                            .init(
                                "token",
                                .record([
                                    .init("type", .string("apiKey")), .init("in", .string("header")),
                                    .init("name", .string("Kong-Admin-Token")),
                                ])),
                        ])),
                    .init("schemas", .record(AdminDocumentSchemas.all)),
                ])),
        ])
    }

    private static let security = ConfigValue.array([
        .record([.init("bearer", .array([]))]), .record([.init("token", .array([]))]),
    ])

    // MARK: Paths

    private static func path(_ route: AdminRoute, _ table: AdminRouteTable) -> [ConfigValue.Entry] {
        var entries: [ConfigValue.Entry] = []
        if !route.parameters.isEmpty {
            entries.append(.init("parameters", .array(route.parameters.map { pathParameter($0) })))
        }
        return entries
            + route.operations.map { .init($0.method.rawValue.lowercased(), operation($0, on: route, table)) }
    }

    private static func pathParameter(_ name: String) -> ConfigValue {
        .record([
            .init("name", .string(name)), .init("in", .string("path")), .init("required", .bool(true)),
            .init("schema", .record([.init("type", .string("string")), .init("minLength", .int(1))])),
        ])
    }

    private static func operation(
        _ operation: AdminOperation, on route: AdminRoute, _ table: AdminRouteTable
    ) -> ConfigValue {
        let action = operation.action
        var entries: [ConfigValue.Entry] = [
            .init("operationId", .string(operationID(operation, route))),
            .init("summary", .string(action.summary)),
            .init("tags", .array([.string(action.group)])),
            .init("security", security),
        ]
        let query = action.queryParameters
        if !query.isEmpty { entries.append(.init("parameters", .array(query))) }
        if let body = action.requestBody { entries.append(.init("requestBody", body)) }
        entries.append(.init("responses", .record(responses(action, table))))
        return .record(entries)
    }

    /// `get_services_service_routes`: the method and the path.
    private static func operationID(_ operation: AdminOperation, _ route: AdminRoute) -> String {
        let parts = route.parts.map { part in
            switch part {
            case .literal(let text): text
            case .parameter(let name): "by_\(name)"
            }
        }
        let text = ([operation.method.rawValue.lowercased()] + (parts.isEmpty ? ["node"] : parts)).joined(
            separator: "_")
        return String(text.map { $0 == "-" || $0 == "." ? "_" : $0 })
    }

    private static func responses(_ action: AdminAction, _ table: AdminRouteTable) -> [ConfigValue.Entry] {
        let error = AdminDocumentSchemas.reference("Error")
        let links = links(from: action, table)
        var entries = action.successes.map { success in
            ConfigValue.Entry(String(success.status), response(success.text, success.schema, links: links))
        }
        for (status, text) in [
            (400, "The request is not valid"), (401, "No valid token"), (403, "Not allowed"), (404, "Not found"),
            (405, "No such operation"), (409, "Another entity has a value that must be unique"),
            (412, "If-Match does not match"), (413, "The body is too large"),
            (415, "The body's type is not supported"), (421, "Not the host that is served here"),
            (429, "Too many unknown tokens"), (503, "The database does not answer"),
        ] {
            entries.append(.init(String(status), response(text, error)))
        }
        return entries
    }

    /// From what was created to every operation on it.
    private static func links(from action: AdminAction, _ table: AdminRouteTable) -> [ConfigValue.Entry] {
        guard case .entity(.create, let kind) = action else { return [] }
        let targets = table.routes.filter {
            $0.parameters == [kind.parameter] && $0.parts.first == .literal(kind.collection)
        }
        return targets.flatMap { route in
            route.operations.map { operation in
                let id = operationID(operation, route)
                let parameters = ConfigValue.record([.init(kind.parameter, .string("$response.body#/id"))])
                return .init(id, .record([.init("operationId", .string(id)), .init("parameters", parameters)]))
            }
        }
    }

    private static func response(
        _ text: String, _ schema: ConfigValue?, links: [ConfigValue.Entry] = []
    ) -> ConfigValue {
        var entries: [ConfigValue.Entry] = [.init("description", .string(text))]
        if let schema {
            entries.append(
                .init("content", .record([.init("application/json", .record([.init("schema", schema)]))])))
        }
        if !links.isEmpty { entries.append(.init("links", .record(links))) }
        return .record(entries)
    }
}

// MARK: - What an action takes and gives

extension AdminAction {
    fileprivate var group: String {
        switch self {
        case .entity(_, let kind): kind.collection
        case .nested(_, let nesting): nesting.child.collection
        case .foreign(_, let nesting): nesting.parent.collection
        case .allTargets, .upstreamHealth, .targetHealth: EntityKind.upstreams.collection
        case .dataPlanes, .clusteringStatus: "clustering"
        case .tags, .tag: "tags"
        case .entitySchema, .pluginSchema, .validateEntity, .validatePlugin: "schemas"
        case .readConfig, .replaceConfig: "config"
        case .node, .status, .ready, .endpoints, .enabledPlugins, .openAPI: "node"
        }
    }

    fileprivate var summary: String {
        switch self {
        case .entity(let verb, let kind): Self.summary(verb, kind.singular)
        case .nested(let verb, let nesting):
            "\(Self.summary(verb, nesting.child.singular)) of a \(nesting.parent.singular)"
        case .foreign(let verb, let nesting):
            "\(Self.summary(verb, nesting.parent.singular)) of a \(nesting.child.singular)"
        case .allTargets: "List every target of an upstream"
        case .upstreamHealth: "What the gateways see of an upstream's targets"
        case .targetHealth(let isHealthy): "Say that a target is \(isHealthy ? "healthy" : "unhealthy"): not supported"
        case .node: "About this node"
        case .status: "Whether the database answers, and sums over the gateways"
        case .ready: "Whether this node can serve"
        case .endpoints: "Every path"
        case .tags: "Every tag and what has it"
        case .tag: "What has a tag"
        case .enabledPlugins: "The plugins that gateways run"
        case .entitySchema: "The schema of a kind of entity"
        case .pluginSchema: "The schema of a plugin"
        case .validateEntity: "Check an entity without keeping it"
        case .validatePlugin: "Check a plugin without keeping it"
        case .readConfig: "The whole configuration as kong.yml"
        case .replaceConfig: "Replace the whole configuration"
        case .dataPlanes: "The gateways that have joined"
        case .clusteringStatus: "The gateways that have joined, by id"
        case .openAPI: "This document"
        }
    }

    private static func summary(_ verb: EntityVerb, _ name: String) -> String {
        switch verb {
        case .list: "List: \(name)"
        case .create: "Create a \(name)"
        case .get: "Read a \(name)"
        case .replace: "Create or replace a \(name)"
        case .update: "Change fields of a \(name)"
        case .delete: "Delete a \(name)"
        }
    }

    fileprivate var queryParameters: [ConfigValue] {
        switch self {
        case .entity(.list, let kind):
            let own = kind == .consumers ? [Self.query("custom_id", Self.text), Self.query("username", Self.text)] : []
            return Self.paging + [Self.query("tags", Self.tagFilter)] + own
        case .nested(.list, _), .allTargets: return Self.paging + [Self.query("tags", Self.tagFilter)]
        case .tags, .tag, .dataPlanes: return Self.paging
        case .upstreamHealth: return Self.paging + [Self.query("balancer_health", Self.flag)]
        case .replaceConfig: return [Self.query("check_hash", Self.flag), Self.query("flatten_errors", Self.flag)]
        default: return []
        }
    }

    private static let text = ConfigValue.record([.init("type", .string("string"))])
    /// All of them, or any of them: the two are not mixed.
    private static let tagFilter = ConfigValue.record([
        .init("type", .string("string")),
        .init("pattern", .string("^[ -+.0-~-]+(,[ -+.0-~-]+)*$|^[ -+.0-~-]+(/[ -+.0-~-]+)*$")),
    ])
    private static let flag = ConfigValue.record([
        .init("type", .string("string")), .init("enum", .array([.string("0"), .string("1")])),
    ])
    private static let paging = [
        query(
            "size",
            .record([
                .init("type", .string("integer")), .init("minimum", .int(1)), .init("maximum", .int(Paging.sizeLimit)),
                .init("default", .int(Paging.defaultSize)),
            ])),
        query(
            "offset",
            .record([.init("type", .string("string")), .init("pattern", .string("^[A-Za-z0-9_-]{21}[AQgw]$"))])),
    ]

    private static func query(_ name: String, _ schema: ConfigValue) -> ConfigValue {
        .record([.init("name", .string(name)), .init("in", .string("query")), .init("schema", schema)])
    }

    fileprivate var requestBody: ConfigValue? {
        switch self {
        case .entity(let verb, let kind): Self.body(verb, kind, without: nil)
        case .nested(let verb, let nesting): Self.body(verb, nesting.child, without: nesting.field)
        case .foreign(let verb, let nesting): Self.body(verb, nesting.parent, without: nil)
        case .validateEntity: Self.content(.record([.init("type", .string("object"))]))
        case .validatePlugin: Self.content(AdminDocumentSchemas.input(.plugins, required: true, without: nil))
        case .replaceConfig: Self.content(AdminDocumentSchemas.configuration)
        default: nil
        }
    }

    private static func body(_ verb: EntityVerb, _ kind: EntityKind, without field: String?) -> ConfigValue? {
        switch verb {
        case .list, .get, .delete: nil
        case .create:
            content(
                AdminDocumentSchemas.input(kind, required: true, without: field),
                example: AdminDocumentSchemas.example(kind, without: field))
        case .replace: content(AdminDocumentSchemas.input(kind, required: true, without: field, named: true))
        case .update: content(AdminDocumentSchemas.input(kind, required: false, without: field))
        }
    }

    private static func content(_ schema: ConfigValue, example: ConfigValue? = nil) -> ConfigValue {
        let example = example.map { [ConfigValue.Entry("example", $0)] } ?? []
        return .record([
            .init(
                "content", .record([.init("application/json", .record([.init("schema", schema)] + example))]))
        ])
    }

    fileprivate var successes: [(status: Int, text: String, schema: ConfigValue?)] {
        switch self {
        case .entity(let verb, let kind): Self.successes(verb, kind)
        case .nested(let verb, let nesting): Self.successes(verb, nesting.child)
        case .foreign(let verb, let nesting): Self.successes(verb, nesting.parent)
        case .allTargets: Self.successes(.list, .targets)
        case .targetHealth: []
        case .replaceConfig:
            [
                (201, "In effect", .record([.init("type", .string("object"))])),
                (304, "Nothing differs", nil),
            ]
        case .ready, .validateEntity, .validatePlugin:
            [(200, "Yes", AdminDocumentSchemas.reference("Message"))]
        case .tags, .tag: [(200, "A page", AdminDocumentSchemas.page(AdminDocumentSchemas.reference("Tag")))]
        case .dataPlanes: [(200, "A page", AdminDocumentSchemas.page(AdminDocumentSchemas.reference("DataPlane")))]
        case .node, .status, .endpoints, .enabledPlugins, .entitySchema, .pluginSchema, .readConfig, .clusteringStatus,
            .upstreamHealth, .openAPI:
            [(200, "As asked", .record([.init("type", .string("object"))]))]
        }
    }

    private static func successes(
        _ verb: EntityVerb, _ kind: EntityKind
    ) -> [(status: Int, text: String, schema: ConfigValue?)] {
        let one = AdminDocumentSchemas.reference(ResourceType.of(kind).kind)
        return switch verb {
        case .list: [(200, "A page", AdminDocumentSchemas.page(one))]
        case .create: [(201, "Created", one)]
        case .get: [(200, "The entity", one)]
        case .replace, .update: [(200, "The entity as it is now", one)]
        case .delete: [(204, "Gone", nil)]
        }
    }
}
