// The stream between a gateway and its control plane, gRPC `/seaway.gateways.v1.Gateways/Stream`, both ways.

/// What a gateway says. Exactly one field is set; the first message of a stream is `hello`.
public struct GatewayMessage: WireMessage, Sendable {
    public var hello: GatewayHello?
    public var applied: GatewayApplied?
    public var rejected: GatewayRejected?
    public var report: GatewayReport?

    public init() {}

    public func encode(into out: inout WireWriter) {
        out.put(1, message: hello)
        out.put(2, message: applied)
        out.put(3, message: rejected)
        out.put(4, message: report)
    }

    public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
        switch field {
        case 1: hello = try reader.message()
        case 2: applied = try reader.message()
        case 3: rejected = try reader.message()
        case 4: report = try reader.message()
        default: try reader.skip()
        }
    }
}

/// Who it is and what it can build on.
public struct GatewayHello: WireMessage, Sendable, Hashable {
    public var version = ""
    public var workers = 0
    /// `key=value`, sorted; must hold those that its certificate was given for.
    public var labels: [String] = []
    /// The revision it has, in effect or from its disk; 0: none.
    public var revision: UInt64 = 0
    /// `SnapshotDelta.digest` of the tables of `revision`.
    public var digest: UInt64 = 0
    /// It can use the `expressions` router.
    public var expressions = false

    public init() {}

    public func encode(into out: inout WireWriter) {
        out.put(1, version)
        out.put(2, workers)
        out.put(3, labels)
        out.put(4, revision)
        out.put(5, digest)
        out.put(6, expressions)
    }

    public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
        switch field {
        case 1: version = try reader.string()
        case 2: workers = try reader.int()
        case 3: labels.append(try reader.string())
        case 4: revision = try reader.unsigned()
        case 5: digest = try reader.unsigned()
        case 6: expressions = try reader.bool()
        default: try reader.skip()
        }
    }
}

/// `revision` is in effect on every worker.
public struct GatewayApplied: WireMessage, Sendable, Hashable {
    public var revision: UInt64 = 0
    public var workers = 0
    /// Microseconds from the message's arrival to the last worker.
    public var microseconds = 0

    public init() {}

    public func encode(into out: inout WireWriter) {
        out.put(1, revision)
        out.put(2, workers)
        out.put(3, microseconds)
    }

    public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
        switch field {
        case 1: revision = try reader.unsigned()
        case 2: workers = try reader.int()
        case 3: microseconds = try reader.int()
        default: try reader.skip()
        }
    }
}

/// `revision` cannot be used; the one before stays in effect.
public struct GatewayRejected: WireMessage, Sendable, Hashable {
    public var revision: UInt64 = 0
    /// `route "users"`, `certificate 4f…`; empty: no single one.
    public var entity = ""
    public var reason = ""
    /// What it has cannot be built upon: the next message must be a full configuration.
    public var needsFull = false

    public init() {}

    public func encode(into out: inout WireWriter) {
        out.put(1, revision)
        out.put(2, entity)
        out.put(3, reason)
        out.put(4, needsFull)
    }

    public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
        switch field {
        case 1: revision = try reader.unsigned()
        case 2: entity = try reader.string()
        case 3: reason = try reader.string()
        case 4: needsFull = try reader.bool()
        default: try reader.skip()
        }
    }
}

/// What a gateway saw, every 2 s and when the health of a target changes. Counters since its start.
public struct GatewayReport: WireMessage, Sendable, Hashable {
    public var requests: UInt64 = 0
    /// Answers of 500 and above.
    public var errors: UInt64 = 0
    public var connections = 0
    /// Upper bounds in milliseconds and counts of requests at or below each, cumulative; the last bound is -1: all.
    public var latencyBounds: [Int] = []
    public var latencyCounts: [Int] = []
    public var residentBytes: UInt64 = 0
    /// Unix milliseconds of its process's start: tells a restart from a reset.
    public var startedAt = 0
    public var targets: [TargetReport] = []

    public init() {}

    public func encode(into out: inout WireWriter) {
        out.put(1, requests)
        out.put(2, errors)
        out.put(3, connections)
        out.put(4, latencyBounds)
        out.put(5, latencyCounts)
        out.put(6, residentBytes)
        out.put(7, startedAt)
        out.put(8, messages: targets)
    }

    public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
        switch field {
        case 1: requests = try reader.unsigned()
        case 2: errors = try reader.unsigned()
        case 3: connections = try reader.int()
        case 4: try reader.ints(into: &latencyBounds)
        case 5: try reader.ints(into: &latencyCounts)
        case 6: residentBytes = try reader.unsigned()
        case 7: startedAt = try reader.int()
        case 8: targets.append(try reader.message())
        default: try reader.skip()
        }
    }
}

/// The health of one address of one target of an upstream, as its gateway sees it.
public struct TargetReport: WireMessage, Sendable, Hashable {
    public enum State: Int, Sendable {
        case healthy = 0
        case unhealthy = 1
        /// Its name does not resolve.
        case dnsError = 2
        /// Nothing checks it.
        case unchecked = 3
    }

    public var upstream = ID()
    public var target = ID()
    /// `ip:port`; empty: not resolved.
    public var address = ""
    public var state = State.healthy

    public init() {}

    public func encode(into out: inout WireWriter) {
        out.put(1, upstream)
        out.put(2, target)
        out.put(3, address)
        out.put(4, state)
    }

    public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
        switch field {
        case 1: upstream = try reader.id()
        case 2: target = try reader.id()
        case 3: address = try reader.string()
        case 4: state = try reader.value()
        default: try reader.skip()
        }
    }
}
