// response-transformer: edits a response on its way to the client.

/// Configuration of response-transformer, fields and defaults as Kong's plugin of that name. The groups
/// work in the order remove, rename, replace, add, append.
public struct ResponseTransformer: WireMessage, Sendable, Hashable {
    public var remove = ResponseRemovals()
    /// The value is the new name.
    public var rename = ResponseEdits()
    /// Only where the name is present.
    public var replace = ResponseEdits()
    /// Only where the name is absent.
    public var add = ResponseEdits()
    /// Beside what is there.
    public var append = ResponseEdits()

    public init() {}

    public func encode(into out: inout WireWriter) {
        out.put(1, message: remove)
        out.put(2, message: rename)
        out.put(3, message: replace)
        out.put(4, message: add)
        out.put(5, message: append)
    }

    public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
        switch field {
        case 1: remove = try reader.message()
        case 2: rename = try reader.message()
        case 3: replace = try reader.message()
        case 4: add = try reader.message()
        case 5: append = try reader.message()
        default: try reader.skip()
        }
    }
}

/// Names of what is taken out.
public struct ResponseRemovals: WireMessage, Sendable, Hashable {
    public var headers: [String] = []
    public var json: [String] = []

    public init() {}

    public func encode(into out: inout WireWriter) {
        out.put(1, headers)
        out.put(2, json)
    }

    public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
        switch field {
        case 1: headers.append(try reader.string())
        case 2: json.append(try reader.string())
        default: try reader.skip()
        }
    }
}

/// Names with values.
public struct ResponseEdits: WireMessage, Sendable, Hashable {
    public var headers: [TypedPair] = []
    /// Top-level members of the JSON body.
    public var json: [TypedPair] = []

    public init() {}

    public func encode(into out: inout WireWriter) {
        out.put(1, messages: headers)
        out.put(2, messages: json)
    }

    public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
        switch field {
        case 1: headers.append(try reader.message())
        case 2: json.append(try reader.message())
        default: try reader.skip()
        }
    }
}

/// One `name:value` entry and the JSON type it becomes.
public struct TypedPair: WireMessage, Sendable, Hashable {
    public var name = ""
    public var value = ""
    public var type = JSONType.string

    public init() {}

    public func encode(into out: inout WireWriter) {
        out.put(1, name)
        out.put(2, value)
        out.put(3, type)
    }

    public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
        switch field {
        case 1: name = try reader.string()
        case 2: value = try reader.string()
        case 3: type = try reader.value()
        default: try reader.skip()
        }
    }
}

/// What a value becomes in JSON (`json_types`).
public enum JSONType: Int, Sendable {
    case string = 0
    case number = 1
    case boolean = 2
}

extension TypedPair {
    /// Reads an entry as its author wrote it: the name ends at the first colon; nil without a name.
    public init?(parsing entry: String, type: JSONType = .string) {
        guard let (name, value) = splitEntry(entry) else { return nil }
        self.init()
        self.name = name
        self.value = value
        self.type = type
    }
}
