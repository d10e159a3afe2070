// Staged rollouts from their beginning to their end, with gateways on real streams.

import Authority
import Model
import Snapshot
import Store
import Synchronization
import Testing

@testable import ControlPlane

@Suite(.serialized) struct RolloutDriverTests {
    /// Publishes what it restores, as a workspace does.
    private final class Keeper: RevisionKeeper {
        let source: FakeSource
        let head: Mutex<UInt64>

        init(_ source: FakeSource, head: UInt64) {
            self.source = source
            self.head = Mutex(head)
        }

        var newest: UInt64 { head.withLock { $0 } }

        func restore(_ revision: UInt64, message: String) async throws {
            commit(try await source.model(at: revision))
        }

        func commit(_ model: GatewayModel) {
            let next = head.withLock { head in
                head += 1
                return head
            }
            source.publish(next, model)
        }
    }

    private let ada = Author(name: "ada", source: "apply", permissions: [Permission()])

    private func withRollout(
        _ body:
            @escaping @Sendable (
                StreamFixture, RolloutDriver, _ canary: inout GatewayStream, _ other: inout GatewayStream, Identifier
            ) async throws -> Void
    ) async throws {
        let ada = ada
        try await StreamFixture.with { fixture in
            fixture.source.publish(1, .services(2))
            let keeper = Keeper(fixture.source, head: 1)
            var rules = RolloutRules()
            rules.watch = 0
            let driver = RolloutDriver(
                store: fixture.store, hub: fixture.hub, keeper: keeper, rules: rules, holder: "cp-1")
            let (first, _) = try await fixture.joined(name: "canary", labels: ["zone=eu"])
            let (second, _) = try await fixture.joined(name: "other", labels: ["zone=us"])
            var (eu, us) = (GatewayHello(), GatewayHello())
            eu.labels = ["zone=eu"]
            us.labels = ["zone=us"]
            let (europe, states) = (eu, us)
            try await fixture.withStream(first, hello: europe) { canary in
                #expect(try await canary.take() == 1)
                canary.apply(1)
                nonisolated(unsafe) var outer = canary
                try await fixture.withStream(second, hello: states) { other in
                    #expect(try await other.take() == 1)
                    other.apply(1)
                    try await until { fixture.hub.gateways().allSatisfy { $0.record.revision == 1 } }
                    let id = try await driver.prepare(labels: ["zone": "eu"], base: 1, by: ada)
                    keeper.commit(.services(3))
                    try await driver.start(id, revision: 2)
                    #expect(try await unsafe outer.take() == 2)
                    try await unsafe body(fixture, driver, &outer, &other, id)
                }
            }
        }
    }

    @Test("a good revision reaches the canary first, and all after its acknowledgement")
    func promoted() async throws {
        try await withRollout { fixture, driver, canary, other, _ in
            await driver.turn()
            #expect(fixture.hub.gateways().first { $0.record.name == "other" }?.targetRevision == 1)
            canary.apply(2)
            try await until {
                await driver.turn()
                return await driver.rollouts().first?.state == "promoted"
            }
            #expect(try await other.take() == 2)
            #expect(other.tables.routes.count == 3)
        }
    }

    @Test("a rejected revision is undone, and the others never see it")
    func reverted() async throws {
        try await withRollout { fixture, driver, canary, other, _ in
            let before = other.tables
            canary.reject(2)
            canary.revision = 1
            try await until {
                await driver.turn()
                return await driver.rollouts().first?.state == "reverted"
            }
            #expect(await driver.rollouts().first?.reason.contains("gateway canary rejected it") == true)
            #expect(try await canary.take() == 3)
            #expect(try await other.take() == 3)
            #expect(SnapshotDelta.digest(other.tables) == SnapshotDelta.digest(before))
        }
    }

    @Test("a person may promote before the watch ends, and only one rollout runs at a time")
    func manual() async throws {
        let ada = ada
        try await withRollout { fixture, driver, canary, other, id in
            await #expect(throws: ChangeError.self) {
                try await driver.prepare(labels: ["zone": "us"], base: 2, by: ada)
            }
            try await driver.promote(id, by: ada)
            #expect(try await other.take() == 2)
            #expect(await driver.rollouts().first?.state == "promoted")
            await #expect(throws: ChangeError.self) { try await driver.revert(id, by: ada) }
        }
    }

    @Test("a change that did not happen leaves no rollout")
    func forgotten() async throws {
        let ada = ada
        try await StreamFixture.with { fixture in
            let driver = RolloutDriver(
                store: fixture.store, hub: fixture.hub, keeper: Keeper(fixture.source, head: 1), holder: "cp-1")
            let id = try await driver.prepare(labels: ["zone": "eu"], base: 1, by: ada)
            try await driver.start(id, revision: nil)
            #expect(await driver.rollouts().isEmpty)
            _ = try await driver.prepare(labels: ["zone": "eu"], base: 1, by: ada)
        }
    }

    @Test("one control plane leads; when it is gone another one does")
    func leading() async throws {
        try await StreamFixture.with { fixture in
            let keeper = Keeper(fixture.source, head: 0)
            let first = RolloutDriver(store: fixture.store, hub: fixture.hub, keeper: keeper, holder: "cp-1")
            let second = RolloutDriver(store: fixture.store, hub: fixture.hub, keeper: keeper, holder: "cp-2")
            await first.turn()
            await second.turn()
            #expect(first.isLeading && !second.isLeading)
            try await fixture.store.release("leader", holder: "cp-1")
            await second.turn()
            #expect(second.isLeading)
            await first.turn()
            #expect(!first.isLeading)
        }
    }
}
