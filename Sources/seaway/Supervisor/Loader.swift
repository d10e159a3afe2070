// Reads configurations and stores snapshots on a thread of its own, so that supervision never waits.

import Bytes
import CLinux
import Model
import Snapshot
import Synchronization

/// What became of reading the configuration.
struct LoadResult: Sendable {
    var diagnostics: [Diagnostic]
    var source: [UInt8]
    /// The snapshot's wire form with revision 0; nil when the file cannot be used.
    var body: [UInt8]?
    var summary = ""
    /// Milliseconds from the request to this result.
    var milliseconds = 0.0
}

/// One thread, one job at a time; results are announced by an eventfd.
final class Loader: Sendable {
    enum Job: Sendable {
        case load(PipelineInput, requestedAt: Int64)
        case store([UInt8], path: String)
    }

    private struct State {
        var loads: [Job] = []
        /// Only the latest snapshot is worth storing.
        var store: Job?
        var results: [LoadResult] = []
        var storeError: Int32 = 0
        var running = false
    }

    private let state = Mutex(State())
    /// Readable when `take` has something.
    let ready = sys_eventfd()

    func submit(_ job: Job) {
        let start = state.withLock { state in
            switch job {
            case .load: state.loads.append(job)
            case .store: state.store = job
            }
            defer { state.running = true }
            return !state.running
        }
        // The thread ends when there is no work left: an idle supervisor has one thread.
        if start { detach() }
    }

    /// Results since the last call, and the error of a failed store (0: none).
    func take() -> (results: [LoadResult], storeError: Int32) {
        _ = sys_eventfd_drain(ready)
        return state.withLock { state in
            defer {
                state.results = []
                state.storeError = 0
            }
            return (state.results, state.storeError)
        }
    }

    private func detach() {
        var thread = pthread_t()
        let retained = unsafe Unmanaged.passRetained(self)
        let failed = unsafe pthread_create(
            &thread, nil,
            { raw in
                // The pointer is the one retained above, handed to exactly one thread.
                if let raw = unsafe raw { unsafe Unmanaged<Loader>.fromOpaque(raw).takeRetainedValue().work() }
                return nil
            }, retained.toOpaque())
        guard failed == 0 else {
            unsafe retained.release()
            work()  // No thread to be had: late is better than never.
            return
        }
        _ = pthread_detach(thread)
    }

    private func work() {
        while let job = next() {
            switch job {
            case .load(let input, let requestedAt):
                let result = Self.load(input, requestedAt: requestedAt)
                state.withLock { $0.results.append(result) }
                _ = sys_eventfd_signal(ready)
            case .store(let bytes, let path):
                let error = FileBytes.replace(path, with: bytes)
                if error != 0 {
                    state.withLock { $0.storeError = error }
                    _ = sys_eventfd_signal(ready)
                }
            }
        }
        // The decoded model of a large file is garbage by now: give it back.
        _ = malloc_trim(0)
    }

    private func next() -> Job? {
        state.withLock { state in
            if !state.loads.isEmpty { return state.loads.removeFirst() }
            defer { state.store = nil }
            if state.store == nil { state.running = false }
            return state.store
        }
    }

    /// One whole configuration, from file to wire form.
    static func load(_ input: PipelineInput, requestedAt: Int64) -> LoadResult {
        let loaded = Pipeline.load(input)
        var result = LoadResult(diagnostics: loaded.diagnostics, source: loaded.source)
        if let snapshot = loaded.snapshot {
            result.body = snapshot.wire
            result.summary =
                counted(snapshot.routes.count, "route") + ", " + counted(snapshot.services.count, "service")
        }
        result.milliseconds = Double(sys_monotonic_nanoseconds() - requestedAt) / 1e6
        return result
    }
}

/// `1 route`, `2 routes`.
func counted(_ n: Int, _ noun: String) -> String { "\(n) \(noun)\(n == 1 ? "" : "s")" }
