// Configurations from a control plane: found, joined, followed, and done without when it must be.
//
// 1. start      the last good configuration is put in effect before any connection is tried
// 2. dial       one control plane after another; without a certificate to join, with one to follow
// 3. ready      Join (ConfigurationFeed+Identity.swift), or Stream with a hello
// 4. received   configurations and deltas (ConfigurationFeed+Configurations.swift)
// 5. lost       the next control plane is dialled; what is in effect stays for as long as it takes

import Bytes
import CLinux
import Engine
import HTTP
import Snapshot
import Telemetry

/// What a feed talks to: the proxy's main thread.
protocol FeedOwner: AnyObject {
    /// Indexes the tables with this gateway's settings and listeners and gives them to every worker; then calls
    /// `ConfigurationFeed.adopted`.
    func put(_ tables: Snapshot) throws(SnapshotRefusal)
    /// What was seen so far.
    var gatewayReport: GatewayReport { get }
    /// Changes whenever the health of some target does.
    var healthGeneration: UInt64 { get }
    func tell(_ news: FeedNews)
}

/// A gateway's end of a control plane. It lives on the control thread's loop.
final class ConfigurationFeed {
    let loop: EventLoop
    let files: FeedFiles
    unowned let owner: any FeedOwner
    let buffers: BufferPool
    let resolver: Resolver
    let version: String
    let workers: Int

    var join: Join
    var token: GatewayToken?
    private var addresses: [FeedAddress] = []
    private var dialer = FeedDialer(count: 1, first: 0)
    /// Which of several addresses that a name has is next.
    private var turn = 0

    var identity: FeedIdentity?
    /// The key that a certificate is being asked for.
    var newKey = ""
    /// Monotonic milliseconds before which no join is tried: the last one was refused.
    var joinAt = Int64.min
    var renewAt = Int64.min

    var connection: FeedConnection?
    var stream: FeedCall?
    private var isFollowing = false
    private var followsSince: Int64 = 0
    private var dialledAt = Int64.max
    private lazy var dialTimer = FeedTimer { [unowned self] in self.dial() }
    private lazy var workTimer = FeedTimer { [unowned self] in self.work() }
    private var isStopped = false
    /// The last trouble told, so that it is told once.
    private var toldTrouble = ""

    var tables = FeedTables()
    /// The revision under which the adoption under way was noted; its number may have changed since.
    var begun: UInt64?
    var facts = ControlPlaneFacts()
    private var reportedAt: Int64 = 0
    private var reportedGeneration: UInt64 = 0
    var fallbackAt = Int64.max
    var fallback: FallbackFetch?

    /// Milliseconds.
    static let refusedPause: Int64 = 60_000
    private static let reportEvery: Int64 = 2000
    private static let workEvery: Int64 = 200
    /// Before a new gateway looks for its configuration elsewhere.
    static let fallbackPatience: Int64 = 3000
    static let fallbackEvery: Int64 = 10_000
    private static let namePatience: Int64 = 5000

    init(
        _ join: Join, loop: EventLoop, buffers: BufferPool, names: DNSConfiguration, stateDirectory: String,
        version: String, workers: Int, owner: any FeedOwner
    ) {
        self.join = join
        self.loop = loop
        self.buffers = buffers
        self.version = version
        self.workers = workers
        self.owner = owner
        files = FeedFiles(directory: stateDirectory)
        var names = names
        names.order = [.a, .aaaa]
        resolver = Resolver(names, loop: loop)
    }

    deinit {
        loop.cancelDeadline(dialTimer)
        loop.cancelDeadline(workTimer)
    }

    // MARK: 1. Start

    /// Serves what is stored, and looks for a control plane.
    func start() {
        identity = files.identity
        use(join)
        let now = sys_monotonic_nanoseconds()
        if let stored = files.configuration, let step = tables.begin(with: stored, now: now) {
            perform(step)
        }
        if tables.adopting == nil {
            tellOfWaiting()
            fallbackAt = loop.now + Self.fallbackPatience
        }
        // A proxy that this one replaces is told to end once the stored configuration is in effect here: until then
        // the control plane knows that one.
        redial(after: tables.adopting == nil ? 0 : Self.handOver)
        loop.setDeadline(workTimer, loop.now + Self.workEvery)
    }

