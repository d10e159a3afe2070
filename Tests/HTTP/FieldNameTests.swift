// The table of known field names against a plain comparison.

import Bytes
import Testing

@testable import HTTP

@Suite("FieldName")
struct FieldNameTests {
    private static func plain(_ text: String) -> FieldName {
        FieldName.allCases.first { $0 != .other && Bytes($0.text).string.lowercased() == text.lowercased() } ?? .other
    }

    @Test("every known name is found in any case", arguments: FieldName.allCases.filter { $0 != .other })
    func known(_ name: FieldName) {
        let text = Bytes(name.text).string
        for variant in [text, text.lowercased(), text.uppercased()] {
            #expect(variant.withBytes { FieldName($0) } == name)
        }
    }

    @Test("a name that differs in one byte from a known one is judged as a plain comparison judges it")
    func near() {
        for name in FieldName.allCases where name != .other {
            let text = Array(Bytes(name.text).string.utf8)
            for position in text.indices {
                for byte in UInt8(0x21)...0x7E where ASCII.isToken(byte) {
                    var changed = text
                    changed[position] = byte
                    let word = String(decoding: changed, as: UTF8.self)
                    #expect(changed.withBytes { FieldName($0) } == Self.plain(word), "\(word)")
                }
            }
            let longer = text + [0x2D]
            #expect(longer.withBytes { FieldName($0) } == .other)
            let shorter = Array(text.dropLast())
            #expect(shorter.withBytes { FieldName($0) } == Self.plain(String(decoding: shorter, as: UTF8.self)))
        }
    }
}

@Suite("FieldNameSet")
struct FieldNameSetTests {
    @Test("a set holds the names it was made of and no other")
    func membership() {
        for name in FieldName.allCases {
            let set = FieldNameSet([name])
            for other in FieldName.allCases { #expect(set.contains(other) == (other == name)) }
        }
    }
}
