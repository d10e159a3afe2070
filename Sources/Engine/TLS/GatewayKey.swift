// A key of this process's own making, and what it signs: a certificate request, a certificate for itself.

import Bytes
import CLinux
import COpenSSL

/// A private key on P-256. It is written nowhere but by whoever asks for its PEM.
@safe
public final class GatewayKey {
    private let raw: OpaquePointer

    /// A new key; nil when there is no randomness or memory.
    public init?() {
        guard let key = unsafe seaway_generate_p256() else { return nil }
        unsafe raw = key
    }

    /// The key of a PEM text; nil for anything else.
    public init?(pem: String) {
        guard let key = unsafe PEM.privateKey(pem) else { return nil }
        unsafe raw = key
    }

    deinit { unsafe EVP_PKEY_free(raw) }

    /// PKCS #8, not encrypted; nil when there is no memory.
    public var pem: String? {
        unsafe PEM.written { unsafe PEM_write_bio_PKCS8PrivateKey($0, raw, nil, nil, 0, nil, nil) == 1 }
    }

    /// PKCS #10 (RFC 2986) for this key with the common name `name`, PEM.
    public func certificateRequest(name: String) -> String? {
        guard let request = unsafe X509_REQ_new() else { return nil }
        defer { unsafe X509_REQ_free(request) }
        guard unsafe X509_REQ_set_version(request, 0) == 1,
            let subject = unsafe X509_REQ_get_subject_name(request), unsafe Self.put(name, into: subject),
            unsafe X509_REQ_set_pubkey(request, raw) == 1, unsafe X509_REQ_sign(request, raw, EVP_sha256()) > 0
        else { return nil }
        return unsafe PEM.written { unsafe PEM_write_bio_X509_REQ($0, request) == 1 }
    }

    /// A certificate that nobody else vouches for, valid from an hour ago for a day, PEM: shown where a certificate
    /// is asked for and none is there yet.
    public func selfSigned(name: String) -> String? {
        guard let certificate = unsafe X509_new() else { return nil }
        defer { unsafe X509_free(certificate) }
        var serial: UInt64 = .random(in: 1 ... .max) >> 1
        serial |= 1
        unsafe X509_set_version(certificate, 2)
        unsafe ASN1_INTEGER_set_uint64(X509_get_serialNumber(certificate), serial)
        unsafe X509_gmtime_adj(X509_getm_notBefore(certificate), -3600)
        unsafe X509_gmtime_adj(X509_getm_notAfter(certificate), 86_400)
        guard unsafe X509_set_pubkey(certificate, raw) == 1,
            let subject = unsafe X509_get_subject_name(certificate), unsafe Self.put(name, into: subject),
            unsafe X509_set_issuer_name(certificate, subject) == 1,
            unsafe X509_sign(certificate, raw, EVP_sha256()) > 0
        else { return nil }
        return unsafe PEM.written { unsafe PEM_write_bio_X509($0, certificate) == 1 }
    }

    /// X.520 allows a common name of 64 characters.
    private static func put(_ name: String, into subject: OpaquePointer) -> Bool {
        let common = Array(String(name.prefix(64)).utf8)
        return unsafe X509_NAME_add_entry_by_txt(
            subject, "CN", MBSTRING_UTF8, common, Int32(clamping: common.count), -1, 0) == 1
    }
}

extension PEM {
    /// What `write` puts into a BIO, at most 64 KiB; nil when it fails.
    static func written(_ write: (OpaquePointer) -> Bool) -> String? {
        guard let bio = unsafe BIO_new(BIO_s_mem()) else { return nil }
        defer { unsafe BIO_free(bio) }
        guard unsafe write(bio) else {
            ERR_clear_error()
            return nil
        }
        let text = Buffer(capacity: 64 * 1024)
        let n = text.appendFrom(limit: text.free) { address, room in
            unsafe Int(BIO_read(bio, UnsafeMutableRawPointer(bitPattern: address), Int32(clamping: room)))
        }
        return n > 0 ? text.readable.string : nil
    }
}
