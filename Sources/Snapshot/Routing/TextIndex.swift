// A flat hash table from (context, text) to small numbers: what the router's indexes are made of.

internal import Bytes

/// Numbers the distinct (context, text) pairs added to it from 0 up. Texts live in `pool`.
///
/// Open addressing, at most half full. A slot is 0 if free, else the hash's upper half and the
/// number plus one, so that a probe rarely reads a text that is not the one sought.
struct TextIndex {
    private var slots: [UInt64]
    private var mask: Int
    private var entries: [Entry] = []

    private struct Entry {
        var context: UInt64
        var offset: UInt32
        var count: UInt32
    }

    init(expecting count: Int = 8) {
        var size = 16
        while size < count * 2 { size *= 2 }
        slots = [UInt64](repeating: 0, count: size)
        mask = size - 1
        entries.reserveCapacity(count)
    }

    var count: Int { entries.count }
    var isEmpty: Bool { entries.isEmpty }

    func context(_ number: Int) -> UInt64 { entries[number].context }

    func text(_ number: Int, in pool: Buffer) -> Bytes {
        pool.bytes(at: Int(entries[number].offset), count: Int(entries[number].count))
    }

    /// The number of (`context`, `text`) whose hash is `hash`, or -1.
    @inline(__always)
    func find(_ hash: UInt64, _ context: UInt64, _ text: Bytes, in pool: Buffer) -> Int {
        var at = Int(truncatingIfNeeded: hash) & mask
        while true {
            let slot = slots[at]
            if slot == 0 { return -1 }
            if slot >> 32 == hash >> 32 {
                let number = Int(slot & 0xFFFF_FFFF) - 1
                let entry = entries[number]
                if entry.context == context, Int(entry.count) == text.count,
                    pool.bytes(at: Int(entry.offset), count: text.count) == text
                {
                    return number
                }
            }
            at = (at + 1) & mask
        }
    }

    /// The number of (`context`, `text`), which is added, and `text` to `pool`, if it is new.
    mutating func add(_ hash: UInt64, _ context: UInt64, _ text: Bytes, in pool: Buffer) -> Int {
        let found = find(hash, context, text, in: pool)
        if found >= 0 { return found }
        if (entries.count + 1) * 2 > slots.count { grow() }
        entries.append(Entry(context: context, offset: UInt32(pool.end), count: UInt32(text.count)))
        pool.append(text)
        insert(hash, entries.count - 1)
        hashes.append(hash)
        return entries.count - 1
    }

    /// Hashes by number, kept only while building.
    private var hashes: [UInt64] = []

    private mutating func insert(_ hash: UInt64, _ number: Int) {
        var at = Int(truncatingIfNeeded: hash) & mask
        while slots[at] != 0 { at = (at + 1) & mask }
        slots[at] = (hash & ~0xFFFF_FFFF) | UInt64(number + 1)
    }

    private mutating func grow() {
        slots = [UInt64](repeating: 0, count: slots.count * 2)
        mask = slots.count - 1
        for number in 0..<hashes.count { insert(hashes[number], number) }
    }

    /// Drops what only building needs.
    mutating func freeze() {
        hashes = []
        entries = Array(entries)
    }
}

/// The hash of a text and of its prefixes: `state` runs over whole words, `finish` adds the rest, so
/// that the prefixes of one path are hashed in one pass.
struct PrefixHash {
    private var state: UInt64
    private var at = 0

    @inline(__always)
    init(seed: UInt64) { state = seed }

    /// The hash of the first `count` bytes of `text`; calls must not go back.
    @inline(__always)
    mutating func prefix(_ text: Bytes, _ count: Int, _ context: UInt64) -> UInt64 {
        while at + 8 <= count {
            state = Self.mix(state ^ text.load64(at), 0x9FB2_1C65_1E98_DF25)
            at += 8
        }
        var tail: UInt64 = 0
        let rest = count - at
        if rest > 0 {
            if at + 8 <= text.count {
                tail = text.load64(at) & (UInt64.max >> UInt64(64 - rest * 8))
            } else {
                var i = rest
                while i > 0 {
                    i -= 1
                    tail = tail << 8 | UInt64(text[at + i])
                }
            }
        }
        let length = UInt64(truncatingIfNeeded: count) &* 0xA076_1D64_78BD_642F
        let mixed = Self.mix(state ^ tail ^ length, 0xE703_7ED1_A0B4_28DB)
        return Self.mix(mixed ^ context, 0x8EBC_6AF0_9C88_C6E3)
    }

    /// The hash of all of `text`.
    @inline(__always)
    static func of(_ text: Bytes, _ context: UInt64, seed: UInt64) -> UInt64 {
        var hash = PrefixHash(seed: seed)
        return hash.prefix(text, text.count, context)
    }

    @inline(__always)
    private static func mix(_ x: UInt64, _ k: UInt64) -> UInt64 {
        let product = x.multipliedFullWidth(by: k)
        return product.high ^ product.low
    }
}
