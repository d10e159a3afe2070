// Owned, growable bytes with a read end and a write end.

import CLinux

/// A growable region: bytes are appended at `end` and consumed from `start`.
///
/// One worker owns a buffer at a time. Offsets passed to `bytes(at:count:)` are counted from the
/// region's origin and stay valid when it grows; views handed out do not.
@safe
public final class Buffer {
    @usableFromInline var base: UnsafeMutableRawPointer
    @usableFromInline var size: Int
    @usableFromInline var head = 0
    @usableFromInline var tail = 0

    /// - Parameter capacity: first size in bytes; the buffer grows by doubling.
    public init(capacity: Int = Buffer.standardCapacity) {
        let size = max(capacity, 64)
        unsafe base = UnsafeMutableRawPointer.allocate(byteCount: size, alignment: 16)
        self.size = size
    }

    deinit { unsafe base.deallocate() }

    /// What a pooled buffer holds: a head of the default limit, or one read of a body.
    public static let standardCapacity = 16 * 1024

    @inlinable public var capacity: Int { size }
    /// Offset of the first unread byte.
    @inlinable public var start: Int { head }
    /// Offset one past the last byte.
    @inlinable public var end: Int { tail }
    @inlinable public var count: Int { tail - head }
    @inlinable public var isEmpty: Bool { tail == head }
    @inlinable public var free: Int { capacity - end }

    /// The unread bytes.
    @inlinable @inline(__always)
    public var readable: Bytes { unsafe Bytes(unsafeBase: base + start, count: end - start) }

    /// Bytes by offset from the origin, consumed or not.
    @inlinable @inline(__always)
    public func bytes(at offset: Int, count: Int) -> Bytes {
        precondition(offset >= 0 && count >= 0 && offset + count <= end, "range outside the buffer")
        return unsafe Bytes(unsafeBase: base + offset, count: count)
    }

    /// Forgets all content; keeps the memory.
    @inlinable public func clear() {
        head = 0
        tail = 0
    }

    /// Marks `n` unread bytes as read.
    @inlinable public func consume(_ n: Int) {
        precondition(n >= 0 && n <= count, "consuming more than there is")
        head += n
    }

    /// Gives memory back, when empty: what is left has room for `capacity` bytes.
    public func shrink(to capacity: Int) {
        guard isEmpty, size > max(capacity, 64) else { return }
        size = max(capacity, 64)
        unsafe base.deallocate()
        unsafe base = UnsafeMutableRawPointer.allocate(byteCount: size, alignment: 16)
        clear()
    }

    /// Drops bytes appended after `offset`.
    @inlinable public func truncate(to offset: Int) {
        precondition(offset >= start && offset <= end, "truncating outside the content")
        tail = offset
    }

    /// Makes room for `n` more bytes at the end.
    @inlinable @inline(__always)
    public func reserve(_ n: Int) {
        if capacity - end < n { grow(n) }
    }

    @usableFromInline
    func grow(_ n: Int) {
        let size = max(capacity * 2, end + n)
        let larger = UnsafeMutableRawPointer.allocate(byteCount: size, alignment: 16)
        unsafe larger.copyMemory(from: base, byteCount: end)
        unsafe base.deallocate()
        unsafe base = larger
        self.size = size
    }

    /// Moves the unread bytes to the origin. Offsets taken before are void.
    public func compact() {
        guard start > 0 else { return }
        let n = count
        if n > 0 { unsafe memmove(base, base + start, n) }
        head = 0
        tail = n
    }

    @inlinable @inline(__always)
    public func append(_ bytes: Bytes) {
        let n = bytes.count
        reserve(n)
        unsafe (base + end).copyMemory(
            from: UnsafeRawPointer(bitPattern: bytes.address) ?? UnsafeRawPointer(base), byteCount: n)
        tail += n
    }

    /// `name: value CRLF`.
    public func appendField(_ name: Bytes, _ value: Bytes) {
        reserve(name.count + value.count + 4)
        var at = unsafe base + tail
        unsafe at.copyMemory(from: name.base, byteCount: name.count)
        unsafe at += name.count
        unsafe at.storeBytes(of: 0x3A, as: UInt8.self)
        unsafe (at + 1).storeBytes(of: 0x20, as: UInt8.self)
        unsafe at += 2
        unsafe at.copyMemory(from: value.base, byteCount: value.count)
        unsafe at += value.count
        unsafe at.storeBytes(of: 0x0D, as: UInt8.self)
        unsafe (at + 1).storeBytes(of: 0x0A, as: UInt8.self)
        tail += name.count + value.count + 4
    }

    @inlinable @inline(__always)
    public func append(_ text: StaticString) { append(Bytes(text)) }

    @inlinable @inline(__always)
    public func append(_ byte: UInt8) {
        reserve(1)
        unsafe (base + end).storeBytes(of: byte, as: UInt8.self)
        tail += 1
    }

    /// The first `n` bytes of a little-endian word, 0 to 8 of them.
    @inlinable @inline(__always)
    public func append(word: UInt64, count n: Int) {
        precondition(n >= 0 && n <= 8, "a word has eight bytes")
        reserve(8)
        unsafe (base + tail).storeBytes(of: word, as: UInt64.self)
        tail += n
    }

