// What a plain scalar means: the rules of Kong's YAML reader (YAML 1.1 with a few of its own).

import Bytes

/// Resolution of plain scalars. The order of the tests matters: `010` is octal before it is decimal.
enum ScalarText {
    /// The kind of a plain scalar's text.
    static func kind(_ text: Bytes) -> NodeKind {
        guard text.count > 0 else { return .null }
        switch text[0] {
        case UInt8(ascii: "~"): return text.count == 1 ? .null : .string
        case UInt8(ascii: "n"), UInt8(ascii: "N"):
            if text == "null" || text == "Null" || text == "NULL" { return .null }
            return bool(text) == nil ? .string : .bool
        case UInt8(ascii: "t"), UInt8(ascii: "T"), UInt8(ascii: "f"), UInt8(ascii: "F"),
            UInt8(ascii: "y"), UInt8(ascii: "Y"), UInt8(ascii: "o"), UInt8(ascii: "O"):
            return bool(text) == nil ? .string : .bool
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "+"), UInt8(ascii: "-"), UInt8(ascii: "."),
            UInt8(ascii: "_"):
            if int(text) != nil { return .int }
            return double(text) == nil ? .string : .double
        default: return .string
        }
    }

    static func bool(_ text: Bytes) -> Bool? {
        switch text.count {
        case 2:
            if text == "on" || text == "On" || text == "ON" { return true }
            if text == "no" || text == "No" || text == "NO" { return false }
        case 3:
            if text == "yes" || text == "Yes" || text == "YES" { return true }
            if text == "off" || text == "Off" || text == "OFF" { return false }
        case 4: if text == "true" || text == "True" || text == "TRUE" { return true }
        case 5: if text == "false" || text == "False" || text == "FALSE" { return false }
        default: break
        }
        return nil
    }

    /// Decimal, octal (`017`), hexadecimal (`0x1F`), binary (`0b101`) or sexagesimal (`1:30`), with `_`
    /// between digits. Nil for anything else and for what an `Int` cannot hold.
    static func int(_ text: Bytes) -> Int? {
        var at = 0
        var negative = false
        if text.count > 0, text[0] == UInt8(ascii: "+") || text[0] == UInt8(ascii: "-") {
            negative = text[0] == UInt8(ascii: "-")
            at = 1
        }
        guard at < text.count else { return nil }
        let magnitude: Int?
        if text[at] == UInt8(ascii: "0"), at + 1 < text.count {
            switch text[at + 1] {
            case UInt8(ascii: "x"): magnitude = digits(text.dropFirst(at + 2), radix: 16)
            case UInt8(ascii: "b"): magnitude = digits(text.dropFirst(at + 2), radix: 2)
            default:
                magnitude =
                    digits(text.dropFirst(at + 1), radix: 8) ?? digits(text.dropFirst(at), radix: 10)
                    ?? sexagesimal(text.dropFirst(at))
            }
        } else {
            magnitude = digits(text.dropFirst(at), radix: 10) ?? sexagesimal(text.dropFirst(at))
        }
        return magnitude.map { negative ? -$0 : $0 }
    }

    private static func digits(_ text: Bytes, radix: Int) -> Int? {
        var value = 0
        var any = false
        for i in 0..<text.count {
            if text[i] == UInt8(ascii: "_") { continue }
            guard let digit = ASCII.hex(text[i]), Int(digit) < radix else { return nil }
            let (product, overflow) = value.multipliedReportingOverflow(by: radix)
            let (sum, carry) = product.addingReportingOverflow(Int(digit))
            guard !overflow, !carry else { return nil }
            value = sum
            any = true
        }
        return any ? value : nil
    }

    private static func sexagesimal(_ text: Bytes) -> Int? {
        var value = 0
        var group = 0
        var groupDigits = 0
        var groups = 1
        for i in 0..<text.count {
            if text[i] == UInt8(ascii: ":") {
                guard groupDigits > 0 else { return nil }
                value = (value + group) * 60
                group = 0
                groupDigits = 0
                groups += 1
            } else {
                guard ASCII.isDigit(text[i]), groupDigits < 9 else { return nil }
                group = group * 10 + Int(text[i] & 15)
                groupDigits += 1
                // Only the second group is held to 0...59 by Kong's reader.
                guard groups != 2 || (groupDigits <= 2 && group < 60) else { return nil }
            }
            guard groups <= 6, value < 1 << 40 else { return nil }
        }
        return groups > 1 && groupDigits > 0 ? value + group : nil
    }

    /// A decimal fraction, an exponent, an infinity, not-a-number, or a whole number too large for `Int`.
    static func double(_ text: Bytes) -> Double? {
        guard text.count > 0, text.count <= 64 else { return nil }
        let sign = text[0] == UInt8(ascii: "+") || text[0] == UInt8(ascii: "-") ? 1 : 0
        let rest = text.dropFirst(sign)
        if rest == ".inf" || rest == ".Inf" || rest == ".INF" {
            return text[0] == UInt8(ascii: "-") ? -.infinity : .infinity
        }
        if text == ".nan" || text == ".NaN" || text == ".NAN" { return .nan }
        var clean = ""
        var anyDigit = false
        for i in 0..<text.count {
            switch text[i] {
            case UInt8(ascii: "_"): continue
            case UInt8(ascii: "0")...UInt8(ascii: "9"): anyDigit = true
            case UInt8(ascii: "."), UInt8(ascii: "e"), UInt8(ascii: "E"), UInt8(ascii: "+"), UInt8(ascii: "-"): break
            default: return nil
            }
            clean.unicodeScalars.append(Unicode.Scalar(text[i]))
        }
        guard anyDigit else { return nil }
        if clean.hasSuffix(".") { clean += "0" }
        return Double(clean)
    }
}
