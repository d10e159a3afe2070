// A JSON object whose members can be edited, without making a tree of it.
//
// The text is checked completely (RFC 8259), but only the names and extents of the outermost members
// are kept. So order is kept, and so is every byte of what is not edited: no number loses digits, and
// deep or huge values cost nothing but the walk. Of members with one name the last counts, as it does
// for most readers; editing a name leaves one.

import Bytes

struct JSONDocument {
    /// What a value is, by its first byte.
    enum Kind { case string, number, literal, array, object }

    private struct Member {
        /// Decoded.
        var name: [UInt8]
        /// As JSON.
        var value: [UInt8]
    }

    private var members: [Member] = []

    /// Nesting deeper than this is refused.
    static let depthMax = 512
    /// Outermost members; more are refused.
    static let membersMax = 10_000

    /// `{}`.
    init() {}

    /// nil for text that is no JSON object, or one beyond the limits.
    init?(_ text: Bytes) {
        var scanner = JSONScanner(text)
        guard scanner.take(0x7B) else { return nil }
        if !scanner.take(0x7D) {
            repeat {
                guard members.count < Self.membersMax, let name = scanner.string(), scanner.take(0x3A),
                    let value = scanner.value()
                else { return nil }
                let decoded = Buffer(capacity: name.count + 8)
                JSONScanner.decode(name, to: decoded)
                members.append(Member(name: decoded.readable.array, value: value.array))
            } while scanner.take(0x2C)
            guard scanner.take(0x7D) else { return nil }
        }
        guard scanner.isAtEnd else { return nil }
    }

    func write(to out: Buffer) {
        out.append(0x7B)
        for (index, member) in members.enumerated() {
            if index > 0 { out.append(0x2C) }
            out.append(0x22)
            member.name.withBytes { JSONText.escape($0, to: out) }
            out.append("\":")
            out.append(member.value)
        }
        out.append(0x7D)
    }

    // MARK: Reading

    func contains(_ name: [UInt8]) -> Bool { index(name) != nil }

    private func index(_ name: [UInt8]) -> Int? { members.lastIndex { $0.name == name } }

    func kind(_ name: [UInt8]) -> Kind? { index(name).map { Self.kind(members[$0].value) } }

    private static func kind(_ value: [UInt8]) -> Kind {
        switch value.first {
        case 0x22: .string
        case 0x5B: .array
        case 0x7B: .object
        case 0x74, 0x66, 0x6E: .literal
        default: .number
        }
    }

    /// The decoded content of a string member; nil for others.
    func string(_ name: [UInt8]) -> [UInt8]? {
        guard let index = index(name), Self.kind(members[index].value) == .string else { return nil }
        return members[index].value.withBytes { value in
            let decoded = Buffer(capacity: value.count + 8)
            JSONScanner.decode(value[1..<(value.count - 1)], to: decoded)
            return decoded.readable.array
        }
    }

    // MARK: Editing

    /// True if there was one.
    @discardableResult
    mutating func remove(_ name: [UInt8]) -> Bool {
        let before = members.count
        members.removeAll { $0.name == name }
        return members.count < before
    }

    /// The value moves under the new name, in its place; a member that had the new name goes.
    mutating func rename(_ name: [UInt8], to new: [UInt8]) -> Bool {
        guard let index = index(name) else { return false }
        let value = members[index].value
        guard name != new else { return true }
        members[index] = Member(name: new, value: value)
        let kept = index
        members = members.enumerated().filter { $0.offset == kept || $0.element.name != name && $0.element.name != new }
            .map(\.element)
        return true
    }

    /// Replaces the member's value, or adds the member at the end. `value` is JSON.
    mutating func set(_ name: [UInt8], _ value: [UInt8]) {
        guard let index = index(name) else {
            members.append(Member(name: name, value: value))
            return
        }
        members[index].value = value
        members = members.enumerated().filter { $0.offset == index || $0.element.name != name }.map(\.element)
    }

    /// Puts a value beside what is there: an array grows, anything else but an object becomes an array of
    /// both, nothing becomes an array of one.
    mutating func append(_ name: [UInt8], _ value: [UInt8]) {
        guard let index = index(name) else { return set(name, [0x5B] + value + [0x5D]) }
        let old = members[index].value
        switch Self.kind(old) {
        case .object: return
        case .array:
            let inside = old.dropFirst().dropLast()
            let isEmpty = inside.allSatisfy { $0 == 0x20 || $0 == 0x09 || $0 == 0x0A || $0 == 0x0D }
            set(name, [0x5B] + (isEmpty ? [] : inside + [0x2C]) + value + [0x5D])
        case .string, .number, .literal: set(name, [0x5B] + old + [0x2C] + value + [0x5D])
        }
    }

    /// `text` as a JSON string.
    static func string(of text: Bytes) -> [UInt8] {
        let out = Buffer(capacity: text.count + 16)
        out.append(0x22)
        JSONText.escape(text, to: out)
        out.append(0x22)
        return out.readable.array
    }

    /// `text` if it is a JSON number; forms that Lua reads beside those (`+1`, `.5`, `1.`) are none here.
    static func number(of text: Bytes) -> [UInt8]? {
        var scanner = JSONScanner(text.trimmed())
        guard let value = scanner.value(), scanner.isAtEnd, kind(value.array) == .number else { return nil }
        return value.array
    }
}

/// Walks JSON text. Anything that is not JSON gives nil; nothing recurses.
struct JSONScanner {
    private let text: Bytes
    private var at = 0

