// Header blocks: the examples of RFC 7541, another implementation's blocks, and what no decoder may take.

import Bytes
import Foundation
import HTTP
import Testing

/// A decoder with its list, as a connection has them.
final class BlockReader {
    let decoder = HPACKDecoder(tableLimit: 4096)
    let list = FieldList()
    var limits = HeadLimits(line: 1 << 20, head: 1 << 20, fields: 1 << 20)

    /// The fields, or nil for a compression error.
    func read(_ block: [UInt8]) -> [PlainField]? {
        guard block.withBytes({ decoder.decode($0, into: list, limits: limits) }) else { return nil }
        return fields
    }

    func read(hex: String) -> [PlainField]? { read(bytes(hex: hex)) }

    var fields: [PlainField] {
        (0..<list.count).map {
            PlainField(list.name($0).array, list.value($0).array, isNeverIndexed: list[$0].isNeverIndexed)
        }
    }
}

/// Spaces between the digits are left out.
func bytes(hex: String) -> [UInt8] {
    let digits = hex.utf8.compactMap { ASCII.hex($0) }
    return stride(from: 0, to: digits.count, by: 2).map { digits[$0] << 4 | digits[$0 + 1] }
}

@Suite("HPACK examples of RFC 7541, appendix C")
struct HPACKExampleTests {
    private static let requests = [
        [("method", "GET"), ("scheme", "http"), ("path", "/"), ("authority", "www.example.com")].map(pseudo),
        [("method", "GET"), ("scheme", "http"), ("path", "/"), ("authority", "www.example.com")].map(pseudo)
            + [PlainField("cache-control", "no-cache")],
        [("method", "GET"), ("scheme", "https"), ("path", "/index.html"), ("authority", "www.example.com")].map(pseudo)
            + [PlainField("custom-key", "custom-value")],
    ]

    private static let responses = [
        response("302", "21"), response("307", "21"),
        response("200", "22") + [
            PlainField("content-encoding", "gzip"),
            PlainField("set-cookie", "foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1"),
        ],
    ]

    private static func pseudo(_ pair: (String, String)) -> PlainField { PlainField(":" + pair.0, pair.1) }

    private static func response(_ status: String, _ second: String) -> [PlainField] {
        [
            PlainField(":status", status), PlainField("cache-control", "private"),
            PlainField("date", "Mon, 21 Oct 2013 20:13:\(second) GMT"),
            PlainField("location", "https://www.example.com"),
        ]
    }

