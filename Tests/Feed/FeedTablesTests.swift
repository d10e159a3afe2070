// Which configuration is adopted, acknowledged, rejected, and what deltas build upon.

import Snapshot
import Testing

@testable import Proxy

private func tables(_ names: [String]) -> Snapshot {
    var snapshot = Snapshot()
    snapshot.consumers = names.map { name in
        var consumer = Consumer()
        consumer.username = name
        return consumer
    }
    return snapshot
}

private func full(_ revision: UInt64, _ names: [String]) -> ControlPlaneMessage {
    var message = ControlPlaneMessage()
    message.configuration = ControlPlaneMessage.Configuration()
    message.configuration?.revision = revision
    message.configuration?.snapshot = tables(names).wire
    return message
}

private func delta(_ base: UInt64, _ old: [String], _ revision: UInt64, _ new: [String]?) -> ControlPlaneMessage {
    var message = ControlPlaneMessage()
    message.delta = ControlPlaneMessage.Delta()
    message.delta?.base = base
    message.delta?.revision = revision
    if let new { message.delta?.delta = SnapshotDelta(from: tables(old), to: tables(new)).wire }
    return message
}

/// A step in words.
private func words(_ step: FeedStep?) -> String {
    switch step {
    case nil: "nothing"
    case .adopt(let version):
        "adopt \(version.revision) \(version.tables.consumers.map(\.username).joined(separator: "+"))"
    case .applied(let revision, _): "applied \(revision)"
    case .rejected(let rejected): "rejected \(rejected.revision)\(rejected.needsFull ? " needs full" : "")"
    }
}

private func words(_ steps: [FeedStep]) -> [String] { steps.map { words($0) } }

@Suite("Configurations of a stream")
struct FeedTablesTests {
    @Test("a configuration is adopted, then acknowledged with the time since it came")
    func one() {
        var feed = FeedTables()
        #expect(words(feed.take(full(1, ["a"]), now: 5_000_000)) == "adopt 1 a")
        #expect(feed.effective == nil)
        guard case .applied(let revision, let microseconds) = feed.adopted(now: 7_500_000).first else {
            Issue.record("not acknowledged")
            return
        }
        #expect((revision, microseconds) == (1, 2500))
        #expect(feed.effective?.revision == 1)
        #expect(feed.adopted(now: 8_000_000).isEmpty, "nothing is acknowledged twice")
    }

    @Test("a delta changes the tables of its base")
    func deltas() {
        var feed = FeedTables()
        _ = feed.take(full(1, ["a"]), now: 0)
        _ = feed.adopted(now: 0)
        #expect(words(feed.take(delta(1, ["a"], 2, ["a", "b"]), now: 0)) == "adopt 2 a+b")
        #expect(words(feed.adopted(now: 0)) == ["applied 2"])
    }

    @Test("of those that come while one is adopted the last is, and deltas build on what is still on its way")
    func coalesced() {
        var feed = FeedTables()
        _ = feed.take(full(1, ["a"]), now: 0)
        #expect(words(feed.take(delta(1, ["a"], 2, ["a", "b"]), now: 0)) == "nothing")
        #expect(words(feed.take(delta(2, ["a", "b"], 3, ["b"]), now: 0)) == "nothing")
        #expect(words(feed.adopted(now: 0)) == ["applied 1", "adopt 3 b"])
        #expect(words(feed.adopted(now: 0)) == ["applied 3"])
    }

    @Test("a number alone is acknowledged without adopting anything, wherever its base is")
    func numbers() {
        var feed = FeedTables()
        _ = feed.take(full(1, ["a"]), now: 0)
        #expect(words(feed.take(delta(1, [], 2, nil), now: 0)) == "nothing")
        #expect(words(feed.adopted(now: 0)) == ["applied 2"])
        #expect(words(feed.take(delta(2, [], 3, nil), now: 0)) == "applied 3")
        _ = feed.take(full(4, ["b"]), now: 0)
        _ = feed.take(full(5, ["c"]), now: 0)
        #expect(words(feed.take(delta(5, [], 6, nil), now: 0)) == "nothing")
        #expect(words(feed.adopted(now: 0)) == ["applied 4", "adopt 6 c"])
        #expect(words(feed.adopted(now: 0)) == ["applied 6"])
    }

    @Test("a base that is not here asks for everything, and what is in effect stays")
    func unknownBase() {
        var feed = FeedTables()
        #expect(words(feed.take(delta(7, ["a"], 8, ["b"]), now: 0)) == "rejected 8 needs full")
        #expect(words(feed.take(delta(7, ["a"], 8, nil), now: 0)) == "rejected 8 needs full")
        _ = feed.take(full(1, ["a"]), now: 0)
        _ = feed.adopted(now: 0)
        #expect(words(feed.take(delta(2, ["a"], 3, ["b"]), now: 0)) == "rejected 3 needs full")
        #expect(feed.effective?.revision == 1)
    }

