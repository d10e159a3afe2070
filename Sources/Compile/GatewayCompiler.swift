// GatewayModel -> Snapshot: clusters, routes, filter chains, credentials. Pure: no clock, socket or file.

public import Model
public import Snapshot

/// Compiles a gateway's model. The same input gives a byte-identical snapshot.
///
///     let (snapshot, findings) = GatewayCompiler.compile(model, settings: Settings(), listeners: [Listener()])
public enum GatewayCompiler {
    /// - Parameters:
    ///   - model: validated by the dialect that read it.
    ///   - settings: carried into the snapshot as they are.
    ///   - listeners: likewise.
    ///   - file: the model's file, for findings.
    /// - Returns: a snapshot of revision 0, and what its author should know. A snapshot with errors among
    ///   its findings must not be published.
    public static func compile(
        _ model: GatewayModel, settings: Settings, listeners: [Listener], file: String = ""
    ) -> (Snapshot, [Diagnostic]) {
        var compilation = Compilation(model: model, file: file)
        compilation.snapshot.settings = settings
        compilation.snapshot.listeners = listeners
        compilation.run()
        return (compilation.snapshot, compilation.findings)
    }
}

/// One compilation, in the order of `run`.
struct Compilation {
    let model: GatewayModel
    let file: String
    var snapshot = Snapshot()
    var findings: [Diagnostic] = []
    /// Clusters by upstream name, and by `host:port` for plain hosts.
    var upstreamClusters: [String: Int] = [:]
    var hostClusters: [String: Int] = [:]
    var chains = ChainTable()
    /// Only to find mistakes: the proxy compiles its own.
    let expressions = CompiledExpressions()

    init(model: GatewayModel, file: String) {
        self.model = model
        self.file = file
    }

    mutating func run() {
        addSecrets()
        addConsumers()
        addUpstreams()
        addServices()
        refuseTagsElsewhere()
        checkReach()
        addFilters()
        addRoutes()
    }

    // MARK: Secrets

    private mutating func addSecrets() {
        for entity in model.certificates {
            checkPair(entity)
            var certificate = Certificate()
            certificate.id = ID(entity.head.id)
            certificate.chain = entity.certificate
            certificate.key = entity.key
            certificate.alternativeChain = entity.alternativeCertificate
            certificate.alternativeKey = entity.alternativeKey
            snapshot.certificates.append(certificate)
        }
        for entity in model.serverNames {
            var name = ServerName()
            name.name = entity.name
            name.certificate = entity.certificate
            snapshot.serverNames.append(name)
        }
        for entity in model.caCertificates {
            checkAuthority(entity)
            var authority = CACertificate()
            authority.id = ID(entity.head.id)
            authority.pem = entity.certificate
            snapshot.caCertificates.append(authority)
        }
    }

    private mutating func checkPair(_ entity: CertificateEntity) {
        let pairs = [
            ("cert", "key", entity.certificate, entity.key),
            ("cert_alt", "key_alt", entity.alternativeCertificate, entity.alternativeKey),
        ]
        for (certificateField, keyField, certificate, key) in pairs where !certificate.isEmpty {
            guard let problem = CertificateCheck.problem(certificate: certificate, key: key) else { continue }
            report(
                entity.head, "a certificate", problem.isKey ? keyField : certificateField, .certificate,
                problem.message,
                remedy: problem.remedy)
        }
    }

    private mutating func checkAuthority(_ entity: CACertificateEntity) {
        guard let problem = CertificateCheck.problem(authority: entity.certificate) else { return }
        report(entity.head, "a ca_certificate", "cert", .certificate, problem.message, remedy: problem.remedy)
    }

    mutating func report(
        _ head: EntityHead, _ entity: String, _ field: String, _ code: DiagnosticCode, _ message: String,
        remedy: String, severity: Diagnostic.Severity = .error
    ) {
        findings.append(
            Diagnostic(
                severity, code: code.rawValue, file: file, line: head.line, column: head.column, entity: entity,
                field: field, message: message, remedy: remedy))
    }

    // MARK: Consumers

