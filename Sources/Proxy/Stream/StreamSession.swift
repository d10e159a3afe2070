// A TCP connection through a stream listener, from its first byte to its last.
//
// 1. start       a PROXY protocol header comes first, where the listener wants one
// 2. readHello   whom the client's TLS asks for, where a route may pass TLS on untouched
// 3. handshake   TLS with the client, where the listener ends it
// 4. route       StreamSession+Upstream.swift: the route, an endpoint, a connection to it
// 5. pump        bytes both ways, each direction ending by itself
// 6. end         StreamSession+Finish.swift: counters, the log line, both sockets

import Bytes
import Engine
import HTTP
import Snapshot
import Telemetry

final class StreamSession: RelayOwner {
    unowned let plane: StreamPlane
    let listener: RunningListener
    let peer: SocketAddress
    /// Where the plane keeps it.
    var place: Int
    let client: RelayEnd
    var upstream: RelayEnd?
    /// Client to upstream, and upstream to client.
    var up = Flow()
    var down = Flow()
    var phase = Phase.header
    /// What it began with; let go of once the route is known.
    var running: RunningSnapshot?
    /// Both ends of the client's connection, as a PROXY header or the sockets tell.
    var ends: ProxyHeader.Addresses
    var transport = Transport.tcp
    var serverName: [UInt8] = []
    var target: StreamTarget?
    var attempts = StreamAttempts()
    let startedAt: Int64
    let startedWall: Int64
    /// Nanoseconds; 0: not yet.
    var forwardedAt: Int64 = 0
    var connectedAt: Int64 = 0
    /// When bytes moved last, in the loop's milliseconds.
    var movedAt: Int64
    /// The upstream takes no more: what the client still sends is lost.
    private var upIsBroken = false
    /// What the kernel held for a peer when its time was up last.
    private var heldOutput: Int?
    private var discarded = 0

    enum Phase { case header, hello, handshake, connecting, upstreamHandshake, relaying, lingering, over }
    enum Transport { case tcp, tls, passthrough }

    /// On a listener that also has plain tcp routes, a client that says nothing may be waiting for the server to
    /// speak first: so long is it waited for a TLS hello.
    static let quietMilliseconds: Int64 = 1000
    static let lingerMilliseconds: Int64 = 2000
    static let lingerBytes = 1 << 20

    init(_ plane: StreamPlane, listener: RunningListener, peer: SocketAddress, place: Int) {
        self.plane = plane
        self.listener = listener
        self.peer = peer
        self.place = place
        let loop = plane.worker.loop
        client = RelayEnd(loop: loop)
        running = plane.worker.running
        startedAt = loop.nowNanoseconds
        startedWall = loop.wallNanoseconds
        movedAt = loop.now
        ends = ProxyHeader.Addresses(
            source: peer.address, sourcePort: peer.port, destination: listener.ip ?? peer.address,
            destinationPort: UInt16(truncatingIfNeeded: listener.port))
    }

    var worker: Worker { plane.worker }
    var loop: EventLoop { plane.worker.loop }

    /// Begins serving an accepted socket.
    func start(_ descriptor: Int32) {
        guard client.attach(descriptor, owner: self) else {
            Socket.close(descriptor)
            return refuse(.tooManySessions)
        }
        if listener.isWildcard, let local = Socket.localAddress(descriptor) { ends.destination = local.address }
        guard listener.proxyProtocol else { return begin() }
        guard let running, running.trusts(peer.address) else { return refuse(.untrustedPeer) }
        limitSetup()
    }

    /// Header, hello and handshake together take so long at most, however slowly they come.
    private func limitSetup() {
        guard client.deadline == .max, let running else { return }
        loop.setDeadline(client, loop.now + Int64(running.settings.tlsHandshakeTimeout))
    }

    // MARK: Events

    func ready(_ end: RelayEnd, _ events: Readiness) {
        switch phase {
        case .header: readHeader()
        case .hello: readHello()
        case .handshake: handshake()
        case .connecting, .upstreamHandshake:
            if end === upstream { return upstreamReady(events) }
            if !events.isDisjoint(with: [.failed, .hungUp]) { finish(.clientReset) }
        case .relaying:
            pump()
            // A direction that is over is not read any more: only this tells that the peer is gone.
            if phase == .relaying, events.contains(.failed), end === client ? up.isFinished : down.isFinished {
                finish(end === client ? .clientReset : .upstreamReset)
            }
        case .lingering: discard()
        case .over: break
        }
    }

    func again(_ end: RelayEnd) {
        if phase == .relaying { pump() }
    }

    func timedOut(_ end: RelayEnd) {
        switch phase {
        case .hello where isSilent: route()
        case .header, .hello, .handshake: refuse(.setupTimeout)
        case .connecting, .upstreamHandshake: attemptFailed(.timedOut)
        case .relaying: idle()
        case .lingering: finish(.closed)
        case .over: break
        }
    }

    // MARK: Step 1

    private func readHeader() {
        switch ProxyArrival.header(of: client, isLast: client.peerFinished, through: worker.scratch) {
        case .incomplete: break
        case .failed: refuse(.badProxyHeader)
        case .complete(let header):
            if let told = header.addresses { ends = told }
            begin()
        }
    }

    // MARK: Step 2

    private func begin() {
        guard let running else { return }
        if running.streams.hasPassthrough {
            phase = .hello
            limitSetup()
            if client.mayRead { readHello() } else { awaitHello() }
        } else if let tls = listener.tls {
            beginTLS(tls)
        } else {
            route()
        }
    }

    private func awaitHello() {
        if isSilent { loop.setDeadline(client, min(client.deadline, loop.now + Self.quietMilliseconds)) }
    }

