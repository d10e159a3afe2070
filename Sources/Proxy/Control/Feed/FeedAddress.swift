// Where control planes are, and when which of them is tried.

import Bytes

/// `https://host:port` taken apart.
struct FeedAddress: Equatable, Sendable {
    /// Without brackets.
    var host: String
    var port: UInt16

    static let portDefault: UInt16 = 5678

    /// Nil for anything else; without a port it is 5678.
    init?(_ text: String) {
        let scheme = "https://"
        guard text.hasPrefix(scheme) else { return nil }
        var rest = text.dropFirst(scheme.count)
        if rest.hasSuffix("/") { rest = rest.dropLast() }
        guard !rest.isEmpty, !rest.contains("/"), !rest.contains("@") else { return nil }
        var digits: Substring?
        if rest.hasPrefix("[") {
            guard let close = rest.firstIndex(of: "]") else { return nil }
            host = String(rest[rest.index(after: rest.startIndex)..<close])
            let tail = rest[rest.index(after: close)...]
            guard tail.isEmpty || tail.hasPrefix(":"), IPAddress(host) != nil else { return nil }
            digits = tail.isEmpty ? nil : tail.dropFirst()
        } else if let colon = rest.lastIndex(of: ":") {
            host = String(rest[..<colon])
            digits = rest[rest.index(after: colon)...]
            guard !host.contains(":") else { return nil }
        } else {
            host = String(rest)
        }
        guard !host.isEmpty else { return nil }
        guard let digits else {
            port = Self.portDefault
            return
        }
        guard (1...5).contains(digits.utf8.count), digits.utf8.allSatisfy(ASCII.isDigit), let value = UInt16(digits),
            value > 0
        else { return nil }
        port = value
    }
}

/// Which of several addresses is next, and after how long: each failure doubles the pause after a whole round.
/// No clock, and randomness only from outside.
struct FeedDialer {
    /// Milliseconds.
    static let pauseFirst: Int64 = 200
    static let pauseMax: Int64 = 10_000

    private let count: Int
    private var at: Int
    /// Failures since the last success.
    private(set) var failures = 0

    /// - Parameters:
    ///   - count: addresses, at least one.
    ///   - first: where to begin, so that many gateways do not all go to the first one.
    init(count: Int, first: Int) {
        self.count = max(1, count)
        at = abs(first % self.count)
    }

    /// The address to try.
    var current: Int { at }

    mutating func succeeded() { failures = 0 }

    /// Moves on to the next address.
    ///
    /// - Parameter random: 0 ..< 1, spreads gateways that failed at the same moment.
    /// - Returns: milliseconds to wait before it is tried. A first failure of each address costs next to nothing: the
    ///   next one may be well.
    mutating func failed(random: Double) -> Int64 {
        failures += 1
        at = (at + 1) % count
        let rounds = failures / count
        if rounds == 0 { return Int64(50 * random) }
        let pause = min(Self.pauseMax, Self.pauseFirst << Int64(min(rounds - 1, 10)))
        // Half to the whole of it.
        return pause / 2 + Int64(Double(pause / 2) * random)
    }
}
