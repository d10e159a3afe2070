// A connection to an endpoint that many exchanges share, each with a stream of its own.

import Bytes
import Engine
import HTTP
import Snapshot

/// The upstream side of HTTP/2.
final class HTTP2UpstreamConnection: StreamConnection, HTTP2Owner {
    let worker: Worker
    private let pool: UpstreamPool
    private(set) lazy var link = HTTP2Link(
        owner: self, role: .client, limits: worker.running.http2UpstreamLimits, worker: worker)
    private var phase = Phase.connecting
    /// Streams that wait for the connection.
    private var early: [UpstreamStream] = []
    /// Streams opened so far.
    private var uses = 0
    private var takesNoMore = false
    private var isBehind = false
    /// The upstream has said what it takes.
    private var sawSettings = false

    private enum Phase { case connecting, handshake, active, closed }

    init(worker: Worker, pool: UpstreamPool) {
        self.worker = worker
        self.pool = pool
        super.init(loop: worker.loop, buffers: worker.buffers)
    }

    /// Whether one more exchange finds a place.
    var hasRoom: Bool {
        switch phase {
        case .connecting, .handshake: early.count < pool.streamsExpected
        case .active where !sawSettings: early.count + link.session.openStreams < pool.streamsExpected
        case .active: !takesNoMore && link.session.canOpen
        case .closed: false
        }
    }

    // MARK: Connecting

    /// Starts connecting. False if the socket cannot even be made.
    func connect(timeout: Int) -> Bool {
        do throws(SystemError) {
            let descriptor = try Socket.connect(pool.address)
            guard attach(descriptor) else {
                Socket.close(descriptor)
                return false
            }
        } catch {
            return false
        }
        loop.setDeadline(self, loop.now + Int64(timeout))
        return true
    }

    /// A stream for `exchange`. On a connection that is not up yet, `upstreamConnected` follows.
    func stream(for exchange: Exchange) -> UpstreamStream? {
        let stream = (link.spare.popLast()).map { Self.upstream($0) } ?? UpstreamStream(connection: self)
        stream.begin(exchange)
        guard phase == .active, sawSettings || mayGoFirst(stream) else {
            early.append(stream)
            return stream
        }
        if open(stream) { return stream }
        stream.close()
        return nil
    }

    private func open(_ stream: UpstreamStream) -> Bool {
        guard link.session.open(stream) else { return false }
        uses += 1
        let limit = worker.running.settings.upstreamKeepAliveRequests
        if limit > 0, uses >= limit { takesNoMore = true }
        return true
    }

    private func connected() {
        guard let client = pool.tls else { return begin() }
        guard let session = client.session(descriptor, name: pool.serverName, resuming: pool.resumption, http2: true)
        else { return fail(.connect) }
        tls = session
        phase = .handshake
        handshake()
    }

    private func handshake() {
        guard let tls else { return }
        switch tls.handshake() {
        case .bytes:
            mayRead = true
            // Whoever does not agree to HTTP/2 would take our frames for something else.
            if tls.agreedHTTP2 { begin() } else { fail(.connect) }
        case .wantsRead, .wantsWrite: break
        case .closed, .failed: fail(.connect)
        }
    }

    private func begin() {
        phase = .active
        link.session.start()
        link.sendSoon()
        openEarly()
        if phase == .active, mayRead { loop.callAgain(self) }
    }

    /// Before the upstream has said how many streams it takes, one goes ahead: the others would be refused
    /// where it takes few. Whether a WebSocket can be asked for, its settings say too.
    private func mayGoFirst(_ stream: UpstreamStream) -> Bool {
        link.session.openStreams == 0 && !stream.wantsWebSocket
    }

    /// Opens what waited.
    private func openEarly() {
        let waiting = early
        early = []
        for stream in waiting where stream.isTaken {
            guard phase == .active else {
                stream.fail(.closed)
                continue
            }
            if !sawSettings, !mayGoFirst(stream) {
                early.append(stream)
            } else if open(stream) {
                stream.connected()
            } else if link.session.openStreams > 0 {
                stream.moveOn(pool)
            } else {
                stream.fail(.refused)
            }
        }
    }

    // MARK: Events

    override func ready(_ events: Readiness) {
        super.ready(events)
        switch phase {
        case .connecting:
            if !events.isDisjoint(with: [.failed, .hungUp]) || Socket.error(descriptor) != 0 { return fail(.connect) }
            if events.contains(.writable) { connected() }
        case .handshake: handshake()
        case .active:
            if !link.out.isEmpty {
                let waiting = link.out.count
                guard link.send() else { return fail(.reset) }
                if link.out.count < waiting { isBehind = false }
                link.resume()
            }
            read()
        case .closed: break
        }
    }

