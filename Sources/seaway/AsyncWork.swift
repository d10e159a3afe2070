// From the commands' synchronous world into the asynchronous one of the control plane.

import Dispatch
import Synchronization

enum AsyncWork {
    /// Runs `work` to its end while this thread waits. Not to be called from asynchronous code.
    static func run<R: Sendable>(_ work: @escaping @Sendable () async throws -> R) throws -> R {
        let done = DispatchSemaphore(value: 0)
        let outcome = Mutex<Result<R, any Error>?>(nil)
        Task {
            do {
                let value = try await work()
                outcome.withLock { $0 = .success(value) }
            } catch {
                outcome.withLock { $0 = .failure(error) }
            }
            done.signal()
        }
        done.wait()
        guard let result = outcome.withLock({ $0 }) else { throw Failure("nothing came of it") }
        return try result.get()
    }
}
