// `$(…)` templates of the request transformer: the documented forms, without Lua.

import Bytes

/// Checks the expressions in a template.
enum TemplateSyntax {
    /// The first expression that is not one of the supported forms, or nil.
    static func unsupported(in text: Bytes) -> String? {
        var at = 0
        while at + 1 < text.count {
            guard text[at] == UInt8(ascii: "$"), text[at + 1] == UInt8(ascii: "(") else {
                at += 1
                continue
            }
            guard let end = closing(text, from: at + 2) else { return text.dropFirst(at).string }
            if !isSupported(text[at + 2..<end].trimmed()) { return text[at..<end + 1].string }
            at = end + 1
        }
        return nil
    }

    /// The parenthesis that ends an expression, nesting and quotes respected.
    private static func closing(_ text: Bytes, from start: Int) -> Int? {
        var depth = 1
        var quote: UInt8 = 0
        for i in start..<text.count {
            let byte = text[i]
            if quote != 0 {
                if byte == quote { quote = 0 }
            } else if byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "'") {
                quote = byte
            } else if byte == UInt8(ascii: "(") {
                depth += 1
            } else if byte == UInt8(ascii: ")") {
                depth -= 1
                if depth == 0 { return i }
            }
        }
        return nil
    }

    private static func isSupported(_ expression: Bytes) -> Bool {
        for table in ["headers", "query_params", "uri_captures"] {
            let count = table.utf8.count
            guard expression.count > count, table.withBytes({ expression.starts(with: $0) }) else { continue }
            let rest = expression.dropFirst(count)
            if rest[0] == UInt8(ascii: ".") { return isName(rest.dropFirst(1)) }
            guard rest.count >= 3, rest[0] == UInt8(ascii: "["), rest[rest.count - 1] == UInt8(ascii: "]") else {
                return false
            }
            let key = rest[1..<rest.count - 1]
            if table == "uri_captures", key.decimal() != nil { return true }
            return isQuoted(key)
        }
        return false
    }

    private static func isName(_ text: Bytes) -> Bool {
        guard text.count > 0, !ASCII.isDigit(text[0]) else { return false }
        for i in 0..<text.count where !(ASCII.isAlpha(text[i]) || ASCII.isDigit(text[i]) || text[i] == 0x5F) {
            return false
        }
        return true
    }

    private static func isQuoted(_ text: Bytes) -> Bool {
        guard text.count > 2 else { return false }
        let quote = text[0]
        guard quote == UInt8(ascii: "\"") || quote == UInt8(ascii: "'"), text[text.count - 1] == quote else {
            return false
        }
        let inner = text[1..<text.count - 1]
        return !inner.contains(quote) && !inner.contains(UInt8(ascii: "\\"))
    }
}
