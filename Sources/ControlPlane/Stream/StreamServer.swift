// The listener that gateways dial: gRPC over TLS with client certificates.

public import Authority
internal import Foundation
internal import GRPCCore
internal import GRPCNIOTransportHTTP2Posix
internal import Logging
internal import NIOCertificateReloading
internal import NIOCore
internal import NIOSSL
public import Store
internal import Synchronization

/// A control plane's end of the streams to gateways.
///
///     let server = try StreamServer(address: "0.0.0.0", port: 5678, authority: authority, store: store, hub: hub)
///     let task = Task { try await server.run() }
///     let port = try await server.port
public final class StreamServer: Sendable {
    private let hub: GatewayHub
    private let certificates: ServerCertificates
    private let transport: HTTP2ServerTransport.Posix
    private let server: GRPCServer<HTTP2ServerTransport.Posix>

    /// How long gateways are given to take their farewell when the server stops.
    private static let farewellTime = Duration.milliseconds(500)

    /// - Parameters:
    ///   - address: IPv4 or IPv6 without brackets.
    ///   - port: 0: any free one.
    public init(
        address: String, port: Int, authority: Authority, store: any Store, hub: GatewayHub,
        clock: @escaping @Sendable () -> Int64 = { Clock.now() }
    ) throws {
        self.hub = hub
        certificates = try ServerCertificates(
            authority: authority, lifetime: hub.options.serverCertificateLifetime, clock: clock)
        let admission = Admission(
            authority: authority, store: store, ledger: hub.ledger, options: hub.options, clock: clock)
        transport = HTTP2ServerTransport.Posix(
            address: address.contains(":")
                ? .ipv6(host: address, port: port) : .ipv4(host: address, port: port),
            transportSecurity: try Self.security(certificates), config: Self.config(hub.options))
        server = GRPCServer(transport: transport, services: [GatewayService(hub: hub, admission: admission)])
    }

    /// The port it listens on, once it does.
    public var port: Int {
        get async throws {
            let address = try await transport.listeningAddress
            return address.ipv4?.port ?? address.ipv6?.port ?? 0
        }
    }

    /// Serves until `stop` or until cancelled.
    public func run() async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await self.server.serve() }
            group.addTask { await self.certificates.renewFromTimeToTime() }
            try await group.next()
            group.cancelAll()
        }
    }

    /// Says farewell to the gateways and closes the listener.
    public func stop() async {
        hub.stop(reason: "the control plane stops")
        try? await Task.sleep(for: Self.farewellTime)
        server.beginGracefulShutdown()
    }

    // MARK: Setting up

    private static func security(
        _ certificates: ServerCertificates
    ) throws -> HTTP2ServerTransport.Posix.TransportSecurity {
        try .mTLS(certificateReloader: certificates) { tls in
            tls.requireALPN = true
            tls.trustRoots = .certificates([])
            // A gateway that joins has a certificate of its own making, so every one gets through the handshake, which
            // proves that its key is there. What it is good for is decided for each call (`Admission.identify`).
            tls.customVerificationCallback = { presented, promise in
                promise.succeed(.certificateVerified(VerificationMetadata(ValidatedCertificateChain(presented))))
            }
        }
    }

    private static func config(_ options: StreamOptions) -> HTTP2ServerTransport.Posix.Config {
        .defaults { config in
            config.rpc.maxRequestPayloadSize = options.messageBytesMax
            config.http2.maxConcurrentStreams = 16
            config.http2.targetWindowSize = 1 << 20
            config.connection.maxIdleTime = .seconds(120)
            config.connection.keepalive.time = .seconds(options.pingInterval)
            config.connection.keepalive.timeout = .seconds(options.pingTimeout)
            // Gateways watch over us as well, and may do so often.
            config.connection.keepalive.clientBehavior.allowWithoutCalls = true
            config.connection.keepalive.clientBehavior.minPingIntervalWithoutCalls = .seconds(1)
        }
    }
}

/// The listener's certificate, renewed while it listens: new connections get the newest.
final class ServerCertificates: CertificateReloader {
    private struct Current {
        var override: NIOSSLContextConfigurationOverride
        /// Unix seconds.
        var renewal: Int
    }

    private let authority: Authority
    private let lifetime: Int
    private let clock: @Sendable () -> Int64
    private let current: Mutex<Current>
    private let logger = Logger(label: "seaway.stream")

    init(authority: Authority, lifetime: Int, clock: @escaping @Sendable () -> Int64) throws {
        self.authority = authority
        self.lifetime = lifetime
        self.clock = clock
        current = Mutex(try Self.make(authority, lifetime, Int(clock() / 1000)))
    }

    var sslContextConfigurationOverride: NIOSSLContextConfigurationOverride { current.withLock { $0.override } }

    func renewFromTimeToTime() async {
        while !Task.isCancelled {
            try? await Task.sleep(for: .seconds(60))
            renewIfDue()
        }
    }

    /// Takes a new certificate if half of the current one's life is over.
    func renewIfDue() {
        let now = Int(clock() / 1000)
        guard current.withLock({ $0.renewal <= now }) else { return }
        do {
            let new = try Self.make(authority, lifetime, now)
            current.withLock { $0 = new }
        } catch {
            logger.error("the listener's certificate cannot be renewed", metadata: ["error": "\(error)"])
        }
    }

    private static func make(_ authority: Authority, _ lifetime: Int, _ now: Int) throws -> Current {
        let made = try authority.serverCertificate(now: now, lifetime: lifetime)
        var override = NIOSSLContextConfigurationOverride()
        override.certificateChain = try NIOSSLCertificate.fromPEMBytes(Array(made.issued.chain.utf8)).map {
            .certificate($0)
        }
        override.privateKey = .privateKey(try NIOSSLPrivateKey(bytes: Array(made.key.utf8), format: .pem))
        return Current(override: override, renewal: made.renewal)
    }
}
