// A client's HTTP/2 connection: each stream is a request, with an exchange of its own.

import Bytes
import Engine
import HTTP
import Snapshot
import Telemetry

/// The downstream side of HTTP/2. It opens streams, tells them what came for them, and ends with GOAWAY.
final class HTTP2ClientConnection: ClientTransport, HTTP2Owner {
    private(set) lazy var link = HTTP2Link(
        owner: self, role: .server, limits: worker.running.http2ClientLimits, worker: worker)
    private var requests = 0
    private var state = State.open
    /// A head has begun and must end in time.
    private var awaitsHead = true
    /// Output waits for the client; it has a deadline.
    private var isBehind = false
    /// Bytes of the heads of requests in progress.
    private var headBytes = 0

    /// More than browsers and gateways ever have under way; a few bytes of HPACK can stand for a head of the
    /// largest size.
    private static let headBytesMax = 1 << 20

    private enum State {
        case open
        /// No new streams; ends when those that are open have.
        case closing
        /// Our side has ended; what still comes is thrown away.
        case lingering
        case closed
    }

    /// Begins serving. `early`: bytes that were read already.
    func begin(early: Bytes) {
        loop.setDeadline(self, loop.now + Int64(worker.running.settings.headTimeout))
        link.session.start()
        link.sendSoon()
        if !early.isEmpty { link.feed(early) }
        read()
    }

    override var isIdle: Bool { link.session.openStreams == 0 }

    // MARK: Events

    override func ready(_ events: Readiness) {
        super.ready(events)
        guard !link.isClosed || isLingering else { return }
        if !events.isDisjoint(with: [.failed, .hungUp]) { return abort() }
        if !link.out.isEmpty {
            let waiting = link.out.count
            guard link.send() else { return abort() }
            if link.out.count < waiting { isBehind = false }
            link.resume()
        }
        read()
    }

    override func again() { read() }

    private var isLingering: Bool { state == .lingering }

    private func read() {
        if isLingering { return discard() }
        switch link.read() {
        case .drained: break
        case .more: loop.callAgain(self)
        case .ended, .failed: return abort()
        }
        if !link.isClosed { loop.callAtEnd(self) }
    }

    /// Everything that the turn's events had to send goes out together.
    override func turnEnded() {
        guard !link.isClosed else { return }
        guard link.send() else { return abort() }
        link.resume()
        if link.session.openStreams == 0, link.out.isEmpty {
            if state == .closing || worker.closesIdle || peerFinished && !mayRead { return finish() }
            link.rested()
        }
        arm()
    }

    /// One deadline: for a client that does not read, for a head that does not end, or for idleness.
    private func arm() {
        let settings = worker.running.settings
        if !link.out.isEmpty {
            if !isBehind {
                isBehind = true
                loop.setDeadline(self, loop.now + Int64(settings.bodyTimeout))
            }
            return
        }
        let wasBehind = isBehind
        isBehind = false
        if link.isInsideFrame || link.session.isInsideBlock {
            if !awaitsHead || wasBehind { loop.setDeadline(self, loop.now + Int64(settings.headTimeout)) }
            awaitsHead = true
        } else if link.session.openStreams > 0 {
            awaitsHead = false
            loop.setDeadline(self, .max)
        } else if requests > 0, awaitsHead || wasBehind || deadline == .max {
            awaitsHead = false
            loop.setDeadline(self, loop.now + Int64(settings.idleTimeout))
        }
    }

    override func timedOut() {
        guard !isLingering else { return abort() }
        // Who does not read, or never ends its head, gets no farewell that could wait as well.
        if !link.out.isEmpty || link.session.openStreams > 0 { return abort() }
        finish()
    }

    // MARK: Frames

    func take(_ event: HTTP2Event) {
        switch event {
        case .needsBytes, .settings: break
        case .opened(let id, let end): opened(id, end)
        case .headers(let stream, _): Self.server(stream).trailersCame()
        case .data(let stream, let bytes, _): Self.server(stream).arrive(bytes)
        case .reset(let stream, _): Self.server(stream).wasReset()
        case .window(let stream):
            if let stream { Self.server(stream).roomCame() } else { wake() }
        case .goAway: if state == .open { state = .closing }
        case .failed: failed()
        }
    }

    /// The session knows only streams that we made.
    private static func server(_ stream: HTTP2Stream) -> ServerStream {
        unsafe unsafeDowncast(stream, to: ServerStream.self)
    }

    /// The connection's window or every stream's opened.
    private func wake() {
        link.resume()
        link.session.forEachStream { Self.server($0).roomCame() }
    }

    private func opened(_ id: UInt32, _ end: Bool) {
        let session = link.session
        let size = session.fields.storage.count
        guard state == .open, headBytes + size <= Self.headBytesMax else { return session.refuse(id, .refusedStream) }
        requests += 1
        let exchange = worker.takeExchange()
        exchange.startedAt = loop.nowNanoseconds
        exchange.startedWall = loop.wallNanoseconds
        worker.metrics.count(.reading)
        let problem = exchange.request.take(session.fields, end: end, limits: worker.running.headLimits)
        if problem == .malformed {
            session.refuse(id, .protocolError)
            worker.metrics.reject(RequestFault.malformedField.rawValue)
            return exchange.conclude(aborted: true)
        }
        let stream = link.spare.popLast().map { Self.server($0) } ?? ServerStream(connection: self)
        session.accept(stream, id, end: end)
        stream.begin(exchange, headBytes: size)
        headBytes += size
        let limit = worker.running.settings.keepAliveRequests
        if limit > 0, requests >= limit, state == .open { retire() }
        if case .refused(let fault) = problem { exchange.reject(fault, on: stream) } else { exchange.begin(stream) }
    }

    private func failed() {
        if let fault = link.session.fault { worker.metrics.reject(fault) }
        _ = link.send()
        endStreams()
        lingerOrAbort()
    }

    // MARK: The end

    /// The stream is over on both sides, and nobody has it any more.
    func forget(_ stream: ServerStream) {
        guard !link.isClosed else { return }
        headBytes -= stream.headBytes
        stream.prepare()
        if link.spare.count < HTTP2Link.spareMax { link.spare.append(stream) }
        loop.callAtEnd(self)
    }

    override func drain() {
        guard state == .open else { return }
        // Requests that are on their way get their answers: which is the last is said at the end.
        link.session.goAway(.noError, last: UInt32(Int32.max))
        link.sendSoon()
    }

    /// Takes no more streams.
    private func retire() {
        state = .closing
        link.session.goAway(.noError, last: nil)
        link.sendSoon()
    }

    override func closeIdle() { finish() }

    /// Says which stream was the last, and ends.
    private func finish() {
        link.session.goAway(.noError, last: nil)
        guard link.send() else { return abort() }
        lingerOrAbort()
    }

    private func lingerOrAbort() {
        guard link.out.isEmpty, !peerFinished else { return abort() }
        link.close()
        state = .lingering
        finishSending()
        loop.setDeadline(self, loop.now + Self.lingerMilliseconds)
        discard()
    }

    private func discard() {
        if !discardInput() { abort() }
    }

    private func endStreams() {
        var all: [ServerStream] = []
        link.session.forEachStream { all.append(Self.server($0)) }
        for stream in all { stream.wasReset() }
    }

    /// Ends the connection now, and with it every stream.
    func abort() {
        guard state != .closed else { return }
        state = .closed
        link.close()
        endStreams()
        closeStream()
        worker.clientClosed(self)
    }
}
