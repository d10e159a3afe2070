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
    func writeForwardedHeaders(to out: Buffer) {
        guard let client else { return }
        out.append("X-Forwarded-For: ")
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
        if any || clientAddress == client.peer.address {
            out.append(client.peerText)
        } else {
            clientAddress.write(to: out)
        }
        out.append("\r\nX-Forwarded-Proto: ")
        out.append(kept(.xForwardedProto) ?? Bytes(client.isTLS ? "https" : "http"))
        out.append("\r\nX-Forwarded-Host: ")
        if let host = kept(.xForwardedHost) {
            out.append(host)
        } else {
            let name = HostSyntax.name(request.host)
            for i in 0..<name.count { out.append(ASCII.lower(name[i])) }
        }
        out.append("\r\nX-Forwarded-Port: ")
        if let port = kept(.xForwardedPort) { out.append(port) } else { out.append(decimal: client.listener.port) }
        out.append("\r\nX-Forwarded-Path: ")
        let target = request.target
        out.append(kept(.xForwardedPath) ?? target.prefix(target.firstIndex(of: 0x3F) ?? target.count))
        if let prefix = kept(.xForwardedPrefix) {
            out.append("\r\nX-Forwarded-Prefix: ")
            out.append(prefix)
        } else if let prefix = strippedPrefix {
            out.append("\r\nX-Forwarded-Prefix: ")
            // Canonical paths are decoded: a line end that the client encoded must not become one.
            PathNormalizer.escape(prefix, to: out)
        }
        out.append("\r\nX-Real-IP: ")
        if clientAddress == client.peer.address { out.append(client.peerText) } else { clientAddress.write(to: out) }
        out.append("\r\n")
        writeVia(requestHeaders, to: out)
        switch running.settings.headerStyle {
        case .kong: out.append("X-Kong-Request-Id: ")
        case .seaway: out.append("X-Request-ID: ")
        case .off: return
        }
        out.append(requestID.readable)
        out.append("\r\n")
    }

    /// The value a trusted peer sent.
    private func kept(_ id: FieldName) -> Bytes? { isPeerTrusted ? requestHeaders.first(id) : nil }

    private var strippedPrefix: Bytes? {
        guard running.facts[route].stripPath, match.prefixCount > 1 else { return nil }
        return match.path.prefix(match.prefixCount)
    }

    /// `Via`, after those that came before (RFC 9110 section 7.6.3).
    func writeVia(_ headers: HeaderBlock, to out: Buffer) {
        let style = running.settings.headerStyle
        let earlier = headers.index(of: .via)
        if earlier == nil, style == .off { return }
        out.append("Via: ")
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
            out.append(style == .kong ? Product.kongVia : Product.via)
        }
        out.append("\r\n")
    }
}

/// How the proxy names itself.
enum Product {
    /// The last open-source line, whose wire behaviour `--headers kong` follows.
    static let kongServer: StaticString = "kong/3.9.1"
    static let kongVia: StaticString = "1.1 kong/3.9.1"
    static let server: StaticString = "seaway"
    static let via: StaticString = "1.1 seaway"
}
