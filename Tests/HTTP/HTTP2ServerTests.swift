// What a server answers to each thing that clients may and may not do, in the order of RFC 9113.

import Bytes
import Testing

@testable import HTTP

/// Steps, and what must come of them: events and frames as lines.
struct HTTP2Row: CustomTestStringConvertible, Sendable {
    enum Step: Sendable {
        case bytes([UInt8])
        /// The owner answers a stream, with a head alone or with a body, and ends it or not.
        case respond(UInt32, String? = nil, end: Bool = true)
        case reset(UInt32, HTTP2Code)
        case goAway(UInt32?)
        /// The owner has the rest of the body sent.
        case send(UInt32, String, end: Bool)
        /// Client: opens a stream, with a head or without.
        case request(end: Bool = false, head: Bool = true)
        case expect(Int?)
        case consume(UInt32, Int)
    }

    let name: String
    let steps: [Step]
    let lines: [String]

    init(_ name: String, _ steps: [Step], _ lines: [String]) {
        self.name = name
        self.steps = steps
        self.lines = lines
    }

    init(_ name: String, _ bytes: [UInt8], _ lines: [String]) { self.init(name, [.bytes(bytes)], lines) }

    var testDescription: String { name }

    func check(_ peer: Peer) {
        for step in steps {
            switch step {
            case .bytes(let bytes): peer.feed(bytes)
            case .respond(let id, let body, let end): peer.respond(id, body, end: end)
            case .reset(let id, let code): if let stream = peer.streams[id] { peer.session.reset(stream, code) }
            case .goAway(let last): peer.session.goAway(.noError, last: last)
            case .send(let id, let body, let end): _ = peer.send(id, body, end: end)
            case .request(let end, let head): peer.request(end: end, head: head)
            case .expect(let length): peer.expectedLength = length
            case .consume(let id, let count): if let stream = peer.streams[id] { peer.session.consumed(stream, count) }
            }
            peer.flush()
        }
        let lines = peer.taken()
        #expect(lines == self.lines, "\(name)")
    }
}

@Suite("HTTP2Session as server")
struct HTTP2ServerTests {
    private static func failed(_ code: String, _ name: String, last: Int = 0) -> [String] {
        ["failed \(code) \(name)", "> GOAWAY \(last) \(code) \(name)"]
    }

    private static let open = Wire.headers(1)
    private static let ended = Wire.headers(1, end: true)

    static let prefaces: [HTTP2Row] = [
        HTTP2Row(
            "3.4: another preface", Array("GET / HTTP/1.1\r\n\r\n".utf8), failed("PROTOCOL_ERROR", "bad_preface")),
        HTTP2Row(
            "3.4: a preface with its last byte wrong", Wire.preface.dropLast() + [0x0D],
            failed("PROTOCOL_ERROR", "bad_preface")),
        HTTP2Row("3.4: no SETTINGS first", Wire.preface + Wire.ping(), failed("PROTOCOL_ERROR", "bad_preface")),
        HTTP2Row(
            "3.4: an acknowledgement first", Wire.preface + Wire.acknowledgement,
            failed("PROTOCOL_ERROR", "bad_preface")),
        HTTP2Row("3.4: SETTINGS first", Wire.preface + Wire.settings(), ["settings", "> SETTINGS ack"]),
    ]

    @Test("the preface", arguments: prefaces)
    func preface(_ row: HTTP2Row) { row.check(Peer(handshake: false)) }