    override func again() { if phase == .active { read() } }

    private func read() {
        switch link.read() {
        case .drained: break
        case .more: loop.callAgain(self)
        case .ended: return fail(.closed)
        case .failed: return fail(.reset)
        }
        if phase == .active { loop.callAtEnd(self) }
    }

    override func turnEnded() {
        guard phase == .active else { return }
        if sawSettings, !early.isEmpty { openEarly() }
        guard phase == .active, link.send() else { return fail(.reset) }
        link.resume()
        arm()
    }

    private func arm() {
        // Until its settings came, it has the time that connecting may take.
        guard sawSettings else { return }
        let settings = worker.running.settings
        if !link.out.isEmpty {
            if !isBehind { loop.setDeadline(self, loop.now + Int64(settings.bodyTimeout)) }
            isBehind = true
            return
        }
        let wasBehind = isBehind
        isBehind = false
        guard link.session.openStreams == 0 else { return loop.setDeadline(self, .max) }
        if takesNoMore || worker.isDraining || pool.isDropped { return end() }
        if deadline == .max || wasBehind {
            link.rested()
            loop.setDeadline(self, loop.now + Int64(settings.upstreamIdleTimeout))
        }
    }

    override func timedOut() {
        switch phase {
        case .connecting, .handshake: fail(.connectTimeout)
        case .active:
            if !sawSettings { fail(.connectTimeout) } else if link.out.isEmpty { end() } else { fail(.writeTimeout) }
        case .closed: break
        }
    }

    // MARK: Frames

    func take(_ event: HTTP2Event) {
        switch event {
        case .needsBytes, .opened: break
        case .settings:
            pool.streamsExpected = max(1, link.session.peerMaxStreams)
            // At the end of the turn: some say their limit in a second frame right behind the first.
            if !sawSettings { loop.setDeadline(self, .max) }
            sawSettings = true
            if let tls, pool.resumption == nil || !tls.wasResumed {
                pool.resumption = tls.resumption ?? pool.resumption
            }
        case .headers(let stream, let end): Self.upstream(stream).blockCame(end: end)
        case .data(let stream, let bytes, _): Self.upstream(stream).arrive(bytes)
        case .reset(let stream, let code): Self.upstream(stream).wasReset(code)
        case .window(let stream):
            if let stream { Self.upstream(stream).roomCame() } else { wake() }
        case .goAway(let last, _): goneAway(last)
        case .failed: fail(.malformed(.malformedField))
        }
    }

    /// The session knows only streams that we made.
    private static func upstream(_ stream: HTTP2Stream) -> UpstreamStream {
        unsafe unsafeDowncast(stream, to: UpstreamStream.self)
    }

    private func wake() {
        link.resume()
        link.session.forEachStream { Self.upstream($0).roomCame() }
    }

    /// Streams above `last` were not looked at: others may serve them.
    private func goneAway(_ last: UInt32) {
        takesNoMore = true
        pool.forget(self)
        var refused: [UpstreamStream] = []
        link.session.forEachStream { if $0.id > last { refused.append(Self.upstream($0)) } }
        for stream in refused { stream.wasReset(.refusedStream) }
    }

    // MARK: The end

    func forget(_ stream: UpstreamStream) {
        guard !link.isClosed else { return }
        if let index = early.firstIndex(where: { $0 === stream }) { early.remove(at: index) }
        stream.prepare()
        if link.spare.count < HTTP2Link.spareMax { link.spare.append(stream) }
        if phase == .active { loop.callAtEnd(self) }
    }

    /// Takes no new streams; ends when those that are open have.
    func retire() {
        takesNoMore = true
        if phase == .active { loop.callAtEnd(self) } else if early.isEmpty { end() }
    }

    private func end() {
        if phase == .active {
            link.session.goAway(.noError, last: nil)
            _ = link.send()
        }
        fail(.closed)
    }

    private func fail(_ failure: UpstreamFailure) {
        guard phase != .closed else { return }
        if case .malformed = failure { _ = link.send() }
        phase = .closed
        pool.forget(self)
        var streams = early
        early = []
        link.session.forEachStream { streams.append(Self.upstream($0)) }
        link.close()
        closeStream()
        for stream in streams { stream.fail(failure) }
        pool.closed()
    }
}
