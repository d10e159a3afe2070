// The connection that hears of what other control planes, and this one, have committed.

internal import Foundation
internal import Glibc
internal import Synchronization

/// A thread with a connection of its own that says LISTEN. When the connection was lost and is back, subscribers
/// get `resync`: what happened in between was not heard.
final class PostgresListener: Sendable {
    /// A quiet connection is asked after this time whether it is still there.
    private static let quietMilliseconds: CInt = 10_000

    private struct State {
        var started = false
        var stopped = false
        var isListening = false
        var failure: StoreError?
    }

    private let address: PostgresAddress
    private let hub: EventHub
    private let state = Mutex(State())
    /// Written to in order to wake the thread.
    private let pipe: (read: CInt, write: CInt)

    init(_ address: PostgresAddress, _ hub: EventHub) throws(StoreError) {
        var ends: [CInt] = [-1, -1]
        guard unsafe Glibc.pipe(&ends) == 0 else {
            throw .unavailable("There are no file descriptors left.")
        }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        self.address = address
        self.hub = hub
        pipe = (ends[0], ends[1])
    }

    deinit {
        _ = Glibc.close(pipe.read)
        _ = Glibc.close(pipe.write)
    }

    /// Starts the thread, and waits until it hears.
    func start() async throws(StoreError) {
        let isFirst = state.withLock { state in
            defer { state.started = true }
            return !state.started
        }
        if isFirst {
            let thread = Thread { self.run() }
            thread.name = "store-events"
            thread.start()
        }
        let deadline = Deadline(milliseconds: PostgresPool.patienceMilliseconds)
        var pause = Backoff()
        while true {
            let (isListening, failure) = state.withLock { ($0.isListening, $0.failure) }
            if isListening { return }
            if deadline.hasPassed, let failure { throw failure }
            if case .failed = failure, let failure { throw failure }
            await pause.wait()
        }
    }

    func stop() {
        state.withLock { $0.stopped = true }
        var byte: UInt8 = 0
        _ = unsafe write(pipe.write, &byte, 1)
    }

    private var isStopped: Bool {
        state.withLock { $0.stopped }
    }

    private func run() {
        var pause = Backoff()
        var isFirst = true
        while !isStopped {
            do throws(StoreError) {
                let connection = try PostgresConnection(address)
                try connection.command("LISTEN \(PostgresSession.channel)")
                state.withLock { $0.isListening = true }
                if !isFirst { hub.send(.resync) }
                isFirst = false
                pause = Backoff()
                try listen(connection)
            } catch {
                state.withLock {
                    $0.isListening = false
                    $0.failure = error
                }
            }
            if !isStopped { _ = sleep(milliseconds: CInt(clamping: pause.next())) }
        }
    }

    /// Until the connection is lost or the thread is stopped.
    private func listen(_ connection: PostgresConnection) throws(StoreError) {
        while !isStopped {
            var entries = [
                pollfd(fd: connection.descriptor, events: Int16(POLLIN), revents: 0),
                pollfd(fd: pipe.read, events: Int16(POLLIN), revents: 0),
            ]
            let ready = unsafe poll(&entries, 2, Self.quietMilliseconds)
            if ready == 0 { try connection.command("SELECT 1") }
            for payload in try connection.notifications() { hub.send(StoreEvent(payload: payload)) }
        }
    }

    private func sleep(milliseconds: CInt) -> Bool {
        var entry = pollfd(fd: pipe.read, events: Int16(POLLIN), revents: 0)
        return unsafe poll(&entry, 1, milliseconds) == 0
    }
}
