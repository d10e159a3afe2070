// What a regular expression says about the text it matches, to index it by.

internal import Bytes

enum PatternLiteral {
    /// Bytes that every match of `pattern`, anchored at the start, begins with. May be empty;
    /// never more than is certain.
    static func prefix(of pattern: Bytes) -> [UInt8] {
        var literal: [UInt8] = []
        guard !hasAlternation(pattern) else { return [] }
        var at = 0
        while at < pattern.count, pattern[at] == 0x5E { at += 1 }  // `^`
        while at < pattern.count {
            var byte = pattern[at]
            var next = at + 1
            if byte == 0x5C {  // A backslash makes punctuation literal; with a letter it is a class.
                guard next < pattern.count else { break }
                byte = pattern[next]
                guard byte > 0x20, byte < 0x7F, !ASCII.isAlpha(byte), !ASCII.isDigit(byte) else { break }
                next += 1
            } else if !isPlain(byte) {
                break
            }
            if next < pattern.count, isQuantifier(pattern[next]) { break }
            literal.append(byte)
            at = next
        }
        return literal
    }

    /// Segment `number` (from 0) of a path that starts with a slash; nil if there is none.
    static func segment(_ number: Int, of path: Bytes) -> Bytes? {
        var start = 1
        var left = number
        while start <= path.count {
            let end = path.firstIndex(of: 0x2F, from: start) ?? path.count
            if left == 0 { return path[start..<end] }
            left -= 1
            start = end + 1
        }
        return nil
    }

    static func isPlain(_ byte: UInt8) -> Bool {
        guard byte > 0x20, byte < 0x7F else { return false }
        switch byte {
        case 0x2E, 0x5B, 0x28, 0x29, 0x2A, 0x2B, 0x3F, 0x7B, 0x7D, 0x5D, 0x5E, 0x24, 0x7C, 0x5C: return false
        default: return true
        }
    }

    static func isQuantifier(_ byte: UInt8) -> Bool {
        byte == 0x2A || byte == 0x2B || byte == 0x3F || byte == 0x7B
    }

    /// True if there may be a `|` outside all groups: then nothing is certain.
    private static func hasAlternation(_ pattern: Bytes) -> Bool {
        var depth = 0
        var inClass = false
        var at = 0
        while at < pattern.count {
            switch pattern[at] {
            case 0x5C:
                if at + 1 < pattern.count, pattern[at + 1] == 0x51 { return true }  // `\Q`: not followed.
                at += 1
            case 0x5B: inClass = true
            case 0x5D: inClass = false
            case 0x28: if !inClass { depth += 1 }
            case 0x29: if !inClass { depth -= 1 }
            case 0x7C: if depth <= 0 || inClass { return true }
            default: break
            }
            at += 1
        }
        return false
    }
}
