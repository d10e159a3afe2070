// The fields that a connection's header blocks have put into the table so far (RFC 7541 section 2.3.2).

import Bytes

/// Newest first, within a number of bytes. Text lies in one buffer, oldest first, so that leaving fields are
/// consumed from its front and coming ones appended.
struct HPACKDynamicTable {
    /// The size every connection starts with (RFC 9113 section 6.5.2).
    static let standardSize = 4096
    /// What a field counts beside its text (RFC 7541 section 4.1).
    static let rowCost = 32

    private struct Row {
        var row: HPACKRow
        /// Where the text is, were it never moved.
        var place: Int
    }

    /// A ring; its size is a power of two.
    private var rows: [Row] = []
    /// Place in the ring of the row that comes next.
    private var next = 0
    /// Fields in the table.
    private(set) var count = 0
    private var size = 0
    private var sizeMax = standardSize
    private let text = Buffer(capacity: 512)
    /// Bytes by which text was moved to the buffer's front so far.
    private var moved = 0

    /// Bytes of memory held for text.
    var textCapacity: Int { text.capacity }

    /// A field and its text, the name and then the value; the view is good until the next `insert`.
    ///
    /// - Parameter index: 0, the newest, to `count` less one.
    @inline(__always)
    func entry(_ index: Int) -> (row: HPACKRow, text: Bytes) {
        let row = rows[slot(index)]
        return (row.row, text.bytes(at: row.place - moved, count: row.row.count))
    }

    @inline(__always)
    private func slot(_ index: Int) -> Int {
        precondition(index >= 0 && index < count, "no such row")
        return (next - 1 - index) & (rows.count - 1)
    }

    /// Sets the size in bytes, and lets go of what does not fit any more.
    mutating func resize(_ size: Int) {
        sizeMax = size
        evict(to: size)
    }

    /// Adds a field; one that is larger than the table empties it (RFC 7541 section 4.4).
    ///
    /// - Parameter bytes: name and value. They are copied, and are not the table's own.
    mutating func insert(_ bytes: Bytes, _ row: HPACKRow) {
        let cost = bytes.count + Self.rowCost
        guard cost <= sizeMax else { return evict(to: 0) }
        evict(to: sizeMax - cost)
        makeRoom(bytes.count)
        if count == rows.count { growRing(row) }
        rows[next & (rows.count - 1)] = Row(row: row, place: text.end + moved)
        next = (next + 1) & (rows.count - 1)
        count += 1
        size += cost
        text.append(bytes)
    }

    private mutating func evict(to limit: Int) {
        while size > limit, count > 0 {
            let bytes = rows[slot(count - 1)].row.count
            text.consume(bytes)
            size -= bytes + Self.rowCost
            count -= 1
        }
    }

    /// Moves the text down when the buffer's end is reached. The buffer grows while a move would leave less than a
    /// fifth of it free, for then the next one would come soon; by powers of two, so at most to twice the table.
    private mutating func makeRoom(_ bytes: Int) {
        guard text.free < bytes else { return }
        moved += text.start
        text.compact()
        let wanted = (text.end + bytes) / 4 * 5
        guard text.capacity < wanted || text.free < bytes else { return }
        text.reserve((1 << (Int.bitWidth - wanted.leadingZeroBitCount)) - text.end)
    }

    private mutating func growRing(_ filler: HPACKRow) {
        let larger = max(16, rows.count * 2)
        var moved: [Row] = []
        moved.reserveCapacity(larger)
        for index in 0..<count { moved.append(rows[slot(count - 1 - index)]) }
        while moved.count < larger { moved.append(Row(row: filler, place: 0)) }
        next = count
        rows = moved
    }
}
