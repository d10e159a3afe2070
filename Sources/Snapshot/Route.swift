// Routes and the services they lead to.

/// The protocols a route or a service speaks, as a set.
public struct Protocols: OptionSet, Sendable, Hashable {
    public let rawValue: Int
    public init(rawValue: Int) { self.rawValue = rawValue }

    public static let http = Protocols(rawValue: 1)
    public static let https = Protocols(rawValue: 2)
    public static let grpc = Protocols(rawValue: 4)
    public static let grpcs = Protocols(rawValue: 8)
    public static let tcp = Protocols(rawValue: 16)
    public static let tls = Protocols(rawValue: 32)
    public static let udp = Protocols(rawValue: 64)
    public static let tlsPassthrough = Protocols(rawValue: 128)

    public static let anyHTTP: Protocols = [.http, .https, .grpc, .grpcs]
    public static let anyStream: Protocols = [.tcp, .tls, .udp, .tlsPassthrough]
}

/// One `headers` matcher: every rule of a route must hold; within a rule one value suffices.
public struct HeaderRule: WireMessage, Sendable, Hashable {
    /// Lower-case, `-` and `_` as written.
    public var name = ""
    /// Lower-case exact values, or `~*pattern` for a regular expression on the lower-cased value.
    public var values: [String] = []

    public init() {}
    public init(name: String, values: [String]) {
        self.name = name
        self.values = values
    }

    public func encode(into out: inout WireWriter) {
        out.put(1, name)
        out.put(2, values)
    }

    public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
        switch field {
        case 1: name = try reader.string()
        case 2: values.append(try reader.string())
        default: try reader.skip()
        }
    }
}

/// One entry of a stream route's `sources` or `destinations`.
public struct AddressRule: WireMessage, Sendable, Hashable {
    /// IP address or CIDR; empty: any.
    public var address = ""
    /// 0: any.
    public var port = 0

    public init() {}
    public init(address: String, port: Int) {
        self.address = address
        self.port = port
    }

    public func encode(into out: inout WireWriter) {
        out.put(1, address)
        out.put(2, port)
    }

    public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
        switch field {
        case 1: address = try reader.string()
        case 2: port = try reader.int()
        default: try reader.skip()
        }
    }
}

/// How the service's path and the request's path are joined (Kong's `path_handling`).
public enum PathHandling: Int, Sendable { case v0 = 0, v1 = 1 }

/// A route as its author wrote it, validated, with defaults filled in. `RouteTable` makes it fast.
public struct Route: WireMessage, Sendable {
    public var id = ID()
    /// Empty: the route has no name.
    public var name = ""
    /// Index into `Snapshot.services`; -1: none, which answers 503.
    public var service = -1
    public var protocols: Protocols = [.http, .https]
    public var methods: [String] = []
    /// `host`, `host:port`, `*.suffix` or `prefix.*`, as written.
    public var hosts: [String] = []
    /// `/prefix` (normalised) or `~regex`.
    public var paths: [String] = []
    public var headers: [HeaderRule] = []
    public var serverNames: [String] = []
    public var sources: [AddressRule] = []
    public var destinations: [AddressRule] = []
    public var regexPriority = 0
    public var stripPath = true
    public var pathHandling = PathHandling.v0
    public var preserveHost = false
    /// 426, 301, 302, 307 or 308.
    public var httpsRedirectStatus = 426
    public var requestBuffering = true
    public var responseBuffering = true
    /// Index into `Snapshot.chains`; -1: no filters.
    public var chain = -1
    /// Where the route was declared, for explanations; 0: unknown.
    public var line = 0
    /// Unix seconds; 0: unknown.
    public var createdAt = 0
    /// An expression of Kong's router language, in place of methods, hosts, paths, headers, serverNames,
    /// sources, destinations and regexPriority; empty: none.
    public var expression = ""
    /// Of an expression: larger goes first; 0 to 2^46 - 1.
    public var priority = 0

    public init() {}

    public func encode(into out: inout WireWriter) {
        out.put(1, id)
        out.put(2, name)
        out.put(3, service)
        out.put(4, protocols.rawValue)
        out.put(5, methods)
        out.put(6, hosts)
        out.put(7, paths)
        out.put(8, messages: headers)
        out.put(9, serverNames)
        out.put(10, messages: sources)
        out.put(11, messages: destinations)
        out.put(12, regexPriority)
        out.put(13, stripPath)
        out.put(14, pathHandling)
        out.put(15, preserveHost)
        out.put(16, httpsRedirectStatus)
        out.put(17, requestBuffering)
        out.put(18, responseBuffering)
        out.put(19, chain)
        out.put(20, line)
        out.put(21, createdAt)
        out.put(22, expression)
        out.put(23, priority)
    }

