// Patterns on values that are not UTF-8: a client cannot step around a rule by sending such bytes.

import Bytes
import Snapshot
import Testing

/// What a pattern is asked about: well-formed sequences as they are, any other byte as its Latin-1 character.
enum NaiveText {
    static func read(_ bytes: [UInt8]) -> String {
        var text = String.UnicodeScalarView()
        var rest = bytes[...]
        while let first = rest.first {
            let length = (1...4).first { String(validating: rest.prefix($0), as: UTF8.self) != nil } ?? 1
            if let good = String(validating: rest.prefix(length), as: UTF8.self) {
                text.append(contentsOf: good.unicodeScalars)
            } else {
                text.append(Unicode.Scalar(first))
            }
            rest = rest.dropFirst(length)
        }
        return String(text)
    }
}

struct BadTextTests {
    struct Row: Sendable, CustomStringConvertible {
        var pattern: String
        var value: [UInt8]
        var matches: Bool
        var description: String { "\(pattern) on \(value)" }

        init(_ pattern: String, _ value: [UInt8], _ matches: Bool) {
            (self.pattern, self.value, self.matches) = (pattern, value, matches)
        }
    }

    static let rows: [Row] = [
        Row(".+", [0xFF], true), Row(".+", [0x80], true), Row(".+", [0x85], true), Row(".+", [0xC3], true),
        Row(".+", [0xC0, 0xAF], true), Row(".+", [0xED, 0xA0, 0x80], true), Row(".+", [0xF5, 0x80, 0x80, 0x80], true),
        Row(".+", [0xE2, 0x82], true), Row(".+", [], false), Row("^$", [0xFF], false),
        Row("^.$", [0xFF], true), Row("^.$", [0xC3, 0xA9], true), Row("^..$", [0xC3, 0xA9, 0xFF], true),
        Row("^...$", [0xED, 0xA0, 0x80], true), Row("^.{8000}$", [UInt8](repeating: 0x80, count: 8000), true),
        Row("admin", Array("admin".utf8) + [0xFF], true), Row("admin", [0xFF] + Array("admin".utf8), true),
        Row("admin", [0xE2] + Array("admin".utf8), true), Row("^admin$", Array("admin".utf8) + [0xFF], false),
        Row("[^a-z]", [0xFF], true), Row("[^a-z]", Array("ab".utf8) + [0xC3], true),
        Row("^[a-z]+$", [0x61, 0xFF], false),
        Row("café", Array("caf".utf8) + [0xE9], true), Row("caf[é]", Array("caf".utf8) + [0xE9], true),
        Row("é+x", [0xC3, 0xA9, 0xE9, 0x78], true), Row(#"^\x{ff}$"#, [0xFF], true), Row(#"\x{20ac}"#, [0xFF], false),
        Row(#"\x{20ac}"#, [0xFF, 0xE2, 0x82, 0xAC], true), Row(#"\W"#, [0xFF], false), Row(#"\w"#, [0xFF], true),
        Row("(?<=x)y$", [0xFE, 0x78, 0x79], true),
    ]

    @Test("a header's pattern matches what is not UTF-8, byte by byte", arguments: rows)
    func header(_ row: Row) throws {
        var route = Route()
        route.headers = [HeaderRule(name: "x", values: ["~*" + row.pattern])]
        let table = try RouteTable(routes: [route])
        #expect(ask(table, [("X", row.value)], MatchResult()) == row.matches)
        #expect(
            ask(table, [("X", []), ("x", row.value), ("X", [])], MatchResult()) == (row.matches || row.pattern == "^$"))
    }

    @Test("an expression's pattern matches what is not UTF-8, and its opposite does not", arguments: rows)
    func expression(_ row: Row) throws {
        for (text, opposite) in [("http.headers.x ~ P", false), ("!(any(http.headers.x) ~ P)", true)] {
            let text = text.replacing("P", with: "r#\"\(row.pattern)\"#")
            let table = try RouteTable(routes: [expressionRoute(text)])
            #expect(ask(table, [("X", row.value)], MatchResult()) == (row.matches != opposite), "\(text)")
        }
        let table = try RouteTable(routes: [expressionRoute("http.queries.q ~ r#\"\(row.pattern)\"#")])
        let escaped = row.value.map { "%" + String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined()
        #expect(ask(table, [], MatchResult(), target: "/?q=" + escaped) == row.matches)
    }

    @Test("what a pattern captured of such a value is what was sent")
    func captures() throws {
        let table = try RouteTable(routes: [
            expressionRoute(##"http.headers.x ~ r#"^(.)é*(?<rest>[^.]*)(\.)?(q)?(.*)$"#"##)
        ])
        let result = MatchResult()
        let value: [UInt8] = [0xFF, 0xC3, 0xA9, 0xE9, 0x61, 0x80, 0xC3, 0xA9, 0x2E, 0xFE]
        #expect(ask(table, [("X", value)], result))
        #expect(result.capture(0)?.array == value)
        #expect(result.capture(1)?.array == [0xFF])
        #expect(result.capture(2)?.array == [0x61, 0x80, 0xC3, 0xA9])
        #expect(result.capture(3)?.array == [0x2E])
        #expect(result.capture(4) == nil)
        #expect(result.capture(5)?.array == [0xFE])
        // The next value is UTF-8, and its places are its own.
        #expect(ask(table, [("X", [0x62, 0xC3, 0xA9, 0x61])], result))
        #expect(result.capture(2)?.array == [0x61])
    }

    @Test("a long value does not get past a pattern, with native code and without", arguments: [0, 1000])
    func long(others: Int) throws {
        var routes: [Route] = []
        for number in 0...others {
            var route = Route()
            route.id = ID(high: 0, low: UInt64(number))
            route.headers = [HeaderRule(name: "x", values: [number == others ? "~*^(?:\\w|-)+$" : "~*^no\(number)$"])]
            routes.append(route)
        }
        let table = try RouteTable(routes: routes)
        let result = MatchResult()
        var value = [UInt8](repeating: 0x61, count: 16 * 1024)
        let plain = ask(table, [("X", value)], result)
        value[value.count - 1] = 0x21
        let other = ask(table, [("X", value)], result)
        let bad = ask(table, [("X", [UInt8](repeating: 0xFF, count: 16 * 1024))], result)
        #expect(plain && bad && !other)
        #expect(result.patternLimitHits == 0)
    }

    @Test("random bytes match as the standard library's engine says of their characters")
    func agrees() throws {
        let seed = announcedSeed("patterns on bytes")
        var random = SeededRandom(state: seed)
        let patterns = [
            ".+", "^.{2}$", "^.{3,5}$", "a.b", "[^a]", "^[^a-y]+$", "é", "^(?:é|b)+$", "[à-ÿ]a", "a$", "^a|b$",
            "(?:.b){2}",
        ]
        let tables = try patterns.map { pattern in
            var route = Route()
            route.headers = [HeaderRule(name: "x", values: ["~*" + pattern])]
            return try RouteTable(routes: [route])
        }
        let pieces: [[UInt8]] = [
            [0x61], [0x62], [0x7A], [0xC3, 0xA9], [0xC3], [0xA9], [0xE9], [0xFF], [0x80], [0xE2, 0x82, 0xAC],
            [0xE2, 0x82],
            [0xF0, 0x9F, 0x98, 0x80], [0xF0, 0x9F], [0xED, 0xA0, 0x80], [0xC0, 0xAF], [0xF4, 0x90, 0x80, 0x80],
        ]
        let result = MatchResult()
        var found = 0
        for _ in 0..<4000 {
            let value = random.some(pieces, atMost: 5).flatMap { $0 }
            let text = NaiveText.read(value)
            for (pattern, table) in zip(patterns, tables) {
                let expected = try Regex(pattern).matchingSemantics(.unicodeScalar).firstMatch(in: text) != nil
                if expected { found += 1 }
                let actual = ask(table, [("X", value)], result)
                #expect(actual == expected, "seed \(seed): \(pattern) on \(value)")
                if actual != expected { return }
            }
        }
        #expect(found > 4000)
    }

    /// True if the table's route answers.
    private func ask(_ table: RouteTable, _ headers: [(String, [UInt8])], _ result: MatchResult, target: String = "/")
        -> Bool
    {
        target.withBytes {
            table.match(
                MatchRequest(method: Bytes("GET"), host: Bytes("h"), target: $0), headers: TestHeaders(headers),
                into: result)
        } == .matched
    }
}
