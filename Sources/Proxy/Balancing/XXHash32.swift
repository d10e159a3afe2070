// The hash of the consistent-hashing ring.

import Bytes

/// xxHash, 32 bits, seed 0 (specification: github.com/Cyan4973/xxHash, doc/xxhash_spec.md).
enum XXHash32 {
    private static let prime1: UInt32 = 0x9E37_79B1
    private static let prime2: UInt32 = 0x85EB_CA77
    private static let prime3: UInt32 = 0xC2B2_AE3D
    private static let prime4: UInt32 = 0x27D4_EB2F
    private static let prime5: UInt32 = 0x1656_67B1

    static func hash(_ bytes: Bytes) -> UInt32 {
        var at = 0
        var hash: UInt32
        if bytes.count >= 16 {
            var a = prime1 &+ prime2
            var b = prime2
            var c: UInt32 = 0
            var d = 0 &- prime1
            while at + 16 <= bytes.count {
                a = round(a, bytes.load32(at))
                b = round(b, bytes.load32(at + 4))
                c = round(c, bytes.load32(at + 8))
                d = round(d, bytes.load32(at + 12))
                at += 16
            }
            hash = rotate(a, 1) &+ rotate(b, 7) &+ rotate(c, 12) &+ rotate(d, 18)
        } else {
            hash = prime5
        }
        hash &+= UInt32(truncatingIfNeeded: bytes.count)
        while at + 4 <= bytes.count {
            hash = rotate(hash &+ bytes.load32(at) &* prime3, 17) &* prime4
            at += 4
        }
        while at < bytes.count {
            hash = rotate(hash &+ UInt32(bytes[at]) &* prime5, 11) &* prime1
            at += 1
        }
        hash = (hash ^ hash >> 15) &* prime2
        hash = (hash ^ hash >> 13) &* prime3
        return hash ^ hash >> 16
    }

    @inline(__always)
    private static func round(_ lane: UInt32, _ input: UInt32) -> UInt32 {
        rotate(lane &+ input &* prime2, 13) &* prime1
    }

    @inline(__always)
    private static func rotate(_ value: UInt32, _ bits: UInt32) -> UInt32 {
        value << bits | value >> (32 - bits)
    }
}
