// ip-restriction: which client addresses may pass?

/// Configuration of ip-restriction, fields and defaults as Kong's plugin of that name.
public struct IPRestriction: WireMessage, Sendable, Hashable {
    /// Addresses and CIDR prefixes that may pass; empty: all.
    public var allow: [String] = []
    /// Addresses and CIDR prefixes that may not; looked at first.
    public var deny: [String] = []
    public var status = 403
    /// Empty: `IP address not allowed: <address>`.
    public var message = ""

    public init() {}

    public func encode(into out: inout WireWriter) {
        out.put(1, allow)
        out.put(2, deny)
        out.put(3, status)
        out.put(4, message)
    }

    public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
        switch field {
        case 1: allow.append(try reader.string())
        case 2: deny.append(try reader.string())
        case 3: status = try reader.int()
        case 4: message = try reader.string()
        default: try reader.skip()
        }
    }
}
