// A stream of an upstream's HTTP/2 connection as its exchange uses it.

import Bytes
import Engine
import HTTP
import Snapshot

/// One request to an HTTP/2 upstream.
final class UpstreamStream: CarriedStream, UpstreamSide {
    /// Kept by its streams: an exchange may hold one when the connection is gone.
    private let connection: HTTP2UpstreamConnection
    private var exchange: Exchange?
    private var tunnel: Tunnel?
    /// A head that came and was not read.
    private var head = HeadRead.wait
    private var asksForWebSocket = false
    /// Serves an exchange; the connection gets it back once.
    private(set) var isTaken = false

    init(connection: HTTP2UpstreamConnection) {
        self.connection = connection
        super.init(link: connection.link)
    }

    func begin(_ exchange: Exchange) {
        self.exchange = exchange
        isTaken = true
        head = .wait
        asksForWebSocket = false
    }

    var wantsWebSocket: Bool { exchange?.request.wantsWebSocket ?? false }

    // MARK: What the connection tells

    func connected() { exchange?.upstreamConnected() }

    override func readable() {
        if let tunnel { tunnel.upstreamReadable() } else { exchange?.upstreamReadable() }
    }

    override func writable() {
        if let tunnel { tunnel.upstreamWritable() } else { exchange?.upstreamWritable() }
    }

    override func drained() { writable() }

    override func timedOut() { exchange?.upstreamTimedOut() }

    /// A head, a 1xx, or trailers.
    func blockCame(end: Bool) {
        guard let exchange else { return }
        let fields = link.session.fields
        if exchange.stage == .responding {
            if !exchange.responseTrailers.takeTrailers(fields) { return broken() }
            return readable()
        }
        if let fault = exchange.response.take(fields, end: end, toHead: exchange.isHeadUpstream) {
            head = .failed(.malformed(fault))
        } else if exchange.response.status < 200 {
            head = .interim
        } else {
            let isAgreed = asksForWebSocket && exchange.response.status < 300 && !end
            head = isAgreed ? .switched : .final
            switch exchange.response.framing {
            case .length(let n): expectedLength = n
            case .none: expectedLength = end || exchange.isHeadUpstream ? nil : 0
            case .chunked, .untilClose: break
            }
        }
        readable()
    }

    private func broken() {
        link.session.reset(self, .protocolError)
        link.sendSoon()
        wasReset(.protocolError)
    }

    /// The stream is over before its time.
    func wasReset(_ code: HTTP2Code) {
        // A complete answer may end so: the request's rest is not wanted (RFC 9113 section 8.1).
        if code == .noError, receivedEnd { return readable() }
        fail(code == .refusedStream ? .refused : .reset)
    }

    func fail(_ failure: UpstreamFailure) {
        let exchange = exchange
        let tunnel = tunnel
        giveBack()
        if let tunnel { tunnel.upstreamGone() } else { exchange?.failUpstream(failure) }
    }

    /// The connection has no room after all: the exchange looks for another.
    func moveOn(_ pool: UpstreamPool) {
        let exchange = exchange
        giveBack()
        exchange?.upstreamFull(pool)
    }

    private func giveBack() {
        guard isTaken else { return }
        isTaken = false
        exchange = nil
        tunnel = nil
        leave(.cancel)
        connection.forget(self)
    }

    // MARK: The request

    func callIfReadable() {}

    var takesBody: Bool { isOpen }

    func sendRequest(_ exchange: Exchange) -> Bool {
        guard isOpen else { return false }
        let session = link.session
        asksForWebSocket = exchange.request.wantsWebSocket
        if asksForWebSocket, !session.peerAllowsConnectProtocol { return false }
        session.beginHeaders()
        writePseudo(exchange)
        worker.fields.begin(block: link.out)
        exchange.writeRequestFields(worker.fields)
        if let length = exchange.announcedLength { worker.fields.field(.contentLength, decimal: length) }
        if exchange.request.acceptsTrailers { worker.fields.field(.te, "trailers") }
        let body = exchange.requestBody?.readable ?? .empty
        let ends = !exchange.streamsBody && body.isEmpty && !asksForWebSocket
        session.endHeaders(self, end: ends)
        link.sendSoon()
        return body.isEmpty || sendData(body, last: true)
    }

    private func writePseudo(_ exchange: Exchange) {
        let out = link.out
        let method = exchange.upstreamMethod.isEmpty ? exchange.request.methodBytes : exchange.upstreamMethod.readable
        HPACKEncoder.pseudo(.method, value: asksForWebSocket ? Bytes("CONNECT") : method, to: out)
        HPACKEncoder.pseudo(.scheme, value: Bytes(exchange.isUpstreamSecure ? "https" : "http"), to: out)
        let host = worker.scratch
        host.clear()
        exchange.writeHost(to: host)
        HPACKEncoder.pseudo(.authority, value: host.readable, to: out)
        HPACKEncoder.pseudo(.path, value: exchange.upstreamURI.readable, to: out)
        if asksForWebSocket { HPACKEncoder.pseudo(.protocol, value: Bytes("websocket"), to: out) }
    }

    func room(_ limit: Int) -> Int { room() }

    func sendBody(_ bytes: Bytes, last: Bool) -> Bool { sendData(bytes, last: last) }

    func endBody(_ exchange: Exchange) -> Bool {
        sendTrailers(
            exchange.requestTrailers, announcedIn: exchange.requestHeaders, allowed: false)
    }

    func writeFailed() {
        // Before the head there was nothing to fail but the connection, or what it cannot do.
        if exchange?.stopSending() != true { fail(isReset || !isOpen ? .reset : .write) }
    }

    // MARK: The response

    func readHead(_ exchange: Exchange) -> HeadRead {
        defer { head = .wait }
        return head
    }

    func readBody(_ limit: Int) -> BodyPiece { next(limit) }

    // MARK: The end

    func release(reusable: Bool) { close() }

    func close() {
        giveBack()
    }

    func begin(_ tunnel: Tunnel) {
        self.tunnel = tunnel
        exchange = nil
        setDeadline(.max)
    }
}