    func tellOfWaiting() {
        owner.tell(FeedNews(.waiting, "there is no configuration yet: clients wait until a control plane sends one"))
    }

    private static let handOver: Int64 = 100

    /// Takes other control planes, labels or another token; a connection that they do not concern stays.
    func change(to next: Join) {
        let isSame =
            next.controlPlanes == join.controlPlanes && next.labels == join.labels && next.name == join.name
            && (next.token == join.token || GatewayToken(next.token)?.authority == token?.authority)
        join = next
        guard !isSame else {
            token = GatewayToken(next.token) ?? token
            return
        }
        use(next)
        hangUp()
        joinAt = .min
        redial(after: 0)
    }

    private func use(_ join: Join) {
        for address in addresses { resolver.unwatch(address.host) }
        token = GatewayToken(join.token)
        addresses = join.controlPlanes.compactMap { FeedAddress($0) }
        for address in addresses { resolver.watch(address.host) }
        dialer = FeedDialer(count: addresses.count, first: .random(in: 0..<1024))
        // An identity of another authority is of no use to this one.
        if let token, let known = identity, known.pinned != token.authority { identity = nil }
    }

    /// No more connections; what is in effect stays. What was to be stored is stored.
    func stop() {
        isStopped = true
        hangUp()
        fallback?.cancel()
        fallback = nil
        loop.cancelDeadline(dialTimer)
        loop.cancelDeadline(workTimer)
        files.finish()
    }

    // MARK: 2. Dial

    func redial(after pause: Int64) {
        guard !isStopped else { return }
        dialledAt = .max
        loop.setDeadline(dialTimer, loop.now + max(1, pause))
    }

    /// Nothing follows of the connection that was.
    func hangUp() {
        connection?.close()
        connection = nil
        stream = nil
        newKey = ""
        isFollowing = false
        facts.isConnected = false
    }

    private func dial() {
        guard !isStopped, connection == nil, !addresses.isEmpty else { return }
        let target = addresses[dialer.current]
        let name = join.controlPlanes.indices.contains(dialer.current) ? join.controlPlanes[dialer.current] : ""
        facts.address = name
        guard let (client, pinned) = credentials() else { return }
        if dialledAt == .max { dialledAt = loop.now }
        switch resolver.answer(target.host) {
        case .pending where loop.now - dialledAt < Self.namePatience:
            loop.setDeadline(dialTimer, loop.now + 20)
        case .pending, .unknown: failed("its name does not resolve")
        case .addresses(let found):
            guard !found.isEmpty else { return failed("its name has no address") }
            turn &+= 1
            let address = found[turn % found.count].address
            let next = FeedConnection(loop: loop, buffers: buffers, client: client, pinned: pinned, owner: self)
            connection = next
            if let problem = next.connect(SocketAddress(address, port: target.port)) {
                connection = nil
                failed(problem)
            }
        }
    }

    /// How the next connection shows who it is; nil: it cannot, and the next attempt is arranged.
    private func credentials() -> (TLSClient, PinnedAuthority?)? {
        if let identity, identity.standing(now: unixSeconds) != .expired {
            let own = TLSIdentity(chain: identity.certificate, key: identity.key)
            if let client = try? TLSClient(verify: true, depth: nil, authorities: [identity.authorities], identity: own)
            {
                return (client, nil)
            }
            self.identity = nil
        }
        guard let token else {
            trouble("it has no certificate that is valid and no join token: give one with --token-file")
            redial(after: Self.refusedPause)
            return nil
        }
        guard joinAt <= loop.now else {
            redial(after: joinAt - loop.now)
            return nil
        }
        guard let key = GatewayKey(), let pem = key.pem, let certificate = key.selfSigned(name: join.name),
            let client = try? TLSClient(
                verify: false, depth: nil, authorities: [], identity: TLSIdentity(chain: certificate, key: pem))
        else {
            trouble("no key can be made")
            redial(after: FeedDialer.pauseMax)
            return nil
        }
        newKey = pem
        return (client, PinnedAuthority(digest: token.authority))
    }

