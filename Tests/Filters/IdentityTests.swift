// Credentials, origins, addresses, error bodies.

import Bytes
import HTTP
import Snapshot
import Testing

@testable import Proxy

/// SHA-1 in hexadecimal.
private func hex(_ text: String) -> String {
    var hash = SHA1()
    let input = Buffer()
    input.append(text)
    hash.update(input.readable)
    let digest = hash.finish()
    let out = Buffer()
    for i in 0..<20 { out.append(hex: UInt64(digest[i]), digits: 2) }
    return out.readable.string
}

@Suite struct CredentialTests {
    private func snapshot() throws -> Snapshot {
        var snapshot = Snapshot()
        for name in ["alice", "bob"] {
            var consumer = Consumer()
            consumer.id = try #require(
                ID(name == "alice" ? "11111111-1111-4111-8111-111111111111" : "22222222-2222-4222-8222-222222222222"))
            consumer.username = name
            consumer.groups = name == "alice" ? ["staff", "admin"] : ["guest"]
            snapshot.consumers.append(consumer)
        }
        for index in 0..<1000 {
            var key = KeyCredential()
            key.id = ID(high: 1, low: UInt64(index))
            key.consumer = index % 2
            key.key = "key-\(index)"
            key.expiresAt = index == 7 ? 1000 : 0
            snapshot.keyCredentials.append(key)
        }
        var user = BasicCredential()
        user.username = "aladdin"
        user.consumer = 0
        // SHA-1 of "open:sesame" followed by alice's id.
        user.passwordHash = "f2a3b3f9"
        snapshot.basicCredentials.append(user)
        return snapshot
    }

    @Test("keys are found by their bytes, and expired ones are not")
    func keys() throws {
        let index = CredentialIndex(try snapshot(), seed: 42)
        for number in [0, 1, 500, 999] {
            let owner = "key-\(number)".withBytes { index.owner(ofKey: $0, now: 5000) }
            #expect(owner?.consumer == number % 2)
            #expect(owner?.id == ID(high: 1, low: UInt64(number)))
        }
        #expect("key-7".withBytes { index.owner(ofKey: $0, now: 999)?.consumer } == 1)
        #expect("key-7".withBytes { index.owner(ofKey: $0, now: 1000) == nil })
        for wrong in ["", "key-", "key-1000", "KEY-1", "key-1 "] {
            #expect(wrong.withBytes { index.owner(ofKey: $0, now: 0) == nil })
        }
    }

    @Test("a consumer is named by id or by username")
    func anonymous() throws {
        let index = CredentialIndex(try snapshot(), seed: 42)
        #expect(index.consumer(named: "bob") == 1)
        #expect(index.consumer(named: "22222222-2222-4222-8222-222222222222") == 1)
        #expect(index.consumer(named: "carol") == nil)
        let groups = index.groups(named: ["admin", "nobody"])
        #expect(index.isConsumer(0, in: groups))
        #expect(!index.isConsumer(1, in: groups))
    }

    @Test(
        "SHA-1 gives the standard's digests",
        arguments: [
            ("", "da39a3ee5e6b4b0d3255bfef95601890afd80709"), ("abc", "a9993e364706816aba3e25717850c26c9cd0d89d"),
            ("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", "84983e441c3bd26ebaae4aa1f95129e5e54670f1"),
            (String(repeating: "a", count: 1000), "291e9a6c66994949b57ba5e650361e98fc36b1ba"),
        ])
    func sha1(text: String, digest: String) {
        #expect(hex(text) == digest)
    }

    @Test("names and passwords are checked against Kong's stored form, whatever is wrong")
    func passwords() throws {
        var snapshot = try snapshot()
        snapshot.basicCredentials[0].passwordHash = hex("open:sesame" + snapshot.consumers[0].id.description)
        let check = { (index: CredentialIndex, name: String, password: String) in
            name.withBytes { name in password.withBytes { index.owner(ofName: name, password: $0)?.consumer } }
        }
        let good = CredentialIndex(snapshot, seed: 1)
        #expect(check(good, "aladdin", "open:sesame") == 0)
        for (name, password) in [
            ("aladdin", "open"), ("aladdin", ""), ("Aladdin", "open:sesame"), ("", "open:sesame"), ("x", ""),
        ] {
            #expect(check(good, name, password) == nil)
        }
        let broken = CredentialIndex(try self.snapshot(), seed: 1)
        #expect(check(broken, "aladdin", "open:sesame") == nil)
    }

    @Test(
        "base 64 is read strictly",
        arguments: [
            ("QWxhZGRpbjpvcGVu", "Aladdin:open"), ("YQ==", "a"), ("YWI=", "ab"), ("YQ", "a"), ("", ""),
        ])
    func base64(text: String, expected: String) {
        let out = Buffer()
        #expect(text.withBytes { Base64.decode($0, to: out) })
        #expect(out.readable.string == expected)
    }

    @Test("what is no base 64 is refused", arguments: ["Y", "YQ=a", "Y Q=", "YQ===", "-_==", "YWJj\n"])
    func badBase64(text: String) {
        #expect(text.withBytes { !Base64.decode($0, to: Buffer()) })
    }

    @Test(
        "identity fields are known in every alias",
        arguments: [
            ("X-Consumer-ID", true), ("x_consumer_id", true), ("X-CONSUMER_Username", true),
            ("X-Credential-Identifier", true),
            ("x-anonymous_consumer", true), ("X-Consumer-Custom-ID", true), ("X-Consumer-Groups", true),
            ("X-Consumer", false),
            ("X-Consumer-IDs", false), ("Consumer-ID", false), ("X-Forwarded-For", false), ("", false), ("X", false),
        ])
    func identity(name: String, isOurs: Bool) {
        #expect(name.withBytes { IdentityHeaders.contains($0) } == isOurs)
    }
}

