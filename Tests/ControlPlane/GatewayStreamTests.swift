// The stream to gateways, over real gRPC and TLS.

import Authority
import GRPCCore
import Model
import Snapshot
import Store
import Testing

@testable import ControlPlane

@Suite(.serialized) struct GatewayStreamTests {
    @Test("a gateway joins, gets everything, then what changes, and its state is known")
    func fullThenDelta() async throws {
        try await StreamFixture.with { fixture in
            fixture.source.publish(1, .services(20))
            let (keys, credentials) = try await fixture.joined(labels: ["zone=eu"])
            var hello = GatewayHello()
            hello.labels = ["zone=eu"]
            hello.workers = 2
            try await fixture.withStream(keys, hello: hello) { stream in
                #expect(try await stream.take() == 1)
                #expect(stream.fulls == 1)
                #expect(stream.tables.routes.count == 20)
                stream.apply(1)
                stream.report(7)
                let id = Identifier(credentials.gateway)
                try await until { fixture.hub.gateway(id)?.record.revision == 1 }
                fixture.source.publish(2, .services(21))
                #expect(try await stream.take() == 2)
                #expect(stream.deltas == 1)
                #expect(stream.tables.routes.count == 21)
                stream.apply(2)
                try await until { fixture.hub.gateway(id)?.isCurrent == true }
                let status = try #require(fixture.hub.gateway(id))
                #expect(status.isHere && status.isConnected && status.workers == 2)
                #expect(status.record.name == "gw-1" && status.record.labels == ["zone": "eu"])
                #expect(status.report?.requests == 7)
            }
            try await until { fixture.hub.gateways().first?.isConnected == false }
        }
    }

    @Test("a rejection is known with its entity and reason; later revisions build on what was applied")
    func rejection() async throws {
        try await StreamFixture.with { fixture in
            fixture.source.publish(1, .services(3))
            let (keys, _) = try await fixture.joined()
            try await fixture.withStream(keys, hello: GatewayHello()) { stream in
                _ = try await stream.take()
                stream.apply(1)
                try await until { fixture.hub.gateways().first?.record.revision == 1 }
                let applied = stream
                fixture.source.publish(2, .services(4))
                #expect(try await stream.take() == 2)
                stream.reject(2)
                try await until { fixture.hub.gateways().first?.record.rejectedRevision == 2 }
                let record = try #require(fixture.hub.gateways().first?.record)
                #expect(record.rejectedEntity == "route \"route-1\"" && record.rejectedReason == "it does not please")
                #expect(record.revision == 1)
                stream.tables = applied.tables
                stream.revision = 1
                fixture.source.publish(3, .services(5))
                #expect(try await stream.take() == 3)
                #expect(stream.tables.routes.count == 5)
                stream.apply(3)
                try await until { fixture.hub.gateways().first?.record.rejectedRevision == 0 }
            }
        }
    }

    @Test("a gateway that comes back with a revision that is known is sent what changed since")
    func comesBack() async throws {
        try await StreamFixture.with { fixture in
            fixture.source.publish(1, .services(3))
            let (keys, _) = try await fixture.joined()
            var hello = GatewayHello()
            var tables = Snapshot()
            try await fixture.withStream(keys, hello: hello) { stream in
                _ = try await stream.take()
                stream.apply(1)
            }
            tables = GatewayCompilerResult.tables(.services(3))
            fixture.source.publish(2, .services(4))
            hello.revision = 1
            hello.digest = SnapshotDelta.digest(tables)
            let (known, before) = (hello, tables)
            try await fixture.withStream(keys, hello: known) { stream in
                stream.tables = before
                stream.revision = 1
                let revision = try await stream.take()
                #expect(revision == 2)
                #expect(stream.deltas == 1 && stream.tables.routes.count == 4)
            }
            var wrong = known
            wrong.digest ^= 1
            let other = wrong
            try await fixture.withStream(keys, hello: other) { stream in
                let revision = try await stream.take()
                #expect(revision == 2)
                #expect(stream.fulls == 1)
            }
        }
    }

    @Test("a revoked gateway is told so and cut off within a second, and not let in again")
    func revocation() async throws {
        try await StreamFixture.with { fixture in
            fixture.source.publish(1, .services(1))
            let (keys, credentials) = try await fixture.joined()
            try await fixture.withStream(keys, hello: GatewayHello()) { stream in
                _ = try await stream.take()
                stream.apply(1)
                // As another control plane does it: by the store alone.
                var record = try #require(try await fixture.store.gateways().first)
                record.revokedAt = Clock.now()
                let began = ContinuousClock.now
                try await fixture.store.save(record)
                let message = try await stream.next()
                #expect(message?.farewell?.isRevoked == true)
                await #expect(throws: RPCError.self) { while try await stream.next() != nil {} }
                #expect(ContinuousClock.now - began < .seconds(1))
            }
            await expectRefusal(.permissionDenied) {
                try await fixture.withStream(keys, hello: GatewayHello()) { _ = try await $0.next() }
            }
            await expectRefusal(.permissionDenied) { _ = try await fixture.renew(keys, for: keys) }
            await expectRefusal(.permissionDenied) {
                _ = try await fixture.join(GatewayKeys.selfSigned(), gateway: credentials.gateway)
            }
        }
    }

    @Test("a stream needs a certificate of the authority")
    func strangers() async throws {
        try await StreamFixture.with { fixture in
            let stranger = try GatewayKeys.selfSigned()
            await expectRefusal(.unauthenticated) {
                try await fixture.withStream(stranger, hello: GatewayHello()) { _ = try await $0.next() }
            }
            await expectRefusal(.unauthenticated) { _ = try await fixture.renew(stranger, for: stranger) }
            let denied = try await fixture.store.audit(
                {
                    var query = AuditQuery()
                    query.outcome = "denied"
                    return query
                }())
            #expect(denied.count == 2)
        }
    }

