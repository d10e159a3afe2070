// Random texts that stand for somebody, and the hashes and encodings they travel and are kept in.

import Crypto

/// Secrets other than tokens: cookies, states, nonces, PKCE verifiers.
enum Secrets {
    /// 256 random bits as 43 base64url characters (RFC 4648 section 5, no padding).
    static func random() -> String {
        var generator = SystemRandomNumberGenerator()
        return base64URL((0..<32).map { _ in UInt8.random(in: 0...255, using: &generator) })
    }

    static func sha256(_ text: String) -> [UInt8] { Array(SHA256.hash(data: Array(text.utf8))) }

    /// Lower-case hex SHA-256: the name under which a store keeps what belongs to a secret.
    static func hash(_ secret: String) -> String {
        let digits = Array("0123456789abcdef".utf8)
        let text = sha256(secret).flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }
        return String(decoding: text, as: UTF8.self)
    }

    static func base64URL(_ bytes: [UInt8]) -> String {
        let digits = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8)
        var text: [UInt8] = []
        var bits = 0
        var held = 0
        for byte in bytes {
            held = held << 8 | Int(byte)
            bits += 8
            while bits >= 6 {
                bits -= 6
                text.append(digits[held >> bits & 63])
            }
            held &= (1 << bits) - 1
        }
        if bits > 0 { text.append(digits[held << (6 - bits) & 63]) }
        return String(decoding: text, as: UTF8.self)
    }
}
