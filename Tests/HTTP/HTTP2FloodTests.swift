// Floods: what costs a peer nothing is taken up to its rate, and ends the connection one past it.

import Bytes
import Testing

@testable import HTTP

@Suite("HTTP2Session under floods")
struct HTTP2FloodTests {
    /// A frame that is counted, and how many of them pass at once and in each second.
    struct Flood: CustomTestStringConvertible, Sendable {
        let testDescription: String
        let fault: HTTP2Fault
        let rate: HTTP2Rates.Rate
        /// What comes before, once.
        var before: [UInt8] = []
        /// The frames of the n-th time, from 0.
        let frames: @Sendable (Int) -> [UInt8]
        /// Taken already by the handshake.
        var used = 0
        /// Refuses each stream with PROTOCOL_ERROR, as an owner does with a malformed head.
        var refuses = false
    }

    private static let rates = HTTP2Rates()
    private static func id(_ n: Int) -> UInt32 { UInt32(2 * n + 1) }

    static let floods: [Flood] = [
        Flood(testDescription: "T-23: streams opened and reset", fault: .resetFlood, rate: rates.resets) {
            Wire.headers(id($0), end: true) + Wire.reset(id($0))
        },
        Flood(testDescription: "T-25: windows of 0 that make us reset", fault: .resetFlood, rate: rates.resets) {
            Wire.headers(id($0), end: true) + Wire.window(id($0), 0)
        },
        Flood(testDescription: "T-25: windows that overflow", fault: .resetFlood, rate: rates.resets) {
            Wire.headers(id($0), end: true) + Wire.window(id($0), 0x7FFF_FFFF)
        },
        Flood(testDescription: "T-25: DATA after the end", fault: .resetFlood, rate: rates.resets) {
            Wire.headers(id($0), end: true) + Wire.data(id($0), "x")
        },
        Flood(testDescription: "T-25: HEADERS after the end", fault: .resetFlood, rate: rates.resets) {
            Wire.headers(id($0), end: true) + Wire.headers(id($0), end: true)
        },
        Flood(testDescription: "T-25: heads that depend on themselves", fault: .resetFlood, rate: rates.resets) {
            Wire.frame(1, id($0), flags: 0x25, Wire.big(id($0)) + [15] + Wire.request)
        },
        Flood(testDescription: "T-25: PRIORITY of the wrong size", fault: .resetFlood, rate: rates.resets) {
            Wire.headers(id($0), end: true) + Wire.frame(2, id($0), [1])
        },
        Flood(
            testDescription: "T-25: heads that the owner finds malformed", fault: .resetFlood, rate: rates.resets,
            frames: { Wire.headers(id($0), end: true) }, refuses: true),
        Flood(
            testDescription: "T-28: SETTINGS", fault: .settingsFlood, rate: rates.settings,
            frames: { _ in Wire.settings((3, 100)) }, used: 2),
        Flood(
            testDescription: "T-28: acknowledgements of SETTINGS", fault: .settingsFlood, rate: rates.settings,
            frames: { _ in Wire.acknowledgement }, used: 2),
        Flood(testDescription: "T-28: PING", fault: .pingFlood, rate: rates.pings) { _ in Wire.ping() },
        Flood(testDescription: "T-28: acknowledgements of PING", fault: .pingFlood, rate: rates.pings) { _ in
            Wire.ping(ack: true)
        },
        Flood(testDescription: "T-28: PRIORITY", fault: .priorityFlood, rate: rates.priorities) {
            Wire.priority(id($0), on: 0)
        },
        Flood(testDescription: "T-28: unknown frames", fault: .unknownFrameFlood, rate: rates.unknown) { _ in
            Wire.frame(0x16, 0)
        },
        Flood(testDescription: "T-28: GOAWAY", fault: .unknownFrameFlood, rate: rates.unknown) { _ in
            Wire.goAway(0)
        },
        Flood(
            testDescription: "T-28: RST_STREAM of a stream that is over", fault: .unknownFrameFlood,
            rate: rates.unknown, before: Wire.headers(1, end: true) + Wire.reset(1)
        ) { _ in Wire.reset(1) },
        Flood(
            testDescription: "T-28: empty DATA", fault: .emptyFrameFlood, rate: rates.empty, before: Wire.headers(1)
        ) { _ in Wire.data(1, "") },
        Flood(
            testDescription: "T-28: DATA of nothing but padding", fault: .emptyFrameFlood, rate: rates.empty,
            before: Wire.headers(1)
        ) { _ in Wire.padded(1, "", pad: 9) },
        Flood(
            testDescription: "T-28: WINDOW_UPDATE", fault: .windowUpdateFlood, rate: rates.windowUpdates
        ) { _ in Wire.window(0, 1) },
    ]

