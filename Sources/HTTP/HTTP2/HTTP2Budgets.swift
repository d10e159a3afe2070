// What a peer may make us do without paying for it: buckets that fill with time and with honest work.

/// Counts one kind of frame against a rate.
struct HTTP2Bucket {
    /// Thousandths of frames in use of the burst.
    private var used: Int64 = 0
    private var at: Int64 = 0
    private static let idleMax: Int64 = 3_600_000

    /// Takes one; false when there is none.
    mutating func take(_ rate: HTTP2Rates.Rate, now: Int64) -> Bool {
        let (elapsed, overflow) = now.subtractingReportingOverflow(at)
        at = now
        let idle = overflow ? Self.idleMax : min(max(elapsed, 0), Self.idleMax)
        used = max(0, used &- idle &* Int64(rate.perSecond)) &+ 1000
        return used <= Int64(rate.burst) &* 1000
    }

    @inline(__always)
    mutating func earn(_ count: Int64) { used = max(0, used &- count &* 1000) }
}

/// A session's buckets, one for each rate.
struct HTTP2Buckets {
    var resets = HTTP2Bucket()
    var settings = HTTP2Bucket()
    var pings = HTTP2Bucket()
    var priorities = HTTP2Bucket()
    var unknown = HTTP2Bucket()
    var empty = HTTP2Bucket()
    var windowUpdates = HTTP2Bucket()

    /// A stream was opened. One that we give up may still get a head, trailers and a reset.
    mutating func streamOpened() {
        priorities.earn(2)
        unknown.earn(3)
        windowUpdates.earn(2)
    }

    @inline(__always)
    mutating func sent(frames: Int, bytes: Int) {
        pings.earn(Int64(frames))
        windowUpdates.earn(4 &* Int64(frames) &+ Int64(bytes >> 10))
    }
}

/// How many bytes of replies wait in an output that the owner empties from the front, whatever else is in it.
///
/// Counted in two parts, before and after a mark: once all before the mark is sent, the first part is. So the
/// count is exact or too high by what was written since the mark, never more than twice too high.
struct HTTP2ReplyTally {
    private var older = 0
    private var newer = 0
    private var mark = 0
    /// Bytes that left the output, ever.
    private var sent = 0
    private var outputCount = 0

    /// Before writing: learns what the owner has sent meanwhile.
    @inline(__always)
    mutating func look(_ count: Int) {
        sent &+= max(0, outputCount - count)
        outputCount = count
    }

    /// After writing anything else.
    @inline(__always)
    mutating func wrote(_ count: Int) { outputCount = count }

    /// A reply of `bytes` was written, after `look`; returns how many bytes of replies wait at most.
    mutating func replied(_ bytes: Int) -> Int {
        if sent >= mark {
            older = newer
            newer = 0
            mark = sent &+ outputCount
        }
        newer += bytes
        outputCount += bytes
        return older + newer
    }
}