@Suite struct OriginTests {
    private func answer(_ origins: [String], _ origin: String?) -> String {
        let rule = OriginRule(origins)
        let memory = Buffer()
        let result = Array((origin ?? "").utf8).withBytes { bytes -> String in
            let answer = rule.answer(to: origin == nil ? nil : bytes, normalised: memory)
            let text =
                switch answer.verdict {
                case .any: "*"
                case .value(let value): value.string
                case .fixed: String(decoding: rule.fixed, as: UTF8.self)
                case .refused: "-"
                }
            return text + (answer.varies ? " vary" : "")
        }
        return result
    }

    @Test(
        "origins are answered as configured",
        arguments: [
            ([], "https://a.com", "*"), (["*"], "https://a.com", "*"),
            (["https://a.com"], "https://evil.com", "https://a.com vary"),
            (["https://a.com"], nil, "https://a.com vary"),
            (["https://a.com", "https://b.com"], "https://b.com", "https://b.com vary"),
            (["https://a.com", "https://b.com"], "https://b.com:443", "https://b.com vary"),
            (["https://a.com", "https://b.com:443"], "https://b.com", "https://b.com vary"),
            (["https://a.com", "http://b.com:8080"], "http://b.com", "- vary"),
            (["https://a.com", "https://b.com"], "https://c.com", "- vary"),
            (["https://a.com", "https://b.com"], nil, "- vary"),
            (["https://a.com", "*"], "https://z.com", "* vary"),
            ([".*\\.a\\.com"], "https://x.a.com", "https://x.a.com vary"),
            ([".*\\.a\\.com"], "https://x.a.com.evil", "- vary"),
            (["https://(x|y)\\.a\\.com"], "https://y.a.com", "https://y.a.com vary"),
            (["^https?://a\\.com$"], "http://a.com", "http://a.com vary"),
            (["https://(x|y)\\.a\\.com"], "evil https://y.a.com", "- vary"),
            (["(.+)\\.a\\.com"], "https://x.a.com:8443", "https://x.a.com:8443 vary"),
        ] as [([String], String?, String)])
    func origins(origins: [String], origin: String?, expected: String) {
        #expect(answer(origins, origin) == expected)
    }

    @Test("an expression that backtracks without end does not match, and returns")
    func backtracking() {
        #expect(answer(["https://(a+)+(b+)+c"], "https://" + String(repeating: "a", count: 5000)) == "- vary")
    }
}

@Suite struct AddressSetTests {
    @Test(
        "addresses are in a set of addresses and prefixes",
        arguments: [
            ("10.0.0.1", true), ("10.0.0.2", false), ("192.168.7.9", true), ("192.169.0.1", false),
            ("2001:db8::5", true),
            ("2001:db9::5", false), ("::1", true), ("::2", false), ("::ffff:10.0.0.1", true),
        ])
    func contains(address: String, isIn: Bool) throws {
        let set = AddressSet(["10.0.0.1", "192.168.0.0/16", "2001:db8::/32", "::1", "nonsense"])
        #expect(set.contains(try #require(IPAddress(address))) == isIn)
    }

    @Test("a prefix of length 0 holds all of its family")
    func everything() throws {
        let set = AddressSet(["0.0.0.0/0"])
        #expect(set.contains(try #require(IPAddress("203.0.113.7"))))
        #expect(!set.contains(try #require(IPAddress("::1"))))
    }
}

@Suite struct ErrorBodyTests {
    @Test(
        "the format follows Accept",
        arguments: [
            ("application/json", ErrorFormat.json),
            ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", .html),
            ("text/html;q=0.5, application/xml;q=0.9", .xml), ("text/plain", .plain), ("TEXT/*", .plain),
            ("*/*", .json),
            ("image/png", .json), ("image/png;q=0.1, text/html;q=0.2", .html),
            ("application/xml;v=1;q=0.3,text/plain;q=0.2", .xml),
            ("text/html;q=1.0,text/plain", .html), ("application/xml;q=0.001", .xml),
        ])
    func negotiation(accept: String, expected: ErrorFormat) {
        var best = 0
        #expect(accept.withBytes { ErrorFormat.preferred($0, best: &best) } == expected)
    }

    @Test(
        "what is no media range, or is refused, decides nothing",
        arguments: ["", ",", "text", "text/html;q=0", "text/html;q=9", "text/html;q=x", ";q=1"])
    func nothing(accept: String) {
        var best = 0
        #expect(accept.withBytes { ErrorFormat.preferred($0, best: &best) } == nil)
    }

    @Test(
        "messages are escaped for their format",
        arguments: [
            (ErrorFormat.json, "{\n  \"message\":\"a\\\"<b>&\\u0001\",\n  \"request_id\":\"id\"\n}"),
            (
                .xml,
                "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<error>\n  <message>a&quot;&lt;b&gt;&amp;?</message>\n  <requestid>id</requestid>\n</error>\n"
            ),
            (.plain, "a\"<b>&\u{1}\nrequest_id: id\n"),
        ])
    func escaping(format: ErrorFormat, expected: String) {
        let out = Buffer()
        "a\"<b>&\u{1}".withBytes { format.write($0, requestID: Bytes("id"), to: out) }
        #expect(out.readable.string == expected)
    }

    @Test("header values lose what could end them")
    func headerText() {
        #expect(String(decoding: HeaderText.clean(" a\r\nX: y\0\tz "), as: UTF8.self) == "a%0D%0AX: y%00\tz")
    }
}
