// Flow control against a slow, obvious model; and the same events however the input is cut.

import Bytes
import Testing

@testable import HTTP

@Suite("HTTP2Session flow control")
struct HTTP2FlowTests {
    @Test("windows are never passed, all bytes arrive in order, and nobody waits for ever", arguments: 0..<40)
    func random(_ seed: UInt64) {
        var run = FlowRun(seed: seed)
        for _ in 0..<300 { run.step() }
        run.finish()
    }

    @Test("what one stream's owner holds back does not keep the others from the rest")
    func heldBack() {
        let peer = Peer()
        // 15 streams hold 983,025 of 1,048,576 bytes; stream 99 sends a megabyte through what is left.
        let held = (0..<15).map { UInt32(2 * $0 + 1) }
        for id in held {
            peer.feed(Wire.headers(id))
            for _ in 0..<3 { peer.feed(Wire.data(id, count: 16384)) }
            peer.feed(Wire.data(id, count: 65_535 - 3 * 16384))
        }
        #expect(peer.session.fault == nil)
        peer.consumes = true
        peer.feed(Wire.headers(99))
        for _ in 0..<128 { peer.feed(Wire.data(99, count: 8192)) }
        #expect(peer.session.fault == nil)
        #expect(peer.session.unconsumed == 15 * 65_535)
    }

    @Test("what is held of a stream that is reset, or abandoned, counts no more")
    func released() {
        let peer = Peer()
        for n in 0..<100 {
            let id = UInt32(2 * n + 1)
            peer.feed(Wire.headers(id) + Wire.data(id, count: 16384) + Wire.data(id, count: 16384))
            guard let stream = peer.streams[id] else { continue }
            switch n % 3 {
            case 0: peer.session.reset(stream, .cancel)
            case 1: peer.feed(Wire.data(id, "", end: true) + Wire.reset(id))
            default:
                peer.feed(Wire.data(id, "", end: true))
                peer.respond(id)
                #expect(!stream.isOpen && stream.unconsumed == 32768)
                peer.session.abandon(stream)
            }
            #expect(peer.session.unconsumed == 0)
        }
        #expect(peer.session.fault == nil)
    }

    @Test("DATA for a stream that we reset counts for the connection and is given back")
    func stray() {
        let peer = Peer()
        peer.feed(Wire.headers(1))
        if let stream = peer.streams[1] { peer.session.reset(stream, .cancel) }
        for _ in 0..<200 { peer.feed(Wire.data(1, count: 16384)) }
        #expect(peer.session.fault == nil)
        #expect(peer.taken().contains { $0.hasPrefix("> WINDOW_UPDATE 0 ") })
    }

    @Test("DATA beyond the connection's window ends the connection")
    func exceeded() {
        let peer = Peer()
        for n in 0..<16 {
            let id = UInt32(2 * n + 1)
            peer.feed(Wire.headers(id))
            for _ in 0..<3 { peer.feed(Wire.data(id, count: 16384)) }
            peer.feed(Wire.data(id, count: 65_535 - 3 * 16384))
        }
        #expect(peer.session.fault == nil)
        peer.feed(Wire.headers(33) + Wire.data(33, count: 16) + Wire.data(33, count: 1))
        #expect(peer.session.fault == .windowExceeded)
    }

    @Test("the same events and frames however the input is cut")
    func cuts() {
        let script = Self.script
        let whole = Self.read(script, cuts: [])
        #expect(whole.contains { $0.hasPrefix("data 5") } && whole.contains("headers 5 end"))
        for cut in 1..<script.count {
            let lines = Self.read(script, cuts: [cut])
            guard lines == whole else {
                Issue.record("cut at \(cut): \(lines) instead of \(whole)")
                return
            }
        }
        #expect(Self.read(script, cuts: Array(1..<script.count)) == whole)
    }

    @Test("says while a header block is not complete")
    func insideHeaders() {
        let peer = Peer()
        let bytes = Wire.headers(1, complete: false) + Wire.continuation(1, Wire.trailer, complete: true)
        for (at, byte) in bytes.enumerated() {
            #expect(peer.session.isInsideHeaders == (at >= 9))
            peer.feed([byte])
        }
        #expect(!peer.session.isInsideHeaders)
    }

