// The reading half of ConfigValue's JSON: one pass over the bytes, bounded in depth.

/// Reads one JSON text. Its input is untrusted: every mistake ends in a `JSONFault`.
struct JSONParser {
    private let depthMax: Int
    private var at = 0
    private var depth = 0
    private var scratch: [UInt8] = []

    init(depth: Int) { depthMax = depth }

    /// The value that `text` holds, and nothing after it.
    mutating func read(_ text: Span<UInt8>) throws(JSONFault) -> ConfigValue {
        if text.count >= 3, text[0] == 0xEF, text[1] == 0xBB, text[2] == 0xBF { at = 3 }
        skipSpace(text)
        let result = try value(text)
        skipSpace(text)
        guard at == text.count else { throw fault(text, "nothing expected after the value") }
        return result
    }

    private func fault(_ text: Span<UInt8>, _ message: String) -> JSONFault {
        var line = 1
        var lineStart = 0
        for i in 0..<min(at, text.count) where text[i] == 0x0A {
            line += 1
            lineStart = i + 1
        }
        return JSONFault(offset: at, line: line, column: at - lineStart + 1, message: message)
    }

    private mutating func skipSpace(_ text: Span<UInt8>) {
        while at < text.count, text[at] == 0x20 || text[at] == 0x0A || text[at] == 0x0D || text[at] == 0x09 { at += 1 }
    }

