// Text as the inside of a JSON string.

import Bytes

enum JSONText {
    /// Appends `text` escaped for a JSON string (RFC 8259 section 7), without the quotes. Bytes that
    /// are no UTF-8 become U+FFFD, so that the result is JSON whatever came in.
    static func escape(_ text: Bytes, to out: Buffer) {
        var plain = 0
        var i = 0
        while i < text.count {
            let byte = text[i]
            if byte >= 0x20, byte < 0x80, byte != 0x22, byte != 0x5C {
                i += 1
                continue
            }
            if byte >= 0x80, let length = sequenceLength(text, at: i) {
                i += length
                continue
            }
            out.append(text[plain..<i])
            switch byte {
            case 0x22: out.append("\\\"")
            case 0x5C: out.append("\\\\")
            case 0x08: out.append("\\b")
            case 0x0C: out.append("\\f")
            case 0x0A: out.append("\\n")
            case 0x0D: out.append("\\r")
            case 0x09: out.append("\\t")
            case 0x80...: out.append("\\ufffd")
            default:
                out.append("\\u")
                out.append(hex: UInt64(byte), digits: 4)
            }
            i += 1
            plain = i
        }
        out.append(text[plain..<text.count])
    }

    /// Length of the well-formed UTF-8 sequence (RFC 3629 section 4) of two or more bytes at `i`; nil: there is none.
    static func sequenceLength(_ text: Bytes, at i: Int) -> Int? {
        let first = text[i]
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
        default: return nil
        }
        guard i + length <= text.count, (low...high).contains(text[i + 1]) else { return nil }
        var at = i + 2
        while at < i + length {
            guard text[at] & 0xC0 == 0x80 else { return nil }
            at += 1
        }
        return length
    }
}
