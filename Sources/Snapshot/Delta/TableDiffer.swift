// Finds the edits between two versions of a table: who is who, what is the same, what has to be sent.

/// Compares one table of two snapshots.
///
/// 1. Records are hashed as they would be on the wire, the old ones after renumbering their references.
/// 2. Records of the same key are paired; those without a key by their contents, then by their place.
/// 3. A paired record of the same hash is copied, a route of which only the chain differs is copied with
///    its new chain, and everything else is sent.
struct TableDiffer<Record: TableRecord> {
    private let old: [Record]
    private let new: [Record]
    private let maps: IndexMaps
    private let seed: UInt64
    /// Of the renumbered record; nil: a reference of it is gone.
    private var oldHashes: [UInt64?] = []
    private var newHashes: [UInt64] = []
    /// For each new record the old one, or -1.
    private var pairs: [Int] = []

    /// - Parameters:
    ///   - maps: of the tables before this one.
    ///   - seed: of the hashes; an unpredictable one, so that nobody can choose records that collide.
    init(from old: [Record], to new: [Record], maps: IndexMaps, seed: UInt64) {
        self.old = old
        self.new = new
        self.maps = maps
        self.seed = seed
        hashAll()
        pairAll()
    }

    /// The edits, or nil when copying everything as it is will do; and where the old records are now.
    func run() -> (TableDelta?, IndexMap) {
        var map = [Int](repeating: IndexMap.gone, count: old.count)
        for (index, pair) in pairs.enumerated() where pair >= 0 { map[pair] = index }
        let delta = edits()
        let isWhole = delta.edits.isEmpty ? old.isEmpty : Self.isWhole(delta.edits, of: old.count)
        return (isWhole ? nil : delta, IndexMap(map))
    }

    private static func isWhole(_ edits: [TableEdit], of count: Int) -> Bool {
        guard edits.count == 1, let edit = edits.first else { return false }
        return edit.start == 0 && edit.count == count && edit.records.isEmpty && edit.chain == TableEdit.chainAsItWas
    }

    // MARK: Hashes

    private mutating func hashAll() {
        newHashes.reserveCapacity(new.count)
        for record in new { newHashes.append(record.wireHash(seed: seed)) }
        oldHashes.reserveCapacity(old.count)
        let moves = Record.moves(with: maps)
        for record in old {
            guard moves else {
                oldHashes.append(record.wireHash(seed: seed))
                continue
            }
            var moved = record
            oldHashes.append(moved.renumber(maps) ? moved.wireHash(seed: seed) : nil)
        }
    }

    // MARK: Pairs

    private mutating func pairAll() {
        guard new.first?.tableKey == nil, old.first?.tableKey == nil else {
            pairs = Self.pairs(old.map(\.tableKey), new.map(\.tableKey))
            return
        }
        pairs = Self.pairs(oldHashes, newHashes)
        pairNeighbours()
    }

    /// Most changes are few: what is equal at both ends needs no dictionary.
    private static func pairs<Key: Hashable>(_ old: [Key?], _ new: [Key?]) -> [Int] {
        var pairs = [Int](repeating: -1, count: new.count)
        var start = 0
        while start < min(old.count, new.count), let key = new[start], old[start] == key {
            pairs[start] = start
            start += 1
        }
        var oldEnd = old.count
        var newEnd = new.count
        while oldEnd > start, newEnd > start, let key = new[newEnd - 1], old[oldEnd - 1] == key {
            oldEnd -= 1
            newEnd -= 1
            pairs[newEnd] = oldEnd
        }
        guard start < oldEnd, start < newEnd else { return pairs }
        var places: [Key: Int] = [:]
        places.reserveCapacity(oldEnd - start)
        // The first of several that are alike.
        for index in (start..<oldEnd).reversed() {
            if let key = old[index] { places[key] = index }
        }
        for index in start..<newEnd {
            if let key = new[index], let place = places.removeValue(forKey: key) { pairs[index] = place }
        }
        return pairs
    }

    /// A record without a key that changed stands where it stood: after the one that was before it.
    private mutating func pairNeighbours() {
        var isUsed = [Bool](repeating: false, count: old.count)
        for pair in pairs where pair >= 0 { isUsed[pair] = true }
        for index in pairs.indices where pairs[index] < 0 {
            let place = index == 0 ? 0 : pairs[index - 1] + 1
            guard index == 0 || pairs[index - 1] >= 0, place < old.count, !isUsed[place] else { continue }
            pairs[index] = place
            isUsed[place] = true
        }
    }

    // MARK: Edits

    private func edits() -> TableDelta {
        var delta = TableDelta()
        var edit = TableEdit()
        for index in new.indices {
            let pair = pairs[index]
            if pair >= 0, let chain = copyChain(pair, index) {
                if edit.count > 0, edit.records.isEmpty, edit.chain == chain, edit.start + edit.count == pair {
                    edit.count += 1
                    continue
                }
                if !edit.isEmpty { delta.edits.append(edit) }
                edit = TableEdit()
                edit.start = pair
                edit.count = 1
                edit.chain = chain
            } else {
                if pair >= 0 {
                    edit.replaces += [Int](repeating: -1, count: edit.records.count - edit.replaces.count) + [pair]
                }
                edit.records.append(new[index].wire)
            }
        }
        if !edit.isEmpty { delta.edits.append(edit) }
        return delta
    }

    /// With which `TableEdit.chain` the old record becomes the new one by copying; nil: with none.
    private func copyChain(_ pair: Int, _ index: Int) -> Int? {
        if oldHashes[pair] == newHashes[index] { return TableEdit.chainAsItWas }
        guard let chain = new[index].tableChain, chain >= -1 else { return nil }
        var moved = old[pair]
        moved.tableChain = -1
        guard moved.renumber(maps) else { return nil }
        moved.tableChain = chain
        return moved.wireHash(seed: seed) == newHashes[index] ? chain : nil
    }
}

extension TableEdit {
    fileprivate var isEmpty: Bool { count == 0 && records.isEmpty }
}
