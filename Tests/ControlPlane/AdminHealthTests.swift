// What gateways report, as the Admin API shows it.

@testable import ControlPlane
import Foundation
import Model
import Snapshot
import Store
import Testing

@Suite("admin health")
struct AdminHealthTests {
    /// An Admin API whose gateways are those given, over an upstream `up` with the target `10.0.0.1:80`.
    static func api(_ gateways: @escaping @Sendable (_ upstream: Identifier, _ target: Identifier) -> [GatewayRecord])
        async throws -> AdminAPI
    {
        let (workspace, store) = try await WorkspaceTests.make()
        _ = try await WorkspaceTests.put(workspace, .upstreams, #"{"name": "up"}"#)
        let upstream = try #require(workspace.catalog.resource(type: "upstreams", named: "up")).key.id
        _ = try await WorkspaceTests.put(
            workspace, .targets, #"{"target": "10.0.0.1:80", "upstream": {"id": "\#(upstream)"}}"#)
        let target = try #require(workspace.catalog.all("targets").first).key.id
        let authenticator = Authenticator(
            store: store, audit: AuditLog(store: store), role: { _ in nil }, clock: { 1_700_000_000_000 })
        return AdminAPI(
            workspace: workspace, store: store, authenticator: authenticator, hosts: .any,
            gateways: { gateways(upstream, target) },
            options: AdminAPI.Options(nodeID: Identifier(high: 1, low: 1), hostname: "here"))
    }

    static func gateway(
        _ name: String, _ upstream: Identifier, _ target: Identifier, _ state: TargetReport.State, requests: UInt64 = 0
    ) -> GatewayRecord {
        var record = GatewayRecord(id: Identifier(high: 2, low: UInt64(name.utf8.count)), name: name)
        var row = TargetReport()
        row.upstream = ID(high: upstream.high, low: upstream.low)
        row.target = ID(high: target.high, low: target.low)
        row.address = "10.0.0.1:80"
        row.state = state
        var report = GatewayReport()
        report.requests = requests
        report.targets = [row]
        record.report = report.wire
        return record
    }

    static func ask(_ api: AdminAPI, _ action: AdminAction, _ parameters: [String] = []) async throws -> ConfigValue {
        let request = AdminRequest(
            author: WorkspaceTests.admin, parameters: parameters, segments: parameters, query: [:])
        return try ConfigValue(json: try #require(try await api.perform(action, request).body))
    }

    @Test(
        "a target is as healthy as the gateway that sees it best",
        arguments: [
            ([TargetReport.State.healthy, .unhealthy], "HEALTHY"), ([.unhealthy, .dnsError], "UNHEALTHY"),
            ([.dnsError, .unchecked], "DNS_ERROR"), ([.unchecked], "HEALTHCHECKS_OFF"), ([], "HEALTHCHECKS_OFF"),
        ])
    func health(_ states: [TargetReport.State], _ expected: String) async throws {
        let api = try await Self.api { upstream, target in
            states.enumerated().map { index, state in
                Self.gateway(String(repeating: "g", count: index + 1), upstream, target, state)
            }
        }
        let body = try await Self.ask(api, .upstreamHealth, ["up"])
        let row = try #require(body["data"].array?.first)
        #expect(row["health"].string == expected)
        #expect(row["target"].string == "10.0.0.1:80")
        let addresses = row["data"]["addresses"].array ?? []
        #expect(addresses.compactMap { $0["ip"].string } == states.map { _ in "10.0.0.1" })
        #expect(addresses.compactMap { $0["port"].int } == states.map { _ in 80 })
    }

    @Test("a report that cannot be read, and a revoked gateway, say nothing")
    func unreadable() async throws {
        let api = try await Self.api { upstream, target in
            var damaged = Self.gateway("a", upstream, target, .unhealthy)
            damaged.report = [0xFF, 0xFF]
            var revoked = Self.gateway("bb", upstream, target, .unhealthy)
            revoked.revokedAt = 1
            return [damaged, revoked]
        }
        let body = try await Self.ask(api, .upstreamHealth, ["up"])
        #expect(body["data"].array?.first?["health"].string == "HEALTHCHECKS_OFF")
        let planes = try await Self.ask(api, .dataPlanes)
        #expect(planes["data"].array?.compactMap { $0["hostname"].string } == ["a"])
    }

    @Test("status adds up what gateways report, without overflow")
    func status() async throws {
        let api = try await Self.api { upstream, target in
            [
                Self.gateway("a", upstream, target, .healthy, requests: 3),
                Self.gateway("bb", upstream, target, .healthy, requests: UInt64(Int.max)),
            ]
        }
        let body = try await Self.ask(api, .status)
        #expect(body["server"]["total_requests"].int == Int.max)
        #expect(body["database"]["reachable"].bool == true)
    }

    @Test("a data plane tells its revision and what it rejected")
    func dataPlanes() async throws {
        let api = try await Self.api { _, _ in
            var record = GatewayRecord(id: Identifier(high: 2, low: 1), name: "g", labels: ["zone": "eu"])
            record.revision = 2
            record.rejectedRevision = 1
            record.rejectedEntity = "route \"x\""
            record.rejectedReason = "no"
            return [record]
        }
        let row = try #require(try await Self.ask(api, .dataPlanes)["data"].array?.first)
        #expect(row["sync_status"].string == "normal")
        #expect(row["config_hash"].string == "00000000000000000000000000000002")
        #expect(row["rejected_reason"].string == "no")
        #expect(row["labels"]["zone"].string == "eu")
    }
}