    static let framing: [HTTP2Row] = [
        HTTP2Row(
            "4.1: a frame of unknown type is ignored", Wire.frame(0x16, 0, [1, 2, 3]) + Wire.ping(7), ["> PING ack 7"]),
        HTTP2Row(
            "4.1: undefined flags are ignored", Wire.frame(6, 0, flags: 0x16, [0, 0, 0, 0, 0, 0, 0, 1]),
            [
                "> PING ack 1"
            ]),
        HTTP2Row(
            "4.1: the reserved bit is ignored", Wire.frame(1, 0x8000_0001, flags: 5, Wire.request),
            [
                "opened 1 end"
            ]),
        HTTP2Row("4.2: DATA of 16,384 bytes", open + Wire.data(1, count: 16384), ["opened 1", "data 1 16384 bytes"]),
        HTTP2Row(
            "4.2: DATA of 16,385 bytes", open + Wire.data(1, count: 16385),
            ["opened 1"] + failed("FRAME_SIZE_ERROR", "bad_frame_size", last: 1)),
        HTTP2Row(
            "4.2: HEADERS of 16,385 bytes", Wire.headers(1, [UInt8](repeating: 0, count: 16385)),
            failed("FRAME_SIZE_ERROR", "bad_frame_size")),
        HTTP2Row(
            "4.3: a block that is none", Wire.headers(1, [0x82, 0x86, 0x84, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF]),
            failed("COMPRESSION_ERROR", "bad_compression")),
        HTTP2Row(
            "5.5: an unknown frame inside a header block",
            Wire.headers(1, complete: false) + Wire.frame(0x16, 1), failed("PROTOCOL_ERROR", "broken_header_block")),
    ]

    static let states: [HTTP2Row] = [
        HTTP2Row("5.1: DATA on an idle stream", Wire.data(1, "x"), failed("PROTOCOL_ERROR", "idle_stream")),
        HTTP2Row("5.1: RST_STREAM on an idle stream", Wire.reset(1), failed("PROTOCOL_ERROR", "idle_stream")),
        HTTP2Row("5.1: WINDOW_UPDATE on an idle stream", Wire.window(1, 1), failed("PROTOCOL_ERROR", "idle_stream")),
        HTTP2Row(
            "5.1: CONTINUATION on an idle stream", Wire.continuation(1, Wire.request, complete: true),
            failed("PROTOCOL_ERROR", "broken_header_block")),
        HTTP2Row(
            "5.1: PRIORITY on an idle stream, then a lower one is opened", Wire.priority(3, on: 0) + ended,
            ["opened 1 end"]),
        HTTP2Row(
            "5.1: DATA on a stream of ours, which there is none of", Wire.data(2, "x"),
            failed("PROTOCOL_ERROR", "idle_stream")),
        HTTP2Row(
            "5.1: DATA on a half-closed stream", ended + Wire.data(1, "x"),
            ["opened 1 end", "reset 1 STREAM_CLOSED", "> RST_STREAM 1 STREAM_CLOSED"]),
        HTTP2Row(
            "5.1: HEADERS on a half-closed stream", ended + ended,
            ["opened 1 end", "reset 1 STREAM_CLOSED", "> RST_STREAM 1 STREAM_CLOSED"]),
        HTTP2Row(
            "5.1: CONTINUATION on a half-closed stream", ended + Wire.continuation(1, Wire.request, complete: true),
            ["opened 1 end"] + failed("PROTOCOL_ERROR", "broken_header_block", last: 1)),
        HTTP2Row(
            "5.1: WINDOW_UPDATE and PRIORITY on a half-closed stream, then RST_STREAM",
            ended + Wire.window(1, 5) + Wire.priority(1, on: 0) + Wire.reset(1), ["opened 1 end", "reset 1 CANCEL"]),
        HTTP2Row(
            "5.1: DATA after RST_STREAM", open + Wire.reset(1) + Wire.data(1, "x"),
            ["opened 1", "reset 1 CANCEL"] + failed("STREAM_CLOSED", "closed_stream", last: 1)),
        HTTP2Row(
            "5.1: HEADERS after RST_STREAM", open + Wire.reset(1) + ended,
            ["opened 1", "reset 1 CANCEL"] + failed("STREAM_CLOSED", "closed_stream", last: 1)),
        HTTP2Row(
            "5.1: CONTINUATION after RST_STREAM",
            open + Wire.reset(1) + Wire.continuation(1, Wire.request, complete: true),
            ["opened 1", "reset 1 CANCEL"] + failed("PROTOCOL_ERROR", "broken_header_block", last: 1)),
        HTTP2Row(
            "5.1: DATA on a closed stream", [.bytes(ended), .respond(1), .bytes(Wire.data(1, "x"))],
            ["opened 1 end"] + closing + failed("STREAM_CLOSED", "closed_stream", last: 1)),
        HTTP2Row(
            "5.1: HEADERS on a closed stream", [.bytes(ended), .respond(1), .bytes(ended)],
            ["opened 1 end"] + closing + failed("STREAM_CLOSED", "closed_stream", last: 1)),
        HTTP2Row(
            "5.1: WINDOW_UPDATE, RST_STREAM and PRIORITY on a closed stream",
            [.bytes(ended), .respond(1), .bytes(Wire.window(1, 0) + Wire.reset(1) + Wire.priority(1, on: 3))],
            ["opened 1 end"] + closing),
        HTTP2Row(
            "5.1: whatever comes for a stream that we have just reset",
            [
                .bytes(open), .reset(1, .cancel),
                .bytes(
                    Wire.data(1, "x") + Wire.headers(1, Wire.trailer, end: true) + Wire.window(1, 0) + Wire.reset(1)),
            ], ["opened 1", "> RST_STREAM 1 CANCEL"]),
        HTTP2Row("5.1.1: an even stream", Wire.headers(2, end: true), failed("PROTOCOL_ERROR", "bad_stream_id")),
        HTTP2Row(
            "5.1.1: a stream that was passed over", Wire.headers(5, end: true) + Wire.headers(3, end: true),
            ["opened 5 end"] + failed("PROTOCOL_ERROR", "bad_stream_id", last: 5)),
        HTTP2Row(
            "5.3.1: HEADERS that depend on themselves",
            Wire.frame(1, 1, flags: 0x25, Wire.big(1) + [15] + Wire.request), ["> RST_STREAM 1 PROTOCOL_ERROR"]),
        HTTP2Row(
            "5.3.1: PRIORITY that depends on itself", open + Wire.priority(1, on: 1),
            ["opened 1", "reset 1 PROTOCOL_ERROR", "> RST_STREAM 1 PROTOCOL_ERROR"]),
        HTTP2Row(
            "5.3.1: PRIORITY of an idle stream that depends on itself", Wire.priority(1, on: 1),
            failed("PROTOCOL_ERROR", "bad_priority")),
    ]

