// The life of proxies: start, introduce, apply, replace, restart, drain.

import Bytes
import CLinux
import Snapshot

extension Supervisor {
    var current: ProxyProcess? { proxies.first { $0.role == .current } }
    var incoming: ProxyProcess? { proxies.first { $0.role == .incoming } }

    /// How long a new proxy may take until its configuration is in effect.
    private static let startPatience: Int64 = 60 * second

    func startProxy() throws(Failure) {
        startAt = nil
        let proxy = try ProxyProcess.start(plan, in: directory, now: now)
        proxy.deadline = now + Self.startPatience
        proxies.append(proxy)
    }

    // MARK: - Connections

    func receive(fromStranger link: ControlLink) throws(Failure) {
        let frames: [ControlFrame]
        do throws(ControlError) {
            frames = try link.receive()
        } catch {
            forget(link)
            return
        }
        for (index, frame) in frames.enumerated() {
            switch frame.message {
            case .hello(let hello):
                strangers.removeAll { $0.link === link }
                guard let proxy = try introduce(link, hello, frame.descriptors) else { return }
                for later in frames[(index + 1)...] { try take(later, from: proxy) }
                return
            case .command(let command):
                strangers.removeAll { $0.link === link }
                waiters.append((link, command))
                switch command {
                case .reload: requestLoad()
                case .upgrade: upgrade()
                }
                return
            default:
                close(frame.descriptors)
                forget(link)
            }
        }
    }

    private func forget(_ link: ControlLink) {
        strangers.removeAll { $0.link === link }
        link.close()
    }

    private func close(_ descriptors: [Int32]) {
        for descriptor in descriptors { _ = sys_close(descriptor) }
    }

    /// Finds out whose connection this is.
    private func introduce(_ link: ControlLink, _ hello: Hello, _ descriptors: [Int32]) throws(Failure) -> ProxyProcess?
    {
        let pid = link.peer.pid
        if let known = proxies.first(where: { $0.pid == pid }) {
            known.link?.close()
            known.link = link
            known.applied = hello.revision
            known.inFlight = nil
            close(descriptors)
            if case .stopping = phase {
                drain(known)
            } else if known.role == .draining {
                drain(known)
            } else {
                if hello.sockets != sockets.sockets { listen(known) }
                send(to: known)
            }
            return known
        }
        let left = ProxyProcess(pid: pid, isChild: false, now: now)
        left.link = link
        left.applied = hello.revision
        proxies.append(left)
        guard case .adopting = phase, !hello.sockets.isEmpty else {
            // From an earlier supervisor that was itself replacing it: its successor is at work.
            close(descriptors)
            drain(left)
            return left
        }
        try adopt(left, hello, descriptors)
        return left
    }

    /// Takes over a proxy that an earlier supervisor left behind: its requests never notice.
    private func adopt(_ proxy: ProxyProcess, _ hello: Hello, _ descriptors: [Int32]) throws(Failure) {
        phase = .running
        proxy.role = .current
        let stored = storedSnapshot()
        // Revision 0: it was about to take one, whose number must not be used again.
        wanted.revision = max(hello.revision, stored?.revision ?? 0) + (hello.revision == 0 ? 2 : 1)
        lastRevision = wanted.revision
        let held = ListeningSockets(adopting: hello.sockets, descriptors)
        if hello.workers == plan.workers, held.satisfy(plan) {
            sockets = held
            try portsAreKnown()
            console.event("took over proxy \(proxy.pid), which serves revision \(hello.revision)")
            if let stored, stored.revision == hello.revision, stored.body == wanted.body {
                wanted.revision = hello.revision
                applied(proxy, hello.revision)
            } else {
                send(to: proxy)
            }
        } else {
            console.event("proxy \(proxy.pid) has other workers or addresses than are asked for now: replacing it")
            try bind(keeping: held)
            try startProxy()
        }
    }

    /// The stored snapshot, taken apart again: see `Configuration.snapshot`.
    private func storedSnapshot() -> (revision: UInt64, body: [UInt8])? {
        guard case .success(let bytes) = FileBytes.read(directory.snapshotPath, limit: ControlLimits.payload) else {
            return nil
        }
        // Field 1's tag and a varint, which is at most ten bytes whose last alone is below 128.
        for length in 2...11 where bytes.count > length {
            let suffix = bytes.suffix(length)
            guard suffix.first == 0x08, let last = suffix.last, last < 0x80,
                suffix.dropFirst().dropLast().allSatisfy({ $0 >= 0x80 })
            else { continue }
            var revision: UInt64 = 0
            for byte in suffix.dropFirst().reversed() { revision = revision << 7 | UInt64(byte & 0x7F) }
            return (revision, Array(bytes.dropLast(length)))
        }
        return nil
    }

