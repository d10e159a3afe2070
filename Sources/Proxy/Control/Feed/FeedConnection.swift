// One connection to a control plane: TCP, TLS, HTTP/2, and gRPC calls on it.
//
// 1. connect → handshake → check who it is   2. the peer's settings came: `ready`
// 3. calls: messages out, messages in, a status at the end
// 4. silence is asked about (PING), and taken for the end when it lasts

import Bytes
import Engine
import HTTP

/// What a connection and its calls tell.
protocol FeedConnectionOwner: AnyObject {
    /// The peer is who it must be, and takes calls.
    func ready(_ connection: FeedConnection)
    func received(_ message: [UInt8], _ call: FeedCall)
    /// The call is over, well or badly.
    func ended(_ call: FeedCall, _ status: GRPCStatus)
    /// The connection is over; its calls have been ended before.
    func lost(_ connection: FeedConnection, _ reason: String)
}

/// A gRPC call.
final class FeedCall: HTTP2Stream {
    enum Method: String { case join = "Join", renew = "Renew", stream = "Stream" }

    let method: Method
    fileprivate var reader = GRPCMessageReader(limit: FeedCall.messageMax)
    /// What the windows did not take yet.
    fileprivate let outgoing = Buffer(capacity: 256)
    fileprivate var endsOutgoing = false
    fileprivate var status: GRPCStatus?
    fileprivate var isOver = false
    /// Monotonic milliseconds; a stream has none.
    fileprivate var deadline = Int64.max

    /// Bytes of one message: 100,000 routes take about 20 MB.
    static let messageMax = 256 << 20
    /// Bytes that may wait to be sent; more is a control plane that does not read.
    static let outgoingMax = 4 << 20

    init(_ method: Method) {
        self.method = method
        super.init()
    }
}

final class FeedConnection: StreamConnection {
    private enum Phase { case connecting, handshake, settings, active, closed }

    private unowned let owner: any FeedConnectionOwner
    private let client: TLSClient
    /// Whom to trust when the authority's certificate is not known yet.
    private let pinned: PinnedAuthority?
    /// The pinned authority's certificate, once the peer showed it.
    private(set) var authority = ""
    private var phase = Phase.connecting
    private let input = Buffer(capacity: 16 * 1024)
    private let output = Buffer(capacity: 1024)
    private let session: HTTP2Session
    private var calls: [FeedCall] = []
    private var heardAt: Int64 = 0
    private var asked = false

    /// What control planes' certificates are for, wherever they are reached.
    static let serverName = "seaway-control-plane"
    /// Milliseconds.
    private static let setupMax: Int64 = 5000
    private static let callMax: Int64 = 10_000
    private static let tick: Int64 = 1000
    private static let silenceAsked: Int64 = 4000
    private static let silenceMax: Int64 = 10_000
    /// Reads before others get their turn.
    private static let readsPerTurn = 16

    init(
        loop: EventLoop, buffers: BufferPool, client: TLSClient, pinned: PinnedAuthority?,
        owner: any FeedConnectionOwner
    ) {
        self.client = client
        self.pinned = pinned
        self.owner = owner
        var limits = HTTP2Limits.client
        // Configurations are large and taken as they come.
        limits.streamWindow = 4 << 20
        limits.connectionWindow = 8 << 20
        session = HTTP2Session(role: .client, limits: limits, output: output)
        super.init(loop: loop, buffers: buffers)
    }

    /// Starts connecting; what is wrong with it at once, or nil.
    func connect(_ address: SocketAddress) -> String? {
        do throws(SystemError) {
            let descriptor = try Socket.connect(address)
            guard attach(descriptor) else {
                Socket.close(descriptor)
                return "no descriptor is free"
            }
        } catch {
            return error.description
        }
        loop.setDeadline(self, loop.now + Self.setupMax)
        return nil
    }

    // MARK: Calls

