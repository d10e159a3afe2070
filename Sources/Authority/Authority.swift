// The built-in certificate authority: one key that control planes share, for gateways, servers and snapshots.

internal import Crypto
internal import Foundation
internal import SwiftASN1
internal import X509

/// Why the authority refused something, or could not do it.
public enum AuthorityError: Error, Sendable, Equatable {
    /// What is kept of the authority cannot be read.
    case unreadable(String)
    /// A certificate request that gets no certificate; the text says what is wrong with it.
    case badRequest(String)
    /// A certificate that is not accepted: of another authority, expired, not for this use.
    case badCertificate(String)
    /// A token's text that is none.
    case badToken(String)
    case failed(String)
}

/// A certificate authority with its private keys. It signs certificates of gateways and control planes with one
/// key (P-256) and exported snapshots with another (Ed25519). Every control plane on a store has the same one.
///
/// All times are Unix seconds.
public struct Authority: Sendable {
    /// Its certificate, PEM.
    public let certificate: String
    /// Lower-case hex SHA-256 of the certificate's DER: what tokens carry, so that a gateway trusts this
    /// authority and no other before it has sent a byte.
    public let fingerprint: String
    /// Public key of exported snapshots, PEM.
    public let snapshotKey: String
    /// Certificates of `snapshotKey` by this authority, and its own: PEM, the signer's first.
    public let snapshotChain: String

    let root: Certificate
    let key: Certificate.PrivateKey
    private let signing: Curve25519.Signing.PrivateKey
    private let signer: Certificate

    /// Ten years, in seconds.
    static let lifetime = 10 * 365 * 86_400
    /// How far a certificate reaches back, for clocks that are late, in seconds.
    static let backdate = 300

    /// A new authority with new keys.
    public static func make(now: Int) throws(AuthorityError) -> Authority {
        do {
            let key = Certificate.PrivateKey(P256.Signing.PrivateKey())
            let name = try DistinguishedName { CommonName("Seaway authority") }
            let identifier = SubjectKeyIdentifier(hash: key.publicKey)
            let root = try Certificate(
                version: .v3, serialNumber: Certificate.SerialNumber(), publicKey: key.publicKey,
                notValidBefore: date(now - backdate), notValidAfter: date(now + lifetime),
                issuer: name, subject: name,
                extensions: try Certificate.Extensions {
                    Critical(BasicConstraints.isCertificateAuthority(maxPathLength: 0))
                    Critical(KeyUsage(keyCertSign: true, cRLSign: true))
                    identifier
                },
                issuerPrivateKey: key)
            let signing = Curve25519.Signing.PrivateKey()
            let signer = try issue(
                Leaf(
                    key: Certificate.PublicKey(signing.publicKey), commonName: "Seaway snapshots",
                    names: [.uniformResourceIdentifier("spiffe://seaway/snapshots")], usages: [.codeSigning]),
                by: root, key: key, from: now - backdate, to: now + lifetime)
            return try Authority(root: root, key: key, signing: signing, signer: signer)
        } catch {
            throw .failed("the authority could not be made: \(error)")
        }
    }

    /// Reads what `stored` wrote.
    public init(stored bytes: [UInt8]) throws(AuthorityError) {
        do {
            let documents = try PEMDocument.parseMultiple(pemString: String(decoding: bytes, as: UTF8.self))
            guard documents.count == 4 else { throw AuthorityError.unreadable("\(documents.count) parts instead of 4") }
            guard let signing = Curve25519.Signing.PrivateKey(pkcs8: documents[2]) else {
                throw AuthorityError.unreadable("the snapshots' key is no Ed25519 key")
            }
            self = try Authority(
                root: Certificate(pemDocument: documents[0]),
                key: Certificate.PrivateKey(pemDocument: documents[1]),
                signing: signing,
                signer: Certificate(pemDocument: documents[3]))
        } catch let error as AuthorityError {
            throw error
        } catch {
            throw .unreadable("\(error)")
        }
    }

    /// Everything of it, private keys included, in PEM: certificate, key, snapshots' key, snapshots' certificate.
    public func stored() throws(AuthorityError) -> [UInt8] {
        do {
            let documents = [
                try root.serializeAsPEM(),
                try key.serializeAsPEM(),
                try Certificate.PrivateKey(signing).serializeAsPEM(),
                try signer.serializeAsPEM(),
            ]
            return Array(documents.map(\.pemString).joined(separator: "\n").utf8)
        } catch {
            throw .failed("the authority could not be written: \(error)")
        }
    }

    private init(
        root: Certificate, key: Certificate.PrivateKey, signing: Curve25519.Signing.PrivateKey, signer: Certificate
    ) throws {
        guard root.publicKey == key.publicKey else {
            throw AuthorityError.unreadable("the authority's key does not belong to its certificate")
        }
        guard root.publicKey.isValidSignature(signer.signature, for: signer),
            signer.publicKey == Certificate.PublicKey(signing.publicKey)
        else {
            throw AuthorityError.unreadable("the snapshots' certificate is not of this authority and key")
        }
        self.root = root
        self.key = key
        self.signing = signing
        self.signer = signer
        certificate = try root.serializeAsPEM().pemString
        var der = DER.Serializer()
        try der.serialize(root)
        fingerprint = SHA256.hash(data: der.serializedBytes).hex
        snapshotKey = try Certificate.PublicKey(signing.publicKey).serializeAsPEM().pemString
        snapshotChain = try signer.serializeAsPEM().pemString + "\n" + certificate
    }

    /// Ed25519 signature over `bytes` with the snapshots' key: 64 bytes.
    public func sign(snapshot bytes: [UInt8]) throws(AuthorityError) -> [UInt8] {
        do {
            return Array(try signing.signature(for: bytes))
        } catch {
            throw .failed("the snapshot could not be signed: \(error)")
        }
    }

    static func date(_ seconds: Int) -> Date { Date(timeIntervalSince1970: TimeInterval(seconds)) }
}

extension Curve25519.Signing.PrivateKey {
    /// Ed25519 in PKCS #8 (RFC 8410 section 7): the seed is an OCTET STRING inside the key's OCTET STRING,
    /// which ends the document.
    fileprivate init?(pkcs8 document: PEMDocument) {
        guard document.discriminator == "PRIVATE KEY",
            let root = try? DER.parse(document.derBytes),
            let seed = try? DER.sequence(
                root, identifier: .sequence,
                { nodes -> ASN1OctetString in
                    _ = try Int(derEncoded: &nodes)
                    _ = nodes.next()
                    let outer = try ASN1OctetString(derEncoded: &nodes)
                    while nodes.next() != nil {}
                    return try ASN1OctetString(derEncoded: DER.parse(outer.bytes))
                })
        else { return nil }
        try? self.init(rawRepresentation: seed.bytes)
    }
}

extension Sequence<UInt8> {
    /// Lower-case hexadecimal digits, two for each byte.
    var hex: String {
        let digits = Array("0123456789abcdef".utf8)
        return String(decoding: flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
    }
}
