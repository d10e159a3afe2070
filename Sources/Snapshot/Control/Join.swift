// What a supervisor tells a proxy that runs from a control plane, and what the proxy tells of it.

/// Everything a proxy needs to join a control plane, and what of its configuration is its own.
public struct Join: WireMessage, Sendable, Hashable {
    /// Of the base, by the supervisor's count; answered with `applied` once a configuration is in effect.
    public var revision: UInt64 = 0
    /// A `Snapshot` in wire form with settings and listeners and no entities.
    public var base: [UInt8] = []
    /// `https://host:port`, in no order of preference.
    public var controlPlanes: [String] = []
    /// The text of the token file; see `GatewayToken`. Empty where only what is stored may be used.
    public var token = ""
    /// `key=value`, sorted.
    public var labels: [String] = []
    public var name = ""
    /// `file:///…` or `https://…` of a signed snapshot; empty: none.
    public var fallback = ""

    public init() {}

    public func encode(into out: inout WireWriter) {
        out.put(1, revision)
        out.put(2, base)
        out.put(3, controlPlanes)
        out.put(4, token)
        out.put(5, labels)
        out.put(6, name)
        out.put(7, fallback)
    }

    public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
        switch field {
        case 1: revision = try reader.unsigned()
        case 2: base = try reader.data()
        case 3: controlPlanes.append(try reader.string())
        case 4: token = try reader.string()
        case 5: labels.append(try reader.string())
        case 6: name = try reader.string()
        case 7: fallback = try reader.string()
        default: try reader.skip()
        }
    }
}

/// What became of a proxy's connection to its control plane, for whoever reads the supervisor's messages.
public struct FeedNews: WireMessage, Sendable, Hashable {
    public enum Kind: Int, Sendable {
        /// There is no configuration yet: clients wait.
        case waiting = 0
        case connected = 1
        case disconnected = 2
        /// `revision` of the control plane is in effect.
        case effective = 3
        /// `revision` of the control plane cannot be used; the one before stays.
        case rejected = 4
        /// The control plane does not want this gateway any more.
        case revoked = 5
        /// Something failed that is tried again.
        case trouble = 6
    }

    public var kind = Kind.waiting
    public var revision: UInt64 = 0
    /// A sentence without an end, such as `connected to https://cp1:5678`.
    public var text = ""

    public init() {}

    public init(_ kind: Kind, revision: UInt64 = 0, _ text: String) {
        self.kind = kind
        self.revision = revision
        self.text = text
    }

    public func encode(into out: inout WireWriter) {
        out.put(1, kind)
        out.put(2, revision)
        out.put(3, text)
    }

    public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
        switch field {
        case 1: kind = try reader.value()
        case 2: revision = try reader.unsigned()
        case 3: text = try reader.string()
        default: try reader.skip()
        }
    }
}