    /// A bit of everything.
    private static var script: [UInt8] {
        var bytes = Wire.preface + Wire.settings((4, 70_000), (3, 9)) + Wire.acknowledgement
        bytes += Wire.frame(1, 1, flags: 0x2D, [2] + Wire.big(0) + [15] + Wire.request + [0, 0])
        bytes += Wire.headers(3, [0x82], end: true, complete: false) + Wire.continuation(3, [0x86], complete: false)
        bytes += Wire.continuation(3, [], complete: false) + Wire.continuation(3, [0x84], complete: true)
        bytes += Wire.ping(7) + Wire.headers(5) + Wire.data(5, "hello") + Wire.padded(5, "world", pad: 9)
        bytes += Wire.frame(0x16, 7, [1, 2, 3]) + Wire.window(0, 99) + Wire.priority(9, on: 5)
        bytes += Wire.data(5, "") + Wire.padded(5, "", pad: 3) + Wire.headers(5, Wire.trailer, end: true)
        bytes += Wire.headers(7) + Wire.padded(7, "x", pad: 1, end: true) + Wire.headers(9) + Wire.reset(9, 8)
        bytes += Wire.window(1, 0x7FFF_FFFF) + Wire.data(1, "late") + Wire.data(3, "very late")
        return bytes + Wire.goAway(0) + Wire.headers(11) + Wire.frame(0, 11, flags: 8, [3, 1, 2])
    }

    /// Events and frames, with neighbouring pieces of one body joined.
    private static func read(_ bytes: [UInt8], cuts: [Int]) -> [String] {
        let peer = Peer(handshake: false)
        peer.isDeaf = true
        var at = 0
        for cut in cuts + [bytes.count] {
            peer.feed(Array(bytes[at..<cut]))
            at = cut
            if peer.session.fault != nil { break }
        }
        var lines: [String] = []
        for line in peer.taken() {
            if let last = lines.last, let joined = join(last, line) {
                lines[lines.count - 1] = joined
            } else {
                lines.append(line)
            }
        }
        return lines + Wire.lines(peer.output)
    }

    /// `data 5 'he'` and `data 5 'llo' end` are `data 5 'hello' end`.
    private static func join(_ a: String, _ b: String) -> String? {
        let first = a.split(separator: "'", omittingEmptySubsequences: false)
        let second = b.split(separator: "'", omittingEmptySubsequences: false)
        guard first.count == 3, second.count == 3, first[0] == second[0], first[2].isEmpty else { return nil }
        return "\(first[0])'\(first[1])\(second[1])'\(second[2])"
    }
}

/// A server session between a random client and a random owner, and what the RFC says of every window.
private struct FlowRun {
    private let seed: UInt64
    private var random: SmallRandom
    private let peer: HTTP2Session
    private let output = Buffer()
    private let input = Buffer()
    private var wire: [UInt8] = []
    private var streams: [UInt32: Flow] = [:]
    private var nextID: UInt32 = 1

    // The ledger: sums of what was said, nothing derived is kept.
    private var initialWindow = 65_535
    private var connectionUpdates = 0
    private var ourUpdates = 0

    private final class Flow {
        let stream = HTTP2Stream()
        /// Client's WINDOW_UPDATEs that the session has read, bytes it has sent.
        var updates = 0, sent = 0
        /// What the owner wants to send in all, and whether it was told to wait.
        var wanted = 0
        var isWaiting = false
        var ended = false
        /// The session's WINDOW_UPDATEs, and bytes the client has sent, read and consumed.
        var ourUpdates = 0, uploaded = 0, delivered = 0, consumed = 0
        /// Bytes that came out on the wire.
        var arrived = 0
        var isUploaded = false
    }

    init(seed: UInt64) {
        self.seed = seed
        random = SmallRandom(seed: seed &+ 1000)
        var limits = HTTP2Limits.server
        limits.maxConcurrentStreams = 8
        limits.connectionWindow = 150_000
        let plenty = HTTP2Rates.Rate(burst: 1_000_000, perSecond: 0)
        limits.rates.windowUpdates = plenty
        limits.rates.settings = plenty
        peer = HTTP2Session(role: .server, limits: limits, output: output)
        peer.start()
        wire += Wire.preface + Wire.settings() + Wire.acknowledgement
        deliver(all: true)
    }

    /// No 65,536 bytes of it are like those a little further on; twice, so that any so many are in one piece.
    private static let pattern = (0..<131_072).map { UInt8(truncatingIfNeeded: ($0 & 0xFFFF) &* 40_503 >> 8) }

