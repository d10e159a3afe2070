// Listeners, secrets, and the settings of a proxy.

/// What connections to a listener carry.
public enum ListenerKind: Int, Sendable {
    /// HTTP, routed request by request.
    case http = 0
    /// Bytes or datagrams, routed by connection or session.
    case stream = 1
}

/// A place where clients connect.
public struct Listener: WireMessage, Sendable, Hashable {
    /// IPv4 or IPv6 address without brackets.
    public var address = "127.0.0.1"
    public var port = 8000
    /// Ends the client's TLS. On a stream listener a connection that a tls_passthrough route takes is
    /// passed on as it is.
    public var tls = false
    /// PEM of the authorities that client certificates are checked against; empty: none asked for.
    public var clientAuthorities = ""
    public var kind = ListenerKind.http
    /// Datagrams instead of connections; only on a stream listener, and without `tls`.
    public var udp = false
    /// Every connection begins with a PROXY protocol header, version 1 or 2, before TLS. Only
    /// `Settings.trustedPeers` may send one; connections of others are closed.
    public var proxyProtocol = false

    public init() {}

    public func encode(into out: inout WireWriter) {
        out.put(1, address)
        out.put(2, port)
        out.put(3, tls)
        out.put(4, clientAuthorities)
        out.put(5, kind)
        out.put(6, udp)
        out.put(7, proxyProtocol)
    }

    public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
        switch field {
        case 1: address = try reader.string()
        case 2: port = try reader.int()
        case 3: tls = try reader.bool()
        case 4: clientAuthorities = try reader.string()
        case 5: kind = try reader.value()
        case 6: udp = try reader.bool()
        case 7: proxyProtocol = try reader.bool()
        default: try reader.skip()
        }
    }
}

/// A certificate chain and its key, in PEM; optionally a second pair of another key type.
public struct Certificate: WireMessage, Sendable {
    public var id = ID()
    public var chain = ""
    public var key = ""
    public var alternativeChain = ""
    public var alternativeKey = ""

    public init() {}

    public func encode(into out: inout WireWriter) {
        out.put(1, id)
        out.put(2, chain)
        out.put(3, key)
        out.put(4, alternativeChain)
        out.put(5, alternativeKey)
    }

    public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
        switch field {
        case 1: id = try reader.id()
        case 2: chain = try reader.string()
        case 3: key = try reader.string()
        case 4: alternativeChain = try reader.string()
        case 5: alternativeKey = try reader.string()
        default: try reader.skip()
        }
    }
}

/// Which certificate answers a TLS server name: exact, `*.suffix`, `prefix.*` or `*`.
public struct ServerName: WireMessage, Sendable, Hashable {
    public var name = ""
    /// Index into `Snapshot.certificates`.
    public var certificate = -1

    public init() {}

    public func encode(into out: inout WireWriter) {
        out.put(1, name)
        out.put(2, certificate)
    }

    public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
        switch field {
        case 1: name = try reader.string()
        case 2: certificate = try reader.int()
        default: try reader.skip()
        }
    }
}

/// An authority that upstream certificates may be checked against, in PEM.
public struct CACertificate: WireMessage, Sendable {
    public var id = ID()
    public var pem = ""

    public init() {}

    public func encode(into out: inout WireWriter) {
        out.put(1, id)
        out.put(2, pem)
    }

    public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
        switch field {
        case 1: id = try reader.id()
        case 2: pem = try reader.string()
        default: try reader.skip()
        }
    }
}

/// Whose names the proxy's own headers carry.
public enum HeaderStyle: Int, Sendable { case kong = 0, seaway = 1, off = 2 }

/// How routes are told apart and ordered (Kong's `router_flavor`).
public enum RouterFlavour: Int, Sendable {
    /// By their fields; in the order of Kong's traditional_compatible.
    case traditionalCompatible = 0
    /// By expressions first. The other routes follow in the same order; their protocols are conditions,
    /// and sources and destinations may stand in HTTP routes.
    case expressions = 1
}

/// How an access log line looks.
public enum AccessLogFormat: Int, Sendable { case json = 0, combined = 1 }

