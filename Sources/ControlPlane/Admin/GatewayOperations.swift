// What gateways report, as the Admin API shows it: data planes, and the health of targets.

import Bytes
import HTTPTypes
import Model
import Snapshot
import Store

/// Reports of gateways, taken together.
enum GatewayHealth {
    /// The newest report; nil: none, or one that cannot be read.
    static func report(_ gateway: GatewayRecord) -> GatewayReport? {
        guard !gateway.report.isEmpty, gateway.revokedAt == 0 else { return nil }
        return gateway.report.withBytes { try? GatewayReport(wire: $0) }
    }

    static func name(_ state: TargetReport.State) -> String {
        switch state {
        case .healthy: "HEALTHY"
        case .unhealthy: "UNHEALTHY"
        case .dnsError: "DNS_ERROR"
        case .unchecked: "HEALTHCHECKS_OFF"
        }
    }

    /// What all gateways say of one target: healthy if anybody can use it.
    static func together(_ states: [TargetReport.State]) -> TargetReport.State {
        if states.contains(.healthy) { return .healthy }
        if states.contains(.unhealthy) { return .unhealthy }
        return states.contains(.dnsError) ? .dnsError : .unchecked
    }
}

extension AdminAPI {
    private static let targetsOf = Nesting(parent: .upstreams, child: .targets, field: "upstream")

    /// `/upstreams/{upstream}/health`: each target with what the gateways see of it.
    func upstreamHealth(_ request: AdminRequest) async throws(AdminFault) -> AdminAnswer {
        let entities = Entities(catalog: workspace.catalog, author: request.author)
        let upstream = try entities.parent(Self.targetsOf, request.first)
        let paging = try Paging(request.query)
        let reports = await gateways().compactMap { gateway in
            GatewayHealth.report(gateway).map { (gateway: gateway.name, targets: $0.targets) }
        }
        let targets = entities.children(Self.targetsOf, of: upstream.key.id)
        if request.query["balancer_health"] == "1" { return balancerHealth(upstream, reports.flatMap(\.targets)) }
        let (page, last) = paging.page(targets) { entities.isReadable($0) }
        let rows = page.map { target -> ConfigValue in
            let seen = reports.flatMap { report in
                report.targets.filter { Identifier($0.target) == target.key.id }.map { (report.gateway, $0) }
            }
            let spec = SpecValue.of(target)
            var row = spec
            row.set("health", .string(GatewayHealth.name(GatewayHealth.together(seen.map(\.1.state)))))
            row.set(
                "data",
                .record([
                    .init(
                        "addresses",
                        .array(seen.filter { !$0.1.address.isEmpty }.map { Self.address($0.0, $0.1, spec["weight"]) }))
                ]))
            return row
        }
        var entries: [ConfigValue.Entry] = [
            .init("data", .array(rows)),
            .init("next", .null),
            .init("node_id", .string(options.nodeID.description)),
        ]
        if let last {
            let offset = Paging.offset(last)
            entries[1].value = .string("/upstreams/\(PercentCoding.encode(request.first))/health?offset=\(offset)")
            entries.append(.init("offset", .string(offset)))
        }
        return AdminAnswer(.ok, .record(entries))
    }

    private static func address(_ gateway: String, _ report: TargetReport, _ weight: ConfigValue) -> ConfigValue {
        let colon = report.address.lastIndex(of: ":")
        let port = colon.flatMap { Int(report.address[report.address.index(after: $0)...]) }
        return .record([
            .init("ip", .string(colon.map { String(report.address[..<$0]) } ?? report.address)),
            .init("port", port.map { .int($0) } ?? .null),
            .init("health", .string(GatewayHealth.name(report.state))),
            .init("weight", weight),
            .init("gateway", .string(gateway)),
        ])
    }

    private func balancerHealth(_ upstream: Resource, _ reports: [TargetReport]) -> AdminAnswer {
        let own = reports.filter { Identifier($0.upstream) == upstream.key.id }
        let state = GatewayHealth.together(own.map(\.state))
        return AdminAnswer(
            .ok,
            .record([
                .init(
                    "data",
                    .record([
                        .init("health", .string(GatewayHealth.name(state))),
                        .init("id", .string(upstream.key.id.description)),
                    ])),
                .init("next", .null),
                .init("node_id", .string(options.nodeID.description)),
            ]))
    }

    /// Gateways decide this by their checks; nobody can tell them.
    func targetHealth(_ request: AdminRequest) throws(AdminFault) -> AdminAnswer {
        let entities = Entities(catalog: workspace.catalog, author: request.author)
        let upstream = try entities.parent(Self.targetsOf, request.first)
        let target = request.parameters.count > 1 ? request.parameters[1] : ""
        _ = try entities.readable(.targets, target, within: (Self.targetsOf, upstream.key.id))
        throw KongError.operationUnsupported.fault(
            "gateways judge targets by their health checks; to take a target out, set its weight to 0")
    }

    // MARK: Data planes

    func dataPlanes(_ request: AdminRequest) async throws(AdminFault) -> AdminAnswer {
        let paging = try Paging(request.query)
        let revision = workspace.catalog.revision
        let all = await gateways().filter { $0.revokedAt == 0 }.sorted { $0.id < $1.id }
        let rest = all.filter { gateway in paging.after.map { gateway.id > $0 } ?? true }
        let page = rest.prefix(paging.size)
        var entries: [ConfigValue.Entry] = [
            .init("data", .array(page.map { Self.dataPlane($0, revision) })), .init("next", .null),
        ]
        if page.count < rest.count, let last = page.last {
            let offset = Paging.offset(last.id)
            entries[1].value = .string("/clustering/data-planes?offset=\(offset)")
            entries.append(.init("offset", .string(offset)))
        }
        return AdminAnswer(.ok, .record(entries))
    }

    /// By id, as older clients read it.
    func clusteringStatus() async -> AdminAnswer {
        let revision = workspace.catalog.revision
        let all = await gateways().filter { $0.revokedAt == 0 }.sorted { $0.id < $1.id }
        return AdminAnswer(.ok, .record(all.map { .init($0.id.description, Self.dataPlane($0, revision)) }))
    }

    private static func dataPlane(_ gateway: GatewayRecord, _ revision: UInt64) -> ConfigValue {
        let labels = gateway.labels.sorted { $0.key < $1.key }.map { ConfigValue.Entry($0.key, .string($0.value)) }
        let expiry = gateway.certificateExpiresAt / 1000
        return .record([
            .init("id", .string(gateway.id.description)),
            .init("hostname", .string(gateway.name)),
            .init("ip", .string(gateway.address)),
            .init("version", .string(gateway.version)),
            .init("last_seen", .int(Int(gateway.lastSeenAt / 1000))),
            .init("config_hash", .string(hash(of: gateway.revision))),
            .init("sync_status", .string(gateway.revision == revision ? "normal" : "unknown")),
            .init("labels", .record(labels)),
            .init("cert_details", .record(expiry > 0 ? [.init("expiry_timestamp", .int(Int(expiry)))] : [])),
            .init("rpc_capabilities", .array([])),
            .init("revision", .int(Int(clamping: gateway.revision))),
            .init(
                "rejected_revision",
                gateway.rejectedRevision == 0 ? .null : .int(Int(clamping: gateway.rejectedRevision))),
            .init("rejected_entity", gateway.rejectedRevision == 0 ? .null : .string(gateway.rejectedEntity)),
            .init("rejected_reason", gateway.rejectedRevision == 0 ? .null : .string(gateway.rejectedReason)),
        ])
    }
}

extension Identifier {
    init(_ id: ID) { self.init(high: id.high, low: id.low) }
}
