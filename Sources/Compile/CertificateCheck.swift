// Certificates and keys, checked with OpenSSL before a proxy has to serve with them.

import Bytes
import COpenSSL

/// Parses PEM from memory. Does not look at the clock: expiry is the proxy's to tell.
enum CertificateCheck {
    struct Problem {
        var isKey = false
        var message: String
        var remedy: String
    }

    /// Whether a chain parses and its first certificate belongs to the key.
    static func problem(certificate: String, key: String) -> Problem? {
        guard let leaf = unsafe parse(certificate) else {
            return Problem(message: "not a certificate in PEM", remedy: "begin with -----BEGIN CERTIFICATE-----")
        }
        defer { unsafe X509_free(leaf) }
        let input = unsafe memory(key)
        defer { unsafe BIO_free(input) }
        // An empty passphrase keeps OpenSSL from asking for one on the terminal.
        var passphrase: [CChar] = [0]
        guard let parsed = unsafe PEM_read_bio_PrivateKey(input, nil, nil, &passphrase) else {
            return Problem(
                isKey: true, message: "not a private key in PEM, or one with a passphrase",
                remedy: "write the key without a passphrase")
        }
        defer { unsafe EVP_PKEY_free(parsed) }
        guard unsafe X509_check_private_key(leaf, parsed) == 1 else {
            ERR_clear_error()
            return Problem(
                isKey: true, message: "the key does not belong to the certificate",
                remedy: "take the key that the certificate was issued for; the server's certificate comes first in cert"
            )
        }
        return nil
    }

    /// Whether a text is exactly one certificate of an authority.
    static func problem(authority: String) -> Problem? {
        guard let certificate = unsafe parse(authority) else {
            return Problem(message: "not a certificate in PEM", remedy: "begin with -----BEGIN CERTIFICATE-----")
        }
        defer { unsafe X509_free(certificate) }
        if count(of: "-----BEGIN CERTIFICATE-----", in: authority) > 1 {
            return Problem(message: "more than one certificate", remedy: "declare each in a ca_certificate of its own")
        }
        guard unsafe X509_check_ca(certificate) != 0 else {
            return Problem(
                message: "not the certificate of an authority (CA:TRUE is missing)",
                remedy: "use the issuer's certificate, not the server's")
        }
        return nil
    }

    private static func memory(_ text: String) -> OpaquePointer? {
        let output = unsafe BIO_new(BIO_s_mem())
        text.withBytes { bytes in
            _ = unsafe BIO_write(output, UnsafeRawPointer(bitPattern: bytes.address), Int32(clamping: bytes.count))
        }
        return unsafe output
    }

    private static func parse(_ text: String) -> OpaquePointer? {
        let input = unsafe memory(text)
        defer { unsafe BIO_free(input) }
        let certificate = unsafe PEM_read_bio_X509(input, nil, nil, nil)
        ERR_clear_error()
        return unsafe certificate
    }

    private static func count(of needle: String, in text: String) -> Int {
        var count = 0
        var rest = text[...]
        while let first = rest.firstIndex(of: "-") {
            rest = rest[first...]
            if rest.hasPrefix(needle) { count += 1 }
            rest = rest.drop { $0 == "-" }
        }
        return count
    }
}
