// A checked view of bytes that somebody else owns.

public import CLinux

/// A view of `count` bytes owned by someone else (a `Buffer`, a snapshot's table, a static string).
///
/// Reading outside `0..<count` traps in every build. The view does not keep its owner alive: it is
/// for use within the turn of the event loop, or the lifetime of the owner, that handed it out.
/// The safety argument is in docs/adr/0003-bytes.md.
@safe
public struct Bytes: @unchecked Sendable {  // Reads only; owners are immutable or confined to one worker.
    @usableFromInline let base: UnsafeRawPointer
    public let count: Int

    @inlinable @inline(__always)
    public init(unsafeBase base: UnsafeRawPointer, count: Int) {
        precondition(count >= 0)
        unsafe self.base = base
        self.count = count
    }

    @inlinable @inline(__always)
    public init(_ text: StaticString) {
        unsafe self.init(unsafeBase: UnsafeRawPointer(text.utf8Start), count: text.utf8CodeUnitCount)
    }

    @inlinable public static var empty: Bytes { Bytes("") }

    @inlinable public var isEmpty: Bool { count == 0 }

    /// The address, for a system call or a C library; valid for `count` bytes.
    @inlinable @inline(__always)
    public var address: UInt { unsafe UInt(bitPattern: base) }

    @inlinable @inline(__always)
    public subscript(index: Int) -> UInt8 {
        precondition(index >= 0 && index < count, "byte index out of range")
        return unsafe base.load(fromByteOffset: index, as: UInt8.self)
    }

    @inlinable @inline(__always)
    public subscript(range: Range<Int>) -> Bytes {
        precondition(range.lowerBound >= 0 && range.upperBound <= count, "byte range out of range")
        return unsafe Bytes(unsafeBase: base + range.lowerBound, count: range.count)
    }

    @inlinable @inline(__always)
    public func dropFirst(_ n: Int) -> Bytes { self[min(n, count)..<count] }

    @inlinable @inline(__always)
    public func prefix(_ n: Int) -> Bytes { self[0..<min(n, count)] }

    /// Eight bytes at `offset`, little-endian.
    @inlinable @inline(__always)
    public func load64(_ offset: Int) -> UInt64 {
        precondition(offset >= 0 && offset + 8 <= count, "byte index out of range")
        return unsafe base.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
    }

    @inlinable @inline(__always)
    public func load32(_ offset: Int) -> UInt32 {
        precondition(offset >= 0 && offset + 4 <= count, "byte index out of range")
        return unsafe base.loadUnaligned(fromByteOffset: offset, as: UInt32.self)
    }

    /// Four bytes at `offset` as a number, the highest first.
    @inlinable @inline(__always)
    public func big32(_ offset: Int) -> UInt32 { UInt32(bigEndian: load32(offset)) }

    /// Offset of the first `byte`, or nil.
    @inlinable
    public func firstIndex(of byte: UInt8) -> Int? {
        let at = sys_memchr(address, Int32(byte), count)
        return at < 0 ? nil : at
    }

    @inlinable
    public func firstIndex(of byte: UInt8, from start: Int) -> Int? {
        guard start <= count else { return nil }
        return dropFirst(start).firstIndex(of: byte).map { $0 + start }
    }

    @inlinable
    public func lastIndex(of byte: UInt8) -> Int? {
        var i = count
        while i > 0 {
            i -= 1
            if self[i] == byte { return i }
        }
        return nil
    }

    @inlinable
    public func contains(_ byte: UInt8) -> Bool { sys_memchr(address, Int32(byte), count) >= 0 }

    @inlinable
    public func starts(with other: Bytes) -> Bool {
        count >= other.count && sys_memcmp(address, other.address, other.count) == 0
    }

    @inlinable
    public func starts(with other: StaticString) -> Bool { starts(with: Bytes(other)) }

    @inlinable
    public func ends(with other: StaticString) -> Bool { ends(with: Bytes(other)) }

