// TLS towards upstreams: whom to trust, what to show, which session to resume.

import Bytes
import COpenSSL

/// A session that a later connection to the same upstream may resume.
@safe
public final class TLSResumption {
    let raw: OpaquePointer

    init?(_ ssl: OpaquePointer) {
        guard let session = unsafe SSL_get1_session(ssl) else { return nil }
        unsafe raw = session
        if unsafe SSL_SESSION_is_resumable(session) != 1 { return nil }
    }

    deinit { unsafe SSL_SESSION_free(raw) }
}

/// The client side of TLS with one policy.
@safe
public final class TLSClient: @unchecked Sendable {  // Read-only after init; OpenSSL locks its own state.
    private let context: TLSContextHandle
    private let verify: Bool

    /// - Parameters:
    ///   - verify: check the upstream's chain and name.
    ///   - depth: intermediate certificates allowed between leaf and authority; nil: OpenSSL's 100.
    ///   - authorities: PEM of each trusted authority; empty: the system's store.
    ///   - identity: shown when the upstream asks for a certificate.
    public init(verify: Bool, depth: Int?, authorities: [String], identity: TLSIdentity?) throws(TLSError) {
        context = try TLSContextHandle(server: false)
        self.verify = verify
        if verify {
            if authorities.isEmpty {
                unsafe SSL_CTX_set_default_verify_paths(context.raw)
            } else {
                for pem in authorities { try context.trust(pem) }
            }
            if let depth { unsafe SSL_CTX_set_verify_depth(context.raw, Int32(clamping: depth)) }
        }
        unsafe SSL_CTX_set_verify(context.raw, verify ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, nil)
        if let identity { try context.use(identity) }
        unsafe seaway_set_session_cache(context.raw, 1)
    }

    /// A session for a connection to `name` (a host name or an IP address, without a port).
    /// - Parameters:
    ///   - http2: offer HTTP/2 and nothing else; otherwise HTTP/1.1 and nothing else.
    ///   - isHTTP: false: offer no protocol at all.
    public func session(
        _ descriptor: Int32, name: String, resuming: TLSResumption?, http2: Bool = false, isHTTP: Bool = true
    ) -> TLSSession? {
        guard let session = unsafe TLSSession(context: context.raw, owner: self, descriptor: descriptor, server: false)
        else {
            return nil
        }
        if isHTTP {
            let protocols: [UInt8] = http2 ? [2, 0x68, 0x32] : [8] + Bytes("http/1.1").array
            unsafe _ = SSL_set_alpn_protos(session.raw, protocols, UInt32(protocols.count))
        }
        // As certificates have it: no brackets around an address, no root's dot.
        var name = name
        if name.hasPrefix("["), name.hasSuffix("]") { name = String(name.dropFirst().dropLast()) }
        if name.hasSuffix(".") { name.removeLast() }
        let isAddress = IPAddress(name) != nil
        if !isAddress, !name.isEmpty { unsafe _ = seaway_set_host_name(session.raw, name) }
        if verify {
            // OpenSSL takes an empty name for no check at all.
            guard !name.isEmpty else { return nil }
            guard let parameters = unsafe SSL_get0_param(session.raw) else { return nil }
            let accepted =
                isAddress
                ? unsafe X509_VERIFY_PARAM_set1_ip_asc(parameters, name)
                : unsafe X509_VERIFY_PARAM_set1_host(parameters, name, name.utf8.count)
            guard accepted == 1 else { return nil }
        }
        if let resuming { unsafe SSL_set_session(session.raw, resuming.raw) }
        return session
    }
}

extension TLSSession {
    /// What a later connection may resume, or nil.
    public var resumption: TLSResumption? { unsafe TLSResumption(raw) }
}
