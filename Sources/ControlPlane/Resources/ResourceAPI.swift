// The Resource API, /v1: the same store as the Admin API, as resources with types, names, labels and specs.
//
// 1. `router` puts the operations of the tables under their paths   2. the middlewares let a request in
// 3. `perform` checks the right and the parameters   4. the operation answers or throws what becomes a problem

import HTTPTypes
public import Hummingbird
import Model
public import Store

public struct ResourceAPI: Sendable {
    /// What only the program knows.
    public struct Environment: Sendable {
        /// Which names the listener answers to.
        public var hosts = HostPolicy.loopback([])
        /// Routes may be expressions.
        public var expressions = false
        /// `sqlite` or `postgresql`.
        public var storeKind = "sqlite"
        /// This control plane's name among several.
        public var controlPlane = ""
        public var version = ""
        /// Unix milliseconds.
        public var startedAt: Int64 = 0
        /// The text of a join token for a secret's text; nil: gateways cannot join here.
        public var joinToken: (@Sendable (String) -> String?)?
        /// Prometheus' exposition of this control plane; nil: none.
        public var metrics: (@Sendable () async -> String)?
        /// Certificates besides the stored ones, with when they end: the authority's own.
        public var certificates: @Sendable () async -> [CertificateExpiry] = { [] }
        /// Paths, and all under them, that need no author: the files of the web UI.
        public var openPaths = ["/ui"]
        /// A login by an OIDC provider; nil: none.
        public var provider: OIDCProvider?

        public init() {}
    }

    let workspace: Workspace
    let store: any Store
    let authenticator: Authenticator
    let gateways: any GatewayDirectory
    let environment: Environment
    let matcher: Matcher

    public init(
        workspace: Workspace, store: any Store, authenticator: Authenticator, gateways: any GatewayDirectory,
        environment: Environment = Environment()
    ) {
        self.workspace = workspace
        self.store = store
        self.authenticator = authenticator
        self.gateways = gateways
        self.environment = environment
        matcher = Matcher(expressions: environment.expressions)
    }

    static let operations =
        accountOperations + changeOperations + historyOperations + fleetOperations + toolOperations
        + resourceOperations

    // MARK: - Routing

    /// All of /v1, /healthz and /metrics. Pages of the UI may be added to it: the same door is before them.
    public func router() -> Router<APIContext> {
        let router = Router(context: APIContext.self)
        let anybody = Set(Self.operations.filter { $0.right == .anybody }.map { "\($0.method.rawValue) \($0.path)" })
        let open = environment.openPaths
        router.add(middleware: SecurityHeaders())
        router.add(middleware: TraceMiddleware())
        router.add(middleware: ProblemMiddleware())
        router.add(
            middleware: AccessMiddleware(
                authenticator: authenticator, source: "resource-api", hosts: environment.hosts,
                isPublic: { method, path in
                    anybody.contains("\(method == .head ? "GET" : method.rawValue) \(path)")
                        || path == "/" || open.contains { path == $0 || path.hasPrefix($0 + "/") }
                },
                render: { Problem($0).response }))
        var methods: [String: [HTTPRequest.Method]] = [:]
        for operation in Self.operations {
            methods[operation.path, default: []].append(operation.method)
            add(operation, to: router)
        }
        for (path, known) in methods { addRefusals(path, known, to: router) }
        return router
    }

    private func add(_ operation: Operation, to router: Router<APIContext>) {
        let path = RouterPath(stringLiteral: Self.pattern(operation.path))
        router.on(path, method: operation.method) { request, context in
            try await self.perform(operation, request, context)
        }
        guard operation.method == .get else { return }
        router.on(path, method: .head) { request, context in
            var response = try await self.perform(operation, request, context)
            // The length of what GET would send, and none of it.
            response.body = ResponseBody(contentLength: response.body.contentLength) { writer in
                try await writer.finish(nil)
            }
            return response
        }
    }

    /// Methods that a path has not are answered with those that it has.
    private func addRefusals(_ path: String, _ known: [HTTPRequest.Method], to router: Router<APIContext>) {
        let all: [HTTPRequest.Method] = [.get, .head, .post, .put, .patch, .delete, .options, .trace]
        let there = Set(known + (known.contains(.get) ? [.head] : []) + [.options])
        let allowed = all.filter { there.contains($0) }.map(\.rawValue).joined(separator: ", ")
        for method in all where !there.contains(method) || method == .options {
            router.on(RouterPath(stringLiteral: Self.pattern(path)), method: method) { _, _ -> Response in
                if method == .options { return Response(status: .noContent, headers: [.allow: allowed]) }
                throw Problem(
                    .methodNotAllowed, "method", "\(method.rawValue) is not for this path; there is \(allowed)",
                    fields: [.allow: allowed])
            }
        }
    }

    /// `/v1/{type}` as the router writes it.
    private static func pattern(_ path: String) -> String {
        path.replacing("{", with: ":").replacing("}", with: "")
    }

    private func perform(
        _ operation: Operation, _ request: Request, _ context: APIContext
    ) async throws -> Response {
        let call = try Call(request, context, operation)
        switch operation.right {
        case .anybody, .somebody: break
        case .ever(let verb, let type): try Self.demand(verb, type, call.author)
        case .onType(let verb):
            // The right first: who may read nothing is not told which types there are.
            let type = try call.part("type")
            let isKnown = ResourceType.named(type) != nil
            try Self.demand(verb, isKnown ? type : "routes", call.author)
        }
        return try await operation.run(self, call)
    }

    /// Changing roles takes the right to administer: a role can hold every other right.
    static func demand(_ verb: Verb, _ type: String, _ author: Author) throws(AccessError) {
        let verb = type == "roles" && verb != .read ? Verb.administer : verb
        guard author.mayEver(verb, type: type) else { throw .denied("\(verb.rawValue) on \(type)") }
    }
}
