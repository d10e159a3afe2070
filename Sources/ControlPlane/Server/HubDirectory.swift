// The hub of streams as the Resource API sees it: gateways, their revocation, rollouts.

internal import Model
internal import Snapshot
internal import Store

struct HubDirectory: GatewayDirectory {
    let hub: GatewayHub
    let driver: RolloutDriver
    let audit: AuditLog
    let clock: @Sendable () -> Int64

    func gateways() async -> [GatewayView] {
        hub.gateways().map { status in
            let record = status.record
            var view = GatewayView(id: record.id, name: record.name)
            view.labels = record.labels
            view.address = record.address
            view.version = record.version
            view.isConnected = status.isConnected
            view.controlPlane = record.controlPlane
            view.joinedAt = record.joinedAt
            view.lastSeenAt = record.lastSeenAt
            view.revokedAt = record.revokedAt
            view.certificateExpiresAt = record.certificateExpiresAt
            view.revision = record.revision
            view.rejectedRevision = record.rejectedRevision
            view.rejectedEntity = record.rejectedEntity
            view.rejectedReason = record.rejectedReason
            view.report = status.report.map { Self.value($0, status) } ?? .null
            return view
        }
    }

    private static func value(_ report: GatewayReport, _ status: GatewayStatus) -> ConfigValue {
        .object([
            "requests": .number(report.requests), "errors": .number(report.errors),
            "connections": .int(report.connections),
            "latencyBounds": .array(report.latencyBounds.map { .int($0) }),
            "latencyCounts": .array(report.latencyCounts.map { .int($0) }),
            "residentBytes": .number(report.residentBytes), "startedAt": .moment(Int64(report.startedAt)),
            "workers": .int(status.workers), "applyMicroseconds": .int(status.applyMicroseconds),
            "targets": .array(report.targets.map(value)),
        ])
    }

    private static func value(_ target: TargetReport) -> ConfigValue {
        let state =
            switch target.state {
            case .healthy: "healthy"
            case .unhealthy: "unhealthy"
            case .dnsError: "dns_error"
            case .unchecked: "unchecked"
            }
        return .object([
            "upstream": .string(Identifier(target.upstream).description),
            "target": .string(Identifier(target.target).description), "address": .string(target.address),
            "state": .string(state),
        ])
    }

    func revoke(_ id: Identifier, by author: Author) async throws(ChangeError) {
        let name = hub.gateway(id)?.record.name ?? id.description
        do throws(StoreError) {
            // First the trail, then the deed: what cannot be recorded does not happen.
            try await audit.record(
                AuditRecord(
                    time: clock(), actor: author.name, address: author.address, action: "gateway.revoke",
                    target: "gateways/\(name)", outcome: "allowed"))
            guard try await hub.revoke(id) else { throw StoreError.notFound }
        } catch {
            if error == .notFound { throw .notFound(type: "gateways", name: name) }
            throw .store(error)
        }
    }

    func rollouts() async -> [RolloutStatus] { await driver.rollouts() }

    func prepareRollout(
        labels: [String: String], base: UInt64, by author: Author
    ) async throws(ChangeError) -> Identifier {
        try await driver.prepare(labels: labels, base: base, by: author)
    }

    func startRollout(_ id: Identifier, revision: UInt64?) async throws(ChangeError) {
        try await driver.start(id, revision: revision)
    }

    func promote(_ id: Identifier, by author: Author) async throws(ChangeError) {
        try await driver.promote(id, by: author)
    }

    func revert(_ id: Identifier, by author: Author) async throws(ChangeError) {
        try await driver.revert(id, by: author)
    }

    func events() -> AsyncStream<GatewayEvent> {
        let (gateways, rollouts) = (hub.changes(), driver.changes())
        let (stream, continuation) = AsyncStream.makeStream(
            of: GatewayEvent.self, bufferingPolicy: .bufferingNewest(64))
        let pumps = [
            Task { for await id in gateways { continuation.yield(.gateway(id)) } },
            Task { for await id in rollouts { continuation.yield(.rollout(id)) } },
        ]
        continuation.onTermination = { _ in for pump in pumps { pump.cancel() } }
        return stream
    }
}
