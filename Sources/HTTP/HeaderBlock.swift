// The header section of one message: fields as ranges into the read buffer, edits in a side buffer.

public import Bytes

/// One field. Offsets are counted from the origin of the buffer that holds them.
public struct Field: Sendable {
    var nameOffset: Int32
    var valueOffset: Int32
    var valueCount: Int32
    var nameCount: UInt16
    public var id: FieldName
    /// Bit 0: in the side buffer rather than the read buffer. Bit 1: removed. Bit 2: never to be indexed
    /// (RFC 7541 section 6.2.3).
    var flags: UInt8
}

/// A header section in order of arrival.
///
/// Parsed fields point into the buffer they were read to, which the exchange keeps until it ends.
/// Edits go to a side buffer; removing marks. Nothing is copied until the section is written out.
public final class HeaderBlock {
    /// The first `count` are this message's; the rest is room from earlier ones.
    private var fields: [Field] = []
    private var source: Buffer?
    private var edits: Buffer?

    public init() {}

    /// Starts over, reading names and values from `source`.
    public func reset(source: Buffer?) {
        count = 0
        if source !== self.source { self.source = source }
        if hasEdits {
            hasEdits = false
            edits?.clear()
        }
    }

    /// Number of fields, removed ones included; for loops over indices.
    public private(set) var count = 0
    private var hasEdits = false

    /// Bytes that edits have made room for.
    public var capacity: Int { edits?.capacity ?? 0 }

    @inline(__always)
    private func append(_ field: Field) {
        if count < fields.count { fields[count] = field } else { fields.append(field) }
        count += 1
    }

    public func isRemoved(_ index: Int) -> Bool { fields[index].flags & 2 != 0 }

    public func id(_ index: Int) -> FieldName { fields[index].id }

    public func name(_ index: Int) -> Bytes { name(fields[index]) }

    public func value(_ index: Int) -> Bytes { value(fields[index]) }

    /// Where a parsed field's value lies in the read buffer.
    func sourceRange(ofValue index: Int) -> Range<Int> {
        let start = Int(fields[index].valueOffset)
        return start..<(start + Int(fields[index].valueCount))
    }

    /// The field at `index`, or nil when it was removed; for loops that read all of it.
    public func field(_ index: Int) -> (id: FieldName, name: Bytes, value: Bytes)? {
        let field = fields[index]
        guard field.flags & 2 == 0 else { return nil }
        let holder = holder(field)
        return (
            field.id, holder.bytes(at: Int(field.nameOffset), count: Int(field.nameCount)),
            holder.bytes(at: Int(field.valueOffset), count: Int(field.valueCount))
        )
    }

    private func name(_ field: Field) -> Bytes {
        holder(field).bytes(at: Int(field.nameOffset), count: Int(field.nameCount))
    }

    private func value(_ field: Field) -> Bytes {
        holder(field).bytes(at: Int(field.valueOffset), count: Int(field.valueCount))
    }

    private func holder(_ field: Field) -> Buffer {
        guard let buffer = field.flags & 1 != 0 ? edits : source else {
            preconditionFailure("a header field without its buffer")
        }
        return buffer
    }

    /// Adds a field whose name and value lie in the read buffer at these offsets.
    public func appendParsed(id: FieldName, nameOffset: Int, nameCount: Int, valueOffset: Int, valueCount: Int) {
        append(
            Field(
                nameOffset: Int32(nameOffset), valueOffset: Int32(valueOffset),
                valueCount: Int32(valueCount), nameCount: UInt16(nameCount), id: id, flags: 0))
    }

    /// Adds a field of an HTTP/2 header block, whose text lies in the buffer that was read to.
    func appendDecoded(_ entry: FieldList.Entry) {
        append(
            Field(
                nameOffset: entry.offset, valueOffset: entry.offset + entry.nameLength,
                valueCount: entry.valueLength, nameCount: UInt16(truncatingIfNeeded: entry.nameLength), id: entry.id,
                flags: entry.isNeverIndexed ? 4 : 0))
    }

    /// Points a parsed field's value at another place of the read buffer.
    func moveValue(_ index: Int, to range: Range<Int>) {
        fields[index].valueOffset = Int32(range.lowerBound)
        fields[index].valueCount = Int32(range.count)
    }

    /// Reads from `source` the fields parsed next.
    func lend(_ source: Buffer) { self.source = source }

    /// Copies the field parsed last, so that it outlives the buffer it was read to.
    func keepLast() {
        guard count > 0 else { return }
        count -= 1
        let last = fields[count]
        add(id: last.id, name(last), value(last), flags: last.flags & 4)
    }

    // MARK: Reading

    /// Index of the first field called `key` at or after `start`, or nil.
    public func index(of key: FieldKey, from start: Int = 0) -> Int? {
        key.text.withBytes { index(of: $0, id: key.id, from: start) }
    }

    public func index(of id: FieldName, from start: Int = 0) -> Int? {
        var i = start
        while i < count {
            if fields[i].id == id, fields[i].flags & 2 == 0 { return i }
            i += 1
        }
        return nil
    }

