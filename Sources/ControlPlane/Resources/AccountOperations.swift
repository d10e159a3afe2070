// Tokens, sessions, who one is, and the audit log.

import Authority
import FoundationEssentials
import HTTPTypes
import Hummingbird
import Model
import NIOCore
import Store

extension ResourceAPI {
    static let accountOperations: [Operation] = [
        Operation(
            method: .get, path: "/v1/whoami", name: "whoami", summary: "Read who one is and what one may do.",
            right: .somebody, answers: [.init(status: 200, schema: "Author", meaning: "The author.")],
            run: { .json($0.whoami($1)) }),
        Operation(
            method: .get, path: "/v1/tokens", name: "listTokens", summary: "List tokens. Their secrets are nowhere.",
            right: .ever(.administer, "tokens"),
            answers: [.init(status: 200, schema: "TokenList", meaning: "All tokens, newest first.")],
            run: { api, _ in
                let tokens = try await api.store.tokens().sorted { ($0.createdAt, $0.id) > ($1.createdAt, $1.id) }
                return .json(.object(["items": .array(tokens.map(api.value))]))
            }),
        Operation(
            method: .post, path: "/v1/tokens", name: "createToken",
            summary: "Make a token. The answer is the only place where its text is ever shown.",
            right: .ever(.administer, "tokens"), body: "TokenInput",
            answers: [.init(status: 201, schema: "NewToken", meaning: "The token with its text.")],
            run: { try await $0.createToken($1) }),
        Operation(
            method: .delete, path: "/v1/tokens/{name}", name: "revokeToken",
            summary: "Revoke a token by name or id, at once; open streams end within a second.",
            right: .ever(.administer, "tokens"),
            answers: [.init(status: 204, schema: "", meaning: "It is revoked.")],
            run: { try await $0.revokeToken($1) }),
        Operation(
            method: .get, path: "/v1/audit", name: "readAudit",
            summary: "Query the audit log: every change, every login, every refused attempt; newest first.",
            right: .ever(.administer, "audit"),
            query: [
                .init("actor", .text, "Such as token:ci."), .init("action", .text, "Such as update or login."),
                .init("outcome", .oneOf(["allowed", "denied", "failed"]), "How it went."),
                .init("target", .text, "How the target begins: services/ or tokens/ci."),
                .init("since", .text, "From this moment on: RFC 3339, or Unix milliseconds."),
                .init("until", .text, "Up to this moment."),
                .init("before", .number(0...Int.max), "Only smaller numbers: `next` of the page before."),
                .init("limit", .number(1...1000), "At most so many; 100 if it is left out."),
            ],
            answers: [.init(status: 200, schema: "AuditList", meaning: "A page.")],
            run: { try await $0.audit($1) }),
        Operation(
            method: .get, path: "/v1/session", name: "readSession", summary: "Read which ways to log in there are.",
            right: .anybody, answers: [.init(status: 200, schema: "LoginWays", meaning: "The ways.")],
            run: { api, _ in
                .json(
                    .object([
                        "token": .bool(true),
                        "oidc": api.environment.provider.map { .object(["name": .string($0.settings.title)]) } ?? .null,
                    ]))
            }),
        Operation(
            method: .post, path: "/v1/session", name: "login", summary: "Log in with a token: sets a cookie.",
            right: .anybody, body: "LoginInput",
            answers: [.init(status: 200, schema: "Author", meaning: "Logged in.")],
            run: { try await $0.login($1) }),
        Operation(
            method: .delete, path: "/v1/session", name: "logout", summary: "End the session.", right: .somebody,
            answers: [.init(status: 204, schema: "", meaning: "Logged out.")],
            run: { try await $0.logout($1) }),
        Operation(
            method: .get, path: "/v1/oidc/login", name: "oidcLogin",
            summary: "Go to the OpenID provider to log in.", right: .anybody,
            query: [.init("next", .text, "Path of the page to come back to.")],
            answers: [.init(status: 303, schema: "", meaning: "To the provider.")],
            run: { try await $0.oidcLogin($1) }),
        Operation(
            method: .get, path: "/v1/oidc/callback", name: "oidcCallback",
            summary: "Come back from the OpenID provider.", right: .anybody,
            query: [
                .init("code", .text, "The authorization code."), .init("state", .text, "What the login began with."),
                .init("error", .text, "Why the provider refused."),
                .init("error_description", .text, "The same for people."),
                .init("error_uri", .text, "Where to read on."),
                .init("iss", .text, "The issuer (RFC 9207)."), .init("session_state", .text, "Not used."),
                .init("scope", .text, "Not used."),
            ],
            answers: [.init(status: 200, schema: "Text", meaning: "A page that leads on.", mediaType: "text/html")],
            run: { try await $0.oidcCallback($1) }),
    ]

