// PROXY protocol headers: what is read, what is refused, at every length; and what is written is read again.

import Bytes
import Testing

@testable import HTTP

@Suite("ProxyHeader")
struct ProxyHeaderTests {
    private static let signature: [UInt8] = [0x0D, 0x0A, 0x0D, 0x0A, 0x00, 0x0D, 0x0A, 0x51, 0x55, 0x49, 0x54, 0x0A]

    private static func read(_ bytes: [UInt8]) -> ProxyHeader.Reading { bytes.withBytes { ProxyHeader.read($0) } }
    private static func read(_ text: String) -> ProxyHeader.Reading { read(Array(text.utf8)) }

    private static func addresses(_ a: String, _ p: UInt16, _ b: String, _ q: UInt16) throws -> ProxyHeader.Addresses {
        ProxyHeader.Addresses(
            source: try #require(IPAddress(a)), sourcePort: p, destination: try #require(IPAddress(b)),
            destinationPort: q)
    }

    /// `length` nil: as long as what follows.
    private static func binary(
        command: UInt8 = 0x21, family: UInt8, _ rest: [UInt8], length: Int? = nil
    ) -> [UInt8] {
        let length = length ?? rest.count
        return signature + [command, family, UInt8(length >> 8), UInt8(length & 255)] + rest
    }

    private static let ends4: [UInt8] = [192, 0, 2, 7, 198, 51, 100, 1, 0xC7, 0x38, 0x01, 0xBB]

    @Test("version 1 tells both ends")
    func text() throws {
        let line = "PROXY TCP4 192.0.2.7 198.51.100.1 51000 443\r\n"
        let expected = ProxyHeader(
            length: line.utf8.count, addresses: try Self.addresses("192.0.2.7", 51000, "198.51.100.1", 443), version: 1)
        #expect(Self.read(line) == .complete(expected))
        #expect(Self.read(line + "GET / HTTP/1.1\r\n") == .complete(expected))
        let six = "PROXY TCP6 2001:db8::7 2001:db8::1 51000 65535\r\n"
        let other = try Self.addresses("2001:db8::7", 51000, "2001:db8::1", 65535)
        #expect(Self.read(six) == .complete(ProxyHeader(length: six.utf8.count, addresses: other, version: 1)))
    }

    @Test("version 1 may not know, and still ends at its line end")
    func unknown() {
        for line in ["PROXY UNKNOWN\r\n", "PROXY UNKNOWN ffff::1 whatever 1 2\r\n"] {
            #expect(Self.read(line) == .complete(ProxyHeader(length: line.utf8.count, addresses: nil, version: 1)))
        }
    }

