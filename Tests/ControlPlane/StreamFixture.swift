// A control plane's stream on a free port, with a store in memory and configurations that a test publishes,
// and gateways that speak real gRPC over TLS to it.

import Authority
import Bytes
import Compile
import Crypto
import Foundation
import GRPCCore
import GRPCNIOTransportHTTP2Posix
import Model
import Snapshot
import Store
import SwiftASN1
import Synchronization
import X509

@testable import ControlPlane

/// Configurations that a test publishes: revision n has n services, or what the test says.
final class FakeSource: ConfigurationSource {
    private struct State {
        var models: [UInt64: GatewayModel] = [:]
        var newest: UInt64 = 0
        var readers: [AsyncStream<PublishedModel>.Continuation] = []
    }

    private let state = Mutex(State())

    func publish(_ revision: UInt64, _ model: GatewayModel) {
        let readers = state.withLock { state in
            state.models[revision] = model
            state.newest = revision
            return state.readers
        }
        for reader in readers { reader.yield(PublishedModel(revision: revision, model: model)) }
    }

    func published() -> AsyncStream<PublishedModel> {
        let (stream, continuation) = AsyncStream.makeStream(of: PublishedModel.self)
        state.withLock { state in
            state.readers.append(continuation)
            guard let model = state.models[state.newest] else { return }
            continuation.yield(PublishedModel(revision: state.newest, model: model))
        }
        return stream
    }

    func model(at revision: UInt64) async throws -> GatewayModel {
        guard let model = state.withLock({ $0.models[revision] }) else { throw EditionError.unknownRevision }
        return model
    }
}

extension GatewayModel {
    /// Services with a route each, `service-0` to `service-(count-1)`; tags by name.
    static func services(_ count: Int, tags: [String: [String]] = [:]) -> GatewayModel {
        var model = GatewayModel()
        for index in 0..<count {
            var service = ServiceEntity()
            service.head.id = Identifier(high: 1, low: UInt64(index))
            service.name = "service-\(index)"
            service.head.tags = tags[service.name] ?? []
            service.host = "10.0.0.\(index % 250)"
            model.services.append(service)
            var route = RouteEntity()
            route.head.id = Identifier(high: 2, low: UInt64(index))
            route.name = "route-\(index)"
            route.service = index
            route.paths = ["/\(index)"]
            model.routes.append(route)
        }
        return model
    }
}

/// Everything a test of streams needs; gone when `body` of `with` ends.
struct StreamFixture: Sendable {
    let authority: Authority
    let store: any Store
    let source: FakeSource
    let hub: GatewayHub
    let port: Int
    let token: TokenSecret

    static func with(
        _ options: StreamOptions = StreamOptions(), _ body: @Sendable (StreamFixture) async throws -> Void
    ) async throws {
        let store = try SQLiteStore.temporary()
        try await store.migrate()
        let authority = try await Authority.shared(in: store, now: Int(Clock.now() / 1000))
        var options = options
        options.controlPlane = "cp-1"
        let source = FakeSource()
        let hub = GatewayHub(source: source, store: store, options: options)
        try await hub.start()
        let server = try StreamServer(address: "127.0.0.1", port: 0, authority: authority, store: store, hub: hub)
        let running = Task { try await server.run() }
        let publishing = Task { await hub.run() }
        let token = TokenSecret.make()
        try await store.add(record(token, name: "edge"))
        let fixture = StreamFixture(
            authority: authority, store: store, source: source, hub: hub, port: try await server.port, token: token)
        let result: Result<Void, any Error>
        do { result = .success(try await body(fixture)) } catch { result = .failure(error) }
        running.cancel()
        publishing.cancel()
        _ = await running.result
        await publishing.value
        await store.close()
        try result.get()
    }

