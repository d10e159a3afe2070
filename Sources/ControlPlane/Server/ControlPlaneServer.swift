// A whole control plane: store, workspace, APIs and streams, started in order and run together.
//
// 1. open and migrate the store   2. read everything   3. make or find the authority and the first token
// 4. listen   5. run all parts until one fails or the task is cancelled

internal import Authority
internal import Foundation
internal import HTTPTypes
internal import Hummingbird
internal import Logging
internal import Model
internal import NIOCore
internal import Store

public final class ControlPlaneServer: Sendable {
    /// The admin token, if this is the first start.
    public let firstToken: String?
    private let options: ControlPlaneOptions
    private let store: MeteredStore
    private let tracer: Tracer?
    private let workspace: Workspace
    private let authority: Authority
    private let authenticator: Authenticator
    private let audit: AuditLog
    private let hub: GatewayHub
    private let rollouts: RolloutDriver
    private let export: SnapshotExport
    private let provider: OIDCProvider?
    private let startedAt = Clock.now()
    private let streams: StreamServer
    private let logger = Logger(label: "seaway.server")

    public init(_ options: ControlPlaneOptions) async throws {
        self.options = options
        try Self.makePrivateDirectory(options.dataDirectory)
        store = MeteredStore(try StoreURL.open(options.store))
        let tracer = options.traces.map { Tracer(endpoint: $0) }
        self.tracer = tracer
        try await store.migrate()
        var setup = Workspace.Options()
        setup.environment = options.environment
        setup.expressions = options.expressions
        setup.tracer = tracer
        workspace = Workspace(store: store, options: setup)
        try await workspace.start()
        let now = Clock.now()
        authority = try await Authority.shared(in: store, now: Int(now / 1000))
        firstToken = try await Bootstrap.adminToken(store, file: options.dataDirectory + "/admin-token", now: now)
        audit = AuditLog(store: store)
        var access = AccessSettings()
        access.isOpen = options.insecureNoAuth
        access.hasSecureCookies = options.login?.publicURL.hasPrefix("https:") ?? false
        authenticator = Authenticator(
            store: store, audit: audit, settings: access,
            role: { [workspace] in workspace.catalog.resource(type: "roles", named: $0)?.spec }, clock: { Clock.now() })
        try await authenticator.reload()
        provider = options.login.map { OIDCProvider($0) }
        var stream = StreamOptions()
        stream.certificateLifetime = options.certificateLifetime
        stream.expressions = options.expressions
        stream.controlPlane = options.name
        stream.onApplied = { gateway, revision, published, now in
            tracer?.gatewayApplied(gateway, revision, published: published, now: now)
        }
        hub = GatewayHub(source: workspace, store: store, options: stream)
        try await hub.start()
        rollouts = RolloutDriver(
            store: store, hub: hub, keeper: workspace, holder: "\(options.name)-\(Identifier.random())")
        export = SnapshotExport(hub: hub, authority: authority, directory: options.exportDirectory)
        streams = try StreamServer(
            address: options.stream.address, port: options.stream.port, authority: authority, store: store, hub: hub)
    }

    /// Where everything listens, once it does.
    public struct Places: Sendable {
        /// Nil: there is no Admin API.
        public var admin: Int?
        public var api: Int
        public var stream: Int
    }

