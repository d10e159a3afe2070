// How often one address may guess at tokens before it has to wait.

/// Counts failed guesses by address. A value without a clock: the caller brings the time.
struct Throttle: Sendable {
    /// Guesses that an address may make at once, and how long one of them takes to be forgiven.
    static let burst = 30
    static let forgivenEvery: Int64 = 2_000
    /// Addresses remembered; beyond that the one that failed longest ago is forgotten.
    static let addresses = 4_096

    /// Time at which an address would be back at zero, Unix milliseconds.
    private var clear: [String: Int64] = [:]

    /// Seconds that the address has to wait; nil: it may try.
    func wait(_ address: String, now: Int64) -> Int? {
        guard let clear = clear[address] else { return nil }
        let over = clear - now - Int64(Self.burst) * Self.forgivenEvery
        return over > 0 ? Int((over + 999) / 1000) : nil
    }

    mutating func failed(_ address: String, now: Int64) {
        if clear.count >= Self.addresses, clear[address] == nil { forget(now) }
        clear[address] = max(clear[address] ?? now, now) + Self.forgivenEvery
    }

    private mutating func forget(_ now: Int64) {
        clear = clear.filter { $0.value > now }
        if clear.count >= Self.addresses, let oldest = clear.min(by: { $0.value < $1.value }) {
            clear[oldest.key] = nil
        }
    }
}
