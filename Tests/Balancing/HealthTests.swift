// The health state machine against a slow model, the shared board, and what probes send and read.

import Bytes
import Snapshot
import Synchronization
import Testing

@testable import Proxy

/// The rules of lua-resty-healthcheck with plain variables.
private struct Model {
    var status = "healthy"
    var counters = ["success": 0, "http": 0, "tcp": 0, "timeout": 0]

    mutating func count(_ counter: String, _ limit: Int) {
        let report = counter == "success" ? "healthy" : "unhealthy"
        if limit == 0 || status == report { return }
        counters[counter, default: 0] += 1
        if counter == "success" {
            for other in ["http", "tcp", "timeout"] { counters[other] = 0 }
        } else {
            counters["success"] = 0
        }
        if counters[counter, default: 0] >= limit {
            status = report
        } else if status == "healthy" {
            status = "mostlyHealthy"
        } else if status == "unhealthy" {
            status = "mostlyUnhealthy"
        }
    }
}

private func limits(_ successes: Int, http: Int, tcp: Int, timeouts: Int) -> HealthLimits {
    var healthy = HealthThresholds()
    healthy.successes = successes
    healthy.statuses = [200, 302]
    var unhealthy = HealthThresholds()
    unhealthy.httpFailures = http
    unhealthy.tcpFailures = tcp
    unhealthy.timeouts = timeouts
    unhealthy.statuses = [429, 500, 503, 504]
    return HealthLimits(healthy: healthy, unhealthy: unhealthy)
}

@Suite struct HealthStateTests {
    @Test("random events with random thresholds go where a slow model of Kong's library goes")
    func model() {
        let seed = UInt64.random(in: 0...UInt64.max)
        var random = Seeded(seed: seed)
        for _ in 0..<300 {
            let limits = limits(
                .random(in: 0...4, using: &random), http: .random(in: 0...4, using: &random),
                tcp: .random(in: 0...4, using: &random), timeouts: .random(in: 0...4, using: &random))
            var state = HealthState()
            var model = Model()
            for _ in 0..<60 {
                let event = Int.random(in: 0...5, using: &random)
                switch event {
                case 0: state.report(.status(200), from: .passive, limits: limits)
                case 1: state.report(.status(500), from: .passive, limits: limits)
                case 2: state.report(.connectionFailed, from: .passive, limits: limits)
                case 3: state.report(.timedOut, from: .passive, limits: limits)
                case 4: state.report(.status(404), from: .passive, limits: limits)
                default: state.report(.none, from: .passive, limits: limits)
                }
                switch event {
                case 0: model.count("success", limits.successes)
                case 1: model.count("http", limits.httpFailures)
                case 2: model.count("tcp", limits.tcpFailures)
                case 3: model.count("timeout", limits.timeouts)
                default: break
                }
                #expect("\(state.status)" == model.status, "seed \(seed)")
                #expect(state.successes == model.counters["success"], "seed \(seed)")
                #expect(state.httpFailures == model.counters["http"], "seed \(seed)")
                #expect(state.tcpFailures == model.counters["tcp"], "seed \(seed)")
                #expect(state.timeouts == model.counters["timeout"], "seed \(seed)")
            }
        }
    }

    @Test("a passive 504 counts as a timeout, an active one as an HTTP failure, and 0 as an HTTP failure")
    func statuses() {
        let limits = limits(1, http: 5, tcp: 5, timeouts: 5)
        var passive = HealthState()
        passive.report(.status(504), from: .passive, limits: limits)
        #expect(passive.timeouts == 1)
        var active = HealthState()
        active.report(.status(504), from: .active, limits: limits)
        active.report(.status(0), from: .active, limits: limits)
        #expect(active.httpFailures == 2)
    }

    @Test("the zero word is healthy, and success leaves it untouched")
    func settled() {
        var state = HealthState()
        state.report(.status(200), from: .passive, limits: limits(5, http: 1, tcp: 1, timeouts: 1))
        #expect(state.word == 0)
        #expect(state.isAvailable)
    }

    @Test(
        "a trial succeeds unless the request failed",
        arguments: [
            (HealthEvent.status(200), true), (.status(404), true), (.connected, true), (.status(500), false),
            (.status(504), false), (.connectionFailed, false), (.timedOut, false), (.status(0), false),
        ])
    func trials(_ event: HealthEvent, _ restores: Bool) {
        let limits = limits(2, http: 1, tcp: 1, timeouts: 1)
        var state = HealthState()
        state.report(.connectionFailed, from: .passive, limits: limits)
        #expect(!state.isAvailable)
        state.reportTrial(event, limits: limits)
        #expect(state.isAvailable == restores)
        #expect(state.failedTrials == (restores ? 0 : 1))
    }

    @Test("what an operator set down stays down for trials and comes up by probes")
    func forced() {
        let limits = limits(2, http: 1, tcp: 1, timeouts: 1)
        var state = HealthState()
        state.force(.unhealthy)
        state.reportTrial(.status(200), limits: limits)
        #expect(!state.isAvailable)
        state.report(.status(200), from: .active, limits: limits)
        #expect(state.status == .mostlyUnhealthy)
        #expect(state.isForced)
        state.report(.status(200), from: .active, limits: limits)
        #expect(state.status == .healthy)
        #expect(!state.isForced)
    }