    /// `bytes` with A to Z in lower case.
    @inlinable
    public func append(lowercased bytes: Bytes) {
        reserve(bytes.count + 8)
        var i = 0
        while i + 8 <= bytes.count {
            append(word: ASCII.lower(bytes.load64(i)), count: 8)
            i += 8
        }
        while i < bytes.count {
            append(ASCII.lower(bytes[i]))
            i += 1
        }
    }

    @inlinable
    public func append(_ bytes: [UInt8]) { bytes.withBytes { append($0) } }

    /// Disfavoured, so that a literal is appended as the static bytes it is.
    @inlinable @_disfavoredOverload
    public func append(_ text: String) {
        var text = text
        text.withUTF8 { utf8 in
            guard let start = utf8.baseAddress else { return }
            unsafe append(Bytes(unsafeBase: UnsafeRawPointer(start), count: utf8.count))
        }
    }

    /// Four bytes, the highest first.
    @inlinable @inline(__always)
    public func append(big value: UInt32) {
        reserve(4)
        unsafe (base + end).storeBytes(of: value.bigEndian, as: UInt32.self)
        tail += 4
    }

    /// `value` in decimal.
    @inlinable
    public func append(decimal value: Int) {
        if value < 0 {
            append(0x2D)
            append(magnitude: value.magnitude)
        } else {
            append(magnitude: UInt(value))
        }
    }

    @inlinable
    func append(magnitude: UInt) {
        if magnitude < 10 { return append(UInt8(0x30 + magnitude)) }
        reserve(20)
        // Digits are written backwards into the end of the room, then moved down.
        var value = magnitude
        var at = tail + 20
        while value >= 10 {
            let rest = value / 10
            at -= 1
            unsafe (base + at).storeBytes(of: UInt8(truncatingIfNeeded: 0x30 + (value - rest * 10)), as: UInt8.self)
            value = rest
        }
        at -= 1
        unsafe (base + at).storeBytes(of: UInt8(truncatingIfNeeded: 0x30 + value), as: UInt8.self)
        let count = tail + 20 - at
        // Within the 20 bytes reserved; the ranges may overlap, which copyMemory allows.
        unsafe (base + tail).copyMemory(from: base + at, byteCount: count)
        tail += count
    }

    /// `value` in lower-case hexadecimal, padded with zeros to `digits` (0: as few as needed).
    public func append(hex value: UInt64, digits: Int = 0) {
        let needed = min(16, max(digits, max(1, (64 - value.leadingZeroBitCount + 3) / 4)))
        reserve(16)
        // Eight nibbles at a time: spread to one a byte, then turned into digits without branches.
        unsafe Self.storeHex(UInt32(truncatingIfNeeded: value >> 32), base + tail)
        unsafe Self.storeHex(UInt32(truncatingIfNeeded: value), base + tail + 8)
        if needed < 16 { unsafe memmove(base + tail, base + tail + 16 - needed, needed) }
        tail += needed
    }

    private static func storeHex(_ value: UInt32, _ target: UnsafeMutableRawPointer) {
        var x = UInt64(value >> 16) | UInt64(value & 0xFFFF) << 32
        x = (x & 0x0000_00FF_0000_00FF) << 16 | (x >> 8) & 0x0000_00FF_0000_00FF
        x = (x & 0x000F_000F_000F_000F) << 8 | (x >> 4) & 0x000F_000F_000F_000F
        let isLetter = ((x &+ 0x0606_0606_0606_0606) >> 4) & 0x0101_0101_0101_0101
        unsafe target.storeBytes(of: x &+ 0x3030_3030_3030_3030 &+ isLetter &* 0x27, as: UInt64.self)
    }

    /// Overwrites a byte that was appended before.
    @inlinable
    public func set(_ offset: Int, _ byte: UInt8) {
        precondition(offset >= 0 && offset < end, "offset outside the buffer")
        unsafe (base + offset).storeBytes(of: byte, as: UInt8.self)
    }

    /// Overwrites four bytes that were appended before, the highest first.
    @inlinable
    public func set(_ offset: Int, big value: UInt32) {
        precondition(offset >= 0 && offset + 4 <= end, "offset outside the buffer")
        unsafe (base + offset).storeBytes(of: value.bigEndian, as: UInt32.self)
    }

    /// Lets `fill` write up to `limit` bytes at the end; it gets the address and the room, and
    /// returns how many bytes it wrote (0 or less: none), which is passed through.
    @inlinable @inline(__always)
    public func appendFrom(limit: Int, _ fill: (_ address: UInt, _ room: Int) -> Int) -> Int {
        let room = min(limit, capacity - end)
        let n = unsafe fill(UInt(bitPattern: base + end), room)
        precondition(n <= room, "wrote past the room given")
        if n > 0 { tail += n }
        return n
    }
}

/// A worker's spare buffers of `Buffer.standardCapacity`. At most `limit` are kept; grown buffers
/// are not, so that one large head does not cost memory for ever.
public final class BufferPool {
    private var spare: [Buffer] = []
    private let limit: Int

    public init(limit: Int = 256) { self.limit = limit }

    public func take() -> Buffer { spare.popLast() ?? Buffer() }

    public func give(_ buffer: Buffer) {
        guard buffer.capacity == Buffer.standardCapacity, spare.count < limit else { return }
        buffer.clear()
        spare.append(buffer)
    }
}
