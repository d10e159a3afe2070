// key-auth: who sent this key?

/// Configuration of key-auth, fields and defaults as Kong's plugin of that name. A list has no default here:
/// Compile fills it.
public struct KeyAuth: WireMessage, Sendable, Hashable {
    /// Names under which a key is looked for, in order (`apikey` unless configured).
    /// Header names compare in any case.
    public var keyNames: [String] = []
    public var keyInHeader = true
    public var keyInQuery = true
    /// Look in form, multipart and JSON bodies too.
    public var keyInBody = false
    /// Take the key out of the request before it goes upstream.
    public var hideCredentials = false
    /// Id or username of the consumer that stands in when nobody proves an identity; empty: none, the request is refused.
    public var anonymous = ""
    /// Sent in `WWW-Authenticate: Key realm="…"`; empty: `Key` alone.
    public var realm = ""
    /// Ask `OPTIONS` requests for a key too.
    public var runOnPreflight = true

    public init() {}

    public func encode(into out: inout WireWriter) {
        out.put(1, keyNames)
        out.put(2, keyInHeader)
        out.put(3, keyInQuery)
        out.put(4, keyInBody)
        out.put(5, hideCredentials)
        out.put(6, anonymous)
        out.put(7, realm)
        out.put(8, runOnPreflight)
    }

    public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
        switch field {
        case 1: keyNames.append(try reader.string())
        case 2: keyInHeader = try reader.bool()
        case 3: keyInQuery = try reader.bool()
        case 4: keyInBody = try reader.bool()
        case 5: hideCredentials = try reader.bool()
        case 6: anonymous = try reader.string()
        case 7: realm = try reader.string()
        case 8: runOnPreflight = try reader.bool()
        default: try reader.skip()
        }
    }
}