    static func record(
        _ secret: TokenSecret, name: String, roles: [String] = ["gateway"], labels: [String: String] = [:],
        expiresAt: Int64 = 0
    ) -> TokenRecord {
        TokenRecord(
            id: .random(), name: name, hash: secret.hash, roles: roles, labels: labels, createdAt: Clock.now(),
            expiresAt: expiresAt, createdBy: "test")
    }
}

/// A gateway's key and certificate.
struct GatewayKeys: Sendable {
    var key: P256.Signing.PrivateKey
    /// PEM.
    var certificate: String

    /// With a certificate of its own making, as a gateway joins.
    static func selfSigned() throws -> GatewayKeys {
        let key = P256.Signing.PrivateKey()
        let name = try DistinguishedName { CommonName("gateway") }
        let certificate = try Certificate(
            version: .v3, serialNumber: Certificate.SerialNumber(), publicKey: .init(key.publicKey),
            notValidBefore: Date(timeIntervalSinceNow: -60), notValidAfter: Date(timeIntervalSinceNow: 600),
            issuer: name, subject: name, extensions: Certificate.Extensions(), issuerPrivateKey: .init(key))
        return GatewayKeys(key: key, certificate: try certificate.serializeAsPEM().pemString)
    }

    func request() throws -> String {
        try CertificateSigningRequest(
            version: .v1, subject: DistinguishedName { CommonName("gateway") }, privateKey: .init(key),
            attributes: .init()
        ).serializeAsPEM().pemString
    }
}

extension StreamFixture {
    typealias Client = GRPCClient<HTTP2ClientTransport.Posix>

    /// A connection with these keys.
    func withClient<R: Sendable>(
        _ keys: GatewayKeys, _ body: @Sendable (Client) async throws -> R
    ) async throws -> R {
        let transport = try HTTP2ClientTransport.Posix(
            target: .ipv4(address: "127.0.0.1", port: port),
            transportSecurity: .mTLS(
                certificateChain: [.bytes(Array(keys.certificate.utf8), format: .pem)],
                privateKey: .bytes(Array(keys.key.pemRepresentation.utf8), format: .pem)
            ) { tls in
                tls.trustRoots = .certificates([.bytes(Array(authority.certificate.utf8), format: .pem)])
                tls.serverCertificateVerification = .noHostnameVerification
            })
        return try await withGRPCClient(transport: transport) { try await body($0) }
    }

    func join(
        _ keys: GatewayKeys, token: String? = nil, name: String = "gw-1", labels: [String] = [],
        gateway: ID = ID()
    ) async throws -> Credentials {
        var request = JoinRequest()
        request.token = token ?? String(self.token.text.dropFirst(3))
        request.certificateRequest = try keys.request()
        request.name = name
        request.labels = labels
        request.version = "test"
        request.gateway = gateway
        let message = request
        return try await withClient(keys) { client in
            try await client.unary(
                request: ClientRequest(message: message), descriptor: GatewayMethods.join,
                serializer: WireSerializer<JoinRequest>(), deserializer: WireDeserializer<Credentials>(),
                options: .defaults
            ) { try $0.message }
        }
    }

    func renew(_ keys: GatewayKeys, for next: GatewayKeys) async throws -> Credentials {
        var request = RenewRequest()
        request.certificateRequest = try next.request()
        let message = request
        return try await withClient(keys) { client in
            try await client.unary(
                request: ClientRequest(message: message), descriptor: GatewayMethods.renew,
                serializer: WireSerializer<RenewRequest>(), deserializer: WireDeserializer<Credentials>(),
                options: .defaults
            ) { try $0.message }
        }
    }

    /// Joins and returns the keys with the certificate that was given.
    func joined(name: String = "gw-1", labels: [String] = []) async throws -> (GatewayKeys, Credentials) {
        var keys = try GatewayKeys.selfSigned()
        let credentials = try await join(keys, name: name, labels: labels)
        keys.certificate = credentials.certificate
        return (keys, credentials)
    }

