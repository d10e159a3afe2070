// Heads made of HTTP/2 fields: every rule of RFC 9113 section 8, and that the result reads as HTTP/1.1's would.

import Bytes
import Testing

@testable import HTTP

/// Brings fields into a list as a connection does.
private func list(_ fields: [(String, String)], limits: HeadLimits = HeadLimits()) -> FieldList {
    let list = FieldList()
    let block = fields.flatMap { name, value in
        [0x00] + PlainEncoder.integer(name.utf8.count, 7, 0) + Array(name.utf8)
            + PlainEncoder.integer(value.utf8.count, 7, 0) + Array(value.utf8)
    }
    #expect(block.withBytes { HPACKDecoder(tableLimit: 4096).decode($0, into: list, limits: limits) })
    return list
}

private let get = [
    (":method", "GET"), (":scheme", "https"), (":authority", "api.example.com"), (":path", "/items?page=2"),
]

/// `get` with one pseudo field changed, or left out.
private func request(_ name: String, _ value: String?) -> [(String, String)] {
    get.compactMap { $0.0 == name ? value.map { (name, $0) } : $0 }
}

private let connect = [
    (":method", "CONNECT"), (":protocol", "websocket"), (":scheme", "https"), (":authority", "a.example"),
    (":path", "/ws"),
]

@Suite("Requests of HTTP/2")
struct HTTP2RequestTests {
    private func take(
        _ fields: [(String, String)], end: Bool = true, limits: HeadLimits = HeadLimits()
    ) -> (RequestHead, RequestHeadProblem?) {
        let head = RequestHead()
        return (head, head.take(list(fields, limits: limits), end: end, limits: limits))
    }

    @Test("a request reads as if HTTP/1.1 had brought it")
    func plain() {
        let (head, problem) = take(get + [("accept", "*/*"), ("x-tenant", "blue"), ("te", "trailers")])
        #expect(problem == nil)
        #expect(head.httpVersion == 2 && head.minorVersion == 1 && head.keepsAlive)
        #expect(head.method == .get && head.methodBytes == "GET")
        #expect(head.target == "/items?page=2")
        #expect(head.host == "api.example.com")
        #expect(head.headers.first(.host).map { $0 == "api.example.com" } == true)
        #expect(head.headers.first(.accept).map { $0 == "*/*" } == true)
        #expect(head.headers.first(FieldKey("X-Tenant")).map { $0 == "blue" } == true)
        #expect((0..<head.headers.count).map { head.headers.name($0).string } == ["host", "accept", "x-tenant", "te"])
        #expect(head.framing == .none && head.acceptsTrailers && !head.expectsContinue && head.saysHTTPS)
        #expect(head.wireCount > 0)
    }

    @Test("the same fields by HTTP/1 give the same head, cookies and all")
    func sameAsHTTP1() {
        let (head, problem) = take(
            request(":method", "POST") + [
                ("cookie", "a=1"), ("accept", "text/html"), ("cookie", "b=2"), ("content-length", "5"),
                ("expect", "100-continue"), ("cookie", "c=3"),
            ], end: false)
        #expect(problem == nil)
        let buffer = Buffer()
        buffer.append(
            """
            POST /items?page=2 HTTP/1.1\r\nhost: api.example.com\r\ncookie: a=1; b=2; c=3\r\naccept: text/html\r\n\
            content-length: 5\r\nexpect: 100-continue\r\n\r\n
            """)
        let other = RequestHead()
        var parser = RequestParser()
        parser.begin(at: 0)
        guard case .complete = parser.parse(buffer, into: other, limits: HeadLimits()) else {
            Issue.record("the HTTP/1 request was not taken")
            return
        }
        #expect(head.method == other.method && head.methodBytes == other.methodBytes)
        #expect(head.target == other.target && head.host == other.host)
        #expect(head.framing == other.framing && head.expectsContinue == other.expectsContinue)
        #expect(head.connection == other.connection && head.minorVersion == other.minorVersion)
        #expect(head.headers.count == other.headers.count)
        for index in 0..<min(head.headers.count, other.headers.count) {
            #expect(head.headers.id(index) == other.headers.id(index))
            #expect(head.headers.name(index) == other.headers.name(index))
            #expect(head.headers.value(index) == other.headers.value(index))
        }
    }

    @Test("an empty cookie leaves nothing in the joined field")
    func emptyCookies() {
        let empty = ("cookie", "")
        let rows = [
            ([empty, ("cookie", "a=1"), empty, ("cookie", "b=2"), empty], "a=1; b=2"), ([empty, empty], ""),
            ([empty], ""),
        ]
        for (cookies, joined) in rows {
            let (head, problem) = take(get + cookies)
            #expect(problem == nil)
            #expect(head.headers.first(.cookie)?.string == joined)
        }
    }

