// request-transformer: edits a request on its way to the upstream.

/// Configuration of request-transformer, fields and defaults as Kong's plugin of that name. The groups
/// work in the order remove, rename, replace, add, append.
public struct RequestTransformer: WireMessage, Sendable, Hashable {
    /// Upper case; empty: unchanged.
    public var httpMethod = ""
    public var remove = RequestRemovals()
    /// The value is the new name.
    public var rename = RequestEdits()
    /// Only where the name is present.
    public var replace = RequestEdits()
    /// Replaces the path sent upstream; empty: unchanged.
    public var replaceURI = Template()
    /// Only where the name is absent.
    public var add = RequestEdits()
    /// Beside what is there.
    public var append = RequestEdits()

    public init() {}

    public func encode(into out: inout WireWriter) {
        out.put(1, httpMethod)
        out.put(2, message: remove)
        out.put(3, message: rename)
        out.put(4, message: replace)
        out.put(5, message: replaceURI)
        out.put(6, message: add)
        out.put(7, message: append)
    }

    public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
        switch field {
        case 1: httpMethod = try reader.string()
        case 2: remove = try reader.message()
        case 3: rename = try reader.message()
        case 4: replace = try reader.message()
        case 5: replaceURI = try reader.message()
        case 6: add = try reader.message()
        case 7: append = try reader.message()
        default: try reader.skip()
        }
    }
}

/// Names of what is taken out.
public struct RequestRemovals: WireMessage, Sendable, Hashable {
    public var headers: [String] = []
    public var querystring: [String] = []
    public var body: [String] = []

    public init() {}

    public func encode(into out: inout WireWriter) {
        out.put(1, headers)
        out.put(2, querystring)
        out.put(3, body)
    }

    public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
        switch field {
        case 1: headers.append(try reader.string())
        case 2: querystring.append(try reader.string())
        case 3: body.append(try reader.string())
        default: try reader.skip()
        }
    }
}

/// Names with values.
public struct RequestEdits: WireMessage, Sendable, Hashable {
    public var headers: [TemplatePair] = []
    public var querystring: [TemplatePair] = []
    public var body: [TemplatePair] = []

    public init() {}

    public func encode(into out: inout WireWriter) {
        out.put(1, messages: headers)
        out.put(2, messages: querystring)
        out.put(3, messages: body)
    }

    public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
        switch field {
        case 1: headers.append(try reader.message())
        case 2: querystring.append(try reader.message())
        case 3: body.append(try reader.message())
        default: try reader.skip()
        }
    }
}

/// One `name:value` entry. An entry without a value keeps an empty template.
public struct TemplatePair: WireMessage, Sendable, Hashable {
    public var name = ""
    public var value = Template()

    public init() {}

    public func encode(into out: inout WireWriter) {
        out.put(1, name)
        out.put(2, message: value)
    }

    public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
        switch field {
        case 1: name = try reader.string()
        case 2: value = try reader.message()
        default: try reader.skip()
        }
    }
}

extension TemplatePair {
    /// Reads an entry as its author wrote it: the name ends at the first colon; nil without a name.
    public init?(parsing entry: String) throws(TemplateError) {
        guard let (name, value) = splitEntry(entry) else { return nil }
        self.init()
        self.name = name
        self.value = try Template(parsing: value)
    }
}

/// `name:value` at its first colon; colons that follow it at once belong to neither, as in Kong.
func splitEntry(_ entry: String) -> (name: String, value: String)? {
    let name = entry.prefix { $0 != ":" }
    guard !name.isEmpty else { return nil }
    return (String(name), String(entry.dropFirst(name.count).drop { $0 == ":" }))
}