    private mutating func addConsumers() {
        for entity in model.consumers {
            var consumer = Consumer()
            consumer.id = ID(entity.head.id)
            consumer.username = entity.username
            consumer.customID = entity.customID
            consumer.groups = entity.groups
            snapshot.consumers.append(consumer)
        }
        for entity in model.keyAuthCredentials {
            var credential = KeyCredential()
            credential.id = ID(entity.head.id)
            credential.consumer = entity.consumer
            credential.key = entity.key
            // Without a time of creation there is nothing to count a lifetime from.
            if entity.ttl > 0, entity.head.createdAt > 0 { credential.expiresAt = entity.head.createdAt &+ entity.ttl }
            snapshot.keyCredentials.append(credential)
        }
        for entity in model.basicAuthCredentials {
            var credential = BasicCredential()
            credential.id = ID(entity.head.id)
            credential.consumer = entity.consumer
            credential.username = entity.username
            credential.passwordHash = entity.passwordHash
            snapshot.basicCredentials.append(credential)
        }
    }

    // MARK: Clusters and services

    private mutating func addUpstreams() {
        for entity in model.upstreams {
            upstreamClusters[entity.name] = snapshot.clusters.count
            snapshot.clusters.append(cluster(entity))
        }
    }

    private func cluster(_ entity: UpstreamEntity) -> Cluster {
        var cluster = Cluster()
        cluster.id = ID(entity.head.id)
        cluster.name = entity.name
        cluster.algorithm =
            switch entity.algorithm {
            case "consistent-hashing": .consistentHashing
            case "least-connections": .leastConnections
            case "latency": .latency
            default: .roundRobin
            }
        cluster.hashOn = hashInput(entity.hashOn)
        cluster.hashFallback = hashInput(entity.hashFallback)
        cluster.hashCookiePath = entity.hashCookiePath
        cluster.slots = entity.slots
        cluster.hostHeader = entity.hostHeader
        cluster.useSRVName = entity.useSRVName
        cluster.clientCertificate = entity.clientCertificate
        cluster.targets = entity.targets.map { entity in
            var target = Target()
            target.id = ID(entity.head.id)
            target.host = entity.host
            target.port = entity.port
            target.weight = entity.weight
            return target
        }
        cluster.health.activeKind = probeKind(entity.active.kind)
        cluster.health.activePath = entity.active.path
        cluster.health.activeTimeout = entity.active.timeout
        cluster.health.activeConcurrency = entity.active.concurrency
        cluster.health.activeVerifyCertificate = entity.active.verifyCertificate
        cluster.health.activeServerName = entity.active.serverName
        cluster.health.activeHeaders = entity.active.headers.map { HeaderRule(name: $0.name, values: $0.values) }
        cluster.health.activeHealthy = thresholds(entity.active.healthy)
        cluster.health.activeUnhealthy = thresholds(entity.active.unhealthy)
        cluster.health.passiveKind = probeKind(entity.passive.kind)
        cluster.health.passiveHealthy = thresholds(entity.passive.healthy)
        cluster.health.passiveUnhealthy = thresholds(entity.passive.unhealthy)
        cluster.health.threshold = entity.threshold
        return cluster
    }

    private func hashInput(_ choice: HashChoice) -> HashInput {
        let source: HashSource =
            switch choice.source {
            case .none: .none
            case .consumer: .consumer
            case .ip: .ip
            case .header: .header
            case .cookie: .cookie
            case .path: .path
            case .queryArgument: .queryArgument
            case .uriCapture: .uriCapture
            }
        return HashInput(source, name: choice.name)
    }

    private func probeKind(_ kind: String) -> ProbeKind {
        switch kind {
        case "https": .https
        case "tcp": .tcp
        case "grpc": .grpc
        case "grpcs": .grpcs
        default: .http
        }
    }

    private func thresholds(_ counters: HealthCounters) -> HealthThresholds {
        var thresholds = HealthThresholds()
        thresholds.interval = counters.interval
        thresholds.successes = counters.successes
        thresholds.httpFailures = counters.httpFailures
        thresholds.tcpFailures = counters.tcpFailures
        thresholds.timeouts = counters.timeouts
        thresholds.statuses = counters.statuses
        return thresholds
    }

