// TLS towards clients: which certificate answers which name, tickets, client certificates.

import Bytes
import COpenSSL

/// Keys that encrypt session tickets. Shared by every context of a process, so that a client can
/// resume with any worker and after any reload.
public final class TicketKeys: Sendable {
    let bytes: [UInt8]

    public init() {
        var bytes = [UInt8](repeating: 0, count: 80)
        precondition(unsafe RAND_bytes(&bytes, 80) == 1, "no randomness for ticket keys")
        self.bytes = bytes
    }
}

/// The server side of TLS for one listener. Immutable once made; a reload makes a new one.
@safe
public final class TLSServer: @unchecked Sendable {  // Read-only after init; OpenSSL locks its own state.
    /// Shown to names that no identity covers.
    private let selfMade: TLSContextHandle
    /// Where sessions start: the likeliest answer, since changing the context costs a copy.
    private let base: TLSContextHandle
    private let contexts: [TLSContextHandle]
    private let exact: [String: Int]
    private let suffixes: [String: Int]
    private let prefixes: [String: Int]
    private let catchAll: Int?

    /// - Parameters:
    ///   - names: a server name (`host`, `*.suffix`, `prefix.*` or `*`) and the identity it shows.
    ///   - clientAuthorities: PEM; not empty: a client must show a certificate that they issued.
    ///   - isHTTP: agree with the client on a version of HTTP; otherwise what it offers is not looked at.
    /// - Throws: the index of the identity that cannot be used is in `failed`.
    public init(
        identities: [TLSIdentity], names: [(name: String, identity: Int)], clientAuthorities: String,
        isHTTP: Bool = true, tickets: TicketKeys, failed: (Int, TLSError) -> Void
    ) throws(TLSError) {
        var exact: [String: Int] = [:]
        var suffixes: [String: Int] = [:]
        var prefixes: [String: Int] = [:]
        var catchAll: Int?
        selfMade = try TLSContextHandle(server: true)
        try SelfSigned.install(in: selfMade)
        var contexts: [TLSContextHandle] = []
        for (index, identity) in identities.enumerated() {
            let context = try TLSContextHandle(server: true)
            do throws(TLSError) {
                try context.use(identity)
            } catch {
                failed(index, error)
                throw error
            }
            contexts.append(context)
        }
        self.contexts = contexts
        for (name, identity) in names where contexts.indices.contains(identity) {
            let lower = name.lowercased()
            if lower == "*" {
                catchAll = identity
            } else if lower.hasPrefix("*.") {
                suffixes[String(lower.dropFirst(1))] = identity
            } else if lower.hasSuffix(".*") {
                prefixes[String(lower.dropLast(1))] = identity
            } else {
                exact[lower] = identity
            }
        }
        self.exact = exact
        self.suffixes = suffixes
        self.prefixes = prefixes
        self.catchAll = catchAll
        base = contexts.first ?? selfMade
        for context in contexts + [selfMade] { try prepare(context, clientAuthorities, isHTTP, tickets) }
        unsafe seaway_set_servername(
            base.raw,
            { ssl, _, argument in
                guard let argument = unsafe argument, let ssl = unsafe ssl else { return SSL_TLSEXT_ERR_NOACK }
                let server = unsafe Unmanaged<TLSServer>.fromOpaque(argument).takeUnretainedValue()
                return unsafe server.choose(ssl)
            }, Unmanaged.passUnretained(self).toOpaque())
    }

    private func prepare(
        _ context: TLSContextHandle, _ clientAuthorities: String, _ isHTTP: Bool, _ tickets: TicketKeys
    ) throws(TLSError) {
        var keys = tickets.bytes
        unsafe _ = seaway_set_ticket_keys(context.raw, &keys, keys.count)
        unsafe seaway_set_session_cache(context.raw, 0)
        unsafe SSL_CTX_set_num_tickets(context.raw, 1)
        // Sessions made under another client-certificate policy, or for another kind of listener, must not
        // be resumed here.
        var policy = clientAuthorities.withBytes { $0.hash64() } ^ (isHTTP ? 0 : .max)
        unsafe withUnsafeBytes(of: &policy) { raw in
            _ = unsafe SSL_CTX_set_session_id_context(
                context.raw, raw.baseAddress?.assumingMemoryBound(to: UInt8.self), UInt32(raw.count))
        }
        if !clientAuthorities.isEmpty {
            try context.trust(clientAuthorities)
            unsafe SSL_CTX_set_verify(context.raw, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nil)
        }
        guard isHTTP else { return }
        unsafe SSL_CTX_set_alpn_select_cb(
            context.raw,
            { _, out, outCount, offered, offeredCount, _ in
                guard let out = unsafe out, let outCount = unsafe outCount, let offered = unsafe offered else {
                    return SSL_TLSEXT_ERR_NOACK
                }
                let list = unsafe Bytes(unsafeBase: UnsafeRawPointer(offered), count: Int(offeredCount))
                var at = 0
                // HTTP/2 before HTTP/1.1, whatever the client prefers; one that only speaks HTTP/1.0 is
                // served too.
                var found: Int?
                var foundCount = 8
                while at < list.count {
                    let length = Int(list[at])
                    guard at + 1 + length <= list.count else { return SSL_TLSEXT_ERR_NOACK }
                    let name = list[(at + 1)..<(at + 1 + length)]
                    if name == "h2" {
                        found = at + 1
                        foundCount = 2
                        break
                    }
                    if name == "http/1.1" || found == nil && name == "http/1.0" { found = at + 1 }
                    at += 1 + length
                }
                guard let found else { return SSL_TLSEXT_ERR_ALERT_FATAL }
                unsafe out.pointee = offered + found
                unsafe outCount.pointee = UInt8(foundCount)
                return SSL_TLSEXT_ERR_OK
            }, nil)
    }

    /// Exact name, then `*.parent`, then `prefix.*`, then `*`, then our own certificate.
    private func choose(_ ssl: OpaquePointer) -> Int32 {
        var index = catchAll
        if let raw = unsafe SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name) {
            var name = unsafe String(cString: raw).lowercased()
            if name.hasSuffix(".") { name.removeLast() }
            index = identity(for: name)
        }
        let context = index.map { contexts[$0] } ?? selfMade
        if context !== base { unsafe SSL_set_SSL_CTX(ssl, context.raw) }
        return SSL_TLSEXT_ERR_OK
    }

    /// The identity that answers `name`; nil: the self-made certificate.
    func identity(for name: String) -> Int? {
        if let index = exact[name] { return index }
        if let dot = name.firstIndex(of: "."), let index = suffixes[String(name[dot...])] { return index }
        if let dot = name.lastIndex(of: "."), let index = prefixes[String(name[...dot])] { return index }
        return catchAll
    }

    /// A session for a connection that was just accepted.
    public func session(_ descriptor: Int32) -> TLSSession? {
        unsafe TLSSession(context: base.raw, owner: self, descriptor: descriptor, server: true)
    }
}
