// How long things take, counted into fixed bounds.

import Synchronization

/// A histogram of seconds that any task may add to.
final class Timings: Sendable {
    /// Upper bounds in seconds; one more count is for all beyond.
    static let bounds = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30]

    struct Counts: Sendable {
        /// Not cumulative.
        var counts = [UInt64](repeating: 0, count: Timings.bounds.count + 1)
        var sum = 0.0
        var errors: UInt64 = 0
    }

    private let state = Mutex(Counts())

    var counts: Counts { state.withLock { $0 } }

    func add(_ duration: Duration, failed: Bool = false) {
        let seconds = Double(duration.components.seconds) + Double(duration.components.attoseconds) / 1e18
        let place = Self.bounds.firstIndex { seconds <= $0 } ?? Self.bounds.count
        state.withLock { counts in
            counts.counts[place] += 1
            counts.sum += seconds
            if failed { counts.errors += 1 }
        }
    }

    /// Runs `body` and counts how long it took.
    func measure<R, E: Error>(_ body: () async throws(E) -> R) async throws(E) -> R {
        let clock = ContinuousClock()
        let start = clock.now
        do throws(E) {
            let result = try await body()
            add(clock.now - start)
            return result
        } catch {
            add(clock.now - start, failed: true)
            throw error
        }
    }
}
