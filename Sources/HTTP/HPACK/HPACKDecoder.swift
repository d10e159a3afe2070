// Header blocks of HTTP/2, decoded (RFC 7541 section 6).
//
//     1xxxxxxx  indexed field              01xxxxxx  literal, goes into the table
//     001xxxxx  table size, at the start   0000xxxx  literal, does not     0001xxxx  literal, never may
//
// A literal has its name by index or as a string, then its value as a string: H (Huffman) and a length of seven
// bits, then so many bytes.

public import Bytes

/// Decodes the header blocks of one connection, in the order in which they came.
///
/// Names and values are judged here, once: a field that comes by index later brings the verdict with it.
public final class HPACKDecoder {
    private let fixed = HPACKStaticTable.shared
    private let huffman = HPACKHuffman.shared
    private var table = HPACKDynamicTable()
    private let tableLimit: Int

    /// Bytes of the largest block: one that nobody sends, far from where offsets end.
    public static let blockMax = 1 << 24

    /// - Parameter tableLimit: SETTINGS_HEADER_TABLE_SIZE as we announced it, in bytes. The table starts with the
    ///   4096 that every connection starts with, so less than that is taken for 4096.
    public init(tableLimit: Int) { self.tableLimit = max(tableLimit, HPACKDynamicTable.standardSize) }

    /// Bytes of memory that the table's text holds.
    public var tableCapacity: Int { table.textCapacity }

    /// Decodes one whole block.
    ///
    /// - Parameter limits: `head` bounds names and values with 32 bytes more for each field, `fields` the number
    ///   of ordinary fields. Over them the list says `isTooLarge`, and the table is kept in step all the same.
    /// - Returns: false: COMPRESSION_ERROR, the connection must end.
    public func decode(_ block: Bytes, into list: FieldList, limits: HeadLimits) -> Bool {
        list.begin(wireCount: block.count)
        guard block.count <= Self.blockMax else { return false }
        let storage = list.storage
        var reader = HPACKReader(block)
        while let first = reader.peek, first & 0xE0 == 0x20 {
            guard let size = reader.integer(prefix: 5), size <= tableLimit else { return false }
            table.resize(size)
        }
        while let first = reader.peek {
            if first & 0x80 != 0 {
                guard let index = reader.integer(prefix: 7), indexed(index, storage, list, limits) else { return false }
            } else if first & 0x60 == 0x20 {
                return false
            } else {
                guard literal(first, &reader, storage, list, limits) else { return false }
            }
        }
        return true
    }

    /// Section 6.1. Once the list is too large this is a look at a row, however long its text.
    @inline(__always)
    private func indexed(_ index: Int, _ storage: Buffer, _ list: FieldList, _ limits: HeadLimits) -> Bool {
        guard let (row, text) = entry(index) else { return false }
        if list.admit(row.id, row.pseudo, bytes: row.count, limits) {
            let start = storage.end
            storage.append(text)
            list.append(FieldList.Entry(row, at: start))
        }
        return true
    }

    /// Sections 6.2.1 to 6.2.3. The text goes to the end of `storage`, and leaves it again if it is too much.
    private func literal(
        _ first: UInt8, _ reader: inout HPACKReader, _ storage: Buffer, _ list: FieldList, _ limits: HeadLimits
    ) -> Bool {
        let goesIntoTable = first & 0x40 != 0
        let start = storage.end
        guard let index = reader.integer(prefix: goesIntoTable ? 6 : 4) else { return false }
        var row: HPACKRow
        if index > 0 {
            guard let named = entry(index) else { return false }
            row = named.row
            // What neither list nor table wants is not copied: a name may be long and its index short.
            if !list.isTooLarge || goesIntoTable { storage.append(named.text.prefix(Int(row.nameCount))) }
            row.flags.formIntersection(.malformedName)
        } else {
            guard string(&reader, storage) else { return false }
            row = HPACKRow(name: storage.bytes(at: start, count: storage.end - start))
        }
        let valueStart = storage.end
        guard string(&reader, storage) else { return false }
        let value = storage.bytes(at: valueStart, count: storage.end - valueStart)
        row.valueCount = Int32(truncatingIfNeeded: value.count)
        if !FieldParser.isCleanValue(value) { row.flags.insert(.malformedValue) }
        if goesIntoTable {
            table.insert(storage.bytes(at: start, count: storage.end - start), row)
        } else if first & 0x10 != 0 {
            row.flags.insert(.neverIndexed)
        }
        if list.admit(row.id, row.pseudo, bytes: row.count, limits) {
            list.append(FieldList.Entry(row, at: start))
        } else {
            storage.truncate(to: start)
        }
        return true
    }

    /// Section 5.2: a string, to the end of `storage`.
    @inline(__always)
    private func string(_ reader: inout HPACKReader, _ storage: Buffer) -> Bool {
        guard let first = reader.peek, let count = reader.integer(prefix: 7), let text = reader.bytes(count) else {
            return false
        }
        if first & 0x80 != 0 { return huffman.decode(text, to: storage) }
        storage.append(text)
        return true
    }

    /// Section 2.3.3: the field of that index and its text, or nil.
    @inline(__always)
    private func entry(_ index: Int) -> (row: HPACKRow, text: Bytes)? {
        if index <= HPACKStaticTable.count { return index > 0 ? fixed.entry(index) : nil }
        let place = index - HPACKStaticTable.count - 1
        return place < table.count ? table.entry(place) : nil
    }
}

/// Reads a block from front to back.
struct HPACKReader {
    private let block: Bytes
    private var at = 0

    init(_ block: Bytes) { self.block = block }

    /// The next byte, or nil at the end.
    @inline(__always)
    var peek: UInt8? { at < block.count ? block[at] : nil }

    /// RFC 7541 section 5.1; nil when it does not end, or is out of all proportion.
    @inline(__always)
    mutating func integer(prefix bits: Int) -> Int? {
        guard let first = peek else { return nil }
        at += 1
        let mask = (1 << bits) - 1
        let value = Int(first) & mask
        return value < mask ? value : longInteger(mask)
    }

    /// At most four bytes follow: 28 bits hold every length and index that a block can.
    private mutating func longInteger(_ prefix: Int) -> Int? {
        var value = prefix
        var shift = 0
        while shift < 28, let byte = peek {
            at += 1
            value += Int(byte & 0x7F) << shift
            if byte & 0x80 == 0 { return value }
            shift += 7
        }
        return nil
    }

    @inline(__always)
    mutating func bytes(_ count: Int) -> Bytes? {
        guard count <= block.count - at else { return nil }
        defer { at += count }
        return block[at..<(at + count)]
    }
}

extension HPACKRow {
    /// A field of a name that stood in a block.
    init(name: Bytes) {
        let pseudo = Pseudo(name)
        let isClean = pseudo != .none || FieldParser.isLowerName(name)
        self.init(
            nameCount: Int32(truncatingIfNeeded: name.count), valueCount: 0,
            id: pseudo == .none && isClean ? FieldName(name) : .other, pseudo: pseudo,
            flags: isClean ? [] : .malformedName)
    }
}

extension FieldList.Entry {
    @inline(__always)
    init(_ row: HPACKRow, at offset: Int) {
        self.offset = Int32(truncatingIfNeeded: offset)
        nameLength = row.nameCount
        valueLength = row.valueCount
        flags = row.flags
        id = row.id
        pseudo = row.pseudo
    }
}
