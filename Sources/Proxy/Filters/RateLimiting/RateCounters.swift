// Request counts shared by all workers: exact, bounded, without a lock.
//
// One slot counts one key in all of its windows. Its words:
//
//     key      62 bits of the key's hash, 2 bits of state
//     count    dead bit, 31 bits of generation, 32 bits: requests admitted since the slot exists
//     expires  Unix seconds at which the last of its windows is over
//     base 0…5 number of the window (32 bits), the count when that window began (32 bits)
//
// A window's use is `count - base`. So one compare-and-swap of `count` admits a request in all windows
// at once, or in none: two workers can never both take the last place, and a refused request leaves
// no trace. The first request of a new window moves that window's base up to the count.

/// What counting one request came to.
struct RateUsage {
    enum Verdict { case admitted, refused, full }
    var verdict: Verdict
    /// Requests that the windows had admitted before this one.
    var used = InlineArray<6, Int>(repeating: 0)
}

/// A table of counts by key. Keys are 64-bit hashes made with a secret seed: two clients share a count
/// only if 62 bits of their hashes agree.
///
/// A key lives in one of `neighbours` slots that its hash chooses, so that looking and making room
/// are bounded. A slot is given to another key when all of its windows are over. When a new key finds
/// its slots taken by live ones the table is full for it; the caller decides what that means.
final class RateCounters: Sendable {
    /// 24 MB of address space; memory is taken as keys come.
    static let standardCapacity = 1 << 18
    static let neighbours = 16
    private static let cellWords = 8

    private let keys: AtomicWords
    private let cells: AtomicWords
    private let mask: Int

    // States of a key word.
    private static let inserting: UInt64 = 1
    private static let member: UInt64 = 2
    private static let collided: UInt64 = 3
    private static let dead: UInt64 = 1 << 63

    /// Room for about `capacity` keys; a power of two is used.
    init(capacity: Int = RateCounters.standardCapacity) {
        var size = Self.neighbours
        while size < capacity { size *= 2 }
        keys = AtomicWords(count: size)
        cells = AtomicWords(count: size * Self.cellWords)
        mask = size - 1
    }

    /// Counts a request of `key` if every limit allows it.
    func take(_ key: UInt64, limits: RateLimits, windows: RateWindows) -> RateUsage {
        let name = max(key & ~3, 4)
        while true {
            guard let slot = find(name) ?? insert(name, windows) else { return RateUsage(verdict: .full) }
            if let usage = take(slot, name, limits, windows) { return usage }
        }
    }

    /// nil: the slot changed under our hands; start over.
    private func take(_ slot: Int, _ name: UInt64, _ limits: RateLimits, _ windows: RateWindows) -> RateUsage? {
        let cell = slot * Self.cellWords
        let state = cells.load(cell)
        // The key is read again after the count: if it is still ours, so was the count.
        guard state & Self.dead == 0, keys.load(slot) == name | Self.member else { return nil }
        // Before the count: who wants the slot reads them in the other order.
        cells.raise(cell + 1, to: UInt64(windows.lastEnd))
        let count = UInt32(truncatingIfNeeded: state)
        var usage = RateUsage(verdict: .admitted)
        for period in 0..<RatePeriod.count where limits.counts(period) {
            guard let used = use(cell + 2 + period, windows.numbers[period], count) else { return nil }
            usage.used[period] = used
            if used >= limits[period] { usage.verdict = .refused }
        }
        if usage.verdict == .refused {
            // Read bases may be those of a key that came after ours.
            return (cells.load(cell) ^ state) >> 32 == 0 ? usage : nil
        }
        let next = state & ~0xFFFF_FFFF | UInt64(count &+ 1)
        return cells.exchange(cell, state, next) ? usage : nil
    }

    /// Requests in the window so far; nil if the count was read too long ago to tell.
    private func use(_ base: Int, _ window: UInt32, _ count: UInt32) -> Int? {
        while true {
            let word = cells.load(base)
            // A worker whose clock is a turn behind counts in the window that others have begun.
            if UInt32(word >> 32) < window {
                guard cells.exchange(base, word, UInt64(window) << 32 | UInt64(count)) else { continue }
                return 0
            }
            let used = Int32(bitPattern: count &- UInt32(truncatingIfNeeded: word))
            return used < 0 ? nil : Int(used)
        }
    }

