// Filters (Kong's plugins): their configurations, and the order in which a route runs them.

/// One filter's configuration. The number of a case is its field number on the wire.
public enum Filter: WireMessage, Sendable {
    /// What `init()` gives; never stands in a published snapshot.
    case none
    case requestTermination(RequestTermination)

    public init() { self = .none }

    public func encode(into out: inout WireWriter) {
        switch self {
        case .none: break
        case .requestTermination(let config): out.put(8, message: config)
        }
    }

    public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
        switch field {
        case 8: self = .requestTermination(try reader.message())
        default: try reader.skip()
        }
    }
}

/// One filter kind at its place in a chain.
public struct FilterStep: WireMessage, Sendable {
    /// Index into `Snapshot.filters` of the configuration that applies when no consumer's does; -1: none.
    public var filter = -1
    /// Consumers with a configuration of their own: pairs of consumer index and filter index.
    public var overrides: [Int] = []

    public init() {}

    public func encode(into out: inout WireWriter) {
        out.put(1, filter)
        out.put(2, overrides)
    }

    public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
        switch field {
        case 1: filter = try reader.int()
        case 2: try reader.ints(into: &overrides)
        default: try reader.skip()
        }
    }
}

/// The filters of a route in order of falling priority.
public struct FilterChain: WireMessage, Sendable {
    public var steps: [FilterStep] = []

    public init() {}

    public func encode(into out: inout WireWriter) { out.put(1, messages: steps) }

    public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
        switch field {
        case 1: steps.append(try reader.message())
        default: try reader.skip()
        }
    }
}
