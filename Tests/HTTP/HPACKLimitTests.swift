// Header blocks that must end the connection, and blocks that are merely too large.

import Bytes
import HTTP
import Testing

@Suite("HPACK errors")
struct HPACKErrorTests {
    @Test(
        "a block that breaks the format is a compression error",
        arguments: [
            ("80", "index 0"),
            ("be", "an index past the static table while the dynamic one is empty"),
            ("ff80808001", "an index far past both tables"),
            ("ff8080808001", "an integer of more than four further bytes"),
            ("ff", "an integer that does not end"),
            ("7e0161", "a literal whose name is past both tables"),
            ("8220", "a table size update after a field"),
            ("3fe21f", "a table size over the limit that was announced: 4097"),
            ("40", "a literal without a name"),
            ("400161", "a literal without a value"),
            ("40056162", "a name longer than the block"),
            ("4001610562", "a value longer than the block"),
            ("007fffffffff0f", "a length that no block has"),
            ("00810000", "a Huffman code that the string ends within: eight zero bits are more than a symbol"),
            ("0081ff0161", "eight bits of padding"),
            ("0082 1fff 0161", "a symbol and more than seven bits of padding"),
            ("0081 18 0161", "padding with zeros: 'a' is 00011, then 000"),
            ("0081 1e 0161", "padding with a zero at its end"),
            ("0084 ffffffff 0161", "the end-of-string symbol"),
            ("0085 1ffffffffe 0161", "the end-of-string symbol after another"),
        ])
    func errors(_ hex: String, _ why: String) {
        var plain = PlainDecoder()
        #expect(plain.decode(bytes(hex: hex)) == nil, "the reference: \(why)")
        #expect(BlockReader().read(hex: hex) == nil, "\(why)")
    }

    @Test("what is just within the format is taken")
    func valid() {
        #expect(BlockReader().read(hex: "") == [])
        #expect(BlockReader().read(hex: "20") == [])
        #expect(BlockReader().read(hex: "3fe11f") == [], "a table of 4096 bytes")
        #expect(BlockReader().read(hex: "20 3fe11f 82") == [PlainField(":method", "GET")])
        #expect(BlockReader().read(hex: "0081 1f 0161") == [PlainField("a", "a")], "three bits of padding")
        #expect(BlockReader().read(hex: "000080") == [PlainField("", "")], "a coded string of no bytes")
        #expect(BlockReader().read(hex: "ff80808000") == nil, "127 in five bytes: no such row")
    }

    @Test("every symbol is coded and decoded alone, and before and after each other one")
    func symbols() {
        let reader = BlockReader()
        for first in UInt8.min...UInt8.max {
            for second in stride(from: UInt8.min, to: UInt8.max, by: 7) {
                let text = [first, second, first]
                let coded = PlainHuffman.encode(text)
                let block = [0x04] + PlainEncoder.integer(coded.count, 7, 0x80) + coded
                #expect(reader.read(block)?.first?.value == text)
            }
        }
    }
}

@Suite("HPACK limits")
struct HPACKLimitTests {
    private func field(_ name: String, _ value: String, form: UInt8 = 0) -> [UInt8] {
        [form] + PlainEncoder.integer(name.utf8.count, 7, 0) + Array(name.utf8)
            + PlainEncoder.integer(value.utf8.count, 7, 0) + Array(value.utf8)
    }

    @Test("names and values with 32 bytes for each field may fill the limit and not exceed it")
    func size() {
        let reader = BlockReader()
        reader.limits = HeadLimits(line: 1000, head: 100, fields: 10)
        #expect(reader.read(field("a", String(repeating: "x", count: 67)))?.count == 1)
        #expect(!reader.list.isTooLarge)
        #expect(reader.read(field("a", String(repeating: "x", count: 68)))?.count == 0)
        #expect(reader.list.isTooLarge)
        #expect(reader.read([0x82])?.count == 1)
        #expect(!reader.list.isTooLarge, "the next block starts anew")
    }

    @Test("so many ordinary fields and no more; cookies count as one, pseudo fields not at all")
    func count() {
        let reader = BlockReader()
        reader.limits = HeadLimits(line: 1000, head: 10000, fields: 3)
        let cookies = field("cookie", "a=1") + field("cookie", "b=2") + field("cookie", "c=3")
        let two = field("a", "1") + field("b", "2")
        #expect(reader.read([0x82, 0x84, 0x87] + two + cookies)?.count == 8)
        #expect(!reader.list.isTooLarge)
        #expect(reader.read([0x82, 0x84, 0x87] + two + cookies + field("c", "3"))?.count == 8)
        #expect(reader.list.isTooLarge)
    }