    private mutating func value(_ text: Span<UInt8>) throws(JSONFault) -> ConfigValue {
        guard at < text.count else { throw fault(text, "a value expected") }
        switch text[at] {
        case UInt8(ascii: "{"): return try record(text)
        case UInt8(ascii: "["): return try array(text)
        case UInt8(ascii: "\""): return .string(try string(text))
        case UInt8(ascii: "n"):
            try word("null", text)
            return .null
        case UInt8(ascii: "t"):
            try word("true", text)
            return .bool(true)
        case UInt8(ascii: "f"):
            try word("false", text)
            return .bool(false)
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): return try number(text)
        default: throw fault(text, "a value expected")
        }
    }

    private mutating func word(_ word: StaticString, _ text: Span<UInt8>) throws(JSONFault) {
        let matches = word.withUTF8Buffer { buffer in
            guard text.count - at >= buffer.count else { return false }
            for i in 0..<buffer.count where unsafe buffer[i] != text[at + i] { return false }
            return true
        }
        guard matches else { throw fault(text, "a value expected") }
        at += word.utf8CodeUnitCount
    }

    // MARK: Containers

    private mutating func enter(_ text: Span<UInt8>) throws(JSONFault) {
        depth += 1
        guard depth <= depthMax else { throw fault(text, "more than \(depthMax) levels of nesting") }
        at += 1
        skipSpace(text)
    }

    /// True when the container goes on after a comma; false when it was closed.
    private mutating func goesOn(_ closing: UInt8, _ text: Span<UInt8>) throws(JSONFault) -> Bool {
        skipSpace(text)
        guard at < text.count, text[at] == UInt8(ascii: ",") || text[at] == closing else {
            throw fault(text, closing == UInt8(ascii: "]") ? "\",\" or \"]\" expected" : "\",\" or \"}\" expected")
        }
        let more = text[at] == UInt8(ascii: ",")
        at += 1
        if more { skipSpace(text) } else { depth -= 1 }
        return more
    }

    private mutating func array(_ text: Span<UInt8>) throws(JSONFault) -> ConfigValue {
        try enter(text)
        if at < text.count, text[at] == UInt8(ascii: "]") {
            at += 1
            depth -= 1
            return .array([])
        }
        var values: [ConfigValue] = []
        repeat { values.append(try value(text)) } while try goesOn(UInt8(ascii: "]"), text)
        return .array(values)
    }

    private mutating func record(_ text: Span<UInt8>) throws(JSONFault) -> ConfigValue {
        try enter(text)
        if at < text.count, text[at] == UInt8(ascii: "}") {
            at += 1
            depth -= 1
            return .record([])
        }
        var entries: [ConfigValue.Entry] = []
        var seen = KeysSeen()
        repeat {
            guard at < text.count, text[at] == UInt8(ascii: "\"") else { throw fault(text, "a key in quotes expected") }
            let start = at
            let key = try string(text)
            guard seen.insert(key, entries) else {
                at = start
                throw fault(text, "the key \"\(key)\" is given twice")
            }
            skipSpace(text)
            guard at < text.count, text[at] == UInt8(ascii: ":") else {
                throw fault(text, "\":\" expected after the key")
            }
            at += 1
            skipSpace(text)
            entries.append(ConfigValue.Entry(key, try value(text)))
        } while try goesOn(UInt8(ascii: "}"), text)
        return .record(entries)
    }

    // MARK: Scalars

    private mutating func number(_ text: Span<UInt8>) throws(JSONFault) -> ConfigValue {
        let start = at
        if text[at] == UInt8(ascii: "-") { at += 1 }
        let first = at
        var magnitude: UInt64 = 0
        var fits = true
        while at < text.count, isDigit(text[at]) {
            let (product, overflow) = magnitude.multipliedReportingOverflow(by: 10)
            let (sum, carry) = product.addingReportingOverflow(UInt64(text[at] & 15))
            if overflow || carry { fits = false }
            magnitude = sum
            at += 1
        }
        guard at > first else { throw fault(text, "a digit expected") }
        guard at - first == 1 || text[first] != UInt8(ascii: "0") else {
            at = first
            throw fault(text, "a number does not begin with 0")
        }
        var isWhole = true
        if at < text.count, text[at] == UInt8(ascii: ".") {
            isWhole = false
            at += 1
            try digits(text)
        }
        if at < text.count, text[at] | 0x20 == UInt8(ascii: "e") {
            isWhole = false
            at += 1
            if at < text.count, text[at] == UInt8(ascii: "+") || text[at] == UInt8(ascii: "-") { at += 1 }
            try digits(text)
        }
        if isWhole, fits {
            if first == start, let value = Int(exactly: magnitude) { return .int(value) }
            if first > start, magnitude <= Int.min.magnitude { return .int(Int(truncatingIfNeeded: 0 &- magnitude)) }
        }
        guard at - start <= 400, let value = Double(ascii(text, start)), value.isFinite else {
            at = start
            throw fault(text, "a number out of range")
        }
        return .double(value)
    }

    private func ascii(_ text: Span<UInt8>, _ start: Int) -> String {
        var word = ""
        for i in start..<at { word.unicodeScalars.append(Unicode.Scalar(text[i])) }
        return word
    }

    private mutating func digits(_ text: Span<UInt8>) throws(JSONFault) {
        let start = at
        while at < text.count, isDigit(text[at]) { at += 1 }
        guard at > start else { throw fault(text, "a digit expected") }
    }

    private func isDigit(_ byte: UInt8) -> Bool { byte >= UInt8(ascii: "0") && byte <= UInt8(ascii: "9") }

    private mutating func string(_ text: Span<UInt8>) throws(JSONFault) -> String {
        let start = at
        at += 1
        scratch.removeAll(keepingCapacity: true)
        while true {
            guard at < text.count else {
                at = start
                throw fault(text, "a string without its closing quote")
            }
            let byte = text[at]
            switch byte {
            case UInt8(ascii: "\""):
                at += 1
                guard let string = String(validating: scratch, as: UTF8.self) else {
                    at = start
                    throw fault(text, "a string that is not UTF-8")
                }
                return string
            case UInt8(ascii: "\\"):
                at += 1
                try escape(text)
            case 0..<0x20: throw fault(text, "a control character inside a string; write it as \\n or \\u00XX")
            default:
                scratch.append(byte)
                at += 1
            }
        }
    }

    private mutating func escape(_ text: Span<UInt8>) throws(JSONFault) {
        guard at < text.count else { throw fault(text, "a string without its closing quote") }
        let byte = text[at]
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): scratch.append(byte)
        case UInt8(ascii: "b"): scratch.append(0x08)
        case UInt8(ascii: "f"): scratch.append(0x0C)
        case UInt8(ascii: "n"): scratch.append(0x0A)
        case UInt8(ascii: "r"): scratch.append(0x0D)
        case UInt8(ascii: "t"): scratch.append(0x09)
        case UInt8(ascii: "u"):
            at += 1
            return try unicode(text)
        default: throw fault(text, "an unknown escape in a string")
        }
        at += 1
    }

    private mutating func unicode(_ text: Span<UInt8>) throws(JSONFault) {
        var scalar = try codeUnit(text)
        if scalar >= 0xD800, scalar < 0xDC00 {
            guard at + 1 < text.count, text[at] == UInt8(ascii: "\\"), text[at + 1] == UInt8(ascii: "u") else {
                throw fault(text, "half of a surrogate pair")
            }
            at += 2
            let low = try codeUnit(text)
            guard low >= 0xDC00, low < 0xE000 else { throw fault(text, "half of a surrogate pair") }
            scalar = 0x10000 + (scalar - 0xD800) << 10 + (low - 0xDC00)
        }
        guard let character = Unicode.Scalar(scalar) else { throw fault(text, "half of a surrogate pair") }
        scratch.append(contentsOf: UTF8.encode(character) ?? UTF8.encodedReplacementCharacter)
    }

    private mutating func codeUnit(_ text: Span<UInt8>) throws(JSONFault) -> UInt32 {
        var value: UInt32 = 0
        for _ in 0..<4 {
            guard at < text.count, let digit = Self.hex(text[at]) else {
                throw fault(text, "\\u takes four hex digits")
            }
            value = value << 4 | digit
            at += 1
        }
        return value
    }

    private static func hex(_ byte: UInt8) -> UInt32? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt32(byte - UInt8(ascii: "0"))
        case UInt8(ascii: "a")...UInt8(ascii: "f"): UInt32(byte - UInt8(ascii: "a") + 10)
        case UInt8(ascii: "A")...UInt8(ascii: "F"): UInt32(byte - UInt8(ascii: "A") + 10)
        default: nil
        }
    }
}

/// Finds a key that comes twice. Most records are small and all their keys differ: a filter of 64 bits keeps it from
/// comparing every key with every other one; large records get a set.
private struct KeysSeen {
    private var filter: UInt64 = 0
    private var large: Set<String> = []

    mutating func insert(_ key: String, _ before: [ConfigValue.Entry]) -> Bool {
        if before.count == 32 { large = Set(before.map(\.key)) }
        if before.count >= 32 { return large.insert(key).inserted }
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        for byte in key.utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
        let bit: UInt64 = 1 << (hash >> 58)
        if filter & bit == 0 {
            filter |= bit
            return true
        }
        return !before.contains { $0.key == key }
    }
}