    func receive(from proxy: ProxyProcess) throws(Failure) {
        guard let link = proxy.link else { return }
        let frames: [ControlFrame]
        do throws(ControlError) {
            frames = try link.receive()
        } catch {
            link.close()
            proxy.link = nil
            // A child's end is told by the system; a lost connection alone is mended by the proxy.
            if !proxy.isChild, proxy.ended < 0 { try processEnded(proxy, "is gone") }
            return
        }
        for frame in frames { try take(frame, from: proxy) }
    }

    private func take(_ frame: ControlFrame, from proxy: ProxyProcess) throws(Failure) {
        switch frame.message {
        case .applied(let revision): applied(proxy, revision)
        case .rejected(let revision, let reason): rejected(proxy, revision, reason)
        case .drained: break  // Its end follows.
        case .feed(let news): heard(news, from: proxy)
        case .hello, .listen, .apply, .join, .drain, .reopenLogs, .command, .report: close(frame.descriptors)
        }
    }

    private func listen(_ proxy: ProxyProcess) {
        proxy.link?.send(.listen(sockets.sockets), descriptors: sockets.descriptors)
    }

    // MARK: - Configurations

    /// Sends what is wanted, unless it is in effect or another answer is awaited.
    func send(to proxy: ProxyProcess) {
        guard let link = proxy.link, proxy.inFlight == nil, proxy.applied != wanted.revision else { return }
        proxy.inFlight = wanted.revision
        if let plan = plan.join {
            link.send(.join(order(plan)))
        } else {
            link.send(.apply(revision: wanted.revision, snapshot: wanted.snapshot))
        }
    }

    func applied(_ proxy: ProxyProcess, _ revision: UInt64) {
        proxy.inFlight = nil
        proxy.applied = revision
        proxy.deadline = nil
        failedStarts = 0
        if proxy.role == .incoming { promote(proxy) }
        if revision == wanted.revision {
            let isNew = good?.revision != revision
            good = wanted
            if isNew, plan.join != nil {
                ownInEffect()
            } else if isNew {
                loader.submit(.store(wanted.snapshot, path: directory.snapshotPath))
                let took = String(Double((now - wanted.requestedAt) / 100_000) / 10)
                if announced { console.event("revision \(revision) is in effect after \(took) ms: \(wanted.summary)") }
                answer(
                    .reload, succeeded: true, "revision \(revision) is in effect after \(took) ms: \(wanted.summary)")
            }
        } else {
            send(to: proxy)
        }
        if !announced { announce() }
    }

    private func rejected(_ proxy: ProxyProcess, _ revision: UInt64, _ reason: String) {
        proxy.inFlight = nil
        console.error("the proxy cannot use revision \(revision): \(reason)")
        guard revision == wanted.revision else {
            send(to: proxy)
            return
        }
        answer(.reload, succeeded: false, "the proxy cannot use it: \(reason)")
        if let good, good.revision != revision {
            wanted = good
            console.event("revision \(good.revision) stays in effect")
            for other in proxies where other.role != .draining { send(to: other) }
        } else if good == nil {
            stop(exitCode: 1)
        }
    }

    // MARK: - Replacing

    /// Starts a new proxy process on the same sockets; the old one drains once the new one serves.
    func upgrade() {
        guard case .running = phase else { return }
        guard incoming == nil, startAt == nil else { return }  // One is on its way; waiters hear of it.
        do throws(Failure) {
            try startProxy()
        } catch {
            console.error(error.message)
            answer(.upgrade, succeeded: false, error.message)
        }
    }

    func promote(_ proxy: ProxyProcess) {
        let old = current
        proxy.role = .current
        guard let old else {
            let what = plan.join == nil ? "revision \(proxy.applied)" : "in its place"
            if announced { console.event("proxy \(proxy.pid) serves \(what)") }
            return
        }
        drain(old)
        console.event("proxy \(proxy.pid) replaces \(old.pid), which finishes its requests")
        answer(.upgrade, succeeded: true, "proxy \(proxy.pid) replaces \(old.pid), which finishes its requests")
    }

    func drain(_ proxy: ProxyProcess) {
        proxy.role = .draining
        let timeout = plan.settings.drainTimeout
        // A successor is there: take all the time. Stopping: only for what is under way already.
        let idle = if case .stopping = phase { min(timeout, 100) } else { timeout }
        if let link = proxy.link {
            link.send(.drain(timeout: timeout, idle: idle))
        } else {
            proxy.signal(SIGTERM)
        }
        // It ends by itself when its time is over; a second more and it is made to.
        proxy.deadline = now + Int64(timeout) * 1_000_000 + Self.second
    }

    // MARK: - Ends

    /// Collects children that have ended.
    func reap() throws(Failure) {
        for proxy in proxies where proxy.isChild {
            let status = sys_reap(Int32(clamping: proxy.pid))
            guard status >= 0 else { continue }
            let signal = status & 0x7F
            try processEnded(
                proxy, signal == 0 ? "ended with exit code \(status >> 8 & 0xFF)" : "was killed by signal \(signal)")
        }
    }

