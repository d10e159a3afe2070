// Who this gateway is to its control plane: key, certificate, and when which of them is made anew.

import Snapshot

/// What a gateway is known by, as it lies in the state directory (mode 0600). The key never leaves it.
struct FeedIdentity: WireMessage, Sendable, Equatable {
    /// PKCS #8, PEM.
    var key = ""
    var gateway = ID()
    /// PEM.
    var certificate = ""
    /// PEM of the authorities that control planes are checked against.
    var authorities = ""
    /// Unix seconds.
    var notBefore = 0
    var notAfter = 0
    /// The authority that the join token named: another token leads elsewhere, and this identity is of no use there.
    var pinned: [UInt8] = []

    init() {}

    func encode(into out: inout WireWriter) {
        out.put(1, key)
        out.put(2, gateway)
        out.put(3, certificate)
        out.put(4, authorities)
        out.put(5, notBefore)
        out.put(6, notAfter)
        out.put(7, pinned)
    }

    mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
        switch field {
        case 1: key = try reader.string()
        case 2: gateway = try reader.id()
        case 3: certificate = try reader.string()
        case 4: authorities = try reader.string()
        case 5: notBefore = try reader.int()
        case 6: notAfter = try reader.int()
        case 7: pinned = try reader.data()
        default: try reader.skip()
        }
    }

    /// Takes what Join or Renew answered; false when it cannot be used.
    mutating func take(_ credentials: Credentials, key: String, pinned: [UInt8]) -> Bool {
        guard !credentials.certificate.isEmpty, !credentials.authorities.isEmpty,
            credentials.notAfter > credentials.notBefore
        else { return false }
        self.key = key
        gateway = credentials.gateway
        certificate = credentials.certificate
        authorities = credentials.authorities
        notBefore = credentials.notBefore
        notAfter = credentials.notAfter
        self.pinned = pinned
        return true
    }

    /// What an identity is good for at a moment.
    enum Standing: Equatable {
        /// Half of its life is ahead.
        case good
        /// Time for a new certificate; this one still opens a stream.
        case due
        /// Over: only a join token helps.
        case expired
    }

    /// - Parameter now: Unix seconds.
    func standing(now: Int) -> Standing {
        if now >= notAfter { return .expired }
        return now >= renewAt ? .due : .good
    }

    /// Unix seconds: half of its life.
    var renewAt: Int {
        let (sum, overflow) = notBefore.addingReportingOverflow(notAfter)
        return overflow ? notBefore : sum / 2
    }
}