    // MARK: - Oneself

    private func whoami(_ call: Call) -> ConfigValue { Self.value(call.author) }

    static func value(_ author: Author) -> ConfigValue {
        let rules = author.permissions.map { permission in
            ConfigValue.object([
                "verbs": .array(
                    (permission.verbs.isEmpty ? Set(Verb.allCases) : permission.verbs).map(\.rawValue).sorted()
                        .map { .string($0) }),
                "types": .array(
                    (permission.types.isEmpty ? Set(AccessTypes.all) : permission.types).sorted()
                        .map { .string($0) }),
                "labels": .map(permission.labels),
            ])
        }
        return .object([
            "name": .string(author.name), "source": .string(author.source), "rules": .array(rules),
        ])
    }

    // MARK: - Tokens

    private func value(_ token: TokenRecord) -> ConfigValue {
        let now = authenticator.clock()
        let isExpired = token.expiresAt != 0 && token.expiresAt <= now
        return .object([
            "id": .string(token.id.description), "name": .string(token.name),
            "roles": .array(token.roles.map { .string($0) }), "labels": .map(token.labels),
            "state": .string(token.revokedAt != 0 ? "revoked" : isExpired ? "expired" : "active"),
            "createdAt": .moment(token.createdAt), "createdBy": .string(token.createdBy),
            "expiresAt": .moment(token.expiresAt), "usedAt": .moment(token.usedAt),
            "revokedAt": .moment(token.revokedAt),
        ])
    }

    private func createToken(_ call: Call) async throws -> Response {
        let input = try await call.record(["name", "roles", "labels", "expiresIn"])
        let wanted = try TokenInput(input, isRole: authenticator.isRole)
        let now = authenticator.clock()
        let secret = TokenSecret.make()
        let record = TokenRecord(
            id: Identifier.random(), name: wanted.name, hash: secret.hash, roles: wanted.roles,
            labels: wanted.labels, createdAt: now, expiresAt: wanted.seconds.map { now + Int64($0) * 1000 } ?? 0,
            createdBy: call.author.name)
        var text = secret.text
        if wanted.roles == [Roles.gateway] {
            guard let join = environment.joinToken?(secret.text) else {
                throw Problem(.conflict, "no-stream", "gateways cannot join this control plane: it has no stream")
            }
            text = join
        }
        // First the trail, then the deed: what cannot be recorded does not happen.
        try await note(call, "token.create", "tokens/\(record.name)", "roles: \(record.roles.joined(separator: ", "))")
        do throws(StoreError) {
            try await store.add(record)
        } catch {
            if case .duplicate = error {
                throw Problem(
                    .conflict, "not-unique",
                    "there is a token for \"\(record.name)\" already; revoke it first or choose another name")
            }
            throw error
        }
        try await authenticator.reload()
        return .json(value(record).setting("token", .string(text)), status: .created)
    }

    private func revokeToken(_ call: Call) async throws -> Response {
        let name = try call.part("name")
        let tokens = try await store.tokens()
        let found =
            Identifier(name).flatMap { id in tokens.first { $0.id == id } }
            ?? tokens.first { $0.name == name && $0.revokedAt == 0 }
        guard var token = found else { throw Problem.notFound("there is no token \(name.prefix(200))") }
        guard token.revokedAt == 0 else { return Response(status: .noContent) }
        try await note(call, "token.revoke", "tokens/\(token.name)", "")
        token.revokedAt = authenticator.clock()
        try await store.update(token)
        try await authenticator.reload()
        return Response(status: .noContent)
    }

