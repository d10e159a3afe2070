// JSON (RFC 8259), read by hand: libyaml refuses tabs and surrogate pairs.

import Bytes

/// Reads one JSON text.
struct JSONReader {
    private let text: Bytes
    private var at = 0
    private var line = 1
    private var lineStart = 0
    private var builder: DocumentBuilder
    private var scratch: [UInt8] = []
    /// True for a record, false for an array.
    private var open: [Bool] = []
    /// The innermost container was just opened: no comma before its first value.
    private var isFirst = false

    static func read(_ text: Bytes, limits: DocumentLimits) throws(DocumentProblem) -> (Document, [DocumentProblem]) {
        var reader = JSONReader(text, limits: limits)
        try reader.document()
        let problems = reader.builder.problems
        return (reader.builder.finish(), problems)
    }

    private init(_ text: Bytes, limits: DocumentLimits) {
        self.text = text
        builder = DocumentBuilder(limits: limits, byteCount: text.count)
        if text.starts(with: Bytes("\u{FEFF}")) { at = 3 }
    }

    private var position: Position { Position(line: line, column: at - lineStart + 1) }

    private func problem(_ message: String, _ remedy: String = "check the quotes and commas here") -> DocumentProblem {
        DocumentProblem(code: "K001", position: position, message: "not valid JSON: \(message)", remedy: remedy)
    }

    private mutating func document() throws(DocumentProblem) {
        skipSpace()
        try value()
        while let isRecord = open.last {
            skipSpace()
            guard at < text.count else { throw problem("the file ends inside a value") }
            let closing = isRecord ? UInt8(ascii: "}") : UInt8(ascii: "]")
            if text[at] == closing {
                at += 1
                open.removeLast()
                isFirst = false
                try builder.end()
                continue
            }
            if !isFirst {
                guard text[at] == UInt8(ascii: ",") else {
                    throw problem("\",\" or \"\(Character(Unicode.Scalar(closing)))\" expected")
                }
                at += 1
                skipSpace()
            }
            isFirst = false
            if isRecord { try key() }
            try value()
        }
        skipSpace()
        guard at == text.count else { throw problem("more text after the end") }
    }

    private mutating func key() throws(DocumentProblem) {
        let place = position
        guard at < text.count, text[at] == UInt8(ascii: "\"") else {
            throw problem("a key in quotes expected", "quote the key, and put no comma before the closing bracket")
        }
        try string()
        try builder.key(scratch, place)
        skipSpace()
        guard at < text.count, text[at] == UInt8(ascii: ":") else { throw problem("\":\" expected after the key") }
        at += 1
        skipSpace()
    }

    private mutating func value() throws(DocumentProblem) {
        guard at < text.count else { throw problem("a value expected") }
        let place = position
        switch text[at] {
        case UInt8(ascii: "{"), UInt8(ascii: "["):
            let isRecord = text[at] == UInt8(ascii: "{")
            at += 1
            open.append(isRecord)
            isFirst = true
            try builder.begin(record: isRecord, anchor: nil, place)
        case UInt8(ascii: "\""):
            try string()
            try builder.string(scratch, place)
        default: try literal(place)
        }
    }

    private mutating func literal(_ place: Position) throws(DocumentProblem) {
        let start = at
        while at < text.count, !isDelimiter(text[at]) { at += 1 }
        let word = text[start..<at]
        let kind: NodeKind
        if word == "null" {
            kind = .null
        } else if word == "true" || word == "false" {
            kind = .bool
        } else if Self.isNumber(word) {
            kind = ScalarText.kind(word)
        } else {
            at = start
            throw problem("a value expected", "quote texts with \"\"")
        }
        try builder.scalar(word, kind: kind, plain: true, anchor: nil, place)
    }

    private func isDelimiter(_ byte: UInt8) -> Bool {
        byte == UInt8(ascii: ",") || byte == UInt8(ascii: "]") || byte == UInt8(ascii: "}") || byte <= 0x20
            || byte == UInt8(ascii: ":") || byte == UInt8(ascii: "\"")
    }

    /// `-? int frac? exp?` of RFC 8259 section 6.
    private static func isNumber(_ word: Bytes) -> Bool {
        var at = 0
        func digits() -> Bool {
            let start = at
            while at < word.count, ASCII.isDigit(word[at]) { at += 1 }
            return at > start
        }
        if at < word.count, word[at] == UInt8(ascii: "-") { at += 1 }
        let first = at
        guard digits(), !(word[first] == UInt8(ascii: "0") && at - first > 1) else { return false }
        if at < word.count, word[at] == UInt8(ascii: ".") {
            at += 1
            guard digits() else { return false }
        }
        if at < word.count, word[at] | 0x20 == UInt8(ascii: "e") {
            at += 1
            if at < word.count, word[at] == UInt8(ascii: "+") || word[at] == UInt8(ascii: "-") { at += 1 }
            guard digits() else { return false }
        }
        return at == word.count && at > 0
    }

    /// Leaves the unescaped string in `scratch`.
    private mutating func string() throws(DocumentProblem) {
        scratch.removeAll(keepingCapacity: true)
        at += 1
        while true {
            guard at < text.count else { throw problem("a string without its closing quote") }
            let byte = text[at]
            at += 1
            switch byte {
            case UInt8(ascii: "\""): return
            case UInt8(ascii: "\\"): try escape()
            case 0..<0x20:
                // A raw tab is let through, as other readers do; other controls are not.
                guard byte == 0x09 else {
                    throw problem("a control character inside a string", "write it as \\n or \\u00XX")
                }
                scratch.append(byte)
            default: scratch.append(byte)
            }
        }
    }

    private mutating func escape() throws(DocumentProblem) {
        guard at < text.count else { throw problem("a string without its closing quote") }
        let byte = text[at]
        at += 1
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): scratch.append(byte)
        case UInt8(ascii: "b"): scratch.append(0x08)
        case UInt8(ascii: "f"): scratch.append(0x0C)
        case UInt8(ascii: "n"): scratch.append(0x0A)
        case UInt8(ascii: "r"): scratch.append(0x0D)
        case UInt8(ascii: "t"): scratch.append(0x09)
        case UInt8(ascii: "u"): try unicode()
        default: throw problem("an unknown escape in a string", "double the backslash: \\\\")
        }
    }

    private mutating func unicode() throws(DocumentProblem) {
        var scalar = try codeUnit()
        if scalar >= 0xD800, scalar < 0xDC00 {
            guard at + 1 < text.count, text[at] == UInt8(ascii: "\\"), text[at + 1] == UInt8(ascii: "u") else {
                throw problem("half of a surrogate pair", "write both \\u halves of the character")
            }
            at += 2
            let low = try codeUnit()
            guard low >= 0xDC00, low < 0xE000 else { throw problem("half of a surrogate pair") }
            scalar = 0x10000 + (scalar - 0xD800) << 10 + (low - 0xDC00)
        }
        guard let character = Unicode.Scalar(scalar) else { throw problem("half of a surrogate pair") }
        scratch.append(contentsOf: String(Character(character)).utf8)
    }

    private mutating func codeUnit() throws(DocumentProblem) -> UInt32 {
        var value: UInt32 = 0
        for _ in 0..<4 {
            guard at < text.count, let digit = ASCII.hex(text[at]) else { throw problem("\\u takes four hex digits") }
            value = value << 4 | UInt32(digit)
            at += 1
        }
        return value
    }

    private mutating func skipSpace() {
        while at < text.count {
            switch text[at] {
            case 0x20, 0x09, 0x0D: at += 1
            case 0x0A:
                at += 1
                line += 1
                lineStart = at
            default: return
            }
        }
    }
}
