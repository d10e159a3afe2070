// request-termination: answers in place of the service.

/// Configuration of request-termination, fields and defaults as Kong's plugin of that name.
public struct RequestTermination: WireMessage, Sendable {
    public var statusCode = 503
    /// Sent as `{"message": …}`; empty: the status's own text.
    public var message = ""
    /// Sent as it is, with `contentType`; empty: `message` is sent.
    public var body = ""
    public var contentType = ""
    /// Answer with what was received.
    public var echo = false
    /// Only when this header or query argument is present; empty: always.
    public var trigger = ""

    public init() {}

    public func encode(into out: inout WireWriter) {
        out.put(1, statusCode)
        out.put(2, message)
        out.put(3, body)
        out.put(4, contentType)
        out.put(5, echo)
        out.put(6, trigger)
    }

    public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
        switch field {
        case 1: statusCode = try reader.int()
        case 2: message = try reader.string()
        case 3: body = try reader.string()
        case 4: contentType = try reader.string()
        case 5: echo = try reader.bool()
        case 6: trigger = try reader.string()
        default: try reader.skip()
        }
    }
}
