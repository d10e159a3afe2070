// The Admin API as a Hummingbird router: who asks, what for, and the operation that answers.
//
// 1. `AccessMiddleware` knows the author   2. path and method find the operation   3. the author may do such a thing
// at all   4. the body is read   5. the operation runs   6. its answer, or its fault, is written

import Dialects
import HTTPTypes
public import Hummingbird
public import Model
import NIOCore
public import Store

/// Kong's Admin API over a workspace.
public struct AdminAPI: Sendable {
    /// What it needs to know about itself and its surroundings.
    public struct Options: Sendable {
        /// Bytes of a request's body.
        public var bodyLimit = 256 << 20
        /// Routes may be written as expressions.
        public var expressions = false
        /// What `{{ env }}` templates of a posted configuration read.
        public var environment: [String: String] = [:]
        /// Of this control plane; stable while it runs.
        public var nodeID: Identifier
        public var hostname: String

        public init(nodeID: Identifier, hostname: String) {
            self.nodeID = nodeID
            self.hostname = hostname
        }
    }

    let workspace: Workspace
    let store: any Store
    let authenticator: Authenticator
    let hosts: HostPolicy
    let gateways: @Sendable () async -> [GatewayRecord]
    let options: Options
    let clock: @Sendable () -> Int64
    let table = AdminRouteTable()
    /// The OpenAPI document.
    let document: [UInt8]

    /// - Parameters:
    ///   - hosts: the names that the listener answers to.
    ///   - gateways: those that have joined, with their newest reports.
    ///   - clock: Unix milliseconds.
    public init(
        workspace: Workspace, store: any Store, authenticator: Authenticator, hosts: HostPolicy,
        gateways: @escaping @Sendable () async -> [GatewayRecord], options: Options,
        clock: @escaping @Sendable () -> Int64 = { Clock.now() }
    ) {
        self.workspace = workspace
        self.store = store
        self.authenticator = authenticator
        self.hosts = hosts
        self.gateways = gateways
        self.options = options
        self.clock = clock
        document = AdminDocument(table).value.json
    }

    /// Answers every path: what is not in the table is 404, a method that is not is 405.
    public func router() -> Router<APIContext> {
        let router = Router(context: APIContext.self)
        router.add(middleware: SecurityHeaders())
        router.add(middleware: TraceMiddleware())
        router.add(
            middleware: AccessMiddleware(authenticator: authenticator, source: "admin-api", hosts: hosts) { error in
                AdminAnswer.message(error.status, error.message).response(isHead: false)
            })
        router.add(middleware: AdminMiddleware(api: self))
        return router
    }

    /// - Throws: when the author may not do it; `AccessMiddleware` keeps a record and answers.
    func respond(to request: Request, by author: Author) async throws(AccessError) -> Response {
        let isHead = request.method == .head
        do throws(AdminFault) {
            return try await answer(request, author).response(isHead: isHead)
        } catch {
            if let rule = error.rule { throw .denied(rule) }
            return error.answer.response(isHead: isHead)
        }
    }

    private func answer(_ request: Request, _ author: Author) async throws(AdminFault) -> AdminAnswer {
        let segments = AdminRequest.segments(request.uri.path)
        guard let (route, parameters) = table.match(segments) else { throw .notFound }
        if request.method == .options {
            var answer = AdminAnswer(.noContent)
            answer.headers[.allow] = route.allow
            return answer
        }
        let method = request.method == .head ? .get : request.method
        guard let operation = route.operations.first(where: { $0.method == method }) else {
            var answer = AdminAnswer.message(.methodNotAllowed, "Method not allowed")
            answer.headers[.allow] = route.allow
            return answer
        }
        try demand(operation.action, author)
        guard let query = AdminRequest.query(request.uri.query) else {
            throw AdminFault(.badRequest, "too many query parameters")
        }
        var asked = AdminRequest(
            author: author, parameters: parameters, segments: segments, query: query)
        asked.ifVersion = try Self.ifMatch(request.headers)
        if method == .post || method == .put || method == .patch {
            asked.body = try AdminBody.read(
                try await body(request), headers: request.headers, yaml: operation.action == .replaceConfig)
        }
        return try await perform(operation.action, asked)
    }

    /// Whether there is anything at all that the author could be allowed to do here; single entities are looked at
    /// when they are known.
    private func demand(_ action: AdminAction, _ author: Author) throws(AdminFault) {
        let need = action.need
        let mayDo =
            need.types.isEmpty
            ? !author.permissions.isEmpty : need.types.allSatisfy { author.mayEver(need.verb, type: $0) }
        guard mayDo else {
            let missing = need.types.first { !author.mayEver(need.verb, type: $0) } ?? "at least one type"
            throw .denied("\(need.verb.rawValue) on \(missing)")
        }
    }

    // MARK: Taking a request in

    private func body(_ request: Request) async throws(AdminFault) -> [UInt8] {
        do {
            let buffer = try await request.body.collect(upTo: options.bodyLimit)
            return Array(buffer.readableBytesView)
        } catch is NIOTooManyBytesError {
            throw AdminFault(
                .contentTooLarge, "the body is larger than \(options.bodyLimit >> 20) MB: split the configuration")
        } catch {
            throw AdminFault(.badRequest, "the body did not arrive whole")
        }
    }

    /// One version in quotes; `*` and nothing at all ask for none.
    private static func ifMatch(_ headers: HTTPFields) throws(AdminFault) -> UInt64? {
        guard let text = headers[.ifMatch], text != "*" else { return nil }
        guard text.hasPrefix("\""), text.hasSuffix("\""), let version = UInt64(text.dropFirst().dropLast()) else {
            throw AdminFault(.badRequest, "If-Match must be the ETag of one entity: \"12\"")
        }
        return version
    }
}

/// Stands in front of a router without routes, so that every request comes here.
struct AdminMiddleware: RouterMiddleware {
    typealias Context = APIContext

    let api: AdminAPI

    func handle(
        _ request: Request, context: APIContext, next: @concurrent (Request, APIContext) async throws -> Response
    ) async throws -> Response {
        try await api.respond(to: request, by: context.author)
    }
}

extension AdminAction {
    /// What an author must be allowed at least once; no types: anything.
    var need: (verb: Verb, types: [String]) {
        switch self {
        case .entity(let verb, let kind): (verb.need, [kind.rawValue])
        case .nested(let verb, let nesting): (verb.need, [nesting.child.rawValue])
        case .foreign(let verb, let nesting): (verb.need, [nesting.parent.rawValue])
        case .allTargets, .upstreamHealth: (.read, [EntityKind.targets.rawValue])
        case .targetHealth: (.update, [EntityKind.targets.rawValue])
        case .readConfig: (.read, EntityKind.allCases.map(\.rawValue))
        case .replaceConfig: (.update, EntityKind.allCases.map(\.rawValue))
        case .dataPlanes, .clusteringStatus: (.read, ["gateways"])
        case .node, .status, .ready, .endpoints, .tags, .tag, .enabledPlugins, .entitySchema, .pluginSchema,
            .validateEntity, .validatePlugin, .openAPI:
            (.read, [])
        }
    }
}

extension EntityVerb {
    /// PUT may create as well; which of the two it does is checked when that is known.
    var need: Verb {
        switch self {
        case .list, .get: .read
        case .create: .create
        case .replace, .update: .update
        case .delete: .delete
        }
    }
}