    @Test("the burst passes, one more does not", arguments: floods)
    func burst(_ flood: Flood) {
        let peer = made(flood)
        for n in 0..<(flood.rate.burst - flood.used) { peer.feed(flood.frames(n)) }
        #expect(peer.session.fault == nil)
        peer.feed(flood.frames(flood.rate.burst))
        peer.run()
        #expect(peer.session.fault == flood.fault)
        #expect(peer.taken().last?.hasSuffix("ENHANCE_YOUR_CALM \(flood.fault.name)") == true)
    }

    @Test("then its rate passes in each second, one more does not", arguments: floods)
    func sustained(_ flood: Flood) {
        let peer = made(flood)
        var n = 0
        for _ in 0..<(flood.rate.burst - flood.used) {
            peer.feed(flood.frames(n))
            n += 1
        }
        for second in 1...30 {
            peer.session.now = Int64(second) * 1000
            for _ in 0..<flood.rate.perSecond {
                peer.feed(flood.frames(n))
                n += 1
            }
        }
        #expect(peer.session.fault == nil)
        peer.feed(flood.frames(n))
        peer.run()
        #expect(peer.session.fault == flood.fault)
    }

    private func made(_ flood: Flood) -> Peer {
        let peer = Peer()
        if flood.refuses { peer.refuses = .protocolError }
        peer.feed(flood.before)
        // Opening a stream earns nothing that these tests would have to count.
        return peer
    }

    // MARK: What honest peers do

    @Test("calls that are answered pay for as many that are given up")
    func honestResets() {
        let peer = Peer()
        for n in 0..<5000 {
            let id = UInt32(2 * n + 1)
            peer.feed(Wire.headers(id, end: true))
            if n % 2 == 0 { peer.respond(id, "body") } else { peer.feed(Wire.reset(id)) }
            if n % 100 == 0 { peer.feed(Wire.window(0, 60_000)) }
        }
        #expect(peer.session.fault == nil)
    }

    @Test("a page that is closed resets all of its streams, twice")
    func closedPage() {
        let peer = Peer()
        for page in 0..<2 {
            let ids = (0..<128).map { UInt32(2 * (128 * page + $0) + 1) }
            peer.feed(ids.flatMap { Wire.headers($0, end: true) })
            peer.feed(ids.flatMap { Wire.reset($0) })
        }
        #expect(peer.session.fault == nil)
    }

    @Test("calls given up at their deadline of a second are no flood, however many")
    func deadlines() {
        let peer = Peer()
        var next: UInt32 = 1
        for second in 0..<100 {
            let ids = (0..<UInt32(100)).map { next + 2 * $0 }
            next += 200
            peer.session.now = Int64(second) * 1000
            peer.feed(ids.flatMap { Wire.headers($0, end: true) })
            peer.session.now += 1000
            peer.feed(ids.flatMap { Wire.reset($0) })
        }
        #expect(peer.session.fault == nil)
    }

    @Test("calls given up once their answer has begun are no flood, however many")
    func enough() {
        let peer = Peer()
        for n in 0..<2000 {
            let id = UInt32(2 * n + 1)
            peer.feed(Wire.headers(id, end: true))
            peer.respond(id, "first message", end: false)
            peer.feed(Wire.reset(id) + Wire.window(0, 13))
        }
        #expect(peer.session.fault == nil)
    }

    @Test("a window update of each window for every 4 KiB of a download is no flood")
    func honestDownload() {
        let peer = Peer()
        peer.feed(Wire.headers(1, end: true))
        peer.respond(1, end: false)
        let piece = String(repeating: "x", count: 16384)
        for _ in 0..<2000 {
            #expect(peer.send(1, piece, end: false) == 16384)
            for _ in 0..<4 { peer.feed(Wire.window(0, 4096) + Wire.window(1, 4096)) }
        }
        #expect(peer.session.fault == nil)
    }

    @Test("a head, an interim one even, is no answer that excuses a reset")
    func interim() {
        let peer = Peer()
        for n in 0...256 {
            let id = UInt32(2 * n + 1)
            peer.feed(Wire.headers(id, end: true))
            if let stream = peer.streams[id] { peer.head(stream, Wire.interim, end: false) }
            peer.feed(Wire.reset(id))
        }
        #expect(peer.session.fault == .resetFlood)
    }

    @Test("a PING and window updates for each piece that we send are no flood")
    func honestPings() {
        let peer = Peer()
        peer.feed(Wire.headers(1, end: true))
        peer.respond(1, end: false)
        for _ in 0..<5000 {
            #expect(peer.send(1, "some text", end: false) == 9)
            peer.feed(Wire.ping() + Wire.window(0, 5) + Wire.window(0, 4) + Wire.window(1, 5) + Wire.window(1, 4))
        }
        #expect(peer.session.fault == nil)
    }

    @Test("priorities with every request are no flood")
    func honestPriorities() {
        let peer = Peer()
        for n in 0..<2000 {
            let id = UInt32(2 * n + 1)
            peer.feed(Wire.priority(id, on: 0) + Wire.headers(id, end: true) + Wire.frame(0x10, 0, Wire.big(id)))
            peer.respond(id)
        }
        #expect(peer.session.fault == nil)
    }