    private mutating func addServices() {
        snapshot.services.reserveCapacity(model.services.count)
        for entity in model.services {
            var service = Service()
            service.id = ID(entity.head.id)
            service.name = entity.name
            service.protocol = Protocols(entity.protocol)
            service.cluster = cluster(host: entity.host, port: entity.port)
            service.host = entity.host
            service.port = entity.port
            service.path = entity.path
            service.retries = entity.retries
            service.connectTimeout = entity.connectTimeout
            service.writeTimeout = entity.writeTimeout
            service.readTimeout = entity.readTimeout
            // Kong's default of `tls_verify` is nginx's: off.
            service.tls.verify = entity.tlsVerify ?? false
            service.tls.depth = entity.tlsVerifyDepth ?? 1
            service.tls.caCertificates = entity.caCertificates
            service.tls.clientCertificate = entity.clientCertificate
            service.enabled = entity.isEnabled
            applyTags(entity, to: &service)
            snapshot.services.append(service)
        }
    }

    /// The upstream of that name, or a cluster of the one host, shared by all services that lead to it.
    private mutating func cluster(host: String, port: Int) -> Int {
        if let index = upstreamClusters[host] { return index }
        let name = host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
        if let index = hostClusters[name] { return index }
        var cluster = Cluster()
        cluster.id = ID(Identifier(namespace: Self.namespace, name: name))
        cluster.name = name
        cluster.isUpstream = false
        var target = Target()
        target.id = cluster.id
        target.host = host
        target.port = port
        cluster.targets = [target]
        hostClusters[name] = snapshot.clusters.count
        snapshot.clusters.append(cluster)
        return snapshot.clusters.count - 1
    }

    /// Of the ids that clusters of plain hosts get.
    private static let namespace = Identifier(high: 0xFD02_801F_0957_4A15, low: 0xA55A_C8D9_606F_30B5)

    // MARK: Routes

    private mutating func addRoutes() {
        snapshot.routes.reserveCapacity(model.routes.count)
        for (index, entity) in model.routes.enumerated() {
            if entity.service >= 0, !model.services[entity.service].isEnabled { continue }
            checkService(of: entity)
            var route = Route()
            route.id = ID(entity.head.id)
            route.name = entity.name
            route.service = entity.service
            route.protocols = Protocols(entity.protocols)
            route.methods = entity.methods
            route.hosts = entity.hosts
            route.paths = entity.paths
            route.headers = entity.headers.map { rule in
                HeaderRule(
                    name: rule.name.lowercased(), values: rule.values.map { $0.hasPrefix("~*") ? $0 : $0.lowercased() })
            }
            route.serverNames = entity.serverNames
            route.sources = entity.sources.map { AddressRule(address: $0.ip, port: $0.port) }
            route.destinations = entity.destinations.map { AddressRule(address: $0.ip, port: $0.port) }
            route.regexPriority = entity.regexPriority
            route.expression = entity.expression
            route.priority = entity.priority
            checkExpression(entity)
            route.stripPath = entity.stripPath
            route.pathHandling = entity.isPathHandlingV1 ? .v1 : .v0
            route.preserveHost = entity.preserveHost
            route.httpsRedirectStatus = entity.httpsRedirectStatus
            route.requestBuffering = entity.requestBuffering
            route.responseBuffering = entity.responseBuffering
            route.chain = chain(forRoute: index, service: entity.service, protocols: route.protocols)
            route.line = entity.head.line
            route.createdAt = entity.head.createdAt
            snapshot.routes.append(route)
        }
    }

    func label(_ route: RouteEntity) -> String {
        route.name.isEmpty ? "a route" : "route \"\(route.name)\""
    }
}

extension ID {
    init(_ identifier: Identifier) { self.init(high: identifier.high, low: identifier.low) }
}

extension Protocols {
    init(_ values: [GatewayProtocol]) {
        self = []
        for value in values { formUnion(Protocols(value)) }
    }

    init(_ value: GatewayProtocol) {
        switch value {
        case .http: self = .http
        case .https: self = .https
        case .grpc: self = .grpc
        case .grpcs: self = .grpcs
        case .tcp: self = .tcp
        case .tls: self = .tls
        case .udp: self = .udp
        case .tlsPassthrough: self = .tlsPassthrough
        }
    }
}
