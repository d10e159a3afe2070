// Deltas: whatever changed, applying gives the new snapshot; whatever the bytes, no trap; little changed, little sent.

import Bytes
import Snapshot
import Testing

private func received(_ delta: SnapshotDelta) throws -> SnapshotDelta {
    try delta.wire.withBytes { (bytes) throws(WireError) in try SnapshotDelta(wire: bytes) }
}

/// The tables of one and everything else of the other.
private func tables(of snapshot: Snapshot, in other: Snapshot) -> [UInt8] {
    var result = snapshot
    result.revision = other.revision
    result.settings = other.settings
    result.listeners = other.listeners
    return result.wire
}

private func sent(_ delta: TableDelta?) -> Int { delta?.edits.reduce(0) { $0 + $1.records.count } ?? 0 }

@Suite("Snapshot deltas")
struct SnapshotDeltaTests {
    @Test("what was taken from two snapshots turns the one into the other", arguments: [0, 1, 3, 8, 30])
    func roundTrip(size: Int) throws {
        let seed = UInt64.random(in: 0 ... .max)
        var world = RandomSnapshot(seed: seed)
        for round in 0..<200 {
            if round % 20 == 0 { world.snapshot = Snapshot(); world.fill(size: size) }
            let old = world.snapshot
            world.change(rate: round % 9)
            let delta = SnapshotDelta(from: old, to: world.snapshot)
            let new = try received(delta).apply(to: old)
            #expect(new.wire == tables(of: world.snapshot, in: old), "seed \(seed), round \(round)")
            #expect(
                SnapshotDelta.digest(new) == SnapshotDelta.digest(world.snapshot), "seed \(seed), round \(round)")
        }
    }

    @Test("snapshots that have nothing in common turn into each other too")
    func unrelated() throws {
        let seed = UInt64.random(in: 0 ... .max)
        for round in 0..<UInt64(50) {
            var first = RandomSnapshot(seed: seed &+ round)
            first.fill(size: Int(round % 7))
            var second = RandomSnapshot(seed: ~seed &- round)
            second.fill(size: Int(round % 11))
            let delta = try received(SnapshotDelta(from: first.snapshot, to: second.snapshot))
            let new = try delta.apply(to: first.snapshot)
            #expect(new.wire == tables(of: second.snapshot, in: first.snapshot), "seed \(seed), round \(round)")
        }
    }

    @Test("records that are alike are all kept")
    func duplicates() throws {
        var world = RandomSnapshot(seed: 1)
        world.fill(size: 4)
        let old = world.snapshot
        world.snapshot.routes += world.snapshot.routes
        world.snapshot.filters += world.snapshot.filters
        for (a, b) in [(old, world.snapshot), (world.snapshot, old), (world.snapshot, world.snapshot)] {
            #expect(try SnapshotDelta(from: a, to: b).apply(to: a).wire == b.wire)
        }
    }

    @Test("the same letter composed differently is a change")
    func composition() throws {
        var old = Snapshot()
        old.routes = [Route()]
        old.routes[0].paths = ["/\u{C5}"]
        var new = old
        new.routes[0].paths = ["/A\u{30A}"]
        let applied = try SnapshotDelta(from: old, to: new).apply(to: old)
        #expect(Array(applied.routes[0].paths[0].utf8) == Array("/A\u{30A}".utf8))
    }

    @Test("a delta between equal tables is empty, whatever their settings and revisions")
    func nothing() throws {
        var world = RandomSnapshot(seed: 2)
        world.fill(size: 5)
        var other = world.snapshot
        other.revision = 7
        other.settings.headTimeout = 1
        other.listeners = [Listener()]
        let delta = SnapshotDelta(from: world.snapshot, to: other)
        #expect(delta.isEmpty(for: world.snapshot))
        #expect(SnapshotDelta.digest(world.snapshot) == SnapshotDelta.digest(other))
        #expect(try delta.apply(to: other).wire == other.wire)
        #expect(delta.wire.count < 16)
    }
}

// MARK: What is sent

@Suite("What deltas send")
struct SnapshotDeltaSizeTests {
    private static func routes(_ count: Int) -> RandomSnapshot {
        var world = RandomSnapshot(seed: 3)
        world.fill(size: 8)
        world.snapshot.routes = (0..<count).map { _ in world.route() }
        return world
    }

