// The endpoints that one request has tried.

/// A set of endpoint serials, inline for the first eight; a request starts with an empty one.
struct Tried: Sendable {
    private var first = InlineArray<8, UInt32>(repeating: 0)
    /// Only for requests with more than eight tries; at most `Tried.countMax`.
    private var rest: [UInt32] = []
    private(set) var count = 0

    /// Tries remembered per request; Kong's `retries` may be larger, later tries repeat.
    static let countMax = 4096

    init() {}

    var isEmpty: Bool { count == 0 }

    @inline(__always)
    func contains(_ serial: UInt32) -> Bool {
        if count == 0 { return false }
        for i in 0..<min(count, 8) where first[i] == serial { return true }
        return count > 8 && rest.contains(serial)
    }

    mutating func insert(_ serial: UInt32) {
        guard !contains(serial), count < Self.countMax else { return }
        if count < 8 { first[count] = serial } else { rest.append(serial) }
        count += 1
    }

    mutating func clear() {
        count = 0
        rest.removeAll(keepingCapacity: true)
    }
}
