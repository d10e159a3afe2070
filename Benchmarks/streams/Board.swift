// When which revision was in effect on which stream, and what it cost.

import Foundation
import Snapshot
import Synchronization

/// What all streams write to; a line of JSON for each revision that all have.
final class Board: Sendable {
    private struct Line: Encodable {
        var revision: UInt64
        /// Unix microseconds, one for each stream, ascending.
        var times: [Int64]
        /// Largest and all of the messages, as they were on the stream, without gRPC's five bytes.
        var bytesMax: Int
        var bytesSum: Int
        var fulls: Int
        /// Microseconds that a stream took to decode and apply it, at most.
        var workMax: Int64
    }

    private struct State {
        var lines: [UInt64: Line] = [:]
        /// The revision of each stream; 0: none yet.
        var reached: [UInt64]
        /// The newest that all have.
        var told: UInt64 = 0
        /// Tables by revision, so that a hundred equal copies need the memory of a few.
        var shared: [UInt64: (tables: Snapshot, digest: UInt64)] = [:]
    }

    private let state: Mutex<State>
    private let digestEvery: UInt64

    init(streams: Int, digestEvery: UInt64) {
        state = Mutex(State(reached: [UInt64](repeating: 0, count: streams)))
        self.digestEvery = digestEvery
    }

    static func now() -> Int64 { Int64(Date().timeIntervalSince1970 * 1_000_000) }

    /// A stream has a revision in effect. It may have passed over others, which are in effect with it.
    func reached(_ stream: Int, _ revision: UInt64, bytes: Int, isFull: Bool, work: Int64) {
        let now = Self.now()
        let lines: [Line] = state.withLock { state in
            let before = state.reached[stream]
            state.reached[stream] = revision
            // What comes first is the start, whatever the revision is.
            let from = before == 0 ? revision : before + 1
            for passed in from...max(from, revision) where passed > state.told || before == 0 {
                var line =
                    state.lines[passed]
                    ?? Line(
                        revision: passed, times: [], bytesMax: 0, bytesSum: 0, fulls: 0, workMax: 0)
                line.times.append(now)
                if passed == revision {
                    line.bytesMax = max(line.bytesMax, bytes)
                    line.bytesSum += bytes
                    line.fulls += isFull ? 1 : 0
                    line.workMax = max(line.workMax, work)
                }
                state.lines[passed] = line
            }
            guard let slowest = state.reached.min(), slowest > state.told else { return [] }
            let done = state.lines.keys.filter { $0 <= slowest }.sorted()
            state.told = slowest
            for passed in state.shared.keys where passed < slowest { state.shared[passed] = nil }
            return done.compactMap { state.lines.removeValue(forKey: $0) }
        }
        for line in lines { write(line) }
    }

    private func write(_ line: Line) {
        guard var text = try? JSONEncoder().encode(line) else { return }
        text.append(UInt8(ascii: "\n"))
        FileHandle.standardOutput.write(text)
    }

    /// The tables that another stream has of the same revision, which must be the same.
    func share(_ tables: Snapshot, of revision: UInt64) throws -> Snapshot {
        let known = state.withLock { $0.shared[revision] }
        guard let known else {
            let digest = digestEvery > 0 && revision % digestEvery == 0 ? SnapshotDelta.digest(tables) : 0
            state.withLock { $0.shared[revision] = (tables, digest) }
            return tables
        }
        if known.digest != 0, SnapshotDelta.digest(tables) != known.digest { throw StreamError.differ(revision) }
        return known.tables
    }
}

enum StreamError: Error {
    case ended
    case digest(UInt64)
    case differ(UInt64)
    case base(UInt64, UInt64)
    case farewell(String)
    case authority
}