    @Test("a body is as long as Content-Length says, of unknown length without, and none at the stream's end")
    func framing() {
        #expect(take(get, end: false).0.framing == .chunked)
        #expect(take(get, end: true).0.framing == .none)
        #expect(take(get + [("content-length", "7")], end: false).0.framing == .length(7))
        #expect(take(get + [("content-length", "0")], end: false).0.framing == .none)
        #expect(take(get + [("content-length", "0")], end: true).1 == nil)
    }

    @Test("a Host that says what the authority says stands there once; without an authority it is the host")
    func hosts() {
        let (both, problem) = take(get + [("host", "API.example.com")])
        #expect(problem == nil)
        #expect((0..<both.headers.count).filter { both.headers.id($0) == .host }.count == 1)
        let (alone, none) = take(request(":authority", nil) + [("host", "b.example:8080")])
        #expect(none == nil)
        #expect(alone.host == "b.example:8080")
    }

    @Test("a WebSocket's CONNECT reads as the GET that HTTP/1 would have sent")
    func webSocket() {
        let (head, problem) = take(connect + [("sec-websocket-version", "13")], end: false)
        #expect(problem == nil)
        #expect(head.wantsWebSocket && head.method == .get && head.methodBytes == "GET")
        #expect(head.target == "/ws" && head.host == "a.example" && head.framing == .none)
    }

    @Test("OPTIONS may ask about the server as a whole")
    func star() {
        let (head, problem) = take([(":method", "OPTIONS"), (":scheme", "http"), (":authority", "a"), (":path", "*")])
        #expect(problem == nil)
        #expect(head.target == "*" && !head.saysHTTPS)
    }

    @Test(
        "T-15: a malformed request is a stream error",
        arguments: [
            // Pseudo fields: missing, twice, unknown, a response's, after an ordinary field.
            request(":method", nil), request(":scheme", nil), request(":path", nil), request(":path", ""),
            [], [("accept", "*/*")],
            get + [(":path", "/")], get + [(":method", "GET")], get + [(":scheme", "https")],
            get + [(":authority", "api.example.com")], get + [(":status", "200")], get + [(":version", "2")],
            get + [(":", "x")], get + [(":Path", "/")], get + [("accept", "*/*"), (":status", "200")],
            Array(get.dropLast()) + [("accept", "*/*"), (":path", "/")],
            request(":scheme", "ftp"), request(":scheme", ""),
            get + [(":protocol", "websocket")],
            connect.filter { $0.0 != ":path" }, connect.filter { $0.0 != ":scheme" },
            connect + [("content-length", "5")],
            // Bytes that would end a line of HTTP/1, or part it otherwise.
            request(":method", "GET\r\nx: y"), request(":scheme", "https\n"), request(":authority", "a\r\nx: y"),
            request(":path", "/a HTTP/1.1\r\nx: y"), request(":path", "/\0"), request(":path", "/\n"),
            request(":path", " /"), request(":path", "/ "), request(":path", "/\u{7F}"), request(":path", "/\u{1}"),
            get + [("x", "a\r\nb: c")], get + [("x", "a\nb")], get + [("x", "a\rb")], get + [("x", "a\0b")],
            get + [("x", "a\u{1}b")], get + [("x", "a\u{7F}")], get + [("x", " a")], get + [("x", "a ")],
            get + [("x", "\ta")], get + [("x", "a\t")],
            get + [("x y", "a")], get + [("x\r\ny", "a")], get + [("x:", "a")], get + [("", "a")], get + [("X", "a")],
            get + [("aCcept", "a")], get + [("x\0", "a")], get + [("é", "a")],
            // Fields about the connection.
            get + [("connection", "close")], get + [("connection", "")], get + [("proxy-connection", "keep-alive")],
            get + [("keep-alive", "5")], get + [("transfer-encoding", "chunked")], get + [("upgrade", "websocket")],
            get + [("te", "gzip")], get + [("te", "trailers, gzip")], get + [("te", "")],
            get + [("te", "trailers"), ("te", "gzip")],
            // A length at the stream's end.
            get + [("content-length", "1")],
        ])
    func malformed(_ fields: [(String, String)]) {
        #expect(take(fields).1 == .malformed, "\(fields)")
    }