    @Test(
        "a change of one route is sent in less than 1 KB, whatever the number of routes", arguments: [1, 100, 10_000])
    func oneRoute(count: Int) throws {
        var world = Self.routes(count)
        let old = world.snapshot
        world.snapshot.routes[count / 2].hosts = ["changed.example"]
        let changed = SnapshotDelta(from: old, to: world.snapshot)
        #expect(sent(changed.routes) == 1)
        #expect(changed.wire.count < 1024)
        world.snapshot.routes.remove(at: count / 3)
        let removed = SnapshotDelta(from: old, to: world.snapshot)
        #expect(removed.wire.count < 1024)
        #expect(try removed.apply(to: old).wire == world.snapshot.wire)
    }

    /// What comes first moves every index: only if each reference is renumbered is nothing else sent. The test
    /// below sees to it that each reference is set.
    @Test("one new record at the front of each table sends that record alone")
    func everythingMoves() {
        var world = RandomSnapshot(seed: 4)
        world.fill(size: 12)
        let old = world.snapshot
        world.insertEverywhere()
        let delta = SnapshotDelta(from: old, to: world.snapshot)
        for (name, table) in delta.tables { #expect(sent(table) == 1, "\(name)") }
    }

    @Test("a record that changed keeps those who refer to it from being sent")
    func editedTargets() {
        var world = RandomSnapshot(seed: 5)
        world.fill(size: 12)
        let old = world.snapshot
        world.snapshot.certificates[1].key = "new"
        world.snapshot.caCertificates[1].pem = "new"
        world.snapshot.clusters[1].slots = 77
        world.snapshot.services[1].retries = 77
        world.snapshot.consumers[1].username = "new"
        world.snapshot.filters[1] = .none
        world.snapshot.chains[1].steps.append(FilterStep())
        let delta = SnapshotDelta(from: old, to: world.snapshot)
        for table in [
            delta.certificates, delta.caCertificates, delta.clusters, delta.services, delta.consumers, delta.filters,
            delta.chains,
        ] {
            #expect(sent(table) == 1)
        }
        for table in [delta.serverNames, delta.keyCredentials, delta.basicCredentials, delta.routes] {
            #expect(sent(table) == 0)
        }
    }

    @Test("routes that get another chain are not sent")
    func newChains() throws {
        var world = Self.routes(2000)
        for index in world.snapshot.routes.indices { world.snapshot.routes[index].chain = index % 1000 == 0 ? 0 : -1 }
        let old = world.snapshot
        world.snapshot.chains.append(world.chain())
        for index in world.snapshot.routes.indices where world.snapshot.routes[index].chain == -1 {
            world.snapshot.routes[index].chain = world.snapshot.chains.count - 1
        }
        let delta = SnapshotDelta(from: old, to: world.snapshot)
        #expect(sent(delta.routes) == 0)
        #expect(delta.wire.count < 1024)
        #expect(try delta.apply(to: old).wire == world.snapshot.wire)
    }

    /// Finds a reference that the random records leave out: an integer that is -1 until it is set, or a list.
    @Test("the random records set every field that could be a reference")
    func referencesAreSet() {
        var world = RandomSnapshot(seed: 6)
        world.fill(size: 40)
        var tables: [(label: String, value: Any)] = Mirror(reflecting: world.snapshot).children.compactMap { child in
            child.label == "listeners" || child.label == "filters" ? nil : (child.label ?? "", child.value)
        }
        tables += [
            ("steps", world.snapshot.chains.flatMap(\.steps)), ("targets", world.snapshot.clusters.flatMap(\.targets)),
        ]
        for table in tables {
            guard let records = table.value as? [any WireMessage], let first = records.first else { continue }
            for path in candidates(type(of: first).init()) {
                #expect(
                    records.contains { isSet(value(path, in: $0)) }, "\(table.label).\(path.joined(separator: "."))")
            }
        }
    }

