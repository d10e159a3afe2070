// How often an address may fail in a minute before it is not listened to.

/// Counts failures by address, in windows of a minute. A value: whoever has it brings time and lock.
struct AttemptLimiter {
    private struct Window {
        var minute: Int
        var failures = 0
    }

    private let perMinute: Int
    /// Addresses remembered; at the limit, those of past minutes go, and then everybody new has to wait.
    private static let addressesMax = 10_000
    private var windows: [String: Window] = [:]

    init(perMinute: Int) { self.perMinute = perMinute }

    /// Whether the address may try now, Unix seconds.
    mutating func allows(_ address: String, now: Int) -> Bool {
        if let window = windows[address], window.minute == now / 60 { return window.failures < perMinute }
        guard windows.count >= Self.addressesMax else { return true }
        windows = windows.filter { $0.value.minute == now / 60 }
        return windows.count < Self.addressesMax
    }

    mutating func failed(_ address: String, now: Int) {
        var window = windows[address] ?? Window(minute: now / 60)
        if window.minute != now / 60 { window = Window(minute: now / 60) }
        window.failures += 1
        windows[address] = window
    }
}
