// cors: answers preflights and marks responses for browsers.

/// Configuration of cors, fields and defaults as Kong's plugin of that name.
public struct CORS: WireMessage, Sendable, Hashable {
    /// `*`, a plain origin or a regular expression, in order; empty: `*`. Entries without a colon compare
    /// with the origin's host alone.
    public var origins: [String] = []
    /// Sent in preflights (Kong's nine standard methods unless configured).
    public var methods: [String] = []
    /// Sent in preflights; empty: what the client asked for.
    public var headers: [String] = []
    public var exposedHeaders: [String] = []
    /// Seconds a preflight may be kept; -1: not said.
    public var maxAge = -1
    public var credentials = false
    /// Allow requests from public pages to private networks.
    public var privateNetwork = false
    /// Let preflights pass to the upstream.
    public var preflightContinue = false
    /// Mark responses to requests without `Origin` too.
    public var allowOriginAbsent = true

    public init() {}

    public func encode(into out: inout WireWriter) {
        out.put(1, origins)
        out.put(2, methods)
        out.put(3, headers)
        out.put(4, exposedHeaders)
        out.put(5, maxAge)
        out.put(6, credentials)
        out.put(7, privateNetwork)
        out.put(8, preflightContinue)
        out.put(9, allowOriginAbsent)
    }

    public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
        switch field {
        case 1: origins.append(try reader.string())
        case 2: methods.append(try reader.string())
        case 3: headers.append(try reader.string())
        case 4: exposedHeaders.append(try reader.string())
        case 5: maxAge = try reader.int()
        case 6: credentials = try reader.bool()
        case 7: privateNetwork = try reader.bool()
        case 8: preflightContinue = try reader.bool()
        case 9: allowOriginAbsent = try reader.bool()
        default: try reader.skip()
        }
    }
}
