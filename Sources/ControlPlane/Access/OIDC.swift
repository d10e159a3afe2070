// Logins of people by an OpenID provider: authorization code with PKCE (RFC 6749, RFC 7636, OpenID Connect Core 1.0).
//
// 1. `begin` sends the browser to the provider with state, nonce and challenge   2. `finish` takes the code back, once,
// from the same browser   3. the code becomes an ID token   4. the token's signature and claims are checked
// 5. claims become roles

import AsyncHTTPClient
import FoundationEssentials
import JWTKit
import Model
import NIOCore
import NIOHTTP1
import Store

/// What an operator says about the provider.
public struct OIDCSettings: Sendable {
    /// As the provider's discovery document and tokens have it, without a slash at the end if they have none.
    public var issuer: String
    public var clientID: String
    /// Empty: a public client.
    public var clientSecret = ""
    /// This control plane as browsers reach it: `https://seaway.example.com`.
    public var publicURL: String
    /// The claim whose value, or values, decide the roles.
    public var roleClaim = "groups"
    /// From values of the claim to roles.
    public var roleMap: [String: String] = [:]
    /// What the button says.
    public var title = "Log in with your organisation"

    public init(issuer: String, clientID: String, publicURL: String) {
        self.issuer = issuer
        self.clientID = clientID
        self.publicURL = publicURL
    }

    /// What is wrong with them; nil: nothing.
    public var complaint: String? {
        for (flag, url) in [("--oidc-issuer", issuer), ("--public-url", publicURL)] {
            guard OIDCProvider.isSafe(url) else {
                return "\(flag) must be an https URL; http is for loopback addresses only"
            }
        }
        if clientID.isEmpty { return "--oidc-client-id is missing" }
        if roleMap.isEmpty { return "--oidc-role-map is missing: without it nobody may do anything" }
        return nil
    }
}

/// Why a login did not come about.
public struct OIDCError: Error, Sendable {
    public var message: String
    init(_ message: String) { self.message = message }
}

public final class OIDCProvider: Sendable {
    public let settings: OIDCSettings
    private let client: HTTPClient

    /// Of the browser that began a login.
    static let cookie = "seaway_oidc"
    /// How long a login may take, milliseconds.
    static let patience: Int64 = 600_000
    static let prefix = "oidc/"
    /// Bytes of any answer of the provider.
    private static let answerMax = 1 << 20

    public init(_ settings: OIDCSettings) {
        self.settings = settings
        var configuration = HTTPClient.Configuration()
        // A redirect could lead anywhere, and no part of the protocol needs one.
        configuration.redirectConfiguration = .disallow
        configuration.timeout = HTTPClient.Configuration.Timeout(connect: .seconds(5), read: .seconds(10))
        client = HTTPClient(eventLoopGroupProvider: .singleton, configuration: configuration)
    }

    public func shutdown() async { try? await client.shutdown() }

    /// https, or http to this machine.
    static func isSafe(_ url: String) -> Bool {
        guard let parsed = URL(string: url), let host = parsed.host(), !host.isEmpty else { return false }
        if parsed.scheme == "https" { return true }
        return parsed.scheme == "http" && ["127.0.0.1", "localhost", "::1", "[::1]"].contains(host)
    }

    // MARK: - Beginning

    struct Start {
        var location: String
        /// Binds the login to this browser.
        var cookie: String
    }

    private var redirect: String { settings.publicURL + "/v1/oidc/callback" }

    func begin(next: String, store: any Store, now: Int64) async throws -> Start {
        let provider = try await discover()
        let (state, nonce, verifier) = (Secrets.random(), Secrets.random(), Secrets.random())
        let pending = ConfigValue.object([
            "nonce": .string(nonce), "verifier": .string(verifier), "next": .string(Self.ownPath(next)),
            "created_at": .number(now),
        ])
        try await sweep(store, now)
        _ = try await store.replace(Self.prefix + Secrets.hash(state), expecting: nil, with: pending.json)
        let query = [
            ("response_type", "code"), ("client_id", settings.clientID), ("redirect_uri", redirect),
            ("scope", "openid profile email"), ("state", state), ("nonce", nonce),
            ("code_challenge", Secrets.base64URL(Secrets.sha256(verifier))), ("code_challenge_method", "S256"),
        ]
        let mark = provider.authorization.contains("?") ? "&" : "?"
        return Start(location: provider.authorization + mark + Self.form(query), cookie: state)
    }

