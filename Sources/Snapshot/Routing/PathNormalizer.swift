// The one canonical form of a request path: what the router, the filters and the upstream see.

public import Bytes

/// Kong's path normalisation, which is RFC 3986's (sections 6.2.2 and 5.2.4) with two choices made.
///
///     raw request target      /A/%62//./c/../%2f?x=1
///     cut at the first `?`    /A/%62//./c/../%2f
///     1. percent-decode       /A/b//./c/../%2F       reserved characters stay encoded, in upper case
///     2. dot segments         /A/b//%2F              after decoding, so %2e%2e is `..`
///     3. merge slashes        /A/b/%2F
///
/// A path that is in this form already is not copied.
public enum PathNormalizer {
    /// `path` in canonical form: a part of `path` itself, or bytes appended to `buffer`.
    ///
    /// - Parameters:
    ///   - path: the request target without its query.
    ///   - buffer: cleared, and written when `path` is not canonical.
    @inlinable
    public static func normalize(_ path: Bytes, into buffer: Buffer) -> Bytes {
        if isCanonical(path) { return path }
        buffer.clear()
        decode(path, into: buffer)
        removeDotSegments(buffer)
        return buffer.readable
    }

    /// Where the query starts (the offset of its `?`), or nil. Kong never looks at the first byte.
    @inlinable
    public static func queryOffset(in target: Bytes) -> Int? {
        target.firstIndex(of: 0x3F, from: 1)
    }

    /// True if normalising would change nothing.
    @inlinable
    public static func isCanonical(_ path: Bytes) -> Bool {
        let count = path.count
        if count == 0 { return true }
        if path[0] != 0x2F { return false }
        var at = 1
        var afterSlash = true
        while at < count {
            let byte = path[at]
            if byte == 0x25 { return false }
            if byte == 0x2F {
                if afterSlash { return false }
                afterSlash = true
            } else {
                if afterSlash && byte == 0x2E && isDotSegment(path, at) { return false }
                afterSlash = false
            }
            at += 1
        }
        return true
    }

    /// True if the segment that starts at `at` (where a dot is) is `.` or `..`.
    @usableFromInline
    static func isDotSegment(_ path: Bytes, _ at: Int) -> Bool {
        var end = at + 1
        if end < path.count, path[end] == 0x2E { end += 1 }
        return end == path.count || path[end] == 0x2F
    }