    private func candidates(_ value: Any) -> [[String]] {
        Mirror(reflecting: value).children.flatMap { child -> [[String]] in
            let label = child.label ?? ""
            if let number = child.value as? Int { return number == -1 ? [[label]] : [] }
            if type(of: child.value) == [Int].self { return label == "statuses" ? [] : [[label]] }
            if child.value is any WireMessage { return candidates(child.value).map { [label] + $0 } }
            return []
        }
    }

    private func value(_ path: [String], in record: Any) -> Any? {
        var value: Any? = record
        for label in path { value = value.flatMap { Mirror(reflecting: $0).descendant(label) } }
        return value
    }

    private func isSet(_ value: Any?) -> Bool {
        if let number = value as? Int { return number >= 0 }
        return (value as? [Int])?.isEmpty == false
    }
}

extension SnapshotDelta {
    fileprivate var tables: [(String, TableDelta?)] {
        [
            ("certificates", certificates), ("caCertificates", caCertificates), ("serverNames", serverNames),
            ("clusters", clusters), ("services", services), ("consumers", consumers),
            ("keyCredentials", keyCredentials), ("basicCredentials", basicCredentials), ("filters", filters),
            ("chains", chains), ("routes", routes),
        ]
    }
}

// MARK: Hostile deltas

@Suite("Deltas that are wrong")
struct WrongDeltaTests {
    private static func edit(_ start: Int, _ count: Int) -> TableEdit {
        var edit = TableEdit()
        edit.start = start
        edit.count = count
        return edit
    }

    private static func delta(_ edits: [TableEdit]) -> SnapshotDelta {
        var delta = SnapshotDelta()
        var table = TableDelta()
        table.edits = edits
        delta.routes = table
        return delta
    }

    private static let three: Snapshot = {
        var snapshot = Snapshot()
        snapshot.routes = [Route(), Route(), Route()]
        return snapshot
    }()

    @Test(
        "an edit past the end of its table is refused",
        arguments: [(-1, 1), (0, 4), (3, 1), (4, 0), (.max, 1), (1, .max), (.min, .max), (0, -1)])
    func ranges(start: Int, count: Int) {
        #expect(throws: DeltaError.range) { try Self.delta([Self.edit(start, count)]).apply(to: Self.three) }
    }

    @Test("an edit at the end of its table that copies nothing is taken")
    func atTheEnd() throws {
        let new = try Self.delta([Self.edit(3, 0), Self.edit(2, 1)]).apply(to: Self.three)
        #expect(new.routes.count == 1)
    }