    @Test("a new certificate is for a new key and the same gateway")
    func renewal() async throws {
        try await StreamFixture.with { fixture in
            fixture.source.publish(1, .services(1))
            let (keys, first) = try await fixture.joined()
            var next = try GatewayKeys.selfSigned()
            let second = try await fixture.renew(keys, for: next)
            #expect(second.gateway == first.gateway && second.certificate != first.certificate)
            next.certificate = second.certificate
            try await fixture.withStream(next, hello: GatewayHello()) { stream in
                let revision = try await stream.take()
                #expect(revision == 1)
            }
        }
    }

    @Test("join tokens that are unknown, expired, revoked or for something else are refused")
    func tokens() async throws {
        try await StreamFixture.with { fixture in
            let keys = try GatewayKeys.selfSigned()
            await expectRefusal(.unauthenticated) { _ = try await fixture.join(keys, token: "nonsense") }
            await expectRefusal(.unauthenticated) { _ = try await fixture.join(keys, token: TokenSecret.make().text) }
            let expired = TokenSecret.make()
            try await fixture.store.add(StreamFixture.record(expired, name: "expired", expiresAt: Clock.now() - 1))
            await expectRefusal(.unauthenticated) { _ = try await fixture.join(keys, token: expired.text) }
            let revoked = TokenSecret.make()
            var record = StreamFixture.record(revoked, name: "revoked")
            try await fixture.store.add(record)
            record.revokedAt = Clock.now()
            try await fixture.store.update(record)
            await expectRefusal(.unauthenticated) { _ = try await fixture.join(keys, token: revoked.text) }
            let admin = TokenSecret.make()
            try await fixture.store.add(StreamFixture.record(admin, name: "admin", roles: ["admin"]))
            await expectRefusal(.permissionDenied) { _ = try await fixture.join(keys, token: admin.text) }
            #expect(try await fixture.store.gateways().isEmpty)
        }
    }

    @Test("a token's labels are forced on the gateway")
    func forcedLabels() async throws {
        try await StreamFixture.with { fixture in
            fixture.source.publish(1, .services(1))
            let secret = TokenSecret.make()
            try await fixture.store.add(StreamFixture.record(secret, name: "eu", labels: ["zone": "eu"]))
            let own = try GatewayKeys.selfSigned()
            await expectRefusal(.permissionDenied) {
                _ = try await fixture.join(own, token: secret.text, labels: ["zone=us"])
            }
            var keys = own
            keys.certificate = try await fixture.join(keys, token: secret.text, labels: ["rack=1"]).certificate
            var hello = GatewayHello()
            hello.labels = ["rack=2", "zone=us"]
            let lie = hello
            try await fixture.withStream(keys, hello: lie) { stream in
                _ = try await stream.take()
                #expect(fixture.hub.gateways().first?.record.labels == ["rack": "2", "zone": "eu"])
            }
        }
    }

    @Test("guessing tokens is stopped, for the address that guesses")
    func guessing() async throws {
        var options = StreamOptions()
        options.failedJoinsPerMinute = 3
        try await StreamFixture.with(options) { fixture in
            let keys = try GatewayKeys.selfSigned()
            var codes: [RPCError.Code] = []
            for _ in 0..<5 {
                do {
                    _ = try await fixture.join(keys, token: TokenSecret.make().text)
                } catch let error as RPCError {
                    codes.append(error.code)
                }
            }
            #expect(codes.filter { $0 == .unauthenticated }.count >= 3)
            #expect(codes.last == .resourceExhausted || codes[3] == .resourceExhausted)
        }
    }

    @Test("a second stream of a gateway ends the first")
    func twoStreams() async throws {
        try await StreamFixture.with { fixture in
            fixture.source.publish(1, .services(1))
            let (keys, _) = try await fixture.joined()
            try await fixture.withStream(keys, hello: GatewayHello()) { first in
                _ = try await first.take()
                first.apply(1)
                try await fixture.withStream(keys, hello: GatewayHello()) { second in
                    let revision = try await second.take()
                    #expect(revision == 1)
                }
                #expect(try await first.next()?.farewell != nil)
            }
        }
    }

    @Test("streams are limited, and one without a hello ends")
    func limits() async throws {
        var options = StreamOptions()
        options.streamsMax = 1
        options.helloTimeout = 1
        try await StreamFixture.with(options) { fixture in
            fixture.source.publish(1, .services(1))
            let (keys, _) = try await fixture.joined()
            let (others, _) = try await fixture.joined(name: "gw-2")
            try await fixture.withStream(keys, hello: GatewayHello()) { stream in
                _ = try await stream.take()
                await expectRefusal(.resourceExhausted) {
                    try await fixture.withStream(others, hello: GatewayHello()) { _ = try await $0.next() }
                }
                await expectRefusal(.deadlineExceeded) {
                    try await fixture.withStream(others, hello: nil) { _ = try await $0.next() }
                }
            }
        }
    }

    private func expectRefusal(
        _ code: RPCError.Code, _ location: SourceLocation = #_sourceLocation, _ body: @Sendable () async throws -> Void
    ) async {
        do {
            try await body()
            Issue.record("not refused", sourceLocation: location)
        } catch let error as RPCError {
            #expect(error.code == code, "\(error)", sourceLocation: location)
        } catch {
            Issue.record(error, sourceLocation: location)
        }
    }
}
