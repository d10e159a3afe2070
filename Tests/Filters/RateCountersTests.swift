// Counting under contention: exact, bounded, forgetting what is over.

import Foundation
import Synchronization
import Testing

@testable import Proxy

@Suite struct RateCountersTests {
    private func limits(_ pairs: (RatePeriod, Int)...) -> RateLimits {
        var limits = RateLimits()
        for (period, limit) in pairs { limits.set(period, limit) }
        return limits
    }

    private func windows(_ limits: RateLimits, second: Int) -> RateWindows {
        RateWindows(nanoseconds: Int64(second) * 1_000_000_000 + 5, limits: limits)
    }

    /// Runs `body` on `count` threads at once.
    private func onThreads(_ count: Int, _ body: @escaping @Sendable (Int) -> Void) {
        let done = DispatchSemaphore(value: 0)
        for index in 0..<count {
            Thread.detachNewThread {
                body(index)
                done.signal()
            }
        }
        for _ in 0..<count { done.wait() }
    }

    @Test("a window admits exactly its limit, and a new one starts from nothing")
    func oneWindow() {
        let counters = RateCounters(capacity: 64)
        let limits = limits((.minute, 5))
        for start in [600, 660, 720] {
            var admitted = 0
            for second in 0..<9
            where counters.take(77, limits: limits, windows: windows(limits, second: start + second)).verdict
                == .admitted
            {
                admitted += 1
            }
            #expect(admitted == 5)
        }
    }

    @Test("a refused request counts in no window")
    func refusedIsNotCounted() {
        let counters = RateCounters(capacity: 64)
        let limits = limits((.second, 2), (.hour, 4))
        var admitted: [Int] = []
        for second in 0..<4 {
            admitted.append(
                (0..<5).filter { _ in
                    counters.take(9, limits: limits, windows: windows(limits, second: 7200 + second)).verdict
                        == .admitted
                }.count)
        }
        // Were refusals counted, the hour would be full after the first second.
        #expect(admitted == [2, 2, 0, 0])
    }

    @Test(
        "eight threads share one key and never admit more or fewer than the limits allow",
        arguments: [(0, 10_000), (700, 10_000), (3, 5), (0, 1)])
    func exactUnderThreads(perMinute: Int, perHour: Int) {
        let counters = RateCounters(capacity: 16)
        let limits = limits((.minute, perMinute), (.hour, perHour))
        let admitted = Atomic<Int>(0)
        onThreads(8) { _ in
            for _ in 0..<4000
            where counters.take(123_456_789, limits: limits, windows: windows(limits, second: 36_000)).verdict
                == .admitted
            {
                admitted.add(1, ordering: .relaxed)
            }
        }
        #expect(admitted.load(ordering: .relaxed) == (perMinute > 0 ? min(perMinute, perHour) : perHour))
    }

    @Test("threads that bring the same new keys at once never split a key's count")
    func exactForNewKeys() {
        let limits = limits((.minute, 3))
        for round in 0..<200 {
            let counters = RateCounters(capacity: 256)
            let admitted = AtomicWords(count: 32)
            onThreads(8) { _ in
                for key in 0..<32 {
                    let name = UInt64(round * 32 + key + 1) &* 0x9E37_79B9_7F4A_7C15
                    for _ in 0..<2
                    where counters.take(name, limits: limits, windows: windows(limits, second: 60)).verdict == .admitted
                    {
                        admitted.increment(key)
                    }
                }
            }
            for key in 0..<32 { #expect(admitted.load(key) == 3, "round \(round), key \(key)") }
        }
    }

    @Test("slots change hands under threads without a count going wrong")
    func exactUnderEviction() {
        // 16 slots for ever new keys: every window evicts those of the one before.
        let counters = RateCounters(capacity: 16)
        let limits = limits((.second, 2))
        for second in 1...300 {
            let keys = (0..<12).map { UInt64(second * 100 + $0) &* 0xD6E8_FEB8_6659_FD93 }
            let admitted = AtomicWords(count: 12)
            let full = Atomic<Int>(0)
            onThreads(4) { _ in
                for (index, key) in keys.enumerated() {
                    switch counters.take(key, limits: limits, windows: windows(limits, second: second * 10)).verdict {
                    case .admitted: admitted.increment(index)
                    case .full: full.add(1, ordering: .relaxed)
                    case .refused: break
                    }
                }
            }
            #expect(full.load(ordering: .relaxed) == 0)
            for index in 0..<12 { #expect(admitted.load(index) == 2, "second \(second), key \(index)") }
        }
    }

    @Test("a table full of live keys says so, and has room again when they are over")
    func full() {
        let counters = RateCounters(capacity: 16)
        let limits = limits((.minute, 1))
        for key in 1...16 {
            #expect(
                counters.take(UInt64(key) << 32, limits: limits, windows: windows(limits, second: 120)).verdict
                    == .admitted)
        }
        #expect(counters.take(17 << 32, limits: limits, windows: windows(limits, second: 121)).verdict == .full)
        #expect(counters.take(3 << 32, limits: limits, windows: windows(limits, second: 122)).verdict == .refused)
        #expect(counters.take(17 << 32, limits: limits, windows: windows(limits, second: 190)).verdict == .admitted)
    }

    @Test("a clock that a turn lies behind counts in the window that has begun")
    func lateClock() {
        let counters = RateCounters(capacity: 16)
        let limits = limits((.second, 2))
        #expect(counters.take(5, limits: limits, windows: windows(limits, second: 101)).verdict == .admitted)
        #expect(counters.take(5, limits: limits, windows: windows(limits, second: 100)).verdict == .admitted)
        #expect(counters.take(5, limits: limits, windows: windows(limits, second: 101)).verdict == .refused)
    }

    @Test("a limit beyond what a window counts is never reached")
    func hugeLimit() {
        let counters = RateCounters(capacity: 16)
        let limits = limits((.year, 10_000_000_000))
        #expect(counters.take(5, limits: limits, windows: windows(limits, second: 101)).verdict == .admitted)
    }

    @Test(
        "windows are those of the calendar in UTC",
        arguments: [
            // Unix seconds of 2024-02-29T23:59:59, 2023-12-31T23:59:59, 1970-01-01, 2100-03-01 (no leap day before it)
            (1_709_251_199, 1_709_251_200, 1_735_689_600), (1_704_067_199, 1_704_067_200, 1_704_067_200),
            (0, 2_678_400, 31_536_000), (4_107_542_400, 4_110_220_800, 4_133_980_800),
        ])
    func calendar(now: Int, monthEnd: Int, yearEnd: Int) {
        var limits = RateLimits()
        for period in RatePeriod.allCases { limits.set(period, 1) }
        let windows = windows(limits, second: now)
        #expect(windows.ends[RatePeriod.month.rawValue] == monthEnd)
        #expect(windows.ends[RatePeriod.year.rawValue] == yearEnd)
        #expect(windows.ends[RatePeriod.second.rawValue] == now + 1)
        #expect(windows.ends[RatePeriod.day.rawValue] == (now / 86_400 + 1) * 86_400)
        let next = self.windows(limits, second: monthEnd)
        #expect(next.numbers[RatePeriod.month.rawValue] == windows.numbers[RatePeriod.month.rawValue] + 1)
    }
}

extension AtomicWords {
    fileprivate func increment(_ index: Int) {
        while true {
            let current = load(index)
            if exchange(index, current, current + 1) { return }
        }
    }
}