    @Test(
        "a line that is not exactly one is refused",
        arguments: [
            "PROXY TCP4 192.0.2.7 198.51.100.1 51000\r\n", "PROXY TCP4 192.0.2.7  198.51.100.1 51000 443\r\n",
            "PROXY TCP4 192.0.2.7 198.51.100.1 51000 443 \r\n", "PROXY TCP4 192.0.2.7 198.51.100.1 51000 443 x\r\n",
            "PROXY TCP4 192.0.2.7 198.51.100.1 051000 443\r\n", "PROXY TCP4 192.0.2.7 198.51.100.1 01 443\r\n",
            "PROXY TCP4 192.0.2.7 198.51.100.1 51000 65536\r\n", "PROXY TCP4 192.0.2.7 198.51.100.1 -1 443\r\n",
            "PROXY TCP4 192.0.2.256 198.51.100.1 51000 443\r\n", "PROXY TCP4 ::1 ::2 51000 443\r\n",
            "PROXY TCP6 192.0.2.7 198.51.100.1 51000 443\r\n", "PROXY TCP6 fe80::1%eth0 ::2 51000 443\r\n",
            "PROXY TCP5 192.0.2.7 198.51.100.1 51000 443\r\n", "PROXY tcp4 192.0.2.7 198.51.100.1 51000 443\r\n",
            "PROXY UNKNOWNS\r\n", "PROXY \r\n", "PROXY TCP4 192.0.2.7 198.51.100.1 51000 443\n",
            "PROXY TCP4 192.0.2.7 198.51.100.1 51000 443\r\r\n",
        ])
    func badLines(_ line: String) { #expect(Self.read(line) == .failed(.malformed)) }

    @Test("what does not begin like a header is told at its first byte that differs")
    func foreign() {
        for text in ["G", "GET / HTTP/1.1\r\n", "proxy ", "PROXX", "PROXYv", "\r\n\r\nX", "\u{16}\u{3}\u{1}"] {
            #expect(Self.read(text) == .failed(.notProxy), "\(text)")
        }
        for count in 0...12 { #expect(Self.read(Array(Self.signature.prefix(count))) == .incomplete) }
    }

    @Test("a line ends within 107 bytes")
    func longLines() {
        let head = "PROXY UNKNOWN "
        func line(_ length: Int) -> String {
            head + String(repeating: "x", count: length - head.utf8.count - 2) + "\r\n"
        }
        #expect(Self.read(line(107)) == .complete(ProxyHeader(length: 107, addresses: nil, version: 1)))
        #expect(Self.read(line(108)) == .failed(.tooLong))
        #expect(Self.read(String(line(108).prefix(106))) == .incomplete)
    }

    @Test("version 2 tells both ends, in IPv4, IPv6, and not for Unix sockets")
    func binaryForms() throws {
        let four = Self.binary(family: 0x11, Self.ends4)
        let expected = try Self.addresses("192.0.2.7", 51000, "198.51.100.1", 443)
        #expect(Self.read(four) == .complete(ProxyHeader(length: 28, addresses: expected, version: 2)))
        #expect(Self.read(four + [1, 2, 3]) == .complete(ProxyHeader(length: 28, addresses: expected, version: 2)))
        let a: [UInt8] = [0x20, 0x01, 0x0D, 0xB8] + [UInt8](repeating: 0, count: 11) + [7]
        let b: [UInt8] = [0x20, 0x01, 0x0D, 0xB8] + [UInt8](repeating: 0, count: 11) + [1]
        let six = Self.binary(family: 0x21, a + b + [0xC7, 0x38, 0x01, 0xBB])
        let ends = try Self.addresses("2001:db8::7", 51000, "2001:db8::1", 443)
        #expect(Self.read(six) == .complete(ProxyHeader(length: 52, addresses: ends, version: 2)))
        let unix = Self.binary(family: 0x31, [UInt8](repeating: 0x2F, count: 216))
        #expect(Self.read(unix) == .complete(ProxyHeader(length: 232, addresses: nil, version: 2)))
    }

    @Test("LOCAL and unspecified families stand for the connection's own addresses")
    func local() {
        for (command, family, rest) in [
            (UInt8(0x20), UInt8(0x00), []), (0x20, 0x11, Self.ends4), (0x20, 0x11, [1, 2, 3]), (0x21, 0x00, [9, 9]),
        ] {
            let bytes = Self.binary(command: command, family: family, rest)
            let expected = ProxyHeader(length: bytes.count, addresses: nil, version: 2)
            #expect(Self.read(bytes) == .complete(expected), "\(command) \(family)")
        }
    }

    @Test("wrong versions, commands, families, transports and short address blocks are refused")
    func badBinary() {
        for command in UInt8.min...UInt8.max where command != 0x20 && command != 0x21 {
            #expect(Self.read(Self.binary(command: command, family: 0x11, Self.ends4)) == .failed(.malformed))
        }
        let good: Set<UInt8> = [0x00, 0x11, 0x12, 0x21, 0x22, 0x31, 0x32]
        for family in UInt8.min...UInt8.max where !good.contains(family) {
            let bytes = Self.binary(family: family, [UInt8](repeating: 0, count: 216))
            #expect(Self.read(bytes) == .failed(.malformed), "\(family)")
        }
        #expect(Self.read(Self.binary(family: 0x11, Array(Self.ends4.dropLast()))) == .failed(.malformed))
        #expect(Self.read(Self.binary(family: 0x21, [UInt8](repeating: 0, count: 35))) == .failed(.malformed))
        #expect(Self.read(Self.binary(family: 0x31, [UInt8](repeating: 0, count: 215))) == .failed(.malformed))
    }

    @Test("TLVs fill their room exactly, and a checksum holds")
    func tags() throws {
        func verdict(_ tags: [UInt8]) -> ProxyHeader.Reading { Self.read(Self.binary(family: 0x11, Self.ends4 + tags)) }
        let ends = try Self.addresses("192.0.2.7", 51000, "198.51.100.1", 443)
        for tags in [[0x04, 0, 0], [0x02, 0, 3, 0x61, 0x62, 0x63], [0x04, 0, 1, 0, 0xEE, 0, 2, 1, 2]] as [[UInt8]] {
            #expect(verdict(tags) == .complete(ProxyHeader(length: 28 + tags.count, addresses: ends, version: 2)))
        }
        for tags in [[0x04], [0x04, 0], [0x04, 0, 1], [0x04, 0xFF, 0xFF, 0], [0x04, 0, 0, 0]] as [[UInt8]] {
            #expect(verdict(tags) == .failed(.malformed), "\(tags)")
        }
        #expect(verdict([0x03, 0, 3, 0, 0, 0]) == .failed(.malformed))
        // The sum over this header, worked out with the table of another implementation.
        let sum: [UInt8] = Self.castagnoli(Self.binary(family: 0x11, Self.ends4 + [0x03, 0, 4, 0, 0, 0, 0]))
        let right: [UInt8] = [0x03, 0, 4] + sum
        #expect(verdict(right) == .complete(ProxyHeader(length: 35, addresses: ends, version: 2)))
        for index in 3..<7 {
            var wrong = right
            wrong[index] ^= 1
            #expect(verdict(wrong) == .failed(.malformed))
        }
    }

    /// CRC32c by table, most significant byte first.
    private static func castagnoli(_ bytes: [UInt8]) -> [UInt8] {
        var table: [UInt32] = []
        for start in UInt32(0)..<256 {
            var value = start
            for _ in 0..<8 {
                let half: UInt32 = value >> 1
                value = value & 1 == 1 ? half ^ 0x82F6_3B78 : half
            }
            table.append(value)
        }
        var sum: UInt32 = ~0
        for byte in bytes {
            let index = Int(UInt8(truncatingIfNeeded: sum) ^ byte)
            sum = table[index] ^ (sum >> 8)
        }
        sum = ~sum
        return [UInt8(sum >> 24), UInt8(sum >> 16 & 255), UInt8(sum >> 8 & 255), UInt8(sum & 255)]
    }

    @Test("the test's own checksum is the published one for 123456789")
    func checkValue() { #expect(Self.castagnoli(Array("123456789".utf8)) == [0xE3, 0x06, 0x92, 0x83]) }

    @Test("version 2 is read up to 4096 bytes")
    func longBinary() throws {
        func bytes(_ total: Int) -> [UInt8] {
            let value = total - 31
            return Self.binary(
                family: 0x11,
                Self.ends4 + [0x04, UInt8(value >> 8), UInt8(value & 255)] + [UInt8](repeating: 0, count: value))
        }
        let ends = try Self.addresses("192.0.2.7", 51000, "198.51.100.1", 443)
        #expect(Self.read(bytes(4096)) == .complete(ProxyHeader(length: 4096, addresses: ends, version: 2)))
        #expect(Self.read(bytes(4097)) == .failed(.tooLong))
        #expect(Self.read(Array(bytes(4097).prefix(16))) == .failed(.tooLong))
    }

    @Test("every shorter piece of a header is incomplete")
    func pieces() {
        let headers = [
            Array("PROXY TCP4 192.0.2.7 198.51.100.1 51000 443\r\n".utf8), Array("PROXY UNKNOWN\r\n".utf8),
            Self.binary(family: 0x11, Self.ends4 + [0x04, 0, 1, 0]), Self.binary(command: 0x20, family: 0, []),
        ]
        for header in headers {
            for count in 0..<header.count { #expect(Self.read(Array(header.prefix(count))) == .incomplete) }
        }
    }

    @Test("what is written is read again, mixed families in IPv6 form")
    func roundTrip() throws {
        let seed = UInt64.random(in: .min ... .max)
        var random = SplitMix(seed)
        for _ in 0..<500 {
            let ends = ProxyHeader.Addresses(
                source: random.address(), sourcePort: UInt16.random(in: .min ... .max, using: &random),
                destination: random.address(), destinationPort: UInt16.random(in: .min ... .max, using: &random))
            for version in [UInt8(1), 2] {
                let out = Buffer(capacity: 128)
                if version == 1 { ends.writeText(to: out) } else { ends.writeBinary(to: out) }
                let expected = ProxyHeader(length: out.count, addresses: ends, version: version)
                #expect(ProxyHeader.read(out.readable) == .complete(expected), "seed \(seed)")
                #expect(out.count <= ProxyHeader.lengthMax1)
            }
        }
    }
}

/// A small generator whose seed can be printed and given again.
struct SplitMix: RandomNumberGenerator {
    private var state: UInt64
    init(_ seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ z >> 30) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ z >> 27) &* 0x94D0_49BB_1331_11EB
        return z ^ z >> 31
    }

    mutating func address() -> IPAddress {
        next() & 1 == 0
            ? IPAddress(v4: UInt32(truncatingIfNeeded: next())) : IPAddress(v6High: next() | 1 << 61, low: next())
    }
}
