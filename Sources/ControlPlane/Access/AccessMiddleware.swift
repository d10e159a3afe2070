// The door of both HTTP APIs: right host, same site, known author, and a record of everybody turned away.

public import HTTPTypes
public import Hummingbird
import Logging
import Store

/// Lets requests in.
///
/// 1. The Host must be one that this listener answers to, else a page could rebind its name to it.
/// 2. A request that a browser sends for a page must come from a page of this host.
/// 3. The author is identified, except on public paths.
/// 4. What was refused is in the audit log before it is answered; so is what an operation refuses later.
public struct AccessMiddleware: RouterMiddleware {
    public typealias Context = APIContext

    let authenticator: Authenticator
    let source: String
    let hosts: HostPolicy
    let isPublic: @Sendable (HTTPRequest.Method, String) -> Bool
    let isDenial: @Sendable (any Error) -> String?
    let render: @Sendable (AccessError) -> Response

    /// - Parameters:
    ///   - source: `admin-api` or `resource-api`.
    ///   - isPublic: whether a method and path need no author.
    ///   - isDenial: the missing right when an operation's error means one; for the audit log.
    ///   - render: the answer in the form of the API's errors; status and fields are set afterwards.
    public init(
        authenticator: Authenticator, source: String, hosts: HostPolicy,
        isPublic: @escaping @Sendable (HTTPRequest.Method, String) -> Bool = { _, _ in false },
        isDenial: @escaping @Sendable (any Error) -> String? = AccessMiddleware.denial,
        render: @escaping @Sendable (AccessError) -> Response
    ) {
        self.authenticator = authenticator
        self.source = source
        self.hosts = hosts
        self.isPublic = isPublic
        self.isDenial = isDenial
        self.render = render
    }

    public func handle(
        _ request: Request, context: APIContext, next: @concurrent (Request, APIContext) async throws -> Response
    ) async throws -> Response {
        var context = context
        do throws(AccessError) {
            try admit(request)
            if !isPublic(request.method, request.uri.path) {
                context.identity = try await authenticator.identify(
                    request.headers, address: context.address, source: source)
                try checkForgery(request, context.identity)
            }
        } catch {
            await record(request, context, error)
            return finish(render(error), error)
        }
        do {
            return try await next(request, context)
        } catch let error as AccessError {
            await record(request, context, error)
            return finish(render(error), error)
        } catch {
            if let rule = isDenial(error) { await record(request, context, .denied(rule)) }
            throw error
        }
    }

    /// The rule of a `ChangeError.denied`.
    public static func denial(_ error: any Error) -> String? {
        if case ChangeError.denied(let rule)? = error as? ChangeError { rule } else { nil }
    }

    /// Checks that need no author.
    private func admit(_ request: Request) throws(AccessError) {
        guard let authority = request.head.authority, hosts.allows(authority) else {
            throw .misdirected(host: String((request.head.authority ?? "").prefix(100)))
        }
        guard let origin = request.headers[.origin] else { return }
        let place = origin.split(separator: "/", omittingEmptySubsequences: true)
        guard place.count == 2, place[1].lowercased() == authority.lowercased() else {
            throw .crossOrigin(String(origin.prefix(100)))
        }
    }

    /// A cookie comes along whoever made the browser send the request; a header field of our own does not.
    private func checkForgery(_ request: Request, _ identity: Identity) throws(AccessError) {
        switch identity.credential {
        case .token: return
        case .session:
            if [.get, .head, .options].contains(request.method) { return }
            if let name = HTTPField.Name("x-seaway-request"), request.headers[name] == "1" { return }
            throw .crossOrigin("other sites; send X-Seaway-Request: 1 with the session cookie")
        case .none:
            // Without authentication, being a browser on this machine must not be enough.
            if let name = HTTPField.Name("sec-fetch-site"), let site = request.headers[name],
                !["same-origin", "none"].contains(site)
            {
                throw .crossOrigin("other sites")
            }
        }
    }

    private func record(_ request: Request, _ context: APIContext, _ error: AccessError) async {
        let isRead = [.get, .head, .options].contains(request.method)
        let record = AuditRecord(
            time: authenticator.clock(), actor: context.author.name, address: context.address,
            action: isRead ? "read" : request.method.rawValue.lowercased(),
            target: String(request.uri.path.prefix(500)), outcome: "denied", detail: error.message)
        do throws(StoreError) {
            try await authenticator.audit.record(record)
        } catch {
            context.logger.error(
                "a refused request could not be written to the audit log",
                metadata: ["path": "\(record.target)", "actor": "\(record.actor)", "error": "\(error.text)"])
        }
    }

    private func finish(_ response: Response, _ error: AccessError) -> Response {
        var response = response
        response.status = error.status
        for field in error.fields { response.headers[field.name] = field.value }
        return response
    }
}

/// Which names a listener answers to.
public enum HostPolicy: Sendable, Equatable {
    /// Any: for listeners that are reached by names which only the operator knows.
    case any
    /// Names of this machine itself, and these besides.
    case loopback([String])

    /// Whether a Host field's value, with or without port, is one of them.
    public func allows(_ authority: String) -> Bool {
        switch self {
        case .any: return !authority.isEmpty
        case .loopback(let names):
            let host = Self.host(authority)
            if ["localhost", "[::1]"].contains(host) || host.hasSuffix(".localhost") { return true }
            if names.contains(where: { $0.lowercased() == host }) { return true }
            let parts = host.split(separator: ".", omittingEmptySubsequences: false)
            return parts.count == 4 && parts[0] == "127" && parts.allSatisfy { UInt8($0) != nil }
        }
    }

    private static func host(_ authority: String) -> String {
        let lower = authority.lowercased()
        if lower.hasPrefix("["), let end = lower.firstIndex(of: "]") { return String(lower[...end]) }
        return String(lower.prefix { $0 != ":" })
    }
}

/// Header fields that keep browsers from doing more with an answer than was meant.
public struct SecurityHeaders: RouterMiddleware {
    public typealias Context = APIContext

    public init() {}

    public func handle(
        _ request: Request, context: APIContext, next: @concurrent (Request, APIContext) async throws -> Response
    ) async throws -> Response {
        var response = try await next(request, context)
        let fields = [
            ("x-content-type-options", "nosniff"), ("x-frame-options", "DENY"), ("referrer-policy", "no-referrer"),
            ("cross-origin-resource-policy", "same-origin"), ("cache-control", "no-store"),
            ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
        ]
        for (name, value) in fields {
            guard let name = HTTPField.Name(name), response.headers[name] == nil else { continue }
            response.headers[name] = value
        }
        return response
    }
}
