// How a gateway joins: a token and a certificate request for a certificate of the control plane's authority.

/// gRPC `/seaway.gateways.v1.Gateways/Join`. Sent over TLS with a self-signed certificate of the gateway's new key.
public struct JoinRequest: WireMessage, Sendable, Hashable {
    /// The join token's secret.
    public var token = ""
    /// PKCS #10, PEM. Its key is the gateway's and never leaves it.
    public var certificateRequest = ""
    /// 1 to 100 bytes; unique among gateways is advised, not demanded.
    public var name = ""
    /// `key=value`, sorted.
    public var labels: [String] = []
    public var version = ""
    /// The id it had, when it joins again; all zero: none.
    public var gateway = ID()

    public init() {}

    public func encode(into out: inout WireWriter) {
        out.put(1, token)
        out.put(2, certificateRequest)
        out.put(3, name)
        out.put(4, labels)
        out.put(5, version)
        out.put(6, gateway)
    }

    public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
        switch field {
        case 1: token = try reader.string()
        case 2: certificateRequest = try reader.string()
        case 3: name = try reader.string()
        case 4: labels.append(try reader.string())
        case 5: version = try reader.string()
        case 6: gateway = try reader.id()
        default: try reader.skip()
        }
    }
}

/// gRPC `/seaway.gateways.v1.Gateways/Renew`. Sent with the certificate that is to be renewed.
public struct RenewRequest: WireMessage, Sendable, Hashable {
    /// PKCS #10, PEM, for a new key.
    public var certificateRequest = ""

    public init() {}

    public func encode(into out: inout WireWriter) { out.put(1, certificateRequest) }

    public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
        switch field {
        case 1: certificateRequest = try reader.string()
        default: try reader.skip()
        }
    }
}

/// What Join and Renew answer.
public struct Credentials: WireMessage, Sendable, Hashable {
    public var gateway = ID()
    /// PEM, the gateway's first. Its SPIFFE name is `spiffe://seaway/gateway/<id>`.
    public var certificate = ""
    /// PEM of the authorities that control planes and signed snapshots are checked against.
    public var authorities = ""
    /// Unix seconds.
    public var notBefore = 0
    public var notAfter = 0
    /// PEM public key that `--fallback` snapshots are signed with (Ed25519).
    public var snapshotKey = ""

    public init() {}

    public func encode(into out: inout WireWriter) {
        out.put(1, gateway)
        out.put(2, certificate)
        out.put(3, authorities)
        out.put(4, notBefore)
        out.put(5, notAfter)
        out.put(6, snapshotKey)
    }

    public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
        switch field {
        case 1: gateway = try reader.id()
        case 2: certificate = try reader.string()
        case 3: authorities = try reader.string()
        case 4: notBefore = try reader.int()
        case 5: notAfter = try reader.int()
        case 6: snapshotKey = try reader.string()
        default: try reader.skip()
        }
    }
}
