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

/// The known names by length and their lower-cased bytes, eight at a time, in a small hash table.
struct FieldNameTable: Sendable {
    static let shared = FieldNameTable()
    private static let size = 256
    private let slots: [Slot]

    /// A name of up to 32 bytes as words: bytes 0, 8 and 16 on, as far as whole words reach, and the
    /// last eight. Shorter names are padded with zeros.
    private struct Slot: Equatable {
        var first: UInt64 = 0
        var second: UInt64 = 0
        var third: UInt64 = 0
        var last: UInt64 = 0
        var count = 0
        var name = FieldName.other

        @inline(__always)
        init() {}

        /// Tokens alone come here, and of those only upper-case letters change under `| 0x20` into
        /// something that the names contain.
        @inline(__always)
        init(_ bytes: Bytes) {
            count = bytes.count
            if count >= 8 {
                first = bytes.load64(0) | 0x2020_2020_2020_2020
                last = bytes.load64(count - 8) | 0x2020_2020_2020_2020
                if count > 16 {
                    second = bytes.load64(8) | 0x2020_2020_2020_2020
                    if count > 24 { third = bytes.load64(16) | 0x2020_2020_2020_2020 }
                }
            } else {
                var i = 0
                while i < count {
                    first = first << 8 | UInt64(bytes[i] | 0x20)
                    i += 1
                }
            }
        }

        @inline(__always)
        var place: Int {
            let mixed =
                (first ^ last &* 31) &* 0x9E37_79B9_7F4A_7C15 ^ UInt64(truncatingIfNeeded: count)
                &* 0xFF51_AFD7_ED55_8CCD
            return Int(truncatingIfNeeded: mixed >> 56)
        }

        @inline(__always)
        func isSameName(_ other: Slot) -> Bool {
            first == other.first && last == other.last && count == other.count && second == other.second
                && third == other.third
        }
    }

    private init() {
        var slots = [Slot](repeating: Slot(), count: Self.size)
        for name in FieldName.allCases where name != .other {
            var slot = Slot(Bytes(name.text))
            slot.name = name
            var at = slot.place
            while slots[at].count != 0 { at = (at + 1) & (Self.size - 1) }
            slots[at] = slot
        }
        self.slots = slots
    }

    @inline(__always)
    func lookup(_ bytes: Bytes) -> FieldName {
        guard bytes.count >= 2, bytes.count <= 32 else { return .other }
        let wanted = Slot(bytes)
        var at = wanted.place
        while slots[at].count != 0 {
            if slots[at].isSameName(wanted) { return slots[at].name }
            at = (at + 1) & (Self.size - 1)
        }
        return .other
    }
}

/// A set of known names.
public struct FieldNameSet: Sendable {
    private let bits: UInt64

    public init(_ names: [FieldName]) { bits = names.reduce(0) { $0 | 1 << UInt64($1.rawValue) } }

    private init(bits: UInt64) { self.bits = bits }

    /// The names of both.
    public func union(_ other: FieldNameSet) -> FieldNameSet { FieldNameSet(bits: bits | other.bits) }

    @inline(__always)
    func contains(_ name: FieldName) -> Bool { bits >> UInt64(name.rawValue) & 1 == 1 }
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
