// Runs a gateway: one supervisor, one serving proxy, and the story of both.
//
// One thread and one poll. A turn: 1. wait for descriptors or the next deadline, 2. signals,
// 3. control connections, 4. loaded configurations, 5. ended processes, 6. deadlines.

import Bytes
import CLinux
import Model
import Snapshot

final class Supervisor {
    enum Phase {
        /// A proxy was left behind by an earlier supervisor; it is given until the deadline to report.
        case adopting(deadline: Int64)
        case running
        /// Proxies finish their requests.
        case stopping(deadline: Int64)
    }

    /// A configuration as it is sent.
    struct Configuration {
        var revision: UInt64
        /// The snapshot's wire form with revision 0.
        var body: [UInt8]
        var summary: String
        var requestedAt: Int64

        /// The snapshot's wire form. Of a repeated field the last counts, so the revision is appended.
        var snapshot: [UInt8] {
            var revised = WireWriter()
            revised.put(1, revision)
            return body + revised.bytes
        }
    }

    let plan: GatewayPlan
    let console: Console
    let directory: StateDirectory
    let loader = Loader()
    var watch: FileWatch?
    var phase = Phase.running
    var sockets = ListeningSockets()
    var proxies: [ProxyProcess] = []
    /// Connected, but not introduced yet; with the time by which they must be.
    var strangers: [(link: ControlLink, deadline: Int64)] = []
    /// The join token, as its file was read last.
    var token = ""
    /// What proxies should run.
    var wanted: Configuration
    /// The last configuration that a proxy had in effect.
    var good: Configuration?
    var loading = false
    /// A reload was asked for while another was under way.
    var loadAgain = false
    /// Commands that wait for the outcome of a reload or an upgrade.
    var waiters: [(link: ControlLink, command: SupervisorCommand)] = []
    /// Deaths in a row of proxies that never served.
    var failedStarts = 0
    /// When to start the next proxy after such deaths. Monotonic nanoseconds.
    var startAt: Int64?
    var announced = false
    /// What to exit with once every proxy has ended.
    var stopCode: Int32 = 0
    var exitCode: Int32?
    /// The highest revision given out; none is used twice.
    var lastRevision: UInt64 = 1
    private var listener: Int32 = -1
    private var signals: Int32 = -1
    /// Digest of the file that was read last.
    private var lastSource: UInt64 = 0

    static let second: Int64 = 1_000_000_000
    var now: Int64 { sys_monotonic_nanoseconds() }

    /// Reads the configuration and takes the state directory: whatever can fail, fails here, before
    /// anything that runs is touched.
    init(plan: GatewayPlan, console: Console) throws(Failure) {
        self.plan = plan
        self.console = console
        wanted = Configuration(revision: 1, body: [], summary: "", requestedAt: sys_monotonic_nanoseconds())
        let place: (path: String, isTemporary: Bool) =
            if let path = plan.stateDirectory { (path, false) } else { try StateDirectory.standard(for: plan) }
        directory = try StateDirectory(path: place.path, isTemporary: place.isTemporary)
        if plan.join != nil {
            wanted.body = try base()
        } else {
            _ = unsafe unlink(directory.joinPath)
            let result = Loader.load(try input(), requestedAt: now)
            Report(console: console).print(result.diagnostics, source: result.source)
            guard let body = result.body else {
                directory.release()
                throw Failure("\(plan.config) cannot be used. Nothing was started.")
            }
            wanted.body = body
            wanted.summary = result.summary
            lastSource = Self.digest(result.source)
        }
        // The decoded model of a large file is garbage by now: give it back.
        _ = malloc_trim(0)
    }

    private static func digest(_ bytes: [UInt8]) -> UInt64 { bytes.withBytes { $0.hash64(seed: 1) } }

    /// What the configuration is read with, for the addresses really listened on.
    func input() throws(Failure) -> PipelineInput {
        PipelineInput(
            path: plan.config, lenient: plan.lenient, environment: Environment.all,
            settings: plan.settings, listeners: try listeners())
    }

