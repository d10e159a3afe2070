// Errors of the Resource API: RFC 9457, with findings that point at fields and lines.

import HTTPTypes
import Hummingbird
import Logging
import Model
import NIOCore
import Store

/// An answer that says what is wrong and what to do instead.
struct Problem: Error {
    var status: HTTPResponse.Status
    /// Last part of the type's URN; stable.
    var kind: String
    var detail: String
    var findings: [Diagnostic] = []
    var fields = HTTPFields()

    init(
        _ status: HTTPResponse.Status, _ kind: String, _ detail: String, findings: [Diagnostic] = [],
        fields: HTTPFields = HTTPFields()
    ) {
        self.status = status
        self.kind = kind
        self.detail = detail
        self.findings = findings
        self.fields = fields
    }

    static func malformed(_ detail: String) -> Problem { Problem(.badRequest, "malformed", detail) }
    static func notFound(_ detail: String) -> Problem { Problem(.notFound, "not-found", detail) }

    var response: Response {
        let value = ConfigValue.object([
            "type": .string("urn:seaway:problem:\(kind)"), "title": .string(status.reasonPhrase),
            "status": .int(Int(status.code)), "detail": .string(detail),
            "findings": .array(findings.map(ResourceShape.value)),
        ])
        var headers = fields
        headers[.contentType] = "application/problem+json"
        return Response(
            status: status, headers: headers, body: ResponseBody(byteBuffer: ByteBuffer(bytes: value.json)))
    }
}

extension Problem {
    init(_ error: AccessError) {
        let kind =
            switch error {
            case .unauthenticated: "unauthenticated"
            case .denied: "denied"
            case .throttled: "throttled"
            case .misdirected: "misdirected"
            case .crossOrigin: "cross-origin"
            case .unavailable: "unavailable"
            }
        self.init(error.status, kind, error.message, fields: error.fields)
    }

    init(_ error: ChangeError) {
        switch error {
        case .notFound(let type, let name): self = .notFound("there is no \(name.prefix(200)) among the \(type)")
        case .invalid(let findings):
            let count = findings.count { $0.severity == .error }
            self.init(
                .unprocessableContent, "invalid",
                count == 1 ? findings.first { $0.severity == .error }?.message ?? "" : "\(count) mistakes",
                findings: findings)
        case .notUnique(let type, let field, let value):
            self.init(.conflict, "not-unique", "another of the \(type) has \(field) \"\(value.prefix(200))\" already")
        case .unresolved(let type, let field, let id):
            self.init(
                .unprocessableContent, "unresolved", "\(field) of one of the \(type) leads nowhere: there is no \(id)")
        case .referenced(let type, let by):
            self.init(.conflict, "referenced", "some of the \(by) refer to it; delete them before the \(type)")
        case .preconditionFailed(let version):
            self.init(
                .preconditionFailed, "precondition-failed",
                version == 0
                    ? "it does not exist" : "it was changed meanwhile: its version is \(version); read it again")
        case .denied(let rule): self.init(AccessError.denied(rule))
        case .contention:
            self.init(.conflict, "contention", "others changed the configuration again and again; try again")
        case .store(let error): self.init(error)
        }
    }

    init(_ error: StoreError) {
        switch error {
        case .notFound: self = .notFound(error.text)
        case .duplicate, .conflict: self.init(.conflict, "not-unique", error.text)
        case .unavailable:
            self.init(.serviceUnavailable, "store-unavailable", error.text, fields: [.retryAfter: "1"])
        case .failed: self.init(.internalServerError, "store-failed", error.text)
        }
    }

    /// What any error of an operation comes to; nil: nothing that a client should be told about.
    static func of(_ error: any Error) -> Problem? {
        switch error {
        case let problem as Problem: problem
        case let error as ChangeError: Problem(error)
        case let error as AccessError: Problem(error)
        case let error as StoreError: Problem(error)
        case let error as JSONFault:
            .malformed("the body is no JSON: line \(error.line), column \(error.column): \(error.message)")
        case let error as HTTPError where error.status == .notFound: .notFound("there is nothing at this path")
        case let error as HTTPError:
            Problem(error.status, "refused", error.body ?? error.status.reasonPhrase)
        default: nil
        }
    }
}

/// Turns what operations throw into problems.
struct ProblemMiddleware: RouterMiddleware {
    typealias Context = APIContext

    func handle(
        _ request: Request, context: APIContext, next: @concurrent (Request, APIContext) async throws -> Response
    ) async throws -> Response {
        do {
            return try await next(request, context)
        } catch {
            if let problem = Problem.of(error) { return problem.response }
            context.logger.error("a request failed", metadata: ["path": "\(request.uri.path)", "error": "\(error)"])
            return Problem(.internalServerError, "internal", "this is a mistake in Seaway; its log says more").response
        }
    }
}