    private static let closing = ["> HEADERS 1 88 end"]

    static let messages: [HTTP2Row] = [
        HTTP2Row("6.1: DATA on stream 0", Wire.data(0, "x"), failed("PROTOCOL_ERROR", "bad_stream_id")),
        HTTP2Row(
            "6.1: padding is taken off", open + Wire.padded(1, "abc", pad: 5, end: true),
            ["opened 1", "data 1 'abc' end"]),
        HTTP2Row(
            "6.1: nothing but padding", open + Wire.padded(1, "", pad: 255) + Wire.padded(1, "", pad: 0, end: true),
            ["opened 1", "data 1 '' end"]),
        HTTP2Row(
            "6.1: padding as long as the payload", open + Wire.frame(0, 1, flags: 8, [4, 1, 2, 3]),
            ["opened 1"] + failed("PROTOCOL_ERROR", "bad_padding", last: 1)),
        HTTP2Row(
            "6.1: padded, without a padding length", open + Wire.frame(0, 1, flags: 8),
            ["opened 1"] + failed("FRAME_SIZE_ERROR", "bad_frame_size", last: 1)),
        HTTP2Row("6.2: HEADERS on stream 0", Wire.headers(0), failed("PROTOCOL_ERROR", "bad_stream_id")),
        HTTP2Row(
            "6.2: padding and priority are taken off",
            Wire.frame(1, 1, flags: 0x2D, [2] + Wire.big(3) + [15] + Wire.request + [0, 0]) + Wire.ping(1),
            ["opened 1 end", "> PING ack 1"]),
        HTTP2Row(
            "6.2: padding longer than the block", Wire.frame(1, 1, flags: 0x0D, [4] + Wire.request),
            failed("PROTOCOL_ERROR", "bad_padding")),
        HTTP2Row(
            "6.2: too short for its priority", Wire.frame(1, 1, flags: 0x25, [0, 0, 0, 0]),
            failed("FRAME_SIZE_ERROR", "bad_frame_size")),
        HTTP2Row("6.3: PRIORITY on stream 0", Wire.priority(0, on: 1), failed("PROTOCOL_ERROR", "bad_stream_id")),
        HTTP2Row(
            "6.3: PRIORITY of 4 bytes", open + Wire.frame(2, 1, [0, 0, 0, 3]) + Wire.ping(1),
            ["opened 1", "reset 1 FRAME_SIZE_ERROR", "> RST_STREAM 1 FRAME_SIZE_ERROR", "> PING ack 1"]),
        HTTP2Row(
            "6.3: PRIORITY of 6 bytes, of an idle stream", Wire.frame(2, 1, [0, 0, 0, 3, 1, 1]),
            failed("FRAME_SIZE_ERROR", "bad_frame_size")),
        HTTP2Row("6.4: RST_STREAM on stream 0", Wire.reset(0), failed("PROTOCOL_ERROR", "bad_stream_id")),
        HTTP2Row(
            "6.4: RST_STREAM of 3 bytes", open + Wire.frame(3, 1, [0, 0, 8]),
            ["opened 1"] + failed("FRAME_SIZE_ERROR", "bad_frame_size", last: 1)),
        HTTP2Row("6.4: an unknown code", open + Wire.reset(1, 0xFF), ["opened 1", "reset 1 255"]),
        HTTP2Row(
            "6.6: PUSH_PROMISE", open + Wire.frame(5, 1, flags: 4, Wire.big(2)),
            [
                "opened 1", "failed PROTOCOL_ERROR unexpected_push", "> GOAWAY 1 PROTOCOL_ERROR unexpected_push",
            ]),
        HTTP2Row(
            "8.1: trailers end a stream", open + Wire.data(1, "abc") + Wire.headers(1, Wire.trailer, end: true),
            ["opened 1", "data 1 'abc'", "headers 1 end"]),
        HTTP2Row(
            "8.1: a second head that ends nothing", open + Wire.headers(1, Wire.trailer),
            ["opened 1", "reset 1 PROTOCOL_ERROR", "> RST_STREAM 1 PROTOCOL_ERROR"]),
        HTTP2Row(
            "8.1.1: as much as the Content-Length says",
            [.expect(6), .bytes(open + Wire.data(1, "abc") + Wire.padded(1, "def", pad: 3, end: true))],
            ["opened 1", "data 1 'abc'", "data 1 'def' end"]),
        HTTP2Row(
            "8.1.1: more than the Content-Length says", [.expect(2), .bytes(open + Wire.data(1, "abc"))],
            ["opened 1", "reset 1 PROTOCOL_ERROR", "> RST_STREAM 1 PROTOCOL_ERROR"]),
        HTTP2Row(
            "8.1.1: less than the Content-Length says", [.expect(4), .bytes(open + Wire.data(1, "abc", end: true))],
            ["opened 1", "reset 1 PROTOCOL_ERROR", "> RST_STREAM 1 PROTOCOL_ERROR"]),
        HTTP2Row(
            "8.1.1: trailers before all of the Content-Length",
            [.expect(4), .bytes(open + Wire.data(1, "abc") + Wire.headers(1, Wire.trailer, end: true))],
            ["opened 1", "data 1 'abc'", "reset 1 PROTOCOL_ERROR", "> RST_STREAM 1 PROTOCOL_ERROR"]),
    ]