    public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
        switch field {
        case 1: id = try reader.id()
        case 2: name = try reader.string()
        case 3: service = try reader.int()
        case 4: protocols = Protocols(rawValue: try reader.int())
        case 5: methods.append(try reader.string())
        case 6: hosts.append(try reader.string())
        case 7: paths.append(try reader.string())
        case 8: headers.append(try reader.message())
        case 9: serverNames.append(try reader.string())
        case 10: sources.append(try reader.message())
        case 11: destinations.append(try reader.message())
        case 12: regexPriority = try reader.int()
        case 13: stripPath = try reader.bool()
        case 14: pathHandling = try reader.value()
        case 15: preserveHost = try reader.bool()
        case 16: httpsRedirectStatus = try reader.int()
        case 17: requestBuffering = try reader.bool()
        case 18: responseBuffering = try reader.bool()
        case 19: chain = try reader.int()
        case 20: line = try reader.int()
        case 21: createdAt = try reader.int()
        case 22: expression = try reader.string()
        case 23: priority = try reader.int()
        default: try reader.skip()
        }
    }
}

/// The PROXY protocol header that goes before the first byte to an upstream.
public enum ProxyProtocolVersion: Int, Sendable {
    case none = 0
    /// The line of text.
    case v1 = 1
    /// The binary form.
    case v2 = 2
}

/// A service: where a route leads, and how to talk to it.
public struct Service: WireMessage, Sendable {
    public var id = ID()
    public var name = ""
    public var `protocol`: Protocols = .http
    /// Index into `Snapshot.clusters`.
    public var cluster = -1
    public var host = ""
    public var port = 80
    /// Starts with `/`, or empty.
    public var path = ""
    /// Extra attempts after the first.
    public var retries = 5
    /// Milliseconds.
    public var connectTimeout = 60000
    public var writeTimeout = 60000
    public var readTimeout = 60000
    public var tls = UpstreamTLS()
    /// Disabled services take their routes out of service (404, as if absent).
    public var enabled = true
    /// HTTP/2 is spoken to the upstream; always so for grpc and grpcs.
    public var http2 = false
    /// Only of a stream service that connects: tcp, tls or tls_passthrough.
    public var proxyProtocol = ProxyProtocolVersion.none

    public init() {}

    public func encode(into out: inout WireWriter) {
        out.put(1, id)
        out.put(2, name)
        out.put(3, self.protocol.rawValue)
        out.put(4, cluster)
        out.put(5, host)
        out.put(6, port)
        out.put(7, path)
        out.put(8, retries)
        out.put(9, connectTimeout)
        out.put(10, writeTimeout)
        out.put(11, readTimeout)
        out.put(12, message: tls)
        out.put(13, enabled)
        out.put(14, http2)
        out.put(15, proxyProtocol)
    }

    public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
        switch field {
        case 1: id = try reader.id()
        case 2: name = try reader.string()
        case 3: self.protocol = Protocols(rawValue: try reader.int())
        case 4: cluster = try reader.int()
        case 5: host = try reader.string()
        case 6: port = try reader.int()
        case 7: path = try reader.string()
        case 8: retries = try reader.int()
        case 9: connectTimeout = try reader.int()
        case 10: writeTimeout = try reader.int()
        case 11: readTimeout = try reader.int()
        case 12: tls = try reader.message()
        case 13: enabled = try reader.bool()
        case 14: http2 = try reader.bool()
        case 15: proxyProtocol = try reader.value()
        default: try reader.skip()
        }
    }

}

/// TLS towards an upstream. The server name is the Host that is sent.
public struct UpstreamTLS: WireMessage, Sendable, Hashable {
    public var verify = false
    /// Longest chain accepted when verifying; 0 to 64.
    public var depth = 1
    /// Indices into `Snapshot.caCertificates`; empty with `verify`: the system's store.
    public var caCertificates: [Int] = []
    /// Index into `Snapshot.certificates` of the certificate shown to the upstream; -1: none.
    public var clientCertificate = -1

    public init() {}

    public func encode(into out: inout WireWriter) {
        out.put(1, verify)
        out.put(2, depth)
        out.put(3, caCertificates)
        out.put(4, clientCertificate)
    }

    public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
        switch field {
        case 1: verify = try reader.bool()
        case 2: depth = try reader.int()
        case 3: try reader.ints(into: &caCertificates)
        case 4: clientCertificate = try reader.int()
        default: try reader.skip()
        }
    }
}
