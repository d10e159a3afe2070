// Values in PostgreSQL's binary formats: as parameters of statements, and as fields of COPY.

internal import CPostgres
internal import Model

/// Bytes in network order.
struct PostgresBuffer {
    var bytes: [UInt8] = []

    /// Signature, flags and the length of an extension that is not there.
    static let copyHeader = PostgresBuffer(
        bytes: Array("PGCOPY\n".utf8) + [0xFF, 0x0D, 0x0A, 0] + [UInt8](repeating: 0, count: 8))

    mutating func append(_ value: some FixedWidthInteger) {
        unsafe withUnsafeBytes(of: value.bigEndian) { raw in unsafe bytes.append(contentsOf: raw) }
    }

    /// A field: its length, then its bytes; a null has the length -1.
    mutating func append(field value: SQLValue) {
        let value = value.storable
        guard let length = value.length else { return append(-1 as Int32) }
        append(Int32(clamping: length))
        append(contents: value)
    }

    mutating func append(contents value: SQLValue) {
        switch value {
        case .null: break
        case .integer(let value): append(value)
        case .text(let text): bytes.append(contentsOf: text.utf8)
        case .bytes(let value): bytes.append(contentsOf: value)
        case .identifier(let id):
            append(id.high)
            append(id.low)
        }
    }
}

extension SQLValue {
    fileprivate var length: Int? {
        switch self {
        case .null: nil
        case .integer: 8
        case .text(let text): text.utf8.count
        case .bytes(let value): value.count
        case .identifier: 16
        }
    }

    fileprivate var type: Oid {
        switch self {
        case .null: 0
        case .integer: 20
        case .text: 25
        case .bytes: 17
        case .identifier: 2950
        }
    }
}

/// Parameters as libpq takes them: types, pointers, lengths, formats.
struct PostgresParameters {
    private var types: [Oid] = []
    /// Nil: null.
    private var ranges: [Range<Int>?] = []
    private var buffer = PostgresBuffer()

    init(_ values: [SQLValue] = []) {
        for value in values.map(\.storable) {
            let start = buffer.bytes.count
            buffer.append(contents: value)
            types.append(value.type)
            ranges.append(value.length == nil ? nil : start..<buffer.bytes.count)
        }
    }

    var count: Int { types.count }

    /// One parameter that is an array of `values`, all of one type, none of them null.
    mutating func append(array values: [SQLValue]) {
        let start = buffer.bytes.count
        let type = values.first?.type ?? 25
        // Dimensions, whether there are nulls, the elements' type; then the size and lower bound of each dimension.
        buffer.append(values.isEmpty ? 0 : 1 as Int32)
        buffer.append(0 as Int32)
        buffer.append(type)
        if !values.isEmpty {
            buffer.append(Int32(clamping: values.count))
            buffer.append(1 as Int32)
        }
        for value in values { buffer.append(field: value) }
        types.append(type == 2950 ? 2951 : 1009)
        ranges.append(start..<buffer.bytes.count)
    }

    func withPointers(
        _ body: (
            UnsafePointer<Oid>, UnsafePointer<UnsafePointer<CChar>?>, UnsafePointer<CInt>, UnsafePointer<CInt>
        ) -> CInt
    ) -> CInt {
        // A pointer to an empty value must not be null, so there is always one byte.
        let lengths = ranges.map { CInt(clamping: $0?.count ?? 0) }
        let formats = ranges.map { _ in 1 as CInt }
        return unsafe (buffer.bytes + [0]).withUnsafeBytes { raw in
            let start = unsafe raw.baseAddress?.assumingMemoryBound(to: CChar.self)
            // Each range lies within the buffer: it was made when its bytes were appended.
            let values = unsafe ranges.map { range in
                unsafe range.flatMap { range in unsafe start.map { unsafe $0 + range.lowerBound } }
            }
            return unsafe body(types, values, lengths, formats)
        }
    }
}
