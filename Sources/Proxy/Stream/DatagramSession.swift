// One client's datagrams to one endpoint, and the endpoint's to the client.

import Bytes
import Engine
import Snapshot
import Telemetry

/// A client's session: a socket of its own towards its endpoint, until both are silent for the service's
/// `read_timeout`.
final class DatagramSession: EventHandler {
    unowned let listener: DatagramListener
    let peer: DatagramPeer
    let target: StreamTarget
    private var attempts = StreamAttempts()
    /// When a datagram passed last, in the loop's milliseconds.
    private(set) var movedAt: Int64
    private var isAnswered = false
    private var isOver = false
    private var received = 0
    private var sent = 0
    private var upstreamReceived = 0
    private var upstreamSent = 0
    private let startedAt: Int64
    private let startedWall: Int64
    private var answeredAt: Int64 = 0

    /// Reads of one session before others get their turn.
    private static let readsPerTurn = 8

    init(_ listener: DatagramListener, _ peer: DatagramPeer, _ target: StreamTarget) {
        self.listener = listener
        self.peer = peer
        self.target = target
        let loop = listener.plane.worker.loop
        movedAt = loop.now
        startedAt = loop.nowNanoseconds
        startedWall = loop.wallNanoseconds
    }

    private var worker: Worker { listener.plane.worker }
    private var loop: EventLoop { listener.plane.worker.loop }

    /// Finds an endpoint. False if there is none; the session is over then.
    func start() -> Bool {
        while let pick = attempts.next(target, client: peer.client.address, on: worker) {
            do throws(SystemError) {
                try connect(SocketAddress(pick.address, port: pick.port))
                touch()
                return true
            } catch {
                let event = error.isShortage ? HealthEvent.none : .connectionFailed
                guard attempts.failed(target, event, now: loop.nowNanoseconds), !error.isShortage else { break }
            }
        }
        worker.metrics.count(.upstreamFailures)
        worker.metrics.refuse(.upstreamFailed)
        end(status: 502, ConnectionRefusal.upstreamFailed.name)
        return false
    }

    private func connect(_ address: SocketAddress) throws(SystemError) {
        let descriptor = try Socket.connectDatagram(address)
        guard loop.add(self, descriptor: descriptor, events: .readable) else {
            let error = SystemError.last("epoll_ctl")
            Socket.close(descriptor)
            throw error
        }
    }

    private func touch() {
        movedAt = loop.now
        loop.setDeadline(self, loop.now + target.readTimeout)
    }

    // MARK: Client to upstream

    /// Sends datagrams of the batch on. Where the endpoint turns out to refuse them, another gets the rest.
    func forward(_ range: Range<Int>) {
        let batch = listener.plane.batch
        for index in range { received += batch.length(index) }
        touch()
        var rest = range
        while !rest.isEmpty, !isOver {
            let result = batch.send(rest, on: descriptor)
            for index in rest.lowerBound..<(rest.lowerBound + result.count) { upstreamSent += batch.length(index) }
            if result.lost > 0 { worker.metrics.count(.datagramsLost, result.lost) }
            guard let refused = result.refusedAt else { return }
            rest = refused..<rest.upperBound
            guard moveOn() else { return }
        }
    }

    /// The endpoint's host says that nobody listens there: the session goes on with another one.
    private func moveOn() -> Bool {
        if let old = loop.detach(self) { Socket.close(old) }
        isAnswered = false
        if attempts.failed(target, .connectionFailed, now: loop.nowNanoseconds) { return start() }
        worker.metrics.refuse(.upstreamFailed)
        end(status: 502, ConnectionRefusal.upstreamFailed.name)
        return false
    }

    // MARK: Upstream to client

    override func ready(_ events: Readiness) {
        let batch = listener.plane.batch
        for _ in 0..<Self.readsPerTurn {
            switch batch.receive(descriptor) {
            case .datagrams(let count, _): deliver(count)
            case .wouldBlock: return
            case .failed: return failed()
            }
            if isOver { return }
        }
        loop.callAgain(self)
    }

    override func again() {
        if !isOver { ready(.readable) }
    }

    private func deliver(_ count: Int) {
        let batch = listener.plane.batch
        for index in 0..<count { upstreamReceived += batch.length(index) }
        if !isAnswered {
            isAnswered = true
            answeredAt = loop.nowNanoseconds
            attempts.connected(target, latency: Double(answeredAt - startedAt) / 1e9, now: answeredAt)
        }
        touch()
        let taken = listener.reply(0..<count, to: peer)
        for index in 0..<taken { sent += batch.length(index) }
    }

    /// Refused, with nothing at hand to try again with: the client's next datagram opens a new session, which
    /// goes to whom health then allows.
    private func failed() {
        if attempts.pick != nil { attempts.finish(target, .connectionFailed, now: loop.nowNanoseconds) }
        worker.metrics.refuse(.upstreamFailed)
        end(status: 502, ConnectionRefusal.upstreamFailed.name)
    }

    // MARK: The end

    override func timedOut() { finish(.idle) }

    func finish(_ reason: StreamEnd) {
        guard !isOver else { return }
        end(status: 200, reason.name)
    }

    private func end(status: Int, _ word: StaticString) {
        guard !isOver else { return }
        isOver = true
        attempts.finish(target, .none, now: loop.nowNanoseconds)
        if let slot = target.slot {
            var sample = RequestSample()
            sample.status = status
            sample.isFromService = answeredAt > 0
            sample.requestBytes = received
            sample.responseBytes = sent
            sample.requestMicroseconds = Int((loop.nowNanoseconds - startedAt) / 1000)
            sample.kongMicroseconds = -1
            worker.metrics.record(slot, target.families, sample)
        }
        if let lane = worker.lane { log(lane, status, Bytes(word)) }
        loop.close(self)
        listener.ended(self)
    }

    private func log(_ lane: AccessLog.Lane, _ status: Int, _ word: Bytes) {
        var record = StreamRecord()
        record.startedAt = startedWall / 1_000_000
        record.transport = Bytes("udp")
        record.status = status
        record.end = word
        record.client = peer.client.address
        record.clientPort = peer.client.port
        record.localPort = UInt16(truncatingIfNeeded: listener.port)
        record.received = received
        record.sent = sent
        record.upstreamReceived = upstreamReceived
        record.upstreamSent = upstreamSent
        record.connectLatency = answeredAt > 0 ? Int((answeredAt - startedAt) / 1_000_000) : -1
        record.sessionLatency = Int((loop.nowNanoseconds - startedAt) / 1_000_000)
        record.tries = attempts.tries
        target.routeText.withBytes { route in
            target.serviceText.withBytes { service in
                record.route = route
                record.service = service
                lane.write(record)
            }
        }
    }
}
