// Who is let in: join tokens against certificates, certificates against new ones, certificates to streams.

internal import Authority
internal import Foundation
internal import GRPCCore
internal import GRPCNIOTransportHTTP2Posix
internal import Logging
internal import Model
internal import Snapshot
internal import Store
internal import Synchronization

/// Decides about every call of a gateway. Refusals go to the audit log.
final class Admission: Sendable {
    private let authority: Authority
    private let store: any Store
    private let ledger: GatewayLedger
    private let options: StreamOptions
    private let clock: @Sendable () -> Int64
    private let limiter: Mutex<AttemptLimiter>
    private let logger = Logger(label: "seaway.stream")

    /// Bytes of a gateway's name; bytes and number of its labels.
    private static let nameMax = 100
    private static let labelMax = 200
    private static let labelsMax = 32

    init(
        authority: Authority, store: any Store, ledger: GatewayLedger, options: StreamOptions,
        clock: @escaping @Sendable () -> Int64
    ) {
        self.authority = authority
        self.store = store
        self.ledger = ledger
        self.options = options
        self.clock = clock
        limiter = Mutex(AttemptLimiter(perMinute: options.failedJoinsPerMinute))
    }

    private var now: Int { Int(clock() / 1000) }

    // MARK: Join

    func join(_ request: JoinRequest, from address: String) async throws -> Credentials {
        guard limiter.withLock({ $0.allows(address, now: now) }) else {
            throw RPCError(code: .resourceExhausted, message: "too many failed attempts to join; try again in a minute")
        }
        do {
            let token = try await token(request.token)
            return try await admit(request, token, address)
        } catch let refusal as Refusal {
            limiter.withLock { $0.failed(address, now: now) }
            await audit(
                "gateway.join", target: "gateways/\(Self.printable(request.name))", actor: refusal.actor, address,
                outcome: "denied", detail: refusal.reason)
            throw RPCError(code: refusal.code, message: refusal.reason)
        } catch let error as StoreError {
            throw Self.unavailable(error)
        }
    }

    /// A valid join token's record.
    private func token(_ text: String) async throws -> TokenRecord {
        let refusal = Refusal(
            .unauthenticated, "unknown",
            "the join token is not known, expired or revoked; make one with `seaway token create --role gateway`")
        let prefixed = text.hasPrefix("sw_") ? text : "sw_" + text
        guard let secret = TokenSecret(prefixed) else { throw refusal }
        let hash = secret.hash
        guard let token = try await store.tokens().first(where: { TokenSecret.areEqual($0.hash, hash) }),
            token.revokedAt == 0, token.expiresAt == 0 || token.expiresAt > clock()
        else { throw refusal }
        guard token.roles.contains("gateway") else {
            throw Refusal(
                .permissionDenied, "token:\(token.name)",
                "the token is not for gateways; make one with `seaway token create --role gateway`")
        }
        if clock() - token.usedAt > 60_000 {
            var used = token
            used.usedAt = clock()
            try? await store.update(used)
        }
        return token
    }

    private func admit(_ request: JoinRequest, _ token: TokenRecord, _ address: String) async throws -> Credentials {
        let actor = "token:\(token.name)"
        guard (1...Self.nameMax).contains(request.name.utf8.count), Self.isPrintable(request.name) else {
            throw Refusal(.invalidArgument, actor, "a gateway's name is 1 to \(Self.nameMax) printable bytes")
        }
        let labels = try Self.labels(request.labels, actor)
        if let wrong = token.labels.first(where: { labels[$0.key] != nil && labels[$0.key] != $0.value }) {
            throw Refusal(
                .permissionDenied, actor,
                "the token is for gateways with the label \(wrong.key)=\(wrong.value); leave it out or use that one")
        }
        var record = try await known(request, actor) ?? GatewayRecord(id: .random(), name: request.name)
        let issued: IssuedCertificate
        do throws(AuthorityError) {
            issued = try authority.gatewayCertificate(
                request: request.certificateRequest, id: record.id.description, name: request.name,
                labels: token.labels, now: now, lifetime: options.certificateLifetime)
        } catch {
            throw Self.refusal(error, actor)
        }
        record.labels = labels.merging(token.labels) { $1 }
        record.address = address
        record.version = Self.printable(request.version)
        record.certificateSerial = issued.serial
        record.certificateExpiresAt = Int64(issued.notAfter) * 1000
        record.joinedAt = clock()
        try await ledger.save(record)
        await audit(
            "gateway.join", target: "gateways/\(record.name)", actor: actor, address, outcome: "allowed",
            detail: "gateway \(record.id), certificate \(issued.serial)")
        logger.info("a gateway joined", metadata: ["gateway": "\(record.name)", "address": "\(address)"])
        return credentials(record.id, issued)
    }

    /// The record of a gateway that joins again with its id; nil: it gets a new one.
    private func known(_ request: JoinRequest, _ actor: String) async throws -> GatewayRecord? {
        guard request.gateway != ID() else { return nil }
        guard let record = try await ledger.find(Identifier(request.gateway)), record.name == request.name else {
            return nil
        }
        guard record.revokedAt == 0 else {
            throw Refusal(
                .permissionDenied, actor,
                "the gateway was revoked; if it shall join again, remove its state directory first")
        }
        return record
    }

    // MARK: Renew