    /// Serves until cancelled; `started` is told the ports.
    public func run(started: @escaping @Sendable (Places) async throws -> Void) async throws {
        let ports = Ports()
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { await self.workspace.follow() }
            group.addTask { await self.authenticator.run() }
            group.addTask { await self.hub.run() }
            if let tracer { group.addTask { await tracer.run() } }
            group.addTask { await self.sweep() }
            group.addTask { await self.rollouts.run() }
            group.addTask { await self.export.run() }
            group.addTask { try await self.streams.run() }
            if let place = options.admin {
                group.addTask { try await self.serve(self.adminRouter, on: place) { ports.set(.admin, $0) } }
            }
            group.addTask { try await self.serve(self.apiRouter, on: self.options.api) { ports.set(.api, $0) } }
            group.addTask {
                try await started(
                    Places(
                        admin: self.options.admin == nil ? nil : await ports.port(.admin),
                        api: await ports.port(.api), stream: try await self.streams.port))
                try await Task.sleep(for: .seconds(1 << 30))
            }
            defer { group.cancelAll() }
            try await group.next()
        }
        await streams.stop()
        await provider?.shutdown()
        await store.close()
    }

    /// Removes ended sessions from the store, every hour until cancelled.
    private func sweep() async {
        while (try? await Task.sleep(for: .seconds(3600))) != nil {
            do throws(StoreError) { try await authenticator.sweep() } catch {
                logger.warning("ended sessions could not be removed", metadata: ["error": "\(error)"])
            }
        }
    }

    // MARK: - Tokens

    /// The file with a token that the gateway `name` of this machine joins with; made if it is not there.
    public func gatewayToken(for name: String) async throws -> String {
        let path = options.dataDirectory + "/gateway-token"
        if let text = try? String(contentsOfFile: path, encoding: .utf8),
            let token = try? JoinToken(text.trimmingCharacters(in: .whitespacesAndNewlines)),
            token.fingerprint == authority.fingerprint,
            try await store.tokens().contains(where: { $0.hash == token.secret.hash && $0.revokedAt == 0 })
        {
            return path
        }
        let secret = TokenSecret.make()
        let record = TokenRecord(
            id: Identifier.random(), name: "gateway-\(name)-\(Clock.now())", hash: secret.hash, roles: ["gateway"],
            createdAt: Clock.now(), createdBy: "system")
        try await store.add(record)
        try await audit.record(
            AuditRecord(
                time: Clock.now(), actor: "system", address: "", action: "token.create",
                target: "tokens/\(record.name)", outcome: "allowed", detail: "for the gateway of this machine"))
        let text = JoinToken(secret: secret, fingerprint: authority.fingerprint).text + "\n"
        try PrivateFile.write(Array(text.utf8), to: path)
        return path
    }

    // MARK: - HTTP

    private func serve(
        _ router: Router<APIContext>, on place: ControlPlaneOptions.Endpoint,
        listening: @escaping @Sendable (Int) -> Void
    ) async throws {
        var quiet = logger
        quiet.logLevel = .error
        let application = Application(
            router: router,
            configuration: ApplicationConfiguration(
                address: .hostname(place.address, port: place.port), serverName: nil),
            onServerRunning: { channel in listening(channel.localAddress?.port ?? 0) }, logger: quiet)
        try await application.run()
    }

    private var adminRouter: Router<APIContext> {
        var setup = AdminAPI.Options(nodeID: Identifier.random(), hostname: ProcessInfo.processInfo.hostName)
        setup.expressions = options.expressions
        let hub = hub
        let api = AdminAPI(
            workspace: workspace, store: store, authenticator: authenticator,
            hosts: Self.hosts(options.admin, options.hostNames),
            gateways: { hub.gateways().map(\.record) }, options: setup)
        return api.router()
    }

    /// A listener on loopback answers to this machine's names only: a web page elsewhere cannot reach it by a name
    /// of its own that leads here.
    private static func hosts(_ place: ControlPlaneOptions.Endpoint?, _ names: [String]) -> HostPolicy {
        guard let address = place?.address else { return .loopback(names) }
        return address.hasPrefix("127.") || address == "::1" ? .loopback(names) : .any
    }

    private var apiRouter: Router<APIContext> {
        var environment = ResourceAPI.Environment()
        environment.hosts = Self.hosts(options.api, options.hostNames)
        environment.expressions = options.expressions
        environment.storeKind = options.store.hasPrefix("sqlite:") ? "sqlite" : "postgresql"
        environment.controlPlane = options.name
        environment.version = options.version
        environment.startedAt = startedAt
        environment.provider = provider
        environment.metrics = { [workspace, hub, store] in
            ControlPlaneMetrics(
                revision: workspace.catalog.revision, counters: hub.counters, gateways: hub.gateways(), store: store,
                now: Clock.now()
            ).text
        }
        let fingerprint = authority.fingerprint
        environment.joinToken = { secret in
            TokenSecret(secret).map { JoinToken(secret: $0, fingerprint: fingerprint).text }
        }
        let router = ResourceAPI(
            workspace: workspace, store: store, authenticator: authenticator,
            gateways: HubDirectory(hub: hub, driver: rollouts, audit: audit, clock: { Clock.now() }),
            environment: environment
        ).router()
        UI.mount(on: router)
        return router
    }

    private static func makePrivateDirectory(_ path: String) throws {
        try FileManager.default.createDirectory(
            atPath: path, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
    }
}

/// Ports of listeners that start side by side, for whoever waits for them.
private actor PortBoard {
    private var ports: [Ports.Listener: Int] = [:]
    private var waiters: [(Ports.Listener, CheckedContinuation<Int, Never>)] = []

    func set(_ listener: Ports.Listener, _ port: Int) {
        ports[listener] = port
        for (wanted, continuation) in waiters where wanted == listener { continuation.resume(returning: port) }
        waiters.removeAll { $0.0 == listener }
    }

    func port(_ listener: Ports.Listener) async -> Int {
        if let port = ports[listener] { return port }
        return await withCheckedContinuation { waiters.append((listener, $0)) }
    }
}

private struct Ports: Sendable {
    enum Listener { case admin, api }
    private let board = PortBoard()

    func set(_ listener: Listener, _ port: Int) { Task { await board.set(listener, port) } }
    func port(_ listener: Listener) async -> Int { await board.port(listener) }
}
