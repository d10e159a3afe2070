// The fields that tell an upstream who is asking. One list, for filters, forwarding and trailers.

import Bytes
import HTTP
import Snapshot

/// Identity fields are the proxy's to send: what a client sends under these names never arrives,
/// in whatever case and with `_` for `-` (T-20).
enum IdentityHeaders {
    static let consumerID: StaticString = "X-Consumer-ID"
    static let customID: StaticString = "X-Consumer-Custom-ID"
    static let username: StaticString = "X-Consumer-Username"
    static let groups: StaticString = "X-Consumer-Groups"
    static let credential: StaticString = "X-Credential-Identifier"
    static let anonymous: StaticString = "X-Anonymous-Consumer"

    /// The list. The last four are of plugins and versions of Kong that upstreams may still trust.
    private static let all: [StaticString] = [
        consumerID, customID, username, groups, credential, anonymous,
        "X-Credential-Username", "X-Authenticated-Groups", "X-Authenticated-Scope", "X-Authenticated-Userid",
    ]

    static func contains(_ name: Bytes) -> Bool {
        guard name.count >= 13, ASCII.lower(name[0]) == 0x78, isDash(name[1]) else { return false }
        for own in all where isAlias(name, Bytes(own)) { return true }
        return false
    }

    /// Equal but for case, and `_` for `-`.
    static func isAlias(_ name: Bytes, _ own: Bytes) -> Bool {
        guard name.count == own.count else { return false }
        for i in 0..<name.count {
            let byte = name[i] == 0x5F ? 0x2D : ASCII.lower(name[i])
            if byte != ASCII.lower(own[i]) { return false }
        }
        return true
    }

    private static func isDash(_ byte: UInt8) -> Bool { byte == 0x2D || byte == 0x5F }

    /// What says where a request came from, in spellings that some upstreams take for the real name.
    private static let forwarding: [StaticString] = [
        "X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Forwarded-Port", "X-Forwarded-Path",
        "X-Forwarded-Prefix", "X-Forwarded-Client-Cert", "X-Real-IP",
    ]

    private static func isForwarding(_ name: Bytes) -> Bool {
        guard name.count >= 9, ASCII.lower(name[0]) == 0x78, isDash(name[1]) else { return false }
        let third = ASCII.lower(name[2])
        guard third == 0x66 || third == 0x72 else { return false }
        for own in forwarding where isAlias(name, Bytes(own)) { return true }
        return false
    }

    /// Removes them all, and every other spelling of the forwarding fields that the proxy writes itself.
    static func strip(_ headers: HeaderBlock) {
        for index in 0..<headers.count where !headers.isRemoved(index) {
            switch headers.id(index) {
            case .other:
                let name = headers.name(index)
                if contains(name) || isForwarding(name) { headers.remove(at: index) }
            case .forwarded: headers.remove(at: index)
            default: continue
            }
        }
    }

    /// Removes the field of that name and its aliases.
    static func remove(_ name: StaticString, from headers: HeaderBlock) {
        for index in 0..<headers.count where !headers.isRemoved(index) && headers.id(index) == .other {
            if isAlias(headers.name(index), Bytes(name)) { headers.remove(at: index) }
        }
    }

    /// Tells the upstream who the consumer is, and nothing that was said before.
    /// - Parameter identifier: the credential's public name; nil: the consumer stands in for nobody known.
    static func set(_ x: Exchange, _ consumer: Int, _ credentials: CredentialIndex, identifier: Bytes?) {
        let headers = x.requestHeaders
        strip(headers)
        let text = x.worker.scratch
        // The identifier may lie in the scratch buffer itself.
        if let identifier { headers.add(Bytes(credential), identifier) }
        text.clear()
        credentials.id(of: consumer).write(to: text)
        headers.add(Bytes(consumerID), text.readable)
        let custom = credentials.customIDs[consumer]
        if !custom.isEmpty { headers.add(Bytes(customID), custom) }
        let name = credentials.usernames[consumer]
        if !name.isEmpty { headers.add(Bytes(username), name) }
        if identifier == nil { headers.add(Bytes(anonymous), Bytes("true")) }
    }
}

extension ID {
    /// Appends the id's text.
    func write(to out: Buffer) {
        out.append(hex: high >> 32, digits: 8)
        out.append(0x2D)
        out.append(hex: high >> 16 & 0xFFFF, digits: 4)
        out.append(0x2D)
        out.append(hex: high & 0xFFFF, digits: 4)
        out.append(0x2D)
        out.append(hex: low >> 48, digits: 4)
        out.append(0x2D)
        out.append(hex: low & 0xFFFF_FFFF_FFFF, digits: 12)
    }
}

/// Text that is fit to be a field's value.
enum HeaderText {
    /// Appends `text` with control characters percent-encoded, so that none ends the field (nginx
    /// does the same), and without spaces around it.
    static func append(_ text: Bytes, to out: Buffer) {
        let text = text.trimmed()
        for i in 0..<text.count {
            let byte = text[i]
            if byte >= 0x20 && byte != 0x7F || byte == 0x09 {
                out.append(byte)
            } else {
                out.append(0x25)
                PercentCoding.appendHex(byte, to: out)
            }
        }
    }

    static func clean(_ text: String) -> [UInt8] {
        let out = Buffer(capacity: text.utf8.count + 16)
        text.withBytes { append($0, to: out) }
        return out.readable.array
    }

    /// Whether `name` can be a field's name.
    static func isName(_ name: Bytes) -> Bool {
        guard !name.isEmpty, name.count <= 0xFFFF else { return false }
        for i in 0..<name.count where !ASCII.isToken(name[i]) { return false }
        return true
    }
}
