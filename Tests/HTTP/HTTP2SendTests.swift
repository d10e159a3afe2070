// What the owner sends, and what of it becomes frames.

import Bytes
import Testing

@testable import HTTP

@Suite("HTTP2Session sending")
struct HTTP2SendTests {
    @Test("a PING of our own is written, and its answer is nobody's event")
    func ping() {
        let session = HTTP2Session(role: .client, limits: .client, output: Buffer())
        session.start()
        session.output.clear()
        session.ping()
        #expect(session.output.readable.array == [0, 0, 8, 6, 0, 0, 0, 0, 0] + [UInt8](repeating: 0, count: 8))
        let input = Buffer()
        input.append([0, 0, 0, 4, 0, 0, 0, 0, 0] as [UInt8])
        input.append([0, 0, 8, 6, 1, 0, 0, 0, 0] + [UInt8](repeating: 0, count: 8))
        guard case .settings = session.next(input), case .needsBytes = session.next(input) else {
            Issue.record("the answer is an event")
            return
        }
        #expect(input.isEmpty)
        #expect(session.fault == nil)
    }

    /// A server with stream 1 open; the client's connection window is wide.
    private func made(_ settings: (UInt16, UInt32)...) -> (Peer, HTTP2Stream) {
        let peer = Peer()
        for (id, value) in settings { peer.feed(Wire.settings((id, value))) }
        peer.feed(Wire.window(0, 10_000_000) + Wire.headers(1))
        _ = peer.taken()
        return (peer, peer.streams[1] ?? HTTP2Stream())
    }