    // MARK: Slots

    private func slot(_ name: UInt64, _ step: Int) -> Int {
        (Int(truncatingIfNeeded: name >> 20) &+ step) & mask
    }

    private func find(_ name: UInt64) -> Int? {
        for step in 0..<Self.neighbours {
            let slot = slot(name, step)
            if isMember(slot, name) { return slot }
        }
        return nil
    }

    private func isMember(_ slot: Int, _ name: UInt64) -> Bool {
        keys.load(slot) == name | Self.member && cells.load(slot * Self.cellWords) & Self.dead == 0
    }

    /// Makes a slot for `name`. Several workers may do so at once for the same name, and only one of their
    /// slots may come to count. So a slot is first only announced; its owner makes it count after it
    /// has looked at all others and taken the announcements that it met out of the race. Of two
    /// announcements the later one sees the earlier one.
    private func insert(_ name: UInt64, _ windows: RateWindows) -> Int? {
        var patience = 1000
        while true {
            if let known = find(name) { return known }
            guard let own = announce(name, windows) else { return nil }
            switch settle(own, name, isPatient: patience > 0) {
            case .won: return own
            case .known(let slot): return slot
            case .again: patience -= 1
            }
        }
    }

    private enum Settlement { case won, known(Int), again }

    private func settle(_ own: Int, _ name: UInt64, isPatient: Bool) -> Settlement {
        var isBeforeOwn = true
        for step in 0..<Self.neighbours {
            let other = slot(name, step)
            if other == own {
                isBeforeOwn = false
                continue
            }
            // Read once: an announcement may come to count at any moment, and must not be missed then.
            var key = keys.load(other)
            if key == name | Self.inserting {
                if isBeforeOwn, isPatient {
                    // The one in front goes first.
                    keys.store(own, 0)
                    return .again
                }
                if keys.exchange(other, key, name | Self.collided) { continue }
                key = keys.load(other)
            }
            if key == name | Self.member, isMember(other, name) {
                keys.store(own, 0)
                return .known(other)
            }
            // Freed and announced again meanwhile: that owner looks after us.
        }
        if keys.exchange(own, name | Self.inserting, name | Self.member) { return .won }
        // Taken out of the race; only the owner frees it.
        keys.store(own, 0)
        return .again
    }

    /// Takes a free slot, or one whose windows are all over, and announces it for `name`.
    private func announce(_ name: UInt64, _ windows: RateWindows) -> Int? {
        for step in 0..<Self.neighbours {
            let slot = slot(name, step)
            guard keys.load(slot) == 0, keys.exchange(slot, 0, name | Self.inserting) else { continue }
            cells.store(slot * Self.cellWords + 1, UInt64(windows.lastEnd))
            return slot
        }
        for step in 0..<Self.neighbours {
            let slot = slot(name, step)
            if evict(slot, for: name, windows) { return slot }
        }
        return nil
    }

    /// The count goes on where it was, so that whatever a slow worker still writes into the bases
    /// is never ahead of it; the generation makes that worker's own count fail.
    private func evict(_ slot: Int, for name: UInt64, _ windows: RateWindows) -> Bool {
        let cell = slot * Self.cellWords
        let state = cells.load(cell)
        let key = keys.load(slot)
        guard key & 3 == Self.member, state & Self.dead == 0 else { return false }
        // One second more, for workers whose clock is a turn behind.
        guard cells.load(cell + 1) + 1 < UInt64(windows.now), cells.exchange(cell, state, state | Self.dead) else {
            return false
        }
        let generation = (state >> 32 &+ 1) & 0x7FFF_FFFF
        let isOurs = keys.exchange(slot, key, name | Self.inserting)
        precondition(isOurs, "only who marks a slot dead changes its key")
        cells.store(cell + 1, UInt64(windows.lastEnd))
        cells.store(cell, generation << 32 | state & 0xFFFF_FFFF)
        return true
    }
}