    @Test("a record of the old table is used once")
    func twice() {
        #expect(throws: DeltaError.usedTwice) {
            try Self.delta([Self.edit(0, 2), Self.edit(1, 1)]).apply(to: Self.three)
        }
        var replacing = Self.edit(0, 2)
        replacing.records = [Route().wire]
        replacing.replaces = [1]
        #expect(throws: DeltaError.usedTwice) { try Self.delta([replacing]).apply(to: Self.three) }
    }

    @Test("more replacements than records, or of records that are not there, are refused")
    func replacements() {
        var replacing = Self.edit(0, 2)
        replacing.replaces = [2]
        #expect(throws: DeltaError.range) { try Self.delta([replacing]).apply(to: Self.three) }
        replacing.records = [Route().wire]
        replacing.replaces = [3]
        #expect(throws: DeltaError.range) { try Self.delta([replacing]).apply(to: Self.three) }
    }

    @Test("a reference of a new record must lead somewhere", arguments: [-2, 1, .max, .min])
    func references(service: Int) {
        var old = Self.three
        old.services = [Service()]
        var route = Route()
        route.service = service
        var edit = Self.edit(0, 3)
        edit.records = [route.wire]
        #expect(throws: DeltaError.reference) { try Self.delta([edit]).apply(to: old) }
    }

    @Test("what is deleted must not be referred to by what stays")
    func dangling() {
        var old = Self.three
        old.services = [Service()]
        old.routes[1].service = 0
        var delta = SnapshotDelta()
        delta.services = TableDelta()
        #expect(throws: DeltaError.reference) { try delta.apply(to: old) }
        delta.routes = TableDelta()
        #expect(throws: Never.self) { try delta.apply(to: old) }
    }

    @Test("only routes are given chains, and only chains that are there", arguments: [0, -3, .max])
    func chains(chain: Int) {
        var edit = Self.edit(0, 3)
        edit.chain = chain
        #expect(throws: DeltaError.reference) { try Self.delta([edit]).apply(to: Self.three) }
        var old = Snapshot()
        old.services = [Service(), Service(), Service()]
        edit.chain = -1
        var delta = SnapshotDelta()
        delta.services = TableDelta()
        delta.services?.edits = [edit]
        #expect(throws: DeltaError.reference) { try delta.apply(to: old) }
    }

    @Test("a global chain must lead somewhere")
    func globalChain() {
        var delta = SnapshotDelta()
        delta.globalChain = 0
        #expect(throws: DeltaError.reference) { try delta.apply(to: Snapshot()) }
    }

    @Test("bytes that are no record are refused")
    func badRecord() {
        var edit = Self.edit(0, 3)
        edit.records = [[0x0A, 0x05]]
        #expect(throws: DeltaError.record(.truncated)) { try Self.delta([edit]).apply(to: Self.three) }
    }

    @Test("a delta with damaged bytes gives an error or a snapshot, and never a trap")
    func damaged() throws {
        let seed = UInt64.random(in: 0 ... .max)
        var world = RandomSnapshot(seed: seed)
        world.fill(size: 6)
        let old = world.snapshot
        world.change(rate: 8)
        let wire = SnapshotDelta(from: old, to: world.snapshot).wire
        for _ in 0..<3000 {
            var bytes = wire
            for _ in 0..<Int.random(in: 1...3, using: &world.random) {
                bytes[Int.random(in: 0..<bytes.count, using: &world.random)] = UInt8.random(
                    in: 0...255, using: &world.random)
            }
            guard let delta = try? bytes.withBytes({ (view) throws(WireError) in try SnapshotDelta(wire: view) }) else {
                continue
            }
            guard let new = try? delta.apply(to: old) else { continue }
            let again = SnapshotDelta(from: old, to: new)
            #expect(try again.apply(to: old).wire == new.wire, "seed \(seed)")
        }
    }
}

// MARK: The digest

@Test("the digest is the same for a snapshot that travelled, and another for each damaged one")
func digest() throws {
    let seed = UInt64.random(in: 0 ... .max)
    var world = RandomSnapshot(seed: seed)
    world.fill(size: 6)
    let wire = world.snapshot.wire
    let travelled = try wire.withBytes { (bytes) throws(WireError) in try Snapshot(wire: bytes) }
    #expect(SnapshotDelta.digest(travelled) == SnapshotDelta.digest(world.snapshot))
    for _ in 0..<2000 {
        var bytes = wire
        bytes[Int.random(in: 0..<bytes.count, using: &world.random)] ^=
            1 << UInt8.random(in: 0..<8, using: &world.random)
        guard let damaged = try? bytes.withBytes({ (view) throws(WireError) in try Snapshot(wire: view) }) else {
            continue
        }
        let isSame = tables(of: damaged, in: Snapshot()) == tables(of: world.snapshot, in: Snapshot())
        #expect((SnapshotDelta.digest(damaged) == SnapshotDelta.digest(world.snapshot)) == isSame, "seed \(seed)")
    }
}

@Test("the digest of a known snapshot does not change from build to build")
func knownDigest() {
    var snapshot = Snapshot()
    var route = Route()
    route.id = ID(high: 1, low: 2)
    route.paths = ["/a", "/ä longer than eight bytes"]
    snapshot.routes = [route]
    #expect(SnapshotDelta.digest(snapshot) == 11_596_494_301_741_799_973)
}

// MARK: Lengths

@Test("messages of every length around the limits of a length's encoding read back", arguments: [0, 1, 2, 7])
func lengths(extra: Int) throws {
    for size in [0, 60, 100, 127, 128, 16_383, 16_384, 70_000] {
        var snapshot = Snapshot()
        var consumer = Consumer()
        consumer.username = String(repeating: "u", count: max(0, size - extra))
        snapshot.consumers = [consumer]
        let read = try snapshot.wire.withBytes { (bytes) throws(WireError) in try Snapshot(wire: bytes) }
        #expect(read.consumers.first?.username == consumer.username)
        #expect(read.wire == snapshot.wire)
    }
}
