// The ring against values that a Python script derives from Kong's algorithm.

import Bytes
import Testing

@testable import Proxy

private func address(_ text: String) -> IPAddress {
    let bare = text.hasPrefix("[") ? String(text.dropFirst().dropLast()) : text
    return IPAddress(bare) ?? IPAddress(v4: 0x7F00_0001)
}

func endpoint(
    _ target: String, _ targetPort: UInt16, _ ringName: String, _ port: UInt16, _ weight: Int, index: Int = 0
) -> Endpoint {
    let isLiteral = ringName.first?.isNumber == true || ringName.hasPrefix("[")
    return Endpoint(
        address: address(ringName), port: port, weight: weight, target: index, targetName: target,
        targetPort: targetPort, recordName: isLiteral ? nil : ringName)
}

func hash(_ text: String) -> UInt32 { text.withBytes { XXHash32.hash($0) } }

@Suite struct RingTests {
    /// As the Lua library returns them: signed.
    static let published: [(String, Int32)] = [
        ("", 46_947_589), ("aaaa", -631_806_169), (String(repeating: "a", count: 16), 1_571_609_996),
        (String(repeating: "a", count: 32), -1_557_966_914), (String(repeating: "a", count: 37), 1_065_833_563),
        ("dupa", 0x1A47_C09D), ("Cats are interesting.", 1_710_037_756), ("a", 1_426_945_110),
    ]

    @Test("xxHash32 gives the published values", arguments: published)
    func xxhash(_ text: String, _ expected: Int32) {
        #expect(Int32(bitPattern: hash(text)) == expected)
    }

    @Test("xxHash32 gives the published value of a long text")
    func xxhashLong() {
        #expect(Int32(bitPattern: hash(String(repeating: "Cats are interesting.", count: 256))) == -237_286_296)
    }

    @Test("a value has the owner that Kong's ring gives it", arguments: RingGolden.all.indices)
    func golden(_ scenario: Int) {
        let golden = RingGolden.all[scenario]
        let endpoints = golden.endpoints.map { endpoint($0.0, $0.1, $0.2, $0.3, $0.4) }
        let ring = HashRing(endpoints: endpoints, targetCount: golden.targetCount, slots: golden.slots)
        for (key, owner) in zip(RingGolden.keys, golden.owners) {
            let slot = HashRing.slot(of: hash(key), count: ring.owners.count)
            #expect(Int(ring.owners[slot]) == owner, "\(golden.name): \(key)")
        }
    }

    @Test("half of all hashes are negative in Lua and land where its remainder puts them")
    func signedRemainder() {
        #expect(HashRing.slot(of: UInt32(bitPattern: -1), count: 1000) == 999)
        #expect(HashRing.slot(of: UInt32(bitPattern: -1000), count: 1000) == 0)
        #expect(HashRing.slot(of: 1001, count: 1000) == 1)
        #expect(HashRing.slot(of: UInt32(bitPattern: Int32.min), count: 10000) == 6352)
    }

    @Test("the ring does not depend on the order of targets", arguments: RingGolden.all.indices)
    func permutations(_ scenario: Int) {
        var random = Seeded(seed: 7 + UInt64(scenario))
        let golden = RingGolden.all[scenario]
        let endpoints = golden.endpoints.map { endpoint($0.0, $0.1, $0.2, $0.3, $0.4) }
        func names(_ endpoints: [Endpoint]) -> [String] {
            HashRing(endpoints: endpoints, targetCount: golden.targetCount, slots: golden.slots)
                .owners.map { "\(endpoints[Int($0)].ringName):\(endpoints[Int($0)].port)" }
        }
        let expected = names(endpoints)
        for _ in 0..<5 { #expect(names(endpoints.shuffled(using: &random)) == expected) }
    }

    @Test("removing one of ten equal targets moves few values of the others")
    func stability() {
        let endpoints = (1...10).map { endpoint("10.0.0.\($0)", 80, "10.0.0.\($0)", 80, 100) }
        let all = HashRing(endpoints: endpoints, targetCount: 10, slots: 10000)
        let less = HashRing(endpoints: Array(endpoints.dropLast()), targetCount: 9, slots: 10000)
        var moved = 0
        var kept = 0
        for i in 0..<2000 {
            let value = hash("value \(i)")
            let before = all.owners[HashRing.slot(of: value, count: 10000)]
            guard before != 9 else { continue }
            if less.owners[HashRing.slot(of: value, count: 10000)] == before { kept += 1 } else { moved += 1 }
        }
        #expect(kept > 1600)
        #expect(moved < kept / 20)
    }

    @Test("a wheel too small for its targets still gives every slot an owner")
    func overfull() {
        let endpoints = (1...20).map { endpoint("10.0.0.\($0)", 80, "10.0.0.\($0)", 80, 100) }
        let ring = HashRing(endpoints: endpoints, targetCount: 20, slots: 1000)
        #expect(ring.owners.allSatisfy { $0 < 20 })
    }

    @Test("no endpoint or no weight gives a ring of nobody")
    func empty() {
        #expect(HashRing(endpoints: [], targetCount: 0, slots: 1000).owners.allSatisfy { $0 == HashRing.nobody })
        let drained = [endpoint("10.0.0.1", 80, "10.0.0.1", 80, 0)]
        #expect(HashRing(endpoints: drained, targetCount: 1, slots: 1000).owners.allSatisfy { $0 == HashRing.nobody })
    }
}

/// A random generator that a printed seed reproduces (SplitMix64).
struct Seeded: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ z >> 30) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ z >> 27) &* 0x94D0_49BB_1331_11EB
        return z ^ z >> 31
    }
}
