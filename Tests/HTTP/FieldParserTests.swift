// Field lines: every byte at every place, judged by the grammar written out plainly.

import Bytes
import Testing

@testable import HTTP

@Suite("FieldParser")
struct FieldParserTests {
    private enum Verdict: Equatable {
        case field(String, String)
        case refused
        case incomplete
    }

    private static func parse(_ text: [UInt8]) -> Verdict {
        let buffer = Buffer(capacity: 256)
        buffer.append(text)
        let block = HeaderBlock()
        block.reset(source: buffer)
        switch FieldParser.line(buffer, at: 0, limit: 4096, into: block) {
        case .incomplete: return .incomplete
        case .end, .failed: return .refused
        case .field(let next, _):
            #expect(next == text.count)
            return .field(block.name(0).string, block.value(0).string)
        }
    }

    private static let tokenExtras = Set("!#$%&'*+-.^_`|~".utf8)

    private static func isToken(_ byte: UInt8) -> Bool {
        (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte)
            || tokenExtras.contains(byte)
    }

    @Test("a byte stands in a name if and only if the grammar has it there", arguments: 1...20)
    func names(_ length: Int) {
        for position in 0..<length {
            for byte in UInt8.min...UInt8.max where byte != 0x3A && byte != 0x0D {
                var name = [UInt8](repeating: 0x61, count: length)
                name[position] = byte
                let verdict = Self.parse(name + Array(": v\r\n".utf8))
                if Self.isToken(byte) {
                    #expect(
                        verdict == .field(String(decoding: name, as: UTF8.self), "v"),
                        "byte \(byte) at \(position) of \(length)")
                } else {
                    #expect(verdict == .refused, "byte \(byte) at \(position) of \(length)")
                }
            }
        }
    }

    @Test("a byte stands in a value unless it is a control character other than a tab", arguments: 1...20)
    func values(_ length: Int) {
        for position in 0..<length {
            for byte in UInt8.min...UInt8.max where byte != 0x0D && byte != 0x0A {
                var value = [UInt8](repeating: 0x78, count: length)
                value[position] = byte
                let verdict = Self.parse(Array("name: ".utf8) + value + [0x0D, 0x0A])
                let isAllowed = byte == 0x09 || byte >= 0x20 && byte != 0x7F
                if isAllowed {
                    #expect(verdict != .refused && verdict != .incomplete, "byte \(byte) at \(position) of \(length)")
                } else {
                    #expect(verdict == .refused, "byte \(byte) at \(position) of \(length)")
                }
            }
        }
    }

    @Test("a line that ends early is incomplete at every cut")
    func cuts() {
        let line = Array("Content-Type: text/plain\r\n".utf8)
        for cut in 0..<line.count { #expect(Self.parse(Array(line[..<cut])) == .incomplete, "cut at \(cut)") }
        #expect(Self.parse(line) == .field("Content-Type", "text/plain"))
    }

    @Test(
        "lines that only lenient parsers take are refused",
        arguments: [
            ": v\r\n", "name : v\r\n", "name\t: v\r\n", " name: v\r\n", "name: v\n", "name: a\rb\r\n", "name\r\n", "\n",
        ])
    func refused(_ line: String) { #expect(Self.parse(Array(line.utf8)) == .refused) }
}

@Suite("TargetSyntax")
struct TargetSyntaxTests {
    @Test("a byte stands in a target if it is visible and no number sign", arguments: 1...20)
    func bytes(_ length: Int) {
        for position in 0..<length {
            for byte in UInt8.min...UInt8.max {
                var target = [UInt8](repeating: 0x61, count: length)
                target[position] = byte
                let isAllowed = byte > 0x20 && byte != 0x7F && byte != 0x23
                let end = target.withBytes { TargetSyntax.end($0, from: 0) }
                #expect(end == (isAllowed ? length : position), "byte \(byte) at \(position) of \(length)")
            }
        }
    }

    @Test("the first of several forbidden bytes is found", arguments: [UInt8(0), 0x20, 0x23, 0x7F])
    func first(_ byte: UInt8) {
        for position in 0..<16 {
            var target = [UInt8](repeating: 0xFF, count: 17)
            for later in position..<17 { target[later] = later % 2 == 0 ? byte : byte &+ 1 }
            target[position] = byte
            #expect(target.withBytes { TargetSyntax.end($0, from: 0) } == position)
        }
    }
}