    @Test(
        "T-15: what HTTP/1 would refuse with an answer is refused with the same answer",
        arguments: [
            (request(":method", "TRACE"), RequestFault.methodNotAllowed),
            ([(":method", "CONNECT"), (":authority", "a.example:443")], .methodNotAllowed),
            (connect.map { $0.0 == ":protocol" ? ($0.0, "connect-udp") : $0 }, .methodNotAllowed),
            (request(":method", ""), .badMethod), (request(":method", "G T"), .badMethod),
            (request(":method", "GET/"), .badMethod), (request(":method", "G\u{e9}T"), .badMethod),
            (request(":method", String(repeating: "A", count: 65)), .badMethod),
            (request(":path", "items"), .badTarget), (request(":path", "*"), .badTarget),
            (request(":path", "/a b"), .badTarget), (request(":path", "/a\tb"), .badTarget),
            (request(":path", "/a#b"), .badTarget), (request(":path", "http://a/b"), .badTarget),
            (request(":path", "?a"), .badTarget),
            (request(":path", "/" + String(repeating: "a", count: 16 * 1024)), .lineTooLong),
            (request(":path", "/" + String(repeating: "a", count: 40 * 1024)), .lineTooLong),
            (request(":authority", nil), .missingHost),
            (request(":authority", ""), .badHost), (request(":authority", "a b"), .badHost),
            (request(":authority", "user@a"), .badHost), (request(":authority", "a:99999"), .badHost),
            (request(":authority", "a/b"), .badHost), (request(":authority", "a,b"), .badHost),
            (request(":authority", "a.."), .badHost), (request(":authority", "a..:80"), .badHost),
            (request(":authority", "a..b"), .badHost), (request(":authority", "."), .badHost),
            (get + [("host", "other.example")], .badHost),
            (get + [("host", "api.example.com"), ("host", "api.example.com")], .badHost),
            (request(":authority", nil) + [("host", "a"), ("host", "a")], .badHost),
            (request(":authority", nil) + [("host", "a b")], .badHost),
            (get + [("content-length", "0"), ("content-length", "0")], .badContentLength),
            (get + [("content-length", "+5")], .badContentLength),
            (get + [("content-length", "5, 5")], .badContentLength),
            (get + [("content-length", "")], .badContentLength), (get + [("content-length", "0x5")], .badContentLength),
            (get + [("content-length", "9999999999999999999")], .badContentLength),
            (get + [("expect", "a-miracle")], .badExpectation),
            (get + [("x", String(repeating: "a", count: 16 * 1024))], .headTooLarge),
            (get + [("x", String(repeating: "a", count: 40 * 1024))], .headTooLarge),
            (
                get + [
                    ("x", String(repeating: "a", count: 15 * 1024)), ("y", String(repeating: "a", count: 17 * 1024)),
                ], .headTooLarge
            ),
            (
                get + [
                    ("cookie", String(repeating: "a", count: 8 * 1024)),
                    ("cookie", String(repeating: "b", count: 8 * 1024)),
                ],
                .headTooLarge
            ),
            (get + (0...100).map { ("x\($0)", "") }, .tooManyFields),
        ] as [([(String, String)], RequestFault)])
    func refused(_ fields: [(String, String)], _ fault: RequestFault) {
        #expect(take(fields).1 == .refused(fault), "\(fields.map(\.0))")
    }

    @Test("at a limit a request is taken, one past it refused")
    func limits() {
        let path = "/" + String(repeating: "a", count: 99)
        #expect(take(request(":path", path), limits: HeadLimits(line: 100, head: 1000, fields: 5)).1 == nil)
        #expect(
            take(request(":path", path), limits: HeadLimits(line: 99, head: 1000, fields: 5)).1
                == .refused(.lineTooLong))
        let field = [("x", String(repeating: "a", count: 97))]
        #expect(take(get + field, limits: HeadLimits(line: 100, head: 1000, fields: 5)).1 == nil)
        #expect(take(get + field, limits: HeadLimits(line: 99, head: 1000, fields: 5)).1 == .refused(.headTooLarge))
        let cookies = [("cookie", "a=1"), ("cookie", "b=2"), ("cookie", "c=3")]
        #expect(take(get + cookies, limits: HeadLimits(line: 21, head: 1000, fields: 1)).1 == nil)
        #expect(take(get + cookies, limits: HeadLimits(line: 20, head: 1000, fields: 1)).1 == .refused(.headTooLarge))
        #expect(
            take(get + cookies + [("x", "y")], limits: HeadLimits(line: 21, head: 1000, fields: 1)).1
                == .refused(.tooManyFields))
    }

    @Test("a head that is used again shows nothing of the request before, and allocates no buffer for it")
    func again() {
        let head = RequestHead()
        let list = FieldList()
        let decoder = HPACKDecoder(tableLimit: 4096)
        var encoder = PlainEncoder()
        var random = Seeded(seed: 1)
        var buffers: Set<ObjectIdentifier> = []
        for round in 0..<6 {
            let fields = get + (round % 2 == 0 ? [("te", "trailers"), ("x-round", "\(round)")] : [])
            let block = encoder.encode(fields.map { PlainField($0.0, $0.1) }, &random)
            #expect(block.withBytes { decoder.decode($0, into: list, limits: HeadLimits()) })
            #expect(head.take(list, end: true, limits: HeadLimits()) == nil)
            #expect(list.count == 0)
            #expect(head.acceptsTrailers == (round % 2 == 0))
            #expect(head.headers.count == (round % 2 == 0 ? 3 : 1))
            if let source = head.source { buffers.insert(ObjectIdentifier(source)) }
            #expect(head.source !== list.storage)
            head.clear()
        }
        #expect(buffers.count == 2)
    }
}