    func processEnded(_ proxy: ProxyProcess, _ how: String) throws(Failure) {
        guard proxies.contains(where: { $0 === proxy }) else { return }
        proxies.removeAll { $0 === proxy }
        proxy.link?.close()
        if case .stopping = phase {
            if proxies.isEmpty { finish() }
            return
        }
        switch proxy.role {
        case .draining: console.event("proxy \(proxy.pid) has finished")
        case .incoming where current != nil:
            console.error("the new proxy \(proxy.pid) \(how) before it served; the old one goes on")
            answer(.upgrade, succeeded: false, "the new proxy \(how) before it served; the old one goes on")
        case .incoming: try startFailed(proxy, how)
        case .current:
            console.error("proxy \(proxy.pid) \(how)")
            if incoming == nil { restart() }
        }
    }

    /// Starts a proxy in the place of one that served. What fails now may work in a moment (a package
    /// is being installed), so it is tried until it does.
    private func restart() {
        do throws(Failure) {
            try startProxy()
        } catch {
            console.error(error.message)
            startAt = now + Self.second
        }
    }

    /// Again, a little later each time; a first start that fails thrice is given up.
    private func startFailed(_ proxy: ProxyProcess, _ how: String) throws(Failure) {
        failedStarts += 1
        console.error("proxy \(proxy.pid) \(how) before it served")
        if good == nil, failedStarts >= 3 { throw Failure("the proxy does not start. Nothing is running.") }
        if let good, good.revision != wanted.revision, failedStarts >= 2 {
            console.error("revision \(wanted.revision) may be the cause: going back to revision \(good.revision)")
            answer(.reload, succeeded: false, "the proxy ended while it read the configuration")
            wanted = good
        }
        let delay = min(5 * Self.second, Self.second / 20 << Int64(min(failedStarts, 10) - 1))
        startAt = now + delay
    }

    // MARK: - Stopping

    /// The first time: let requests finish. The second time: at once.
    func stop(exitCode code: Int32 = 0) {
        if case .stopping = phase {
            for proxy in proxies { proxy.signal(SIGKILL) }
            finish()
            return
        }
        if case .adopting = phase {
            // Nothing was taken over yet, so nothing is ours to stop.
            exitCode = 0
            return
        }
        stopCode = code
        let timeout = plan.settings.drainTimeout
        phase = .stopping(deadline: now + Int64(timeout) * 1_000_000 + 2 * Self.second)
        startAt = nil
        answer(.upgrade, succeeded: false, "the gateway is stopping")
        answer(.reload, succeeded: false, "the gateway is stopping")
        // Nobody will serve a connection that is queued from now on.
        sockets.close()
        for proxy in proxies { drain(proxy) }
        if proxies.isEmpty { finish() } else if code == 0 { console.event("stopping: running requests may finish") }
    }

    func finish() {
        exitCode = stopCode
        if announced { console.event("stopped") }
    }

    // MARK: - Deadlines

    func expire() throws(Failure) {
        let now = now
        for stranger in strangers where stranger.deadline <= now { forget(stranger.link) }
        for proxy in proxies where proxy.deadline.map({ $0 <= now }) == true {
            proxy.deadline = nil
            if proxy.role == .incoming { console.error("proxy \(proxy.pid) took too long to start") }
            proxy.signal(SIGKILL)
        }
        if let startAt, startAt <= now { restart() }
        switch phase {
        case .adopting(let deadline) where deadline <= now:
            console.event("a proxy of an earlier supervisor lives but does not answer: starting another")
            try begin()
        case .stopping(let deadline) where deadline <= now:
            for proxy in proxies { proxy.signal(SIGKILL) }
            finish()
        case .adopting, .stopping, .running: break
        }
    }

    // MARK: - Words

    /// What a person wants to know once the gateway serves.
    func announce() {
        announced = true
        let what = plan.join == nil ? " serves \(plan.config): \(wanted.summary)" : " serves what \(plan.origin) sends"
        var lines = [console.style(.bold, "Seaway \(seawayVersion)") + what]
        for socket in sockets.listeners {
            let place = ListenAddress(address: socket.address, port: socket.port)
            let listener = PlannedListener(place: place, kind: socket.kind, tls: socket.tls, udp: socket.udp)
            let name = listener.scheme + String(repeating: " ", count: max(1, 8 - listener.scheme.utf8.count))
            lines.append("  \(name)\(listener.scheme)://\(place)")
        }
        if let socket = sockets.status {
            lines.append("  status  http://\(ListenAddress(address: socket.address, port: socket.port))/status")
        }
        lines.append("  state   \(directory.path)\(directory.isTemporary ? " (removed at the end)" : "")")
        if sockets.sockets.allSatisfy({ ListenAddress(address: $0.address, port: $0.port).isLoopback }) {
            lines.append("  Not exposed beyond this host. To serve others: --http '*:8000'")
        }
        lines.append("  \(counted(plan.workers, "worker")), proxy process \(current?.pid ?? 0). Ctrl-C stops it.")
        console.note(lines.joined(separator: "\n"))
    }
}