    @Test("C.2: each representation by itself")
    func representations() {
        #expect(
            BlockReader().read(hex: "400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572")
                == [PlainField("custom-key", "custom-header")])
        #expect(
            BlockReader().read(hex: "040c 2f73 616d 706c 652f 7061 7468") == [PlainField(":path", "/sample/path")])
        #expect(
            BlockReader().read(hex: "1008 7061 7373 776f 7264 0673 6563 7265 74")
                == [PlainField("password", "secret", isNeverIndexed: true)])
        #expect(BlockReader().read(hex: "82") == [PlainField(":method", "GET")])
    }

    @Test("C.3: requests without Huffman coding, on one connection")
    func plainRequests() {
        let reader = BlockReader()
        let blocks = [
            "8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d", "8286 84be 5808 6e6f 2d63 6163 6865",
            "8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65",
        ]
        for (block, fields) in zip(blocks, Self.requests) { #expect(reader.read(hex: block) == fields) }
    }

    @Test("C.4: requests with Huffman coding, on one connection")
    func codedRequests() {
        let reader = BlockReader()
        let blocks = [
            "8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff", "8286 84be 5886 a8eb 1064 9cbf",
            "8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf",
        ]
        for (block, fields) in zip(blocks, Self.requests) { #expect(reader.read(hex: block) == fields) }
    }

    /// The table of 256 bytes that the examples have is set by a size update before the first block.
    @Test(
        "C.5 and C.6: responses that push one another out of a small table",
        arguments: [
            [
                "3fe101 4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 "
                    + "3a32 3120 474d 546e 1768 7474 7073 3a2f 2f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
                "4803 3330 37c1 c0bf",
                "88c1 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3220 474d 54c0 5a04 677a 6970 "
                    + "7738 666f 6f3d 4153 444a 4b48 514b 425a 584f 5157 454f 5049 5541 5851 5745 4f49 553b 206d 6178 "
                    + "2d61 6765 3d33 3630 303b 2076 6572 7369 6f6e 3d31",
            ],
            [
                "3fe101 4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e 919d "
                    + "29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3",
                "4883 640e ffc1 c0bf",
                "88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab 77ad 94e7 821d d7f2 "
                    + "e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 65c0 03ed 4ee5 b106 3d50 07",
            ],
        ])
    func responses(_ blocks: [String]) {
        let reader = BlockReader()
        for (block, fields) in zip(blocks, Self.responses) { #expect(reader.read(hex: block) == fields) }
        // What the table holds in the end, newest first; there is no fourth.
        #expect(reader.read(hex: "bebf c0") == [Self.responses[2][5], Self.responses[2][4], Self.responses[2][2]])
        #expect(reader.read(hex: "c1") == nil)
    }
}

@Suite("HPACK vectors of another implementation")
struct HPACKVectorTests {
    @Test("every block of the golden file has the fields that it was made of")
    func golden() throws {
        let file = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
            .appendingPathComponent("Golden/hpack.txt")
        var reader = BlockReader()
        var expected: [PlainField] = []
        var got: [PlainField]?
        var blocks = 0
        let text = try String(contentsOf: file, encoding: .utf8) + "connection"
        for line in text.split(separator: "\n") {
            let words = line.split(separator: " ", omittingEmptySubsequences: false).map { Array($0.utf8) }
            guard words[0] == Array("connection".utf8) || words[0] == Array("block".utf8) else {
                let isNever = words[0].first == 0x21
                let name = isNever ? Array(words[0].dropFirst()) : words[0]
                expected.append(PlainField(plain(name), plain(words[1]), isNeverIndexed: isNever))
                continue
            }
            if blocks > 0 { #expect(got == expected, "block \(blocks)") }
            expected = []
            if words.count == 1 {
                reader = BlockReader()
                got = []
            } else {
                got = reader.read(hex: String(decoding: words[1], as: UTF8.self))
                blocks += 1
            }
        }
        #expect(blocks == 300)
    }

    private func plain(_ text: [UInt8]) -> [UInt8] {
        var out: [UInt8] = []
        var at = 0
        while at < text.count {
            if text[at] == 0x25, let high = ASCII.hex(text[at + 1]), let low = ASCII.hex(text[at + 2]) {
                out.append(high << 4 | low)
                at += 3
            } else {
                out.append(text[at])
                at += 1
            }
        }
        return out
    }
}

@Suite("HPACK against the reference")
struct HPACKReferenceTests {
    private static let names = [
        ":path", ":authority", "accept", "cookie", "x-a", "x-b", "authorization", "content-type", "etag",
        "a-rather-long-name",
    ]

    private static func field(_ random: inout Seeded) -> PlainField {
        var value = [UInt8](
            repeating: 0, count: Int.random(in: 0..<(Bool.random(using: &random) ? 6 : 400), using: &random))
        let isText = Int.random(in: 0..<4, using: &random) > 0
        for index in value.indices {
            value[index] = isText ? UInt8.random(in: 0x61...0x64, using: &random) : .random(in: 0...255, using: &random)
        }
        return PlainField(
            Array((names.randomElement(using: &random) ?? "").utf8), value,
            isNeverIndexed: Int.random(in: 0..<8, using: &random) == 0)
    }

    @Test("a connection's blocks in every representation decode to what they were made of")
    func roundTrips() {
        let seed = UInt64.random(in: 0...UInt64.max)
        var random = Seeded(seed: seed)
        for _ in 0..<10 {
            var encoder = PlainEncoder()
            let reader = BlockReader()
            for _ in 0..<20 {
                var fields = (0..<Int.random(in: 0..<12, using: &random)).map { _ in Self.field(&random) }
                if let again = fields.randomElement(using: &random) { fields.append(again) }
                #expect(reader.read(encoder.encode(fields, &random)) == fields, "seed \(seed)")
            }
        }
    }

    @Test("a damaged block is judged as the reference judges it, and so is the next one")
    func damaged() {
        let seed = UInt64.random(in: 0...UInt64.max)
        var random = Seeded(seed: seed)
        for _ in 0..<400 {
            var encoder = PlainEncoder()
            var plain = PlainDecoder()
            let reader = BlockReader()
            for _ in 0..<4 {
                var block = encoder.encode((0..<4).map { _ in Self.field(&random) }, &random)
                for _ in 0..<Int.random(in: 0...2, using: &random) where !block.isEmpty {
                    let at = block.indices.randomElement(using: &random) ?? 0
                    switch Int.random(in: 0..<3, using: &random) {
                    case 0: block[at] = .random(in: 0...255, using: &random)
                    case 1: block.remove(at: at)
                    default: block.removeLast()
                    }
                }
                let expected = plain.decode(block)
                #expect(reader.read(block) == expected, "seed \(seed)")
                if expected == nil { break }
            }
        }
    }

    @Test("what the encoder writes is read back, names in lower case, secrets never to be indexed")
    func encoder() {
        let seed = UInt64.random(in: 0...UInt64.max)
        var random = Seeded(seed: seed)
        var plain = PlainDecoder()
        let reader = BlockReader()
        for _ in 0..<300 {
            let out = Buffer(capacity: 64)
            var fields = (0..<6).map { _ in Self.field(&random) }.filter { $0.name.first != 0x3A }
            for index in fields.indices {
                let shown = String(decoding: fields[index].name, as: UTF8.self)
                let name = Bool.random(using: &random) ? shown.uppercased() : shown
                name.withBytes { name in
                    fields[index].value.withBytes { value in
                        HPACKEncoder.field(
                            id: FieldName(name), name: name, value: value, neverIndexed: fields[index].isNeverIndexed,
                            to: out)
                    }
                }
                if shown == "authorization" || shown == "cookie" && fields[index].value.count < 20 {
                    fields[index].isNeverIndexed = true
                }
            }
            let block = out.readable.array
            #expect(plain.decode(block) == fields, "seed \(seed)")
            #expect(reader.read(block) == fields, "seed \(seed)")
        }
        #expect(plain.table.isEmpty)
    }

    @Test("every name the proxy knows is encoded as itself")
    func names() {
        for id in FieldName.allCases where id != .other {
            let out = Buffer(capacity: 64)
            HPACKEncoder.field(id: id, name: Bytes(id.text), value: Bytes("v"), neverIndexed: false, to: out)
            var plain = PlainDecoder()
            #expect(plain.decode(out.readable.array)?.map(\.name) == [Array(Bytes(id.text).string.lowercased().utf8)])
        }
    }

    @Test("every status and pseudo field is encoded as itself")
    func pseudos() {
        var plain = PlainDecoder()
        for status in 100...599 {
            let out = Buffer(capacity: 64)
            HPACKEncoder.status(status, to: out)
            #expect(plain.decode(out.readable.array) == [PlainField(":status", "\(status)")])
        }
        let rows: [(Pseudo, String, String)] = [
            (.method, ":method", "GET"), (.method, ":method", "POST"), (.method, ":method", "PURGE"),
            (.scheme, ":scheme", "http"), (.scheme, ":scheme", "https"), (.scheme, ":scheme", "ftp"),
            (.path, ":path", "/"), (.path, ":path", "/a"), (.authority, ":authority", "a.example"),
            (.protocol, ":protocol", "websocket"), (.status, ":status", "201"),
        ]
        for (pseudo, name, value) in rows {
            let out = Buffer(capacity: 64)
            value.withBytes { HPACKEncoder.pseudo(pseudo, value: $0, to: out) }
            #expect(plain.decode(out.readable.array) == [PlainField(name, value)])
        }
    }
}