    @Test("streams beyond the limit count once the limit is acknowledged")
    func refused() {
        for holds in [false, true] {
            var limits = HTTP2Limits.server
            limits.maxConcurrentStreams = 1
            let peer = Peer(.server, limits, handshake: false)
            peer.feed(Wire.preface + Wire.settings() + (holds ? Wire.acknowledgement : []))
            for n in 0...300 { peer.feed(Wire.headers(UInt32(2 * n + 1), end: true)) }
            #expect(peer.session.fault == (holds ? .resetFlood : nil))
        }
    }

    // MARK: T-24, header blocks

    @Test("T-24: 32 CONTINUATION frames make a block, 33 end the connection")
    func continuations() {
        let piece = Wire.trailer
        for count in [32, 33] {
            let peer = Peer()
            peer.feed(Wire.headers(1, end: true, complete: false))
            for n in 1..<count { peer.feed(Wire.continuation(1, piece, complete: n == count)) }
            peer.feed(Wire.continuation(1, piece, complete: true))
            #expect(peer.session.fault == (count == 32 ? nil : .continuationFlood))
        }
    }

    @Test("T-24: a block without end is refused at four times the limit of heads, and what was kept is let go")
    func blockBytes() {
        var limits = HTTP2Limits.server
        limits.head = HeadLimits(line: 1000, head: 1000, fields: 10)
        let peer = Peer(.server, limits)
        peer.feed(Wire.headers(1, [UInt8](repeating: 0x82, count: 2000), complete: false))
        peer.feed(Wire.continuation(1, [UInt8](repeating: 0x82, count: 2003), complete: false))
        #expect(peer.session.fault == nil)
        #expect((peer.session.block?.capacity ?? 0) <= 8192)
        peer.feed(Wire.continuation(1, [0x82], complete: false))
        #expect(peer.session.fault == .headerBlockTooLarge)
    }

    @Test("T-24: empty CONTINUATION frames are counted as nothing")
    func emptyContinuations() {
        let peer = Peer()
        peer.session.now = 1
        for n in 0..<5 {
            peer.feed(Wire.headers(UInt32(2 * n + 1), [], end: true, complete: false))
            for _ in 0..<19 { peer.feed(Wire.continuation(UInt32(2 * n + 1), [], complete: false)) }
            peer.feed(Wire.continuation(UInt32(2 * n + 1), Wire.request, complete: true))
        }
        #expect(peer.session.fault == nil)
        peer.feed(Wire.headers(11, [], complete: false))
        #expect(peer.session.fault == .emptyFrameFlood)
    }

    @Test("a block in pieces leaves no memory behind")
    func blockMemory() {
        let peer = Peer()
        peer.feed(Wire.headers(1, end: true, complete: false) + Wire.continuation(1, Wire.trailer, complete: true))
        #expect(peer.taken() == ["opened 1 end"])
        #expect(peer.session.block == nil)
    }

    @Test("more than 64 settings in one frame")
    func manySettings() {
        for count in [64, 65] {
            let peer = Peer()
            peer.feed(Wire.frame(4, 0, (0..<count).flatMap { _ in [UInt8](arrayLiteral: 0, 3, 0, 0, 0, 9) }))
            #expect(peer.session.fault == (count == 64 ? nil : .settingsFlood))
        }
    }

    // MARK: Replies that nobody reads

    @Test("a peer that does not read has its replies bounded")
    func unread() {
        var limits = HTTP2Limits.server
        limits.rates.pings = HTTP2Rates.Rate(burst: 1_000_000, perSecond: 0)
        let peer = Peer(.server, limits)
        peer.isDeaf = true
        var sent = 0
        while sent < 100_000, peer.session.fault == nil {
            peer.feed(Wire.ping())
            sent += 1
        }
        #expect(peer.session.fault == .unreadReplies)
        #expect(peer.output.count <= limits.controlBytes + 64)
        #expect(sent > limits.controlBytes / 2 / 17)
    }

    @Test("a peer that reads slowly but steadily behind much else has them all answered")
    func slowReader() {
        var limits = HTTP2Limits.server
        limits.rates.pings = HTTP2Rates.Rate(burst: 1_000_000, perSecond: 0)
        let peer = Peer(.server, limits)
        peer.feed(Wire.headers(1, end: true) + Wire.window(0, 0x7FF0_0000) + Wire.window(1, 0x7FF0_0000))
        peer.respond(1, end: false)
        peer.isDeaf = true
        let piece = String(repeating: "x", count: 4000)
        for _ in 0..<16 { _ = peer.send(1, piece, end: false) }
        for _ in 0..<20_000 {
            peer.feed(Wire.ping())
            // 64 kB stay before the replies all the time.
            peer.output.consume(17 + 4009)
            _ = peer.send(1, piece, end: false)
            peer.output.compact()
        }
        #expect(peer.session.fault == nil)
    }
}
