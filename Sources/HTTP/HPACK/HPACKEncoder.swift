// Header blocks of HTTP/2, encoded without state: the static table and literals (RFC 7541 section 6).

public import Bytes

/// Encodes fields so that no table has to be kept on either side.
///
/// Text goes out as it is: Huffman coding costs more than the bytes that it saves (docs/adr/0010-own-http2-codec.md).
public enum HPACKEncoder {
    private enum Form {
        static let indexed: UInt8 = 0x80
        static let literal: UInt8 = 0x00
        static let neverIndexed: UInt8 = 0x10
    }

    /// `:status`, 100 to 599.
    public static func status(_ code: Int, to out: Buffer) {
        switch code {
        case 200: out.append(Form.indexed | 8)
        case 204: out.append(Form.indexed | 9)
        case 206: out.append(Form.indexed | 10)
        case 304: out.append(Form.indexed | 11)
        case 400: out.append(Form.indexed | 12)
        case 404: out.append(Form.indexed | 13)
        case 500: out.append(Form.indexed | 14)
        default:
            precondition(code >= 100 && code <= 999, "a status has three digits")
            out.append(Form.literal | 8)
            out.append(3)
            out.append(decimal: code)
        }
    }

    /// A pseudo field other than `:status`, which has a function of its own.
    public static func pseudo(_ pseudo: Pseudo, value: Bytes, to out: Buffer) {
        switch pseudo {
        case .method:
            if value == "GET" { return out.append(Form.indexed | 2) }
            if value == "POST" { return out.append(Form.indexed | 3) }
            out.append(Form.literal | 2)
        case .scheme:
            if value == "https" { return out.append(Form.indexed | 7) }
            if value == "http" { return out.append(Form.indexed | 6) }
            out.append(Form.literal | 6)
        case .authority: out.append(Form.literal | 1)
        case .path:
            if value == "/" { return out.append(Form.indexed | 4) }
            out.append(Form.literal | 4)
        case .status: out.append(Form.literal | 8)
        case .protocol:
            out.append(Form.literal)
            string(Bytes(":protocol"), to: out)
        case .none, .unknown: preconditionFailure("no pseudo field")
        }
        string(value, to: out)
    }

    /// An ordinary field; the name is sent in lower case.
    ///
    /// - Parameter neverIndexed: asks every hop to keep it out of compression tables (RFC 7541 section 7.1.3).
    ///   Credentials and short cookies ask so by themselves.
    public static func field(id: FieldName, name: Bytes, value: Bytes, neverIndexed: Bool, to out: Buffer) {
        let form = neverIndexed || isSecret(id, value) ? Form.neverIndexed : Form.literal
        let index = staticIndex(id)
        if index == 0 {
            out.append(form)
            integer(name.count, prefix: 7, form: 0, to: out)
            out.append(lowercased: name)
        } else {
            integer(index, prefix: 4, form: form, to: out)
        }
        string(value, to: out)
    }

    /// What could be guessed byte by byte through a table that others share: credentials, and cookies too short
    /// to hold much entropy.
    @inline(__always)
    private static func isSecret(_ id: FieldName, _ value: Bytes) -> Bool {
        switch id {
        case .authorization, .proxyAuthorization: true
        case .cookie, .setCookie: value.count < 20
        default: false
        }
    }

    /// RFC 7541 section 5.2, not Huffman coded.
    @inline(__always)
    private static func string(_ text: Bytes, to out: Buffer) {
        integer(text.count, prefix: 7, form: 0, to: out)
        out.append(text)
    }

    /// RFC 7541 section 5.1.
    @inline(__always)
    private static func integer(_ value: Int, prefix bits: Int, form: UInt8, to out: Buffer) {
        let mask = (1 << bits) - 1
        if value < mask { return out.append(form | UInt8(truncatingIfNeeded: value)) }
        out.append(form | UInt8(truncatingIfNeeded: mask))
        longInteger(value - mask, to: out)
    }

    private static func longInteger(_ value: Int, to out: Buffer) {
        var rest = value
        while rest >= 0x80 {
            out.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        out.append(UInt8(truncatingIfNeeded: rest))
    }

    /// The static table's first entry of that name, or 0.
    @inline(__always)
    private static func staticIndex(_ id: FieldName) -> Int {
        switch id {
        case .acceptEncoding: 16
        case .accept: 19
        case .accessControlAllowOrigin: 20
        case .allow: 22
        case .authorization: 23
        case .cacheControl: 24
        case .contentEncoding: 26
        case .contentLength: 28
        case .contentType: 31
        case .cookie: 32
        case .date: 33
        case .etag: 34
        case .expect: 35
        case .host: 38
        case .lastModified: 44
        case .location: 46
        case .proxyAuthenticate: 48
        case .proxyAuthorization: 49
        case .range: 50
        case .referer: 51
        case .retryAfter: 53
        case .server: 54
        case .setCookie: 55
        case .transferEncoding: 57
        case .userAgent: 58
        case .vary: 59
        case .via: 60
        case .other, .connection, .upgrade, .te, .trailer, .keepAlive, .proxyConnection, .proxy, .xForwardedFor,
            .xForwardedProto, .xForwardedHost, .xForwardedPort, .xForwardedPath, .xForwardedPrefix, .xRealIP,
            .forwarded, .origin, .accessControlRequestMethod, .accessControlRequestHeaders, .xRequestID:
            0
        }
    }
}