    /// Begins a call; nil when the connection takes none.
    func call(_ method: FeedCall.Method, _ message: [UInt8], last: Bool) -> FeedCall? {
        guard phase == .active else { return nil }
        let call = FeedCall(method)
        session.now = loop.now
        guard session.open(call) else { return nil }
        session.beginHeaders()
        HPACKEncoder.pseudo(.method, value: Bytes("POST"), to: output)
        HPACKEncoder.pseudo(.scheme, value: Bytes("https"), to: output)
        "/seaway.gateways.v1.Gateways/\(method.rawValue)".withBytes {
            HPACKEncoder.pseudo(.path, value: $0, to: output)
        }
        Self.serverName.withBytes { HPACKEncoder.pseudo(.authority, value: $0, to: output) }
        let fields: [(StaticString, StaticString)] = [
            ("content-type", "application/grpc"), ("te", "trailers"), ("user-agent", "seaway-proxy"),
        ]
        for (name, value) in fields {
            HPACKEncoder.field(id: .other, name: Bytes(name), value: Bytes(value), neverIndexed: false, to: output)
        }
        session.endHeaders(call, end: false)
        if method != .stream { call.deadline = loop.now + Self.callMax }
        calls.append(call)
        send(message, on: call, last: last)
        return call
    }

    /// Sends a message. One that does not fit the windows waits.
    func send(_ message: [UInt8], on call: FeedCall, last: Bool = false) {
        guard phase == .active, !call.isOver else { return }
        if call.outgoing.isEmpty { call.outgoing.clear() }
        GRPCMessageReader.frame(message, to: call.outgoing)
        call.endsOutgoing = last
        guard call.outgoing.count <= FeedCall.outgoingMax else { return fail("it does not read what is reported") }
        push(call)
        loop.callAtEnd(self)
    }

    private func push(_ call: FeedCall) {
        guard call.isOpen, !call.outgoing.isEmpty || call.endsOutgoing && !call.sentEnd else { return }
        call.outgoing.consume(session.send(call, call.outgoing.readable, end: call.endsOutgoing))
    }

    /// Gives the call up; `ended` does not follow.
    func cancel(_ call: FeedCall) {
        guard !call.isOver else { return }
        call.isOver = true
        calls.removeAll { $0 === call }
        session.reset(call, .cancel)
        if phase == .active { loop.callAtEnd(self) }
    }

    // MARK: Setting up

