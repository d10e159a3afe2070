// Whether a rollout goes on, is good, or has failed.

import Model
import Snapshot
import Store
import Testing

@testable import ControlPlane

@Suite struct RolloutJudgeTests {
    private let eu = Identifier(high: 1, low: 1)
    private let us = Identifier(high: 1, low: 2)

    private func rollout(_ gateways: [Identifier] = []) -> Rollout {
        var rollout = Rollout(
            id: Identifier(high: 9, low: 9), base: 4, labels: ["zone": "eu"], actor: "ada", startedAt: 0)
        rollout.revision = 5
        rollout.phase = .watching
        rollout.gateways = gateways.map(\.description)
        return rollout
    }

    private func gateway(
        _ id: Identifier, zone: String = "eu", revision: UInt64, requests: UInt64 = 0, errors: UInt64 = 0,
        startedAt: Int = 1, isConnected: Bool = true
    ) -> GatewayStatus {
        var record = GatewayRecord(id: id, name: "gw-\(id.low)", labels: ["zone": zone])
        record.revision = revision
        var status = GatewayStatus(record: record)
        status.isConnected = isConnected
        status.report = GatewayReport()
        status.report?.requests = requests
        status.report?.errors = errors
        status.report?.startedAt = startedAt
        return status
    }

    private func isWait(_ verdict: RolloutJudge.Verdict) -> Bool {
        if case .wait = verdict { return true }
        return false
    }

    private func reason(_ verdict: RolloutJudge.Verdict) -> String? {
        if case .revert(let reason) = verdict { return reason }
        return nil
    }

    private func isPromoted(_ verdict: RolloutJudge.Verdict) -> Bool {
        if case .promote = verdict { return true }
        return false
    }

    @Test("it is promoted when all its gateways acknowledged and stayed well for the watch")
    func good() {
        var judge = RolloutJudge(rollout([eu]), rules: RolloutRules())
        let other = gateway(us, zone: "us", revision: 4)
        #expect(isWait(judge.judge([gateway(eu, revision: 4), other], now: 1000)))
        #expect(isWait(judge.judge([gateway(eu, revision: 5, requests: 100), other], now: 2000)))
        #expect(isWait(judge.judge([gateway(eu, revision: 5, requests: 500), other], now: 11_999)))
        #expect(isPromoted(judge.judge([gateway(eu, revision: 5, requests: 501), other], now: 12_000)))
    }

    @Test("a rejection reverts it at once, with gateway, entity and reason")
    func rejected() {
        var judge = RolloutJudge(rollout(), rules: RolloutRules())
        var bad = gateway(eu, revision: 4)
        bad.record.rejectedRevision = 5
        bad.record.rejectedEntity = "route \"users\""
        bad.record.rejectedReason = "no such pattern"
        #expect(
            judge.judge([bad], now: 10) == .revert("gateway gw-1 rejected it: route \"users\": no such pattern"))
    }

    @Test("more errors than before revert it, a share above the allowed rise")
    func errors() throws {
        var judge = RolloutJudge(rollout(), rules: RolloutRules())
        _ = judge.judge([gateway(eu, revision: 5, requests: 1000, errors: 10)], now: 0)
        // 1 % before; 3 % is the limit, 4 % is past it.
        #expect(isWait(judge.judge([gateway(eu, revision: 5, requests: 1100, errors: 13)], now: 1000)))
        let verdict = judge.judge([gateway(eu, revision: 5, requests: 1200, errors: 18)], now: 2000)
        let text = try #require(reason(verdict))
        #expect(text.contains("4.0 % of 200"))
    }

    @Test("a few failed requests alone say nothing")
    func fewRequests() {
        var judge = RolloutJudge(rollout(), rules: RolloutRules())
        _ = judge.judge([gateway(eu, revision: 5)], now: 0)
        #expect(isWait(judge.judge([gateway(eu, revision: 5, requests: 19, errors: 19)], now: 1000)))
        #expect(reason(judge.judge([gateway(eu, revision: 5, requests: 20, errors: 20)], now: 2000)) != nil)
    }

    @Test("a gateway that began anew counts from nothing, not below it")
    func restarted() {
        var judge = RolloutJudge(rollout(), rules: RolloutRules())
        _ = judge.judge([gateway(eu, revision: 5, requests: 1000, errors: 1)], now: 0)
        let again = gateway(eu, revision: 5, requests: 30, errors: 0, startedAt: 2)
        #expect(isWait(judge.judge([again], now: 1000)))
        #expect(isPromoted(judge.judge([again], now: 10_000)))
    }

    @Test("a gateway that was there when it began and is gone holds it up, and fails it in the end")
    func gone() throws {
        var judge = RolloutJudge(rollout([eu, us]), rules: RolloutRules())
        let gone = gateway(us, revision: 5, isConnected: false)
        #expect(isWait(judge.judge([gateway(eu, revision: 5), gone], now: 20_000)))
        #expect(isWait(judge.judge([gateway(eu, revision: 5), gone], now: 299_999)))
        let verdict = judge.judge([gateway(eu, revision: 5), gone], now: 300_000)
        let text = try #require(reason(verdict))
        #expect(text.contains("gw-2 is not connected after 300 s"))
    }

    @Test("without any gateway it waits, and fails in the end")
    func nobody() {
        var judge = RolloutJudge(rollout(), rules: RolloutRules())
        #expect(isWait(judge.judge([gateway(us, zone: "us", revision: 4)], now: 1000)))
        #expect(reason(judge.judge([], now: 300_000)) != nil)
    }

    @Test("what is kept of a rollout comes back")
    func stored() {
        #expect(Rollout(stored: rollout([eu]).stored) == rollout([eu]))
        #expect(Rollout(stored: []) == nil)
    }
}
