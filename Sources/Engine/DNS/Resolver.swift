// Names to addresses, in the background, for as long as somebody uses them.
//
// 1. `watch` puts a name into the table                  (NameTable)
// 2. the table's questions go to the servers             (DNSChannel, c-ares)
// 3. answers move the name's resolution on               (NameResolution)
// 4. a changed answer is told through `onChange`

import CLinux

/// Resolves names on one event loop. Never on the path of a request: what it finds is published.
public final class Resolver {
    private let loop: EventLoop
    private var table: NameTable
    private var channel: DNSChannel?
    private let timer = ResolverTimer()
    /// Called on the loop's thread for each name whose answer changed.
    public var onChange: (String) -> Void = { _ in }

    public init(_ configuration: DNSConfiguration, loop: EventLoop) {
        self.loop = loop
        table = NameTable(configuration)
        channel = DNSChannel(configuration, loop: loop)
        timer.resolver = self
    }

    deinit { loop.cancelDeadline(timer) }

    /// Keeps `name` resolved until `unwatch`; calls are counted.
    public func watch(_ name: String) {
        table.watch(name.lowercased(), now: loop.now)
        schedule()
    }

    public func unwatch(_ name: String) { table.unwatch(name.lowercased()) }

    /// What a watched name stands for now.
    public func answer(_ name: String) -> NameAnswer { table.answer(name.lowercased()) }

    /// Whether every watched name has been answered once, well or badly: a start may wait for it.
    public var isSettled: Bool { table.isSettled }

    /// Adopts new servers, search domains and hosts. Old answers hold until new ones come.
    public func reconfigure(_ configuration: DNSConfiguration) {
        channel = DNSChannel(configuration, loop: loop)
        table.reconfigure(configuration, now: loop.now)
        loop.callAgain(timer)
    }

    // MARK: Private

    fileprivate func work() {
        for query in table.start(now: loop.now) { send(query) }
        for name in table.drainChanges() { onChange(name) }
        schedule()
    }

    private func send(_ query: NameTable.Query) {
        guard let channel else { return answered(query.token, .failed) }
        channel.ask(query.question) { [weak self] outcome in self?.answered(query.token, outcome) }
    }

    private func answered(_ token: UInt64, _ outcome: DNSOutcome) {
        if let next = table.answered(token, outcome, now: loop.now) {
            send(next)
        } else {
            loop.callAgain(timer)
        }
    }

    /// Work is done at the end of a turn, never inside `watch` or a callback of c-ares: `onChange`
    /// may do anything, even `reconfigure`.
    private func schedule() {
        let deadline = table.deadline
        if deadline <= loop.now {
            loop.callAgain(timer)
        } else if deadline == .max {
            loop.cancelDeadline(timer)
        } else {
            loop.setDeadline(timer, deadline)
        }
    }
}

private final class ResolverTimer: EventHandler {
    weak var resolver: Resolver?

    override func timedOut() { resolver?.work() }

    override func again() { resolver?.work() }
}
