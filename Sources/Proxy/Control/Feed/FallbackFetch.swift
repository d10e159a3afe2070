// One GET over HTTPS, for a signed snapshot that lies on a web server.

import Bytes
import Engine
import HTTP

/// Fetches `https://host[:port]/path` once. The server's certificate is checked against the system's authorities;
/// that the content may be believed, its signature tells.
final class FallbackFetch: StreamConnection {
    private enum Phase { case names, connecting, handshake, request, closed }

    private let url: String
    private let resolver: Resolver
    private let finished: (Result<[UInt8], SignedSnapshotFault>) -> Void
    private var host = ""
    private var port: UInt16 = 443
    private var path = "/"
    private var phase = Phase.names
    private let input = Buffer(capacity: 16 * 1024)
    private var parser = ResponseParser()
    private let head = ResponseHead()
    private var hasHead = false
    private var endsAt = Int64.max

    /// Milliseconds for all of it, and between two looks at the resolver.
    private static let patience: Int64 = 30_000
    private static let look: Int64 = 50
    private static let sizeMax = 256 << 20

    init(
        _ url: String, loop: EventLoop, buffers: BufferPool, resolver: Resolver,
        finished: @escaping (Result<[UInt8], SignedSnapshotFault>) -> Void
    ) {
        self.url = url
        self.resolver = resolver
        self.finished = finished
        super.init(loop: loop, buffers: buffers)
    }

    func start() {
        let rest = url.dropFirst("https://".count)
        let authority = rest.prefix { $0 != "/" }
        path = String(rest.dropFirst(authority.count))
        if path.isEmpty { path = "/" }
        let isPlain = path.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F }
        // Without a port it is HTTPS' own.
        let text = "https://\(authority)" + (Self.hasPort(authority) ? "" : ":443")
        guard isPlain, let address = FeedAddress(text) else { return fail("the URL is not understood") }
        host = address.host
        port = address.port
        endsAt = loop.now + Self.patience
        resolver.watch(host)
        timedOut()
    }

    private static func hasPort(_ authority: Substring) -> Bool {
        let tail = authority.lastIndex(of: "]").map { authority[$0...] } ?? authority
        return tail.contains(":")
    }

    // MARK: Events

    override func timedOut() {
        guard loop.now < endsAt else { return fail("there was no answer in time") }
        guard phase == .names else { return loop.setDeadline(self, endsAt) }
        switch resolver.answer(host) {
        case .pending: loop.setDeadline(self, loop.now + Self.look)
        case .unknown: fail("the name \(host) does not resolve")
        case .addresses(let found):
            guard let address = found.first?.address else { return fail("the name \(host) has no address") }
            connect(SocketAddress(address, port: port))
        }
    }

    private func connect(_ address: SocketAddress) {
        do throws(SystemError) {
            let descriptor = try Socket.connect(address)
            guard attach(descriptor) else {
                Socket.close(descriptor)
                return fail("no descriptor is free")
            }
        } catch {
            return fail(error.description)
        }
        phase = .connecting
        loop.setDeadline(self, endsAt)
    }

    override func ready(_ events: Readiness) {
        super.ready(events)
        switch phase {
        case .connecting:
            let error = Socket.error(descriptor)
            guard error == 0 else { return fail(SystemError.text(error)) }
            if events.contains(.writable) { connected() }
        case .handshake: handshake()
        case .request:
            guard flush() else { return fail("the connection was reset") }
            read()
        case .names, .closed: break
        }
    }

    override func again() { if phase == .request { read() } }

    private func connected() {
        guard let client = try? TLSClient(verify: true, depth: nil, authorities: [], identity: nil),
            let session = client.session(descriptor, name: host, resuming: nil)
        else { return fail("TLS cannot be set up") }
        tls = session
        phase = .handshake
        handshake()
    }

    private func handshake() {
        guard let tls else { return }
        switch tls.handshake() {
        case .bytes: break
        case .wantsRead, .wantsWrite: return
        case .closed, .failed:
            return fail("the TLS handshake failed" + (tls.verificationProblem.map { ": \($0)" } ?? ""))
        }
        phase = .request
        mayRead = true
        parser.begin(at: 0)
        let name = (host.contains(":") ? "[\(host)]" : host) + (port == 443 ? "" : ":\(port)")
        // HTTP/1.0: the body comes as it is and ends with its length or the connection.
        let request = "GET \(path) HTTP/1.0\r\nHost: \(name)\r\nUser-Agent: seaway-proxy\r\nConnection: close\r\n\r\n"
        guard request.withBytes({ send($0) }) else { return fail("the connection was reset") }
        loop.callAgain(self)
    }

    private func read() {
        while mayRead, phase == .request {
            input.reserve(64 * 1024)
            switch receive(into: input, limit: input.free) {
            case .bytes:
                guard input.count <= Self.sizeMax else { return fail("it is larger than \(Self.sizeMax) bytes") }
                parse(isComplete: false)
            case .wouldBlock: continue
            case .ended: return parse(isComplete: true)
            case .failed: return fail("the connection was reset")
            }
        }
    }

    private func parse(isComplete: Bool) {
        if !hasHead {
            switch parser.parse(
                input, into: head, limits: HeadLimits(line: 8192, head: 65_536, fields: 256), toHead: false)
            {
            case .incomplete: return isComplete ? fail("the answer is not complete") : ()
            case .failed: return fail("the answer is no HTTP")
            case .complete(let bodyAt):
                hasHead = true
                guard head.status == 200 else { return fail("the answer is HTTP status \(head.status)") }
                input.consume(bodyAt - input.start)
            }
        }
        switch head.framing {
        case .length(let length):
            if input.count >= length { return succeed(input.readable.prefix(length).array) }
            if isComplete { fail("the answer is not complete") }
        case .none: succeed([])
        case .chunked: fail("the answer comes in chunks, which was not asked for")
        case .untilClose: if isComplete { succeed(input.readable.array) }
        }
    }

    // MARK: The end

    /// Ends without a word.
    func cancel() {
        guard phase != .closed else { return }
        phase = .closed
        resolver.unwatch(host)
        closeStream()
    }

    private func succeed(_ body: [UInt8]) {
        cancel()
        finished(.success(body))
    }

    private func fail(_ reason: String) {
        guard phase != .closed else { return }
        cancel()
        finished(.failure(SignedSnapshotFault(description: reason)))
    }
}
