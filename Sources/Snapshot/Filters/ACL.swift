// acl: which groups may pass?

/// Configuration of acl, fields and defaults as Kong's plugin of that name. Exactly one list is filled.
public struct ACL: WireMessage, Sendable, Hashable {
    /// Groups that may pass; all others may not.
    public var allow: [String] = []
    /// Groups that may not pass.
    public var deny: [String] = []
    /// Do not tell the upstream the groups (`X-Consumer-Groups`).
    public var hideGroupsHeader = false
    /// Use groups that an authentication filter gave even when a consumer is known. No filter here gives
    /// such groups, so it changes nothing yet.
    public var alwaysUseAuthenticatedGroups = false

    public init() {}

    public func encode(into out: inout WireWriter) {
        out.put(1, allow)
        out.put(2, deny)
        out.put(3, hideGroupsHeader)
        out.put(4, alwaysUseAuthenticatedGroups)
    }

    public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
        switch field {
        case 1: allow.append(try reader.string())
        case 2: deny.append(try reader.string())
        case 3: hideGroupsHeader = try reader.bool()
        case 4: alwaysUseAuthenticatedGroups = try reader.bool()
        default: try reader.skip()
        }
    }
}