    private func note(
        _ call: Call, _ action: String, _ target: String, _ detail: String, outcome: String = "allowed",
        actor: String? = nil
    ) async throws(StoreError) {
        try await authenticator.audit.record(
            AuditRecord(
                time: authenticator.clock(), actor: actor ?? call.author.name, address: call.context.address,
                action: action, target: target, outcome: outcome, detail: detail))
    }

    // MARK: - Audit

    private func audit(_ call: Call) async throws -> Response {
        var query = AuditQuery()
        query.actor = call.text("actor")
        query.action = call.text("action")
        query.outcome = call.text("outcome")
        query.target = call.text("target")
        query.since = try Self.moment(call, "since")
        query.until = try Self.moment(call, "until")
        query.before = call.number("before").map { UInt64($0) }
        query.limit = call.number("limit") ?? 100
        let records = try await store.audit(query)
        let items = records.map { record in
            ConfigValue.object([
                "number": .number(record.number), "time": .moment(record.time), "actor": .string(record.actor),
                "address": .string(record.address), "action": .string(record.action),
                "target": .string(record.target), "outcome": .string(record.outcome),
                "detail": .string(record.detail),
                "revision": record.revision == 0 ? .null : .number(record.revision),
            ])
        }
        let next = records.count == query.limit ? records.last?.number : nil
        return .json(.object(["items": .array(items), "next": next.map { .number($0) } ?? .null]))
    }

    private static func moment(_ call: Call, _ name: String) throws(Problem) -> Int64? {
        guard let text = call.text(name) else { return nil }
        if let milliseconds = Int64(text), milliseconds >= 0 { return milliseconds }
        for fraction in [true, false] {
            let style = Date.ISO8601FormatStyle(includingFractionalSeconds: fraction)
            if let date = try? style.parse(text) {
                return Int64((date.timeIntervalSince1970 * 1000).rounded())
            }
        }
        throw .malformed("\(name): expected a moment such as 2026-01-31T12:00:00Z, or Unix milliseconds")
    }

    // MARK: - Sessions

    private func login(_ call: Call) async throws -> Response {
        let input = try await call.record(["token"])
        guard let text = input["token"].string else { throw Problem.malformed("token: expected a string") }
        // Thrown errors are recorded by the middleware.
        let token = try authenticator.admit(text, address: call.context.address)
        let actor = "token:" + token.name
        try await note(call, "login", "session", "with a token", actor: actor)
        let session = Session(token: token.id, actor: actor, roles: token.roles, now: authenticator.clock())
        let cookie = try await authenticator.open(session)
        let author = Author(
            name: actor, address: call.context.address, source: "ui",
            permissions: authenticator.permissions(of: token.roles))
        var response = Response.json(Self.value(author))
        response.headers[.setCookie] = cookie
        return response
    }

    private func logout(_ call: Call) async throws -> Response {
        if case .session(let hash) = call.context.identity.credential {
            if try await authenticator.close(session: hash) { try await note(call, "logout", "session", "") }
        }
        return Response(
            status: .noContent,
            headers: [
                .setCookie: authenticator.setCookie(Authenticator.cookie, "", seconds: 0, sameSite: "Strict")
            ])
    }

    // MARK: - OpenID Connect

    private func provider() throws -> OIDCProvider {
        guard let provider = environment.provider else {
            throw Problem.notFound("no OpenID provider is configured; log in with a token")
        }
        return provider
    }

    private func oidcLogin(_ call: Call) async throws -> Response {
        let start = try await provider().begin(
            next: call.text("next") ?? "", store: store, now: authenticator.clock())
        var response = Response(status: .seeOther, headers: [.location: start.location])
        // Lax: the way back is a navigation from the provider's site.
        response.headers[.setCookie] = authenticator.setCookie(
            OIDCProvider.cookie, start.cookie, seconds: OIDCProvider.patience / 1000, sameSite: "Lax",
            path: "/v1/oidc/")
        return response
    }

