// Values as YAML that every reader takes the same way: quoted wherever a reader of 1.1 or 1.2 could see another type.

import Bytes
public import Model

/// Writes block style, two spaces deep, lists at the depth of their key, texts of several lines as they are.
public enum YAMLText {
    /// As a string that ends with a line feed.
    public static func text(_ value: ConfigValue) -> String { String(decoding: write(value), as: UTF8.self) }

    static func write(_ value: ConfigValue) -> [UInt8] {
        var text = YAMLWriter()
        text.top(value)
        return text.bytes
    }
}

private struct YAMLWriter {
    var bytes: [UInt8] = []

    mutating func top(_ value: ConfigValue) {
        switch value {
        case .record(let entries) where !entries.isEmpty: record(entries, depth: 0)
        case .array(let values) where !values.isEmpty: array(values, depth: 0)
        default:
            scalar(value, depth: 0)
            bytes.append(0x0A)
        }
    }

    /// Keys each on a line; the first one stands where the text is already when `isInline`.
    private mutating func record(_ entries: [ConfigValue.Entry], depth: Int, isInline: Bool = false) {
        for (index, entry) in entries.enumerated() {
            if index > 0 || !isInline { indent(depth) }
            bytes.append(contentsOf: Self.isPlain(entry.key) ? Array(entry.key.utf8) : Self.quoted(entry.key))
            bytes.append(UInt8(ascii: ":"))
            switch entry.value {
            case .record(let inner) where !inner.isEmpty:
                bytes.append(0x0A)
                record(inner, depth: depth + 1)
            case .array(let values) where !values.isEmpty:
                bytes.append(0x0A)
                array(values, depth: depth)
            default:
                bytes.append(0x20)
                scalar(entry.value, depth: depth + 1)
                bytes.append(0x0A)
            }
        }
    }

    private mutating func array(_ values: [ConfigValue], depth: Int) {
        for value in values {
            indent(depth)
            bytes.append(contentsOf: "- ".utf8)
            switch value {
            case .record(let entries) where !entries.isEmpty: record(entries, depth: depth + 1, isInline: true)
            case .array(let inner) where !inner.isEmpty:
                // A list in a list is rare: in one line, as JSON.
                bytes.append(contentsOf: ConfigValue.array(inner).json)
                bytes.append(0x0A)
            default:
                scalar(value, depth: depth + 1)
                bytes.append(0x0A)
            }
        }
    }

    private mutating func indent(_ depth: Int) {
        for _ in 0..<depth * 2 { bytes.append(0x20) }
    }

    private mutating func scalar(_ value: ConfigValue, depth: Int) {
        guard case .string(let text) = value else {
            // Null, numbers, booleans and what is empty are written as JSON writes them.
            bytes.append(contentsOf: value.json)
            return
        }
        if Self.isPlain(text) {
            bytes.append(contentsOf: text.utf8)
        } else if Self.isBlock(text) {
            bytes.append(contentsOf: text.hasSuffix("\n") ? "|".utf8 : "|-".utf8)
            for line in text.split(separator: "\n", omittingEmptySubsequences: false) {
                bytes.append(0x0A)
                if !line.isEmpty {
                    indent(depth)
                    bytes.append(contentsOf: line.utf8)
                }
            }
            // The text's own last line end is written by whoever ends the entry.
            if text.hasSuffix("\n") { bytes.removeLast() }
        } else {
            bytes.append(contentsOf: Self.quoted(text))
        }
    }

    // MARK: Styles

    /// Texts that are a string without quotes for every reader.
    private static func isPlain(_ text: String) -> Bool {
        guard let first = text.utf8.first, ASCII.isAlpha(first) || "/_".utf8.contains(first),
            let last = text.utf8.last, last != 0x20, last != UInt8(ascii: ":")
        else { return false }
        var previous: UInt8 = 0
        for byte in text.utf8 {
            let isSafe =
                ASCII.isAlpha(byte) || ASCII.isDigit(byte) || " _-./@:+=~()^$;".utf8.contains(byte)
            guard isSafe, !(previous == UInt8(ascii: ":") && byte == 0x20) else { return false }
            previous = byte
        }
        // `y` and `n` are booleans to other readers.
        return text.utf8.count > 1 && text.withBytes { ScalarText.kind($0) } == .string
    }

    /// Texts of several lines, such as certificates, that stand as they are.
    private static func isBlock(_ text: String) -> Bool {
        guard text.contains("\n"), let first = text.utf8.first, first != 0x20, first != 0x0A, !text.hasSuffix("\n\n")
        else { return false }
        var previous: UInt8 = 0
        for byte in text.utf8 {
            guard byte == 0x0A || (byte >= 0x20 && byte < 0x7F), !(byte == 0x0A && previous == 0x20) else {
                return false
            }
            previous = byte
        }
        return previous != 0x20
    }

    private static func quoted(_ text: String) -> [UInt8] {
        var out = [UInt8(ascii: "\"")]
        for scalar in text.unicodeScalars {
            switch scalar.value {
            case 0x22: out.append(contentsOf: "\\\"".utf8)
            case 0x5C: out.append(contentsOf: "\\\\".utf8)
            case 0x0A: out.append(contentsOf: "\\n".utf8)
            case 0x0D: out.append(contentsOf: "\\r".utf8)
            case 0x09: out.append(contentsOf: "\\t".utf8)
            // What a reader may not take as it is, or may take for a line end.
            case 0..<0x20, 0x7F...0xA0, 0x2028, 0x2029, 0xFEFF, 0xFFFE, 0xFFFF:
                let hex = String(scalar.value, radix: 16)
                out.append(contentsOf: "\\u".utf8)
                for _ in hex.utf8.count..<4 { out.append(UInt8(ascii: "0")) }
                out.append(contentsOf: hex.utf8)
            default: out.append(contentsOf: String(scalar).utf8)
            }
        }
        out.append(UInt8(ascii: "\""))
        return out
    }
}
