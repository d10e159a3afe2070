// What the Admin API can be asked: paths, methods, and what each does. The server and its OpenAPI document read this.

import HTTPTypes
import Model

/// What is done to an entity or a collection.
enum EntityVerb: String, Sendable, CaseIterable {
    case list, create, get, replace, update, delete

    var method: HTTPRequest.Method {
        switch self {
        case .list, .get: .get
        case .create: .post
        case .replace: .put
        case .update: .patch
        case .delete: .delete
        }
    }
}

/// What an operation does. Path parameters are handed over in the order of the path.
enum AdminAction: Sendable, Hashable {
    case entity(EntityVerb, EntityKind)
    /// On the children of the parent that the path begins with.
    case nested(EntityVerb, Nesting)
    /// On the parent of the child that the path begins with.
    case foreign(EntityVerb, Nesting)
    case allTargets
    case upstreamHealth
    /// A target, or one address of it, is to be taken for healthy or not.
    case targetHealth(isHealthy: Bool)
    case node
    case status
    case ready
    case endpoints
    case tags
    case tag
    case enabledPlugins
    case entitySchema
    case pluginSchema
    case validateEntity
    case validatePlugin
    case readConfig
    case replaceConfig
    case dataPlanes
    case clusteringStatus
    case openAPI
}

/// One method on one path.
struct AdminOperation: Sendable, Hashable {
    var method: HTTPRequest.Method
    var action: AdminAction
}

/// One path.
struct AdminRoute: Sendable {
    enum Part: Sendable, Hashable {
        case literal(String)
        case parameter(String)
    }

    var parts: [Part]
    var operations: [AdminOperation]

    init(_ path: String, _ operations: [AdminOperation]) {
        parts = path.split(separator: "/").map { part in
            part.hasPrefix("{") ? .parameter(String(part.dropFirst().dropLast())) : .literal(String(part))
        }
        self.operations = operations
    }

    /// `/services/{service}`
    var path: String {
        "/"
            + parts.map {
                switch $0 {
                case .literal(let text): text
                case .parameter(let name): "{\(name)}"
                }
            }.joined(separator: "/")
    }

    var parameters: [String] {
        parts.compactMap { if case .parameter(let name) = $0 { name } else { nil } }
    }

    /// Literals come before parameters: `/upstreams/{upstream}/targets/all` is no target called `all`.
    fileprivate var precedence: [Int] {
        parts.map { if case .literal = $0 { 0 } else { 1 } }
    }

    /// The parameters' values; nil: another path.
    func match(_ segments: [String]) -> [String]? {
        guard segments.count == parts.count else { return nil }
        var values: [String] = []
        for (part, segment) in zip(parts, segments) {
            switch part {
            case .literal(let text): if text != segment { return nil }
            case .parameter: values.append(segment)
            }
        }
        return values
    }

    /// What `Allow` says: HEAD where there is GET, OPTIONS always.
    var allow: String {
        let methods = operations.map(\.method.rawValue) + (operations.contains { $0.method == .get } ? ["HEAD"] : [])
        return (methods + ["OPTIONS"]).sorted().joined(separator: ", ")
    }
}

/// All of them.
struct AdminRouteTable: Sendable {
    /// In the order of the document.
    let routes: [AdminRoute]
    /// By number of segments, literals first.
    private let byLength: [Int: [AdminRoute]]

    init() {
        routes = Self.node + Self.entities
        byLength = Dictionary(grouping: routes, by: \.parts.count).mapValues { routes in
            routes.sorted { $0.precedence.lexicographicallyPrecedes($1.precedence) }
        }
    }

    func match(_ segments: [String]) -> (route: AdminRoute, parameters: [String])? {
        for route in byLength[segments.count] ?? [] {
            if let parameters = route.match(segments) { return (route, parameters) }
        }
        return nil
    }

    private static func get(_ action: AdminAction) -> [AdminOperation] {
        [AdminOperation(method: .get, action: action)]
    }
    private static func post(_ action: AdminAction) -> [AdminOperation] {
        [AdminOperation(method: .post, action: action)]
    }

    private static let node: [AdminRoute] =
        [
            AdminRoute("/", get(.node)),
            AdminRoute("/status", get(.status)),
            AdminRoute("/status/ready", get(.ready)),
            AdminRoute("/endpoints", get(.endpoints)),
            AdminRoute("/tags", get(.tags)),
            AdminRoute("/tags/{tag}", get(.tag)),
            AdminRoute("/plugins/enabled", get(.enabledPlugins)),
            AdminRoute("/plugins/schema/{plugin}", get(.pluginSchema)),
            AdminRoute("/schemas/{entity}", get(.entitySchema)),
            AdminRoute("/schemas/{entity}/validate", post(.validateEntity)),
            AdminRoute("/schemas/plugins/{plugin}", get(.pluginSchema)),
            AdminRoute("/schemas/plugins/validate", post(.validatePlugin)),
            AdminRoute("/config", get(.readConfig) + post(.replaceConfig)),
            AdminRoute("/clustering/data-planes", get(.dataPlanes)),
            AdminRoute("/clustering/status", get(.clusteringStatus)),
            AdminRoute("/upstreams/{upstream}/health", get(.upstreamHealth)),
            AdminRoute("/upstreams/{upstream}/targets/all", get(.allTargets)),
        ]
        + [true, false].flatMap { isHealthy in
            ["{target}", "{target}/{address}"].map { path in
                AdminRoute(
                    "/upstreams/{upstream}/targets/\(path)/\(isHealthy ? "healthy" : "unhealthy")",
                    [AdminOperation(method: .put, action: .targetHealth(isHealthy: isHealthy))])
            }
        } + [AdminRoute("/openapi.json", get(.openAPI))]

    private static func operations(_ verbs: [EntityVerb], _ action: (EntityVerb) -> AdminAction) -> [AdminOperation] {
        verbs.map { AdminOperation(method: $0.method, action: action($0)) }
    }

    private static let entities: [AdminRoute] = EntityKind.allCases.flatMap { kind in
        var routes: [AdminRoute] = []
        let one = "/\(kind.collection)/{\(kind.parameter)}"
        if kind.isTopLevel {
            routes.append(AdminRoute("/\(kind.collection)", operations([.list, .create]) { .entity($0, kind) }))
            routes.append(
                AdminRoute(one, operations([.get, .replace, .update, .delete]) { .entity($0, kind) }))
        }
        for nesting in kind.nested {
            let path = "\(one)/\(nesting.child.nestedCollection)"
            routes.append(AdminRoute(path, operations([.list, .create]) { .nested($0, nesting) }))
            routes.append(
                AdminRoute(
                    "\(path)/{\(nesting.child.parameter)}",
                    operations([.get, .replace, .update, .delete]) { .nested($0, nesting) }))
        }
        for nesting in EntityKind.nestings where nesting.child == kind && kind.isTopLevel {
            routes.append(
                AdminRoute("\(one)/\(nesting.field)", operations([.get, .replace, .update]) { .foreign($0, nesting) }))
        }
        return routes
    }
}
