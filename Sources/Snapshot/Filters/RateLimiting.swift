// rate-limiting: how many requests in a second, minute, hour, day, month, year?

/// Configuration of rate-limiting with policy local, fields and defaults as Kong's plugin of that name.
/// Windows are calendar windows in UTC.
public struct RateLimiting: WireMessage, Sendable, Hashable {
    /// Requests allowed per window; 0: no limit of that kind. At least one is set.
    public var second = 0
    public var minute = 0
    public var hour = 0
    public var day = 0
    public var month = 0
    public var year = 0
    public var limitBy = LimitBy.consumer
    /// With `limitBy` header.
    public var headerName = ""
    /// With `limitBy` path: requests whose path equals it share one count.
    public var path = ""
    /// Do not send `X-RateLimit-*` and `RateLimit-*`.
    public var hideClientHeaders = false
    /// Let requests pass when they cannot be counted.
    public var faultTolerant = true
    public var errorCode = 429
    public var errorMessage = "API rate limit exceeded"
    /// The route and the service the plugin was written for; zero: none. Counts are kept under both, so
    /// that one plugin has one set of counts wherever it runs.
    public var route = ID()
    public var service = ID()

    public init() {}

    public func encode(into out: inout WireWriter) {
        out.put(1, second)
        out.put(2, minute)
        out.put(3, hour)
        out.put(4, day)
        out.put(5, month)
        out.put(6, year)
        out.put(7, limitBy)
        out.put(8, headerName)
        out.put(9, path)
        out.put(10, hideClientHeaders)
        out.put(11, faultTolerant)
        out.put(12, errorCode)
        out.put(13, errorMessage)
        out.put(14, route)
        out.put(15, service)
    }

    public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
        switch field {
        case 1: second = try reader.int()
        case 2: minute = try reader.int()
        case 3: hour = try reader.int()
        case 4: day = try reader.int()
        case 5: month = try reader.int()
        case 6: year = try reader.int()
        case 7: limitBy = try reader.value()
        case 8: headerName = try reader.string()
        case 9: path = try reader.string()
        case 10: hideClientHeaders = try reader.bool()
        case 11: faultTolerant = try reader.bool()
        case 12: errorCode = try reader.int()
        case 13: errorMessage = try reader.string()
        case 14: route = try reader.id()
        case 15: service = try reader.id()
        default: try reader.skip()
        }
    }
}

/// Whose requests are counted together. Without the thing asked for, the client's address is.
public enum LimitBy: Int, Sendable {
    case consumer = 0
    case credential = 1
    case ip = 2
    case service = 3
    case header = 4
    case path = 5
}
