// Templates of request-transformer: text with `$(headers.x)`, `$(query_params.x)` and
// `$(uri_captures…)` in it, read once by Compile and run by the proxy.

/// Text in which parts of the request are put in. Empty: no value.
public struct Template: WireMessage, Sendable, Hashable {
    public var parts: [TemplatePart] = []

    public init() {}

    /// Reads `text`; a `$(…)` must be one of the forms that are understood.
    ///
    ///     $(headers.name)       $(headers["name"])
    ///     $(query_params.name)  $(query_params["name"])
    ///     $(uri_captures[1])    $(uri_captures.name)  $(uri_captures["name"])
    ///
    /// - Throws: what stands in the text that is no such form; other Lua expressions are not run.
    public init(parsing text: String) throws(TemplateError) {
        var literal: [UInt8] = []
        let bytes = Array(text.utf8)
        var at = 0
        while at < bytes.count {
            guard bytes[at] == 0x24, at + 1 < bytes.count, bytes[at + 1] == 0x28 else {
                literal.append(bytes[at])
                at += 1
                continue
            }
            guard let end = Self.closing(bytes, from: at + 2) else {
                throw .unclosed(String(decoding: bytes[at...], as: UTF8.self))
            }
            if !literal.isEmpty { parts.append(TemplatePart(.literal, literal)) }
            literal.removeAll()
            parts.append(try Self.expression(bytes[(at + 2)..<end]))
            at = end + 1
        }
        if !literal.isEmpty { parts.append(TemplatePart(.literal, literal)) }
    }

    /// The offset of the parenthesis that closes the one before `start`; quotes hide parentheses.
    private static func closing(_ bytes: [UInt8], from start: Int) -> Int? {
        var depth = 1
        var quote: UInt8?
        for at in start..<max(start, bytes.count) {
            let byte = bytes[at]
            if let open = quote {
                if byte == open { quote = nil }
                continue
            }
            switch byte {
            case 0x22, 0x27: quote = byte
            case 0x28: depth += 1
            case 0x29:
                depth -= 1
                if depth == 0 { return at }
            default: break
            }
        }
        return nil
    }

    private static func expression(_ raw: ArraySlice<UInt8>) throws(TemplateError) -> TemplatePart {
        let text = String(decoding: raw, as: UTF8.self)
        let trimmed = trim(raw)
        for (table, kind) in [("headers", Kind.header), ("query_params", .query), ("uri_captures", .capture)] {
            guard trimmed.starts(with: table.utf8) else { continue }
            if let key = key(trimmed.dropFirst(table.utf8.count)) {
                if key.isNumber, kind != .capture { break }
                return TemplatePart(kind, key.bytes)
            }
        }
        throw .unknownExpression(text)
    }

    private static func trim(_ bytes: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
        var rest = bytes
        while let first = rest.first, first == 0x20 || first == 0x09 { rest = rest.dropFirst() }
        while let last = rest.last, last == 0x20 || last == 0x09 { rest = rest.dropLast() }
        return rest
    }

    /// The key of `.key`, `["key"]`, `['key']` or `[number]`, and nothing after it.
    private static func key(_ rest: ArraySlice<UInt8>) -> (bytes: [UInt8], isNumber: Bool)? {
        let rest = trim(rest)
        guard let first = rest.first else { return nil }
        if first == 0x2E {
            let name = Array(rest.dropFirst())
            guard let start = name.first, !(0x30...0x39).contains(start), name.allSatisfy(isWord) else { return nil }
            return (name, false)
        }
        guard first == 0x5B, rest.last == 0x5D else { return nil }
        let inner = trim(rest.dropFirst().dropLast())
        guard let open = inner.first else { return nil }
        if open == 0x22 || open == 0x27 {
            let name = Array(inner.dropFirst().dropLast())
            guard inner.count >= 3, inner.last == open, !name.contains(open), !name.contains(0x5C) else { return nil }
            return (name, false)
        }
        guard inner.count <= 4, inner.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
        return (Array(inner), true)
    }

    private static func isWord(_ byte: UInt8) -> Bool {
        byte == 0x5F || (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte)
    }

    public func encode(into out: inout WireWriter) { out.put(1, messages: parts) }

    public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
        switch field {
        case 1: parts.append(try reader.message())
        default: try reader.skip()
        }
    }

    /// What a part stands for.
    public enum Kind: Int, Sendable {
        case literal = 0
        /// The value of the request header of that name; `_` stands for `-` too.
        case header = 1
        /// The decoded value of the query argument of that name.
        case query = 2
        /// A capture of the route's path: a number (0: all of the match) or a name.
        case capture = 3
    }
}

/// Why a text is no template.
public enum TemplateError: Error, Equatable {
    /// A `$(` without its `)`.
    case unclosed(String)
    /// An expression that is none of the forms which are understood.
    case unknownExpression(String)
}

/// One instruction of a template.
public struct TemplatePart: WireMessage, Sendable, Hashable {
    public var kind = Template.Kind.literal
    /// The literal's bytes, or the name that is looked up.
    public var text: [UInt8] = []

    public init() {}
    init(_ kind: Template.Kind, _ text: [UInt8]) {
        self.kind = kind
        self.text = text
    }

    public func encode(into out: inout WireWriter) {
        out.put(1, kind)
        out.put(2, text)
    }

    public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
        switch field {
        case 1: kind = try reader.value()
        case 2: text = try reader.data()
        default: try reader.skip()
        }
    }
}