    /// Nothing was read that a tcp route would not do without.
    private var isSilent: Bool {
        guard listener.tls == nil, let running, !client.mayRead else { return false }
        return running.streams.match(question(.tcp, name: .empty), memory: plane.expressions) >= 0
    }

    private func readHello() {
        let scratch = worker.scratch
        scratch.clear()
        switch client.peek(into: scratch, limit: ClientHelloReader.wireMax) {
        case .wouldBlock:
            client.mayRead = false
            return awaitHello()
        case .ended: return listener.tls == nil ? route() : refuse(.tlsHandshake)
        case .failed: return refuse(.badClientHello)
        case .bytes: break
        }
        switch plane.hello.read(scratch.readable) {
        case .incomplete:
            if client.peerFinished { return refuse(.badClientHello) }
            // It speaks TLS, so it is not waiting for the server: it has the whole time for its hello.
            if let running {
                let limit = startedAt / 1_000_000 + Int64(running.settings.tlsHandshakeTimeout)
                loop.setDeadline(client, max(limit, loop.now))
            }
        case .failed(.notTLS) where listener.tls == nil: route()
        case .failed: refuse(.badClientHello)
        case .complete: routeHello()
        }
    }

    private func routeHello() {
        guard let running else { return }
        let name = plane.hello.serverName.readable
        serverName = name.array
        let question = question(listener.tls == nil ? .tcp : .tls, name: name, isPassthrough: true)
        let route = running.streams.match(question, memory: plane.expressions)
        if let tls = listener.tls, route < 0 { return beginTLS(tls) }
        if route >= 0, running.snapshot.routes[route].protocols.contains(.tlsPassthrough) { transport = .passthrough }
        take(route)
    }

    func question(_ transport: StreamTransport, name: Bytes, isPassthrough: Bool = false) -> StreamQuestion {
        StreamQuestion(
            transport: transport, source: ends.source, sourcePort: ends.sourcePort, destination: ends.destination,
            destinationPort: ends.destinationPort, serverName: name, isPassthrough: isPassthrough)
    }

    // MARK: Step 3

    private func beginTLS(_ server: TLSServer) {
        guard let session = server.session(client.descriptor) else { return refuse(.tlsHandshake) }
        client.tls = session
        transport = .tls
        phase = .handshake
        limitSetup()
        if client.mayRead { handshake() }
    }

    private func handshake() {
        guard let tls = client.tls else { return }
        switch tls.handshake() {
        case .bytes:
            // What came behind the handshake is in OpenSSL's hands already: no edge will tell of it.
            client.mayRead = true
            if let name = tls.serverName { serverName = Array(name.utf8) }
            route()
        case .wantsRead, .wantsWrite: break
        case .closed, .failed:
            worker.metrics.count(.tlsHandshakeFailures)
            refuse(.tlsHandshake)
        }
    }

    // MARK: Step 5

    /// The upstream is there.
    func relay() {
        phase = .relaying
        running = nil
        client.mayRead = true
        movedAt = loop.now
        loop.cancelDeadline(client)
        if let upstream { loop.cancelDeadline(upstream) }
        waitOn()
        pump()
    }

    private func pump() {
        guard let upstream else { return }
        let before = up.sent + down.sent + up.received + down.received
        var isBusy = false
        if !upIsBroken {
            switch up.move(from: client, to: upstream, plane.memory, isLast: down.isFinished) {
            case .waiting, .finished: break
            case .busy: isBusy = true
            case .sourceFailed: return finish(.clientReset)
            case .targetFailed:
                // It may have said something before it went.
                upIsBroken = true
                up.clear(plane.memory)
                upstream.mayRead = true
            }
        }
        switch down.move(from: upstream, to: client, plane.memory, isLast: up.isFinished) {
        case .waiting, .finished: break
        case .busy: isBusy = true
        case .sourceFailed: return finish(.upstreamReset)
        case .targetFailed: return finish(.clientReset)
        }
        if down.isFinished {
            if up.isFinished { return finish(.closed) }
            if upIsBroken { return linger() }
        }
        if isBusy { loop.callAgain(client) }
        if up.sent + down.sent + up.received + down.received != before {
            movedAt = loop.now
            heldOutput = nil
            waitOn()
        }
    }

    /// Silence and a peer that takes nothing have limits of their own.
    private func waitOn() {
        guard let target else { return }
        let limit = up.pending + down.pending > 0 ? target.writeTimeout : target.readTimeout
        loop.setDeadline(client, loop.now + limit)
    }

    private func idle() {
        let held = up.pending > 0 ? upstream?.unacknowledgedOutput ?? 0 : client.unacknowledgedOutput
        // The kernel tells of room only in large steps: who still reads, however slowly, is not idle.
        if up.pending + down.pending > 0, held > 0, held < heldOutput ?? .max {
            heldOutput = held
            return waitOn()
        }
        finish(.idle)
    }

    // MARK: Lingering

    /// The client has all that the upstream said, and does not know yet that its own bytes are lost:
    /// closing with them unread would take back what it was sent.
    private func linger() {
        phase = .lingering
        loop.setDeadline(client, loop.now + Self.lingerMilliseconds)
        if client.mayRead { discard() }
    }

    private func discard() {
        while client.mayRead {
            let scratch = worker.scratch
            scratch.clear()
            switch client.receive(into: scratch, limit: scratch.free) {
            case .bytes(let n):
                discarded += n
                if discarded > Self.lingerBytes { return finish(.closed) }
            case .wouldBlock: return
            case .ended, .failed: return finish(.closed)
            }
        }
    }

    /// The worker drains, and nothing has moved here since it began to.
    func drained() {
        if phase == .relaying { finish(.drained) }
    }
}
