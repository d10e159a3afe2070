// ClientHello messages: names and protocols out of every cut, and a refusal for what is not well formed.

import Bytes
import Testing

@testable import HTTP

@Suite("ClientHello")
struct ClientHelloTests {
    /// A message built part by part, so that each part can be wrong.
    private struct Hello {
        var type: UInt8 = 1
        var version: [UInt8] = [3, 3]
        var session: [UInt8] = [UInt8](repeating: 7, count: 32)
        var suites: [UInt8] = [0x13, 0x01, 0x13, 0x02]
        var compressions: [UInt8] = [0]
        /// Nil: the message ends before its extensions.
        var extensions: [(UInt16, [UInt8])]? = []
        /// Added to the length of the extensions.
        var surplus = 0

        var body: [UInt8] {
            var out = version + [UInt8](repeating: 0x5A, count: 32)
            out += [UInt8(session.count)] + session + ClientHelloTests.sized(suites)
            out += [UInt8(compressions.count)] + compressions
            guard let extensions else { return out }
            let all = extensions.flatMap { ClientHelloTests.two(Int($0.0)) + ClientHelloTests.sized($0.1) }
            return out + ClientHelloTests.two(all.count + surplus) + all
        }

        var message: [UInt8] {
            let body = body
            return [type, UInt8(body.count >> 16), UInt8(body.count >> 8 & 255), UInt8(body.count & 255)] + body
        }

        /// The message in records of at most `size` bytes.
        func records(_ size: Int = 16384) -> [UInt8] {
            let message = message
            return stride(from: 0, to: message.count, by: size).flatMap { start in
                [22, 3, 1] + ClientHelloTests.sized(Array(message[start..<min(message.count, start + size)]))
            }
        }
    }

    private static func two(_ value: Int) -> [UInt8] { [UInt8(value >> 8 & 255), UInt8(value & 255)] }
    private static func sized(_ bytes: [UInt8]) -> [UInt8] { two(bytes.count) + bytes }
    private static func name(_ text: String) -> (UInt16, [UInt8]) { (0, sized([0] + sized(Array(text.utf8)))) }
    private static func protocols(_ list: [String]) -> (UInt16, [UInt8]) {
        (16, sized(list.flatMap { [UInt8($0.utf8.count)] + Array($0.utf8) }))
    }

    private static func read(_ bytes: [UInt8], _ reader: ClientHelloReader = ClientHelloReader())
        -> ClientHelloReader.Reading
    {
        bytes.withBytes { reader.read($0) }
    }

    @Test("name and protocols, whatever the records' size")
    func records() {
        var hello = Hello()
        hello.extensions = [
            (43, [2, 3, 4]), Self.name("API.example.com"), Self.protocols(["h2", "http/1.1"]), (21, []),
        ]
        let reader = ClientHelloReader()
        for size in [1, 2, 3, 5, 17, 100, 16384] {
            #expect(Self.read(hello.records(size), reader) == .complete, "records of \(size)")
            #expect(reader.serverName.readable == "API.example.com")
            #expect(reader.protocols.readable == "\u{2}h2\u{8}http/1.1")
            #expect(!reader.isEncrypted)
            #expect(Self.read(hello.records(size) + [23, 3, 3, 0, 1, 9], reader) == .complete)
        }
    }