    var unixSeconds: Int { Int(loop.wallNanoseconds / 1_000_000_000) }

    /// This attempt came to nothing: the next address, in a while.
    func failed(_ reason: String) {
        hangUp()
        trouble("\(facts.address): \(reason)")
        redial(after: dialer.failed(random: .random(in: 0..<1)))
    }

    func trouble(_ text: String) {
        guard text != toldTrouble else { return }
        toldTrouble = text
        owner.tell(FeedNews(.trouble, text))
    }

    // MARK: Every 200 ms

    private func work() {
        guard !isStopped else { return }
        loop.setDeadline(workTimer, loop.now + Self.workEvery)
        if isFollowing {
            if loop.now - followsSince >= 1000 { dialer.succeeded() }
            report()
            renewIfDue()
        }
        if tables.effective == nil, tables.adopting == nil, loop.now >= fallbackAt { lookElsewhere() }
    }

    private func report() {
        guard let connection, let stream else { return }
        let generation = owner.healthGeneration
        guard loop.now - reportedAt >= Self.reportEvery || generation != reportedGeneration else { return }
        reportedAt = loop.now
        reportedGeneration = generation
        var message = GatewayMessage()
        message.report = owner.gatewayReport
        connection.send(message.wire, on: stream)
    }
}

extension ConfigurationFeed: FeedConnectionOwner {
    // MARK: 3. Ready

    func ready(_ connection: FeedConnection) {
        guard connection === self.connection else { return }
        if connection.authority.isEmpty { follow(connection) } else { askToJoin(connection) }
    }

    private func follow(_ connection: FeedConnection) {
        var hello = GatewayHello()
        hello.version = version
        hello.workers = workers
        hello.labels = join.labels
        if let effective = tables.effective {
            hello.digest = SnapshotDelta.digest(effective.tables)
            hello.revision = effective.revision
        }
        var message = GatewayMessage()
        message.hello = hello
        stream = connection.call(.stream, message.wire, last: false)
        guard stream != nil else { return failed("it takes no calls") }
        isFollowing = true
        followsSince = loop.now
        reportedAt = 0
        facts.isConnected = true
        toldTrouble = ""
        owner.tell(FeedNews(.connected, revision: hello.revision, "connected to \(facts.address)"))
    }

    // MARK: 4. Received

    func received(_ message: [UInt8], _ call: FeedCall) {
        switch call.method {
        case .join, .renew: took(message, call)
        case .stream:
            guard call === stream else { return }
            dialer.succeeded()
            do throws(WireError) {
                take(try message.withBytes { (bytes) throws(WireError) in try ControlPlaneMessage(wire: bytes) })
            } catch {
                failed("it sent a damaged message: \(error)")
            }
        }
    }

    func ended(_ call: FeedCall, _ status: GRPCStatus) {
        let isRefusal = status.code == GRPCStatus.unauthenticated || status.code == GRPCStatus.permissionDenied
        switch call.method {
        case .join: joinEnded(status, isRefusal: isRefusal)
        case .renew: renewEnded(status, isRefusal: isRefusal)
        case .stream:
            guard call === stream else { return }
            if isRefusal { return refused(status.message, pause: 0) }
            disconnected(status.message.isEmpty ? "the stream ended" : status.message)
        }
    }

    // MARK: 5. Lost

    func lost(_ connection: FeedConnection, _ reason: String) {
        guard connection === self.connection else { return }
        disconnected(reason)
    }

    func disconnected(_ reason: String) {
        let followed = isFollowing
        let name = facts.address
        if followed {
            toldTrouble = "\(name): \(reason)"
            owner.tell(
                FeedNews(.disconnected, revision: facts.revision, "the connection to \(name) is lost (\(reason))"))
        }
        failed(reason)
    }
}

/// A deadline that calls back.
final class FeedTimer: EventHandler {
    private let fire: () -> Void
    init(_ fire: @escaping () -> Void) { self.fire = fire }
    override func timedOut() { fire() }
}
