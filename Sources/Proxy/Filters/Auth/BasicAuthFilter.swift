// basic-auth: a name and a password in `Authorization` (RFC 7617).

import Bytes
import HTTP
import Snapshot

final class BasicAuthFilter: FilterInstance, @unchecked Sendable {
    private let config: BasicAuth
    private let anonymous: Anonymous
    private let credentials: CredentialIndex
    private let challenge: [UInt8]

    init(_ config: BasicAuth, _ credentials: CredentialIndex) {
        self.config = config
        self.credentials = credentials
        anonymous = Anonymous(config.anonymous, in: credentials)
        challenge = Challenge.text("Basic", realm: config.realm)
    }

    override var name: StaticString { "basic-auth" }

    override func access(_ x: Exchange) -> FilterVerdict {
        // With a stand-in, several authentication filters are alternatives; one has said yes already.
        if anonymous.isConfigured, x.credential != nil { return .next }
        if let owner = authenticate(x) {
            x.consumer = owner.consumer
            x.credential = owner.id
            x.credentialName = owner.name
            x.isAnonymous = false
            IdentityHeaders.set(x, owner.consumer, credentials, identifier: credentials.userLabels[owner.label])
            return .next
        }
        return anonymous.admit(x, credentials) ?? Challenge.refuse(x, Bytes("Unauthorized"), challenge)
    }

    /// `Proxy-Authorization` is asked first, as in Kong.
    private func authenticate(_ x: Exchange) -> CredentialIndex.UserOwner? {
        var owner: CredentialIndex.UserOwner?
        for field in [FieldName.proxyAuthorization, .authorization] {
            guard owner == nil, let value = x.requestHeaders.first(field) else { continue }
            owner = check(value, x.worker.scratch)
        }
        if config.hideCredentials {
            x.requestHeaders.removeAll(.proxyAuthorization)
            x.requestHeaders.removeAll(.authorization)
        }
        return owner
    }

    private func check(_ value: Bytes, _ text: Buffer) -> CredentialIndex.UserOwner? {
        let value = value.trimmed()
        guard value.count > 5, value.prefix(5).equalsIgnoringCase("basic") else { return nil }
        text.clear()
        guard Base64.decode(value.dropFirst(5).trimmed(), to: text) else { return nil }
        let pair = text.readable
        guard let colon = pair.firstIndex(of: 0x3A), colon > 0 else { return nil }
        return credentials.owner(ofName: pair.prefix(colon), password: pair.dropFirst(colon + 1))
    }
}

/// `WWW-Authenticate` and the refusal that carries it.
enum Challenge {
    /// `scheme realm="…"`, or the scheme alone without a realm.
    static func text(_ scheme: String, realm: String) -> [UInt8] {
        guard !realm.isEmpty else { return Array(scheme.utf8) }
        let escaped = realm.flatMap { $0 == "\"" || $0 == "\\" ? ["\\", $0] : [$0] }
        return HeaderText.clean("\(scheme) realm=\"\(String(escaped))\"")
    }

    static func refuse(_ x: Exchange, _ message: Bytes, _ challenge: [UInt8]) -> FilterVerdict {
        let verdict = x.replyError(401, message)
        challenge.withBytes { x.replyHeaders.add(Bytes("WWW-Authenticate"), $0) }
        return verdict
    }
}

/// Base 64 (RFC 4648 section 4).
enum Base64 {
    /// Appends what `text` stands for; false if it is no base 64. Missing padding is forgiven.
    static func decode(_ text: Bytes, to out: Buffer) -> Bool {
        var end = text.count
        while end > 0, text.count - end < 2, text[end - 1] == 0x3D { end -= 1 }
        guard end & 3 != 1 else { return false }
        var word: UInt32 = 0
        var bits: UInt32 = 0
        for i in 0..<end {
            guard let value = value(text[i]) else { return false }
            word = word << 6 | UInt32(value)
            bits += 6
            if bits >= 8 {
                bits -= 8
                out.append(UInt8(truncatingIfNeeded: word >> bits))
            }
        }
        return true
    }

    private static func value(_ byte: UInt8) -> UInt8? {
        switch byte {
        case 0x41...0x5A: byte - 0x41
        case 0x61...0x7A: byte - 0x61 + 26
        case 0x30...0x39: byte - 0x30 + 52
        case 0x2B: 62
        case 0x2F: 63
        default: nil
        }
    }
}
