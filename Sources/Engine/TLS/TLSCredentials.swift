// Certificates and keys, from PEM into OpenSSL's hands.

import Bytes
import COpenSSL
import CLinux

/// Why TLS material cannot be used.
public enum TLSError: Error, Equatable {
    case badCertificate
    case badKey
    case keyDoesNotMatch
    case badAuthority
    case outOfMemory
}

/// A certificate chain with its key, in PEM; `alternative` is a second pair of another key type.
public struct TLSIdentity: Sendable {
    public var chain: String
    public var key: String
    public var alternativeChain: String
    public var alternativeKey: String

    public init(chain: String, key: String, alternativeChain: String = "", alternativeKey: String = "") {
        self.chain = chain
        self.key = key
        self.alternativeChain = alternativeChain
        self.alternativeKey = alternativeKey
    }
}

/// An SSL_CTX and what sets it up. The context is freed with its last reference.
@safe
final class TLSContextHandle: @unchecked Sendable {  // SSL_CTX is internally synchronised; set up before it is shared.
    let raw: OpaquePointer

    /// Asked once: where the kernel has no TLS, each connection would ask in vain, twice.
    private static let kernelTLS = sys_has_kernel_tls()

    init(server: Bool) throws(TLSError) {
        let method = unsafe server ? TLS_server_method() : TLS_client_method()
        guard let raw = unsafe SSL_CTX_new(method) else { throw .outOfMemory }
        unsafe self.raw = raw
        unsafe seaway_set_modes(raw)
        unsafe seaway_set_options(raw, Self.kernelTLS)
        guard unsafe seaway_set_versions(raw, TLS1_2_VERSION, TLS1_3_VERSION) == 1 else { throw .outOfMemory }
        unsafe seaway_set_groups(raw, "X25519:P-256:P-384")
    }

    deinit { unsafe SSL_CTX_free(raw) }

    func use(_ identity: TLSIdentity) throws(TLSError) {
        try use(chain: identity.chain, key: identity.key)
        if !identity.alternativeChain.isEmpty {
            try use(chain: identity.alternativeChain, key: identity.alternativeKey)
        }
    }

    private func use(chain: String, key: String) throws(TLSError) {
        let certificates = PEM.certificates(chain)
        guard let leaf = certificates.first else { throw .badCertificate }
        guard unsafe SSL_CTX_use_certificate(raw, leaf.raw) == 1 else { throw .badCertificate }
        guard let privateKey = unsafe PEM.privateKey(key) else { throw .badKey }
        defer { unsafe EVP_PKEY_free(privateKey) }
        guard unsafe SSL_CTX_use_PrivateKey(raw, privateKey) == 1 else { throw .keyDoesNotMatch }
        for issuer in certificates.dropFirst() {
            unsafe X509_up_ref(issuer.raw)
            if unsafe seaway_add_chain(raw, issuer.raw) != 1 { unsafe X509_free(issuer.raw) }
        }
    }

    /// Trusts exactly these authorities.
    func trust(_ pem: String) throws(TLSError) {
        let certificates = PEM.certificates(pem)
        guard !certificates.isEmpty, let store = unsafe SSL_CTX_get_cert_store(raw) else { throw .badAuthority }
        for certificate in certificates { unsafe X509_STORE_add_cert(store, certificate.raw) }
    }
}

enum PEM {
    private static func bio<R>(_ text: String, _ body: (OpaquePointer) -> R?) -> R? {
        let bytes = Array(text.utf8)
        return bytes.withBytes { bytes -> R? in
            guard
                let bio = unsafe seaway_memory_bio(
                    UnsafeRawPointer(bitPattern: bytes.address), Int32(clamping: bytes.count))
            else { return nil }
            defer { unsafe BIO_free(bio) }
            return unsafe body(bio)
        }
    }

    /// Owns one X509.
    @safe
    final class Certificate {
        let raw: OpaquePointer
        init(_ raw: OpaquePointer) { unsafe self.raw = raw }
        deinit { unsafe X509_free(raw) }
    }

    /// Every certificate of the text, up to the first that cannot be read.
    static func certificates(_ text: String) -> [Certificate] {
        let found = unsafe bio(text) { bio -> [Certificate]? in
            var list: [Certificate] = []
            while let certificate = unsafe PEM_read_bio_X509(bio, nil, nil, nil) {
                unsafe list.append(Certificate(certificate))
            }
            ERR_clear_error()
            return list
        }
        return found ?? []
    }

    static func privateKey(_ text: String) -> OpaquePointer? {
        unsafe bio(text) { bio in unsafe PEM_read_bio_PrivateKey(bio, nil, nil, nil) }
    }
}

/// A certificate that the proxy makes for itself, for names that no configured certificate covers.
enum SelfSigned {
    static func install(in context: TLSContextHandle) throws(TLSError) {
        guard let key = unsafe seaway_generate_p256(), let certificate = unsafe X509_new() else { throw .outOfMemory }
        defer {
            unsafe EVP_PKEY_free(key)
            unsafe X509_free(certificate)
        }
        unsafe X509_set_version(certificate, 2)
        var serial: UInt64 = 0
        unsafe withUnsafeMutableBytes(of: &serial) { raw in
            _ = unsafe RAND_bytes(raw.baseAddress?.assumingMemoryBound(to: UInt8.self), 8)
        }
        unsafe ASN1_INTEGER_set_uint64(X509_get_serialNumber(certificate), serial >> 1)
        unsafe X509_gmtime_adj(X509_getm_notBefore(certificate), -3600)
        unsafe X509_gmtime_adj(X509_getm_notAfter(certificate), 10 * 365 * 86400)
        unsafe X509_set_pubkey(certificate, key)
        let name = unsafe X509_get_subject_name(certificate)
        let common = Array("localhost".utf8)
        unsafe X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, common, Int32(common.count), -1, 0)
        unsafe X509_set_issuer_name(certificate, name)
        if let names = unsafe X509V3_EXT_conf_nid(nil, nil, NID_subject_alt_name, "DNS:localhost,IP:127.0.0.1") {
            unsafe X509_add_ext(certificate, names, -1)
            unsafe X509_EXTENSION_free(names)
        }
        guard unsafe X509_sign(certificate, key, EVP_sha256()) > 0,
            unsafe SSL_CTX_use_certificate(context.raw, certificate) == 1,
            unsafe SSL_CTX_use_PrivateKey(context.raw, key) == 1
        else { throw .outOfMemory }
    }
}
