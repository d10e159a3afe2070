// One gateway of the benchmark: joins, and follows the stream.

import Authority
import Bytes
import Crypto
import Foundation
import GRPCCore
import GRPCNIOTransportHTTP2Posix
import Snapshot
import SwiftASN1
import X509

struct Gateway: Sendable {
    let index: Int
    let options: Options
    let token: JoinToken
    let board: Board

    private static let service = ServiceDescriptor(fullyQualifiedService: "seaway.gateways.v1.Gateways")
    private static let join = MethodDescriptor(service: service, method: "Join")
    private static let stream = MethodDescriptor(service: service, method: "Stream")

    func run() async throws {
        let key = P256.Signing.PrivateKey()
        let credentials = try await join(key)
        try await withClient(key, credentials.certificate, authorities: credentials.authorities) { client in
            let (outgoing, send) = AsyncStream.makeStream(of: GatewayMessage.self)
            var hello = GatewayMessage()
            hello.hello = GatewayHello()
            hello.hello?.version = productVersion
            hello.hello?.workers = 1
            hello.hello?.labels = options.labels
            hello.hello?.expressions = true
            send.yield(hello)
            var call = CallOptions.defaults
            call.maxResponseMessageBytes = 1 << 30
            try await client.bidirectionalStreaming(
                request: StreamingClientRequest { writer in
                    for await message in outgoing { try await writer.write(message) }
                },
                descriptor: Self.stream, serializer: Writing<GatewayMessage>(), deserializer: Received(), options: call
            ) { response in
                defer { send.finish() }
                var tables = Tables()
                for try await bytes in response.messages {
                    let started = ContinuousClock.now
                    let (revision, isFull) = try tables.take(bytes)
                    tables.snapshot = try board.share(tables.snapshot, of: revision)
                    let work = started.duration(to: .now)
                    var applied = GatewayMessage()
                    applied.applied = GatewayApplied()
                    applied.applied?.revision = revision
                    applied.applied?.workers = 1
                    send.yield(applied)
                    board.reached(
                        index, revision, bytes: bytes.count, isFull: isFull,
                        work: Int64(work / .microseconds(1)))
                }
                throw StreamError.ended
            }
        }
    }

    // MARK: Joining

    private func join(_ key: P256.Signing.PrivateKey) async throws -> Credentials {
        let name = try DistinguishedName { CommonName("bench") }
        let own = try Certificate(
            version: .v3, serialNumber: Certificate.SerialNumber(), publicKey: .init(key.publicKey),
            notValidBefore: Date(timeIntervalSinceNow: -60), notValidAfter: Date(timeIntervalSinceNow: 600),
            issuer: name, subject: name, extensions: Certificate.Extensions(), issuerPrivateKey: .init(key)
        ).serializeAsPEM().pemString
        var request = JoinRequest()
        request.token = String(token.secret.text.dropFirst(3))
        request.certificateRequest = try CertificateSigningRequest(
            version: .v1, subject: name, privateKey: .init(key), attributes: .init()
        ).serializeAsPEM().pemString
        request.name = "bench-\(index)"
        request.labels = options.labels
        request.version = productVersion
        let message = request
        // No gateway would send its token before it has checked the chain. This one only speaks to what the same
        // person has just started, and looks at the authority afterwards.
        let credentials = try await withClient(key, own, authorities: nil) { client in
            try await client.unary(
                request: ClientRequest(message: message), descriptor: Self.join, serializer: Writing<JoinRequest>(),
                deserializer: Reading<Credentials>(), options: .defaults
            ) { try $0.message }
        }
        let root = try PEMDocument(pemString: credentials.authorities)
        let fingerprint = SHA256.hash(data: root.derBytes).map { String(format: "%02x", $0) }.joined()
        guard fingerprint == token.fingerprint else { throw StreamError.authority }
        return credentials
    }

    private func withClient<R: Sendable>(
        _ key: P256.Signing.PrivateKey, _ certificate: String, authorities: String?,
        _ body: @Sendable (GRPCClient<HTTP2ClientTransport.Posix>) async throws -> R
    ) async throws -> R {
        let transport = try HTTP2ClientTransport.Posix(
            target: .ipv4(address: options.host, port: options.port),
            transportSecurity: .mTLS(
                certificateChain: [.bytes(Array(certificate.utf8), format: .pem)],
                privateKey: .bytes(Array(key.pemRepresentation.utf8), format: .pem)
            ) { tls in
                tls.serverCertificateVerification = authorities == nil ? .noVerification : .noHostnameVerification
                if let authorities { tls.trustRoots = .certificates([.bytes(Array(authorities.utf8), format: .pem)]) }
            })
        return try await withGRPCClient(transport: transport) { try await body($0) }
    }
}

/// What a stream has.
struct Tables {
    var snapshot = Snapshot()
    private var revision: UInt64 = 0

    /// Takes a message of the control plane.
    mutating func take(_ bytes: [UInt8]) throws -> (revision: UInt64, isFull: Bool) {
        let message = try bytes.withBytes { (view) throws(WireError) in try ControlPlaneMessage(wire: view) }
        if let configuration = message.configuration {
            snapshot = try configuration.snapshot.withBytes { (view) throws(WireError) in try Snapshot(wire: view) }
            guard SnapshotDelta.digest(snapshot) == configuration.digest else {
                throw StreamError.digest(configuration.revision)
            }
            revision = configuration.revision
            return (revision, true)
        }
        guard let delta = message.delta else { throw StreamError.farewell(message.farewell?.reason ?? "") }
        guard delta.base == revision else { throw StreamError.base(delta.base, revision) }
        if !delta.delta.isEmpty {
            let change = try delta.delta.withBytes { (view) throws(WireError) in try SnapshotDelta(wire: view) }
            snapshot = try change.apply(to: snapshot)
        }
        revision = delta.revision
        return (revision, false)
    }
}

// MARK: Messages

private struct Writing<Message: WireMessage & Sendable>: MessageSerializer {
    func serialize<Payload: GRPCContiguousBytes>(_ message: Message) throws -> Payload { Payload(message.wire) }
}

private struct Reading<Message: WireMessage & Sendable>: MessageDeserializer {
    func deserialize<Payload: GRPCContiguousBytes>(_ payload: Payload) throws -> Message {
        try Received().deserialize(payload).withBytes { (view) throws(WireError) in try Message(wire: view) }
    }
}

/// As it came, so that its size is known.
private struct Received: MessageDeserializer {
    func deserialize<Payload: GRPCContiguousBytes>(_ payload: Payload) throws -> [UInt8] {
        unsafe payload.withUnsafeBytes { unsafe Array($0) }
    }
}
