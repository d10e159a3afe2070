// Values as JSON and back.

import Foundation
import Model
import Testing

private func json(_ text: String) throws -> ConfigValue { try ConfigValue(json: Array(text.utf8)) }

/// A generator that a seed determines (SplitMix64).
private struct Seeded: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}

@Test("values are written without spaces, whole numbers as integers, controls escaped")
func writesJSON() throws {
    let value = ConfigValue.record([
        ConfigValue.Entry("b", .int(-7)), ConfigValue.Entry("a", .array([.null, .bool(true), .double(1.5)])),
        ConfigValue.Entry("q\"", .string("tab\t nul\u{0} quote\" back\\ é 😀")), ConfigValue.Entry("e", .record([])),
        ConfigValue.Entry("m", .int(.min)), ConfigValue.Entry("i", .double(.infinity)),
    ])
    #expect(
        String(decoding: value.json, as: UTF8.self)
            == #"{"b":-7,"a":[null,true,1.5],"q\"":"tab\t nul\u0000 quote\" back\\ é 😀","e":{},"m":-9223372036854775808,"i":null}"#
    )
}

@Test("numbers read back as what they were")
func numbers() throws {
    #expect(
        try json("[0,-0,12,-9223372036854775808,9223372036854775807]").array == [
            .int(0), .int(0), .int(12), .int(.min), .int(.max),
        ])
    #expect(try json("9223372036854775808") == .double(9_223_372_036_854_775_808))
    #expect(try json("1.0") == .double(1))
    #expect(try json("1e3") == .double(1000))
    let seed = UInt64.random(in: 0 ... .max)
    print("seed \(seed)")
    var generator = Seeded(state: seed)
    for _ in 0..<2000 {
        let value = Double(bitPattern: generator.next())
        guard value.isFinite else { continue }
        #expect(try ConfigValue(json: ConfigValue.double(value).json) == .double(value))
    }
}

@Test(
    "what is no JSON is refused with its place",
    arguments: [
        ("", 0), ("nul", 0), ("[1,]", 3), ("{\"a\":1,}", 7), ("{\"a\" 1}", 5), ("01", 0), ("-", 1), ("1.", 2),
        ("1e", 2),
        ("\"\\x\"", 2), ("\"\\ud800\"", 7), ("\"a\nb\"", 2), ("[1 2]", 3), ("{\"a\":1,\"a\":2}", 7), ("1 1", 2),
        ("1e999", 0),
        ("\"abc", 0), ("tru", 0), ("{a:1}", 1), ("[", 1), ("+1", 0), ("NaN", 0),
    ])
func refusesJSON(text: String, offset: Int) {
    #expect {
        _ = try json(text)
    } throws: { error in
        (error as? JSONFault)?.offset == offset
    }
}

@Test("depth is bounded, UTF-8 is checked, many keys are told apart")
func bounds() throws {
    let deep = String(repeating: "[", count: 64) + String(repeating: "]", count: 64)
    _ = try json(deep)
    #expect(throws: JSONFault.self) { try json("[\(deep)]") }
    #expect(throws: JSONFault.self) { try ConfigValue(json: [0x22, 0xFF, 0x22]) }
    #expect(throws: JSONFault.self) { try ConfigValue(json: [0x22, 0xC0, 0xAF, 0x22]) }
    let keys = (0..<200).map { "\"k\($0)\":\($0)" }
    #expect(try json("{\(keys.joined(separator: ","))}").entries?.count == 200)
    #expect(throws: JSONFault.self) { try json("{\(keys.joined(separator: ",")),\"k77\":1}") }
    #expect(try json("\"\\u00e9\\ud83d\\ude00\"") == .string("é😀"))
}

/// A value that a generator makes up.
private func random(_ depth: Int, _ generator: inout Seeded) -> ConfigValue {
    switch Int.random(in: 0..<(depth > 0 ? 7 : 5), using: &generator) {
    case 0: .null
    case 1: .bool(.random(using: &generator))
    case 2: .int(.random(in: .min ... .max, using: &generator))
    case 3: .double(Double.random(in: -1e9...1e9, using: &generator))
    case 4:
        .string(
            String(
                (0..<Int.random(in: 0...12, using: &generator)).map { _ in
                    Character(Unicode.Scalar(UInt8.random(in: 0...255, using: &generator)))
                }))
    case 5: .array((0..<Int.random(in: 0...4, using: &generator)).map { _ in random(depth - 1, &generator) })
    default:
        .record(
            (0..<Int.random(in: 0...4, using: &generator)).map {
                ConfigValue.Entry("k\($0)", random(depth - 1, &generator))
            })
    }
}

@Test("any value reads back, compact and indented")
func roundTrip() throws {
    let seed = UInt64.random(in: 0 ... .max)
    print("seed \(seed)")
    var generator = Seeded(state: seed)
    for _ in 0..<500 {
        let value = random(5, &generator)
        #expect(try ConfigValue(json: value.json) == value, "\(value)")
        #expect(try ConfigValue(json: value.indentedJSON) == value, "\(value)")
    }
}