@Suite("Responses of HTTP/2")
struct HTTP2ResponseTests {
    private func take(
        _ fields: [(String, String)], end: Bool = false, toHead: Bool = false
    ) -> (ResponseHead, ResponseFault?) {
        let head = ResponseHead()
        return (head, head.take(list(fields), end: end, toHead: toHead))
    }

    @Test("a response reads as if HTTP/1.1 had brought it")
    func plain() {
        let (head, fault) = take([
            (":status", "201"), ("location", "/items/7"), ("set-cookie", "a=1"), ("set-cookie", "b=2"),
        ])
        #expect(fault == nil)
        #expect(head.status == 201 && head.httpVersion == 2 && head.minorVersion == 1 && head.keepsAlive)
        #expect(head.reason.isEmpty && head.framing == .chunked)
        #expect((0..<head.headers.count).map { head.headers.value($0).string } == ["/items/7", "a=1", "b=2"])
    }

    @Test("a body is as long as the status, the request and Content-Length say")
    func framing() {
        #expect(take([(":status", "200")], end: true).0.framing == .none)
        #expect(take([(":status", "200"), ("content-length", "9")]).0.framing == .length(9))
        #expect(take([(":status", "200"), ("content-length", "0")]).0.framing == .none)
        #expect(take([(":status", "200"), ("content-length", "9")], end: true, toHead: true).0.framing == .none)
        #expect(take([(":status", "200"), ("content-length", "9")], end: true, toHead: true).1 == nil)
        #expect(take([(":status", "304"), ("content-length", "9")], end: true).1 == nil)
        #expect(take([(":status", "204")], end: true).1 == nil)
        #expect(take([(":status", "103"), ("link", "</a>")]).1 == nil)
        #expect(take([(":status", "103")]).0.framing == .none)
    }

    @Test(
        "T-15: a response that breaks a rule is no response",
        arguments: [
            ([], ResponseFault.malformedStatusLine), ([("x", "y")], .malformedStatusLine),
            ([("x", "y"), (":status", "200")], .malformedStatusLine), ([(":status", "20")], .malformedStatusLine),
            ([(":status", "2000")], .malformedStatusLine), ([(":status", "099")], .malformedStatusLine),
            ([(":status", "600")], .malformedStatusLine), ([(":status", "2 0")], .malformedStatusLine),
            ([(":status", "+20")], .malformedStatusLine), ([(":status", "20\n")], .malformedStatusLine),
            ([(":method", "GET")], .malformedStatusLine),
            ([(":status", "200"), (":status", "200")], .malformedField),
            ([(":status", "200"), (":path", "/")], .malformedField),
            ([(":status", "200"), ("x", "a\r\nb: c")], .malformedField),
            ([(":status", "200"), ("x", "a\0")], .malformedField),
            ([(":status", "200"), ("x", " a")], .malformedField), ([(":status", "200"), ("X", "a")], .malformedField),
            ([(":status", "200"), ("connection", "close")], .malformedField),
            ([(":status", "200"), ("transfer-encoding", "chunked")], .malformedField),
            ([(":status", "200"), ("upgrade", "h2c")], .malformedField),
            ([(":status", "200"), ("keep-alive", "5")], .malformedField),
            ([(":status", "200"), ("proxy-connection", "close")], .malformedField),
            ([(":status", "101")], .unexpectedUpgrade),
            ([(":status", "200"), ("content-length", "x")], .badContentLength),
            ([(":status", "200"), ("content-length", "5"), ("content-length", "5")], .badContentLength),
            ([(":status", "204"), ("content-length", "5")], .conflictingFraming),
            ([(":status", "103"), ("content-length", "5")], .conflictingFraming),
            ([(":status", "200"), ("x", String(repeating: "a", count: 33 * 1024))], .headTooLarge),
            ([(":status", "200")] + (0...100).map { ("x\($0)", "") }, .tooManyFields),
        ] as [([(String, String)], ResponseFault)])
    func refused(_ fields: [(String, String)], _ fault: ResponseFault) {
        #expect(take(fields).1 == fault, "\(fields.map(\.0))")
    }

