// A client's HTTP/2 stream as its exchange uses it: the request's body in, the answer out.

import Bytes
import Engine
import HTTP
import Snapshot

/// One request of an HTTP/2 client.
final class ServerStream: CarriedStream, ClientSide {
    private let connection: HTTP2ClientConnection
    private var exchange: Exchange?
    private var tunnel: Tunnel?
    private var headStart = 0
    /// Of the request, decoded.
    private(set) var headBytes = 0
    /// Serves a request; the connection gets it back once.
    private var isTaken = false

    init(connection: HTTP2ClientConnection) {
        self.connection = connection
        super.init(link: connection.link)
    }

    func begin(_ exchange: Exchange, headBytes: Int) {
        self.headBytes = headBytes
        self.exchange = exchange
        isTaken = true
        switch exchange.request.framing {
        case .length(let n): expectedLength = n
        case .none: expectedLength = exchange.request.wantsWebSocket ? nil : 0
        case .chunked, .untilClose: break
        }
    }

    // MARK: What the connection tells

    override func readable() {
        if let tunnel { tunnel.clientReadable() } else { exchange?.clientReadable() }
    }

    override func writable() {
        if let tunnel { tunnel.clientWritable() } else { exchange?.clientWritable() }
    }

    override func drained() { if exchange == nil, tunnel == nil { settle() } }

    override func timedOut() {
        if let tunnel { return tunnel.timedOut() }
        if let exchange { return exchange.clientTimedOut() }
        // The answer is complete and nobody reads it.
        abort()
    }

    func trailersCame() {
        guard let exchange else { return }
        if exchange.requestTrailers.takeTrailers(link.session.fields) { readable() } else { breakOff(.protocolError) }
    }

    /// The stream is over: by the peer, for its fault, or with its connection.
    func wasReset() { end() }

    private func end() {
        guard isTaken else { return }
        isTaken = false
        leave(.cancel)
        let exchange = exchange
        let tunnel = tunnel
        self.exchange = nil
        self.tunnel = nil
        exchange?.clientGone()
        tunnel?.clientGone()
        connection.forget(self)
    }

    private func breakOff(_ code: HTTP2Code) {
        link.session.reset(self, code)
        link.sendSoon()
        end()
    }

    // MARK: ClientSide

    var transport: ClientTransport { connection }
    var isLastRequest: Bool { false }

    func readBody(_ limit: Int) -> BodyPiece { next(limit) }

    func skipBody() -> Bool {
        guard receivedEnd else { return false }
        dropInput()
        return true
    }

    func sendContinue() {
        link.session.beginHeaders()
        HPACKEncoder.status(100, to: link.out)
        link.session.endHeaders(self, end: false)
        link.sendSoon()
    }

    func sendInterim(_ exchange: Exchange) -> Bool {
        beginHead(exchange.response.status, .empty).block(exchange.response.headers, except: Forwarding.responseHop)
        link.session.endHeaders(self, end: false)
        link.sendSoon()
        return isOpen
    }

    func beginHead(_ status: Int, _ reason: Bytes) -> FieldWriter {
        headStart = link.out.count
        link.session.beginHeaders()
        // A switch of protocols is an ordinary success here (RFC 8441 section 5).
        HPACKEncoder.status(status == 101 ? 200 : status, to: link.out)
        worker.fields.begin(block: link.out)
        return worker.fields
    }

    func writeFraming(_ framing: BodyFraming, _ exchange: Exchange) {
        if case .length(let n) = framing { worker.fields.field(.contentLength, decimal: n) }
    }

    func writeUpgrade(_ exchange: Exchange) {}

    func endHead(ends: Bool) {
        link.session.endHeaders(self, end: ends)
        exchange?.responseBytes += max(0, link.out.count - headStart)
        link.sendSoon()
    }

    func room(_ limit: Int) -> Int { room() }

    func sendBody(_ bytes: Bytes, last: Bool) -> Bool {
        exchange?.responseBytes += bytes.count
        exchange?.responseBodyBytes += bytes.count
        return sendData(bytes, last: last)
    }

    func endBody(_ exchange: Exchange) -> Bool {
        sendTrailers(
            exchange.responseTrailers, announcedIn: exchange.response.headers, allowed: exchange.allowsTrailers)
    }

    func flush(_ exchange: Exchange) -> Bool { isOpen || sentEnd }

    func exchangeFinished(keep: Bool, linger: Bool) {
        exchange = nil
        tunnel = nil
        if isBehind {
            setDeadline(worker.loop.now + Int64(worker.running.settings.bodyTimeout))
        } else {
            settle()
        }
    }

    /// The answer is sent. A request whose body nobody wants any more ends without blame (RFC 9113
    /// section 8.1).
    private func settle() {
        guard isTaken else { return }
        isTaken = false
        leave(.noError)
        connection.forget(self)
    }

    func abort() { breakOff(.internalError) }

    func begin(_ tunnel: Tunnel) {
        self.tunnel = tunnel
        exchange = nil
    }
}