    /// Reserved characters of RFC 3986 section 2.2 and `%`: decoding one would change the meaning.
    static func isReserved(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x21, 0x2A, 0x27, 0x28, 0x29, 0x3B, 0x3A, 0x40, 0x26, 0x3D, 0x2B, 0x24, 0x2C, 0x2F, 0x3F,
            0x25, 0x23, 0x5B, 0x5D:
            true
        default: false
        }
    }

    /// Step 1. One pass: `%2541` becomes `%2541`, never `A`.
    @usableFromInline
    static func decode(_ path: Bytes, into buffer: Buffer) {
        buffer.reserve(path.count)
        var at = 0
        while at < path.count {
            let byte = path[at]
            if byte == 0x25, at + 2 < path.count, let high = ASCII.hex(path[at + 1]),
                let low = ASCII.hex(path[at + 2])
            {
                let value = high << 4 | low
                if isReserved(value) {
                    buffer.append(0x25)
                    buffer.append(ASCII.upper(path[at + 1]))
                    buffer.append(ASCII.upper(path[at + 2]))
                } else {
                    buffer.append(value)
                }
                at += 3
            } else {
                buffer.append(byte)
                at += 1
            }
        }
    }

    /// Steps 2 and 3, in place: what is written never overtakes what is read.
    @usableFromInline
    static func removeDotSegments(_ buffer: Buffer) {
        let count = buffer.count
        var read = 0
        var write = 0
        // A target that starts with dots instead of a slash loses them.
        while read < count, buffer.readable[read] == 0x2E, isDotSegment(buffer.readable, read) {
            read += buffer.readable[read..<count].starts(with: Bytes("..")) ? 2 : 1
            if read < count { read += 1 }
        }
        while read < count {
            // `read` is at the slash before a segment, or at the start of a target without one.
            let hasSlash = buffer.readable[read] == 0x2F
            let start = hasSlash ? read + 1 : read
            var end = start
            while end < count, buffer.readable[end] != 0x2F { end += 1 }
            let segment = buffer.readable[start..<end]
            if hasSlash && segment.isEmpty && end < count {
                read = end  // `//`: the first one goes.
            } else if hasSlash && (segment == "." || segment == "..") {
                if segment.count == 2 { write = lastSlash(buffer, before: write) }
                if end == count {
                    buffer.set(write, 0x2F)
                    write += 1
                }
                read = end
            } else {
                while read < end {
                    buffer.set(write, buffer.readable[read])
                    write += 1
                    read += 1
                }
            }
        }
        buffer.truncate(to: write)
    }

    /// Where the last written segment starts, its slash included.
    private static func lastSlash(_ buffer: Buffer, before end: Int) -> Int {
        var at = end
        while at > 0 {
            at -= 1
            if buffer.readable[at] == 0x2F { return at }
        }
        return 0
    }

    /// Appends `path` as it is sent upstream: what is neither unreserved, reserved nor `%` is encoded.
    @inlinable
    public static func escape(_ path: Bytes, to out: Buffer) {
        var from = 0
        var at = 0
        while at < path.count {
            let byte = path[at]
            if !isSafe(byte) {
                out.append(path[from..<at])
                out.append(0x25)
                out.append(hexDigit(byte >> 4))
                out.append(hexDigit(byte & 15))
                from = at + 1
            }
            at += 1
        }
        out.append(path[from..<path.count])
    }

    /// The bytes that may stand in a request target as they are.
    @inlinable @inline(__always)
    static func isSafe(_ byte: UInt8) -> Bool {
        // Bits 0x21...0x3F without `"`, `<`, `>`; bits 0x40...0x7E without `\`, `^`, `` ` ``, `{`, `|`, `}`.
        let map: UInt64 = byte < 64 ? 0xAFFF_FFFA_0000_0000 : 0x47FF_FFFE_AFFF_FFFF
        return byte < 128 && (map >> UInt64(byte & 63)) & 1 == 1
    }

    @inlinable
    static func hexDigit(_ nibble: UInt8) -> UInt8 { nibble < 10 ? 0x30 + nibble : 0x37 + nibble }

    /// True if `bytes` is well-formed UTF-8 (RFC 3629: no overlong forms, no surrogates).
    @inlinable
    public static func isUTF8(_ bytes: Bytes) -> Bool {
        var at = 0
        while at + 8 <= bytes.count, bytes.load64(at) & 0x8080_8080_8080_8080 == 0 { at += 8 }
        while at < bytes.count {
            if bytes[at] < 0x80 {
                at += 1
            } else {
                let length = sequenceLength(bytes, at)
                if length == 0 { return false }
                at += length
            }
        }
        return true
    }

    /// Length of the multi-byte sequence at `at`, or 0 if it is not well-formed.
    @usableFromInline
    static func sequenceLength(_ bytes: Bytes, _ at: Int) -> Int {
        let first = bytes[at]
        let length: Int
        var low: UInt8 = 0x80
        var high: UInt8 = 0xBF
        switch first {
        case 0xC2...0xDF: length = 2
        case 0xE0...0xEF:
            length = 3
            if first == 0xE0 { low = 0xA0 }
            if first == 0xED { high = 0x9F }
        case 0xF0...0xF4:
            length = 4
            if first == 0xF0 { low = 0x90 }
            if first == 0xF4 { high = 0x8F }
        default: return 0
        }
        guard at + length <= bytes.count, bytes[at + 1] >= low, bytes[at + 1] <= high else { return 0 }
        var next = at + 2
        while next < at + length {
            if bytes[next] & 0xC0 != 0x80 { return 0 }
            next += 1
        }
        return length
    }
}
