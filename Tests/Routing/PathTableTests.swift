// Spellings of paths and joins with service paths, row by row from Kong's rules.

import Bytes
import Snapshot
import Testing

struct PathTableTests {
    static let spellings: [(raw: String, canonical: String)] = [
        ("", ""), ("/", "/"), ("/a", "/a"), ("/a/", "/a/"), ("/a/b", "/a/b"), ("/A/b", "/A/b"),
        // Slashes are merged.
        ("//", "/"), ("///", "/"), ("//a", "/a"), ("///a", "/a"), ("/a//", "/a/"), ("/a//b", "/a/b"),
        ("/a///b", "/a/b"), ("/a//b//c//", "/a/b/c/"), ("//a//b", "/a/b"),
        // Dot segments.
        ("/.", "/"), ("/./", "/"), ("/./a", "/a"), ("/a/.", "/a/"), ("/a/./", "/a/"), ("/a/./b", "/a/b"),
        ("/..", "/"), ("/../", "/"), ("/../a", "/a"), ("/a/..", "/"), ("/a/../", "/"), ("/a/../b", "/b"),
        ("/a/b/..", "/a/"), ("/a/b/../", "/a/"), ("/a/b/../c", "/a/c"), ("/a/b/../../c", "/c"),
        ("/a/b/../../../c", "/c"), ("/../../../etc/passwd", "/etc/passwd"), ("/a/./b/../c/./d", "/a/c/d"),
        ("/a//../b", "/b"), ("/a/b//../c", "/a/c"), ("/a/..//b", "/b"), ("/.//a", "/a"), ("/a/.//b", "/a/b"),
        ("/./../a", "/a"), ("/.././a", "/a"), ("/a/../../b", "/b"), ("/a/.././b", "/b"),
        // Dots that are no segments.
        ("/...", "/..."), ("/a...", "/a..."), ("/.a", "/.a"), ("/a.", "/a."), ("/a..", "/a.."), ("/..a", "/..a"),
        ("/a/.b", "/a/.b"), ("/a/..b", "/a/..b"), ("/a/b.", "/a/b."), ("/a/b..", "/a/b.."), ("/.../a", "/.../a"),
        ("/.well-known/x", "/.well-known/x"), ("/a.b/c.d", "/a.b/c.d"),
        // Encoded dots are dots: decoding goes first.
        ("/%2e", "/"), ("/%2E", "/"), ("/%2e/", "/"), ("/%2e%2e", "/"), ("/%2e%2e/", "/"), ("/.%2e", "/"),
        ("/%2e.", "/"), ("/a/%2e%2e/b", "/b"), ("/a/%2E%2E/b", "/b"), ("/a/.%2E/b", "/b"), ("/a/%2e./b", "/b"),
        ("/a/%2e/b", "/a/b"), ("/a%2e%2e", "/a.."), ("/%2e%2e%2e", "/..."), ("/a/%2e%2e%2f", "/a/..%2F"),
        // Unreserved characters are decoded.
        ("/%61", "/a"), ("/%41", "/A"), ("/%7a", "/z"), ("/%30", "/0"), ("/%39", "/9"), ("/%2d", "/-"),
        ("/%5f", "/_"), ("/%7e", "/~"), ("/%7E", "/~"), ("/%61%62%63", "/abc"), ("/a%62c", "/abc"),
        // Reserved ones stay encoded, in upper case.
        ("/%2f", "/%2F"), ("/%2F", "/%2F"), ("/a%2fb", "/a%2Fb"), ("/%3f", "/%3F"), ("/%23", "/%23"),
        ("/%25", "/%25"), ("/%2541", "/%2541"), ("/%252e%252e", "/%252e%252e"), ("/%252f", "/%252f"),
        ("/%3a", "/%3A"), ("/%3b", "/%3B"), ("/%3d", "/%3D"), ("/%26", "/%26"), ("/%2b", "/%2B"), ("/%2c", "/%2C"),
        ("/%24", "/%24"), ("/%21", "/%21"), ("/%2a", "/%2A"), ("/%27", "/%27"), ("/%28%29", "/%28%29"),
        ("/%5b%5d", "/%5B%5D"), ("/%40", "/%40"),
        // Everything else is decoded, and encoded again on the way up.
        ("/%20", "/ "), ("/a%20b", "/a b"), ("/%5c", "/\\"), ("/%5C", "/\\"), ("/%7c", "/|"), ("/%22", "/\""),
        ("/%3c%3e", "/<>"), ("/%60", "/`"), ("/%7b%7d", "/{}"), ("/%5e", "/^"), ("/%c3%a9", "/é"),
        ("/%E2%82%AC", "/€"), ("/%F0%9F%98%80", "/😀"), ("/%0a", "/\n"), ("/%0d%0a", "/\r\n"), ("/%09", "/\t"),
        ("/%00", "/\0"), ("/a%00b", "/a\0b"), ("/%7f", "/\u{7F}"),
        // Not escapes at all.
        ("/%", "/%"), ("/%2", "/%2"), ("/%g1", "/%g1"), ("/%1g", "/%1g"), ("/%%41", "/%A"), ("/%-1", "/%-1"),
        ("/%u0041", "/%u0041"), ("/a%", "/a%"),
        // Left alone.
        ("/;x", "/;x"), ("/a;b=c/d", "/a;b=c/d"), ("/a+b", "/a+b"), ("/a\\b", "/a\\b"), ("/a\\..\\b", "/a\\..\\b"),
        ("/*", "/*"), ("/a:b", "/a:b"), ("/@a", "/@a"), ("/é", "/é"), ("/~a", "/~a"),
        // Targets that do not start with a slash.
        ("*", "*"), ("a", "a"), (".", ""), ("..", ""), ("./a", "a"), ("../a", "a"), ("../../a", "a"), ("a/../b", "/b"),
        ("a/./b", "a/b"), ("a//b", "a/b"), ("..//a", "/a"),
    ]