    @Test("a stream cannot end with an interim response, nor before the bytes that were announced")
    func ends() {
        #expect(take([(":status", "103")], end: true).1 == .conflictingFraming)
        #expect(take([(":status", "200"), ("content-length", "5")], end: true).1 == .conflictingFraming)
    }
}

@Suite("Trailers and fields on their way into HTTP/2")
struct HTTP2BlockTests {
    @Test("trailers are copied, so that they outlive the list")
    func trailers() {
        let block = HeaderBlock()
        block.reset(source: nil)
        let fields = list([("grpc-status", "0"), ("grpc-message", "")])
        #expect(block.takeTrailers(fields))
        fields.clear()
        fields.storage.append("overwritten")
        #expect(block.count == 2)
        #expect(block.first(FieldKey("Grpc-Status")).map { $0 == "0" } == true)
    }

    @Test(
        "T-15: malformed trailers are refused",
        arguments: [
            [(":status", "200")], [("x", "1"), (":path", "/")], [("x", "a\nb")], [("X", "1")],
            [("connection", "close")], [("transfer-encoding", "chunked")],
            [("x", String(repeating: "a", count: 40000))],
        ])
    func malformedTrailers(_ fields: [(String, String)]) {
        let block = HeaderBlock()
        block.reset(source: nil)
        #expect(!block.takeTrailers(list(fields)))
    }

    @Test(
        "what is left of a block is encoded: names in lower case, edits too, secrets and marked fields never to be indexed"
    )
    func encodes() {
        let buffer = Buffer()
        buffer.append(
            """
            GET / HTTP/1.1\r\nHost: a\r\nX-Kept: 1\r\nX-Gone: 2\r\nConnection: close\r\nAuthorization: Basic eA==\r\n\
            Cookie: a=1\r\n\r\n
            """)
        let head = RequestHead()
        var parser = RequestParser()
        parser.begin(at: 0)
        _ = parser.parse(buffer, into: head, limits: HeadLimits())
        head.headers.removeAll(FieldKey("x-gone"))
        head.headers.add(Bytes("X-Added"), Bytes("3"))
        let out = Buffer()
        head.headers.encode(to: out, except: FieldNameSet([.host, .connection]))
        var plain = PlainDecoder()
        #expect(
            plain.decode(out.readable.array) == [
                PlainField("x-kept", "1"), PlainField("authorization", "Basic eA==", isNeverIndexed: true),
                PlainField("cookie", "a=1", isNeverIndexed: true), PlainField("x-added", "3"),
            ])
    }

    @Test("a field that was never to be indexed stays so on its way through, in heads and in trailers")
    func neverIndexed() {
        let fields = FieldList()
        let block =
            [UInt8]([0x82, 0x84, 0x86, 0x01, 0x01, 0x61]) + [0x10, 0x01, 0x78, 0x01, 0x79] + [
                0x00, 0x01, 0x7A, 0x01, 0x79,
            ]
        let expected = [PlainField("x", "y", isNeverIndexed: true), PlainField("z", "y")]
        let out = Buffer()
        #expect(block.withBytes { HPACKDecoder(tableLimit: 4096).decode($0, into: fields, limits: HeadLimits()) })
        let head = RequestHead()
        #expect(head.take(fields, end: true, limits: HeadLimits()) == nil)
        head.headers.encode(to: out, except: FieldNameSet([.host]))
        var plain = PlainDecoder()
        #expect(plain.decode(out.readable.array) == expected)
        let trailers = HeaderBlock()
        trailers.reset(source: nil)
        #expect(
            Array(block.dropFirst(6)).withBytes {
                HPACKDecoder(tableLimit: 4096).decode($0, into: fields, limits: HeadLimits())
            })
        #expect(trailers.takeTrailers(fields))
        out.clear()
        trailers.encode(to: out)
        #expect(plain.decode(out.readable.array) == expected)
    }
}
