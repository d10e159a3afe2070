// Who sends a request: tokens and sessions become authors.
//
// 1. `identify` takes the one credential out of the header fields,
// 2. finds the token by its hash, or the session by its cookie,
// 3. turns roles into permissions, as they are now.
// 4. `current` asks the same again for streams that stay open.

import Authority
public import HTTPTypes
public import Model
public import Store
import Synchronization

/// Whose permissions a request has, and what they were proved with.
public struct Identity: Sendable {
    public enum Credential: Sendable, Equatable {
        case token(Identifier)
        /// The hash of the cookie.
        case session(String)
        /// Nothing: authentication is off.
        case none
    }

    public var author: Author
    public var credential: Credential
}

/// How strict the door is.
public struct AccessSettings: Sendable {
    /// Everybody is let in as `anonymous` with every permission. Only for listeners on loopback.
    public var isOpen = false
    /// Cookies are marked `Secure`: the listener speaks TLS, or something before it does.
    public var hasSecureCookies = false

    public init() {}
}

public final class Authenticator: Sendable {
    let store: any Store
    let settings: AccessSettings
    let audit: AuditLog
    /// Unix milliseconds.
    let clock: @Sendable () -> Int64
    /// The spec of the `roles` resource with a name.
    private let role: @Sendable (String) -> [UInt8]?
    private let state = Mutex(State())

    private struct State {
        var tokens: [String: TokenRecord] = [:]
        var byID: [Identifier: TokenRecord] = [:]
        var throttle = Throttle()
        /// When the use of a token was last noted.
        var noted: [Identifier: Int64] = [:]
    }

    public static let cookie = "seaway_session"

    /// - Parameters:
    ///   - role: the spec of the stored role with a name, for roles that are not built in.
    ///   - clock: Unix milliseconds.
    public init(
        store: any Store, audit: AuditLog, settings: AccessSettings = AccessSettings(),
        role: @escaping @Sendable (String) -> [UInt8]?, clock: @escaping @Sendable () -> Int64
    ) {
        self.store = store
        self.audit = audit
        self.settings = settings
        self.role = role
        self.clock = clock
    }

    // MARK: - Keeping up with the store

    /// Reads all tokens. Called once before the first request, and whenever they changed.
    public func reload() async throws(StoreError) {
        let tokens = try await store.tokens()
        state.withLock { state in
            state.tokens = [:]
            state.byID = [:]
            for token in tokens {
                state.tokens[token.hash] = token
                state.byID[token.id] = token
            }
        }
    }

    /// Follows the store until the task is cancelled, so that what was revoked anywhere is refused here.
    public func run() async {
        for await event in store.events() {
            switch event {
            case .tokensChanged, .resync:
                // The next event, or the next request to the store, tries again; nothing new is let in meanwhile.
                try? await reload()
            case .revision, .gatewayChanged: break
            }
        }
    }

    // MARK: - Requests

    /// The author of a request.
    /// - Parameters:
    ///   - address: the client's, without port.
    ///   - source: `admin-api` or `resource-api`; sessions are `ui`.
    public func author(
        of headers: HTTPFields, address: String, source: String
    ) async throws(AccessError) -> Author {
        try await identify(headers, address: address, source: source).author
    }

    public func identify(
        _ headers: HTTPFields, address: String, source: String
    ) async throws(AccessError) -> Identity {
        if settings.isOpen {
            let everything = Author(name: "anonymous", address: address, source: source, permissions: [Permission()])
            return Identity(author: everything, credential: .none)
        }
        let secret = try Self.token(headers)
        let cookie = Self.cookie(Self.cookie, in: headers)
        if let secret {
            let token = try admit(secret, address: address)
            await noteUse(of: token)
            let author = Author(
                name: "token:" + token.name, address: address, source: source,
                permissions: permissions(of: token.roles))
            return Identity(author: author, credential: .token(token.id))
        }
        if let cookie { return try await session(cookie, address: address) }
        throw .unauthenticated("a token is missing: send Authorization: Bearer TOKEN")
    }

    /// Who the identity is now: nil once its token was revoked, expired, or its session ended.
    public func current(_ identity: Identity) async -> Author? {
        var author = identity.author
        switch identity.credential {
        case .none: return author
        case .token(let id):
            guard let token = token(id), isUsable(token) == nil else { return nil }
            author.permissions = permissions(of: token.roles)
            return author
        case .session(let hash):
            guard let found = try? await session(hash: hash) else { return nil }
            author.permissions = permissions(of: found.roles)
            return author
        }
    }

    // MARK: - Tokens

    /// The usable token with this secret; counts the guess when there is none.
    func admit(_ secret: String, address: String) throws(AccessError) -> TokenRecord {
        let now = clock()
        // What has not the form of a token is a guess like any other.
        let hash = TokenSecret(secret)?.hash ?? ""
        let (wait, found): (Int?, TokenRecord?) = state.withLock { state in
            if let token = state.tokens[hash], TokenSecret.areEqual(token.hash, hash) { return (nil, token) }
            if let wait = state.throttle.wait(address, now: now) { return (wait, nil) }
            state.throttle.failed(address, now: now)
            return (nil, nil)
        }
        if let wait { throw .throttled(seconds: wait) }
        guard let found else { throw .unauthenticated("this token is not known here") }
        if let reason = isUsable(found) { throw .unauthenticated(reason) }
        if found.roles == [Roles.gateway] {
            throw .denied("another role than \"gateway\": this token is for gateways that join")
        }
        return found
    }

