// basic-auth: who has this name and password?

/// Configuration of basic-auth, fields and defaults as Kong's plugin of that name.
public struct BasicAuth: WireMessage, Sendable, Hashable {
    /// Take `Authorization` out of the request before it goes upstream.
    public var hideCredentials = false
    /// Id or username of the consumer that stands in when nobody proves an identity; empty: none, the request is refused.
    public var anonymous = ""
    /// Sent in `WWW-Authenticate: Basic realm="…"`.
    public var realm = "service"

    public init() {}

    public func encode(into out: inout WireWriter) {
        out.put(1, hideCredentials)
        out.put(2, anonymous)
        out.put(3, realm)
    }

    public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
        switch field {
        case 1: hideCredentials = try reader.bool()
        case 2: anonymous = try reader.string()
        case 3: realm = try reader.string()
        default: try reader.skip()
        }
    }
}
