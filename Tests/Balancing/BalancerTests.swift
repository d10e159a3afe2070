// The four algorithms, retries, trials and changes, one worker at a time.

import Bytes
import Snapshot
import Testing

@testable import Proxy

let second: Int64 = 1_000_000_000

/// A cluster with endpoints 10.0.0.1, 10.0.0.2 … on port 80, one per weight.
struct Rig {
    let board = HealthBoard(capacity: 256)
    var cluster = Cluster()
    var balancer: Balancer
    var keys: [HealthKey] = []

    init(
        _ weights: [Int], _ algorithm: Algorithm = .roundRobin, worker: Int = 0, healthChecks: Bool = false,
        _ adjust: (inout Cluster) -> Void = { _ in }
    ) {
        cluster.algorithm = algorithm
        if healthChecks {
            cluster.health.passiveHealthy.statuses = [200]
            cluster.health.passiveHealthy.successes = 2
            cluster.health.passiveUnhealthy.statuses = [500]
            cluster.health.passiveUnhealthy.httpFailures = 2
            cluster.health.passiveUnhealthy.tcpFailures = 1
            cluster.health.passiveUnhealthy.timeouts = 1
        }
        adjust(&cluster)
        let list = Rig.list(weights, cluster, board: healthChecks ? board : nil, keys: &keys)
        balancer = Balancer(cluster: cluster, list: list, board: board, worker: worker, now: 0)
    }

    static func list(
        _ weights: [Int], first: Int = 1, _ cluster: Cluster, board: HealthBoard?, keys: inout [HealthKey]
    ) -> EndpointList {
        var endpoints: [Endpoint] = []
        keys = []
        for (index, weight) in weights.enumerated() {
            let name = "10.0.0.\(first + index)"
            var one = endpoint(name, 80, name, 80, weight, index: index)
            let key = HealthKey(cluster: cluster.id, address: one.address, port: 80, targetName: name)
            keys.append(key)
            if let board { one.cell = board.acquire(key, now: 0) }
            endpoints.append(one)
        }
        return EndpointList(
            endpoints, targetCount: weights.count,
            ringSlots: cluster.algorithm == .consistentHashing ? cluster.slots : nil)
    }

    func pick(_ hash: UInt32? = nil, _ tried: Tried = Tried(), now: Int64 = 0) -> Balancer.Pick? {
        if case .endpoint(let pick) = balancer.pick(hash: hash, excluding: tried, now: now) { return pick }
        return nil
    }

    /// Last byte of the picked address, or 0.
    func next(_ hash: UInt32? = nil, now: Int64 = 0) -> Int {
        guard let pick = pick(hash, now: now) else { return 0 }
        balancer.finished(pick, event: .none, latency: nil, now: now)
        return Int(pick.address.low & 255)
    }
}

@Suite struct BalancerTests {
    @Test(
        "smooth weighted round-robin gives each endpoint exactly its weight in every cycle",
        arguments: [[5, 1, 1], [100, 100, 100], [1, 2, 3, 4], [7], [3, 0, 2], [65535, 1]])
    func weightedCycles(_ weights: [Int]) {
        for worker in 0..<3 {
            let rig = Rig(weights, worker: worker)
            for _ in 0..<2 {
                var counts = [Int](repeating: 0, count: weights.count)
                for _ in 0..<weights.reduce(0, +) { counts[rig.next() - 1] += 1 }
                #expect(counts == weights, "worker \(worker)")
            }
        }
    }

    @Test("weights 5, 1, 1 are spread, not sent in bursts")
    func smoothness() {
        let rig = Rig([5, 1, 1])
        #expect((0..<7).map { _ in rig.next() } == [1, 1, 2, 1, 3, 1, 1])
    }

    @Test("workers start their turns at different endpoints")
    func phases() {
        #expect((0..<3).map { Rig([1, 1, 1], worker: $0).next() } == [1, 2, 3])
    }

