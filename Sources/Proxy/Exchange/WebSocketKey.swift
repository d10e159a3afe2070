// The handshake proof of WebSocket (RFC 6455 section 4), for crossings between versions of HTTP: over
// HTTP/2 there is none.

import Bytes
import HTTP

enum WebSocketKey {
    static let name = FieldKey("sec-websocket-key")
    static let acceptName = FieldKey("sec-websocket-accept")

    /// Appends the key of a request of our own: 16 random bytes in base64.
    static func random(to out: Buffer) {
        var bytes = [UInt8](repeating: 0, count: 16)
        for i in bytes.indices { bytes[i] = UInt8.random(in: 0 ... .max) }
        bytes.withBytes { base64($0, to: out) }
    }

    /// Appends what proves that a request with `key` was understood.
    static func accept(_ key: Bytes, to out: Buffer) {
        var hash = SHA1()
        hash.update(key)
        hash.update(Bytes("258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
        let digest = hash.finish()
        var bytes = [UInt8](repeating: 0, count: 20)
        for i in 0..<20 { bytes[i] = digest[i] }
        bytes.withBytes { base64($0, to: out) }
    }

    private static func base64(_ bytes: Bytes, to out: Buffer) {
        let alphabet = Bytes("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
        var i = 0
        while i < bytes.count {
            let left = bytes.count - i
            let triple =
                UInt32(bytes[i]) << 16 | UInt32(left > 1 ? bytes[i + 1] : 0) << 8 | UInt32(left > 2 ? bytes[i + 2] : 0)
            for place in 0..<4 {
                let digit = Int(triple >> UInt32(18 - 6 * place) & 63)
                out.append(place <= left ? alphabet[digit] : 0x3D)
            }
            i += 3
        }
    }
}