    /// Why a token may not be used now; nil: it may.
    private func isUsable(_ token: TokenRecord) -> String? {
        if token.revokedAt != 0 { return "the token \"\(token.name)\" was revoked" }
        if token.expiresAt != 0, clock() >= token.expiresAt { return "the token \"\(token.name)\" has expired" }
        return nil
    }

    func token(_ id: Identifier) -> TokenRecord? { state.withLock { $0.byID[id] } }

    /// All tokens that the store had when it was last read.
    func allTokens() -> [TokenRecord] { state.withLock { Array($0.byID.values) } }

    func permissions(of roles: [String]) -> [Permission] {
        roles.flatMap { Roles.permissions(of: $0, stored: role) ?? [] }
    }

    /// Whether there is such a role, built in or stored.
    func isRole(_ name: String) -> Bool { Roles.builtIn[name] != nil || role(name) != nil }

    /// Writes when a token was used, at most once a minute. Best effort: a failure costs nobody a request.
    private func noteUse(of token: TokenRecord) async {
        let now = clock()
        let isDue = state.withLock { state in
            guard now - max(state.noted[token.id] ?? 0, token.usedAt) >= 60_000 else { return false }
            state.noted[token.id] = now
            return true
        }
        guard isDue else { return }
        var used = token
        used.usedAt = now
        try? await store.update(used)
    }

    // MARK: - Sessions

    /// The session of a cookie.
    private func session(_ cookie: String, address: String) async throws(AccessError) -> Identity {
        let hash = Secrets.hash(cookie)
        let found = try await session(hash: hash)
        let author = Author(
            name: found.actor, address: address, source: "ui", permissions: permissions(of: found.roles))
        return Identity(author: author, credential: .session(hash))
    }

    /// A living session, with the roles that it has now.
    private func session(hash: String) async throws(AccessError) -> Session {
        let name = Session.prefix + hash
        let now = clock()
        let bytes: [UInt8]?
        do throws(StoreError) {
            bytes = try await store.value(name)
        } catch {
            throw .unavailable(error.text)
        }
        guard let bytes, var session = Session(bytes), !session.isOver(now) else {
            throw .unauthenticated("the session has ended: log in again")
        }
        if let id = session.token {
            guard let token = token(id), isUsable(token) == nil else {
                throw .unauthenticated("the token of this session was revoked or has expired: log in with another")
            }
            session.roles = token.roles
        }
        if now - session.usedAt >= Session.noted {
            session.usedAt = now
            let noted = session
            // Somebody else's note, or a logout, may come first; both are right.
            _ = try? await store.replace(name, expecting: bytes, with: noted.bytes)
        }
        return session
    }

    /// Opens a session.
    /// - Returns: the value for the `Set-Cookie` field.
    func open(_ session: Session) async throws(StoreError) -> String {
        let secret = Secrets.random()
        _ = try await store.replace(Session.prefix + Secrets.hash(secret), expecting: nil, with: session.bytes)
        return setCookie(Self.cookie, secret, seconds: Session.lifetime / 1000, sameSite: "Strict")
    }

    /// Ends a session; whether there was one.
    func close(session hash: String) async throws(StoreError) -> Bool {
        let name = Session.prefix + hash
        // A note of its use may be written in between: try again then.
        for _ in 0..<5 {
            guard let bytes = try await store.value(name) else { return false }
            if try await store.replace(name, expecting: bytes, with: nil) { return true }
        }
        throw .unavailable("the session is changed again and again")
    }

    /// Removes sessions that have ended, and logins that were never finished. Called now and then.
    public func sweep() async throws(StoreError) {
        let now = clock()
        for name in try await store.names(Session.prefix) {
            guard let bytes = try await store.value(name) else { continue }
            if let session = Session(bytes), !session.isOver(now) { continue }
            _ = try await store.replace(name, expecting: bytes, with: nil)
        }
    }

    // MARK: - Header fields

    func setCookie(_ name: String, _ value: String, seconds: Int64, sameSite: String, path: String = "/") -> String {
        "\(name)=\(value); Path=\(path); Max-Age=\(seconds); HttpOnly; SameSite=\(sameSite)"
            + (settings.hasSecureCookies ? "; Secure" : "")
    }

    /// The token that a request carries, in either of the two fields; two different ones are refused.
    static func token(_ headers: HTTPFields) throws(AccessError) -> String? {
        var found: [String] = []
        for value in headers[values: .authorization] {
            let parts = value.split(separator: " ", omittingEmptySubsequences: true)
            guard parts.count == 2, parts[0].lowercased() == "bearer" else {
                throw .unauthenticated("the Authorization field must be: Bearer TOKEN")
            }
            found.append(String(parts[1]))
        }
        if let name = HTTPField.Name("kong-admin-token") { found += headers[values: name] }
        guard let first = found.first else { return nil }
        guard found.allSatisfy({ $0 == first }) else {
            throw .unauthenticated("the request carries two different tokens: send one")
        }
        return first
    }

    /// The value of a cookie (RFC 6265 section 5.4); nil when there is none, or several that differ.
    static func cookie(_ name: String, in headers: HTTPFields) -> String? {
        var values: Set<String> = []
        for field in headers[values: .cookie] {
            for pair in field.split(separator: ";") {
                let trimmed = pair.drop { $0 == " " }
                guard trimmed.hasPrefix(name + "=") else { continue }
                values.insert(String(trimmed.dropFirst(name.count + 1)))
            }
        }
        return values.count == 1 ? values.first : nil
    }
}

extension StoreError {
    /// For a person.
    var text: String {
        switch self {
        case .conflict(let head): "somebody else committed revision \(head) first"
        case .notFound: "there is no such record"
        case .duplicate(let what): "\(what) is taken"
        case .unavailable(let reason), .failed(let reason): reason
        }
    }
}