    @Test("thresholds outside 0 to 255 and statuses outside 0 to 1023 do no harm")
    func bounds() {
        let wild = limits(-4, http: 100_000, tcp: Int.max, timeouts: Int.min)
        #expect(wild.successes == 0)
        #expect(wild.httpFailures == 255)
        #expect(wild.tcpFailures == 255)
        #expect(wild.timeouts == 0)
        let set = StatusSet([-1, 0, 1023, 1024, Int.max])
        #expect(set.contains(0))
        #expect(set.contains(1023))
        #expect(!set.contains(-1))
        #expect(!set.contains(1024))
        #expect(!StatusSet().contains(200))
    }
}

@Suite struct HealthBoardTests {
    private func key(_ n: UInt32) -> HealthKey {
        HealthKey(cluster: ID(low: 1), address: IPAddress(v4: n), port: 80, targetName: "t")
    }

    @Test("an endpoint keeps its health when a reload lets go of it and takes it again")
    func reload() {
        let board = HealthBoard(capacity: 8)
        let cell = board.acquire(key(1), now: 0)
        board.report(
            .connectionFailed, cell: cell, from: .passive, limits: limits(1, http: 1, tcp: 1, timeouts: 1), now: 0)
        board.release(key(1), now: second)
        board.collect(now: 300 * second)
        #expect(board.acquire(key(1), now: 300 * second) == cell)
        #expect(!board.state(cell).isAvailable)
    }

    @Test("after the grace period an unused cell is given to another endpoint, clean")
    func grace() {
        let board = HealthBoard(capacity: 1)
        let cell = board.acquire(key(1), now: 0)
        board.report(
            .connectionFailed, cell: cell, from: .passive, limits: limits(1, http: 1, tcp: 1, timeouts: 1), now: 0)
        #expect(board.acquire(key(2), now: 0) == -1)
        board.release(key(1), now: 0)
        #expect(board.acquire(key(2), now: 299 * second) == -1)
        #expect(board.acquire(key(2), now: 300 * second) == cell)
        #expect(board.state(cell) == HealthState())
        #expect(board.state(key(1)) == nil)
    }

    @Test("crossings are told once each, in order, and move the generation")
    func transitions() {
        let board = HealthBoard(capacity: 4)
        let cell = board.acquire(key(1), now: 0)
        let before = board.generation
        let limits = limits(1, http: 2, tcp: 1, timeouts: 1)
        board.report(.status(500), cell: cell, from: .passive, limits: limits, now: 1)
        #expect(board.generation == before)
        board.report(.status(500), cell: cell, from: .passive, limits: limits, now: 2)
        board.report(.status(500), cell: cell, from: .passive, limits: limits, now: 3)
        board.report(.status(200), cell: cell, from: .active, limits: limits, now: 4)
        #expect(board.generation == before + 2)
        #expect(
            board.drainTransitions() == [
                HealthTransition(key: key(1), isAvailable: false, at: 2),
                HealthTransition(key: key(1), isAvailable: true, at: 4),
            ])
        #expect(board.drainTransitions().isEmpty)
    }

    @Test("health set by hand holds until probes count otherwise; an unknown endpoint is told apart")
    func manual() {
        let board = HealthBoard(capacity: 4)
        let cell = board.acquire(key(1), now: 0)
        #expect(board.force(key(1), healthy: false, now: 0))
        #expect(!board.state(cell).isAvailable)
        #expect(board.trialTime(cell) == .max)
        #expect(!board.claimTrial(cell, now: 1000 * second))
        #expect(board.force(key(1), healthy: true, now: 0))
        #expect(board.state(cell).isAvailable)
        #expect(!board.force(key(2), healthy: true, now: 0))
    }

    @Test("reports from many threads lose nothing, and one trial goes to one of them")
    func threads() async {
        let board = HealthBoard(capacity: 4)
        let cell = board.acquire(key(1), now: 0)
        let limits = limits(1, http: 200, tcp: 1, timeouts: 1)
        await withTaskGroup(of: Void.self) { group in
            for _ in 0..<4 {
                group.addTask {
                    for _ in 0..<49 { board.report(.status(500), cell: cell, from: .passive, limits: limits, now: 0) }
                }
            }
        }
        #expect(board.state(cell).httpFailures == 196)
        for _ in 0..<4 { board.report(.status(500), cell: cell, from: .passive, limits: limits, now: 0) }
        #expect(!board.state(cell).isAvailable)
        let claims = await withTaskGroup(of: Int.self) { group in
            for _ in 0..<8 { group.addTask { board.claimTrial(cell, now: 10 * second) ? 1 : 0 } }
            return await group.reduce(0, +)
        }
        #expect(claims == 1)
    }
}

