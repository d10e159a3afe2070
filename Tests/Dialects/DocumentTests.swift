// YAML and JSON as files use them, and as attackers write them.

import Bytes
import Dialects
import Model
import Testing

/// A plain scalar of YAML and what it is to Kong: told by the finding about a string field that holds it.
@Test(
    "plain scalars resolve as Kong's reader resolves them",
    arguments: [
        ("yes", "a boolean (yes)"), ("Off", "a boolean (Off)"), ("017", "an integer"), ("0x1F", "an integer"),
        ("1_000", "an integer"), ("10:30", "an integer"), ("1.5", "a number"), ("1e3", "a number"),
        (".inf", "a number"),
        ("-0b101", "an integer"), ("99999999999999999999", "a number"), ("[a]", "an array"), ("{a: b}", "a record"),
        ("+12", "an integer"), ("1.", "a number"),
    ])
func scalars(text: String, kind: String) {
    let result = load("_format_version: \"3.0\"\nconsumers:\n- username: \(text)")
    #expect(result.findings.first?.code == "K101")
    #expect(result.findings.first?.message == "expected a string, found \(kind)")
    #expect(result.findings.first?.line == 3)
}

@Test(
    "these plain scalars are strings",
    arguments: [
        "y", "n", "NOT", "1.2.3.4", "10.0.0.1:80", "0xZZ", "1:99", "tRue", "12a", "'017'", "\"yes\"", "!!str 12",
    ])
func strings(text: String) throws {
    let result = load("_format_version: \"3.0\"\nconsumers:\n- username: \(text)")
    let model = try #require(result.model, "\(result.findings)")
    #expect(!model.consumers[0].username.isEmpty)
}

@Test(
    "what cannot be read is refused at its line",
    arguments: [
        ("a: [1, 2", "K001", 2), ("a: b\n\tc: d", "K001", 2), ("a: *x", "K002", 1), ("? [a]\n: b", "K002", 1),
        ("a: 1\nb: 2\na: 3", "K004", 3), ("a: 1\n---\nb: 2", "K005", 2), ("", "K006", 0), ("- a", "K006", 1),
        ("a: &a [*a]", "K002", 1), ("<<: 5", "K002", 1), ("a: !!int x", "K002", 1), ("a: \"\\ud800\"", "K001", 1),
        ("\u{0}", "K001", 1), ("a: b: c", "K001", 1),
    ])
func refused(text: String, code: String, line: Int) {
    let result = load(text)
    #expect(result.model == nil)
    #expect(result.findings.contains { $0.code == code && $0.line == line }, "\(result.findings)")
}

@Test(
    "broken JSON is refused, odd but valid JSON is read",
    arguments: [
        ("{\"_format_version\": \"3.0\"}", true), ("{\"_format_version\":\t\"3.0\", \"services\": []}", true),
        ("\u{FEFF}{\"_format_version\": \"3.0\"}", true), ("{\"_format_version\": \"3.0\",}", false),
        ("{'_format_version': '3.0'}", false), ("{\"_format_version\": \"3.0\"", false),
        ("{\"_format_version\": 03}", false),
        ("{\"_format_version\": \"3.0\"} x", false), ("{\"_format_version\": \"\\ud83d\"}", false), ("[[]", false),
        ("{\"_format_version\": \"3.0\", \"_comment\": \"a\nb\"}", false), ("{,}", false), ("{\"a\" 1}", false),
    ])
func json(text: String, isGood: Bool) {
    let result = load(text, file: "kong.json")
    #expect((result.model != nil) == isGood, "\(result.findings)")
}

@Test("an alias bomb is refused and costs next to nothing")
func aliasBomb() {
    var text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
    for level in 1...12 {
        let items = Array(repeating: "*a\(level - 1)", count: 10).joined(separator: ", ")
        text += "a\(level): &a\(level) [\(items)]\n"
    }
    let result = load(text)
    #expect(result.findings.map(\.code) == ["K003"])
}

@Test("nesting past the limit is refused", arguments: ["kong.yml", "kong.json"])
func deepNesting(file: String) {
    let deep = "{\"a\": " + String(repeating: "[", count: 100_000)
    #expect(load(deep, file: file).findings.first?.code == "K003")
}

@Test("bytes that are no text, and fixtures with damage, end in findings, never in a trap")
func damage() throws {
    var seed = UInt64.random(in: 1...UInt64.max)
    print("seed \(seed)")
    func next(_ bound: Int) -> Int {
        seed = seed &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return Int(truncatingIfNeeded: seed >> 33) % bound
    }
    for fixture in Fixture.all {
        let bytes = try Fixture.bytes(fixture.name)
        for _ in 0..<40 {
            var damaged = bytes
            for _ in 0...next(4) {
                let at = next(damaged.count)
                switch next(4) {
                case 0: damaged[at] = UInt8(next(256))
                case 1: damaged.remove(at: at)
                case 2: damaged.insert(Array("{}[]:-&*!<>|'\"#%@`,\n \t".utf8)[next(22)], at: at)
                default: damaged.removeSubrange(at..<min(damaged.count, at + next(40)))
                }
                if damaged.isEmpty { damaged = [0x20] }
            }
            let result = damaged.withBytes { KongFile.load($0, file: fixture.name, lenient: next(2) == 0) }
            #expect(result.model != nil || result.findings.contains { $0.severity == .error }, "seed \(seed)")
        }
    }
}
