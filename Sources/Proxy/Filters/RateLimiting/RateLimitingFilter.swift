// rate-limiting: how many requests each client may make in a calendar window.
//
// 1. whose count   identify: the consumer, credential, address, … that `limitBy` names
// 2. count         RateCounters.take: all windows at once, or none
// 3. tell          X-RateLimit-*, RateLimit-* of the tightest window, Retry-After when refused

import Bytes
import Engine
import HTTP
import Snapshot

final class RateLimitingFilter: FilterInstance, @unchecked Sendable {
    private let config: RateLimiting
    private let limits: RateLimits
    private let counters: RateCounters
    /// Of the secret and the plugin's scope: the same scope counts on when the configuration is replaced.
    private let seed: UInt64
    /// Ids by index into the snapshot.
    private let consumers: [ID]
    private let services: [ID]
    private let header: FieldKey
    private let path: [UInt8]
    private let message: [UInt8]

    init(_ config: RateLimiting, consumers: [ID], services: [ID], shared: SharedState) {
        self.config = config
        self.consumers = consumers
        self.services = services
        counters = shared.rates
        var limits = RateLimits()
        limits.set(.second, config.second)
        limits.set(.minute, config.minute)
        limits.set(.hour, config.hour)
        limits.set(.day, config.day)
        limits.set(.month, config.month)
        limits.set(.year, config.year)
        self.limits = limits
        seed = Self.mix(Self.mix(shared.seed, config.route), config.service)
        header = FieldKey(config.headerName)
        path = Array(config.path.utf8)
        message = Array(config.errorMessage.utf8)
    }

    override var name: StaticString { "rate-limiting" }

    override func access(_ x: Exchange) -> FilterVerdict {
        let windows = RateWindows(nanoseconds: x.worker.loop.wallNanoseconds, limits: limits)
        let usage = counters.take(identify(x), limits: limits, windows: windows)
        switch usage.verdict {
        case .full:
            // The table has no room for one more client: Kong's choice when counts cannot be kept.
            return config.faultTolerant ? .next : x.replyError(500, Bytes("An unexpected error occurred"))
        case .admitted:
            if !config.hideClientHeaders { tell(x, usage, windows) }
            return .next
        case .refused:
            let verdict = message.withBytes { x.replyError(config.errorCode, $0) }
            if !config.hideClientHeaders {
                let reset = tell(x, usage, windows)
                add(x, "Retry-After", reset)
            }
            return verdict
        }
    }

    // MARK: 1. Whose count

    /// The key under which the request is counted. Every kind of identity has its own keys, so that a
    /// header cannot name somebody's address.
    private func identify(_ x: Exchange) -> UInt64 {
        switch config.limitBy {
        case .consumer:
            if x.consumer >= 0 { return mixed(consumers[x.consumer], .consumer) }
            if let credential = x.credential { return mixed(credential, .credential) }
        case .credential:
            if let credential = x.credential { return mixed(credential, .credential) }
        case .service:
            if x.service >= 0 { return mixed(services[x.service], .service) }
        case .header:
            if let value = x.requestHeaders.first(header) {
                return value.hash64(seed: Self.mix(seed, UInt64(LimitBy.header.rawValue)))
            }
        case .path:
            if path.withBytes({ $0 == x.path }) { return Self.mix(seed, UInt64(LimitBy.path.rawValue)) }
        case .ip: break
        }
        let address = x.clientAddress
        let kind = UInt64(LimitBy.ip.rawValue) << 1 | (address.isIPv6 ? 1 : 0)
        return Self.mix(Self.mix(Self.mix(seed, kind), address.high), address.low)
    }

    private func mixed(_ id: ID, _ kind: LimitBy) -> UInt64 {
        Self.mix(Self.mix(seed, UInt64(kind.rawValue)), id)
    }

    private static func mix(_ hash: UInt64, _ id: ID) -> UInt64 { mix(mix(hash, id.high), id.low) }

    /// Two rounds of multiplication, each folding the high half into the low one.
    private static func mix(_ hash: UInt64, _ word: UInt64) -> UInt64 {
        let first = (hash ^ 0x9E37_79B9_7F4A_7C15).multipliedFullWidth(by: 0x9FB2_1C65_1E98_DF25)
        let second = (first.high ^ first.low ^ word).multipliedFullWidth(by: 0xA076_1D64_78BD_642F)
        return second.high ^ second.low
    }

    // MARK: 3. Tell

    private static let limitNames: [StaticString] = [
        "X-RateLimit-Limit-Second", "X-RateLimit-Limit-Minute", "X-RateLimit-Limit-Hour", "X-RateLimit-Limit-Day",
        "X-RateLimit-Limit-Month", "X-RateLimit-Limit-Year",
    ]
    private static let remainingNames: [StaticString] = [
        "X-RateLimit-Remaining-Second", "X-RateLimit-Remaining-Minute", "X-RateLimit-Remaining-Hour",
        "X-RateLimit-Remaining-Day", "X-RateLimit-Remaining-Month", "X-RateLimit-Remaining-Year",
    ]

    /// Adds the fields; returns the seconds until the tightest window is over. The tightest is the one
    /// with the least left, of equals the longest.
    @discardableResult
    private func tell(_ x: Exchange, _ usage: RateUsage, _ windows: RateWindows) -> Int {
        var tightest = (limit: 0, remaining: Int.max, reset: 1)
        for period in 0..<RatePeriod.count where limits[period] > 0 {
            let limit = limits[period]
            let used = usage.used[period] + (usage.verdict == .admitted && limits.counts(period) ? 1 : 0)
            let remaining = max(0, limit - used)
            add(x, Self.limitNames[period], limit)
            add(x, Self.remainingNames[period], remaining)
            if remaining <= tightest.remaining {
                tightest = (limit, remaining, max(1, windows.ends[period] - windows.now))
            }
        }
        add(x, "RateLimit-Limit", tightest.limit)
        add(x, "RateLimit-Remaining", tightest.remaining)
        add(x, "RateLimit-Reset", tightest.reset)
        return tightest.reset
    }

    private func add(_ x: Exchange, _ name: StaticString, _ value: Int) {
        let text = x.worker.scratch
        text.clear()
        text.append(decimal: value)
        x.addedHeaders.add(Bytes(name), text.readable)
    }
}