    @Test("random weights and drains match a slow model of smooth weighted round-robin")
    func weightedModel() {
        let seed = UInt64.random(in: 0...UInt64.max)
        var random = Seeded(seed: seed)
        for _ in 0..<50 {
            let weights = (0..<Int.random(in: 2...9, using: &random)).map { _ in Int.random(in: 0...9, using: &random) }
            let distinct = Set(weights.filter { $0 > 0 })
            guard distinct.count > 1 else { continue }
            let rig = Rig(weights)
            var credit = weights.map { _ in 0 }
            for _ in 0..<100 {
                for i in weights.indices { credit[i] += weights[i] }
                var best = -1
                for i in weights.indices where weights[i] > 0 && (best < 0 || credit[i] > credit[best]) { best = i }
                credit[best] -= weights.reduce(0, +)
                #expect(rig.next() == best + 1, "seed \(seed)")
            }
        }
    }

    @Test("least-connections takes the least (connections + 1) ÷ weight")
    func leastConnections() {
        let rig = Rig([10, 20], .leastConnections)
        var open: [Balancer.Pick] = []
        for _ in 0..<30 { if let pick = rig.pick() { open.append(pick) } }
        #expect(open.filter { $0.index == 0 }.count == 10)
        for pick in open where pick.index == 0 { rig.balancer.finished(pick, event: .none, latency: nil, now: 0) }
        #expect(rig.pick()?.index == 0)
    }

    @Test("least-connections shares idle endpoints out instead of flooding the first")
    func leastConnectionsTies() {
        let rig = Rig([1, 1, 1], .leastConnections)
        #expect((0..<6).map { _ in rig.next() } == [1, 2, 3, 1, 2, 3])
    }

    @Test("latency prefers the faster endpoint and tries the slow one again once its average has decayed")
    func latency() throws {
        let rig = Rig([1, 1], .latency)
        for now in 1...2 {
            let pick = try #require(rig.pick(now: Int64(now) * second))
            rig.balancer.finished(
                pick, event: .status(200), latency: pick.index == 0 ? 1.0 : 0.01, now: Int64(now) * second)
        }
        let later = 3 * second
        #expect((0..<10).allSatisfy { _ in rig.next(now: later) == 2 })
        // The fast one keeps being measured; the slow one's average fades.
        var now = later
        var sawSlow = false
        for _ in 0..<200 {
            now += second
            let pick = try #require(rig.pick(now: now))
            if pick.index == 0 { sawSlow = true }
            rig.balancer.finished(pick, event: .status(200), latency: pick.index == 0 ? 1.0 : 0.01, now: now)
        }
        #expect(sawSlow)
    }

    @Test("random latencies choose what a slow model of Kong's decaying average chooses")
    func latencyModel() throws {
        let seed = UInt64.random(in: 0...UInt64.max)
        var random = Seeded(seed: seed)
        let weights = [3, 1, 2, 5]
        let rig = Rig(weights, .latency)
        var average = [Double](repeating: 0, count: 4)
        var touched = [Double](repeating: 0, count: 4)
        var now = 0.0
        func factor(_ i: Int) -> Double { Double(1) / power(now - touched[i]) }
        func power(_ seconds: Double) -> Double {  // e^(seconds/10) by its series, without a math library
            let x = seconds / 10
            var sum = 1.0
            var term = 1.0
            for n in 1..<200 {
                term *= x / Double(n)
                sum += term
            }
            return sum
        }
        for _ in 0..<500 {
            now += Double.random(in: 0.001...2, using: &random)
            let scores = weights.indices.map { average[$0] * factor($0) / Double(weights[$0]) }
            let pick = try #require(rig.pick(now: Int64(now * 1e9)))
            let least = scores.min() ?? 0
            #expect(scores[pick.index] <= least * 1.000001 + 1e-12, "seed \(seed)")
            let measured = Double.random(in: 0.001...3, using: &random)
            rig.balancer.finished(pick, event: .status(200), latency: measured, now: Int64(now * 1e9))
            let keep = factor(pick.index)
            average[pick.index] = average[pick.index] * keep + measured * (1 - keep)
            touched[pick.index] = now
        }
    }