    static let blocks: [HTTP2Row] = [
        HTTP2Row(
            "6.10: a block in four pieces, one of them empty",
            Wire.headers(1, [0x82], end: true, complete: false) + Wire.continuation(1, [0x86], complete: false)
                + Wire.continuation(1, [], complete: false) + Wire.continuation(1, [0x84], complete: true),
            ["opened 1 end"]),
        HTTP2Row(
            "6.10: CONTINUATION of another stream",
            Wire.headers(1, complete: false) + Wire.continuation(3, Wire.request, complete: true),
            failed("PROTOCOL_ERROR", "broken_header_block")),
        HTTP2Row(
            "6.10: DATA inside a block", Wire.headers(1, complete: false) + Wire.data(1, "x"),
            failed("PROTOCOL_ERROR", "broken_header_block")),
        HTTP2Row(
            "6.10: HEADERS inside a block", Wire.headers(1, complete: false) + Wire.headers(3),
            failed("PROTOCOL_ERROR", "broken_header_block")),
        HTTP2Row(
            "6.10: CONTINUATION on stream 0",
            Wire.headers(1, complete: false) + Wire.continuation(0, Wire.request, complete: true),
            failed("PROTOCOL_ERROR", "broken_header_block")),
        HTTP2Row(
            "6.10: CONTINUATION after END_HEADERS", open + Wire.continuation(1, Wire.request, complete: true),
            ["opened 1"] + failed("PROTOCOL_ERROR", "broken_header_block", last: 1)),
        HTTP2Row(
            "6.10: CONTINUATION after a block in two pieces",
            Wire.headers(1, [0x82], complete: false) + Wire.continuation(1, [0x86, 0x84], complete: true)
                + Wire.continuation(1, [], complete: true),
            ["opened 1"] + failed("PROTOCOL_ERROR", "broken_header_block", last: 1)),
        HTTP2Row(
            "6.10: CONTINUATION after DATA", open + Wire.data(1, "x") + Wire.continuation(1, [], complete: true),
            ["opened 1", "data 1 'x'"] + failed("PROTOCOL_ERROR", "broken_header_block", last: 1)),
    ]