    /// The plan's listeners at the addresses really listened on.
    func listeners() throws(Failure) -> [Listener] {
        var authorities = ""
        if let path = plan.clientAuthorities {
            switch FileBytes.read(path, limit: 16 << 20) {
            case .success(let bytes): authorities = String(decoding: bytes, as: UTF8.self)
            case .failure(let refusal): throw Failure("--client-ca: \(refusal.message)")
            }
        }
        var listeners: [Listener] = []
        var free = sockets.listeners.filter { socket in
            !plan.listeners.contains { $0.place.port == socket.port && ListeningSockets.serves(socket, .gateway, $0) }
        }
        for planned in plan.listeners {
            var listener = Listener()
            listener.address = planned.place.address
            listener.port = planned.place.port
            let found = free.firstIndex { ListeningSockets.serves($0, .gateway, planned) }
            if listener.port == 0, let found { listener.port = free.remove(at: found).port }
            listener.tls = planned.tls
            listener.clientAuthorities = planned.tls ? authorities : ""
            listener.kind = planned.kind
            listener.udp = planned.udp
            listener.proxyProtocol = planned.proxyProtocol
            listeners.append(listener)
        }
        return listeners
    }

    /// Supervises until told to stop; the exit code.
    func run() throws(Failure) -> Int32 {
        defer { directory.release() }
        let set: [Int32] = [SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2, SIGCHLD]
        signals = sys_signals_as_descriptor(set.reduce(0) { $0 | 1 << UInt64($1) })
        do throws(ControlError) {
            listener = try ControlSocket.listen(at: directory.controlPath)
        } catch {
            throw Failure("cannot make \(directory.controlPath): \(error)")
        }
        if plan.watch {
            watch = FileWatch(path: plan.config)
            if watch == nil { console.event("cannot watch \(plan.config): reload with SIGHUP instead") }
        }
        if directory.hasLiveProxy {
            phase = .adopting(deadline: now + 3 * Self.second)
        } else {
            try begin()
        }
        while exitCode == nil { try turn() }
        sockets.close()
        _ = sys_close(listener)
        _ = sys_close(signals)
        return exitCode ?? 0
    }

    /// Starts from nothing: sockets, then a proxy.
    func begin() throws(Failure) {
        phase = .running
        try bind(keeping: ListeningSockets())
        try startProxy()
    }

    /// Binds, and reads the configuration again if only now the ports are known.
    func bind(keeping held: ListeningSockets) throws(Failure) {
        sockets = try ListeningSockets(binding: plan, keeping: held)
        try portsAreKnown()
    }

    /// A plan with port 0 was compiled before its ports were known.
    func portsAreKnown() throws(Failure) {
        _ = FileBytes.replace(directory.socketsPath, with: ControlMessage.listen(sockets.sockets).payload)
        guard plan.listeners.contains(where: { $0.place.port == 0 }) else { return }
        guard plan.join == nil else {
            wanted.body = try base()
            return
        }
        let result = Loader.load(try input(), requestedAt: now)
        guard let body = result.body else { throw Failure("\(plan.config) changed while it was read; try again.") }
        wanted.body = body
    }

    // MARK: - The turn

    private enum Source {
        case signals
        case listener
        case watch
        case loader
        case proxy(ProxyProcess)
        case process(ProxyProcess)
        case stranger(ControlLink)
    }

    private func turn() throws(Failure) {
        var entries: [pollfd] = []
        var sources: [Source] = []
        func add(_ descriptor: Int32, _ source: Source, writing: Bool = false) {
            guard descriptor >= 0 else { return }
            entries.append(pollfd(fd: descriptor, events: Int16(writing ? POLLIN | POLLOUT : POLLIN), revents: 0))
            sources.append(source)
        }
        add(signals, .signals)
        add(listener, .listener)
        add(watch?.descriptor ?? -1, .watch)
        add(loader.ready, .loader)
        for proxy in proxies {
            if let link = proxy.link { add(link.descriptor, .proxy(proxy), writing: link.wantsWrite) }
            add(proxy.ended, .process(proxy))
        }
        for stranger in strangers {
            add(stranger.link.descriptor, .stranger(stranger.link), writing: stranger.link.wantsWrite)
        }

        let wait = patience()
        let count = entries.count
        var span = entries.mutableSpan
        _ = unsafe span.withUnsafeMutableBufferPointer { sys_poll_many(UInt(bitPattern: $0.baseAddress), count, wait) }
        for (index, entry) in entries.enumerated() where entry.revents != 0 {
            try handle(sources[index], writable: Int32(entry.revents) & POLLOUT != 0)
            if exitCode != nil { return }
        }
        try expire()
    }

