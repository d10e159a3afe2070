// A cursor over a fixed region of memory: what log records are formatted with.

public import Bytes

/// Writes bytes from the start of a region it was lent. A write that does not fit sets
/// `overflowed` and leaves the region as it was; nothing is written past the region.
@safe
public struct LineWriter: ~Copyable {
    private let base: UnsafeMutableRawPointer
    private let limit: Int
    /// Bytes written so far.
    public private(set) var count = 0
    /// Something did not fit.
    public private(set) var overflowed = false

    /// The caller keeps `base` alive and to itself for `limit` bytes as long as the writer lives.
    init(unsafeBase base: UnsafeMutableRawPointer, limit: Int) {
        precondition(limit >= 0)
        unsafe self.base = base
        self.limit = limit
    }

    /// Forgets everything written.
    public mutating func restart() {
        count = 0
        overflowed = false
    }

    /// Takes back what was written after `count` bytes.
    public mutating func truncate(to count: Int) {
        precondition(count >= 0 && count <= self.count)
        self.count = count
    }

    @inline(__always)
    private mutating func room(_ n: Int) -> Bool {
        if limit - count >= n { return true }
        overflowed = true
        return false
    }

    @inline(__always)
    public mutating func append(_ byte: UInt8) {
        guard room(1) else { return }
        unsafe base.storeBytes(of: byte, toByteOffset: count, as: UInt8.self)
        count += 1
    }

    @inline(__always)
    public mutating func append(_ first: UInt8, _ second: UInt8) {
        guard room(2) else { return }
        let pair = UInt16(first) | UInt16(second) << 8
        unsafe base.storeBytes(of: pair, toByteOffset: count, as: UInt16.self)
        count += 2
    }

    @inline(__always)
    public mutating func append(_ bytes: Bytes) {
        let n = bytes.count
        guard n > 0, room(n), let source = unsafe UnsafeRawPointer(bitPattern: bytes.address) else { return }
        unsafe (base + count).copyMemory(from: source, byteCount: n)
        count += n
    }

    @inline(__always)
    public mutating func append(_ text: StaticString) { append(Bytes(text)) }

    public mutating func append(_ bytes: [UInt8]) { bytes.withBytes { append($0) } }

    /// `value` in decimal.
    public mutating func append(decimal value: Int) {
        if value < 0 { append(0x2D) }
        let magnitude = value.magnitude
        if magnitude < 10 { return append(UInt8(truncatingIfNeeded: 0x30 + magnitude)) }
        let digits = Self.digits(magnitude)
        guard room(digits) else { return }
        var rest = magnitude
        var at = count + digits
        while rest >= 100 {
            let quotient = rest / 100
            at -= 2
            store(twoDigits: rest - quotient * 100, at: at)
            rest = quotient
        }
        if rest >= 10 {
            store(twoDigits: rest, at: at - 2)
        } else {
            unsafe base.storeBytes(of: UInt8(truncatingIfNeeded: 0x30 + rest), toByteOffset: at - 1, as: UInt8.self)
        }
        count += digits
    }

    /// Decimal digits of `value`, found by halving: at most five comparisons.
    @inline(__always)
    private static func digits(_ value: UInt) -> Int {
        var rest = value
        var digits = 1
        if rest >= 10_000_000_000_000_000 {
            digits += 16
            rest /= 10_000_000_000_000_000
        }
        if rest >= 100_000_000 {
            digits += 8
            rest /= 100_000_000
        }
        if rest >= 10_000 {
            digits += 4
            rest /= 10_000
        }
        if rest >= 100 {
            digits += 2
            rest /= 100
        }
        return rest >= 10 ? digits + 1 : digits
    }

    /// `value` is below 100; the caller made room.
    @inline(__always)
    private func store(twoDigits value: UInt, at offset: Int) {
        let tens = value / 10
        let pair = UInt16(truncatingIfNeeded: (0x30 + tens) | (0x30 + value - tens * 10) << 8)
        unsafe base.storeBytes(of: pair, toByteOffset: offset, as: UInt16.self)
    }

