// What the client end does with what servers may and may not send.

import Bytes
import Testing

@testable import HTTP

@Suite("HTTP2Session as client")
struct HTTP2ClientTests {
    private static let head = Wire.headers(1, Wire.response)
    private static let sent = "> HEADERS 1 828684"

    private static func failed(_ code: String, _ name: String) -> [String] {
        ["failed \(code) \(name)", "> GOAWAY 0 \(code) \(name)"]
    }

    private static func struck(_ code: String) -> [String] { ["reset 1 \(code)", "> RST_STREAM 1 \(code)"] }

    static let rows: [HTTP2Row] = [
        HTTP2Row(
            "a response in two pieces, then trailers",
            [
                .request(end: true),
                .bytes(head + Wire.data(1, "ab") + Wire.data(1, "c") + Wire.headers(1, Wire.trailer, end: true)),
            ], ["\(sent) end", "headers 1", "data 1 'ab'", "data 1 'c'", "headers 1 end"]),
        HTTP2Row(
            "interim responses, then a head that ends",
            [
                .request(end: true),
                .bytes(Wire.headers(1, Wire.interim) + Wire.headers(1, Wire.interim)),
                .bytes(Wire.headers(1, Wire.response, end: true)),
            ], ["\(sent) end", "headers 1", "headers 1", "headers 1 end"]),
        HTTP2Row(
            "an interim response that ends", [.request(), .bytes(Wire.headers(1, Wire.interim, end: true))],
            [sent] + struck("PROTOCOL_ERROR")),
        HTTP2Row("DATA before the head", [.request(), .bytes(Wire.data(1, "x"))], [sent] + struck("PROTOCOL_ERROR")),
        HTTP2Row(
            "DATA after an interim response", [.request(), .bytes(Wire.headers(1, Wire.interim) + Wire.data(1, "x"))],
            [sent, "headers 1"] + struck("PROTOCOL_ERROR")),
        HTTP2Row(
            "a second head that ends nothing", [.request(), .bytes(head + head)],
            [sent, "headers 1"] + struck("PROTOCOL_ERROR")),
        HTTP2Row(
            "DATA after the end", [.request(), .bytes(head + Wire.data(1, "x", end: true) + Wire.data(1, "y"))],
            [sent, "headers 1", "data 1 'x' end"] + struck("STREAM_CLOSED")),
        HTTP2Row(
            "HEADERS after the end", [.request(), .bytes(Wire.headers(1, Wire.response, end: true) + head)],
            [sent, "headers 1 end"] + struck("STREAM_CLOSED")),
        HTTP2Row(
            "frames for a stream that is over are answered, not the connection's end",
            [
                .request(end: true),
                .bytes(Wire.headers(1, Wire.response, end: true) + Wire.data(1, "x") + Wire.ping(1)),
            ],
            ["\(sent) end", "headers 1 end", "> RST_STREAM 1 STREAM_CLOSED", "> PING ack 1"]),
        HTTP2Row(
            "a response to a request that was given up",
            [.request(), .reset(1, .cancel), .bytes(head + Wire.data(1, "x", end: true) + Wire.ping(1))],
            [sent, "> RST_STREAM 1 CANCEL", "> PING ack 1"]),
        HTTP2Row(
            "a request given up before its head: the id is passed over",
            [.request(head: false), .reset(1, .cancel), .request()], ["> HEADERS 3 828684"]),
        HTTP2Row(
            "the server refuses", [.request(), .bytes(Wire.reset(1, 7))], [sent, "reset 1 REFUSED_STREAM"]),
        HTTP2Row(
            "GOAWAY: what is above the last stream was not processed, and there are no new ones",
            [.request(), .bytes(Wire.goAway(0)), .request()], [sent, "goaway 0 NO_ERROR"]),
        HTTP2Row(
            "a second GOAWAY takes nothing back", [.bytes(Wire.goAway(1) + Wire.goAway(5))],
            ["goaway 1 NO_ERROR", "goaway 1 NO_ERROR"]),
        HTTP2Row(
            "PUSH_PROMISE", [.request(), .bytes(Wire.frame(5, 1, flags: 4, Wire.big(2)))],
            [sent] + failed("PROTOCOL_ERROR", "unexpected_push")),
        HTTP2Row(
            "HEADERS of an even stream", Wire.headers(2, Wire.response), failed("PROTOCOL_ERROR", "bad_stream_id")),
        HTTP2Row(
            "HEADERS of a stream not opened", Wire.headers(1, Wire.response), failed("PROTOCOL_ERROR", "idle_stream")),
        HTTP2Row("DATA of a stream not opened", Wire.data(1, "x"), failed("PROTOCOL_ERROR", "idle_stream")),
        HTTP2Row("a server that allows push", Wire.settings((2, 1)), failed("PROTOCOL_ERROR", "bad_setting")),
        HTTP2Row(
            "extended CONNECT taken back", Wire.settings((8, 1)) + Wire.settings((8, 0)),
            ["settings"] + [
                "failed PROTOCOL_ERROR bad_setting", "> SETTINGS ack", "> GOAWAY 0 PROTOCOL_ERROR bad_setting",
            ]),
    ]