    /// As `index(of:from:)` for a name met at run time.
    public func index(named bytes: Bytes, from start: Int = 0) -> Int? {
        index(of: bytes, id: FieldName(bytes), from: start)
    }

    private func index(of bytes: Bytes, id: FieldName, from start: Int) -> Int? {
        if id != .other { return index(of: id, from: start) }
        var i = start
        while i < count {
            let field = fields[i]
            if field.id == .other, field.flags & 2 == 0, Int(field.nameCount) == bytes.count,
                name(field).equalsIgnoringCase(bytes)
            {
                return i
            }
            i += 1
        }
        return nil
    }

    /// The first value of a field, or nil.
    public func first(_ id: FieldName) -> Bytes? { index(of: id).map { value($0) } }
    public func first(_ key: FieldKey) -> Bytes? { index(of: key).map { value($0) } }
    public func first(named bytes: Bytes) -> Bytes? { index(named: bytes).map { value($0) } }

    public func contains(_ id: FieldName) -> Bool { index(of: id) != nil }

    // MARK: Editing

    public func remove(at index: Int) { fields[index].flags |= 2 }

    public func removeAll(_ id: FieldName) {
        var at = 0
        while let found = index(of: id, from: at) {
            remove(at: found)
            at = found + 1
        }
    }

    /// Removes every field of that name; true if there was one.
    @discardableResult
    public func removeAll(named bytes: Bytes) -> Bool {
        let id = FieldName(bytes)
        var at = 0
        var any = false
        while let found = index(of: bytes, id: id, from: at) {
            remove(at: found)
            at = found + 1
            any = true
        }
        return any
    }

    @discardableResult
    public func removeAll(_ key: FieldKey) -> Bool { key.text.withBytes { removeAll(named: $0) } }

    /// Appends a field. Name and value are copied; the caller has checked that they hold no CR, LF or NUL.
    public func add(_ name: Bytes, _ value: Bytes) { add(id: FieldName(name), name, value) }
    public func add(_ id: FieldName, _ value: Bytes) { add(id: id, Bytes(id.text), value) }
    public func add(_ key: FieldKey, _ value: Bytes) {
        key.text.withBytes { add(id: key.id, $0, value) }
    }

    /// - Parameter flags: those of `Field` beside the one that names the buffer.
    func add(id: FieldName, _ name: Bytes, _ value: Bytes, flags: UInt8 = 0) {
        // A view of our own edits must survive the buffer's growth.
        let side = edits ?? Buffer(capacity: 512)
        edits = side
        hasEdits = true
        if side.free < name.count + value.count {
            let name = name.array
            let value = value.array
            side.reserve(name.count + value.count)
            name.withBytes { name in value.withBytes { store(side, id: id, name, $0, flags) } }
        } else {
            store(side, id: id, name, value, flags)
        }
    }

    private func store(_ side: Buffer, id: FieldName, _ name: Bytes, _ value: Bytes, _ flags: UInt8) {
        let nameOffset = side.end
        side.append(name)
        let valueOffset = side.end
        side.append(value)
        append(
            Field(
                nameOffset: Int32(nameOffset), valueOffset: Int32(valueOffset),
                valueCount: Int32(value.count), nameCount: UInt16(name.count), id: id, flags: 1 | flags))
    }

    /// Replaces all fields of that name by one, at the end.
    public func set(_ name: Bytes, _ value: Bytes) {
        removeAll(named: name)
        add(name, value)
    }

    public func set(_ id: FieldName, _ value: Bytes) {
        removeAll(id)
        add(id, value)
    }

    public func set(_ key: FieldKey, _ value: Bytes) {
        removeAll(key)
        add(key, value)
    }

    /// Writes `Name: value CRLF` for each field that is left and not in `skipped`.
    public func write(to out: Buffer, except skipped: FieldNameSet = FieldNameSet([])) {
        guard count > 0 else { return }
        let source = source
        let edits = edits
        for index in 0..<count {
            let field = fields[index]
            if field.flags & 2 != 0 || skipped.contains(field.id) { continue }
            guard let holder = field.flags & 1 != 0 ? edits : source else { continue }
            out.appendField(
                holder.bytes(at: Int(field.nameOffset), count: Int(field.nameCount)),
                holder.bytes(at: Int(field.valueOffset), count: Int(field.valueCount)))
        }
    }
    /// Encodes each field that is left and not in `skipped` for HTTP/2, names in lower case.
    ///
    /// What its sender wanted kept out of compression tables stays out of them.
    public func encode(to out: Buffer, except skipped: FieldNameSet = FieldNameSet([])) {
        guard count > 0 else { return }
        let source = source
        let edits = edits
        for index in 0..<count {
            let field = fields[index]
            if field.flags & 2 != 0 || skipped.contains(field.id) { continue }
            guard let holder = field.flags & 1 != 0 ? edits : source else { continue }
            HPACKEncoder.field(
                id: field.id, name: holder.bytes(at: Int(field.nameOffset), count: Int(field.nameCount)),
                value: holder.bytes(at: Int(field.valueOffset), count: Int(field.valueCount)),
                neverIndexed: field.flags & 4 != 0, to: out)
        }
    }
}