    static let connection: [HTTP2Row] = [
        HTTP2Row("6.5: SETTINGS on a stream", Wire.frame(4, 1), failed("PROTOCOL_ERROR", "bad_stream_id")),
        HTTP2Row(
            "6.5: an acknowledgement with a payload", Wire.frame(4, 0, flags: 1, [0, 1, 0, 0, 0, 0]),
            failed("FRAME_SIZE_ERROR", "bad_frame_size")),
        HTTP2Row(
            "6.5: SETTINGS of 3 bytes", Wire.frame(4, 0, [0, 3, 0]), failed("FRAME_SIZE_ERROR", "bad_frame_size")),
        HTTP2Row("6.5.2: ENABLE_PUSH of 2", Wire.settings((2, 2)), failed("PROTOCOL_ERROR", "bad_setting")),
        HTTP2Row(
            "6.5.2: a window of 2^31", Wire.settings((4, 0x8000_0000)),
            failed("FLOW_CONTROL_ERROR", "window_overflow")),
        HTTP2Row("6.5.2: frames of 16,383", Wire.settings((5, 16383)), failed("PROTOCOL_ERROR", "bad_setting")),
        HTTP2Row("6.5.2: frames of 2^24", Wire.settings((5, 16_777_216)), failed("PROTOCOL_ERROR", "bad_setting")),
        HTTP2Row("8441: ENABLE_CONNECT_PROTOCOL of 2", Wire.settings((8, 2)), failed("PROTOCOL_ERROR", "bad_setting")),
        HTTP2Row(
            "6.5.2: values at their ends, and unknown ones",
            Wire.settings(
                (1, 0), (2, 0), (2, 1), (3, 0), (4, 0), (4, 0x7FFF_FFFF), (5, 16384), (5, 16_777_215), (6, 0), (8, 1),
                (0x99, 7)), ["settings", "> SETTINGS ack"]),
        HTTP2Row("6.5.3: an acknowledgement for nothing", Wire.acknowledgement + Wire.ping(1), ["> PING ack 1"]),
        HTTP2Row("6.7: PING", Wire.ping(9), ["> PING ack 9"]),
        HTTP2Row("6.7: PING acknowledged", Wire.ping(9, ack: true), []),
        HTTP2Row(
            "6.7: PING on a stream", Wire.frame(6, 1, [0, 0, 0, 0, 0, 0, 0, 0]),
            failed("PROTOCOL_ERROR", "bad_stream_id")),
        HTTP2Row(
            "6.7: PING of 6 bytes", Wire.frame(6, 0, [0, 0, 0, 0, 0, 0]), failed("FRAME_SIZE_ERROR", "bad_frame_size")),
        HTTP2Row(
            "6.8: GOAWAY on a stream", Wire.frame(7, 1, Wire.big(0) + Wire.big(0)),
            failed("PROTOCOL_ERROR", "bad_stream_id")),
        HTTP2Row(
            "6.8: GOAWAY of 7 bytes", Wire.frame(7, 0, [0, 0, 0, 0, 0, 0, 0]),
            failed("FRAME_SIZE_ERROR", "bad_frame_size")),
        HTTP2Row(
            "6.8: GOAWAY with debug data", Wire.frame(7, 0, Wire.big(5) + Wire.big(11) + [1, 2, 3]) + Wire.ping(1),
            ["goaway 5 ENHANCE_YOUR_CALM", "> PING ack 1"]),
        HTTP2Row(
            "6.8: after our GOAWAY new streams are ignored, old ones go on",
            [.bytes(open), .goAway(nil), .bytes(Wire.headers(3) + Wire.data(3, "x") + Wire.data(1, "y", end: true))],
            ["opened 1", "> GOAWAY 1 NO_ERROR", "data 1 'y' end"]),
        HTTP2Row(
            "6.8: a GOAWAY for later takes streams still",
            [.goAway(0x7FFF_FFFF), .bytes(open), .goAway(nil), .bytes(Wire.headers(3))],
            ["> GOAWAY 2147483647 NO_ERROR", "opened 1", "> GOAWAY 1 NO_ERROR"]),
        HTTP2Row(
            "6.9: WINDOW_UPDATE of 3 bytes", Wire.frame(8, 0, [0, 0, 1]), failed("FRAME_SIZE_ERROR", "bad_frame_size")),
        HTTP2Row("6.9: WINDOW_UPDATE of 0", Wire.window(0, 0), failed("PROTOCOL_ERROR", "bad_window_update")),
        HTTP2Row(
            "6.9: WINDOW_UPDATE of 0 on a stream", open + Wire.window(1, 0),
            ["opened 1", "reset 1 PROTOCOL_ERROR", "> RST_STREAM 1 PROTOCOL_ERROR"]),
        HTTP2Row(
            "6.9.1: the connection's window over 2^31-1", Wire.window(0, 0x7FFF_FFFF),
            failed("FLOW_CONTROL_ERROR", "window_overflow")),
        HTTP2Row(
            "6.9.1: a stream's window over 2^31-1", open + Wire.window(1, 0x7FFF_FFFF),
            ["opened 1", "reset 1 FLOW_CONTROL_ERROR", "> RST_STREAM 1 FLOW_CONTROL_ERROR"]),
        HTTP2Row(
            "6.9.2: a stream's window over 2^31-1 by SETTINGS",
            open + Wire.window(1, 0x7FFF_0000) + Wire.settings((4, 0x7FFF_FFFF)),
            ["opened 1"] + failed("FLOW_CONTROL_ERROR", "window_overflow", last: 1)),
        HTTP2Row(
            "6.9.1: no more than the window goes",
            [
                .bytes(Wire.settings((4, 1)) + ended), .respond(1, "abc"), .bytes(Wire.window(1, 1)),
                .send(1, "bc", end: true), .bytes(Wire.window(1, 9)), .send(1, "c", end: true),
            ],
            [
                "settings", "opened 1 end", "> SETTINGS ack", "> HEADERS 1 88", "> DATA 1 'a'", "window 1",
                "> DATA 1 'b'",
                "window 1", "> DATA 1 'c' end",
            ]),
        HTTP2Row(
            "6.9.2: a window that became negative must become positive",
            [
                .bytes(Wire.settings((4, 3)) + ended), .respond(1, "abcdef"), .bytes(Wire.settings((4, 1))),
                .bytes(Wire.window(1, 2)), .bytes(Wire.window(1, 1)), .send(1, "def", end: true),
                .bytes(Wire.settings((4, 3))), .send(1, "ef", end: true),
            ],
            [
                "settings", "opened 1 end", "> SETTINGS ack", "> HEADERS 1 88", "> DATA 1 'abc'", "settings",
                "> SETTINGS ack", "window 1", "> DATA 1 'd'", "settings", "window *", "> SETTINGS ack",
                "> DATA 1 'ef' end",
            ]),
        HTTP2Row(
            "6.9.3: more than the stream's window",
            open + (0..<4).flatMap { _ in Wire.data(1, count: 16384) },
            [
                "opened 1", "data 1 16384 bytes", "data 1 16384 bytes", "data 1 16384 bytes",
                "reset 1 FLOW_CONTROL_ERROR",
            ]
                + ["> RST_STREAM 1 FLOW_CONTROL_ERROR"]),
    ]

