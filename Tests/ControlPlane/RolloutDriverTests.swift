// Staged rollouts from their beginning to their end, with gateways that answer at the hub's door.

import Model
import Snapshot
import Store
import Synchronization
import Testing

@testable import ControlPlane

@Suite struct RolloutDriverTests {
    /// Publishes what it commits and restores, as a workspace does.
    private final class Keeper: RevisionKeeper {
        let hub: GatewayHub
        let source: FakeSource
        private let head = Mutex<UInt64>(0)

        init(_ hub: GatewayHub, _ source: FakeSource) {
            self.hub = hub
            self.source = source
        }

        var newest: UInt64 { head.withLock { $0 } }

        func restore(_ revision: UInt64, message: String) async throws {
            await commit(try await source.model(at: revision))
        }

        func commit(_ model: GatewayModel) async {
            let next = head.withLock { head -> UInt64 in
                head += 1
                return head
            }
            source.publish(next, model)
            await hub.take(PublishedModel(revision: next, model: model))
        }
    }

    /// A gateway's stream without the network.
    private struct Gateway: Sendable {
        let hub: GatewayHub
        let handle: StreamHandle

        /// What it is sent next; nil: nothing.
        func take() async throws -> (revision: UInt64, message: Editions.Message)? {
            guard case .send(let base, let key) = hub.next(handle) else { return nil }
            let message = try await hub.editions.message(from: base, to: key)
            hub.sent(handle, key, message)
            return (key.revision, message)
        }

        func apply(_ revision: UInt64) {
            var message = GatewayMessage()
            message.applied = GatewayApplied()
            message.applied?.revision = revision
            hub.received(message, on: handle)
        }

        func reject(_ revision: UInt64) {
            var message = GatewayMessage()
            message.rejected = GatewayRejected()
            message.rejected?.revision = revision
            message.rejected?.entity = "route \"route-1\""
            message.rejected?.reason = "it does not please"
            hub.received(message, on: handle)
        }
    }

    private struct Fleet: Sendable {
        let store: SQLiteStore
        let keeper: Keeper
        let driver: RolloutDriver
        let canary: Gateway
        let other: Gateway
    }

    private let ada = Author(name: "ada", source: "apply", permissions: [Permission()])

    /// Two gateways, in `eu` and `us`, that have revision 1.
    private func makeFleet() async throws -> Fleet {
        let store = try SQLiteStore.temporary()
        try await store.migrate()
        let source = FakeSource()
        let hub = GatewayHub(source: source, store: store)
        var gateways: [Gateway] = []
        let records = [("canary", "eu"), ("other", "us")].map { name, zone in
            GatewayRecord(id: Identifier.random(), name: name, labels: ["zone": zone])
        }
        for record in records { try await store.save(record) }
        try await hub.start()
        let keeper = Keeper(hub, source)
        await keeper.commit(.services(2))
        for record in records {
            let handle = await hub.open(record, hello: GatewayHello(), labels: record.labels)
            let gateway = Gateway(hub: hub, handle: try #require(handle))
            let first = try await gateway.take()
            #expect(first?.revision == 1)
            gateway.apply(1)
            gateways.append(gateway)
        }
        var rules = RolloutRules()
        rules.watch = 0
        let driver = RolloutDriver(store: store, hub: hub, keeper: keeper, rules: rules, holder: "cp-1")
        return Fleet(store: store, keeper: keeper, driver: driver, canary: gateways[0], other: gateways[1])
    }

    /// A rollout of revision 2 to the canary.
    private func begin(_ fleet: Fleet) async throws -> Identifier {
        let id = try await fleet.driver.prepare(labels: ["zone": "eu"], base: 1, by: ada)
        await fleet.keeper.commit(.services(3))
        try await fleet.driver.start(id, revision: 2)
        return id
    }

    @Test("a good revision reaches the canary first, and all after its acknowledgement")
    func promoted() async throws {
        let fleet = try await makeFleet()
        _ = try await begin(fleet)
        let early = try await fleet.other.take()
        #expect(early == nil)
        let sent = try await fleet.canary.take()
        #expect(sent?.revision == 2)
        fleet.canary.apply(2)
        for _ in 0..<3 { await fleet.driver.turn() }
        let state = await fleet.driver.rollouts().first?.state
        #expect(state == "promoted")
        let late = try await fleet.other.take()
        #expect(late?.revision == 2)
    }

    @Test("a rejected revision is undone, and the others never see it")
    func reverted() async throws {
        let fleet = try await makeFleet()
        _ = try await begin(fleet)
        _ = try await fleet.canary.take()
        fleet.canary.reject(2)
        await fleet.driver.turn()
        let rollout = try #require(await fleet.driver.rollouts().first)
        #expect(rollout.state == "reverted")
        #expect(rollout.reason == "gateway canary rejected it: route \"route-1\": it does not please")
        let undone = try await fleet.canary.take()
        #expect(undone?.revision == 3)
        let number = try #require(try await fleet.other.take())
        #expect(number.revision == 3)
        // A number and no change.
        #expect(!number.message.isFull && number.message.bytes.count < 20)
    }

    @Test("a person may promote before the watch ends, and only one rollout runs at a time")
    func manual() async throws {
        let fleet = try await makeFleet()
        let id = try await begin(fleet)
        await #expect(throws: ChangeError.self) {
            try await fleet.driver.prepare(labels: ["zone": "us"], base: 2, by: ada)
        }
        try await fleet.driver.promote(id, by: ada)
        let late = try await fleet.other.take()
        #expect(late?.revision == 2)
        await #expect(throws: ChangeError.self) { try await fleet.driver.revert(id, by: ada) }
    }

    @Test("a change that did not happen leaves no rollout")
    func forgotten() async throws {
        let fleet = try await makeFleet()
        let id = try await fleet.driver.prepare(labels: ["zone": "eu"], base: 1, by: ada)
        try await fleet.driver.start(id, revision: nil)
        let rollouts = await fleet.driver.rollouts()
        #expect(rollouts.isEmpty)
        _ = try await fleet.driver.prepare(labels: ["zone": "eu"], base: 1, by: ada)
    }

    @Test("one control plane leads; when it is gone another one does")
    func leading() async throws {
        let fleet = try await makeFleet()
        let second = RolloutDriver(store: fleet.store, hub: fleet.canary.hub, keeper: fleet.keeper, holder: "cp-2")
        await fleet.driver.turn()
        await second.turn()
        #expect(fleet.driver.isLeading && !second.isLeading)
        try await fleet.store.release("leader", holder: "cp-1")
        await second.turn()
        #expect(second.isLeading)
        await fleet.driver.turn()
        #expect(!fleet.driver.isLeading)
    }
}