    /// `value` in decimal with at least two digits, for dates.
    public mutating func append(twoDigits value: Int) {
        if value < 10 { append(0x30) }
        append(decimal: value)
    }

    /// `address` as text.
    public mutating func append(_ address: IPAddress, scratch: Buffer) {
        guard !address.isIPv6 else {
            scratch.clear()
            address.write(to: scratch)
            append(scratch.readable)
            return
        }
        var shift: UInt64 = 24
        while true {
            append(decimal: Int(address.low >> shift & 255))
            if shift == 0 { return }
            append(0x2E)
            shift -= 8
        }
    }

    // MARK: Text inside JSON strings

    /// `text` escaped for the inside of a JSON string. Bytes that are not UTF-8 become U+FFFD.
    @inline(__always)
    public mutating func append(json text: Bytes) {
        if !appendPlain(text, lower: false) { appendEscaped(text, lower: false) }
    }

    /// As `append(json:)`, with ASCII letters in lower case.
    @inline(__always)
    public mutating func append(jsonLower text: Bytes) {
        if !appendPlain(text, lower: true) { appendEscaped(text, lower: true) }
    }

    /// Copies `text` if all of it stands for itself in JSON; otherwise writes nothing and says false.
    ///
    /// Eight bytes at a time, the last eight overlapping those before: a header costs a few
    /// nanoseconds. Whether anything needs escaping is known at the end.
    private mutating func appendPlain(_ text: Bytes, lower: Bool) -> Bool {
        let n = text.count
        guard room(n) else { return true }
        // A local, so that the compiler need not think a store changes where the next one goes.
        let target = unsafe base + count
        var special: UInt64 = 0
        if n >= 8 {
            var i = 0
            while i <= n - 8 {
                special |= unsafe Self.store8(text.load64(i), target + i, lower)
                i += 8
            }
            if i < n { special |= unsafe Self.store8(text.load64(n - 8), target + (n - 8), lower) }
        } else if n >= 4 {
            special |= unsafe Self.store4(text.load32(0), target, lower)
            special |= unsafe Self.store4(text.load32(n - 4), target + (n - 4), lower)
        } else {
            var i = 0
            while i < n {
                let byte = text[i]
                if Self.isSpecial(byte) { special = 1 }
                unsafe target.storeBytes(of: lower ? ASCII.lower(byte) : byte, toByteOffset: i, as: UInt8.self)
                i += 1
            }
        }
        if special != 0 { return false }
        count += n
        return true
    }

    /// Callers made room for eight bytes at `target`.
    @inline(__always)
    private static func store8(_ word: UInt64, _ target: UnsafeMutableRawPointer, _ lower: Bool) -> UInt64 {
        unsafe target.storeBytes(of: lower ? Self.lower(word) : word, as: UInt64.self)
        return specials(word)
    }

    /// Callers made room for four bytes at `target`.
    @inline(__always)
    private static func store4(_ half: UInt32, _ target: UnsafeMutableRawPointer, _ lower: Bool) -> UInt64 {
        let word = UInt64(half)
        let shown = lower ? Self.lower(word) : word
        unsafe target.storeBytes(of: UInt32(truncatingIfNeeded: shown), as: UInt32.self)
        return specials(word | 0x2020_2020_0000_0000)
    }

    @inline(__always)
    private static func isSpecial(_ byte: UInt8) -> Bool {
        byte < 0x20 || byte == 0x22 || byte == 0x5C || byte >= 0x7F
    }

