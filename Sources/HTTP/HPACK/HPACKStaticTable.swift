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

    private let text: [UInt8]
    private let rows: [(row: HPACKRow, offset: Int)]

    private init() {
        var text: [UInt8] = []
        var rows: [(row: HPACKRow, offset: Int)] = []
        for (name, value) in Self.fields {
            let bytes = Bytes(name)
            let row = HPACKRow(
                nameCount: Int32(bytes.count), valueCount: Int32(Bytes(value).count), id: FieldName(bytes),
                pseudo: Pseudo(bytes), flags: [])
            rows.append((row, text.count))
            text += bytes.array + Bytes(value).array
        }
        self.text = text
        self.rows = rows
    }

    /// - Parameter index: 1 to `count`.
    @inline(__always)
    func row(_ index: Int) -> HPACKRow { rows[index - 1].row }

    /// Appends the first bytes of an entry's name and value.
    @inline(__always)
    func copy(_ index: Int, count: Int, to out: Buffer) {
        let offset = rows[index - 1].offset
        text.withBytes { out.append($0[offset..<(offset + count)]) }
    }

    private static let fields: [(StaticString, StaticString)] = [
        (":authority", ""), (":method", "GET"), (":method", "POST"), (":path", "/"), (":path", "/index.html"),
        (":scheme", "http"), (":scheme", "https"), (":status", "200"), (":status", "204"), (":status", "206"),
        (":status", "304"), (":status", "400"), (":status", "404"), (":status", "500"), ("accept-charset", ""),
        ("accept-encoding", "gzip, deflate"), ("accept-language", ""), ("accept-ranges", ""), ("accept", ""),
        ("access-control-allow-origin", ""), ("age", ""), ("allow", ""), ("authorization", ""),
        ("cache-control", ""), ("content-disposition", ""), ("content-encoding", ""), ("content-language", ""),
        ("content-length", ""), ("content-location", ""), ("content-range", ""), ("content-type", ""),
        ("cookie", ""), ("date", ""), ("etag", ""), ("expect", ""), ("expires", ""), ("from", ""), ("host", ""),
        ("if-match", ""), ("if-modified-since", ""), ("if-none-match", ""), ("if-range", ""),
        ("if-unmodified-since", ""), ("last-modified", ""), ("link", ""), ("location", ""), ("max-forwards", ""),
        ("proxy-authenticate", ""), ("proxy-authorization", ""), ("range", ""), ("referer", ""), ("refresh", ""),
        ("retry-after", ""), ("server", ""), ("set-cookie", ""), ("strict-transport-security", ""),
        ("transfer-encoding", ""), ("user-agent", ""), ("vary", ""), ("via", ""), ("www-authenticate", ""),
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
