// Both ends together: requests with bodies go over, come back as they went, and nothing is left behind.

import Bytes
import Testing

@testable import HTTP

@Suite("HTTP2Session, client and server")
struct HTTP2PairTests {
    @Test(
        "every body comes back whole, through small windows and any cuts, some calls being given up", arguments: 0..<20)
    func echoes(_ seed: UInt64) {
        var pair = Pair(seed: seed)
        pair.run(calls: 60)
    }
}

/// A client that asks and a server that echoes, with the bytes between them cut at random.
private struct Pair {
    private final class Call: HTTP2Stream {
        /// What is still to be sent, and whether that is all.
        var outgoing = Buffer()
        var isComplete = false
        var received: [UInt8] = []
        var body: [UInt8] = []
        var isAnswered = false
    }

    private let seed: UInt64
    private var random: SmallRandom
    private let client: HTTP2Session
    private let server: HTTP2Session
    private let clientInput = Buffer()
    private let serverInput = Buffer()
    private var asked = 0
    private var finished = 0
    private var givenUp = 0

    init(seed: UInt64) {
        self.seed = seed
        random = SmallRandom(seed: seed)
        var limits = HTTP2Limits.client
        limits.streamWindow = 65_535
        limits.connectionWindow = 100_000
        client = HTTP2Session(role: .client, limits: limits, output: Buffer())
        limits.maxConcurrentStreams = 7
        server = HTTP2Session(role: .server, limits: limits, output: Buffer())
        client.start()
        server.start()
    }

    mutating func run(calls: Int) {
        var turns = 0
        while finished + givenUp < calls, turns < 50_000 {
            turns += 1
            if asked < calls, random.below(3) == 0 { ask() }
            Self.move(client.output, serverInput, 1 + random.below(9000))
            while serve() {}
            Self.move(server.output, clientInput, 1 + random.below(9000))
            while hear() {}
            client.forEachStream { Self.push(client, $0) }
            server.forEachStream { Self.push(server, $0) }
        }
        #expect(finished + givenUp == calls, "seed \(seed)")
        // The last frames cross.
        for _ in 0..<10 {
            Self.move(client.output, serverInput, 1 << 20)
            while serve() {}
            Self.move(server.output, clientInput, 1 << 20)
            while hear() {}
        }
        #expect(client.fault == nil && server.fault == nil, "seed \(seed)")
        #expect(client.openStreams == 0 && server.openStreams == 0, "seed \(seed)")
        #expect(client.unconsumed == 0 && server.unconsumed == 0, "seed \(seed)")
    }

    private static func move(_ output: Buffer, _ input: Buffer, _ most: Int) {
        let count = min(most, output.count)
        input.compact()
        input.append(output.readable.prefix(count))
        output.consume(count)
        output.compact()
    }

    private mutating func ask() {
        let call = Call()
        call.prepare()
        guard client.open(call) else { return }
        asked += 1
        let count = random.below(4) == 0 ? 0 : random.below(120_000)
        let first = random.below(256)
        call.body = [UInt8](repeating: UInt8(first), count: count)
        client.beginHeaders()
        for (pseudo, value) in [
            (Pseudo.method, Bytes("POST")), (.scheme, Bytes("https")), (.authority, Bytes("a.example")),
            (.path, Bytes("/")),
        ] { HPACKEncoder.pseudo(pseudo, value: value, to: client.output) }
        client.endHeaders(call, end: count == 0)
        call.outgoing.append(call.body)
        call.isComplete = true
        Self.push(client, call)
    }

    /// Sends what is left of a body, as far as the windows go.
    private static func push(_ session: HTTP2Session, _ stream: HTTP2Stream) {
        guard let call = stream as? Call, call.sentHead, !call.sentEnd else { return }
        let taken = session.send(call, call.outgoing.readable, end: call.isComplete)
        call.outgoing.consume(taken)
        // The echo's source may go on as its bytes leave.
        if session.role == .server { session.consumed(call, taken) }
    }

    private mutating func serve() -> Bool {
        let event = server.next(serverInput)
        switch event {
        case .needsBytes: return false
        case .opened(let id, let end):
            let call = Call()
            call.prepare()
            server.accept(call, id, end: end)
            #expect(server.fields.count == 4 && server.fields.value(2) == "a.example", "seed \(seed)")
            server.beginHeaders()
            HPACKEncoder.status(200, to: server.output)
            server.endHeaders(call, end: false)
            call.isComplete = end
            Self.push(server, call)
        case .data(let stream, let bytes, let end):
            guard let call = stream as? Call else { return false }
            call.outgoing.append(bytes)
            call.isComplete = end
        case .reset, .settings, .window: break
        case .headers, .goAway, .failed:
            Issue.record("seed \(seed): server \(event)")
            return false
        }
        return true
    }

    private mutating func hear() -> Bool {
        let event = client.next(clientInput)
        switch event {
        case .needsBytes: return false
        case .headers(let stream, let end):
            (stream as? Call)?.isAnswered = true
            #expect(!end && client.fields.value(0) == "200", "seed \(seed)")
        case .data(let stream, let bytes, let end):
            guard let call = stream as? Call else { return false }
            #expect(call.isAnswered)
            call.received += bytes.array
            client.consumed(call, bytes.count)
            if end {
                #expect(call.received == call.body, "seed \(seed): stream \(call.id)")
                finished += 1
            } else if random.below(200) == 0 {
                client.reset(call, .cancel)
                givenUp += 1
            }
        case .settings, .window: break
        case .opened, .reset, .goAway, .failed:
            Issue.record("seed \(seed): client \(event)")
            return false
        }
        return true
    }
}