    /// What a stream's body has from `at` on, in either direction.
    private func body(_ id: UInt32, _ at: Int, _ count: Int) -> [UInt8] {
        let start = (at + Int(id) * 77) & 0xFFFF
        return Array(Self.pattern[start..<start + count])
    }

    private func matches(_ bytes: Bytes, _ id: UInt32, _ at: Int) -> Bool {
        body(id, at, bytes.count).withBytes { $0 == bytes }
    }

    mutating func step() {
        switch random.below(10) {
        case 0: if streams.count < 8 { openStream() }
        case 1: update(UInt32(1 + random.below(40_000)), stream: true)
        case 2: update(UInt32(1 + random.below(60_000)), stream: false)
        case 3: changeWindow()
        case 4, 5: upload()
        case 6: consume()
        case 7, 8: want()
        default: deliver(all: true)
        }
        if random.below(3) == 0 { deliver(all: false) }
        check()
    }

    private mutating func openStream() {
        wire += Wire.headers(nextID)
        nextID += 2
    }

    private mutating func pick() -> (UInt32, Flow)? {
        let ids = streams.keys.sorted()
        guard !ids.isEmpty else { return nil }
        let id = ids[random.below(ids.count)]
        return streams[id].map { (id, $0) }
    }

    private mutating func update(_ increment: UInt32, stream: Bool) {
        let id = stream ? pick()?.0 ?? 0 : 0
        wire += Wire.window(id, increment)
        deliver(all: true)
        if id == 0 { connectionUpdates += Int(increment) } else { streams[id]?.updates += Int(increment) }
    }

    private mutating func changeWindow() {
        let size = random.below(100_000)
        wire += Wire.settings((4, UInt32(size)))
        deliver(all: true)
        initialWindow = size
    }

    /// The client sends what the session's windows allow.
    private mutating func upload() {
        guard let (id, flow) = pick(), !flow.isUploaded else { return }
        let all = streams.values.reduce(0) { $0 + $1.uploaded }
        let room = min(65_535 + flow.ourUpdates - flow.uploaded, 65_535 + ourUpdates - all)
        let pad = random.below(3) == 0 ? 1 + random.below(20) : 0
        let count = min(1 + random.below(16_000), room - pad)
        guard count > 0, random.below(20) > 0 else { return }
        // Padding counts for the windows; the client's ledger has it with the bytes.
        let start = flow.delivered + pending(id)
        let bytes = body(id, start, count)
        if pad == 0 {
            wire += Wire.frame(0, id, bytes)
        } else {
            wire += Wire.frame(0, id, flags: 8, [UInt8(pad - 1)] + bytes + [UInt8](repeating: 0, count: pad - 1))
        }
        sentBytes[id, default: 0] += count
        flow.uploaded += count + pad
    }

    /// Body bytes that the client has put on the wire, by stream.
    private var sentBytes: [UInt32: Int] = [:]
    private func pending(_ id: UInt32) -> Int { (sentBytes[id] ?? 0) - (streams[id]?.delivered ?? 0) }

    private mutating func consume() {
        guard let (_, flow) = pick() else { return }
        let count = min(flow.delivered - flow.consumed, random.below(30_000))
        peer.consumed(flow.stream, count)
        flow.consumed += count
        drain()
    }

    private mutating func want() {
        guard let (id, flow) = pick(), !flow.ended else { return }
        flow.wanted += random.below(50_000)
        if !flow.isWaiting { send(id, flow) }
        drain()
    }

    /// The owner sends until the session takes no more; then it waits to be told.
    private func send(_ id: UInt32, _ flow: Flow) {
        let bytes = body(id, flow.sent, min(65_536, flow.wanted - flow.sent))
        let taken = bytes.withBytes { peer.send(flow.stream, $0, end: false) }
        let room = max(0, min(initialWindow + flow.updates - flow.sent, connectionRoom))
        #expect(taken == min(bytes.count, room), "seed \(seed): stream \(id)")
        flow.sent += taken
        if taken == bytes.count, flow.sent < flow.wanted { return send(id, flow) }
        flow.isWaiting = flow.sent < flow.wanted
    }

    private var connectionRoom: Int {
        65_535 + connectionUpdates - streams.values.reduce(0) { $0 + $1.sent }
    }

    /// Gives the session some of what is on the wire, or all of it.
    private mutating func deliver(all: Bool) {
        while !wire.isEmpty {
            let count = min(wire.count, 1 + random.below(random.below(2) == 0 ? 30 : 20_000))
            input.append(Array(wire[..<count]))
            wire.removeFirst(count)
            takeEvents()
            input.compact()
            if !all { break }
        }
        drain()
    }