    private func oidcCallback(_ call: Call) async throws -> Response {
        let provider = try provider()
        let answer = OIDCProvider.Answer(
            code: call.text("code"), state: call.text("state"), error: call.text("error"),
            description: call.text("error_description"), issuer: call.text("iss"),
            cookie: Authenticator.cookie(OIDCProvider.cookie, in: call.request.headers))
        let login: OIDCProvider.Login
        do {
            login = try await provider.finish(answer, store: store, now: authenticator.clock())
        } catch let error as OIDCError {
            // The middleware records it; the page says no more than a stranger may know.
            throw AccessError.unauthenticated("the login failed: \(error.message)")
        }
        try await note(
            call, "login", "session", "by \(provider.settings.issuer), roles: \(login.roles.joined(separator: ", "))",
            actor: login.actor)
        let session = Session(token: nil, actor: login.actor, roles: login.roles, now: authenticator.clock())
        // A page and no redirect: a Strict cookie does not go along with a chain that another site began.
        var response = Response.text(Self.landing(login.next), type: "text/html; charset=utf-8")
        response.headers[.setCookie] = try await authenticator.open(session)
        return response
    }

    private static func landing(_ path: String) -> String {
        let target = path.replacing("&", with: "&amp;").replacing("\"", with: "&quot;").replacing("<", with: "&lt;")
        return """
            <!doctype html><html lang="en"><head><meta charset="utf-8"><title>Seaway</title>\
            <meta http-equiv="refresh" content="0;url=\(target)"></head>\
            <body><a href="\(target)">Logged in. Go on.</a></body></html>
            """
    }
}

/// What somebody asks of a new token.
struct TokenInput {
    var name = ""
    var roles: [String] = []
    var labels: [String: String] = [:]
    /// Nil: it never expires.
    var seconds: Int?

    init(_ input: ConfigValue, isRole: (String) -> Bool) throws(ChangeError) {
        var problems = SpecProblems()
        name = input["name"].string ?? ""
        let isPlain = name.unicodeScalars.allSatisfy { $0.value > 0x20 && $0.value != 0x7F && $0 != "/" }
        if !(1...128).contains(name.utf8.count) || !isPlain {
            problems.add("name", "a token needs a name of 1 to 128 bytes without spaces and /", "write name: ci")
        }
        if Identifier(name) != nil {
            problems.add("name", "a name that looks like an id is confusing", "choose another")
        }
        roles = input["roles"].strings
        if roles.isEmpty || roles.count != input["roles"].array?.count {
            problems.add("roles", "expected an array of at least one role", "write [\"viewer\"]")
        }
        for (index, role) in roles.enumerated() where !isRole(role) {
            problems.addUnknown(role, "role", at: "roles[\(index + 1)]", known: Roles.builtIn.keys.sorted())
        }
        if roles.contains(Roles.gateway), roles.count > 1 {
            problems.add("roles", "a token that gateways join with has that role only", "make two tokens")
        }
        for entry in input["labels"].entries ?? [] {
            guard let value = entry.value.string, !entry.key.isEmpty else {
                problems.add("labels.\(entry.key)", "expected a string", "write {\"zone\": \"eu\"}")
                continue
            }
            labels[entry.key] = value
        }
        if input["labels"].entries == nil, !input["labels"].isNull {
            problems.add("labels", "expected a map of strings", "write {\"zone\": \"eu\"}")
        }
        if !labels.isEmpty, roles != [Roles.gateway] {
            problems.add("labels", "only tokens with the role gateway have labels", "leave labels out")
        }
        if !input["expiresIn"].isNull {
            seconds = input["expiresIn"].int
            if seconds.map({ (1...3_153_600_000).contains($0) }) != true {
                problems.add("expiresIn", "expected seconds, from 1 to 100 years", "leave it out for: never")
            }
        }
        guard problems.list.isEmpty else { throw .invalid(problems.findings("the token")) }
    }
}
