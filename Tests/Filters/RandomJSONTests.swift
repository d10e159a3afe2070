// Random JSON and random damage: our reader and Foundation's agree on what is JSON.

import Bytes
import Foundation
import Testing

@testable import Proxy

@Suite struct RandomJSONTests {
    /// xorshift64*: the seed alone repeats a run.
    private struct Source: RandomNumberGenerator {
        var state: UInt64
        mutating func next() -> UInt64 {
            state ^= state >> 12
            state ^= state << 25
            state ^= state >> 27
            return state &* 0x2545_F491_4F6C_DD1D
        }
    }

    private static var seed: UInt64 {
        ProcessInfo.processInfo.environment["SEAWAY_SEED"].flatMap { UInt64($0) } ?? UInt64.random(in: 1...UInt64.max)
    }

    private func value(_ source: inout Source, _ depth: Int) -> String {
        let space = ["", "", " ", "\n\t"].randomElement(using: &source) ?? ""
        let made: String
        switch Int.random(in: 0..<(depth > 4 ? 5 : 7), using: &source) {
        case 0: made = ["true", "false", "null"].randomElement(using: &source) ?? ""
        case 1: made = String(Int.random(in: -1000...1000, using: &source))
        case 2: made = ["0", "-0", "1.5", "2e3", "0.10", "-7E-2"].randomElement(using: &source) ?? ""
        case 3, 4:
            made = "\"" + (["", "a", "\\n", "\\u0041", "x y", "\\\\\\\""].randomElement(using: &source) ?? "") + "\""
        case 5:
            made =
                "["
                + (0..<Int.random(in: 0...3, using: &source)).map { _ in value(&source, depth + 1) }.joined(
                    separator: ",") + space + "]"
        default: made = object(&source, depth + 1)
        }
        return space + made + space
    }

    private func object(_ source: inout Source, _ depth: Int) -> String {
        let members = (0..<Int.random(in: 0...3, using: &source)).map { "\"k\($0)\" :" + value(&source, depth) }
        return "{" + members.joined(separator: ",") + "}"
    }

    @Test("what we take for a JSON object, Foundation does too, and what we write back means the same")
    func agrees() throws {
        let seed = Self.seed
        var source = Source(state: seed)
        let damage = Array("{}[]\",:\\0123.eE+-tfn \n".utf8)
        var accepted = 0
        for round in 0..<20_000 {
            var bytes = Array(object(&source, 0).utf8)
            for _ in 0..<Int.random(in: 0...2, using: &source) where !bytes.isEmpty {
                let at = Int.random(in: 0..<bytes.count, using: &source)
                if Bool.random(using: &source) {
                    bytes.remove(at: at)
                } else {
                    bytes[at] = damage.randomElement(using: &source) ?? 0
                }
            }
            let theirs = (try? JSONSerialization.jsonObject(with: Data(bytes))) as? NSDictionary
            let document = bytes.withBytes { JSONDocument($0) }
            let text = String(decoding: bytes, as: UTF8.self)
            // Foundation forgives a comma before the end if a space follows it.
            let isForgiven = text.contains(/,[ \n\t]*[}\]]/)
            #expect(
                (document != nil) == (theirs != nil) || document == nil && isForgiven,
                "seed \(seed), round \(round): \(text)")
            guard let document, let theirs else { continue }
            accepted += 1
            let out = Buffer()
            document.write(to: out)
            let again = try JSONSerialization.jsonObject(with: Data(out.readable.array)) as? NSDictionary
            #expect(again == theirs, "seed \(seed), round \(round): \(text)")
        }
        #expect(accepted > 2000, "seed \(seed)")
    }
}