    @Test("responses", arguments: rows)
    func responses(_ row: HTTP2Row) { row.check(Peer(.client)) }

    @Test("begins with the preface, no push, and larger windows")
    func announcement() {
        let peer = Peer(.client, handshake: false)
        peer.session.start()
        #expect(peer.output.readable.starts(with: "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"))
        #expect(peer.taken() == ["> SETTINGS 000200000000000400040000000600008000", "> WINDOW_UPDATE 0 983041"])
    }

    @Test("a server whose first frame is no SETTINGS")
    func preface() {
        let peer = Peer(.client, handshake: false)
        peer.feed(Wire.ping())
        #expect(peer.taken() == Self.failed("PROTOCOL_ERROR", "bad_preface"))
    }

    @Test("opens as many streams as the server allows, 100 before it said so")
    func concurrency() {
        let early = Peer(.client, handshake: false)
        for _ in 0..<100 { #expect(early.request() != nil) }
        #expect(early.request() == nil)
        early.feed(Wire.settings())
        #expect(early.request() != nil)

        let peer = Peer(.client)
        peer.feed(Wire.settings((3, 1)))
        #expect(peer.request(end: true) != nil)
        #expect(!peer.session.canOpen)
        peer.feed(Wire.headers(1, Wire.response, end: true))
        #expect(peer.request()?.id == 3)
    }

    @Test("the last id is the last stream")
    func lastID() {
        let peer = Peer(.client)
        peer.session.nextID = 0x7FFF_FFFF
        #expect(peer.request()?.id == 0x7FFF_FFFF)
        #expect(peer.request() == nil)
        #expect(peer.taken() == ["> HEADERS 2147483647 828684"])
        peer.feed(Wire.headers(0x7FFF_FFFF, Wire.response))
        #expect(peer.taken() == ["headers 2147483647"])
    }

    @Test("a server that resets every request is no flood: the requests were ours")
    func resets() {
        let peer = Peer(.client)
        for _ in 0..<1000 {
            guard let stream = peer.request() else { break }
            peer.feed(Wire.reset(stream.id))
        }
        #expect(peer.session.fault == nil)
    }

    @Test("answers to requests that were given up are no flood: the requests were ours")
    func lateAnswers() {
        let peer = Peer(.client)
        for _ in 0..<1000 {
            guard let stream = peer.request() else { break }
            peer.session.reset(stream, .cancel)
            peer.feed(Wire.headers(stream.id, Wire.response) + Wire.data(stream.id, "late"))
            peer.feed(Wire.headers(stream.id, Wire.trailer, end: true) + Wire.reset(stream.id))
        }
        #expect(peer.session.fault == nil)
        #expect(peer.streams.count == 1000)
    }

    @Test("the server allows extended CONNECT")
    func connectProtocol() {
        let peer = Peer(.client)
        #expect(!peer.session.peerAllowsConnectProtocol)
        peer.feed(Wire.settings((8, 1)))
        #expect(peer.session.peerAllowsConnectProtocol)
    }
}
