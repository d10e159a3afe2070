// Deadlines of many handlers at the cost of a store each.

/// A hashed timing wheel. A handler has at most one entry; moving its deadline later costs nothing,
/// because an entry that fires early is put back at the deadline that then holds.
struct TimerWheel {
    /// Milliseconds per tick: the precision of every timeout.
    static let tickMilliseconds: Int64 = 8
    private static let bucketCount = 2048

    /// Unretained: a handler cancels its entry before it goes away.
    @safe private struct Entry {
        var handler: Unmanaged<EventHandler>?
        var previous: Int32 = -1
        var next: Int32 = -1
        var tick: Int64 = 0
    }

    private var entries: [Entry] = []
    private var free: Int32 = -1
    private var heads = [Int32](repeating: -1, count: TimerWheel.bucketCount)
    private var current: Int64
    /// Handlers that have an entry.
    private(set) var count = 0

    init(now: Int64) { current = now / Self.tickMilliseconds }

    private static func tick(_ deadline: Int64) -> Int64 {
        (deadline + tickMilliseconds - 1) / tickMilliseconds
    }

    /// Makes sure that `handler` is visited at its `deadline` or earlier.
    mutating func arm(_ handler: EventHandler) {
        let tick = max(Self.tick(handler.deadline), current + 1)
        let slot = handler.timerSlot
        if slot >= 0 {
            if entries[Int(slot)].tick <= tick { return }
            unlink(slot)
            link(slot, tick)
            return
        }
        let fresh: Int32
        if free >= 0 {
            fresh = free
            free = entries[Int(fresh)].next
        } else {
            fresh = Int32(entries.count)
            entries.append(Entry())
        }
        unsafe entries[Int(fresh)].handler = Unmanaged.passUnretained(handler)
        handler.timerSlot = fresh
        count += 1
        link(fresh, tick)
    }

    mutating func cancel(_ handler: EventHandler) {
        let slot = handler.timerSlot
        guard slot >= 0 else { return }
        unlink(slot)
        release(slot)
        handler.timerSlot = -1
    }

    private mutating func release(_ slot: Int32) {
        unsafe entries[Int(slot)].handler = nil
        entries[Int(slot)].next = free
        free = slot
        count -= 1
    }

    private mutating func link(_ slot: Int32, _ tick: Int64) {
        let bucket = Int(tick % Int64(Self.bucketCount))
        let head = heads[bucket]
        entries[Int(slot)].tick = tick
        entries[Int(slot)].previous = -1
        entries[Int(slot)].next = head
        if head >= 0 { entries[Int(head)].previous = slot }
        heads[bucket] = slot
    }

    private mutating func unlink(_ slot: Int32) {
        let entry = entries[Int(slot)]
        if entry.previous >= 0 {
            entries[Int(entry.previous)].next = entry.next
        } else {
            heads[Int(entry.tick % Int64(Self.bucketCount))] = entry.next
        }
        if entry.next >= 0 { entries[Int(entry.next)].previous = entry.previous }
    }

    /// Collects the handlers whose deadline is at or before `now` into `due`.
    mutating func advance(to now: Int64, due: inout [EventHandler]) {
        let target = now / Self.tickMilliseconds
        // After a long stall every bucket is visited once; more would repeat.
        if target - current > Int64(Self.bucketCount) { current = target - Int64(Self.bucketCount) }
        while current < target {
            current += 1
            var slot = heads[Int(current % Int64(Self.bucketCount))]
            while slot >= 0 {
                let entry = entries[Int(slot)]
                let next = entry.next
                if entry.tick <= current, let handler = unsafe entry.handler?.takeUnretainedValue() {
                    unlink(slot)
                    if handler.deadline <= now {
                        release(slot)
                        handler.timerSlot = -1
                        due.append(handler)
                    } else if handler.deadline == .max {
                        release(slot)
                        handler.timerSlot = -1
                    } else {
                        link(slot, max(Self.tick(handler.deadline), current + 1))
                    }
                }
                slot = next
            }
        }
    }

    /// Milliseconds from `now` to the next occupied tick, at most `limit`.
    func wait(from now: Int64, limit: Int64) -> Int64 {
        guard count > 0 else { return limit }
        let ticks = limit / Self.tickMilliseconds
        var ahead: Int64 = 1
        while ahead <= ticks {
            if heads[Int((current + ahead) % Int64(Self.bucketCount))] >= 0 {
                return max(0, (current + ahead) * Self.tickMilliseconds - now)
            }
            ahead += 1
        }
        return limit
    }
}
