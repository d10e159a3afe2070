// What filters keep across workers and snapshots.

import Glibc

/// Made once for the life of the proxy.
final class SharedState: Sendable {
    /// Secret of every hash that strangers could aim at.
    let seed: UInt64
    let rates: RateCounters
    let correlations = CorrelationCounter()
    let process: Int32

    init(seed: UInt64 = .random(in: 1 ... .max), rateCapacity: Int = RateCounters.standardCapacity) {
        self.seed = seed
        rates = RateCounters(capacity: rateCapacity)
        process = getpid()
    }
}