    @Test("what cannot be used is rejected; later ones may build on it or on the one in effect")
    func refused() {
        var feed = FeedTables()
        _ = feed.take(full(1, ["a"]), now: 0)
        _ = feed.adopted(now: 0)
        _ = feed.take(delta(1, ["a"], 2, ["bad"]), now: 0)
        #expect(words(feed.refused(entity: "consumer \"bad\"", reason: "no")) == ["rejected 2"])
        #expect(feed.effective?.revision == 1)
        var other = feed
        #expect(words(feed.take(delta(2, ["bad"], 3, ["good"]), now: 0)) == "adopt 3 good")
        #expect(words(other.take(delta(1, ["a"], 3, ["good"]), now: 0)) == "adopt 3 good")
        _ = feed.adopted(now: 0)
        #expect(words(feed.take(delta(2, ["bad"], 4, ["x"]), now: 0)) == "rejected 4 needs full")
    }

    @Test("one that waits is adopted although the one before it is refused")
    func refusedBeforeWaiting() {
        var feed = FeedTables()
        _ = feed.take(full(1, ["bad"]), now: 0)
        _ = feed.take(full(2, ["good"]), now: 0)
        #expect(words(feed.refused(entity: "", reason: "no")) == ["rejected 1", "adopt 2 good"])
        #expect(words(feed.adopted(now: 0)) == ["applied 2"])
    }

    @Test("damaged bytes are rejected and ask for everything")
    func damaged() {
        var feed = FeedTables()
        var message = full(1, ["a"])
        message.configuration?.snapshot = [0x0A, 0xFF]
        #expect(words(feed.take(message, now: 0)) == "rejected 1 needs full")
        _ = feed.take(full(1, ["a"]), now: 0)
        _ = feed.adopted(now: 0)
        message = delta(1, ["a"], 2, ["b"])
        message.delta?.delta = [0xFF]
        #expect(words(feed.take(message, now: 0)) == "rejected 2 needs full")
    }

    @Test("settings and listeners that were sent are not taken")
    func bare() throws {
        var whole = tables(["a"])
        whole.revision = 9
        whole.settings.accessLog = "/etc/passwd"
        whole.listeners = [Listener()]
        var message = full(1, [])
        message.configuration?.snapshot = whole.wire
        var feed = FeedTables()
        _ = feed.take(message, now: 0)
        let adopting = try #require(feed.adopting)
        #expect(adopting.tables.settings.accessLog.isEmpty)
        #expect(adopting.tables.listeners.isEmpty)
        #expect(adopting.tables.revision == 0)
    }

    @Test("what is stored begins only where nothing came yet")
    func begin() {
        var feed = FeedTables()
        let stored = FeedVersion(revision: 4, tables: tables(["s"]))
        #expect(words(feed.begin(with: stored, now: 0)) == "adopt 4 s")
        #expect(feed.begin(with: stored, now: 0) == nil)
    }

    @Test("random orders of messages and outcomes end with the newest usable configuration", arguments: 0..<20)
    func random(_ round: Int) {
        let seed = UInt64.random(in: 0 ... .max)
        var random = SplitMix(state: seed)
        var feed = FeedTables()
        var sent: [UInt64: [String]] = [:]
        var bad: Set<UInt64> = []
        var last: UInt64 = 0
        func outcome(_ steps: [FeedStep]) {
            for step in steps {
                if case .rejected(let rejected) = step {
                    #expect(bad.contains(rejected.revision) || rejected.needsFull, "seed \(seed)")
                }
            }
        }
        func settle() {
            guard let adopting = feed.adopting else { return }
            #expect(adopting.tables.consumers.map(\.username) == sent[adopting.revision], "seed \(seed)")
            if bad.contains(adopting.revision) {
                outcome(feed.refused(entity: "", reason: ""))
            } else {
                outcome(feed.adopted(now: 0))
            }
        }
        for _ in 0..<60 {
            last += 1
            let names = (0..<Int.random(in: 0...4, using: &random)).map { "\($0)-\(last)" }
            sent[last] = names
            if Int.random(in: 0..<4, using: &random) == 0 { bad.insert(last) }
            let base = sent.keys.sorted().suffix(3).randomElement(using: &random) ?? last
            if Bool.random(using: &random), base < last, let old = sent[base] {
                let step = feed.take(delta(base, old, last, names), now: 0)
                // One that is not here any more is sent again in full.
                if case .rejected(let rejected) = step, rejected.needsFull { _ = feed.take(full(last, names), now: 0) }
            } else {
                _ = feed.take(full(last, names), now: 0)
            }
            while feed.adopting != nil, Bool.random(using: &random) { settle() }
        }
        bad.remove(last)
        while feed.adopting != nil { settle() }
        #expect(feed.effective?.revision ?? 0 <= last, "seed \(seed)")
        if let effective = feed.effective {
            #expect(effective.tables.consumers.map(\.username) == sent[effective.revision], "seed \(seed)")
            #expect(!bad.contains(effective.revision), "seed \(seed)")
        }
    }
}

/// Small, and the same everywhere.
struct SplitMix: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}
