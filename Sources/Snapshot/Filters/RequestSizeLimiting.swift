// request-size-limiting: how large may a body be?

/// Configuration of request-size-limiting, fields and defaults as Kong's plugin of that name.
public struct RequestSizeLimiting: WireMessage, Sendable, Hashable {
    /// In `sizeUnit`s.
    public var allowedPayloadSize = 128
    public var sizeUnit = SizeUnit.megabytes
    /// Refuse (411) bodies whose length is not said beforehand.
    public var requireContentLength = false

    public init() {}

    public func encode(into out: inout WireWriter) {
        out.put(1, allowedPayloadSize)
        out.put(2, sizeUnit)
        out.put(3, requireContentLength)
    }

    public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
        switch field {
        case 1: allowedPayloadSize = try reader.int()
        case 2: sizeUnit = try reader.value()
        case 3: requireContentLength = try reader.bool()
        default: try reader.skip()
        }
    }
}

/// Units of `RequestSizeLimiting.allowedPayloadSize`: powers of 1024.
public enum SizeUnit: Int, Sendable {
    case megabytes = 0
    case kilobytes = 1
    case bytes = 2

    /// Bytes in one unit.
    public var bytes: Int {
        switch self {
        case .megabytes: 1 << 20
        case .kilobytes: 1 << 10
        case .bytes: 1
        }
    }
}