    init(_ text: Bytes) { self.text = text }

    private mutating func skipSpace() {
        while at < text.count {
            switch text[at] {
            case 0x20, 0x09, 0x0A, 0x0D: at += 1
            default: return
            }
        }
    }

    var isAtEnd: Bool {
        mutating get {
            skipSpace()
            return at == text.count
        }
    }

    /// Passes over spaces and `byte`; false if something else stands there.
    mutating func take(_ byte: UInt8) -> Bool {
        skipSpace()
        guard at < text.count, text[at] == byte else { return false }
        at += 1
        return true
    }

    /// The inside of a string, escapes and all.
    mutating func string() -> Bytes? {
        guard take(0x22) else { return nil }
        let start = at
        while at < text.count {
            switch text[at] {
            case 0x22:
                at += 1
                return text[start..<(at - 1)]
            case 0x5C: guard escape() else { return nil }
            case ..<0x20: return nil
            default: at += 1
            }
        }
        return nil
    }

    private mutating func escape() -> Bool {
        guard at + 1 < text.count else { return false }
        switch text[at + 1] {
        case 0x22, 0x5C, 0x2F, 0x62, 0x66, 0x6E, 0x72, 0x74:
            at += 2
            return true
        case 0x75:
            guard at + 6 <= text.count else { return false }
            for i in (at + 2)..<(at + 6) where ASCII.hex(text[i]) == nil { return false }
            at += 6
            return true
        default: return false
        }
    }

    /// A whole value, as it stands in the text.
    mutating func value() -> Bytes? {
        skipSpace()
        let start = at
        /// The closing bytes that are due.
        var open: [UInt8] = []
        while true {
            skipSpace()
            guard at < text.count else { return nil }
            switch text[at] {
            case 0x7B:
                at += 1
                if !take(0x7D) {
                    guard open.count < JSONDocument.depthMax, string() != nil, take(0x3A) else { return nil }
                    open.append(0x7D)
                    continue
                }
            case 0x5B:
                at += 1
                if !take(0x5D) {
                    guard open.count < JSONDocument.depthMax else { return nil }
                    open.append(0x5D)
                    continue
                }
            case 0x22: guard string() != nil else { return nil }
            case 0x74: guard word("true") else { return nil }
            case 0x66: guard word("false") else { return nil }
            case 0x6E: guard word("null") else { return nil }
            default: guard number() else { return nil }
            }
            guard let isComplete = close(&open) else { return nil }
            if isComplete { return text[start..<at] }
        }
    }

    /// After a value: closes what ends here, or passes to the next element. True when nothing is open.
    private mutating func close(_ open: inout [UInt8]) -> Bool? {
        while let due = open.last {
            if take(due) {
                open.removeLast()
                continue
            }
            guard take(0x2C) else { return nil }
            if due == 0x7D { guard string() != nil, take(0x3A) else { return nil } }
            return false
        }
        return true
    }

    private mutating func word(_ word: StaticString) -> Bool {
        guard text.dropFirst(at).starts(with: word) else { return false }
        at += word.utf8CodeUnitCount
        return true
    }

    /// `-? (0 | [1-9] digits) (. digits)? ([eE] [+-]? digits)?`
    private mutating func number() -> Bool {
        if byte == 0x2D { at += 1 }
        if byte == 0x30 { at += 1 } else if !digits() { return false }
        if byte == 0x2E {
            at += 1
            guard digits() else { return false }
        }
        if byte == 0x65 || byte == 0x45 {
            at += 1
            if byte == 0x2B || byte == 0x2D { at += 1 }
            guard digits() else { return false }
        }
        return true
    }

    /// The byte here; 0 at the end.
    private var byte: UInt8 { at < text.count ? text[at] : 0 }

    private mutating func digits() -> Bool {
        let start = at
        while ASCII.isDigit(byte) { at += 1 }
        return at > start
    }

    /// Appends the characters that the inside of a checked string stands for. Half a surrogate pair
    /// becomes U+FFFD.
    static func decode(_ inside: Bytes, to out: Buffer) {
        var i = 0
        while i < inside.count {
            guard inside[i] == 0x5C, i + 1 < inside.count else {
                out.append(inside[i])
                i += 1
                continue
            }
            i += 2
            switch inside[i - 1] {
            case 0x62: out.append(0x08)
            case 0x66: out.append(0x0C)
            case 0x6E: out.append(0x0A)
            case 0x72: out.append(0x0D)
            case 0x74: out.append(0x09)
            case 0x75: appendScalar(inside, &i, to: out)
            case let byte: out.append(byte)
            }
        }
    }

    private static func unit(_ text: Bytes, _ at: Int) -> UInt32? {
        guard at + 4 <= text.count else { return nil }
        var value: UInt32 = 0
        for i in at..<(at + 4) {
            guard let digit = ASCII.hex(text[i]) else { return nil }
            value = value << 4 | UInt32(digit)
        }
        return value
    }

    private static func appendScalar(_ text: Bytes, _ i: inout Int, to out: Buffer) {
        var value = unit(text, i) ?? 0xFFFD
        i = min(i + 4, text.count)
        if value & 0xFC00 == 0xD800, text.dropFirst(i).starts(with: "\\u"), let low = unit(text, i + 2),
            low & 0xFC00 == 0xDC00
        {
            value = 0x10000 + ((value & 0x3FF) << 10 | low & 0x3FF)
            i += 6
        }
        out.append(String(Unicode.Scalar(value) ?? "\u{FFFD}"))
    }
}
