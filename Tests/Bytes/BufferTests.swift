// Buffers against what the standard library would write.

import Bytes
import Testing

@Suite("Buffer")
struct BufferTests {
    private static let numbers: [Int] =
        [0, 1, 9, 10, 11, 99, 100, 255, 1000, 65535, 1 << 31, Int.max, -1, -10, Int.min]
        + (0..<18).map { n in
            (0..<n).reduce(1) { product, _ in product * 10 }
        }

    @Test("a number in decimal reads as Swift prints it", arguments: numbers)
    func decimal(_ value: Int) {
        let out = Buffer(capacity: 64)
        out.append("<")
        out.append(decimal: value)
        out.append(">")
        #expect(out.readable.string == "<\(value)>")
    }

    @Test("a number in hexadecimal reads as Swift prints it, padded")
    func hexadecimal() {
        var generator = SystemRandomNumberGenerator()
        for shift in 0..<64 {
            let value = generator.next() >> UInt64(shift)
            let plain = Buffer(capacity: 64)
            plain.append(hex: value)
            #expect(plain.readable.string == String(value, radix: 16), "value \(value)")
            let padded = Buffer(capacity: 64)
            padded.append(hex: value, digits: 16)
            let text = String(value, radix: 16)
            #expect(padded.readable.string == String(repeating: "0", count: 16 - text.count) + text)
        }
        let zero = Buffer(capacity: 64)
        zero.append(hex: 0)
        #expect(zero.readable.string == "0")
    }

    @Test("a buffer grows, keeps its content and compacts")
    func growth() {
        let buffer = Buffer(capacity: 64)
        for i in 0..<1000 { buffer.append(decimal: i) }
        let expected = (0..<1000).map(String.init).joined()
        #expect(buffer.readable.string == expected)
        buffer.consume(500)
        buffer.compact()
        #expect(buffer.start == 0)
        #expect(buffer.readable.string == String(expected.dropFirst(500)))
    }

    @Test("text is appended in lower case, byte for byte, whatever stands beside a letter")
    func lowercase() {
        for byte in UInt8.min...UInt8.max {
            for position in 0..<11 {
                for other in [UInt8(0x41), 0x5A, 0x40, 0x5B, 0xC1, 0xFF, 0x00] {
                    var text = [UInt8](repeating: other, count: 11)
                    text[position] = byte
                    let buffer = Buffer(capacity: 64)
                    text.withBytes { buffer.append(lowercased: $0) }
                    #expect(buffer.readable.array == text.map { (0x41...0x5A).contains($0) ? $0 + 32 : $0 })
                }
            }
        }
    }

    @Test("of a word so many bytes are appended as are asked for")
    func words() {
        let buffer = Buffer(capacity: 64)
        for count in 0...8 { buffer.append(word: 0x6867_6665_6463_6261, count: count) }
        #expect(buffer.readable.string == (0...8).map { String("abcdefgh".prefix($0)) }.joined())
    }

    @Test(
        "an address reads back as it was written",
        arguments: [
            "127.0.0.1", "0.0.0.0", "255.255.255.255", "::", "::1", "2001:db8::1", "fe80::1:0:0:1", "1:2:3:4:5:6:7:8",
        ])
    func addresses(_ text: String) throws {
        let address = try #require(IPAddress(text))
        #expect(address.description == text)
    }

    @Test(
        "text that is no address is refused",
        arguments: [
            "", "1.2.3", "1.2.3.4.5", "01.2.3.4", "256.1.1.1", "1.2.3.4 ", ":", ":::", "1::2::3", "12345::", "g::",
        ])
    func refused(_ text: String) { #expect(IPAddress(text) == nil) }

    @Test("a prefix holds what shares its bits and nothing else")
    func prefixes() throws {
        let ten = try #require(IPPrefix("10.0.0.0/8"))
        #expect(ten.contains(try #require(IPAddress("10.255.1.2"))))
        #expect(!ten.contains(try #require(IPAddress("11.0.0.1"))))
        #expect(!ten.contains(try #require(IPAddress("::1"))))
        let v6 = try #require(IPPrefix("2001:db8::/33"))
        #expect(v6.contains(try #require(IPAddress("2001:db8:7fff::1"))))
        #expect(!v6.contains(try #require(IPAddress("2001:db8:8000::1"))))
        #expect(IPPrefix("10.0.0.0/33") == nil)
        #expect(IPPrefix("10.0.0.0/+8") == nil)
        #expect(try #require(IPPrefix("0.0.0.0/0")).contains(try #require(IPAddress("9.9.9.9"))))
    }
}
