// The fields that every header block may name by number (RFC 7541 appendix A).

import Bytes

/// What a table knows of a field beside its text.
struct HPACKRow: Sendable {
    var nameCount: Int32
    var valueCount: Int32
    var id: FieldName
    var pseudo: Pseudo
    var flags: FieldList.Flags

    @inline(__always)
    var count: Int { Int(nameCount) + Int(valueCount) }
}

final class HPACKStaticTable: Sendable {
    static let shared = HPACKStaticTable()
    /// Indices 1 to 61.
    static let count = 61

    private let entries: [(row: HPACKRow, text: StaticString)]

    private init() {
        entries = Self.fields.map { nameCount, text in
            let name = Bytes(text).prefix(nameCount)
            let row = HPACKRow(
                nameCount: Int32(nameCount), valueCount: Int32(Bytes(text).count - nameCount), id: FieldName(name),
                pseudo: Pseudo(name), flags: [])
            return (row, text)
        }
    }

    /// A field and its text, the name and then the value.
    ///
    /// - Parameter index: 1 to `count`.
    @inline(__always)
    func entry(_ index: Int) -> (row: HPACKRow, text: Bytes) {
        let entry = entries[index - 1]
        return (entry.row, Bytes(entry.text))
    }

    /// How long the name is, and the name with its value.
    private static let fields: [(Int, StaticString)] = [
        (10, ":authority"), (7, ":methodGET"), (7, ":methodPOST"), (5, ":path/"), (5, ":path/index.html"),
        (7, ":schemehttp"), (7, ":schemehttps"), (7, ":status200"), (7, ":status204"), (7, ":status206"),
        (7, ":status304"), (7, ":status400"), (7, ":status404"), (7, ":status500"), (14, "accept-charset"),
        (15, "accept-encodinggzip, deflate"), (15, "accept-language"), (13, "accept-ranges"), (6, "accept"),
        (27, "access-control-allow-origin"), (3, "age"), (5, "allow"), (13, "authorization"),
        (13, "cache-control"), (19, "content-disposition"), (16, "content-encoding"), (16, "content-language"),
        (14, "content-length"), (16, "content-location"), (13, "content-range"), (12, "content-type"),
        (6, "cookie"), (4, "date"), (4, "etag"), (6, "expect"), (7, "expires"), (4, "from"), (4, "host"),
        (8, "if-match"), (17, "if-modified-since"), (13, "if-none-match"), (8, "if-range"),
        (19, "if-unmodified-since"), (13, "last-modified"), (4, "link"), (8, "location"), (12, "max-forwards"),
        (18, "proxy-authenticate"), (19, "proxy-authorization"), (5, "range"), (7, "referer"), (7, "refresh"),
        (11, "retry-after"), (6, "server"), (10, "set-cookie"), (25, "strict-transport-security"),
        (17, "transfer-encoding"), (10, "user-agent"), (4, "vary"), (3, "via"), (16, "www-authenticate"),
    ]
}

extension Pseudo {
    /// What a name is: `.none` unless it begins with a colon.
    init(_ name: Bytes) {
        guard name.count > 0, name[0] == 0x3A else {
            self = .none
            return
        }
        switch name.count {
        case 5: self = name == ":path" ? .path : .unknown
        case 7:
            self = name == ":method" ? .method : name == ":scheme" ? .scheme : name == ":status" ? .status : .unknown
        case 9: self = name == ":protocol" ? .protocol : .unknown
        case 10: self = name == ":authority" ? .authority : .unknown
        default: self = .unknown
        }
    }
}
