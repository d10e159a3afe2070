// Addresses, times and sizes as people write them; findings as people read them.

import Testing

@testable import seaway

@Suite("Arguments")
struct ArgumentTests {
    @Test(
        "addresses are understood in every usual form",
        arguments: [
            ("127.0.0.1:8000", "127.0.0.1:8000"), ("8000", "127.0.0.1:8000"), ("localhost:80", "127.0.0.1:80"),
            ("*:443", "0.0.0.0:443"), (":443", "0.0.0.0:443"), ("[::1]:8443", "[::1]:8443"), ("[::]:0", "[::]:0"),
            ("[0:0::1]:1", "[::1]:1"), ("off", "off"), ("10.0.0.1:65535", "10.0.0.1:65535"),
        ])
    func addresses(text: String, meaning: String) {
        #expect(ListenAddress(argument: text)?.description == meaning)
    }

    @Test(
        "what is no address is refused",
        arguments: [
            "", "x", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:-1", "127.0.0.1:+1", "::1:80",
            "[127.0.0.1]:80",
            "1.2.3:80", "example.com:80", "[::1]", "[::1:80", "0x10", "99999999999999999999", "Off",
        ])
    func noAddresses(text: String) {
        #expect(ListenAddress(argument: text) == nil)
    }

    @Test(
        "times",
        arguments: [
            ("0", 0), ("30", 30_000), ("30s", 30_000), ("500ms", 500), ("5m", 300_000), ("24h", 86_400_000),
            ("86400s", 86_400_000),
        ])
    func times(text: String, milliseconds: Int) {
        #expect(TimeLimit(argument: text)?.milliseconds == milliseconds)
    }

    @Test(
        "what is no time, or longer than a day, is refused",
        arguments: ["", "s", "-1s", "1.5s", "25h", "86401", "1d", "999999999999999999999999", "1 s"])
    func noTimes(text: String) {
        #expect(TimeLimit(argument: text) == nil)
    }

    @Test("sizes", arguments: [("0", 0), ("16384", 16384), ("16k", 16384), ("8M", 8 << 20), ("1g", 1 << 30)])
    func sizes(text: String, bytes: Int) {
        #expect(ByteCount(argument: text)?.bytes == bytes)
    }

    @Test("what is no size is refused", arguments: ["", "k", "-1", "1.5m", "99999999999999999999g", "1kb"])
    func noSizes(text: String) {
        #expect(ByteCount(argument: text) == nil)
    }

    @Test("the line of a finding is shown with a mark under its column, and cannot speak to the terminal")
    func lines() {
        let lines = SourceLines(Array("first\n\u{1B}[31mred\u{7}\n\nlast".utf8))
        #expect(lines[1]?.text == "first")
        #expect(lines[1]?.caret(3) == "  ^")
        #expect(lines[1]?.caret(9) == nil)
        #expect(lines[2]?.text == " [31mred ")
        #expect(lines[3] == nil)
        #expect(lines[4]?.text == "last")
        #expect(lines[5] == nil)
        #expect(lines[0] == nil)
    }

    @Test("JSON strings are escaped")
    func json() {
        #expect(jsonString("a\"b\\c\n\u{1}é") == "\"a\\\"b\\\\c\\n\\u0001é\"")
    }
}
