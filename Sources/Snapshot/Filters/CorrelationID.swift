// correlation-id: one id for a request on all of its way.

/// Configuration of correlation-id, fields and defaults as Kong's plugin of that name.
public struct CorrelationID: WireMessage, Sendable, Hashable {
    public var headerName = "Kong-Request-ID"
    public var generator = CorrelationGenerator.counter
    /// Send the header back to the client.
    public var echoDownstream = false

    public init() {}

    public func encode(into out: inout WireWriter) {
        out.put(1, headerName)
        out.put(2, generator)
        out.put(3, echoDownstream)
    }

    public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
        switch field {
        case 1: headerName = try reader.string()
        case 2: generator = try reader.value()
        case 3: echoDownstream = try reader.bool()
        default: try reader.skip()
        }
    }
}

/// How ids are made.
public enum CorrelationGenerator: Int, Sendable {
    /// `uuid#counter`: one UUID per worker, and a count.
    case counter = 0
    /// `uuid`: a random UUID each.
    case uuid = 1
    /// `tracker`: server address, port, process, connection, its requests, time.
    case tracker = 2
}