    @Test("every shorter piece is incomplete")
    func pieces() {
        var hello = Hello()
        hello.extensions = [Self.name("a.example"), Self.protocols(["x"])]
        for size in [1, 9, 16384] {
            let bytes = hello.records(size)
            for count in 0..<bytes.count { #expect(Self.read(Array(bytes.prefix(count))) == .incomplete) }
        }
    }

    @Test("a message without a name has none, and nothing is left of the one before")
    func nameless() {
        let reader = ClientHelloReader()
        var hello = Hello()
        hello.extensions = [Self.name("a.example"), (0xFE0D, [0, 1])]
        #expect(Self.read(hello.records(), reader) == .complete)
        #expect(reader.isEncrypted)
        hello.extensions = nil
        #expect(Self.read(hello.records(), reader) == .complete)
        #expect(reader.serverName.isEmpty && reader.protocols.isEmpty && !reader.isEncrypted)
    }

    @Test("a root's dot is dropped")
    func rootDot() {
        let reader = ClientHelloReader()
        var hello = Hello()
        hello.extensions = [Self.name("a.example.")]
        #expect(Self.read(hello.records(), reader) == .complete)
        #expect(reader.serverName.readable == "a.example")
    }

    @Test(
        "names that are none are refused",
        arguments: [
            "", ".", "..", "a..b", ".a", "a b", "a\u{0}b", "*.example", "a/b", "bücher.example", "a..", "[::1]", "a:1",
        ])
    func badNames(_ text: String) {
        var hello = Hello()
        hello.extensions = [Self.name(text)]
        #expect(Self.read(hello.records()) == .failed(.badServerName))
    }

    @Test("a name has at most 255 bytes")
    func longNames() {
        var hello = Hello()
        hello.extensions = [Self.name(String(repeating: "a", count: 255))]
        #expect(Self.read(hello.records()) == .complete)
        hello.extensions = [Self.name(String(repeating: "a", count: 256))]
        #expect(Self.read(hello.records()) == .failed(.badServerName))
    }

    @Test("two names, two lists of protocols, and entries of another type are refused")
    func repeated() {
        for extensions in [
            [Self.name("a.example"), Self.name("b.example")], [Self.protocols(["a"]), Self.protocols(["b"])],
            [(0, Self.sized([1] + Self.sized([0x61])))],
            [(0, Self.sized([0] + Self.sized([0x61]) + [0] + Self.sized([0x62])))],
        ] as [[(UInt16, [UInt8])]] {
            var hello = Hello()
            hello.extensions = extensions
            guard case .failed = Self.read(hello.records()) else {
                Issue.record("read \(extensions)")
                continue
            }
        }
    }

    @Test("lengths that do not add up are refused")
    func lengths() {
        let broken: [(inout Hello) -> Void] = [
            { $0.session = [UInt8](repeating: 0, count: 33) }, { $0.suites = [1] }, { $0.suites = [] },
            { $0.compressions = [] }, { $0.surplus = 1 }, { $0.surplus = -1 }, { $0.version = [2, 0] },
            { $0.extensions = [(0, [0, 9, 0, 0, 1, 0x61])] }, { $0.extensions = [(0, [])] },
            { $0.extensions = [(16, [])] }, { $0.extensions = [(16, [0, 1, 0])] },
            { $0.extensions = [(16, [0, 2, 5, 0x61])] }, { $0.extensions = [(16, [0, 0])] },
        ]
        for (index, edit) in broken.enumerated() {
            var hello = Hello()
            hello.extensions = [(21, [0, 0])]
            edit(&hello)
            #expect(Self.read(hello.records()) == .failed(.malformed), "case \(index)")
        }
    }

    @Test("what is no TLS handshake is told at once")
    func foreign() {
        for bytes in [[0x47], [0x16, 0x02], [0x16, 3, 5], [0x17, 3, 3], [0x80, 0x2E, 1]] as [[UInt8]] {
            #expect(Self.read(bytes) == .failed(.notTLS), "\(bytes)")
        }
        var hello = Hello()
        hello.type = 2
        #expect(Self.read(Array(hello.records().prefix(6))) == .failed(.notClientHello))
        #expect(Self.read([22, 3, 1, 0, 0]) == .failed(.malformed))
        #expect(Self.read([22, 3, 1, 0x40, 1]) == .failed(.malformed))
        // An alert in the middle of the message.
        #expect(Self.read(Array(Hello().records(20).prefix(25)) + [21, 3, 1, 0, 2]) == .failed(.malformed))
    }

    @Test("messages up to 16 KiB are read, and no more bytes than 24 KiB for one")
    func long() {
        var hello = Hello()
        hello.extensions = [(21, [])]
        let room = ClientHelloReader.messageMax - hello.body.count
        hello.extensions = [(21, [UInt8](repeating: 0, count: room))]
        #expect(hello.body.count == ClientHelloReader.messageMax)
        #expect(Self.read(hello.records()) == .complete)
        #expect(Self.read(hello.records(64)) == .complete)
        // One byte in each record: six on the wire for each of the message.
        #expect(Self.read(hello.records(1)) == .failed(.tooLong))
        #expect(Self.read(Array(hello.records(1).prefix(ClientHelloReader.wireMax - 1))) == .incomplete)
        hello.extensions = [(21, [UInt8](repeating: 0, count: room + 1))]
        #expect(Self.read(Array(hello.records().prefix(9))) == .failed(.tooLong))
    }

    @Test("random damage never changes its verdict when more bytes come")
    func damage() {
        let seed = UInt64.random(in: .min ... .max)
        var random = SplitMix(seed)
        var hello = Hello()
        hello.extensions = [Self.name("a.example"), Self.protocols(["h2"]), (43, [2, 3, 4])]
        let reader = ClientHelloReader()
        for _ in 0..<400 {
            var bytes = hello.records(Int.random(in: 1...200, using: &random))
            for _ in 0..<Int.random(in: 1...3, using: &random) {
                bytes[Int.random(in: 0..<bytes.count, using: &random)] = UInt8.random(in: .min ... .max, using: &random)
            }
            let verdict = Self.read(bytes, reader)
            var settled = false
            for count in 0...bytes.count {
                let partial = Self.read(Array(bytes.prefix(count)), reader)
                settled = settled || partial != .incomplete
                #expect(partial == (settled ? verdict : .incomplete), "seed \(seed)")
            }
        }
    }
}