    @Test("frames", arguments: framing)
    func frames(_ row: HTTP2Row) { row.check(Peer()) }

    @Test("states of streams", arguments: states)
    func streamStates(_ row: HTTP2Row) { row.check(Peer()) }

    @Test("messages", arguments: messages)
    func messageFrames(_ row: HTTP2Row) { row.check(Peer()) }

    @Test("header blocks", arguments: blocks)
    func headerBlocks(_ row: HTTP2Row) { row.check(Peer()) }

    @Test("the connection's own frames", arguments: connection)
    func connectionFrames(_ row: HTTP2Row) { row.check(Peer()) }

    @Test("more streams than announced are refused, and may come again once others are over")
    func concurrency() {
        var limits = HTTP2Limits.server
        limits.maxConcurrentStreams = 2
        let peer = Peer(.server, limits)
        peer.feed(Wire.headers(1, end: true) + Wire.headers(3, end: true) + Wire.headers(5, end: true))
        #expect(peer.taken() == ["opened 1 end", "opened 3 end", "> RST_STREAM 5 REFUSED_STREAM"])
        peer.respond(3)
        peer.feed(Wire.headers(7, end: true) + Wire.headers(9, end: true))
        #expect(peer.taken() == ["opened 7 end", "> HEADERS 3 88 end", "> RST_STREAM 9 REFUSED_STREAM"])
        #expect(peer.session.openStreams == 2)
    }

    @Test("what is announced: streams, extended CONNECT, the size of heads; and the connection's window")
    func announcement() {
        let peer = Peer(handshake: false)
        peer.session.start()
        #expect(peer.taken() == ["> SETTINGS 000300000080000800000001000600008000", "> WINDOW_UPDATE 0 983041"])
    }

    @Test("a connection that failed says so again and sends no more")
    func afterwards() {
        let peer = Peer()
        peer.feed(Wire.headers(1) + Wire.data(0, "x"))
        #expect(peer.taken().last == "> GOAWAY 1 PROTOCOL_ERROR bad_stream_id")
        peer.respond(1, "body")
        peer.session.goAway(.noError, last: nil)
        peer.feed(Wire.ping())
        #expect(peer.taken() == ["failed PROTOCOL_ERROR bad_stream_id"])
    }
}