    private func connected() {
        guard let session = client.session(descriptor, name: Self.serverName, resuming: nil, http2: true) else {
            return fail("TLS cannot be set up")
        }
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
            let problem = tls.verificationProblem.map { ": its certificate is not accepted: \($0)" } ?? ""
            return fail("the TLS handshake failed\(problem)")
        }
        // Before a word is said: the first words would be the token.
        if let pinned {
            guard let found = tls.authority(pinned, name: Self.serverName) else {
                return fail("its certificate is not of the authority that the join token names")
            }
            authority = found
        }
        guard tls.agreedHTTP2 else { return fail("it does not speak HTTP/2") }
        phase = .settings
        mayRead = true
        heardAt = loop.now
        session.start()
        loop.callAtEnd(self)
        loop.callAgain(self)
    }

    // MARK: Events

    override func ready(_ events: Readiness) {
        super.ready(events)
        switch phase {
        case .connecting:
            let error = Socket.error(descriptor)
            guard error == 0 else { return fail(SystemError.text(error)) }
            if !events.isDisjoint(with: [.failed, .hungUp]) { return fail("the connection was refused") }
            if events.contains(.writable) { connected() }
        case .handshake: handshake()
        case .settings, .active:
            read()
            if phase != .closed { loop.callAtEnd(self) }
        case .closed: break
        }
    }

    override func again() { if phase == .settings || phase == .active { read() } }

    private func read() {
        var budget = Self.readsPerTurn
        while mayRead, phase != .closed {
            guard budget > 0 else {
                loop.callAgain(self)
                break
            }
            budget -= 1
            if input.isEmpty { input.clear() } else if input.start > 0 { input.compact() }
            input.reserve(64 * 1024)
            switch receive(into: input, limit: input.free) {
            case .bytes:
                heardAt = loop.now
                asked = false
                process()
            case .wouldBlock: continue
            case .ended: return fail("it closed the connection")
            case .failed: return fail("the connection was reset")
            }
        }
        if phase != .closed { loop.callAtEnd(self) }
    }

    private func process() {
        session.now = loop.now
        while phase != .closed {
            let event = session.next(input)
            if case .needsBytes = event { return }
            take(event)
        }
    }

    override func turnEnded() {
        guard phase == .settings || phase == .active else { return }
        guard drain(output) else { return fail("the connection was reset") }
        if output.isEmpty { output.clear() } else { output.compact() }
    }

    override func timedOut() {
        guard phase == .active else { return fail("it did not answer in time") }
        let now = loop.now
        for call in calls where call.deadline <= now {
            end(call, GRPCStatus(code: GRPCStatus.deadlineExceeded, message: "no answer in time"))
        }
        guard phase == .active else { return }
        let silence = now - heardAt
        if silence >= Self.silenceMax { return fail("it does not answer any more") }
        if silence >= Self.silenceAsked, !asked {
            asked = true
            session.ping()
            loop.callAtEnd(self)
        }
        loop.setDeadline(self, now + Self.tick)
    }

    // MARK: Frames

    private func take(_ event: HTTP2Event) {
        switch event {
        case .needsBytes, .opened: break
        case .settings:
            guard phase == .settings else { break }
            phase = .active
            loop.setDeadline(self, loop.now + Self.tick)
            owner.ready(self)
        case .headers(let stream, let end): headers(stream, end: end)
        case .data(let stream, let bytes, let end): data(stream, bytes, end: end)
        case .reset(let stream, let code):
            guard let call = known(stream) else { return }
            end(call, GRPCStatus(code: GRPCStatus.unavailable, message: "the stream was reset (\(code.rawValue))"))
        case .window: for call in calls { push(call) }
        case .goAway(let last, _):
            for call in calls where call.id > last {
                end(call, GRPCStatus(code: GRPCStatus.unavailable, message: "it takes no more calls"))
            }
            if calls.isEmpty { fail("it ended the connection") }
        case .failed(_, let reason):
            _ = drain(output)
            fail("it broke HTTP/2: \(reason)")
        }
    }

    private func known(_ stream: HTTP2Stream) -> FeedCall? { calls.first { $0 === stream } }

    private func headers(_ stream: HTTP2Stream, end: Bool) {
        guard let call = known(stream) else { return }
        if let status = GRPCStatus(session.fields) {
            call.status = status
        } else if let index = (0..<session.fields.count).first(where: { session.fields[$0].pseudo == .status }),
            !(session.fields.value(index) == "200")
        {
            let status = session.fields.value(index).string
            call.status = GRPCStatus(code: GRPCStatus.unavailable, message: "it answered with HTTP status \(status)")
        }
        if end { finish(call) }
    }

    private func data(_ stream: HTTP2Stream, _ bytes: Bytes, end: Bool) {
        session.consumed(stream, bytes.count)
        guard let call = known(stream) else { return }
        call.reader.received(bytes)
        do throws(GRPCFault) {
            while !call.isOver, phase == .active, let message = try call.reader.next() { owner.received(message, call) }
        } catch {
            session.reset(call, .cancel)
            return self.end(call, GRPCStatus(code: GRPCStatus.unknown, message: "its messages are no gRPC: \(error)"))
        }
        if end { finish(call) }
    }

    private func finish(_ call: FeedCall) {
        end(call, call.status ?? GRPCStatus(code: GRPCStatus.unknown, message: "the call ended without a status"))
    }

    private func end(_ call: FeedCall, _ status: GRPCStatus) {
        guard !call.isOver else { return }
        call.isOver = true
        calls.removeAll { $0 === call }
        session.reset(call, .cancel)
        owner.ended(call, status)
        if phase == .active { loop.callAtEnd(self) }
    }

    // MARK: The end

    /// Ends the connection; `lost` does not follow, nor does `ended`.
    func close() {
        guard phase != .closed else { return }
        if phase == .active {
            session.goAway(.noError)
            _ = drain(output)
        }
        phase = .closed
        for call in calls { call.isOver = true }
        calls = []
        closeStream()
    }

    private func fail(_ reason: String) {
        guard phase != .closed else { return }
        phase = .closed
        let open = calls
        calls = []
        closeStream()
        for call in open where !call.isOver {
            call.isOver = true
            owner.ended(call, GRPCStatus(code: GRPCStatus.unavailable, message: reason))
        }
        owner.lost(self, reason)
    }
}