    /// Not zero when one of eight bytes is a control, a quote, a backslash, DEL or above ASCII.
    @inline(__always)
    private static func specials(_ word: UInt64) -> UInt64 {
        let ones: UInt64 = 0x0101_0101_0101_0101
        let high: UInt64 = 0x8080_8080_8080_8080
        let quote = word ^ (ones &* 0x22)
        let backslash = word ^ (ones &* 0x5C)
        let controls = (word &- ones &* 0x20) & ~word
        let quotes = (quote &- ones) & ~quote
        let backslashes = (backslash &- ones) & ~backslash
        let upper = word | (word & ~high) &+ ones  // 0x7F and above
        return (controls | quotes | backslashes | upper) & high
    }

    @inline(__always)
    private static func lower(_ word: UInt64) -> UInt64 {
        let ones: UInt64 = 0x0101_0101_0101_0101
        let low7 = word & (ones &* 0x7F)
        let aboveZ = low7 &+ ones &* 0x25
        let fromA = low7 &+ ones &* 0x3F
        let capital = (aboveZ ^ fromA) & ~word & (ones &* 0x80)
        return word | capital >> 2
    }

    @inline(never)
    private mutating func appendEscaped(_ text: Bytes, lower: Bool) {
        var i = 0
        while i < text.count, !overflowed {
            let byte = text[i]
            if byte < 0x7F {
                append(escaped: lower ? ASCII.lower(byte) : byte)
                i += 1
                continue
            }
            let length = UTF8Sequence.length(text, at: i)
            if length == 0 {
                append("\\ufffd")
                i += 1
            } else if length == 1 {
                append("\\u007f")
                i += 1
            } else {
                append(text[i..<i + length])
                i += length
            }
        }
    }

    private mutating func append(escaped byte: UInt8) {
        switch byte {
        case 0x22: append("\\\"")
        case 0x5C: append("\\\\")
        case 0x0A: append("\\n")
        case 0x0D: append("\\r")
        case 0x09: append("\\t")
        case 0x00..<0x20:
            append("\\u00")
            append(hexDigit: byte >> 4)
            append(hexDigit: byte & 15)
        default: append(byte)
        }
    }

    @inline(__always)
    private mutating func append(hexDigit nibble: UInt8, upper: Bool = false) {
        append(nibble < 10 ? 0x30 + nibble : (upper ? 0x37 : 0x57) + nibble)
    }

    // MARK: Text inside quoted fields of the combined format

    /// `text` with quotes, backslashes, controls and everything above ASCII as `\xHH`; `-` when empty.
    public mutating func append(combined text: Bytes) {
        if text.isEmpty { return append(0x2D) }
        if appendPlain(text, lower: false) { return }
        var i = 0
        while i < text.count, !overflowed {
            let byte = text[i]
            if Self.isSpecial(byte) {
                append("\\x")
                append(hexDigit: byte >> 4, upper: true)
                append(hexDigit: byte & 15, upper: true)
            } else {
                append(byte)
            }
            i += 1
        }
    }
}

/// RFC 3629, table 3-7 of the Unicode standard: well-formed byte sequences.
enum UTF8Sequence {
    /// Length of the well-formed sequence at `i`, or 0.
    static func length(_ text: Bytes, at i: Int) -> Int {
        let first = text[i]
        if first < 0x80 { return 1 }
        let length: Int
        var range: ClosedRange<UInt8> = 0x80...0xBF
        switch first {
        case 0xC2...0xDF: length = 2
        case 0xE0:
            length = 3
            range = 0xA0...0xBF
        case 0xED:
            length = 3
            range = 0x80...0x9F
        case 0xE1...0xEF: length = 3
        case 0xF0:
            length = 4
            range = 0x90...0xBF
        case 0xF4:
            length = 4
            range = 0x80...0x8F
        case 0xF1...0xF3: length = 4
        default: return 0
        }
        guard i + length <= text.count, range.contains(text[i + 1]) else { return 0 }
        var n = 2
        while n < length {
            if text[i + n] & 0xC0 != 0x80 { return 0 }
            n += 1
        }
        return length
    }
}
