// SHA-1 (FIPS 180-4), where a format that is not ours wants it. Without allocation, which OpenSSL's is not.

import Bytes

/// Digests short inputs given in pieces. Kong's stored form decides the algorithm; it is not for anything new.
struct SHA1 {
    private var state: InlineArray<5, UInt32> = [0x6745_2301, 0xEFCD_AB89, 0x98BA_DCFE, 0x1032_5476, 0xC3D2_E1F0]
    private var block = InlineArray<64, UInt8>(repeating: 0)
    private var count = 0

    init() {}

    mutating func update(_ bytes: Bytes) {
        for i in 0..<bytes.count { append(bytes[i]) }
    }

    private mutating func append(_ byte: UInt8) {
        block[count & 63] = byte
        count += 1
        if count & 63 == 0 { compress() }
    }

    consuming func finish() -> InlineArray<20, UInt8> {
        let bits = UInt64(count) * 8
        append(0x80)
        while count & 63 != 56 { append(0) }
        for shift in stride(from: UInt64(56), through: 0, by: -8) { append(UInt8(truncatingIfNeeded: bits >> shift)) }
        var digest = InlineArray<20, UInt8>(repeating: 0)
        for i in 0..<20 { digest[i] = UInt8(truncatingIfNeeded: state[i / 4] >> UInt32(24 - i % 4 * 8)) }
        return digest
    }

    private mutating func compress() {
        var words = InlineArray<80, UInt32>(repeating: 0)
        for i in 0..<16 {
            words[i] =
                UInt32(block[4 * i]) << 24 | UInt32(block[4 * i + 1]) << 16 | UInt32(block[4 * i + 2]) << 8
                | UInt32(block[4 * i + 3])
        }
        for i in 16..<80 { words[i] = Self.rotate(words[i - 3] ^ words[i - 8] ^ words[i - 14] ^ words[i - 16], 1) }
        var (a, b, c, d, e) = (state[0], state[1], state[2], state[3], state[4])
        for i in 0..<80 {
            let mix: UInt32
            switch i {
            case ..<20: mix = ((b & c) | (~b & d)) &+ 0x5A82_7999
            case ..<40: mix = (b ^ c ^ d) &+ 0x6ED9_EBA1
            case ..<60: mix = ((b & c) | (b & d) | (c & d)) &+ 0x8F1B_BCDC
            default: mix = (b ^ c ^ d) &+ 0xCA62_C1D6
            }
            let next = Self.rotate(a, 5) &+ mix &+ e &+ words[i]
            (e, d, c, b, a) = (d, c, Self.rotate(b, 30), a, next)
        }
        state[0] &+= a
        state[1] &+= b
        state[2] &+= c
        state[3] &+= d
        state[4] &+= e
    }

    private static func rotate(_ value: UInt32, _ by: UInt32) -> UInt32 { value << by | value >> (32 - by) }
}
