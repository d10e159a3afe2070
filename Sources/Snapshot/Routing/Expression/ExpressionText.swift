// The values that expressions compare: path segments, query arguments, lower case.

internal import Bytes

/// The segments of a canonical path: what stands between slashes, the first one and a last empty one left out.
enum PathSegments {
    /// `/a/b` and `/a/b/` have two, `/` has none.
    static func count(of path: Bytes) -> Int {
        var slashes = 0
        var at = 0
        while let slash = path.firstIndex(of: 0x2F, from: at) {
            slashes += 1
            at = slash + 1
        }
        return at == path.count ? max(0, slashes - 1) : slashes
    }

    /// Segments `first` to `last` (from 0) with the slashes between them; nil if there are not that many.
    static func range(_ first: Int, _ last: Int, of path: Bytes) -> Bytes? {
        guard !path.isEmpty, path[0] == 0x2F else { return nil }
        var start = 1
        var from = -1
        var number = 0
        while start < path.count {
            let end = path.firstIndex(of: 0x2F, from: start) ?? path.count
            if number == first { from = start }
            if number == last { return from < 0 ? nil : path[from..<end] }
            number += 1
            start = end + 1
        }
        return nil
    }
}

/// Walks a query: `name=value` between `&`; a name without `=` has the value "".
struct QueryArguments {
    private let query: Bytes
    private var at = 0

    init(_ query: Bytes) { self.query = query }

    /// The next argument with a name, not decoded.
    mutating func next() -> (name: Bytes, value: Bytes)? {
        while at < query.count {
            let end = query.firstIndex(of: 0x26, from: at) ?? query.count
            let argument = query[at..<end]
            at = end + 1
            let equals = argument.firstIndex(of: 0x3D) ?? argument.count
            if equals == 0 { continue }
            return (argument.prefix(equals), argument.dropFirst(equals + 1))
        }
        return nil
    }

    /// `text` with `%XX` decoded and `+` as a space: itself, or the content of `buffer`.
    static func decoded(_ text: Bytes, _ buffer: Buffer) -> Bytes {
        if !text.contains(0x25), !text.contains(0x2B) { return text }
        buffer.clear()
        var at = 0
        while at < text.count {
            let byte = text[at]
            if byte == 0x25, at + 2 < text.count, let high = ASCII.hex(text[at + 1]), let low = ASCII.hex(text[at + 2])
            {
                buffer.append(high << 4 | low)
                at += 3
            } else {
                buffer.append(byte == 0x2B ? 0x20 : byte)
                at += 1
            }
        }
        return buffer.readable
    }
}

/// `lower()`.
enum LowerCase {
    /// `text` in lower case: itself, or the content of `buffer`. Bytes that are not UTF-8 stay as they are.
    static func of(_ text: Bytes, _ buffer: Buffer) -> Bytes {
        var at = 0
        while at < text.count, text[at] < 0x80, text[at] &- 0x41 >= 26 { at += 1 }
        if at == text.count { return text }
        buffer.clear()
        at = 0
        while at < text.count {
            let byte = text[at]
            if byte < 0x80 {
                buffer.append(ASCII.lower(byte))
                at += 1
                continue
            }
            let length = PathNormalizer.sequenceLength(text, at)
            guard length > 0, appendLowered(text[at..<at + length], to: buffer) else {
                buffer.append(text[at..<at + max(1, length)])
                at += max(1, length)
                continue
            }
            at += length
        }
        return buffer.readable
    }

    /// False: the character has no lower case, or (the Kelvin sign) an ASCII letter, as which it must not pass.
    private static func appendLowered(_ sequence: Bytes, to buffer: Buffer) -> Bool {
        var value: UInt32 = UInt32(sequence[0]) & (0xFF >> UInt32(sequence.count + 1))
        var at = 1
        while at < sequence.count {
            value = value << 6 | UInt32(sequence[at] & 0x3F)
            at += 1
        }
        guard let scalar = Unicode.Scalar(value), scalar.properties.changesWhenLowercased else { return false }
        let mapping = scalar.properties.lowercaseMapping.utf8
        if mapping.count == 1 { return false }
        for byte in mapping { buffer.append(byte) }
        return true
    }
}
