// The token that a gateway joins with.

import Bytes

/// One line: `seaway1.<secret, base64url>.<SHA-256 of the authority's certificate (DER), 64 hexadecimal digits>`.
/// The secret tells the control plane that this gateway may join; the digest tells the gateway whom to trust with it.
public struct GatewayToken: Sendable, Hashable {
    /// What `JoinRequest.token` carries.
    public var secret: String
    /// 32 bytes.
    public var authority: [UInt8]

    public init(secret: String, authority: [UInt8]) {
        self.secret = secret
        self.authority = authority
    }

    /// Reads the text of a token file; nil for anything else than one token, white space around it aside.
    public init?(_ text: String) {
        var utf8 = Array(text.utf8)
        while let last = utf8.last, last == 0x0A || last == 0x0D || last == 0x20 || last == 0x09 { utf8.removeLast() }
        let start = utf8.firstIndex { $0 != 0x0A && $0 != 0x0D && $0 != 0x20 && $0 != 0x09 } ?? utf8.count
        let parts = utf8[start...].split(separator: 0x2E, omittingEmptySubsequences: false)
        guard parts.count == 3, parts[0].elementsEqual("seaway1".utf8), (1...200).contains(parts[1].count),
            parts[1].allSatisfy(Self.isBase64URL), parts[2].count == 64
        else { return nil }
        var digest: [UInt8] = []
        var high: UInt8?
        for byte in parts[2] {
            guard let value = ASCII.hex(byte) else { return nil }
            if let first = high {
                digest.append(first << 4 | UInt8(value))
                high = nil
            } else {
                high = UInt8(value)
            }
        }
        self.init(secret: String(decoding: parts[1], as: UTF8.self), authority: digest)
    }

    private static func isBase64URL(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x2D, 0x5F: true
        default: false
        }
    }
}