    /// A stream: `body` gets what the control plane says and a way to answer.
    func withStream(
        _ keys: GatewayKeys, hello: GatewayHello?,
        _ body: @escaping @Sendable (inout GatewayStream) async throws -> Void
    ) async throws {
        try await withClient(keys) { client in
            let (outgoing, send) = AsyncStream.makeStream(of: GatewayMessage.self)
            if let hello {
                var message = GatewayMessage()
                message.hello = hello
                send.yield(message)
            }
            try await client.bidirectionalStreaming(
                request: StreamingClientRequest { writer in
                    for await message in outgoing { try await writer.write(message) }
                },
                descriptor: GatewayMethods.stream, serializer: WireSerializer<GatewayMessage>(),
                deserializer: WireDeserializer<ControlPlaneMessage>(), options: .defaults
            ) { response in
                defer { send.finish() }
                var stream = GatewayStream(messages: response.messages.makeAsyncIterator(), send: send)
                try await body(&stream)
            }
        }
    }
}

/// A gateway's end of a stream: keeps tables, as a proxy does.
struct GatewayStream {
    var messages: RPCAsyncSequence<ControlPlaneMessage, any Error>.AsyncIterator
    let send: AsyncStream<GatewayMessage>.Continuation
    var tables = Snapshot()
    var revision: UInt64 = 0
    var fulls = 0
    var deltas = 0

    mutating func next() async throws -> ControlPlaneMessage? { try await messages.next(isolation: #isolation) }

    /// Takes the next configuration into its tables; the revision.
    mutating func take() async throws -> UInt64 {
        guard let message = try await next() else { throw StreamFixtureError.ended }
        if let configuration = message.configuration {
            tables = try configuration.snapshot.withBytes { (bytes) throws(WireError) in try Snapshot(wire: bytes) }
            guard SnapshotDelta.digest(tables) == configuration.digest else { throw StreamFixtureError.digest }
            revision = configuration.revision
            fulls += 1
        } else if let delta = message.delta {
            guard delta.base == revision else { throw StreamFixtureError.base }
            if !delta.delta.isEmpty {
                let change = try delta.delta.withBytes { (bytes) throws(WireError) in try SnapshotDelta(wire: bytes) }
                tables = try change.apply(to: tables)
            }
            revision = delta.revision
            deltas += 1
        } else {
            throw StreamFixtureError.farewell
        }
        return revision
    }

    func apply(_ revision: UInt64) {
        var message = GatewayMessage()
        message.applied = GatewayApplied()
        message.applied?.revision = revision
        message.applied?.workers = 2
        send.yield(message)
    }

    func reject(_ revision: UInt64, needsFull: Bool = false) {
        var message = GatewayMessage()
        message.rejected = GatewayRejected()
        message.rejected?.revision = revision
        message.rejected?.entity = "route \"route-1\""
        message.rejected?.reason = "it does not please"
        message.rejected?.needsFull = needsFull
        send.yield(message)
    }

    func report(_ requests: UInt64, errors: UInt64 = 0) {
        var message = GatewayMessage()
        message.report = GatewayReport()
        message.report?.requests = requests
        message.report?.errors = errors
        send.yield(message)
    }
}

enum StreamFixtureError: Error { case ended, digest, base, farewell, tooLate }

/// Waits until something holds: for what happens in another task, never for time to pass.
func until(_ limit: Duration = .seconds(20), _ holds: @Sendable () async throws -> Bool) async throws {
    let deadline = ContinuousClock.now + limit
    while try await !holds() {
        guard ContinuousClock.now < deadline else { throw StreamFixtureError.tooLate }
        try await Task.sleep(for: .milliseconds(5))
    }
}

enum GatewayCompilerResult {
    /// The tables that a gateway has of a model.
    static func tables(_ model: GatewayModel) -> Snapshot {
        GatewayCompiler.compile(model, settings: Settings(), listeners: []).0
    }
}
