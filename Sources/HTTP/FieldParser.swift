// Field lines (RFC 9112 section 5), shared by requests, responses and trailers.
//
//     field-line = field-name ":" OWS field-value OWS CRLF
//
// Strict: no folding, no space before the colon, CRLF only, no control characters but HTAB.

import Bytes

/// Where one line stands.
enum LineResult {
    /// The line is not complete yet.
    case incomplete
    /// The section's empty line; the offset after it.
    case end(Int)
    /// A field was added; the offset of the next line.
    case field(next: Int, id: FieldName)
    case failed(LineFault)
}

enum LineFault {
    case malformed
    case folded
    case lineEnd
    case tooLong
}

enum FieldParser {
    /// Reads the line at absolute offset `start` of `buffer` and adds its field to `block`.
    @inline(__always)
    static func line(_ buffer: Buffer, at start: Int, limit: Int, into block: HeaderBlock) -> LineResult {
        let bytes = buffer.bytes(at: start, count: buffer.end - start)
        let count = bytes.count
        guard count > 0 else { return .incomplete }
        let first = bytes[0]
        if first == 0x0D {
            guard count > 1 else { return .incomplete }
            return bytes[1] == 0x0A ? .end(start + 2) : .failed(.lineEnd)
        }
        if first == 0x20 || first == 0x09 { return .failed(.folded) }
        var i = endOfName(bytes)
        guard i < count else { return count > limit ? .failed(.tooLong) : .incomplete }
        guard bytes[i] == 0x3A, i > 0, i <= 0xFFFF else { return .failed(bytes[i] == 0x0A ? .lineEnd : .malformed) }
        let nameCount = i
        i += 1
        while i < count, bytes[i] == 0x20 || bytes[i] == 0x09 { i += 1 }
        let valueStart = i
        i = endOfValue(bytes, from: i)
        guard i < count else { return count > limit ? .failed(.tooLong) : .incomplete }
        guard i <= limit else { return .failed(.tooLong) }
        guard bytes[i] == 0x0D else { return .failed(bytes[i] == 0x0A ? .lineEnd : .malformed) }
        guard i + 1 < count else { return .incomplete }
        guard bytes[i + 1] == 0x0A else { return .failed(.lineEnd) }
        var valueEnd = i
        while valueEnd > valueStart, bytes[valueEnd - 1] == 0x20 || bytes[valueEnd - 1] == 0x09 { valueEnd -= 1 }
        let id = FieldName(bytes[0..<nameCount])
        block.appendParsed(
            id: id, nameOffset: start, nameCount: nameCount, valueOffset: start + valueStart,
            valueCount: valueEnd - valueStart)
        return .field(next: start + i + 2, id: id)
    }

    /// Offset of the first byte that is no token character, or the count. Eight letters or dashes at a time.
    ///
    /// - Parameter isLower: capitals are no token characters either, as in HTTP/2 (RFC 9113 section 8.2).
    @inline(__always)
    static func endOfName(_ bytes: Bytes, isLower: Bool = false) -> Int {
        var i = 0
        let count = bytes.count
        let ones: UInt64 = 0x0101_0101_0101_0101
        let highs: UInt64 = 0x8080_8080_8080_8080
        while i + 8 <= count {
            let word = bytes.load64(i)
            let lower = isLower ? word : word | ones &* 0x20
            let fromA = (lower | highs) &- ones &* 0x61
            let toZ = (ones &* 0x7A | highs) &- (lower & ~highs)
            let dash = word ^ ones &* 0x2D
            let isDash = ~((dash & ~highs) &+ ~highs | dash)
            let good = (fromA & toZ | isDash) & ~word & highs
            if good == highs {
                i += 8
                continue
            }
            i += (~good & highs).trailingZeroBitCount >> 3
            guard isNameByte(bytes[i], isLower) else { return i }
            i += 1
        }
        while i < count, isNameByte(bytes[i], isLower) { i += 1 }
        return i
    }

    @inline(__always)
    private static func isNameByte(_ byte: UInt8, _ isLower: Bool) -> Bool {
        ASCII.isToken(byte) && !(isLower && byte &- 0x41 < 26)
    }

    /// Offset of the first control character other than HTAB, or the count. Eight bytes at a time.
    @inline(__always)
    static func endOfValue(_ bytes: Bytes, from start: Int) -> Int {
        var i = start
        let count = bytes.count
        let ones: UInt64 = 0x0101_0101_0101_0101
        let highs: UInt64 = 0x8080_8080_8080_8080
        while i + 8 <= count {
            let word = bytes.load64(i)
            // A byte below 0x20, or equal to 0x7F. Borrows may flag bytes after the first, never before it.
            let low = (word &- ones &* 0x20) & ~word & highs
            let del = word ^ (ones &* 0x7F)
            let flagged = low | (del &- ones) & ~del & highs
            if flagged == 0 {
                i += 8
                continue
            }
            i += flagged.trailingZeroBitCount >> 3
            guard bytes[i] == 0x09 else { return i }
            i += 1
        }
        while i < count {
            let byte = bytes[i]
            if (byte < 0x20 && byte != 0x09) || byte == 0x7F { return i }
            i += 1
        }
        return count
    }

    /// Whether `name` may name a field in HTTP/2 (RFC 9113 section 8.2.1): a token without capitals.
    static func isLowerName(_ name: Bytes) -> Bool {
        name.count > 0 && name.count <= 0xFFFF && endOfName(name, isLower: true) == name.count
    }

    /// Whether `value` may stand where no line end and no trimming sets it apart: no control characters but
    /// HTAB, no blank at either end (RFC 9113 section 8.2.1).
    static func isCleanValue(_ value: Bytes) -> Bool {
        guard value.count > 0 else { return true }
        return !isBlank(value[0]) && !isBlank(value[value.count - 1]) && endOfValue(value, from: 0) == value.count
    }

    private static func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 }

    /// Reads the comma-separated tokens of a `Connection` field.
    static func connectionOptions(_ value: Bytes) -> ConnectionOptions? {
        if value == "keep-alive" { return .keepAlive }
        if value == "close" { return .close }
        var options: ConnectionOptions = []
        var start = 0
        while start <= value.count {
            let comma = value.firstIndex(of: 0x2C, from: start) ?? value.count
            let token = value[start..<comma].trimmed()
            start = comma + 1
            if token.isEmpty { continue }
            if token.equalsIgnoringCase("close") {
                options.insert(.close)
            } else if token.equalsIgnoringCase("keep-alive") {
                options.insert(.keepAlive)
            } else if token.equalsIgnoringCase("upgrade") {
                options.insert(.upgrade)
            } else {
                for i in 0..<token.count where !ASCII.isToken(token[i]) { return nil }
                options.insert(.named)
            }
        }
        return options
    }

    /// Whether a comma-separated list holds `token`, in any case, with or without parameters.
    static func list(_ value: Bytes, contains token: StaticString) -> Bool {
        var start = 0
        while start <= value.count {
            let comma = value.firstIndex(of: 0x2C, from: start) ?? value.count
            let item = value[start..<comma]
            let end = item.firstIndex(of: 0x3B) ?? item.count
            if item[0..<end].trimmed().equalsIgnoringCase(token) { return true }
            start = comma + 1
        }
        return false
    }
}
