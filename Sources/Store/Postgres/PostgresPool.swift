// Connections to PostgreSQL, each on a thread of its own, and what happens when one is lost.

internal import Dispatch
internal import Synchronization

final class PostgresPool: Sendable {
    static let connectionsMax = 8
    /// So many may wait for a connection; more are told that the database is unavailable.
    static let waitingMax = 1024
    /// How long a transaction is tried again before the database counts as unavailable.
    static let patienceMilliseconds = 5_000
    /// How long it is tried to find out whether a commit happened. As long as the server keeps a lost
    /// session's locks: after that the question has an answer, if there is anybody to ask.
    static let certaintyMilliseconds = 35_000

    private struct State {
        var idle: [PostgresSlot] = []
        var slots = 0
        var waiting: [CheckedContinuation<PostgresSlot?, Never>] = []
        var closed = false
    }

    private let address: PostgresAddress
    private let state = Mutex(State())

    init(_ address: PostgresAddress) {
        self.address = address
    }

    /// Runs `work` in a transaction, again after a lost connection. See `DatabaseStore.write`.
    func transaction<T: Sendable>(
        begin: String, patienceMilliseconds: Int = PostgresPool.patienceMilliseconds,
        _ work: @escaping @Sendable (any SQLSession, Attempt) throws(StoreError) -> T
    ) async throws(StoreError) -> T {
        var attempt = Attempt.fresh
        var deadline = Deadline(milliseconds: patienceMilliseconds)
        var pause = Backoff()
        while true {
            let slot = try await take()
            let end = await slot.run(begin: begin, address, attempt, work)
            put(slot)
            switch end {
            case .done(let value): return value
            case .failed(let error): throw error
            case .lost(let error, let wasReused, let maybeDone):
                if maybeDone, attempt == .fresh {
                    attempt = .maybeDone
                    deadline = Deadline(milliseconds: Self.certaintyMilliseconds)
                }
                guard !deadline.hasPassed else {
                    guard attempt == .maybeDone else { throw error }
                    throw .unavailable(
                        "The connection to PostgreSQL was lost while it committed, and did not come back to tell "
                            + "whether it did: look at the history before you do it again.")
                }
                // An idle connection that had gone says nothing about the server.
                if !wasReused { await pause.wait() }
            }
        }
    }

    func close() async {
        let (idle, waiting) = state.withLock { state in
            state.closed = true
            defer {
                state.idle = []
                state.waiting = []
            }
            return (state.idle, state.waiting)
        }
        for waiter in waiting { waiter.resume(returning: nil) }
        for slot in idle { await slot.disconnect() }
    }

    private func take() async throws(StoreError) -> PostgresSlot {
        let slot = await withCheckedContinuation { (waiter: CheckedContinuation<PostgresSlot?, Never>) in
            let ready = state.withLock { state -> PostgresSlot?? in
                if state.closed || state.waiting.count >= Self.waitingMax { return .some(nil) }
                // The one used last: its connection is the most likely to be there still.
                if let slot = state.idle.popLast() { return slot }
                if state.slots < Self.connectionsMax {
                    state.slots += 1
                    return PostgresSlot(number: state.slots)
                }
                state.waiting.append(waiter)
                return nil
            }
            if let ready { waiter.resume(returning: ready) }
        }
        guard let slot else {
            throw .unavailable("Too much waits for PostgreSQL at \(address.shown), or the store is closed.")
        }
        return slot
    }

    private func put(_ slot: PostgresSlot) {
        let waiter = state.withLock { state -> CheckedContinuation<PostgresSlot?, Never>? in
            if state.waiting.isEmpty {
                if !state.closed { state.idle.append(slot) }
                return nil
            }
            return state.waiting.removeFirst()
        }
        waiter?.resume(returning: slot)
    }
}

/// A place for a connection, and the queue that is its thread.
///
/// Unchecked: `connection` is touched on `queue` alone.
final class PostgresSlot: @unchecked Sendable {
    private let queue: DispatchQueue
    private var connection: PostgresConnection?

    init(number: Int) {
        queue = DispatchQueue(label: "seaway.store.postgres.\(number)")
    }

    enum End<T: Sendable>: Sendable {
        case done(T)
        /// The database said no, or `work` did: trying again would end the same way.
        case failed(StoreError)
        case lost(StoreError, wasReused: Bool, maybeDone: Bool)
    }

    func run<T: Sendable>(
        begin: String, _ address: PostgresAddress, _ attempt: Attempt,
        _ work: @escaping @Sendable (any SQLSession, Attempt) throws(StoreError) -> T
    ) async -> End<T> {
        await withCheckedContinuation { done in
            queue.async { done.resume(returning: self.transaction(begin, address, attempt, work)) }
        }
    }

    func disconnect() async {
        await withCheckedContinuation { done in
            queue.async {
                self.connection = nil
                done.resume()
            }
        }
    }

    private func transaction<T: Sendable>(
        _ begin: String, _ address: PostgresAddress, _ attempt: Attempt,
        _ work: (any SQLSession, Attempt) throws(StoreError) -> T
    ) -> End<T> {
        if connection?.isIdle != true { connection = nil }
        let wasReused = connection != nil
        var maybeDone = false
        do throws(StoreError) {
            let connection = try connected(address)
            try connection.command(begin)
            let value = try work(PostgresSession(connection), attempt)
            maybeDone = true
            try connection.command("COMMIT")
            return .done(value)
        } catch {
            let isLost = connection?.isBroken ?? true
            if isLost { connection = nil } else { rollBack() }
            // A server that answers a commit with an error has not committed.
            guard case .unavailable = error else { return .failed(error) }
            return .lost(error, wasReused: wasReused && isLost, maybeDone: maybeDone && isLost)
        }
    }

    private func connected(_ address: PostgresAddress) throws(StoreError) -> PostgresConnection {
        if let connection { return connection }
        let new = try PostgresConnection(address)
        connection = new
        return new
    }

    private func rollBack() {
        do { try connection?.command("ROLLBACK") } catch { connection = nil }
    }
}

/// Pauses that grow from 50 ms to 1 s, with chance in them so that many do not come back at once.
struct Backoff {
    private var milliseconds = 50

    /// Not cut short when the task is cancelled: a commit wants its end known.
    mutating func wait() async {
        let pause = next()
        await withCheckedContinuation { done in
            DispatchQueue.global().asyncAfter(deadline: .now() + .milliseconds(pause)) { done.resume() }
        }
    }

    mutating func next() -> Int {
        defer { milliseconds = min(1000, milliseconds * 2) }
        return Int.random(in: milliseconds / 2...milliseconds)
    }
}
