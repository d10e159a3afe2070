// Header field names the proxy itself reads or writes, as small numbers.

public import Bytes

/// A field name that the proxy knows. Everything else is `.other` and compared by its bytes.
public enum FieldName: UInt8, Sendable, CaseIterable {
    case other = 0
    case host, connection, contentLength, transferEncoding, expect, upgrade, te, trailer, keepAlive
    case proxyConnection, proxyAuthorization, proxyAuthenticate, proxy
    case xForwardedFor, xForwardedProto, xForwardedHost, xForwardedPort, xForwardedPath, xForwardedPrefix
    case xRealIP, forwarded, via, server, date
    case contentType, contentEncoding, accept, authorization, userAgent, cookie, setCookie, origin, referer, location
    case accessControlRequestMethod, accessControlRequestHeaders, accessControlAllowOrigin, vary
    case acceptEncoding, cacheControl, etag, lastModified, retryAfter, xRequestID, allow, range

    /// The name in the spelling that is sent.
    public var text: StaticString {
        switch self {
        case .other: ""
        case .host: "Host"
        case .connection: "Connection"
        case .contentLength: "Content-Length"
        case .transferEncoding: "Transfer-Encoding"
        case .expect: "Expect"
        case .upgrade: "Upgrade"
        case .te: "TE"
        case .trailer: "Trailer"
        case .keepAlive: "Keep-Alive"
        case .proxyConnection: "Proxy-Connection"
        case .proxyAuthorization: "Proxy-Authorization"
        case .proxyAuthenticate: "Proxy-Authenticate"
        case .proxy: "Proxy"
        case .xForwardedFor: "X-Forwarded-For"
        case .xForwardedProto: "X-Forwarded-Proto"
        case .xForwardedHost: "X-Forwarded-Host"
        case .xForwardedPort: "X-Forwarded-Port"
        case .xForwardedPath: "X-Forwarded-Path"
        case .xForwardedPrefix: "X-Forwarded-Prefix"
        case .xRealIP: "X-Real-IP"
        case .forwarded: "Forwarded"
        case .via: "Via"
        case .server: "Server"
        case .date: "Date"
        case .contentType: "Content-Type"
        case .contentEncoding: "Content-Encoding"
        case .accept: "Accept"
        case .authorization: "Authorization"
        case .userAgent: "User-Agent"
        case .cookie: "Cookie"
        case .setCookie: "Set-Cookie"
        case .origin: "Origin"
        case .referer: "Referer"
        case .location: "Location"
        case .accessControlRequestMethod: "Access-Control-Request-Method"
        case .accessControlRequestHeaders: "Access-Control-Request-Headers"
        case .accessControlAllowOrigin: "Access-Control-Allow-Origin"
        case .vary: "Vary"
        case .acceptEncoding: "Accept-Encoding"
        case .cacheControl: "Cache-Control"
        case .etag: "ETag"
        case .lastModified: "Last-Modified"
        case .retryAfter: "Retry-After"
        case .xRequestID: "X-Request-ID"
        case .allow: "Allow"
        case .range: "Range"
        }
    }

    /// The known name that equals `bytes` in any case, or `.other`.
    public init(_ bytes: Bytes) {
        self = FieldNameTable.shared.lookup(bytes)
    }
}

/// A small perfect-enough hash table over the known names, built once.
struct FieldNameTable: Sendable {
    static let shared = FieldNameTable()
    private static let size = 512
    private let slots: [UInt8]

    private init() {
        var slots = [UInt8](repeating: 0, count: Self.size)
        for name in FieldName.allCases where name != .other {
            var at = Self.slot(Bytes(name.text))
            while slots[at] != 0 { at = (at + 1) & (Self.size - 1) }
            slots[at] = name.rawValue
        }
        self.slots = slots
    }

    private static func slot(_ bytes: Bytes) -> Int {
        let n = bytes.count
        let first = Int(ASCII.lower(bytes[0]))
        let middle = Int(ASCII.lower(bytes[n / 2]))
        let last = Int(ASCII.lower(bytes[n - 1]))
        return (n &* 31 &+ first &* 7 &+ middle &* 131 &+ last &* 17) & (size - 1)
    }

    func lookup(_ bytes: Bytes) -> FieldName {
        guard bytes.count >= 2, bytes.count <= 32 else { return .other }
        var at = Self.slot(bytes)
        while true {
            let candidate = slots[at]
            guard candidate != 0, let name = FieldName(rawValue: candidate) else { return .other }
            if bytes.equalsIgnoringCase(name.text) { return name }
            at = (at + 1) & (Self.size - 1)
        }
    }
}

/// A field name prepared for look-ups: the name as configured and, if the proxy knows it, its number.
public struct FieldKey: Sendable {
    public let id: FieldName
    public let text: [UInt8]

    public init(_ text: String) {
        self.text = Array(text.utf8)
        id = self.text.withBytes { FieldName($0) }
    }

    public init(_ id: FieldName) {
        self.id = id
        text = Bytes(id.text).array
    }
}
