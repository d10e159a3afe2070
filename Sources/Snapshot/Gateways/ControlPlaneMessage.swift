// What a control plane tells a gateway on its stream.

/// Exactly one field is set.
public struct ControlPlaneMessage: WireMessage, Sendable {
    public var configuration: Configuration?
    public var delta: Delta?
    public var farewell: Farewell?

    public init() {}

    /// Everything, for a gateway that has nothing to build on.
    public struct Configuration: WireMessage, Sendable {
        public var revision: UInt64 = 0
        /// A `Snapshot` without settings and listeners: those are the gateway's own.
        public var snapshot: [UInt8] = []
        /// `SnapshotDelta.digest` of its tables.
        public var digest: UInt64 = 0

        public init() {}

        public func encode(into out: inout WireWriter) {
            out.put(1, revision)
            out.put(2, snapshot)
            out.put(3, digest)
        }

        public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
            switch field {
            case 1: revision = try reader.unsigned()
            case 2: snapshot = try reader.data()
            case 3: digest = try reader.unsigned()
            default: try reader.skip()
            }
        }
    }

    /// What turns the tables of revision `base` into those of `revision`.
    public struct Delta: WireMessage, Sendable {
        public var base: UInt64 = 0
        public var revision: UInt64 = 0
        /// A `SnapshotDelta`; empty: nothing changes for this gateway but the number.
        public var delta: [UInt8] = []

        public init() {}

        public func encode(into out: inout WireWriter) {
            out.put(1, base)
            out.put(2, revision)
            out.put(3, delta)
        }

        public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
            switch field {
            case 1: base = try reader.unsigned()
            case 2: revision = try reader.unsigned()
            case 3: delta = try reader.data()
            default: try reader.skip()
            }
        }
    }

    /// The control plane ends the stream.
    public struct Farewell: WireMessage, Sendable, Hashable {
        public var reason = ""
        /// The gateway was revoked: its certificate is of no more use, and it serves on with what it has.
        public var isRevoked = false

        public init() {}

        public func encode(into out: inout WireWriter) {
            out.put(1, reason)
            out.put(2, isRevoked)
        }

        public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
            switch field {
            case 1: reason = try reader.string()
            case 2: isRevoked = try reader.bool()
            default: try reader.skip()
            }
        }
    }

    public func encode(into out: inout WireWriter) {
        out.put(1, message: configuration)
        out.put(2, message: delta)
        out.put(3, message: farewell)
    }

    public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
        switch field {
        case 1: configuration = try reader.message()
        case 2: delta = try reader.message()
        case 3: farewell = try reader.message()
        default: try reader.skip()
        }
    }
}