    /// A path of this site; anything else is the UI's first page.
    static func ownPath(_ next: String) -> String {
        let isOwn =
            next.hasPrefix("/") && !next.hasPrefix("//") && !next.contains("\\") && next.utf8.count <= 2000
            && next.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F }
        return isOwn && (next == "/ui" || next.hasPrefix("/ui/") || next.hasPrefix("/ui?")) ? next : "/ui/"
    }

    /// Logins that were begun and never finished must not pile up.
    private func sweep(_ store: any Store, _ now: Int64) async throws {
        let names = try await store.names(Self.prefix)
        guard names.count >= 64 else { return }
        var left = names.count
        for name in names {
            guard let bytes = try await store.value(name) else { continue }
            let created = (try? ConfigValue(json: bytes))?["created_at"].int ?? 0
            guard now - Int64(created) >= Self.patience else { continue }
            if try await store.replace(name, expecting: bytes, with: nil) { left -= 1 }
        }
        guard left < 10_000 else { throw OIDCError("too many logins are under way; try again in ten minutes") }
    }

    // MARK: - Coming back

    struct Answer {
        var code, state, error, description, issuer, cookie: String?
    }

    struct Login {
        var actor: String
        var roles: [String]
        var next: String
    }

    func finish(_ answer: Answer, store: any Store, now: Int64) async throws -> Login {
        guard let state = answer.state, let cookie = answer.cookie, Secrets.hash(state) == Secrets.hash(cookie) else {
            throw OIDCError("it was not begun by this browser, or too long ago; log in again")
        }
        let name = Self.prefix + Secrets.hash(state)
        // Taken out before it is used: a second answer with the same state finds nothing.
        guard let bytes = try await store.value(name),
            try await store.replace(name, expecting: bytes, with: nil), let pending = try? ConfigValue(json: bytes),
            let nonce = pending["nonce"].string, let verifier = pending["verifier"].string,
            now - Int64(pending["created_at"].int ?? 0) < Self.patience
        else { throw OIDCError("it was finished already, or begun too long ago; log in again") }
        if let error = answer.error {
            let reason = (answer.description ?? error).filter { $0.isASCII && !$0.isNewline }.prefix(200)
            throw OIDCError("the provider refused: \(reason)")
        }
        if let issuer = answer.issuer, issuer != settings.issuer {
            throw OIDCError("the answer is from another provider")
        }
        guard let code = answer.code else { throw OIDCError("the provider sent no code") }
        let provider = try await discover()
        let token = try await exchange(code, verifier, provider)
        let claims = try await verify(token, nonce: nonce, provider, now: now)
        return Login(
            actor: "user:" + (try Self.name(claims)), roles: try roles(claims),
            next: Self.ownPath(pending["next"].string ?? ""))
    }

    /// A verified e-mail address, else the subject, which is unique at the provider.
    private static func name(_ claims: ConfigValue) throws(OIDCError) -> String {
        let isVerified = claims["email_verified"].bool ?? false
        let candidates = [isVerified ? claims["email"].string : nil, claims["sub"].string]
        for case let text? in candidates where !text.isEmpty && text.utf8.count <= 200 {
            if text.unicodeScalars.allSatisfy({ $0.value > 0x20 && $0.value != 0x7F }) { return text }
        }
        throw OIDCError("the ID token says not who it is about")
    }

    private func roles(_ claims: ConfigValue) throws(OIDCError) -> [String] {
        let claim = claims[settings.roleClaim]
        let values = claim.string.map { [$0] } ?? claim.strings
        let roles = Set(values.compactMap { settings.roleMap[$0] })
        guard !roles.isEmpty else {
            throw OIDCError("none of the person's \(settings.roleClaim) has a role here; see --oidc-role-map")
        }
        return roles.sorted()
    }

    // MARK: - The provider's endpoints

    private struct Endpoints {
        var authorization, token, keys: String
    }

    private func discover() async throws -> Endpoints {
        let issuer = settings.issuer
        let base = issuer.hasSuffix("/") ? String(issuer.dropLast()) : issuer
        let document = try await fetch(HTTPClientRequest(url: base + "/.well-known/openid-configuration"))
        guard document["issuer"].string == issuer else {
            throw OIDCError("the provider calls itself another issuer than --oidc-issuer")
        }
        func endpoint(_ name: String) throws(OIDCError) -> String {
            guard let url = document[name].string, Self.isSafe(url) else {
                throw OIDCError("the provider's \(name) is missing or no https URL")
            }
            return url
        }
        return Endpoints(
            authorization: try endpoint("authorization_endpoint"), token: try endpoint("token_endpoint"),
            keys: try endpoint("jwks_uri"))
    }

    private func exchange(_ code: String, _ verifier: String, _ provider: Endpoints) async throws -> String {
        var request = HTTPClientRequest(url: provider.token)
        request.method = .POST
        request.headers.add(name: "Content-Type", value: "application/x-www-form-urlencoded")
        var form = [
            ("grant_type", "authorization_code"), ("code", code), ("redirect_uri", redirect),
            ("code_verifier", verifier),
        ]
        if settings.clientSecret.isEmpty {
            form.append(("client_id", settings.clientID))
        } else {
            // RFC 6749 section 2.3.1: both halves are form-encoded first.
            let pair = Self.escaped(settings.clientID) + ":" + Self.escaped(settings.clientSecret)
            request.headers.add(name: "Authorization", value: "Basic " + Data(pair.utf8).base64EncodedString())
        }
        request.body = .bytes(Array(Self.form(form).utf8))
        let answer = try await fetch(request)
        guard let token = answer["id_token"].string else { throw OIDCError("the provider sent no ID token") }
        return token
    }

    private func fetch(_ request: HTTPClientRequest) async throws -> ConfigValue {
        var request = request
        request.headers.add(name: "Accept", value: "application/json")
        do {
            let response = try await client.execute(request, timeout: .seconds(10))
            let body = try await response.body.collect(upTo: Self.answerMax)
            guard response.status == .ok else {
                throw OIDCError("the provider answered with status \(response.status.code)")
            }
            return try ConfigValue(json: Array(body.readableBytesView))
        } catch let error as OIDCError {
            throw error
        } catch is JSONFault {
            throw OIDCError("the provider answered with something that is not JSON")
        } catch {
            throw OIDCError("the provider does not answer")
        }
    }

    // MARK: - The ID token

    /// The claims of a token that is genuine, fresh, for us and of this login (OpenID Connect Core section 3.1.3.7).
    private func verify(
        _ token: String, nonce: String, _ provider: Endpoints, now: Int64
    ) async throws -> ConfigValue {
        try await checkSignature(token, provider)
        let parts = token.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 3, let payload = Self.decoded(parts[1]), let claims = try? ConfigValue(json: payload)
        else {
            throw OIDCError("the ID token cannot be read")
        }
        guard claims["iss"].string == settings.issuer else { throw OIDCError("the ID token is of another issuer") }
        let audience = claims["aud"].string.map { [$0] } ?? claims["aud"].strings
        guard audience.contains(settings.clientID) else { throw OIDCError("the ID token is for somebody else") }
        if audience.count > 1 || !claims["azp"].isNull {
            guard claims["azp"].string == settings.clientID else {
                throw OIDCError("the ID token was given to somebody else")
            }
        }
        // Clocks differ a little.
        let (seconds, leeway) = (Double(now) / 1000, 60.0)
        guard let expires = claims["exp"].number, seconds < expires + leeway else {
            throw OIDCError("the ID token has expired")
        }
        guard let issued = claims["iat"].number, issued < seconds + leeway, issued > seconds - 3600 else {
            throw OIDCError("the ID token is not from now; compare the clocks")
        }
        if let notBefore = claims["nbf"].number, notBefore > seconds + leeway {
            throw OIDCError("the ID token is not valid yet; compare the clocks")
        }
        guard let said = claims["nonce"].string, Secrets.hash(said) == Secrets.hash(nonce) else {
            throw OIDCError("the ID token is of another login")
        }
        return claims
    }

    /// Signed with one of the provider's published keys, with a public-key algorithm.
    private func checkSignature(_ token: String, _ provider: Endpoints) async throws {
        guard let first = token.split(separator: ".", maxSplits: 1).first, let bytes = Self.decoded(first),
            let header = try? ConfigValue(json: bytes), let algorithm = header["alg"].string
        else { throw OIDCError("the ID token cannot be read") }
        // "none", and secrets that a public key could be mistaken for, are out before any key is looked at.
        let allowed = [
            "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA",
        ]
        guard allowed.contains(algorithm), header["crit"].isNull else {
            throw OIDCError("the ID token is signed with an algorithm that is not accepted")
        }
        let set = try await fetch(HTTPClientRequest(url: provider.keys))
        let wanted = header["kid"].string
        let family = algorithm == "EdDSA" ? "OKP" : algorithm.hasPrefix("ES") ? "EC" : "RSA"
        let keys = (set["keys"].array ?? []).prefix(100).filter { key in
            key["kty"].string == family && (key["use"].isNull || key["use"].string == "sig")
                && (key["alg"].isNull || key["alg"].string == algorithm)
                && (wanted == nil || key["kid"].string == wanted)
        }
        for key in keys {
            let named = key.setting("alg", .string(algorithm)).setting("kid", .string("it"))
            guard let jwk = try? JWK(json: String(decoding: named.json, as: UTF8.self)) else { continue }
            let collection = JWTKeyCollection()
            guard (try? await collection.add(jwk: jwk)) != nil else { continue }
            let parts = token.split(separator: ".", omittingEmptySubsequences: false)
            guard parts.count == 3 else { break }
            // The key's name is ours; only the signature is asked about here.
            if (try? await collection.verify(token, as: AnyClaims.self, iteratingKeys: true)) != nil { return }
        }
        throw OIDCError("the ID token's signature is not the provider's")
    }

    /// Claims are read from the verified bytes by our own reader.
    private struct AnyClaims: JWTPayload {
        func verify(using algorithm: some JWTAlgorithm) async throws {}
    }

    // MARK: - Encodings

    /// Base64url without padding; nil for anything else.
    private static func decoded(_ text: Substring) -> [UInt8]? {
        guard text.utf8.allSatisfy({ isPlain($0) && $0 != 0x2E && $0 != 0x7E }) else { return nil }
        var base64 = String(text).replacing("-", with: "+").replacing("_", with: "/")
        while base64.utf8.count % 4 != 0 { base64 += "=" }
        return Data(base64Encoded: base64).map { Array($0) }
    }

    static func form(_ pairs: [(String, String)]) -> String {
        pairs.map { "\(escaped($0.0))=\(escaped($0.1))" }.joined(separator: "&")
    }

    private static func isPlain(_ byte: UInt8) -> Bool {
        byte >= 0x30 && byte <= 0x39 || byte | 0x20 >= 0x61 && byte | 0x20 <= 0x7A
            || [0x2D, 0x2E, 0x5F, 0x7E].contains(byte)
    }

    private static func escaped(_ text: String) -> String {
        var out = ""
        for byte in text.utf8 {
            if isPlain(byte) {
                out.unicodeScalars.append(Unicode.Scalar(byte))
            } else {
                let digits = String(byte, radix: 16, uppercase: true)
                out += "%" + (digits.utf8.count == 1 ? "0" : "") + digits
            }
        }
        return out
    }
}
