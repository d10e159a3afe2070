// Step 4: the route, an endpoint of its cluster, a connection to it; and what to do when that fails.

import Bytes
import Engine
import HTTP
import Snapshot
import Telemetry

extension StreamSession {
    /// Routes by addresses, and by the name that TLS asked for where it was ended here.
    func route() {
        guard let running else { return }
        let transport: StreamTransport = self.transport == .tls ? .tls : .tcp
        let name = transport == .tls ? serverName : []
        take(name.withBytes { running.streams.match(question(transport, name: $0), memory: plane.expressions) })
    }

    /// Goes where `route` leads; -1: nowhere.
    func take(_ route: Int) {
        guard let running, route >= 0, let target = StreamTarget(route, of: running, on: worker) else {
            return refuse(.noRoute)
        }
        self.target = target
        if let chain = target.chain, !chain.admits(ends.source) { return refuse(.notAdmitted) }
        loop.cancelDeadline(client)
        forwardedAt = loop.nowNanoseconds
        attempt()
    }

    // MARK: Attempts

    private func attempt() {
        guard let target else { return }
        while let pick = attempts.next(target, client: ends.source, on: worker) {
            do throws(SystemError) {
                return try connect(SocketAddress(pick.address, port: pick.port), target)
            } catch {
                let event = error.isShortage ? HealthEvent.none : .connectionFailed
                guard attempts.failed(target, event, now: loop.nowNanoseconds), !error.isShortage else { break }
            }
        }
        worker.metrics.count(.upstreamFailures)
        refuse(.upstreamFailed)
    }

    private func connect(_ address: SocketAddress, _ target: StreamTarget) throws(SystemError) {
        let descriptor = try Socket.connect(address)
        let end = RelayEnd(loop: loop)
        guard end.attach(descriptor, owner: self) else {
            let error = SystemError.last("epoll_ctl")
            Socket.close(descriptor)
            throw error
        }
        upstream = end
        phase = .connecting
        loop.setDeadline(end, loop.now + target.connectTimeout)
    }

    func attemptFailed(_ event: HealthEvent) {
        guard let target else { return }
        upstream?.close(reset: false)
        upstream = nil
        guard attempts.failed(target, event, now: loop.nowNanoseconds) else {
            worker.metrics.count(.upstreamFailures)
            return refuse(.upstreamFailed)
        }
        attempt()
    }

    func upstreamReady(_ events: Readiness) {
        if phase == .upstreamHandshake { return upstreamHandshake() }
        if !events.isDisjoint(with: [.failed, .hungUp]) { return attemptFailed(.connectionFailed) }
        if events.contains(.writable) { connected() }
    }

    // MARK: Connected

    private func connected() {
        guard let target, let upstream else { return }
        guard tellAddresses(target, upstream) else { return attemptFailed(.connectionFailed) }
        guard let policy = target.policy, transport != .passthrough else { return established() }
        let name = attempts.serverName(target)
        let asked = target.keepsServerName && !serverName.isEmpty ? String(decoding: serverName, as: UTF8.self) : name
        guard let session = policy.session(upstream.descriptor, name: asked, resuming: nil, isHTTP: false) else {
            return attemptFailed(.connectionFailed)
        }
        upstream.tls = session
        phase = .upstreamHandshake
        upstreamHandshake()
    }

    /// The PROXY protocol header goes before everything else. A fresh socket has room for it.
    private func tellAddresses(_ target: StreamTarget, _ upstream: RelayEnd) -> Bool {
        let out = worker.output
        out.clear()
        switch target.proxyProtocol {
        case .none: return true
        case .v1: ends.writeText(to: out)
        case .v2: ends.writeBinary(to: out)
        }
        return upstream.send(out.readable) == out.count
    }

    private func upstreamHandshake() {
        guard let tls = upstream?.tls else { return }
        switch tls.handshake() {
        case .bytes:
            upstream?.mayRead = true
            established()
        case .wantsRead, .wantsWrite: break
        case .closed, .failed: attemptFailed(.connectionFailed)
        }
    }

    private func established() {
        guard let target else { return }
        connectedAt = loop.nowNanoseconds
        attempts.connected(target, latency: Double(connectedAt - forwardedAt) / 1e9, now: connectedAt)
        relay()
    }
}
