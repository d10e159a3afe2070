// JSON values as YAML for people to read.

import Model

enum YAMLText {
    static func text(_ value: ConfigValue) -> String {
        var out = ""
        write(value, 0, &out)
        return out
    }

    private static func write(_ value: ConfigValue, _ depth: Int, _ out: inout String) {
        let indent = String(repeating: "  ", count: depth)
        switch value {
        case .record(let entries) where !entries.isEmpty:
            for entry in entries {
                out += indent + scalar(.string(entry.key)) + ":"
                nest(entry.value, depth + 1, &out)
            }
        case .array(let values) where !values.isEmpty:
            for item in values {
                var inner = ""
                if case .record(let entries) = item, !entries.isEmpty {
                    write(item, depth + 1, &inner)
                    // The first key stands beside the dash.
                    out += indent + "- " + inner.drop { $0 == " " }
                } else {
                    out += indent + "-"
                    nest(item, depth + 1, &out)
                }
            }
        case .null, .bool, .int, .double, .string, .array, .record: out += indent + scalar(value) + "\n"
        }
    }

    private static func nest(_ value: ConfigValue, _ depth: Int, _ out: inout String) {
        switch value {
        case .record(let entries) where !entries.isEmpty:
            out += "\n"
            write(value, depth, &out)
        case .array(let values) where !values.isEmpty:
            out += "\n"
            write(value, depth, &out)
        case .null, .bool, .int, .double, .string, .array, .record: out += " " + scalar(value) + "\n"
        }
    }

    /// Plain where no reader could take it for anything else, else as JSON, which YAML reads.
    private static func scalar(_ value: ConfigValue) -> String {
        guard case .string(let text) = value else { return String(decoding: value.json, as: UTF8.self) }
        let isWord = text.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "_"),
                UInt8(ascii: "-"), UInt8(ascii: "/"), UInt8(ascii: "."):
                true
            case UInt8(ascii: "0")...UInt8(ascii: "9"): true
            default: false
            }
        }
        let reserved: Set<String> = ["true", "false", "yes", "no", "on", "off", "null", "y", "n"]
        let begins =
            text.utf8.first.map { ($0 | 0x20) >= UInt8(ascii: "a") && ($0 | 0x20) <= UInt8(ascii: "z") } ?? false
        let isPath = text.hasPrefix("/") && isWord
        if isWord && begins && !reserved.contains(text.lowercased()) || isPath { return text }
        return String(decoding: value.json, as: UTF8.self)
    }
}
