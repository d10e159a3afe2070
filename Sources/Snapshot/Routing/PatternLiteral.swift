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

    /// Segments that a path must have to match `pattern`, anchored at the start: each literal text
    /// between two slashes (or a slash and `$`) as long as nothing before it can match a slash.
    ///
    /// Understood: literals, `[^/]` and other classes without a slash, `\d`, `\w`, groups around
    /// them, and quantifiers on them. The first thing that is not understood ends it.
    static func segments(of pattern: Bytes) -> [(number: Int, text: [UInt8])] {
        guard !hasAlternation(pattern) else { return [] }
        var found: [(number: Int, text: [UInt8])] = []
        var scanner = SegmentScanner(pattern: pattern)
        while let step = scanner.next() {
            if step.endsSegment, let text = step.literal, step.number > 0 || !text.isEmpty {
                found.append((step.number, text))
            }
        }
        return found
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
    static func hasAlternation(_ pattern: Bytes) -> Bool {
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

/// Walks a pattern segment by segment.
struct SegmentScanner {
    let pattern: Bytes
    private var at = 0
    private var number = -1
    /// The segment so far; nil once it holds something that is no literal.
    private var literal: [UInt8]? = []
    private var done = false

    struct Step {
        var number: Int
        var literal: [UInt8]?
        var endsSegment: Bool
    }

    init(pattern: Bytes) {
        self.pattern = pattern
        while at < pattern.count, pattern[at] == 0x5E { at += 1 }
    }

    /// The next segment that ends for certain; nil at the end of what is understood.
    mutating func next() -> Step? {
        guard !done else { return nil }
        while at < pattern.count {
            let byte = pattern[at]
            if byte == 0x2F {
                guard !isQuantified(at + 1) else { break }
                at += 1
                let step = Step(number: number, literal: literal, endsSegment: number >= 0)
                number += 1
                literal = []
                return step
            }
            if byte == 0x24, at + 1 == pattern.count {
                done = true
                return Step(number: number, literal: literal, endsSegment: number >= 0)
            }
            guard number >= 0, take(byte) else { break }
        }
        done = true
        return nil
    }

    private func isQuantified(_ position: Int) -> Bool {
        position < pattern.count && PatternLiteral.isQuantifier(pattern[position])
    }

    /// Passes over one atom that cannot match a slash, with its quantifier. False: not understood.
    private mutating func take(_ byte: UInt8) -> Bool {
        var end = at + 1
        var text: UInt8?
        switch byte {
        case 0x5C:
            guard end < pattern.count else { return false }
            let escaped = pattern[end]
            if escaped == 0x64 || escaped == 0x77 {  // \d, \w
            } else if PatternLiteral.isPunctuation(escaped), escaped != 0x2F {
                text = escaped
            } else {
                return false
            }
            end += 1
        case 0x5B:
            guard let close = endOfClass(at) else { return false }
            end = close
        case 0x28:
            guard let inside = groupStart(at) else { return false }
            at = inside
            return takeGroup()
        default:
            guard PatternLiteral.isPlain(byte) else { return false }
            text = byte
        }
        return finish(text, end)
    }

    private mutating func finish(_ text: UInt8?, _ end: Int) -> Bool {
        at = end
        if isQuantified(at) || at < pattern.count && pattern[at] == 0x2B {
            literal = nil
            return skipQuantifier()
        }
        if let text { literal?.append(text) } else { literal = nil }
        return true
    }

    private mutating func skipQuantifier() -> Bool {
        if pattern[at] == 0x7B {
            guard let close = pattern.firstIndex(of: 0x7D, from: at) else { return false }
            at = close + 1
        } else {
            at += 1
        }
        if at < pattern.count, pattern[at] == 0x3F || pattern[at] == 0x2B { at += 1 }  // Lazy, possessive.
        return true
    }

    /// One past `]` of a class that cannot match a slash; nil if it may, or is not understood.
    private func endOfClass(_ start: Int) -> Int? {
        var position = start + 1
        let negated = position < pattern.count && pattern[position] == 0x5E
        if negated { position += 1 }
        var hasSlash = false
        let first = position
        while position < pattern.count {
            let byte = pattern[position]
            if byte == 0x5D, position > first {
                return hasSlash == negated ? position + 1 : nil
            }
            if byte == 0x2F { hasSlash = true }
            if byte == 0x5B { return nil }
            if byte == 0x5C {
                guard position + 1 < pattern.count else { return nil }
                let escaped = pattern[position + 1]
                let known = escaped == 0x64 || escaped == 0x77 || PatternLiteral.isPunctuation(escaped)
                guard known else { return nil }
                if escaped == 0x2F { hasSlash = true }
                position += 1
            }
            // A range could span the slash (0x2F) without naming it.
            if byte == 0x2D, position > first, position + 1 < pattern.count, pattern[position - 1] < 0x30,
                pattern[position + 1] != 0x5D
            {
                return nil
            }
            position += 1
        }
        return nil
    }

    /// Where a group's content starts: `(`, `(?:`, `(?<name>`, `(?P<name>`; nil for anything else.
    private func groupStart(_ start: Int) -> Int? {
        var position = start + 1
        guard position < pattern.count else { return nil }
        guard pattern[position] == 0x3F else { return pattern[position] == 0x2A ? nil : position }
        position += 1
        guard position < pattern.count else { return nil }
        if pattern[position] == 0x3A { return position + 1 }
        if pattern[position] == 0x50 { position += 1 }
        guard position + 1 < pattern.count, pattern[position] == 0x3C, ASCII.isAlpha(pattern[position + 1]) else {
            return nil
        }
        return pattern.firstIndex(of: 0x3E, from: position).map { $0 + 1 }
    }

    /// A group without groups, alternatives or slashes in it.
    private mutating func takeGroup() -> Bool {
        literal = nil
        while at < pattern.count, pattern[at] != 0x29 {
            let byte = pattern[at]
            guard byte != 0x28, byte != 0x2F, byte != 0x7C, byte != 0x24, take(byte) else { return false }
        }
        guard at < pattern.count else { return false }
        literal = nil
        at += 1
        return at < pattern.count && PatternLiteral.isQuantifier(pattern[at]) ? skipQuantifier() : true
    }
}

extension PatternLiteral {
    static func isPunctuation(_ byte: UInt8) -> Bool {
        byte > 0x20 && byte < 0x7F && !ASCII.isAlpha(byte) && !ASCII.isDigit(byte)
    }
}
