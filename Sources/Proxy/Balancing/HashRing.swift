// The consistent-hashing ring: Kong's, slot for slot, so that a migrated client keeps its target.

import Bytes

/// A wheel of slots, some of which belong to an endpoint.
///
/// The points of an endpoint are the hashes of `name::port i` for i = 1, 2, … (the double colon is
/// Kong's). An endpoint gets ⌊weight ÷ total weight × number of targets × 160⌋ points, at least
/// one. A point that falls on a taken slot is replaced by one more point of the same endpoint. A
/// value belongs to the owner of the slot that it hashes to, or of the next taken slot downwards.
struct HashRing: Sendable {
    /// For each slot, the endpoint that owns it or the nearest taken slot below (wrapping around);
    /// `HashRing.nobody` everywhere when there are no points.
    let owners: [UInt16]

    /// Points of one target when all weigh the same.
    static let pointsPerTarget = 160
    /// Kong's least wheel size; what it uses for anything smaller.
    static let slotsMin = 1000
    static let nobody = UInt16.max

    /// - Parameters:
    ///   - endpoints: at most `EndpointList.endpointsMax`; order does not matter.
    ///   - targetCount: all targets of the cluster, also those that weigh 0 or did not resolve.
    ///   - slots: Kong's `slots`; below 1000 means 1000.
    init(endpoints: [Endpoint], targetCount: Int, slots: Int) {
        let size = max(slots, Self.slotsMin)
        var taken = [UInt16](repeating: Self.nobody, count: size)
        var total = 0
        for endpoint in endpoints { total += endpoint.weight }
        let scratch = Buffer(capacity: 256)
        if total > 0 {
            for index in Self.order(endpoints) {
                let endpoint = endpoints[index]
                guard endpoint.weight > 0 else { continue }
                let share = Double(endpoint.weight) / Double(total)
                let wanted = Int(share * Double(targetCount) * Double(Self.pointsPerTarget))
                var left = max(wanted, 1)
                var point = 1
                // A full wheel ends an endpoint's search; Kong would then have no wheel at all.
                while left > 0, point <= size {
                    scratch.clear()
                    scratch.append(endpoint.ringName)
                    scratch.append("::")
                    scratch.append(decimal: Int(endpoint.port))
                    scratch.append(0x20)
                    scratch.append(decimal: point)
                    let slot = Self.slot(of: XXHash32.hash(scratch.readable), count: size)
                    if taken[slot] == Self.nobody {
                        taken[slot] = UInt16(index)
                        left -= 1
                    }
                    point += 1
                }
            }
        }
        owners = Self.filled(taken)
    }

    /// The slot of a hash. Kong's hash is a signed number and Lua's `%` rounds towards minus
    /// infinity: half of all hashes would land elsewhere if this were an unsigned remainder.
    @inline(__always)
    static func slot(of hash: UInt32, count: Int) -> Int {
        let remainder = Int(Int32(bitPattern: hash)) % count
        return remainder < 0 ? remainder + count : remainder
    }

    /// Targets by name and port, then the addresses of each by `ip:port`, all as bytes: collisions
    /// are decided the same way on every node.
    private static func order(_ endpoints: [Endpoint]) -> [Int] {
        struct Key { let target: [UInt8], targetPort: UInt16, address: [UInt8], index: Int }
        let keys = endpoints.indices.map { index in
            let endpoint = endpoints[index]
            return Key(
                target: Array(endpoint.targetName.utf8), targetPort: endpoint.targetPort,
                address: Array("\(endpoint.ringName):\(endpoint.port)".utf8), index: index)
        }
        return keys.sorted { a, b in
            if a.target != b.target { return a.target.lexicographicallyPrecedes(b.target) }
            if a.targetPort != b.targetPort { return a.targetPort < b.targetPort }
            if a.address != b.address { return a.address.lexicographicallyPrecedes(b.address) }
            return a.index < b.index
        }.map(\.index)
    }

    /// Gives each free slot to the nearest taken slot below it.
    private static func filled(_ taken: [UInt16]) -> [UInt16] {
        var owners = taken
        var below = taken.last { $0 != nobody } ?? nobody
        for slot in owners.indices {
            if owners[slot] == nobody { owners[slot] = below } else { below = owners[slot] }
        }
        return owners
    }
}
