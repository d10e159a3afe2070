// Step 6: how a stream session ends, what is counted, and its log line.

import Bytes
import Engine
import HTTP
import Snapshot
import Telemetry

/// What ended a session that had reached its upstream.
enum StreamEnd {
    /// Both directions were ended in order.
    case closed
    case clientReset, upstreamReset
    /// Nothing moved for too long.
    case idle
    /// The worker drains, and nothing moved.
    case drained
    /// The route of a datagram session is no longer there, or its listener.
    case withdrawn

    var name: StaticString {
        switch self {
        case .closed: "closed"
        case .clientReset: "client_reset"
        case .upstreamReset: "upstream_reset"
        case .idle: "idle"
        case .drained: "drained"
        case .withdrawn: "withdrawn"
        }
    }
}

extension ConnectionRefusal {
    /// nginx's number for it.
    var status: Int {
        switch self {
        case .untrustedPeer, .notAdmitted: 403
        case .badProxyHeader, .badClientHello, .tlsHandshake, .setupTimeout: 400
        case .noRoute: 500
        case .upstreamFailed: 502
        case .tooManySessions: 503
        }
    }
}

extension StreamSession {
    /// Ends a session that reached no upstream.
    func refuse(_ reason: ConnectionRefusal) {
        guard phase != .over else { return }
        worker.metrics.refuse(reason)
        end(status: reason.status, word: reason.name, reset: false)
    }

    /// Ends a session with both its sockets. A peer whose partner broke off learns just that: it must not take
    /// what it has for the whole.
    func finish(_ reason: StreamEnd) {
        guard phase != .over else { return }
        let isCut: Bool
        switch reason {
        case .clientReset, .upstreamReset: isCut = true
        case .idle, .drained: isCut = up.pending + down.pending > 0
        case .closed, .withdrawn: isCut = false
        }
        end(status: 200, word: reason.name, reset: isCut)
    }

    private func end(status: Int, word: StaticString, reset: Bool) {
        let hadUpstream = phase == .relaying || phase == .lingering
        phase = .over
        running = nil
        if let target { attempts.finish(target, .none, now: loop.nowNanoseconds) }
        account(status: status, isFromService: hadUpstream)
        if let lane = worker.lane { log(lane, status, Bytes(word)) }
        up.clear(plane.memory)
        down.clear(plane.memory)
        client.close(reset: reset)
        upstream?.close(reset: reset)
        upstream = nil
        plane.ended(self)
    }

    private func account(status: Int, isFromService: Bool) {
        guard let target, let slot = target.slot else { return }
        var sample = RequestSample()
        sample.status = status
        sample.isFromService = isFromService
        sample.requestBytes = up.received
        sample.responseBytes = down.sent
        sample.requestMicroseconds = Int((loop.nowNanoseconds - startedAt) / 1000)
        sample.kongMicroseconds = -1
        worker.metrics.record(slot, target.families, sample)
    }

    private func log(_ lane: AccessLog.Lane, _ status: Int, _ word: Bytes) {
        var record = StreamRecord()
        record.startedAt = startedWall / 1_000_000
        switch transport {
        case .tcp: record.transport = Bytes("tcp")
        case .tls: record.transport = Bytes("tls")
        case .passthrough: record.transport = Bytes("tls_passthrough")
        }
        record.status = status
        record.end = word
        record.client = ends.source
        record.clientPort = ends.sourcePort
        record.localPort = UInt16(truncatingIfNeeded: listener.port)
        record.received = up.received
        record.sent = down.sent
        record.upstreamReceived = down.received
        record.upstreamSent = up.sent
        let now = loop.nowNanoseconds
        record.kongLatency = Int(((forwardedAt > 0 ? forwardedAt : now) - startedAt) / 1_000_000)
        record.connectLatency = connectedAt > 0 ? Int((connectedAt - forwardedAt) / 1_000_000) : -1
        record.sessionLatency = Int((now - startedAt) / 1_000_000)
        record.tries = attempts.tries
        if let tls = client.tls, tls.isEstablished {
            record.tlsVersion = tls.version
            record.tlsCipher = tls.cipher
            if tls.hasPeerCertificate { record.tlsClientVerify = Bytes("SUCCESS") }
        }
        serverName.withBytes { name in
            (target?.routeText ?? []).withBytes { route in
                (target?.serviceText ?? []).withBytes { service in
                    record.serverName = name
                    record.route = route
                    record.service = service
                    lane.write(record)
                }
            }
        }
    }
}
