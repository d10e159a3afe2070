// Secrets of tokens: made here, shown once, kept as hashes.

internal import Crypto

/// The secret of an access token or a join token. It prints as `<redacted>`; only `text` shows it.
public struct TokenSecret: Sendable, CustomStringConvertible, CustomDebugStringConvertible {
    /// `sw_` and 43 base64url characters: 256 random bits.
    public let text: String

    static let prefix = "sw_"
    static let length = 43

    /// A new one.
    public static func make() -> TokenSecret {
        let random = (0..<32).map { _ in UInt8.random(in: 0...255) }
        return TokenSecret(trusted: prefix + Base64URL.encode(random))
    }

    /// A token as somebody sent it; nil when it has not the form of one.
    public init?(_ text: String) {
        let digits = text.utf8.dropFirst(Self.prefix.utf8.count)
        guard text.hasPrefix(Self.prefix), digits.count == Self.length, digits.allSatisfy(Base64URL.isDigit) else {
            return nil
        }
        self.text = text
    }

    init(trusted text: String) { self.text = text }

    /// Lower-case hex SHA-256 of `text`: what a store keeps. The secret has 256 random bits, so it needs no salt and
    /// no slow hash.
    public var hash: String { SHA256.hash(data: Array(text.utf8)).hex }

    public var description: String { "<redacted>" }
    public var debugDescription: String { "<redacted>" }

    /// Whether two texts are the same, in a time that tells nothing about where they differ.
    public static func areEqual(_ a: String, _ b: String) -> Bool {
        let (a, b) = (Array(a.utf8), Array(b.utf8))
        guard a.count == b.count else { return false }
        return zip(a, b).reduce(UInt8(0)) { $0 | ($1.0 ^ $1.1) } == 0
    }
}

/// What stands in the file of `--token-file`: `seaway1.SECRET.FINGERPRINT`. The secret opens the control plane, the
/// fingerprint tells the gateway which authority to trust.
public struct JoinToken: Sendable {
    public let secret: TokenSecret
    /// `Authority.fingerprint`.
    public let fingerprint: String

    public init(secret: TokenSecret, fingerprint: String) {
        self.secret = secret
        self.fingerprint = fingerprint
    }

    /// - Throws: `badToken` with what is wrong and where to get a good one.
    public init(_ text: String) throws(AuthorityError) {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        let remedy = "make one with `seaway token create --role gateway`"
        guard parts.count == 3, parts[0] == "seaway1" else {
            throw .badToken("a join token has the form seaway1.SECRET.FINGERPRINT; \(remedy)")
        }
        guard let secret = TokenSecret(TokenSecret.prefix + parts[1]) else {
            throw .badToken("the join token's secret is not 43 base64url characters; \(remedy)")
        }
        let isHex = parts[2].utf8.allSatisfy {
            (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains($0)
        }
        guard parts[2].utf8.count == 64, isHex else {
            throw .badToken("the join token's fingerprint is not 64 lower-case hex digits; \(remedy)")
        }
        self.secret = secret
        fingerprint = String(parts[2])
    }

    /// One line, without a line feed.
    public var text: String { "seaway1.\(secret.text.dropFirst(TokenSecret.prefix.count)).\(fingerprint)" }
}

/// Base64 with the alphabet for names, without padding (RFC 4648 section 5).
enum Base64URL {
    private static let digits = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8)

    static func isDigit(_ byte: UInt8) -> Bool { digits.contains(byte) }

    static func encode(_ bytes: some Sequence<UInt8>) -> String {
        var out: [UInt8] = []
        var bits = 0
        var count = 0
        for byte in bytes {
            bits = bits << 8 | Int(byte)
            count += 8
            while count >= 6 {
                count -= 6
                out.append(digits[bits >> count & 63])
            }
            bits &= (1 << count) - 1
        }
        if count > 0 { out.append(digits[bits << (6 - count) & 63]) }
        return String(decoding: out, as: UTF8.self)
    }
}
