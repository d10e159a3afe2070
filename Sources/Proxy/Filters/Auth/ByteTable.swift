// Many short byte strings in one allocation, and an index to find them by content.

import Bytes

/// Byte strings by number. Filled once, then shared.
final class ByteTable: @unchecked Sendable {  // Written by its maker only, before it is shared.
    private let storage = Buffer(capacity: 1024)
    private var ends: [Int] = []

    init() {}

    var count: Int { ends.count }

    func append(_ text: String) {
        storage.append(text)
        ends.append(storage.end)
    }

    func append(_ bytes: [UInt8]) {
        storage.append(bytes)
        ends.append(storage.end)
    }

    subscript(index: Int) -> Bytes {
        let start = index > 0 ? ends[index - 1] : 0
        return storage.bytes(at: start, count: ends[index] - start)
    }
}

/// Finds the number of a byte string in a `ByteTable`. Strangers choose what is looked for, so the
/// hash has a secret seed; the last comparison takes as long for a wrong answer as for the right one.
struct ByteIndex: Sendable {
    private let table: ByteTable
    private var slots: [Int32]
    private let seed: UInt64

    init(_ table: ByteTable, seed: UInt64) {
        self.table = table
        self.seed = seed
        var size = 8
        while size < table.count * 2 { size *= 2 }
        slots = [Int32](repeating: -1, count: size)
        for number in 0..<table.count {
            var at = Int(truncatingIfNeeded: table[number].hash64(seed: seed)) & (size - 1)
            while slots[at] >= 0 { at = (at + 1) & (size - 1) }
            slots[at] = Int32(truncatingIfNeeded: number)
        }
    }

    func find(_ bytes: Bytes) -> Int? {
        var at = Int(truncatingIfNeeded: bytes.hash64(seed: seed)) & (slots.count - 1)
        while slots[at] >= 0 {
            let number = Int(slots[at])
            if ConstantTime.equal(table[number], bytes) { return number }
            at = (at + 1) & (slots.count - 1)
        }
        return nil
    }
}

/// Comparisons whose time does not tell where two secrets differ.
enum ConstantTime {
    static func equal(_ a: Bytes, _ b: Bytes) -> Bool {
        guard a.count == b.count else { return false }
        var difference: UInt8 = 0
        for i in 0..<a.count { difference |= a[i] ^ b[i] }
        return difference == 0
    }
}