    @Test("a path has one canonical form", arguments: spellings)
    func spelling(raw: String, canonical: String) {
        let buffer = Buffer(capacity: 64)
        let once = raw.withBytes { PathNormalizer.normalize($0, into: buffer).array }
        #expect(String(decoding: once, as: UTF8.self) == canonical)
        #expect(
            raw.withBytes { PathNormalizer.isCanonical($0) }
                == (raw == canonical && (raw.isEmpty || raw.hasPrefix("/")) && !raw.contains("%")))
    }

    static let invalid: [[UInt8]] = [
        [0x2F, 0xFF], [0x2F, 0xC0, 0xAF], [0x2F, 0xC1, 0x81], [0x2F, 0xE0, 0x80, 0xAF], [0x2F, 0xED, 0xA0, 0x80],
        [0x2F, 0xF0, 0x80, 0x80, 0xAF], [0x2F, 0xF4, 0x90, 0x80, 0x80], [0x2F, 0xF5, 0x80, 0x80, 0x80],
        [0x2F, 0x80], [0x2F, 0xC3], [0x2F, 0xE2, 0x82], [0x2F, 0xC3, 0x28], [0x2F, 0xE2, 0x28, 0xA1],
    ]

    @Test("a path that is not UTF-8, overlong forms included, finds no route", arguments: invalid)
    func overlong(raw: [UInt8]) throws {
        var route = Route()
        route.paths = ["/"]
        let table = try RouteTable(routes: [route])
        let result = MatchResult()
        let encoded = Array(raw.flatMap { Array("%\(String($0, radix: 16))".utf8) })
        for target in [raw, encoded] {
            let outcome = target.withBytes {
                table.match(
                    MatchRequest(method: Bytes("GET"), host: .empty, target: $0), headers: NoHeaders(), into: result)
            }
            // `%2f` stays encoded, so that the encoded target does not start with a slash: no match either.
            #expect(outcome == .badPath)
            #expect(result.route == -1)
        }
    }

    /// Service path, route path (nil: none), strip_path (t, f or both), path_handling, request, expected.
    static let joins: [(String, String?, String, String, String, String)] = [
        ("/", "/", "ft", "01", "/", "/"), ("/", "/", "ft", "01", "/rt", "/rt"), ("/", "/", "ft", "01", "/rt/", "/rt/"),
        ("/", "/", "ft", "01", "/rt/x", "/rt/x"),
        ("/", "/rt", "f", "01", "/rt", "/rt"), ("/", "/rt", "f", "01", "/rt/", "/rt/"),
        ("/", "/rt", "f", "01", "/rtx", "/rtx"), ("/", "/rt", "t", "01", "/rt", "/"),
        ("/", "/rt", "t", "01", "/rt/", "/"),
        ("/", "/rt", "t", "01", "/rtx", "/x"), ("/", "/rt", "t", "01", "/rt/x", "/x"),
        ("/", "/rt/", "f", "01", "/rt/x", "/rt/x"), ("/", "/rt/", "t", "01", "/rt/", "/"),
        ("/", "/rt/", "t", "01", "/rt/x", "/x"),
        ("/svc", "/rt", "f", "0", "/rt", "/svc/rt"), ("/svc", "/rt", "f", "1", "/rt", "/svcrt"),
        ("/svc", "/rt", "f", "0", "/rt/", "/svc/rt/"), ("/svc", "/rt", "f", "1", "/rt/", "/svcrt/"),
        ("/svc", "/rt", "f", "0", "/rtx", "/svc/rtx"), ("/svc", "/rt", "f", "1", "/rtx", "/svcrtx"),
        ("/svc", "/rt", "t", "01", "/rt", "/svc"), ("/svc", "/rt", "t", "01", "/rt/", "/svc/"),
        ("/svc", "/rt", "t", "0", "/rtx", "/svc/x"), ("/svc", "/rt", "t", "1", "/rtx", "/svcx"),
        ("/svc", "/rt", "t", "01", "/rt/x", "/svc/x"),
        ("/svc", "/rt/", "f", "0", "/rt/x", "/svc/rt/x"), ("/svc", "/rt/", "f", "1", "/rt/x", "/svcrt/x"),
        ("/svc", "/rt/", "t", "0", "/rt/", "/svc/"), ("/svc", "/rt/", "t", "1", "/rt/", "/svc"),
        ("/svc", "/rt/", "t", "0", "/rt/x", "/svc/x"), ("/svc", "/rt/", "t", "1", "/rt/x", "/svcx"),
        ("/svc", "/", "ft", "01", "/", "/svc"), ("/svc", "/", "ft", "0", "/rt", "/svc/rt"),
        ("/svc", "/", "ft", "1", "/rt", "/svcrt"), ("/svc", "/", "ft", "0", "/rt/", "/svc/rt/"),
        ("/svc/", "/rt", "f", "01", "/rt", "/svc/rt"), ("/svc/", "/rt", "f", "01", "/rt/", "/svc/rt/"),
        ("/svc/", "/rt", "f", "01", "/rtx", "/svc/rtx"), ("/svc/", "/rt", "t", "0", "/rt", "/svc"),
        ("/svc/", "/rt", "t", "1", "/rt", "/svc/"), ("/svc/", "/rt", "t", "01", "/rt/", "/svc/"),
        ("/svc/", "/rt", "t", "01", "/rtx", "/svc/x"), ("/svc/", "/rt", "t", "01", "/rt/x", "/svc/x"),
        ("/svc/", "/rt/", "t", "01", "/rt/", "/svc/"), ("/svc/", "/rt/", "t", "01", "/rt/x", "/svc/x"),
        ("/svc/", "/rt/", "f", "01", "/rt/x", "/svc/rt/x"),
        ("/svc/", "/", "f", "01", "/", "/svc/"), ("/svc/", "/", "t", "01", "/", "/svc/"),
        ("/svc/", "/", "ft", "01", "/rt", "/svc/rt"),
        ("/", nil, "ft", "01", "/", "/"), ("/", nil, "ft", "01", "/rt", "/rt"),
        ("/svc", nil, "ft", "01", "/", "/svc"), ("/svc", nil, "ft", "0", "/rt", "/svc/rt"),
        ("/svc", nil, "ft", "1", "/rt", "/svcrt"), ("/svc/", nil, "ft", "01", "/rt", "/svc/rt"),
        ("/svc/", nil, "ft", "01", "/", "/svc/"),
        // What is left must not start with a dot segment.
        ("/", "/rt", "t", "0", "/rt..", "/"), ("/", "/rt", "t", "0", "/rt.", "/"),
        ("/svc", "/rt", "t", "0", "/rt../x", "/svc/x"),
        ("/svc", "/rt", "t", "0", "/rt./x", "/svc/x"), ("/svc", "/rt", "t", "0", "/rt...", "/svc/..."),
        ("/svc", "/rt", "f", "0", "/rt..", "/svc/rt.."),
        // Escaped on the way up, and the query is kept as it is.
        ("/", "/rt", "t", "0", "/rt/a%20b", "/a%20b"), ("/", "/rt", "t", "0", "/rt/%c3%a9?q=%2e", "/%C3%A9?q=%2e"),
        ("/", "/rt", "t", "0", "/rt/%2f%2e", "/%2F."), ("/", "/rt", "t", "0", "/rt/x?", "/x?"),
        ("/", "/rt", "t", "0", "/rt?", "/?"), ("/", "/rt", "t", "0", "/rt?a=//../b", "/?a=//../b"),
        ("/s t", "/rt", "t", "0", "/rt/\"<>", "/s%20t/%22%3C%3E"), ("/", "/rt", "f", "0", "/rt/\\", "/rt/%5C"),
        ("/", "/rt", "f", "0", "/rt/%0d%0aX:1", "/rt/%0D%0AX:1"),
        // A regular expression: the matched span goes.
        ("/svc", "~/r\\w+", "t", "0", "/rtx/y", "/svc/y"), ("/svc", "~/r", "t", "0", "/rtx/y", "/svc/tx/y"),
        ("/svc", "~/r.*$", "t", "0", "/rtx/y", "/svc"), ("", "~/(a|b)/", "t", "0", "/b/c", "/c"),
    ]

    @Test("the upstream path follows strip_path and path_handling", arguments: joins.indices)
    func join(row: Int) throws {
        let (service, path, strips, handlings, target, expected) = Self.joins[row]
        for strip in strips {
            for handling in handlings {
                var route = Route()
                route.paths = path.map { [$0] } ?? []
                route.hosts = path == nil ? ["h"] : []
                route.stripPath = strip == "t"
                route.pathHandling = handling == "0" ? .v0 : .v1
                route.service = 0
                var owner = Service()
                owner.path = service
                var request = ReferenceRequest()
                request.host = "h"
                request.target = target
                let answer = tableAnswer(try RouteTable(routes: [route]), [route], [owner], request, MatchResult())
                #expect(answer.uri == expected, "strip \(strip), v\(handling)")
            }
        }
    }
}
