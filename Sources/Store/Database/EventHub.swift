// Passes events of the database on to whoever listens in this process.

internal import Synchronization

/// Every subscriber has a queue of its own; one that is too slow gets `resync` for what it missed.
final class EventHub: Sendable {
    /// So many events wait for a subscriber before they become one `resync`.
    static let waitingMax = 1024

    private struct Entry {
        weak var subscriber: Subscriber?
    }

    private let entries = Mutex<[Entry]>([])

    func subscribe() -> AsyncStream<StoreEvent> {
        let subscriber = Subscriber()
        entries.withLock { entries in
            entries.removeAll { $0.subscriber == nil }
            entries.append(Entry(subscriber: subscriber))
        }
        // The stream owns the subscriber: when nobody has the stream any more, its queue goes too.
        return AsyncStream {
            await subscriber.next()
        } onCancel: {
            subscriber.finish()
        }
    }

    func send(_ event: StoreEvent) {
        for subscriber in subscribers() { subscriber.push(event) }
    }

    /// Ends all streams.
    func finish() {
        for subscriber in subscribers() { subscriber.finish() }
    }

    private func subscribers() -> [Subscriber] {
        entries.withLock { $0.compactMap(\.subscriber) }
    }
}

private final class Subscriber: Sendable {
    private struct State {
        var waiting: [StoreEvent] = []
        var reader: CheckedContinuation<StoreEvent?, Never>?
        var finished = false
    }

    private let state = Mutex(State())

    func push(_ event: StoreEvent) {
        let reader = state.withLock { state -> CheckedContinuation<StoreEvent?, Never>? in
            guard !state.finished else { return nil }
            if let reader = state.reader {
                state.reader = nil
                return reader
            }
            if state.waiting.count >= EventHub.waitingMax {
                state.waiting = [.resync]
            } else if state.waiting.last != event {
                state.waiting.append(event)
            }
            return nil
        }
        reader?.resume(returning: event)
    }

    func finish() {
        let reader = state.withLock { state in
            state.finished = true
            defer { state.reader = nil }
            return state.reader
        }
        reader?.resume(returning: nil)
    }

    func next() async -> StoreEvent? {
        await withCheckedContinuation { reader in
            let ready = state.withLock { state -> StoreEvent?? in
                if !state.waiting.isEmpty { return .some(state.waiting.removeFirst()) }
                // Two readers of one stream are a mistake of the caller: the first one ends.
                if state.finished || state.reader != nil { return .some(nil) }
                state.reader = reader
                return nil
            }
            if let ready { reader.resume(returning: ready) }
        }
    }
}