    /// Windows that events are about are in the ledger only after the call: senders wait until then.
    private var woken: [UInt32] = []

    private mutating func takeEvents() {
        while true {
            switch peer.next(input) {
            case .needsBytes: return
            case .opened(let id, let end):
                let flow = Flow()
                flow.stream.prepare()
                streams[id] = flow
                peer.accept(flow.stream, id, end: end)
                peer.beginHeaders()
                output.append(Wire.response)
                peer.endHeaders(flow.stream, end: false)
            case .data(let stream, let bytes, _):
                guard let flow = streams[stream.id] else { continue }
                #expect(matches(bytes, stream.id, flow.delivered), "seed \(seed): stream \(stream.id)")
                flow.delivered += bytes.count
            case .window(let stream):
                if let stream { woken.append(stream.id) } else { woken += streams.keys.sorted() }
            case .settings: break
            case .headers, .reset, .goAway, .failed:
                Issue.record("seed \(seed): \(String(describing: peer.fault))")
                return
            }
        }
    }

    private mutating func check() {
        for id in woken {
            guard let flow = streams[id], flow.isWaiting else { continue }
            send(id, flow)
        }
        woken = []
        drain()
        #expect(peer.connectionSendWindow == connectionRoom, "seed \(seed)")
        for (id, flow) in streams {
            #expect(flow.stream.sendWindow == initialWindow + flow.updates - flow.sent, "seed \(seed): stream \(id)")
            #expect(flow.arrived == flow.sent, "seed \(seed): stream \(id)")
            // Whoever waits has reason to.
            if flow.isWaiting {
                #expect(min(flow.stream.sendWindow, connectionRoom) <= 0, "seed \(seed): stream \(id)")
            }
            // What may still come and what is held are within the limit.
            #expect(65_535 + flow.ourUpdates - flow.consumed - pads(flow) <= 2 * 65_535)
            #expect(flow.stream.receiveWindow + flow.stream.unconsumed <= 65_535)
        }
        let held = streams.values.reduce(0) { $0 + $1.delivered - $1.consumed }
        let sent = streams.values.reduce(0) { $0 + $1.uploaded }
        #expect(65_535 + ourUpdates - sent + held <= 150_000, "seed \(seed)")
    }

    private func pads(_ flow: Flow) -> Int { max(0, flow.uploaded - flow.delivered) }

    /// Reads what the session sent, as the client.
    private mutating func drain() {
        while output.count >= 9 {
            let bytes = output.readable
            let frame = HTTP2Frame(bytes)
            let payload = bytes[9..<9 + frame.count]
            switch frame.type {
            case HTTP2Frame.data:
                guard let flow = streams[frame.id] else { break }
                #expect(matches(payload, frame.id, flow.arrived), "seed \(seed): stream \(frame.id)")
                flow.arrived += payload.count
            case HTTP2Frame.windowUpdate:
                let increment = Int(payload.big32(0))
                if frame.id == 0 { ourUpdates += increment } else { streams[frame.id]?.ourUpdates += increment }
            default: break
            }
            output.consume(9 + frame.count)
        }
        output.compact()
    }

    /// With windows wide open and everything consumed, all that anybody wanted has gone.
    mutating func finish() {
        deliver(all: true)
        check()
        for id in streams.keys.sorted() {
            wire += Wire.window(id, 50_000_000)
            deliver(all: true)
            streams[id]?.updates += 50_000_000
        }
        wire += Wire.window(0, 500_000_000)
        deliver(all: true)
        connectionUpdates += 500_000_000
        check()
        for (id, flow) in streams {
            #expect(flow.sent == flow.wanted && flow.arrived == flow.wanted, "seed \(seed): stream \(id)")
            peer.consumed(flow.stream, flow.delivered - flow.consumed)
            #expect(flow.delivered == sentBytes[id] ?? 0, "seed \(seed): stream \(id)")
            #expect(flow.stream.unconsumed == 0)
            #expect(flow.stream.receiveWindow > 65_535 / 2, "seed \(seed): stream \(id) may not send")
        }
        #expect(peer.unconsumed == 0)
        #expect(peer.connectionReceiveWindow >= 150_000 / 2, "seed \(seed): the client may not send")
    }
}
