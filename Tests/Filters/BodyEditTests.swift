// Bodies, queries and templates: what is edited changes, everything else keeps its bytes.

import Bytes
import Snapshot
import Foundation
import Testing

@testable import Proxy

private func text(_ write: (Buffer) -> Void) -> String {
    let out = Buffer()
    write(out)
    return out.readable.string
}

@Suite struct JSONDocumentTests {
    @Test(
        "text that is no JSON object is refused",
        arguments: [
            "", "[]", "1", "{", "{}x", "{\"a\"}", "{\"a\":}", "{\"a\":1,}", "{a:1}", "{\"a\":01}", "{\"a\":1.}",
            "{\"a\":.5}",
            "{\"a\":+1}", "{\"a\":tru}", "{\"a\":\"\u{1}\"}", "{\"a\":\"\\x\"}", "{\"a\":\"\\u12g4\"}", "{\"a\":[1,]}",
            "{\"a\":[1 2]}", "{\"a\":{\"b\":1]}", "{\"a\":\"x}", "{\"a\":1e}", "{\"a\":-}", "{\"a\" 1}", "{,}",
            "{\"a\":1 \"b\":2}",
        ])
    func refuses(_ input: String) {
        #expect(input.withBytes { JSONDocument($0) == nil })
    }

    @Test("what is not edited keeps its bytes and its order")
    func keeps() throws {
        let input =
            #"{"z":1.10, "b" : [ 1, {"x":2E+5} ] ,"big":123456789012345678901234567890,"é":"\u00e9\n","a":null}"#
        var document = try #require(input.withBytes { JSONDocument($0) })
        document.set(Array("a".utf8), Array("true".utf8))
        #expect(
            text(document.write)
                == "{\"z\":1.10,\"b\":[ 1, {\"x\":2E+5} ],\"big\":123456789012345678901234567890,\"é\":\"\\u00e9\\n\",\"a\":true}"
        )
    }

    @Test("nesting is limited and does not recurse")
    func depth() {
        let deep = { (n: Int) in "{\"a\":" + String(repeating: "[", count: n) + String(repeating: "]", count: n) + "}" }
        #expect(deep(500).withBytes { JSONDocument($0) != nil })
        #expect(deep(1_000_000).withBytes { JSONDocument($0) == nil })
    }

    @Test("escaped names are the names they stand for, and of two with one name the last counts")
    func names() throws {
        var document = try #require(#"{"\u0061":1,"b":2,"a":3}"#.withBytes { JSONDocument($0) })
        do {
            let isDone = document.rename(Array("a".utf8), to: Array("c".utf8))
            #expect(isDone)
        }
        #expect(text(document.write) == #"{"b":2,"c":3}"#)
        #expect(
            #"{"k":"x\ud83d\ude00\"\/"}"#.withBytes { JSONDocument($0)?.string(Array("k".utf8)) } == Array("x😀\"/".utf8)
        )
        #expect(#"{"k":"\ud83d!"}"#.withBytes { JSONDocument($0)?.string(Array("k".utf8)) } == Array("\u{FFFD}!".utf8))
    }

    @Test(
        "appending makes arrays",
        arguments: [
            (#"{}"#, #"{"a":["v"]}"#), (#"{"a":"x"}"#, #"{"a":["x","v"]}"#), (#"{"a":1}"#, #"{"a":[1,"v"]}"#),
            (#"{"a":[ ]}"#, #"{"a":["v"]}"#), (#"{"a":[1]}"#, #"{"a":[1,"v"]}"#),
            (#"{"a":{"b":1}}"#, #"{"a":{"b":1}}"#),
        ])
    func append(input: String, expected: String) throws {
        var document = try #require(input.withBytes { JSONDocument($0) })
        document.append(Array("a".utf8), "v".withBytes { JSONDocument.string(of: $0) })
        #expect(text(document.write) == expected)
    }

    @Test("text in JSON is escaped, and what is no UTF-8 is replaced")
    func escape() {
        let out = Buffer()
        [0x22, 0x5C, 0x0A, 0x01, 0x7F, 0xC3, 0xA9, 0xFF, 0xC0, 0x80, 0xED, 0xA0, 0x80, 0x61].withBytes {
            JSONText.escape($0, to: out)
        }
        #expect(out.readable.string == "\\\"\\\\\\n\\u0001\u{7F}é\\ufffd\\ufffd\\ufffd\\ufffd\\ufffd\\ufffda")
    }
}

@Suite struct ArgumentTests {
    private func list(_ query: String) -> ArgumentList { query.withBytes { ArgumentList($0) } }
    private func name(_ text: String) -> [UInt8] { Array(text.utf8) }

    @Test("arguments are edited by their decoded name; the others stay as sent")
    func edits() {
        var args = list("a=1&b%5B%5D=x+y&c&&a=%32")
        #expect(args.contains(name("b[]")))
        "n w".withBytes { args.set(name("a"), $0) }
        do {
            let isDone = args.rename(name("b[]"), to: name("d e"))
            #expect(isDone)
        }
        "é".withBytes { args.append(name("c"), $0) }
        #expect(text(args.write) == "a=n%20w&d%20e=x+y&c&c=%C3%A9")
        do {
            let isDone = args.remove(name("c"))
            #expect(isDone)
        }
        do {
            let isDone = args.remove(name("c"))
            #expect(!isDone)
        }
        #expect(text(args.write) == "a=n%20w&d%20e=x+y")
    }

    @Test(
        "a name is found however it is written",
        arguments: [
            ("apikey=k", 1), ("api%6bey=k", 1), ("x=1&%61pikey=k&y", 1), ("apikey=k&apikey=l", 2), ("apikey", 0),
            ("apikeys=k", 0), ("apike=k", 0), ("", 0), ("=k", 0), ("api%6=k", 0),
        ])
    func find(query: String, count: Int) {
        let found = query.withBytes { query in
            "apikey".withBytes { name in
                switch RawArguments(query).find(name) {
                case .none: 0
                case .one(let value): value == "k" ? 1 : -1
                case .several: 2
                }
            }
        }
        #expect(found == count)
    }
}

@Suite struct MultipartTests {
    private let body =
        "--B\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n--B\r\n"
        + "content-disposition: form-data; filename=\"q;\\\"x\"; name=file\r\nContent-Type: text/plain\r\n\r\nline\r\n--Bx\r\n--B--\r\n"

    private func parse(_ body: String, _ type: String = "multipart/form-data; charset=x; boundary=B") -> MultipartBody?
    {
        body.withBytes { body in type.withBytes { MultipartBody(body, contentType: $0) } }
    }

    @Test("parts are found by name, and what is not edited is written as it was")
    func edits() throws {
        var parts = try #require(parse(body.replacingOccurrences(of: "--Bx\r\n", with: "-- Bx\r\n")))
        #expect(parts.values(Array("file".utf8)) == [Array("line\r\n-- Bx".utf8)])
        parts.set(Array("a".utf8), Array("2".utf8))
        parts.set(Array("n\"".utf8), Array("3".utf8))
        do {
            let isDone = parts.remove(Array("file".utf8))
            #expect(isDone)
        }
        #expect(
            text(parts.write)
                == "--B\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n2\r\n--B\r\nContent-Disposition: form-data; name=\"n%22\"\r\n\r\n3\r\n--B--\r\n"
        )
    }

    @Test(
        "a body that is not what its type says is refused",
        arguments: ["x", "--B", "--B\r\n", "--B\r\nno headers", "--B\r\n\r\nopen", "--C\r\n\r\nx\r\n--C--"])
    func refuses(_ body: String) {
        #expect(parse(body) == nil)
    }

    @Test(
        "a type without a boundary is refused",
        arguments: ["multipart/form-data", "multipart/form-data; boundary=", "multipart/form-data; xboundary=B"])
    func boundary(_ type: String) {
        #expect(parse("--B--", type) == nil)
    }

    @Test("any cut and any changed byte is survived")
    func robust() {
        let bytes = Array(body.utf8)
        for cut in 0...bytes.count {
            _ = bytes.prefix(cut).map { $0 }.withBytes { body in
                "multipart/form-data; boundary=B".withBytes { MultipartBody(body, contentType: $0) != nil }
            }
        }
        for at in bytes.indices {
            var changed = bytes
            changed[at] = 0x0D
            _ = changed.withBytes { body in
                "multipart/form-data; boundary=B".withBytes { MultipartBody(body, contentType: $0) != nil }
            }
        }
    }
}

@Suite struct TemplateTests {
    @Test(
        "the documented expressions are understood",
        arguments: [
            ("plain:text", 1), ("$(headers.host)", 1), ("a$(headers['X-A'])b", 3), ("$(query_params[\"q-1\"])", 1),
            ("$(uri_captures[1])", 1), ("$( uri_captures.name )/$(uri_captures[\"n\"])", 3), ("$5 and $", 1), ("", 0),
        ])
    func understood(text: String, parts: Int) throws {
        #expect(try Template(parsing: text).parts.count == parts)
    }

    @Test(
        "any other Lua is refused",
        arguments: [
            "$(os.time())", "$(headers.x or 'y')", "$(headers)", "$(headers[1])", "$(uri_captures[1] .. 'x')",
            "$(query_params.)",
            "$(shared.x)", "$((function() return 1 end)())", "$(headersx)", "$()",
        ])
    func refused(text: String) {
        #expect(throws: TemplateError.self) { try Template(parsing: text) }
    }

    @Test("an expression that is not closed is refused")
    func unclosed() {
        #expect(throws: TemplateError.unclosed("$(headers.x")) { try Template(parsing: "a$(headers.x") }
    }

    @Test(
        "dot segments are found in every spelling",
        arguments: [
            (".", true), ("..", true), ("%2e", true), (".%2E", true), ("..;x", true), ("...", false), ("", false),
            ("a..", false), ("%2f", false),
        ])
    func dots(segment: String, isDots: Bool) {
        #expect(segment.withBytes { RequestTransformerFilter.isDotSegment($0) } == isDots)
    }
}
