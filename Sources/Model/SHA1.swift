// SHA-1 (FIPS 180-4): for name-based UUIDs and Kong's basic-auth hashes, where the format demands it.

/// A running SHA-1. Not for signatures: collisions of SHA-1 are practical.
public struct SHA1 {
    private var state: (UInt32, UInt32, UInt32, UInt32, UInt32) = (
        0x6745_2301, 0xEFCD_AB89, 0x98BA_DCFE, 0x1032_5476, 0xC3D2_E1F0
    )
    /// Schedule of the current block; the first sixteen words are its input.
    private var words = InlineArray<80, UInt32>(repeating: 0)
    private var filled = 0
    private var total: UInt64 = 0

    public init() {}

    private mutating func append(_ byte: UInt8) {
        let word = filled >> 2
        if filled & 3 == 0 { words[word] = 0 }
        words[word] |= UInt32(byte) << UInt32(24 - (filled & 3) * 8)
        filled += 1
        if filled == 64 {
            compress()
            filled = 0
        }
    }

    public mutating func update(_ bytes: some Sequence<UInt8>) {
        for byte in bytes {
            append(byte)
            total += 1
        }
    }

    /// Eight bytes, big-endian.
    public mutating func update(_ value: UInt64) {
        total += 8
        // Namespaces of ids stand at the start of a block: whole words.
        if filled & 3 == 0, filled < 56 {
            words[filled >> 2] = UInt32(truncatingIfNeeded: value >> 32)
            words[(filled >> 2) + 1] = UInt32(truncatingIfNeeded: value)
            filled += 8
            return
        }
        for shift in stride(from: UInt64(56), through: 0, by: -8) {
            append(UInt8(truncatingIfNeeded: value >> shift))
        }
    }

    /// The digest as five words.
    public mutating func finish() -> (UInt32, UInt32, UInt32, UInt32, UInt32) {
        let bits = total &* 8
        append(0x80)
        while filled & 3 != 0 { append(0) }
        if filled > 56 {
            for word in filled >> 2..<16 { words[word] = 0 }
            compress()
            filled = 0
        }
        for word in filled >> 2..<14 { words[word] = 0 }
        words[14] = UInt32(truncatingIfNeeded: bits >> 32)
        words[15] = UInt32(truncatingIfNeeded: bits)
        compress()
        return state
    }

    /// Lower-case hexadecimal digest of `text`.
    public static func hex(_ text: String) -> String {
        var hash = SHA1()
        hash.update(text.utf8)
        let digest = hash.finish()
        var out: [UInt8] = []
        out.reserveCapacity(40)
        for word in [digest.0, digest.1, digest.2, digest.3, digest.4] {
            for shift in stride(from: UInt32(28), through: 0, by: -4) {
                out.append(hexDigit(UInt8(truncatingIfNeeded: word >> shift & 15)))
            }
        }
        return String(decoding: out, as: UTF8.self)
    }

    static func hexDigit(_ value: UInt8) -> UInt8 {
        value < 10 ? UInt8(ascii: "0") + value : UInt8(ascii: "a") + value - 10
    }

    private mutating func compress() {
        for i in 16..<80 {
            let mixed = words[i - 3] ^ words[i - 8] ^ words[i - 14] ^ words[i - 16]
            words[i] = mixed << 1 | mixed >> 31
        }
        var (a, b, c, d, e) = state
        for i in 0..<80 {
            let f: UInt32
            let k: UInt32
            switch i {
            case 0..<20: (f, k) = ((b & c) | (~b & d), 0x5A82_7999)
            case 20..<40: (f, k) = (b ^ c ^ d, 0x6ED9_EBA1)
            case 40..<60: (f, k) = ((b & c) | (b & d) | (c & d), 0x8F1B_BCDC)
            default: (f, k) = (b ^ c ^ d, 0xCA62_C1D6)
            }
            let next = (a << 5 | a >> 27) &+ f &+ e &+ k &+ words[i]
            (e, d, c, b, a) = (d, c, b << 30 | b >> 2, a, next)
        }
        state = (state.0 &+ a, state.1 &+ b, state.2 &+ c, state.3 &+ d, state.4 &+ e)
    }
}
