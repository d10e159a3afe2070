// A certificate request from outside, after everything that can be wrong with it was looked for.

internal import Crypto
internal import SwiftASN1
internal import X509
internal import _CryptoExtras

/// The key of a PKCS #10 request (RFC 2986) whose sender has shown to hold its private half.
struct CheckedRequest {
    let key: Certificate.PublicKey

    /// The most that is read, in bytes: a request with a 4096-bit RSA key has 1.7 KB.
    static let sizeMax = 8192

    init(pem: String) throws(AuthorityError) {
        guard pem.utf8.count <= Self.sizeMax else {
            throw .badRequest("the certificate request is larger than \(Self.sizeMax) bytes")
        }
        let request: CertificateSigningRequest
        do {
            request = try CertificateSigningRequest(pemEncoded: pem)
        } catch {
            throw .badRequest("the certificate request is not PKCS #10 in PEM: \(error)")
        }
        guard request.publicKey.isStrong else {
            throw .badRequest("the certificate request's key must be P-256, Ed25519, or RSA of 2048 to 4096 bits")
        }
        guard request.publicKey.isValidSignature(request.signature, for: request) else {
            throw .badRequest("the certificate request is not signed with its own key")
        }
        key = request.publicKey
    }
}

extension Certificate.PublicKey {
    var isRSA: Bool { _RSA.Signing.PublicKey(self) != nil }

    /// P-256, Ed25519, or RSA of a size that is neither weak nor costly to check.
    fileprivate var isStrong: Bool {
        if P256.Signing.PublicKey(self) != nil || Curve25519.Signing.PublicKey(self) != nil { return true }
        guard let rsa = _RSA.Signing.PublicKey(self) else { return false }
        return (2048...4096).contains(rsa.keySizeInBits)
    }
}
