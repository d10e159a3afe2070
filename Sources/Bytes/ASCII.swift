// Byte classes of the protocols Seaway speaks.

/// ASCII helpers and the character classes of RFC 9110 and RFC 3986.
public enum ASCII {
    @inlinable @inline(__always)
    public static func lower(_ byte: UInt8) -> UInt8 {
        byte &- 0x41 < 26 ? byte | 0x20 : byte
    }

    /// Eight bytes at once.
    @inlinable @inline(__always)
    public static func lower(_ word: UInt64) -> UInt64 {
        let ones: UInt64 = 0x0101_0101_0101_0101
        let highs: UInt64 = 0x8080_8080_8080_8080
        // Bytes past 0x7F are left out, so that no sum carries into its neighbour.
        let seven = word & ~highs
        let fromA = seven &+ ones &* (0x80 - 0x41)
        let pastZ = seven &+ ones &* (0x80 - 0x5B)
        return word | (fromA & ~pastZ & ~word & highs) >> 2
    }

    @inlinable @inline(__always)
    public static func upper(_ byte: UInt8) -> UInt8 {
        byte &- 0x61 < 26 ? byte & 0xDF : byte
    }

    @inlinable @inline(__always)
    public static func isDigit(_ byte: UInt8) -> Bool { byte &- 0x30 < 10 }

    @inlinable @inline(__always)
    public static func isAlpha(_ byte: UInt8) -> Bool { (byte | 0x20) &- 0x61 < 26 }

    /// The value of a hexadecimal digit, or nil.
    @inlinable @inline(__always)
    public static func hex(_ byte: UInt8) -> UInt8? {
        if byte &- 0x30 < 10 { return byte &- 0x30 }
        let letter = byte | 0x20
        return letter &- 0x61 < 6 ? letter &- 0x61 &+ 10 : nil
    }

    /// `tchar` of RFC 9110 section 5.6.2: what a method or a field name may hold.
    @inlinable @inline(__always)
    public static func isToken(_ byte: UInt8) -> Bool {
        // Two 64-bit maps instead of a table in memory.
        let map: UInt64 = byte < 64 ? 0x03FF_6CFA_0000_0000 : 0x57FF_FFFF_C7FF_FFFE
        return byte < 128 && (map >> UInt64(byte & 63)) & 1 == 1
    }

    /// `unreserved` of RFC 3986 section 2.3.
    @inlinable @inline(__always)
    public static func isUnreserved(_ byte: UInt8) -> Bool {
        isAlpha(byte) || isDigit(byte) || byte == 0x2D || byte == 0x2E || byte == 0x5F || byte == 0x7E
    }
}
