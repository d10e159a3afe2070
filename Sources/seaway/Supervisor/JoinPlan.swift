// What a supervisor knows of the control planes that its proxies follow.

import Bytes
import CLinux
import Snapshot

/// Checked by the command line. Paths are absolute.
struct JoinPlan: Sendable {
    var controlPlanes: [String]
    var tokenFile: String?
    /// `key=value`, sorted.
    var labels: [String]
    var name: String
    var fallback: String

    /// Parts between commas, without white space around them.
    static func list(_ text: String) -> [String] {
        text.split(separator: ",").map { part in
            var part = part
            while part.first == " " { part.removeFirst() }
            while part.last == " " { part.removeLast() }
            return String(part)
        }.filter { !$0.isEmpty }
    }

    /// `https://HOST[:PORT]`.
    static func isControlPlane(_ url: String) -> Bool {
        guard url.hasPrefix("https://") else { return false }
        var rest = url.dropFirst(8)
        if rest.hasSuffix("/") { rest = rest.dropLast() }
        guard !rest.isEmpty, !rest.contains(where: { $0 == "/" || $0 == "@" || $0 == "?" || $0 == " " }) else {
            return false
        }
        var digits: Substring?
        if rest.hasPrefix("[") {
            guard let close = rest.firstIndex(of: "]"), IPAddress(String(rest.dropFirst().prefix { $0 != "]" })) != nil
            else { return false }
            let tail = rest[rest.index(after: close)...]
            guard tail.isEmpty || tail.hasPrefix(":") else { return false }
            digits = tail.isEmpty ? nil : tail.dropFirst()
        } else if let colon = rest.lastIndex(of: ":") {
            guard colon > rest.startIndex, !rest[..<colon].contains(":") else { return false }
            digits = rest[rest.index(after: colon)...]
        }
        guard let digits else { return true }
        return decimal(digits).map { (1...65535).contains($0) } ?? false
    }

    /// `key=value`, both at most 63 bytes, of what tags may hold.
    static func isLabel(_ text: String) -> Bool {
        let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.count == 2 else { return false }
        return parts.allSatisfy { part in
            (1...63).contains(part.utf8.count)
                && part.utf8.allSatisfy { byte in
                    switch byte {
                    case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x2D, 0x2E, 0x2F, 0x5F: true
                    default: false
                    }
                }
        }
    }

    static var hostName: String {
        var name = [CChar](repeating: 0, count: 256)
        guard unsafe gethostname(&name, 255) == 0 else { return "gateway" }
        let text = String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        return text.isEmpty ? "gateway" : String(text.prefix(100))
    }

    /// The token file's text; empty without one.
    func token() throws(Failure) -> String {
        guard let tokenFile else { return "" }
        let text: String
        switch FileBytes.read(tokenFile, limit: 64 * 1024) {
        case .success(let bytes): text = String(decoding: bytes, as: UTF8.self)
        case .failure(let refusal): throw Failure("--token-file: \(refusal.message)\n\(refusal.remedy)")
        }
        guard GatewayToken(text) != nil else {
            throw Failure(
                """
                --token-file: \(tokenFile) holds no join token
                A join token is one line, seaway1.SECRET.DIGEST, as `seaway token create --role gateway` prints it.
                """)
        }
        return text
    }
}