@Suite struct HashKeyTests {
    private struct Request: HashInputs {
        var consumer: String?
        var headers: [(String, String)] = []
        var cookies: [String: String] = [:]
        var target = "/"
        var queryText = ""
        var captures: [String: String] = [:]
        var clientAddress: IPAddress { IPAddress(v4: 0xC000_022C) }
        let pathBuffer = Buffer(capacity: 64)
        let queryBuffer = Buffer(capacity: 64)
        var path: Bytes {
            pathBuffer.clear()
            pathBuffer.append(target)
            return pathBuffer.readable
        }
        var queryBytes: Bytes {
            queryBuffer.clear()
            queryBuffer.append(queryText)
            return queryBuffer.readable
        }

        func withConsumer(_ body: (Bytes) -> Void) { consumer?.withBytes(body) }
        func withHeader(_ name: Bytes, _ body: (Bytes) -> Void) {
            for (key, value) in headers where key.withBytes({ $0.equalsIgnoringCase(name) }) { value.withBytes(body) }
        }
        func withCookie(_ name: Bytes, _ body: (Bytes) -> Void) { cookies[name.string]?.withBytes(body) }
        func withCapture(_ name: Bytes, _ body: (Bytes) -> Void) { captures[name.string]?.withBytes(body) }
    }

    private func value(_ source: HashSource, _ name: String, fallback: HashInput = HashInput(), _ request: Request)
        -> UInt32?
    {
        var cluster = Cluster()
        cluster.hashOn = HashInput(source, name: name)
        cluster.hashFallback = fallback
        let cookie = Buffer(capacity: 64)
        let hash = HashKey(cluster).hash(request, newCookie: cookie)
        #expect(cookie.isEmpty)
        return hash
    }

    @Test("each source hashes the bytes that Kong hashes")
    func sources() {
        #expect(value(.consumer, "", Request(consumer: "c-1")) == hash("c-1"))
        #expect(value(.ip, "", Request()) == hash("192.0.2.44"))
        #expect(
            value(.header, "x-key", Request(headers: [("X-Key", "a"), ("other", "z"), ("x-key", "b")])) == hash("a, b"))
        #expect(value(.cookie, "sid", Request(cookies: ["sid": "s1"])) == hash("s1"))
        #expect(value(.uriCapture, "id", Request(captures: ["id": "7"])) == hash("7"))
        #expect(value(.none, "", Request()) == nil)
    }

    @Test(
        "the path is hashed decoded, with merged slashes",
        arguments: [
            ("/a/b", "/a/b"), ("/a%20b", "/a b"), ("/a%2Fb", "/a/b"), ("/a%2F/b", "/a/b"), ("/a%zz%4", "/a%zz%4"),
            ("//x", "/x"),
        ])
    func path(_ path: String, _ expected: String) {
        #expect(value(.path, "", Request(target: path)) == hash(expected))
    }

    @Test(
        "query arguments are decoded, sorted and joined with commas",
        arguments: [
            ("k=b&x=1&k=a", "a,b"), ("k=one", "one"), ("k", "true"), ("k=b&k", "b,true"), ("a%6B=1&%6b=z", "z"),
            ("k=1+2%2B", "1 2+"),
            ("&&k=v&", "v"),
        ])
    func query(_ query: String, _ expected: String) {
        #expect(value(.queryArgument, "k", Request(queryText: query)) == hash(expected))
    }

    @Test("arguments past the hundredth are not looked at")
    func queryLimit() {
        let many = (0..<100).map { "a\($0)=1" }.joined(separator: "&")
        #expect(value(.queryArgument, "k", Request(queryText: many + "&k=v")) == nil)
        #expect(value(.queryArgument, "a99", Request(queryText: many)) == hash("1"))
    }

    @Test("a missing or empty value goes to the fallback, and without one takes turns")
    func fallback() {
        let ip = HashInput(.ip)
        #expect(value(.header, "x", fallback: ip, Request()) == hash("192.0.2.44"))
        #expect(value(.header, "x", fallback: ip, Request(headers: [("x", "")])) == hash("192.0.2.44"))
        #expect(value(.consumer, "", Request()) == nil)
        #expect(value(.queryArgument, "k", Request(queryText: "k=")) == nil)
        #expect(
            value(.header, "x", fallback: HashInput(.header, name: "y"), Request(headers: [("y", "1")])) == hash("1"))
    }

    @Test("without its cookie a client gets a new one, and its value decides the endpoint")
    func newCookie() throws {
        var cluster = Cluster()
        cluster.hashOn = HashInput(.cookie, name: "route")
        cluster.hashCookiePath = "/app"
        let out = Buffer(capacity: 64)
        let hashed = HashKey(cluster).hash(Request(), newCookie: out)
        let cookie = out.readable.string
        #expect(cookie.hasPrefix("route="))
        #expect(cookie.hasSuffix("; Path=/app; SameSite=Lax; HttpOnly"))
        let uuid = String(cookie.dropFirst(6).prefix(36))
        #expect(ID(uuid)?.description == uuid)
        #expect(Array(uuid)[14] == "4")
        #expect("89ab".contains(Array(uuid)[19]))
        #expect(hashed == hash(uuid))
    }
}
