// The open streams of a connection by their id, and the ids of those that were reset lately.

/// Streams in a dense array, found through a small hash table of places in it.
///
/// Ids follow each other, so their places must not: side by side they would be one run, through which every removal
/// had to walk.
struct HTTP2StreamTable {
    private(set) var streams: [HTTP2Stream] = []
    /// Position in `streams` plus one; 0: free. A power of two of them, at most half in use.
    private var slots: [Int32] = []

    var count: Int { streams.count }

    @inline(__always)
    func find(_ id: UInt32) -> HTTP2Stream? {
        guard !slots.isEmpty else { return nil }
        let place = Int(slots[slot(of: id)])
        return place == 0 ? nil : streams[place - 1]
    }

    mutating func insert(_ stream: HTTP2Stream) {
        stream.position = streams.count
        streams.append(stream)
        if streams.count * 2 > slots.count {
            rebuild(max(16, slots.count * 2))
        } else {
            slots[slot(of: stream.id)] = Int32(streams.count)
        }
    }

    /// - Parameter stream: one that is in the table.
    mutating func remove(_ stream: HTTP2Stream) {
        let hole = slot(of: stream.id)
        let last = streams[streams.count - 1]
        if last !== stream {
            slots[slot(of: last.id)] = Int32(stream.position + 1)
            streams[stream.position] = last
            last.position = stream.position
        }
        streams.removeLast()
        stream.position = -1
        vacate(hole)
    }

    /// The slot that holds `id`, or the free one where it would go.
    @inline(__always)
    private func slot(of id: UInt32) -> Int {
        let mask = slots.count - 1
        var at = Self.home(id) & mask
        while slots[at] != 0, streams[Int(slots[at]) - 1].id != id { at = (at + 1) & mask }
        return at
    }

    /// The high bits of a multiplication depend on all bits of the id.
    @inline(__always)
    private static func home(_ id: UInt32) -> Int { Int((id &* 0x9E37_79B1) >> 12) }

    /// Frees a slot and moves up what would no longer be found behind it.
    private mutating func vacate(_ freed: Int) {
        let mask = slots.count - 1
        var hole = freed
        var at = (hole + 1) & mask
        while slots[at] != 0 {
            let home = Self.home(streams[Int(slots[at]) - 1].id) & mask
            if (at &- home) & mask >= (at &- hole) & mask {
                slots[hole] = slots[at]
                hole = at
            }
            at = (at + 1) & mask
        }
        slots[hole] = 0
    }

    private mutating func rebuild(_ size: Int) {
        slots = [Int32](repeating: 0, count: size)
        for (position, stream) in streams.enumerated() { slots[slot(of: stream.id)] = Int32(position + 1) }
    }
}

/// The streams that we reset last. The peer may not know yet: its frames for them are no error (RFC 9113 section 5.1).
struct HTTP2RecentResets {
    private var ids: [UInt32] = []
    private var oldest = 0
    /// Four times the usual streams: more can hardly be under way.
    private static let limit = 512

    mutating func add(_ id: UInt32) {
        if ids.count < Self.limit { return ids.append(id) }
        ids[oldest] = id
        oldest = (oldest + 1) % Self.limit
    }

    func contains(_ id: UInt32) -> Bool { ids.contains(id) }
}