    func renew(_ request: RenewRequest, _ context: ServerContext) async throws -> Credentials {
        let (identity, record) = try await identify(context)
        let issued: IssuedCertificate
        do throws(AuthorityError) {
            issued = try authority.gatewayCertificate(
                request: request.certificateRequest, id: identity.id, name: identity.name, labels: identity.labels,
                now: now, lifetime: options.certificateLifetime)
        } catch {
            let refusal = Self.refusal(error, "gateway:\(record.name)")
            throw RPCError(code: refusal.code, message: refusal.reason)
        }
        var renewed = record
        renewed.certificateSerial = issued.serial
        renewed.certificateExpiresAt = Int64(issued.notAfter) * 1000
        do throws(StoreError) {
            try await ledger.save(renewed)
        } catch {
            throw Self.unavailable(error)
        }
        return credentials(record.id, issued)
    }

    private func credentials(_ id: Identifier, _ issued: IssuedCertificate) -> Credentials {
        var credentials = Credentials()
        credentials.gateway = ID(id)
        credentials.certificate = issued.chain
        credentials.authorities = authority.certificate
        credentials.notBefore = issued.notBefore
        credentials.notAfter = issued.notAfter
        credentials.snapshotKey = authority.snapshotKey
        return credentials
    }

    // MARK: Certificates

    /// The gateway whose certificate the caller has shown, unless it is revoked, removed or out of date.
    func identify(_ context: ServerContext) async throws -> (GatewayIdentity, GatewayRecord) {
        let address = Self.address(context.remotePeer)
        let transport = context.transportSpecific as? HTTP2ServerTransport.Posix.Context
        guard let certificate = transport?.peerCertificate else {
            throw RPCError(code: .unauthenticated, message: "a client certificate of the authority is needed")
        }
        do {
            let identity = try await authority.gateway(certificate, now: now)
            let actor = "gateway:\(identity.name)"
            guard let id = Identifier(identity.id), let record = try await ledger.find(id) else {
                throw Refusal(.unauthenticated, actor, "the gateway is not known here; it has to join again")
            }
            guard record.revokedAt == 0 else {
                throw Refusal(.permissionDenied, actor, "the gateway was revoked")
            }
            return (identity, record)
        } catch let error as AuthorityError {
            let reason = if case .badCertificate(let text) = error { text } else { "\(error)" }
            await audit(
                "gateway.connect", target: "gateways", actor: "unknown", address, outcome: "denied", detail: reason)
            throw RPCError(code: .unauthenticated, message: reason)
        } catch let refusal as Refusal {
            await audit(
                "gateway.connect", target: "gateways", actor: refusal.actor, address, outcome: "denied",
                detail: refusal.reason)
            throw RPCError(code: refusal.code, message: refusal.reason)
        } catch let error as StoreError {
            throw Self.unavailable(error)
        }
    }

    /// The labels that count: what the gateway says of itself, and over it what its token gave it.
    func labels(_ hello: GatewayHello, _ identity: GatewayIdentity) throws -> [String: String] {
        do {
            return try Self.labels(hello.labels, "").merging(identity.labels) { $1 }
        } catch let refusal as Refusal {
            throw RPCError(code: refusal.code, message: refusal.reason)
        }
    }

    // MARK: Helpers

    private struct Refusal: Error {
        var code: RPCError.Code
        var actor: String
        var reason: String

        init(_ code: RPCError.Code, _ actor: String, _ reason: String) {
            self.code = code
            self.actor = actor
            self.reason = reason
        }
    }

    private static func refusal(_ error: AuthorityError, _ actor: String) -> Refusal {
        switch error {
        case .badRequest(let text): Refusal(.invalidArgument, actor, text)
        case .badCertificate(let text), .badToken(let text): Refusal(.unauthenticated, actor, text)
        case .failed(let text), .unreadable(let text): Refusal(.internalError, actor, text)
        }
    }

    private static func unavailable(_ error: StoreError) -> RPCError {
        RPCError(code: .unavailable, message: "the control plane's store does not answer; try again")
    }

    private func audit(
        _ action: String, target: String, actor: String, _ address: String, outcome: String, detail: String
    ) async {
        let record = AuditRecord(
            time: clock(), actor: actor, address: address, action: action, target: target, outcome: outcome,
            detail: detail)
        do throws(StoreError) {
            try await store.append([record])
        } catch {
            logger.warning("the audit log cannot be written", metadata: ["error": "\(error)", "action": "\(action)"])
        }
    }

    private static func labels(_ texts: [String], _ actor: String) throws -> [String: String] {
        guard texts.count <= labelsMax else {
            throw Refusal(.invalidArgument, actor, "a gateway has at most \(labelsMax) labels")
        }
        var labels: [String: String] = [:]
        for text in texts {
            guard let equals = text.firstIndex(of: "="), equals != text.startIndex, text.utf8.count <= labelMax,
                isPrintable(text)
            else {
                throw Refusal(
                    .invalidArgument, actor,
                    "the label \"\(printable(text))\" is not KEY=VALUE of at most \(labelMax) printable bytes")
            }
            labels[String(text[..<equals])] = String(text[text.index(after: equals)...])
        }
        return labels
    }

    private static func isPrintable(_ text: String) -> Bool {
        text.unicodeScalars.allSatisfy { $0.value >= 0x20 && $0.value != 0x7F && !(0x80..<0xA0).contains($0.value) }
    }

    /// At most 100 characters, without those that could play tricks on who reads a log.
    private static func printable(_ text: String) -> String {
        String(text.prefix(100).filter { isPrintable(String($0)) })
    }

    /// `10.0.0.1` of gRPC's `ipv4:10.0.0.1:4711`, `::1` of `ipv6:[::1]:4711`.
    static func address(_ peer: String) -> String {
        guard let colon = peer.firstIndex(of: ":"), let port = peer.lastIndex(of: ":"), colon < port else {
            return peer
        }
        return peer[peer.index(after: colon)..<port].filter { $0 != "[" && $0 != "]" }
    }
}