    /// Milliseconds until the next deadline, rounded up; -1: none.
    private func patience() -> Int32 {
        var deadlines = proxies.compactMap(\.deadline) + strangers.map(\.deadline)
        if let startAt { deadlines.append(startAt) }
        switch phase {
        case .adopting(let deadline), .stopping(let deadline): deadlines.append(deadline)
        case .running: break
        }
        guard let next = deadlines.min() else { return -1 }
        return Int32(clamping: max(0, (next - now + 999_999) / 1_000_000))
    }

    private func handle(_ source: Source, writable: Bool) throws(Failure) {
        switch source {
        case .signals:
            while case let number = sys_signalfd_next(signals), number != 0 { try received(signal: number) }
        case .listener: acceptConnections()
        case .watch:
            if watch?.changed() == true { requestLoad() }
        case .loader: takeLoaded()
        case .proxy(let proxy):
            if writable { proxy.link?.flush() }
            try receive(from: proxy)
        case .process(let proxy): try processEnded(proxy, "ended")
        case .stranger(let link):
            if writable { link.flush() }
            try receive(fromStranger: link)
        }
    }

    private func received(signal number: Int32) throws(Failure) {
        switch number {
        case SIGHUP: requestLoad()
        case SIGUSR1: for proxy in proxies { proxy.link?.send(.reopenLogs) }
        case SIGUSR2: upgrade()
        case SIGCHLD: try reap()
        case SIGTERM, SIGINT: stop()
        default: break
        }
    }

    private func acceptConnections() {
        while true {
            var address = sockaddr_storage()
            let descriptor = unsafe sys_accept(listener, &address)
            guard descriptor >= 0 else { return }
            let link = ControlLink(owning: descriptor)
            let user = link.peer.user
            // Strangers are few: proxies introduce themselves at once, commands are given by people.
            guard strangers.count < 16, user == geteuid() || user == 0 else {
                link.close()
                continue
            }
            strangers.append((link, now + 5 * Self.second))
        }
    }

    // MARK: - Reload

    /// Reads the configuration again, in the background.
    func requestLoad() {
        guard case .running = phase else { return }
        guard plan.join == nil else { return reloadOwn() }
        guard !loading else {
            loadAgain = true
            return
        }
        do throws(Failure) {
            let input = try input()
            loading = true
            loader.submit(.load(input, requestedAt: now))
        } catch {
            console.error(error.message)
            answer(.reload, succeeded: false, error.message)
        }
    }

    private func takeLoaded() {
        let (results, storeError) = loader.take()
        if storeError != 0 {
            console.event("cannot store the configuration in \(directory.snapshotPath): \(errorText(storeError))")
        }
        for result in results {
            loading = false
            if case .running = phase { loaded(result) }
        }
        if loadAgain, !loading {
            loadAgain = false
            requestLoad()
        }
    }

    private func loaded(_ result: LoadResult) {
        // An editor may save in several steps, and each of them wakes us: say the same thing once.
        let digest = Self.digest(result.source)
        let isRepeated = digest == lastSource && waiters.isEmpty
        lastSource = digest
        if !isRepeated { Report(console: console).print(result.diagnostics, source: result.source) }
        guard let body = result.body else {
            if !isRepeated {
                console.event("\(plan.config) cannot be used: revision \(wanted.revision) stays in effect")
            }
            answer(
                .reload, succeeded: false,
                Report(console: Console(colour: false)).text(result.diagnostics, source: result.source))
            return
        }
        guard body != wanted.body else {
            answer(.reload, succeeded: true, "unchanged: revision \(wanted.revision) stays in effect")
            return
        }
        let requestedAt = now - Int64(result.milliseconds * 1e6)
        lastRevision = max(lastRevision, wanted.revision) + 1
        wanted = Configuration(
            revision: lastRevision, body: body, summary: result.summary, requestedAt: requestedAt)
        for proxy in proxies where proxy.role != .draining { send(to: proxy) }
    }

    /// Tells everyone who waits for `command` how it ended.
    func answer(_ command: SupervisorCommand, succeeded: Bool, _ text: String) {
        for waiter in waiters where waiter.command == command {
            waiter.link.send(.report(succeeded: succeeded, text: text))
            // The other end reads the report and closes; until then it is a stranger again.
            strangers.append((waiter.link, now + 5 * Self.second))
        }
        waiters.removeAll { $0.command == command }
    }
}
