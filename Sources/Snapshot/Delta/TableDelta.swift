// One table of a snapshot becomes the next: copies of ranges of the old one, and new records between them.

internal import Bytes

/// Copies `count` records of the old table from `start` on, then adds `records`.
public struct TableEdit: WireMessage, Sendable, Hashable {
    public var start = 0
    public var count = 0
    /// Of routes: the new index of the chain that all the copied ones have from now on, -1 for none; -2: the one
    /// they had, renumbered.
    public var chain = -2
    /// Each a record of the table in its wire form, its references those of the new snapshot.
    public var records: [[UInt8]] = []
    /// For each of `records` the old index of the record whose place it takes, so that what refers to that
    /// one now refers to this one; -1: of none. Missing at the end: -1.
    public var replaces: [Int] = []

    static let chainAsItWas = -2

    public init() {}

    public func encode(into out: inout WireWriter) {
        out.put(1, start)
        out.put(2, count)
        out.put(3, chain)
        out.put(4, records)
        out.put(5, replaces)
    }

    public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
        switch field {
        case 1: start = try reader.int()
        case 2: count = try reader.int()
        case 3: chain = try reader.int()
        case 4: records.append(try reader.data())
        case 5: try reader.ints(into: &replaces)
        default: try reader.skip()
        }
    }
}

/// What turns one table into the next. References in copied records are renumbered after the tables before it.
/// A record of the old table that no edit copies or replaces is gone.
public struct TableDelta: WireMessage, Sendable, Hashable {
    public var edits: [TableEdit] = []

    public init() {}

    public func encode(into out: inout WireWriter) { out.put(1, messages: edits) }

    public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
        switch field {
        case 1: edits.append(try reader.message())
        default: try reader.skip()
        }
    }
}

// MARK: Applying

extension TableDelta {
    /// - Parameters:
    ///   - maps: of the tables before this one.
    ///   - present: the same tables as they are now, to check the references of new records.
    /// - Returns: the new table, and where the records of the old one are in it.
    func apply<Record: TableRecord>(
        to old: [Record], maps: IndexMaps, present: IndexMaps
    ) throws(DeltaError) -> ([Record], IndexMap) {
        var new: [Record] = []
        new.reserveCapacity(old.count + 1)
        var map = [Int](repeating: IndexMap.gone, count: old.count)
        for edit in edits {
            try Self.claim(edit.start, edit.count, at: new.count, in: &map)
            new += try Self.moved(old, edit.start..<edit.start + edit.count, edit.chain, maps, present)
            guard edit.replaces.count <= edit.records.count else { throw .range }
            for (index, wire) in edit.records.enumerated() {
                if index < edit.replaces.count, edit.replaces[index] != -1 {
                    try Self.claim(edit.replaces[index], 1, at: new.count, in: &map)
                }
                new.append(try Self.record(wire, present))
            }
            guard new.count <= SnapshotDelta.recordLimit else { throw .tooLarge }
        }
        return (new, IndexMap(map))
    }

    /// Old records are each used once at most: a short delta cannot become a large table.
    private static func claim(_ start: Int, _ count: Int, at new: Int, in map: inout [Int]) throws(DeltaError) {
        guard start >= 0, count >= 0, start <= map.count, count <= map.count - start else { throw .range }
        for offset in 0..<count {
            guard map[start + offset] == IndexMap.gone else { throw .usedTwice }
            map[start + offset] = new + offset
        }
    }

    /// Records of the old table with their references renumbered, routes with another chain if one is given.
    static func moved<Record: TableRecord>(
        _ old: [Record], _ range: Range<Int>, _ chain: Int, _ maps: IndexMaps, _ present: IndexMaps
    ) throws(DeltaError) -> ArraySlice<Record> {
        var records = old[range]
        if chain != TableEdit.chainAsItWas {
            var chain = chain
            guard present.chains.renumber(&chain) else { throw .reference }
            for index in range {
                guard records[index].tableChain != nil else { throw .reference }
                records[index].tableChain = -1
                guard records[index].renumber(maps) else { throw .reference }
                records[index].tableChain = chain
            }
            return records
        }
        guard Record.moves(with: maps) else { return records }
        for index in range {
            guard records[index].renumber(maps) else { throw .reference }
        }
        return records
    }

    private static func record<Record: TableRecord>(
        _ wire: [UInt8], _ present: IndexMaps
    ) throws(DeltaError) -> Record {
        let record: Record
        do throws(WireError) {
            record = try wire.withBytes { (bytes) throws(WireError) in try Record(wire: bytes) }
        } catch {
            throw .record(error)
        }
        var checked = record
        guard checked.renumber(present) else { throw .reference }
        return record
    }
}
