// Which request fields cross to the upstream, and the ones the proxy writes itself.

import Bytes
import Engine
import HTTP
import Snapshot

enum Forwarding {
    /// Fields of this hop, and fields that the proxy writes anew: none of them is copied.
    static let requestHop = FieldNameSet([
        .host, .connection, .contentLength, .transferEncoding, .expect, .upgrade, .te, .keepAlive, .proxyConnection,
        .proxyAuthorization, .proxy, .via, .xForwardedFor, .xForwardedProto, .xForwardedHost, .xForwardedPort,
        .xForwardedPath, .xForwardedPrefix, .xRealIP,
    ])

    /// Response fields of this hop.
    static let responseHop = FieldNameSet([
        .connection, .contentLength, .transferEncoding, .upgrade, .te, .keepAlive, .proxyConnection, .proxyAuthenticate,
        .via,
    ])

    /// Whether a trailer field may cross: announced in `Trailer` or asked for with `TE: trailers`
    /// (`allowed`), and none that RFC 9110 section 6.5.1 forbids.
    static func passes(_ trailers: HeaderBlock, _ index: Int, announcedIn headers: HeaderBlock, allowed: Bool) -> Bool {
        guard !trailers.isRemoved(index) else { return false }
        let name = trailers.name(index)
        return !isForbiddenTrailer(trailers.id(index)) && !IdentityHeaders.contains(name)
            && (allowed || isAnnounced(name, headers))
    }

    private static func isAnnounced(_ name: Bytes, _ headers: HeaderBlock) -> Bool {
        var at = 0
        while let index = headers.index(of: .trailer, from: at) {
            at = index + 1
            let value = headers.value(index)
            var start = 0
            while start <= value.count {
                let comma = value.firstIndex(of: 0x2C, from: start) ?? value.count
                if value[start..<comma].trimmed().equalsIgnoringCase(name) { return true }
                start = comma + 1
            }
        }
        return false
    }

    /// Trailer fields that could change how the message was framed, routed or authorised (RFC 9110
    /// section 6.5.1): never forwarded.
    static func isForbiddenTrailer(_ id: FieldName) -> Bool {
        switch id {
        case .host, .connection, .contentLength, .transferEncoding, .expect, .upgrade, .te, .keepAlive,
            .proxyConnection, .proxyAuthorization, .proxyAuthenticate, .proxy, .via, .authorization, .cookie,
            .setCookie,
            .contentType, .contentEncoding, .range, .cacheControl, .location, .date, .vary, .retryAfter,
            .xForwardedFor, .xForwardedProto, .xForwardedHost, .xForwardedPort, .xForwardedPath, .xForwardedPrefix,
            .xRealIP, .forwarded:
            true
        default: false
        }
    }
}

extension Exchange {
    /// X-Forwarded-*, X-Real-IP, Via and the request id. A trusted peer's X-Forwarded-* are kept,
    /// anybody else's are replaced (Kong's rules).
    func writeForwardedHeaders(_ fields: FieldWriter) {
        guard let transport = client?.transport else { return }
        let isPeer = clientAddress == transport.peer.address
        writeForwardedFor(fields, transport, isPeer)
        fields.field(.xForwardedProto, kept(.xForwardedProto) ?? Bytes(transport.isTLS ? "https" : "http"))
        if let host = kept(.xForwardedHost) {
            fields.field(.xForwardedHost, host)
        } else {
            let out = fields.open(.xForwardedHost)
            let name = HostSyntax.name(request.host)
            for i in 0..<name.count { out.append(ASCII.lower(name[i])) }
            fields.close()
        }
        if let port = kept(.xForwardedPort) {
            fields.field(.xForwardedPort, port)
        } else {
            fields.field(.xForwardedPort, decimal: transport.listener.port)
        }
        let target = request.target
        fields.field(
            .xForwardedPath, kept(.xForwardedPath) ?? target.prefix(target.firstIndex(of: 0x3F) ?? target.count))
        if let prefix = kept(.xForwardedPrefix) {
            fields.field(.xForwardedPrefix, prefix)
        } else if let prefix = strippedPrefix {
            // Canonical paths are decoded: a line end that the client encoded must not become one.
            PathNormalizer.escape(prefix, to: fields.open(.xForwardedPrefix))
            fields.close()
        }
        let real = fields.open(.xRealIP)
        if isPeer { real.append(transport.peerText) } else { clientAddress.write(to: real) }
        fields.close()
        writeVia(requestHeaders, version: request.httpVersion, fields)
        switch running.settings.headerStyle {
        case .kong: fields.field("X-Kong-Request-Id", requestID.readable)
        case .seaway: fields.field(.xRequestID, requestID.readable)
        case .off: return
        }
    }

    private func writeForwardedFor(_ fields: FieldWriter, _ transport: ClientTransport, _ isPeer: Bool) {
        let out = fields.open(.xForwardedFor)
        var at = 0
        var any = false
        while let index = requestHeaders.index(of: .xForwardedFor, from: at) {
            let value = requestHeaders.value(index)
            if !value.isEmpty {
                out.append(value)
                out.append(", ")
                any = true
            }
            at = index + 1
        }
        if any || isPeer { out.append(transport.peerText) } else { clientAddress.write(to: out) }
        fields.close()
    }

    /// The value a trusted peer sent.
    private func kept(_ id: FieldName) -> Bytes? { isPeerTrusted ? requestHeaders.first(id) : nil }

    private var strippedPrefix: Bytes? {
        guard running.facts[route].stripPath, match.prefixCount > 1 else { return nil }
        return match.path.prefix(match.prefixCount)
    }

    /// `Via`, after those that came before (RFC 9110 section 7.6.3).
    /// - Parameter version: of the message as it was received.
    func writeVia(_ headers: HeaderBlock, version: Int, _ fields: FieldWriter) {
        let style = running.settings.headerStyle
        let earlier = headers.index(of: .via)
        if earlier == nil, style == .off { return }
        let out = fields.open(.via)
        var at = 0
        var isFirst = true
        while let index = headers.index(of: .via, from: at) {
            if !isFirst { out.append(", ") }
            out.append(headers.value(index))
            isFirst = false
            at = index + 1
        }
        if style != .off {
            if !isFirst { out.append(", ") }
            out.append(version == 2 ? "2 " : "1.1 ")
            out.append(style == .kong ? Product.kongServer : Product.server)
        }
        fields.close()
    }
}

/// How the proxy names itself.
enum Product {
    /// The last open-source line, whose wire behaviour `--headers kong` follows.
    static let kongServer: StaticString = "kong/3.9.1"
    static let server: StaticString = "seaway"
}
