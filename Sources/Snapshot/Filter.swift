// Filters (Kong's plugins): their configurations, and the order in which a route runs them.

/// One filter's configuration. The number of a case is its field number on the wire.
public enum Filter: WireMessage, Sendable {
    /// What `init()` gives; never stands in a published snapshot.
    case none
    case keyAuth(KeyAuth)
    case basicAuth(BasicAuth)
    case acl(ACL)
    case cors(CORS)
    case ipRestriction(IPRestriction)
    case rateLimiting(RateLimiting)
    case requestSizeLimiting(RequestSizeLimiting)
    case requestTermination(RequestTermination)
    case requestTransformer(RequestTransformer)
    case responseTransformer(ResponseTransformer)
    case correlationID(CorrelationID)
    case prometheus(Prometheus)

    public init() { self = .none }

    public func encode(into out: inout WireWriter) {
        switch self {
        case .none: break
        case .keyAuth(let config): out.put(1, message: config)
        case .basicAuth(let config): out.put(2, message: config)
        case .acl(let config): out.put(3, message: config)
        case .cors(let config): out.put(4, message: config)
        case .ipRestriction(let config): out.put(5, message: config)
        case .rateLimiting(let config): out.put(6, message: config)
        case .requestSizeLimiting(let config): out.put(7, message: config)
        case .requestTermination(let config): out.put(8, message: config)
        case .requestTransformer(let config): out.put(9, message: config)
        case .responseTransformer(let config): out.put(10, message: config)
        case .correlationID(let config): out.put(11, message: config)
        case .prometheus(let config): out.put(12, message: config)
        }
    }

    public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
        switch field {
        case 1: self = .keyAuth(try reader.message())
        case 2: self = .basicAuth(try reader.message())
        case 3: self = .acl(try reader.message())
        case 4: self = .cors(try reader.message())
        case 5: self = .ipRestriction(try reader.message())
        case 6: self = .rateLimiting(try reader.message())
        case 7: self = .requestSizeLimiting(try reader.message())
        case 8: self = .requestTermination(try reader.message())
        case 9: self = .requestTransformer(try reader.message())
        case 10: self = .responseTransformer(try reader.message())
        case 11: self = .correlationID(try reader.message())
        case 12: self = .prometheus(try reader.message())
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
