// Fuzz target: HTTP/2 at either end, in one piece and in many. Both must see the same events, and hold little.

import Bytes
import HTTP

/// An owner that answers by what it has seen, never by how it was cut.
private final class Owner {
    private let session: HTTP2Session
    private let role: HTTP2Role
    private let input = Buffer()
    private let output = Buffer()
    private let request = RequestHead()
    private let response = ResponseHead()
    private let trailers = HeaderBlock()
    private let limits = HeadLimits(line: 1024, head: 4096, fields: 20)
    private(set) var rows: [[Int]] = []
    private var isOver = false

    init(_ role: HTTP2Role) {
        self.role = role
        var limits = role == .server ? HTTP2Limits.server : HTTP2Limits.client
        limits.head = self.limits
        limits.maxConcurrentStreams = 16
        limits.connectionWindow = 128 * 1024
        session = HTTP2Session(role: role, limits: limits, output: output)
        session.start()
        if role == .client {
            for _ in 0..<8 { ask() }
        }
        output.clear()
    }

    func received(_ bytes: Bytes) {
        guard !isOver else { return }
        input.compact()
        input.append(bytes)
        while take(session.next(input)) {}
        require(isOver || input.count < 512, "more than a small frame waits in the input")
    }

    /// True while there may be more.
    private func take(_ event: HTTP2Event) -> Bool {
        switch event {
        case .needsBytes: return false
        case .opened(let id, let end): opened(id, end)
        case .headers(let stream, let end): headers(stream, end)
        case .data(let stream, let bytes, let end): data(stream, bytes, end)
        case .reset(let stream, let code):
            require(!stream.isOpen, "a stream that was reset is open")
            rows.append([4, Int(stream.id), Int(code.rawValue)])
        case .window(let stream):
            rows.append([5, stream.map { Int($0.id) } ?? 0])
            session.forEachStream { answer($0) }
        case .settings: rows.append([6])
        case .goAway(let last, let code): rows.append([7, Int(last), Int(code.rawValue)])
        case .failed(let code, let reason):
            rows.append([8, Int(code.rawValue), hash(Bytes(reason))])
            isOver = true
        }
        if case .data(_, _, end: false) = event { return true }
        require(output.count < 64 * 1024, "a peer makes the output grow")
        output.clear()
        return !isOver
    }

    private func opened(_ id: UInt32, _ end: Bool) {
        rows.append([1, Int(id), end ? 1 : 0] + fields())
        let stream = HTTP2Stream()
        stream.prepare()
        switch request.take(session.fields, end: end, limits: limits) {
        case .malformed: return session.refuse(id, .protocolError)
        case .refused:
            session.accept(stream, id, end: end)
            return answer(stream)
        case nil: break
        }
        describe(request.headers)
        require(request.target.count > 0 && request.host.count > 0, "a request without target or host")
        require(!request.target.contains(0x20) && !request.host.contains(0x20), "a space would reach an HTTP/1 peer")
        if case .length(let length) = request.framing { stream.expectedLength = length }
        session.accept(stream, id, end: end)
        if id % 3 == 0 { answer(stream) }
    }

    private func headers(_ stream: HTTP2Stream, _ end: Bool) {
        rows.append([2, Int(stream.id), end ? 1 : 0] + fields())
        if end {
            trailers.reset(source: nil)
            if trailers.takeTrailers(session.fields) { describe(trailers) }
        }
        if role == .client, response.take(session.fields, end: end, toHead: false) == nil {
            describe(response.headers)
            if case .length(let length) = response.framing { stream.expectedLength = length }
        }
        if end { ended(stream) } else if stream.id % 5 == 0 { session.reset(stream, .cancel) }
    }

    private func data(_ stream: HTTP2Stream, _ bytes: Bytes, _ end: Bool) {
        require(end || !bytes.isEmpty, "a piece of a body is empty")
        require(stream.unconsumed <= session.limits.streamWindow, "a stream holds more than its window")
        var sum = 0
        for index in 0..<bytes.count { sum &+= Int(bytes[index]) &+ 1 }
        if let last = rows.last, last[0] == 3, last[1] == Int(stream.id), last[2] == 0 {
            sum &+= last[3]
            rows.removeLast()
        }
        rows.append([3, Int(stream.id), end ? 1 : 0, sum])
        if end { ended(stream) }
    }

    /// The peer's half is done: all of it is consumed, and answered or followed by another request.
    private func ended(_ stream: HTTP2Stream) {
        session.consumed(stream, stream.unconsumed)
        answer(stream)
        if role == .client { ask() }
    }

    private func answer(_ stream: HTTP2Stream) {
        guard stream.isOpen, !stream.sentEnd else { return }
        if role == .server {
            session.beginHeaders()
            HPACKEncoder.status(200, to: output)
            session.endHeaders(stream, end: stream.id % 7 == 0)
        }
        let taken = session.send(stream, Bytes("what a server or a client has to say"), end: true)
        require(taken <= 36, "more was sent than there was")
    }

    private func ask() {
        let stream = HTTP2Stream()
        stream.prepare()
        guard session.open(stream) else { return }
        session.beginHeaders()
        HPACKEncoder.pseudo(.method, value: Bytes("POST"), to: output)
        session.endHeaders(stream, end: stream.id % 3 == 0)
    }

    private func fields() -> [Int] {
        (0..<session.fields.count).flatMap { [hash(session.fields.name($0)), hash(session.fields.value($0))] }
    }

    private func describe(_ block: HeaderBlock) {
        for index in 0..<block.count {
            guard let field = block.field(index) else { continue }
            for byte: UInt8 in [0x00, 0x0A, 0x0D] {
                require(!field.value.contains(byte), "a line end or NUL inside a value")
                require(!field.name.contains(byte), "a line end or NUL inside a name")
            }
            rows.append([9, hash(field.name), hash(field.value)])
        }
    }

    private func hash(_ bytes: Bytes) -> Int { Int(truncatingIfNeeded: bytes.hash64()) }
}

@c(LLVMFuzzerTestOneInput)
public func fuzz(_ data: UnsafePointer<UInt8>, _ size: Int) -> CInt {
    unsafe pieces(data, size) { input, seed in
        let role = seed < 128 ? HTTP2Role.server : .client
        let whole = Owner(role)
        whole.received(input)
        let cut = Owner(role)
        var cuts = Cuts(seed: seed)
        var at = 0
        while at < input.count {
            let next = min(input.count, at + cuts.next())
            cut.received(input[at..<next])
            at = next
        }
        require(whole.rows == cut.rows, "the same bytes in pieces mean something else")
    }
    return 0
}
