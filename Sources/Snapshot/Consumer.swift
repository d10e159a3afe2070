// Consumers and their credentials.

/// A client that was given an identity. Filters look consumers up by credential.
public struct Consumer: WireMessage, Sendable {
    public var id = ID()
    public var username = ""
    public var customID = ""
    /// Names of the ACL groups it belongs to.
    public var groups: [String] = []

    public init() {}

    public func encode(into out: inout WireWriter) {
        out.put(1, id)
        out.put(2, username)
        out.put(3, customID)
        out.put(4, groups)
    }

    public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
        switch field {
        case 1: id = try reader.id()
        case 2: username = try reader.string()
        case 3: customID = try reader.string()
        case 4: groups.append(try reader.string())
        default: try reader.skip()
        }
    }
}

/// A key of the key-auth filter. `consumer` is an index into `Snapshot.consumers`.
public struct KeyCredential: WireMessage, Sendable {
    public var id = ID()
    public var consumer = -1
    public var key = ""
    /// Unix seconds after which the key is void; 0: never.
    public var expiresAt = 0

    public init() {}

    public func encode(into out: inout WireWriter) {
        out.put(1, id)
        out.put(2, consumer)
        out.put(3, key)
        out.put(4, expiresAt)
    }

    public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
        switch field {
        case 1: id = try reader.id()
        case 2: consumer = try reader.int()
        case 3: key = try reader.string()
        case 4: expiresAt = try reader.int()
        default: try reader.skip()
        }
    }
}

/// A user of the basic-auth filter.
public struct BasicCredential: WireMessage, Sendable {
    public var id = ID()
    public var consumer = -1
    public var username = ""
    /// Lower-case hex SHA-1 of the password followed by the consumer's id (Kong's form).
    public var passwordHash = ""

    public init() {}

    public func encode(into out: inout WireWriter) {
        out.put(1, id)
        out.put(2, consumer)
        out.put(3, username)
        out.put(4, passwordHash)
    }

    public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
        switch field {
        case 1: id = try reader.id()
        case 2: consumer = try reader.int()
        case 3: username = try reader.string()
        case 4: passwordHash = try reader.string()
        default: try reader.skip()
        }
    }
}
