// A configuration in a file, for a gateway that starts while no control plane answers.

internal import Bytes

/// What the control plane exports at each revision and a gateway takes from `--fallback`.
///
/// Believed when `certificates` lead to the authority that the gateway's token or its own certificate names, the
/// first of them is one for signing snapshots, and `signature` is its key's over `signed`.
public struct SignedSnapshot: WireMessage, Sendable, Hashable {
    /// A `ControlPlaneMessage.Configuration`.
    public var payload: [UInt8] = []
    /// Ed25519, 64 bytes, over `signed`.
    public var signature: [UInt8] = []
    /// `key=value`, sorted: the labels of the gateways that it was made for; empty: for gateways without labels.
    public var labels: [String] = []
    /// When it was exported; Unix seconds.
    public var createdAt = 0
    /// PEM: the signing key's certificate first, then those that lead to the authority.
    public var certificates = ""

    public init() {}

    /// The bytes that the signature is over: payload, labels and time, after words that no other signature of the
    /// authority begins with.
    public var signed: [UInt8] {
        var unsigned = SignedSnapshot()
        unsigned.payload = payload
        unsigned.labels = labels
        unsigned.createdAt = createdAt
        return Array("seaway signed snapshot 1\n".utf8) + unsigned.wire
    }

    /// The configuration in the payload.
    public func configuration() throws(WireError) -> ControlPlaneMessage.Configuration {
        try payload.withBytes { (bytes) throws(WireError) in try ControlPlaneMessage.Configuration(wire: bytes) }
    }

    public func encode(into out: inout WireWriter) {
        out.put(1, payload)
        out.put(2, signature)
        out.put(3, labels)
        out.put(4, createdAt)
        out.put(5, certificates)
    }

    public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
        switch field {
        case 1: payload = try reader.data()
        case 2: signature = try reader.data()
        case 3: labels.append(try reader.string())
        case 4: createdAt = try reader.int()
        case 5: certificates = try reader.string()
        default: try reader.skip()
        }
    }
}