    @Test("a block that is too large goes into the table all the same")
    func table() {
        let reader = BlockReader()
        reader.limits = HeadLimits(line: 1000, head: 100, fields: 10)
        let long = String(repeating: "x", count: 200)
        #expect(reader.read(field("a", long) + field("b", "kept", form: 0x40) + field("c", "1")) == [])
        #expect(reader.list.isTooLarge)
        #expect(reader.read([0xBE]) == [PlainField("b", "kept")])
    }

    @Test("references to one large row are not stored beyond the limit")
    func bomb() {
        let reader = BlockReader()
        reader.limits = HeadLimits(line: 16384, head: 32768, fields: 100)
        #expect(reader.read(field("a", String(repeating: "x", count: 4000), form: 0x40))?.count == 1)
        #expect(reader.read([UInt8](repeating: 0xBE, count: 1 << 20))?.count == 8)
        #expect(reader.list.isTooLarge)
        #expect(reader.list.storage.capacity <= 2 * 32768)
        // A literal may name the row, too: the name is long, the index short.
        #expect(reader.read(field(String(repeating: "n", count: 4000), "", form: 0x40))?.count == 1)
        let named = [UInt8](repeating: 0, count: 3 << 18).indices.map { [0x0F, 0x2F, 0x00][$0 % 3] as UInt8 }
        #expect(reader.read(named) != nil)
        #expect(reader.list.isTooLarge)
        #expect(reader.list.storage.capacity <= 2 * 32768)
    }

    @Test("a table never takes more memory than twice its size")
    func memory() {
        let seed = UInt64.random(in: 0...UInt64.max)
        var random = Seeded(seed: seed)
        let reader = BlockReader()
        for _ in 0..<3000 {
            let text = String(repeating: "v", count: Int.random(in: 0..<4200, using: &random))
            _ = reader.read(field("name", text, form: 0x40))
        }
        #expect(reader.decoder.tableCapacity <= 8192, "seed \(seed)")
    }

    @Test("a field larger than the table empties it")
    func oversized() {
        let reader = BlockReader()
        #expect(reader.read(field("a", "1", form: 0x40)) != nil)
        #expect(reader.read([0xBE])?.count == 1)
        #expect(reader.read(field("b", String(repeating: "x", count: 4064), form: 0x40))?.count == 1)
        #expect(reader.read([0xBE]) == nil)
    }

    @Test("the largest field that fits is kept, alone")
    func largest() {
        let reader = BlockReader()
        let field = field("b", String(repeating: "x", count: 4063), form: 0x40)
        #expect(reader.read(field)?.count == 1)
        #expect(reader.read([0xBE])?.count == 1)
        #expect(reader.read([0xBF]) == nil)
    }

    @Test(
        "what no name or value may hold is marked, when it comes and when it is repeated by index",
        arguments: [
            ("a", "x\r", true), ("a", "x\ny", true), ("a", "\0", true), ("a", "\u{7F}", true), ("a", "\u{1}", true),
            ("a", " x", true), ("a", "x ", true), ("a", "\tx", true), ("a", "x\t", true), ("a", " ", true),
            ("a", "x\ty z", false), ("a", "", false), ("a", "é", false), ("a", "x,;=\"\\", false),
            ("A", "x", true), ("aB", "x", true), ("content-Type", "x", true), ("", "x", true), ("a b", "x", true),
            ("a\r", "x", true), ("a\0", "x", true), ("a:", "x", true), ("é", "x", true), ("a\u{7F}", "x", true),
            ("x-some_name.1!#$%&'*+^`|~", "x", false), (":path", "/\n", true), (":path", "/", false),
        ])
    func marks(_ name: String, _ value: String, _ isMalformed: Bool) {
        let reader = BlockReader()
        #expect(reader.read(field(name, value, form: 0x40))?.count == 1)
        #expect(reader.list[0].isMalformed == isMalformed)
        #expect(reader.read([0xBE])?.count == 1)
        #expect(reader.list[0].isMalformed == isMalformed)
        // Its name alone, with a value that is fine.
        #expect(reader.read([0x0F, 0x2F, 0x01, 0x78])?.count == 1)
        let isNameBad = isMalformed && value == "x"
        #expect(reader.list[0].isMalformed == isNameBad)
    }
}