    @Test("consistent hashing keeps a value on its endpoint; no value takes turns instead")
    func hashing() {
        let rig = Rig([1, 1, 1], .consistentHashing)
        let owner = rig.next(hash("user-1"))
        #expect((0..<20).allSatisfy { _ in rig.next(hash("user-1")) == owner })
        #expect(Set((0..<3).map { _ in rig.next() }).count == 3)
    }

    @Test(
        "a retry never goes to a tried endpoint while another is left",
        arguments: [Algorithm.roundRobin, .consistentHashing, .leastConnections, .latency])
    func retries(_ algorithm: Algorithm) throws {
        for count in [1, 2, 5, 12] {
            let rig = Rig([Int](repeating: 3, count: count), algorithm)
            for value in 0..<20 {
                var tried = Tried()
                for _ in 0..<count {
                    let pick = try #require(rig.pick(hash("v\(value)"), tried))
                    #expect(!tried.contains(pick.serial))
                    tried.insert(pick.serial)
                    rig.balancer.finished(pick, event: .connectionFailed, latency: nil, now: 0)
                }
                #expect(tried.count == count)
                #expect(rig.pick(hash("v\(value)"), tried) != nil)
            }
        }
    }

    @Test("the retry budget is a fifth of the last ten seconds' requests, and never below 100 in them")
    func budget() {
        let rig = Rig([1])
        #expect((0..<150).filter { _ in rig.balancer.mayRetry(now: second) }.count == 100)
        #expect(!rig.balancer.mayRetry(now: 10 * second))
        #expect(rig.balancer.mayRetry(now: 11 * second))
        let busy = Rig([1])
        for _ in 0..<1000 { _ = busy.next(now: second) }
        #expect((0..<500).filter { _ in busy.balancer.mayRetry(now: 2 * second) }.count == 200)
    }

    @Test("an ejected endpoint gets nothing until its trial is due; a good trial brings it back")
    func trial() throws {
        let rig = Rig([1, 1], healthChecks: true)
        fail(rig, endpoint: 0, now: 0)
        #expect((0..<10).allSatisfy { _ in rig.next(now: 9 * second) == 2 })
        let trial = try #require(rig.pick(now: 10 * second))
        #expect(trial.index == 0)
        #expect(trial.isTrial)
        #expect((0..<5).allSatisfy { _ in rig.next(now: 10 * second) == 2 })
        rig.balancer.finished(trial, event: .status(200), latency: 0.1, now: 10 * second)
        #expect(Set((0..<2).map { _ in rig.next(now: 11 * second) }) == [1, 2])
    }

    @Test("a session that lasts settles its trial when it is connected, and not again when it ends")
    func longTrial() throws {
        let rig = Rig([1, 1], healthChecks: true)
        fail(rig, endpoint: 0, now: 0)
        var session = try #require(rig.pick(now: 10 * second))
        #expect(session.isTrial)
        rig.balancer.connected(&session, latency: 0.01, now: 10 * second)
        #expect(Set((0..<2).map { _ in rig.next(now: 11 * second) }) == [1, 2])
        fail(rig, endpoint: 0, now: 12 * second)
        rig.balancer.finished(session, event: .none, latency: nil, now: 13 * second)
        #expect((0..<4).allSatisfy { _ in rig.next(now: 13 * second) == 2 })
    }

    @Test("a session counts as a connection until it ends, connected or not")
    func sessionsCount() throws {
        let rig = Rig([1, 1], .leastConnections)
        var first = try #require(rig.pick())
        rig.balancer.connected(&first, latency: 0.01, now: 0)
        let second = try #require(rig.pick())
        #expect(first.index != second.index)
        rig.balancer.finished(second, event: .none, latency: nil, now: 0)
        #expect(try #require(rig.pick()).index == second.index)
    }