    @inlinable
    public func ends(with other: Bytes) -> Bool {
        count >= other.count && dropFirst(count - other.count) == other
    }

    /// ASCII case-insensitive equality.
    @inlinable
    public func equalsIgnoringCase(_ other: Bytes) -> Bool {
        guard count == other.count else { return false }
        var i = 0
        while i < count {
            if ASCII.lower(self[i]) != ASCII.lower(other[i]) { return false }
            i += 1
        }
        return true
    }

    @inlinable
    public func equalsIgnoringCase(_ other: StaticString) -> Bool { equalsIgnoringCase(Bytes(other)) }

    /// Without leading and trailing SP and HTAB (OWS, RFC 9110 section 5.6.3).
    @inlinable
    public func trimmed() -> Bytes {
        var start = 0
        var end = count
        while start < end, self[start] == 0x20 || self[start] == 0x09 { start += 1 }
        while end > start, self[end - 1] == 0x20 || self[end - 1] == 0x09 { end -= 1 }
        return self[start..<end]
    }

    /// A non-negative decimal number of 1 to 18 digits and nothing else; nil otherwise.
    @inlinable
    public func decimal() -> Int? {
        guard count > 0, count <= 18 else { return nil }
        var value = 0
        var i = 0
        while i < count {
            let digit = self[i] &- 0x30
            if digit > 9 { return nil }
            value = value * 10 + Int(digit)
            i += 1
        }
        return value
    }

    /// The bytes as text; invalid UTF-8 becomes U+FFFD.
    public var string: String {
        unsafe String(decoding: UnsafeRawBufferPointer(start: base, count: count), as: UTF8.self)
    }

    public var array: [UInt8] {
        unsafe [UInt8](UnsafeRawBufferPointer(start: base, count: count))
    }

    /// A well-mixed 64-bit hash (not keyed: use `seed` for tables that strangers can fill).
    @inlinable
    public func hash64(seed: UInt64 = 0) -> UInt64 {
        var h = seed ^ 0x9E37_79B9_7F4A_7C15 ^ UInt64(truncatingIfNeeded: count) &* 0xA076_1D64_78BD_642F
        var i = 0
        while i + 8 <= count {
            h = Bytes.mix(h ^ load64(i))
            i += 8
        }
        var tail: UInt64 = 0
        var shift: UInt64 = 0
        while i < count {
            tail |= UInt64(self[i]) << shift
            shift += 8
            i += 1
        }
        return Bytes.mix(h ^ tail ^ 0xE703_7ED1_A0B4_28DB)
    }

    @inlinable @inline(__always)
    static func mix(_ x: UInt64) -> UInt64 {
        let product = x.multipliedFullWidth(by: 0x9FB2_1C65_1E98_DF25)
        return product.high ^ product.low
    }
}

extension Bytes: Equatable {
    @inlinable
    public static func == (a: Bytes, b: Bytes) -> Bool {
        a.count == b.count && sys_memcmp(a.address, b.address, a.count) == 0
    }

    @inlinable
    public static func == (a: Bytes, b: StaticString) -> Bool { a == Bytes(b) }
}

extension Array where Element == UInt8 {
    /// Lends the array's bytes for the duration of `body`.
    @inlinable @inline(__always)
    public func withBytes<R, E: Error>(_ body: (Bytes) throws(E) -> R) throws(E) -> R {
        let span = self.span
        return try unsafe span.withUnsafeBufferPointer { (pointer) throws(E) -> R in
            guard let base = pointer.baseAddress else { return try body(.empty) }
            return try unsafe body(Bytes(unsafeBase: UnsafeRawPointer(base), count: pointer.count))
        }
    }
}

extension String {
    /// Lends the string's UTF-8 for the duration of `body`.
    @inlinable
    public func withBytes<R, E: Error>(_ body: (Bytes) throws(E) -> R) throws(E) -> R {
        try Array(self.utf8).withBytes(body)
    }
}
