// prometheus: which metrics are kept for a request.

/// Configuration of prometheus, fields and defaults as Kong's plugin of that name.
public struct Prometheus: WireMessage, Sendable, Hashable {
    public var perConsumer = false
    public var statusCodeMetrics = false
    public var latencyMetrics = false
    public var bandwidthMetrics = false
    public var upstreamHealthMetrics = false

    public init() {}

    public func encode(into out: inout WireWriter) {
        out.put(1, perConsumer)
        out.put(2, statusCodeMetrics)
        out.put(3, latencyMetrics)
        out.put(4, bandwidthMetrics)
        out.put(5, upstreamHealthMetrics)
    }

    public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
        switch field {
        case 1: perConsumer = try reader.bool()
        case 2: statusCodeMetrics = try reader.bool()
        case 3: latencyMetrics = try reader.bool()
        case 4: bandwidthMetrics = try reader.bool()
        case 5: upstreamHealthMetrics = try reader.bool()
        default: try reader.skip()
        }
    }
}
