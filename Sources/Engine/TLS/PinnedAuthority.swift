// Trust in an authority that is known by its digest, before its certificate is.

import CLinux
import COpenSSL

/// An authority whose certificate has this SHA-256 (of its DER form), and no other.
public struct PinnedAuthority: Sendable, Equatable {
    /// 32 bytes.
    public var digest: [UInt8]

    public init(digest: [UInt8]) { self.digest = digest }

    /// Checks a certificate chain in PEM, leaf first, that holds the authority itself: signatures, validity now, and
    /// that the leaf is for signing (extended key usage codeSigning). Gateways have certificates too, of keys that are
    /// theirs to choose: those must not do.
    ///
    /// - Returns: the leaf's key; nil when the chain does not lead there, or the leaf is for something else.
    public func signer(chain pem: String) -> VerifyingKey? {
        let certificates = PEM.certificates(pem)
        guard let leaf = certificates.first, let anchor = certificates.first(where: { matches($0) }) else { return nil }
        let isForSigning =
            unsafe X509_get_extension_flags(leaf.raw) & UInt32(EXFLAG_XKUSAGE) != 0
            && X509_get_extended_key_usage(leaf.raw) & UInt32(XKU_CODE_SIGN) != 0
        guard isForSigning, Self.verify(leaf, anchor, certificates, name: nil),
            let key = unsafe X509_get_pubkey(leaf.raw)
        else { return nil }
        return unsafe VerifyingKey(key)
    }

    fileprivate func matches(_ certificate: PEM.Certificate) -> Bool {
        var found = [UInt8](repeating: 0, count: 64)
        var count: UInt32 = 0
        guard unsafe X509_digest(certificate.raw, EVP_sha256(), &found, &count) == 1, count == 32 else { return false }
        return Array(found[..<32]) == digest
    }

    /// - Parameter name: the leaf serves a TLS server of this DNS name; nil: any use will do.
    fileprivate static func verify(
        _ leaf: PEM.Certificate, _ anchor: PEM.Certificate, _ chain: [PEM.Certificate], name: String?
    ) -> Bool {
        guard let store = unsafe X509_STORE_new() else { return false }
        defer { unsafe X509_STORE_free(store) }
        guard unsafe X509_STORE_add_cert(store, anchor.raw) == 1, let context = unsafe X509_STORE_CTX_new(),
            let others = unsafe OPENSSL_sk_new_null()
        else { return false }
        defer {
            unsafe OPENSSL_sk_free(others)
            unsafe X509_STORE_CTX_free(context)
            ERR_clear_error()
        }
        for certificate in chain { unsafe OPENSSL_sk_push(others, UnsafeRawPointer(certificate.raw)) }
        guard unsafe X509_STORE_CTX_init(context, store, leaf.raw, others) == 1 else { return false }
        if let name {
            guard unsafe X509_STORE_CTX_set_default(context, "ssl_server") == 1,
                let parameters = unsafe X509_STORE_CTX_get0_param(context),
                unsafe X509_VERIFY_PARAM_set1_host(parameters, name, name.utf8.count) == 1
            else { return false }
        }
        return unsafe X509_verify_cert(context) == 1
    }
}

extension TLSSession {
    /// Checks the chain that the peer showed: it must hold the authority, lead to it, and be for a server `name`.
    ///
    /// - Returns: the authority's certificate, PEM; nil: this is somebody else.
    public func authority(_ pinned: PinnedAuthority, name: String) -> String? {
        guard let shown = unsafe SSL_get_peer_cert_chain(raw) else { return nil }
        var chain: [PEM.Certificate] = []
        let count = unsafe OPENSSL_sk_num(shown)
        for index in 0..<min(16, max(0, count)) {
            guard let certificate = unsafe OPENSSL_sk_value(shown, index) else { break }
            let one = OpaquePointer(certificate)
            unsafe X509_up_ref(one)
            unsafe chain.append(PEM.Certificate(one))
        }
        guard let leaf = chain.first, let anchor = chain.first(where: { pinned.matches($0) }),
            PinnedAuthority.verify(leaf, anchor, chain, name: name)
        else { return nil }
        return anchor.pem
    }

    /// Why the peer's certificate was not accepted; nil: it was, or there was none.
    public var verificationProblem: String? {
        let code = unsafe SSL_get_verify_result(raw)
        guard code != X509_V_OK, let text = unsafe X509_verify_cert_error_string(code) else { return nil }
        return unsafe String(cString: text)
    }
}

extension PEM.Certificate {
    var pem: String? { unsafe PEM.written { unsafe PEM_write_bio_X509($0, raw) == 1 } }
}

/// A public key that signatures are checked with.
@safe
public final class VerifyingKey {
    private let raw: OpaquePointer

    init(_ owned: OpaquePointer) { unsafe raw = owned }
    deinit { unsafe EVP_PKEY_free(raw) }

    /// Whether `signature` is this Ed25519 key's of `message` (RFC 8032).
    public func verifies(_ signature: [UInt8], of message: [UInt8]) -> Bool {
        guard unsafe EVP_PKEY_get_id(raw) == EVP_PKEY_ED25519, let context = unsafe EVP_MD_CTX_new() else {
            return false
        }
        defer {
            unsafe EVP_MD_CTX_free(context)
            ERR_clear_error()
        }
        guard unsafe EVP_DigestVerifyInit(context, nil, nil, nil, raw) == 1 else { return false }
        return unsafe EVP_DigestVerify(context, signature, signature.count, message, message.count) == 1
    }
}
