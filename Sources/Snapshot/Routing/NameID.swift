// Identifiers made from names (UUID version 5, RFC 9562 section 5.5), with the SHA-1 they need.

public import Bytes

extension ID {
    /// The UUID version 5 of `name` in `namespace`.
    public init(namespace: ID, name: Bytes) {
        var input: [UInt8] = []
        input.reserveCapacity(16 + name.count)
        for word in [namespace.high, namespace.low] {
            for shift in stride(from: UInt64(56), through: 0, by: -8) {
                input.append(UInt8(truncatingIfNeeded: word >> shift))
            }
        }
        var i = 0
        while i < name.count {
            input.append(name[i])
            i += 1
        }
        let digest = SHA1.digest(input)
        let high = UInt64(digest.0) << 32 | UInt64(digest.1)
        let low = UInt64(digest.2) << 32 | UInt64(digest.3)
        self.init(
            high: high & 0xFFFF_FFFF_FFFF_0FFF | 0x5000,
            low: low & 0x3FFF_FFFF_FFFF_FFFF | 0x8000_0000_0000_0000)
    }
}

/// SHA-1 (FIPS 180-4), for identifiers only: it is no longer safe against forgery.
enum SHA1 {
    typealias Words = (UInt32, UInt32, UInt32, UInt32, UInt32)

    static func digest(_ message: [UInt8]) -> Words {
        var padded = message
        padded.append(0x80)
        while padded.count % 64 != 56 { padded.append(0) }
        let bits = UInt64(message.count) * 8
        for shift in stride(from: UInt64(56), through: 0, by: -8) {
            padded.append(UInt8(truncatingIfNeeded: bits >> shift))
        }
        var state: Words = (0x6745_2301, 0xEFCD_AB89, 0x98BA_DCFE, 0x1032_5476, 0xC3D2_E1F0)
        var schedule = [UInt32](repeating: 0, count: 80)
        for block in stride(from: 0, to: padded.count, by: 64) {
            for i in 0..<16 {
                let at = block + i * 4
                schedule[i] =
                    UInt32(padded[at]) << 24 | UInt32(padded[at + 1]) << 16 | UInt32(padded[at + 2]) << 8
                    | UInt32(padded[at + 3])
            }
            for i in 16..<80 {
                schedule[i] = rotate(schedule[i - 3] ^ schedule[i - 8] ^ schedule[i - 14] ^ schedule[i - 16], 1)
            }
            state = compress(state, schedule)
        }
        return state
    }

    private static func compress(_ state: Words, _ schedule: [UInt32]) -> Words {
        var (a, b, c, d, e) = state
        for i in 0..<80 {
            let mixed: UInt32
            switch i {
            case 0..<20: mixed = (b & c | ~b & d) &+ 0x5A82_7999
            case 20..<40: mixed = (b ^ c ^ d) &+ 0x6ED9_EBA1
            case 40..<60: mixed = (b & c | b & d | c & d) &+ 0x8F1B_BCDC
            default: mixed = (b ^ c ^ d) &+ 0xCA62_C1D6
            }
            let next = rotate(a, 5) &+ mixed &+ e &+ schedule[i]
            (e, d, c, b, a) = (d, c, rotate(b, 30), a, next)
        }
        return (state.0 &+ a, state.1 &+ b, state.2 &+ c, state.3 &+ d, state.4 &+ e)
    }

    private static func rotate(_ word: UInt32, _ n: UInt32) -> UInt32 { word << n | word >> (32 - n) }
}