    @Test("failed trials double the back-off up to five minutes")
    func trialBackoff() throws {
        let rig = Rig([1, 1], healthChecks: true)
        fail(rig, endpoint: 0, now: 0)
        var now: Int64 = 0
        for wait in [10, 20, 40, 80, 160, 300, 300] as [Int64] {
            #expect(rig.pick(now: now + wait * second - 1)?.index == 1)
            now += wait * second
            let trial = try #require(rig.pick(now: now))
            #expect(trial.isTrial, "after \(wait) s")
            rig.balancer.finished(trial, event: .connectionFailed, latency: nil, now: now)
        }
    }

    @Test("with every endpoint ejected the cluster answers unavailable, but a due trial is let through")
    func allEjected() {
        let rig = Rig([1, 1], .consistentHashing, healthChecks: true)
        fail(rig, endpoint: 0, now: 0)
        fail(rig, endpoint: 1, now: 0)
        guard case .none(.unavailable) = rig.balancer.pick(hash: 1, excluding: Tried(), now: second) else {
            Issue.record("an ejected endpoint was picked")
            return
        }
        #expect(rig.pick(1, now: 10 * second)?.isTrial == true)
        #expect(rig.pick(1, now: 10 * second)?.isTrial == true)
        #expect(rig.pick(1, now: 10 * second) == nil)
    }

    @Test(
        "at or below the threshold of available weight the whole cluster is unavailable",
        arguments: [(49.0, true), (50.0, false)])
    func threshold(_ percent: Double, _ works: Bool) {
        let rig = Rig([1, 1], healthChecks: true) { $0.health.threshold = percent }
        fail(rig, endpoint: 0, now: 0)
        #expect((rig.pick(now: second) != nil) == works)
    }

    @Test("one worker's reports are seen by the other workers")
    func sharedHealth() throws {
        let rig = Rig([1, 1], healthChecks: true)
        let other = Balancer(cluster: rig.cluster, list: rig.balancer.list, board: rig.board, worker: 1, now: 0)
        fail(rig, endpoint: 0, now: 0)
        for _ in 0..<4 {
            #expect(try pick(other, now: 1).index == 1)
        }
        // And only one of them gets the trial.
        #expect(rig.pick(now: 10 * second)?.isTrial == true)
        #expect(try !pick(other, now: 10 * second).isTrial)
    }

    @Test("an update keeps connections, health and serials of the endpoints that stay")
    func update() throws {
        var rig = Rig([1, 1], .leastConnections, healthChecks: true)
        let first = try #require(rig.pick())
        fail(rig, endpoint: 1, now: 0)
        let list = Rig.list([1, 1], first: 2, rig.cluster, board: rig.board, keys: &rig.keys)
        rig.balancer.update(cluster: rig.cluster, list: list, now: 1)
        // 10.0.0.2 stayed ejected and moved to the front; 10.0.0.3 is new; 10.0.0.1 is gone.
        #expect(rig.pick(now: 1)?.address == IPAddress("10.0.0.3"))
        #expect(rig.balancer.endpoint(of: first) == nil)
        rig.balancer.finished(first, event: .connectionFailed, latency: nil, now: 1)
        #expect(rig.pick(now: 1)?.address == IPAddress("10.0.0.3"))
    }

    @Test("a cluster whose name has not resolved says so")
    func unresolved() {
        let board = HealthBoard(capacity: 1)
        let list = EndpointList([], targetCount: 1, state: .unresolved)
        let balancer = Balancer(cluster: Cluster(), list: list, board: board, worker: 0, now: 0)
        guard case .none(.unresolved) = balancer.pick(hash: nil, excluding: Tried(), now: 0) else {
            Issue.record("expected unresolved")
            return
        }
    }

    private func pick(_ balancer: Balancer, now: Int64) throws -> Balancer.Pick {
        guard case .endpoint(let pick) = balancer.pick(hash: nil, excluding: Tried(), now: now) else {
            throw NothingPicked()
        }
        return pick
    }

    private struct NothingPicked: Error {}

    private func fail(_ rig: Rig, endpoint: Int, now: Int64) {
        rig.board.report(
            .connectionFailed, cell: rig.balancer.list.endpoints[endpoint].cell, from: .passive,
            limits: HealthPolicy(rig.cluster.health).passive, now: now)
    }
}