    @Test("a body becomes frames of 16,384 bytes at most, the last of which ends the stream")
    func frames() {
        let (peer, stream) = made((4, 100_000), (5, 1_000_000))
        peer.respond(1, end: false)
        #expect(peer.send(1, String(repeating: "x", count: 40_000), end: true) == 40_000)
        #expect(
            peer.taken() == [
                "> HEADERS 1 88", "> DATA 1 16384 bytes", "> DATA 1 16384 bytes", "> DATA 1 7232 bytes end",
            ])
        #expect(stream.sentEnd && stream.isOpen && stream.sendWindow == 60_000)
        peer.feed(Wire.data(1, "", end: true))
        #expect(!stream.isOpen && peer.session.openStreams == 0)
    }

    @Test("the end alone needs no window; nothing without the end is no frame")
    func emptyFrames() {
        let (peer, _) = made((4, 0))
        peer.respond(1, end: false)
        #expect(peer.send(1, "", end: false) == 0)
        #expect(peer.send(1, "abc", end: true) == 0)
        #expect(peer.send(1, "", end: true) == 0)
        #expect(peer.taken() == ["> HEADERS 1 88", "> DATA 1 '' end"])
        #expect(peer.send(1, "", end: true) == 0)
        #expect(peer.taken() == [])
    }

    @Test("the connection's window bounds all streams together")
    func connectionWindow() {
        let peer = Peer()
        peer.feed(Wire.headers(1, end: true) + Wire.headers(3, end: true) + Wire.window(3, 100_000))
        peer.respond(1, end: false)
        peer.respond(3, end: false)
        #expect(peer.send(1, String(repeating: "x", count: 60_000), end: false) == 60_000)
        #expect(peer.send(3, String(repeating: "x", count: 60_000), end: false) == 5535)
        #expect(peer.session.connectionSendWindow == 0)
        _ = peer.taken()
        peer.feed(Wire.window(3, 5))
        #expect(peer.taken() == [])
        peer.feed(Wire.window(0, 7))
        #expect(peer.taken() == ["window *"])
        #expect(peer.send(1, "0123456789", end: true) == 7)
    }

    @Test("a block longer than the peer's frames goes on in CONTINUATION frames")
    func longBlock() {
        for (count, lines) in [
            (16_384, ["> HEADERS 1 16384 bytes"]),
            (16_385, ["> HEADERS 1 16384 bytes more", "> CONTINUATION 1 01"]),
            (
                40_000,
                ["> HEADERS 1 16384 bytes more", "> CONTINUATION 1 16384 bytes more", "> CONTINUATION 1 7232 bytes"]
            ),
        ] {
            let (peer, stream) = made()
            peer.head(stream, [UInt8](repeating: 1, count: count), end: false)
            #expect(peer.taken() == lines)
        }
        let (peer, stream) = made((5, 20_000))
        peer.head(stream, [UInt8](repeating: 1, count: 20_000), end: true)
        #expect(peer.taken() == ["> HEADERS 1 20000 bytes end"])
    }

    @Test("a block for a stream that is over is dropped, and nothing else")
    func droppedBlock() {
        let (peer, stream) = made()
        peer.session.reset(stream, .cancel)
        peer.respond(1, "body")
        peer.session.reset(stream, .cancel)
        #expect(peer.taken() == ["> RST_STREAM 1 CANCEL"])
        #expect(stream.isReset)
    }

    @Test("a decoder that shrank its table is told once, in the next block")
    func tableUpdate() {
        let (peer, _) = made((1, 4096))
        peer.feed(Wire.settings((1, 100), (1, 4096)) + Wire.settings((1, 0)) + Wire.headers(3))
        peer.respond(1, end: false)
        peer.respond(3, end: false)
        #expect(peer.taken().suffix(2) == ["> HEADERS 1 2088", "> HEADERS 3 88"])
    }

    @Test("an owner that neither takes nor refuses a stream has refused it")
    func unanswered() {
        let session = HTTP2Session(role: .server, limits: .server, output: Buffer())
        let input = Buffer()
        input.append(Wire.preface + Wire.settings() + Wire.headers(1, end: true))
        guard case .settings = session.next(input), case .opened(1, true) = session.next(input),
            case .needsBytes = session.next(input)
        else {
            Issue.record("other events")
            return
        }
        #expect(Wire.lines(session.output).last == "> RST_STREAM 1 REFUSED_STREAM")
        #expect(session.openStreams == 0)
    }

    @Test("a visit begins with another stream each time, and stands streams ending and visits within")
    func visits() {
        let peer = Peer()
        peer.feed((0..<5).flatMap { Wire.headers(UInt32(2 * $0 + 1), end: true) })
        var firsts: Set<UInt32> = []
        for _ in 0..<5 {
            var seen: [UInt32] = []
            peer.session.forEachStream { seen.append($0.id) }
            #expect(Set(seen) == [1, 3, 5, 7, 9] && seen.count == 5)
            firsts.insert(seen[0])
        }
        #expect(firsts.count == 5)
        var seen: Set<UInt32> = []
        peer.session.forEachStream { stream in
            seen.insert(stream.id)
            peer.respond(stream.id)
            peer.session.forEachStream { inner in
                #expect(inner.id != stream.id)
                if inner.id == 9 { peer.session.reset(inner, .cancel) }
            }
        }
        #expect(seen.isSuperset(of: [1, 3, 5, 7].filter { peer.streams[$0]?.isReset == false }))
        #expect(peer.session.openStreams == 0)
    }

    @Test("the table finds every stream and no other, whatever comes and goes", arguments: 0..<20)
    func table(_ seed: UInt64) {
        var random = SmallRandom(seed: seed)
        var table = HTTP2StreamTable()
        var model: [UInt32: HTTP2Stream] = [:]
        for _ in 0..<2000 {
            let id = UInt32(random.below(300)) * 2 + 1
            if let stream = model[id] {
                table.remove(stream)
                #expect(stream.position == -1)
                model[id] = nil
            } else {
                let stream = HTTP2Stream()
                stream.id = id
                table.insert(stream)
                model[id] = stream
            }
            #expect(table.count == model.count, "seed \(seed)")
            let probe = UInt32(random.below(300)) * 2 + 1
            #expect(table.find(probe) === model[probe], "seed \(seed)")
        }
        for (position, stream) in table.streams.enumerated() { #expect(stream.position == position) }
    }
}

/// Numbers that a seed alone decides.
struct SmallRandom {
    private var state: UInt64

    init(seed: UInt64) { state = seed &* 0x9E37_79B9_7F4A_7C15 | 1 }

    mutating func below(_ limit: Int) -> Int {
        state ^= state << 13
        state ^= state >> 7
        state ^= state << 17
        return Int(state % UInt64(max(1, limit)))
    }
}
