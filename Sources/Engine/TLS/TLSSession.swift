// One TLS connection over OpenSSL, on the socket itself.

public import Bytes
import COpenSSL
import CLinux

/// A TLS session bound to a socket. OpenSSL reads and writes the descriptor directly.
@safe
public final class TLSSession {
    public enum Outcome: Equatable {
        case bytes(Int)
        case wantsRead
        case wantsWrite
        case closed
        case failed
    }

    private let ssl: OpaquePointer
    /// Keeps the context's Swift side alive for its callbacks.
    private let owner: AnyObject
    public private(set) var isEstablished = false

    init?(context: OpaquePointer, owner: AnyObject, descriptor: Int32, server: Bool) {
        guard let ssl = unsafe SSL_new(context) else { return nil }
        unsafe self.ssl = ssl
        self.owner = owner
        guard unsafe SSL_set_fd(ssl, descriptor) == 1 else {
            return nil
        }
        if server { unsafe SSL_set_accept_state(ssl) } else { unsafe SSL_set_connect_state(ssl) }
    }

    deinit { unsafe SSL_free(ssl) }

    var raw: OpaquePointer { unsafe ssl }

    /// Takes the handshake as far as the socket allows. `.bytes(0)`: it is complete.
    public func handshake() -> Outcome {
        ERR_clear_error()
        let result = unsafe SSL_do_handshake(ssl)
        if result == 1 {
            isEstablished = true
            return .bytes(0)
        }
        return outcome(result)
    }

    func read(_ address: UInt, _ room: Int) -> Outcome {
        ERR_clear_error()
        let result = unsafe SSL_read(ssl, UnsafeMutableRawPointer(bitPattern: address), Int32(clamping: room))
        return result > 0 ? .bytes(Int(result)) : outcome(result)
    }

    func write(_ address: UInt, _ count: Int) -> Outcome {
        ERR_clear_error()
        let result = unsafe SSL_write(ssl, UnsafeRawPointer(bitPattern: address), Int32(clamping: count))
        return result > 0 ? .bytes(Int(result)) : outcome(result)
    }

    private func outcome(_ result: Int32) -> Outcome {
        switch unsafe SSL_get_error(ssl, result) {
        case SSL_ERROR_WANT_READ: .wantsRead
        case SSL_ERROR_WANT_WRITE: .wantsWrite
        case SSL_ERROR_ZERO_RETURN: .closed
        default: .failed
        }
    }

    /// Decrypted bytes that nobody has read.
    public var hasUnread: Bool { unsafe SSL_pending(ssl) > 0 }

    /// Sends close_notify, without waiting for the peer's.
    func sendClose() {
        guard isEstablished else { return }
        ERR_clear_error()
        _ = unsafe SSL_shutdown(ssl)
    }

    // MARK: What was agreed

    /// The name the client asked for, lower-case as sent; nil if none.
    public var serverName: String? {
        guard let name = unsafe SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name) else { return nil }
        return unsafe String(cString: name)
    }

    /// `TLSv1.3` and the like. OpenSSL's own constant text, which is never freed.
    public var version: Bytes { unsafe Self.text(SSL_get_version(ssl)) }

    /// The cipher suite's name; constant text likewise.
    public var cipher: Bytes {
        guard let current = unsafe SSL_get_current_cipher(ssl) else { return .empty }
        return unsafe Self.text(SSL_CIPHER_get_name(current))
    }

    /// The peer showed a certificate; a handshake with one that does not verify fails.
    public var hasPeerCertificate: Bool { unsafe SSL_get0_peer_certificate(ssl) != nil }

    private static func text(_ constant: UnsafePointer<CChar>?) -> Bytes {
        guard let constant = unsafe constant else { return .empty }
        return unsafe Bytes(unsafeBase: UnsafeRawPointer(constant), count: strlen(constant))
    }

    /// Both sides speak HTTP/2 on this connection (ALPN `h2`).
    public var agreedHTTP2: Bool {
        var name: UnsafePointer<UInt8>?
        var count: UInt32 = 0
        unsafe SSL_get0_alpn_selected(ssl, &name, &count)
        guard let name = unsafe name, count == 2 else { return false }
        return unsafe name[0] == 0x68 && name[1] == 0x32
    }

    public var wasResumed: Bool { unsafe SSL_session_reused(ssl) == 1 }
}
