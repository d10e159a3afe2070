// The Admin API as a Hummingbird router: who asks, what for, and the operation that answers.
//
// 1. path and method find the operation   2. the author is authenticated   3. and may do such a thing at all
// 4. the body is read   5. the operation runs   6. its answer, or its fault, is written

import Dialects
public import HTTPTypes
public import Hummingbird
import Logging
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

    /// Who sends a request, by header fields and the client's address.
    public typealias Access = @Sendable (HTTPFields, _ address: String) async throws(AccessError) -> Author

    let workspace: Workspace
    let store: any Store
    let access: Access
    let gateways: @Sendable () async -> [GatewayRecord]
    let audit: @Sendable (AuditRecord) async -> Void
    let options: Options
    let clock: @Sendable () -> Int64
    let table = AdminRouteTable()
    private let logger = Logger(label: "seaway.admin")

    /// - Parameters:
    ///   - gateways: those that have joined, with their newest reports.
    ///   - audit: keeps a record of an attempt that was refused.
    ///   - clock: Unix milliseconds.
    public init(
        workspace: Workspace, store: any Store, access: @escaping Access,
        gateways: @escaping @Sendable () async -> [GatewayRecord],
        audit: @escaping @Sendable (AuditRecord) async -> Void, options: Options,
        clock: @escaping @Sendable () -> Int64 = { Clock.now() }
    ) {
        self.workspace = workspace
        self.store = store
        self.access = access
        self.gateways = gateways
        self.audit = audit
        self.options = options
        self.clock = clock
    }

    /// Answers every path: what is not in the table is 404, a method that is not is 405.
    public func router<Context: RequestContext & RemoteAddressRequestContext>(
        context: Context.Type
    ) -> Router<Context> {
        let router = Router(context: Context.self)
        router.add(middleware: AdminMiddleware<Context>(api: self))
        return router
    }

    func respond(to request: Request, address: String) async -> Response {
        let isHead = request.method == .head
        do throws(AdminFault) {
            return try await answer(request, address).response(isHead: isHead)
        } catch {
            return error.answer.response(isHead: isHead)
        }
    }

    private func answer(_ request: Request, _ address: String) async throws(AdminFault) -> AdminAnswer {
        let author = try await author(request, address)
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
        try await demand(operation.action, author, request)
        guard let query = AdminRequest.query(request.uri.query) else {
            throw AdminFault(.badRequest, "too many query parameters")
        }
        var asked = AdminRequest(
            author: author, method: method, parameters: parameters, segments: segments, query: query)
        asked.ifVersion = try Self.ifMatch(request.headers)
        if method == .post || method == .put || method == .patch {
            asked.body = try AdminBody.read(
                try await body(request), headers: request.headers, yaml: operation.action == .replaceConfig)
        }
        let answer: AdminAnswer
        do throws(AdminFault) {
            answer = try await perform(operation.action, asked)
        } catch {
            if error.answer.status == .forbidden { await refused(author, request, error.answer) }
            throw error
        }
        return answer
    }

    // MARK: Who asks

    private func author(_ request: Request, _ address: String) async throws(AdminFault) -> Author {
        do throws(AccessError) {
            return try await access(request.headers, address)
        } catch {
            var answer = AdminAnswer.message(error.status, error.message)
            for field in error.fields { answer.headers.append(field) }
            await refused(Author(name: "", address: address, source: "admin-api", permissions: []), request, answer)
            throw AdminFault(answer)
        }
    }

    /// Whether there is anything at all that the author could be allowed to do here; single entities are looked at
    /// when they are known.
    private func demand(_ action: AdminAction, _ author: Author, _ request: Request) async throws(AdminFault) {
        let need = action.need
        let mayDo =
            need.types.isEmpty
            ? !author.permissions.isEmpty : need.types.allSatisfy { author.mayEver(need.verb, type: $0) }
        guard !mayDo else { return }
        let answer = AdminAnswer.message(
            .forbidden,
            "you may not do this: it needs \(need.verb.rawValue) on \(need.types.first ?? "at least one type")")
        await refused(author, request, answer)
        throw AdminFault(answer)
    }

    private func refused(_ author: Author, _ request: Request, _ answer: AdminAnswer) async {
        let action = request.method == .get || request.method == .head ? "read" : request.method.rawValue.lowercased()
        let detail = answer.body.flatMap { try? ConfigValue(json: $0) }?["message"].string ?? ""
        await audit(
            AuditRecord(
                time: clock(), actor: author.name, address: author.address, action: action,
                target: String(request.uri.path.prefix(500)), outcome: "denied", detail: detail))
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
struct AdminMiddleware<Context: RequestContext & RemoteAddressRequestContext>: RouterMiddleware {
    let api: AdminAPI

    @concurrent func handle(
        _ request: Request, context: Context, next: @concurrent (Request, Context) async throws -> Response
    ) async throws -> Response {
        await api.respond(to: request, address: context.remoteAddress?.ipAddress ?? "")
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