/// Everything about a proxy that is not an entity. Times are milliseconds, sizes bytes.
public struct Settings: WireMessage, Sendable {
    public var headerStyle = HeaderStyle.kong
    /// Peers whose X-Forwarded-*, X-Real-IP and PROXY protocol header are believed: addresses or CIDRs.
    public var trustedPeers: [String] = []
    /// The header that names the real client when the peer is trusted.
    public var realIPHeader = "X-Real-IP"
    /// Walk X-Forwarded-For from the right past trusted addresses.
    public var realIPRecursive = false
    /// A path, `-` for standard output, or empty for none.
    public var accessLog = ""
    public var accessLogFormat = AccessLogFormat.json
    /// Request line and header section together.
    public var requestHeadLimit = 32 * 1024
    /// The request line; also each header line.
    public var requestLineLimit = 16 * 1024
    public var headerCountLimit = 100
    public var responseHeadLimit = 64 * 1024
    /// Largest request body; 0: unlimited.
    public var requestBodyLimit = 0
    /// From the first byte of a request to the end of its head.
    public var headTimeout = 60_000
    /// Between two reads of a request body, or two writes of a response.
    public var bodyTimeout = 60_000
    /// Between two requests on a connection.
    public var idleTimeout = 65_000
    public var tlsHandshakeTimeout = 15_000
    /// Requests per client connection; 0: unlimited.
    public var keepAliveRequests = 10_000
    /// Idle upstream connections kept for each worker and endpoint.
    public var upstreamKeepAlive = 2048
    public var upstreamIdleTimeout = 60_000
    public var upstreamKeepAliveRequests = 10_000
    /// Open client connections for each worker; the next is refused.
    public var connectionLimit = 100_000
    /// How much of a request or response is held in memory for one exchange.
    public var bodyBuffer = 256 * 1024
    /// How long a draining process waits for its requests.
    public var drainTimeout = 30_000
    /// DNS servers as `address:port`; empty: those of /etc/resolv.conf.
    public var resolvers: [String] = []
    public var router = RouterFlavour.traditionalCompatible

    public init() {}

    public func encode(into out: inout WireWriter) {
        out.put(1, headerStyle)
        out.put(2, trustedPeers)
        out.put(3, realIPHeader)
        out.put(4, realIPRecursive)
        out.put(5, accessLog)
        out.put(6, accessLogFormat)
        out.put(7, requestHeadLimit)
        out.put(8, requestLineLimit)
        out.put(9, headerCountLimit)
        out.put(10, responseHeadLimit)
        out.put(11, requestBodyLimit)
        out.put(12, headTimeout)
        out.put(13, bodyTimeout)
        out.put(14, idleTimeout)
        out.put(15, tlsHandshakeTimeout)
        out.put(16, keepAliveRequests)
        out.put(17, upstreamKeepAlive)
        out.put(18, upstreamIdleTimeout)
        out.put(19, upstreamKeepAliveRequests)
        out.put(20, connectionLimit)
        out.put(21, bodyBuffer)
        out.put(22, drainTimeout)
        out.put(23, resolvers)
        out.put(24, router)
    }

    public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
        switch field {
        case 1: headerStyle = try reader.value()
        case 2: trustedPeers.append(try reader.string())
        case 3: realIPHeader = try reader.string()
        case 4: realIPRecursive = try reader.bool()
        case 5: accessLog = try reader.string()
        case 6: accessLogFormat = try reader.value()
        case 7: requestHeadLimit = try reader.int()
        case 8: requestLineLimit = try reader.int()
        case 9: headerCountLimit = try reader.int()
        case 10: responseHeadLimit = try reader.int()
        case 11: requestBodyLimit = try reader.int()
        case 12: headTimeout = try reader.int()
        case 13: bodyTimeout = try reader.int()
        case 14: idleTimeout = try reader.int()
        case 15: tlsHandshakeTimeout = try reader.int()
        case 16: keepAliveRequests = try reader.int()
        case 17: upstreamKeepAlive = try reader.int()
        case 18: upstreamIdleTimeout = try reader.int()
        case 19: upstreamKeepAliveRequests = try reader.int()
        case 20: connectionLimit = try reader.int()
        case 21: bodyBuffer = try reader.int()
        case 22: drainTimeout = try reader.int()
        case 23: resolvers.append(try reader.string())
        case 24: router = try reader.value()
        default: try reader.skip()
        }
    }
}
