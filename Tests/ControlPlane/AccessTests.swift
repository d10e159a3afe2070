// Who may do what, without a listener: guesses, roles, hosts, secrets, and documents taken apart.

import Foundation
import Model
import Store
import Testing

@testable import ControlPlane

@Suite("access")
struct AccessTests {
    static func value(_ json: String) throws -> ConfigValue { try ConfigValue(json: Array(json.utf8)) }

    @Test("an address may guess so often, waits, and is forgiven with time")
    func throttling() {
        var throttle = Throttle()
        for _ in 0..<Throttle.burst {
            #expect(throttle.wait("a", now: 0) == nil)
            throttle.failed("a", now: 0)
        }
        throttle.failed("a", now: 0)
        #expect(throttle.wait("a", now: 0) == 2)
        #expect(throttle.wait("b", now: 0) == nil)
        #expect(throttle.wait("a", now: Throttle.forgivenEvery) == nil)
    }

    @Test("addresses that guess do not fill the memory")
    func throttleLimit() {
        var throttle = Throttle()
        for _ in 0...Throttle.burst { throttle.failed("first", now: 1_000_000) }
        for number in 0..<Throttle.addresses + 50 { throttle.failed("address \(number)", now: 0) }
        #expect(throttle.wait("first", now: 1_000_000) != nil)
    }

    @Test(
        "names of this machine are allowed on loopback, others are not",
        arguments: [
            ("localhost", true), ("LOCALHOST:5681", true), ("127.0.0.1:1", true), ("127.9.9.9", true),
            ("[::1]:5681", true),
            ("ui.localhost", true), ("seaway.example:443", true), ("evil.example", false),
            ("localhost.evil.example", false),
            ("127.0.0.1.evil.example", false), ("127.evil.0.1", false), ("128.0.0.1", false), ("", false),
            ("[::2]", false),
        ])
    func hosts(host: String, isAllowed: Bool) {
        #expect(HostPolicy.loopback(["seaway.example"]).allows(host) == isAllowed)
    }

    @Test("what a rule leaves out it leaves open, and what is written is exact")
    func roles() throws {
        let text = #"{"name":"t","rules":[{"verbs":["read"],"types":["routes"],"labels":{"team":"a"}}]}"#
        let role = try RoleSpec.read(Self.value(text)).get()
        let author = Author(name: "x", source: "", permissions: role.rules)
        #expect(author.may(.read, type: "routes", labels: ["team": "a", "zone": "eu"]))
        #expect(!author.may(.read, type: "routes", labels: ["team": "b"]))
        #expect(!author.may(.read, type: "services", labels: ["team": "a"]))
        #expect(!author.may(.update, type: "routes", labels: ["team": "a"]))
        let stored = role.spec(id: Identifier(high: 1, low: 2))
        #expect(try RoleSpec.read(stored).get() == role)
    }

    @Test(
        "mistakes in a role are refused, never read as more than was meant",
        arguments: [
            #"{"name":"t","rules":[{"verbs":[]}]}"#, #"{"name":"t","rules":[{"types":[]}]}"#,
            #"{"name":"t","rules":[{"verb":["read"]}]}"#, #"{"name":"t","rules":[{"verbs":"read"}]}"#,
            #"{"name":"t","rules":[{"types":["route"]}]}"#, #"{"name":"t","rules":[{"labels":{"a":1}}]}"#,
            #"{"name":"t","rules":{}}"#, #"{"name":"t"}"#, #"{"name":"admin","rules":[]}"#, #"{"name":"","rules":[]}"#,
        ])
    func strictRoles(text: String) throws {
        guard case .failure(let problems) = RoleSpec.read(try Self.value(text)) else {
            Issue.record("it was read")
            return
        }
        #expect(!problems.list.isEmpty)
    }

    @Test("a stored role that cannot be read permits nothing")
    func damagedRole() {
        #expect(Roles.permissions(of: "x") { _ in Array(#"{"name":"x","rules":[{"verb":1}]}"#.utf8) } == [])
        #expect(Roles.permissions(of: "x") { _ in nil } == nil)
    }

    @Test("a use that is noted late does not bring a revoked token back")
    func revokedStays() async throws {
        let (_, store) = try await WorkspaceTests.make()
        let token = TokenRecord(
            id: Identifier(high: 1, low: 1), name: "t", hash: "h", roles: ["admin"], createdAt: 1, createdBy: "x")
        try await store.add(token)
        var revoked = token
        revoked.revokedAt = 5
        try await store.update(revoked)
        var late = token
        late.usedAt = 6
        try await store.update(late)
        #expect(try await store.tokens().map(\.revokedAt) == [5])
    }

    @Test("secrets are hidden wherever they stand, references to a vault are not")
    func redaction() throws {
        let key = try Self.value(#"{"kid":"k","pem":{"private_key":"p","public_key":"q"},"jwk":null}"#)
        let hidden = Redaction.redacted(key, type: "keys")
        #expect(hidden["pem"]["private_key"].string == Redaction.mark)
        #expect(hidden["pem"]["public_key"].string == "q")
        #expect(hidden["jwk"].isNull)
        let vault = try Self.value(#"{"cert":"c","key":"{vault://env/key}"}"#)
        #expect(Redaction.redacted(vault, type: "certificates") == vault)
        let plugin = try Self.value(#"{"name":"rate-limiting","config":{"redis":{"host":"h","password":"p"}}}"#)
        #expect(Redaction.redacted(plugin, type: "plugins")["config"]["redis"]["password"].string == Redaction.mark)
        #expect(
            Redaction.redacted(.string("p"), type: "plugins", inside: ["config", "redis", "password"])
                == .string(Redaction.mark))
    }

    @Test("a text falls apart at its marks, and each part knows its lines")
    func parts() {
        let text = "a: 1\n---\n# nothing\n---\nb: 2\n---- no mark\n--- \nc: 3"
        let parts = DocumentReader.parts(Array(text.utf8))
        #expect(parts.map { String(decoding: $0.text, as: UTF8.self) } == ["a: 1\n", "b: 2\n---- no mark\n", "c: 3"])
        #expect(parts.map(\.line) == [0, 4, 7])
        #expect(DocumentReader.parts(Array("\n# x\n---\n---".utf8)).isEmpty)
        #expect(DocumentReader.parts([]).isEmpty)
    }

    @Test("differences are named by field, arrays as a whole")
    func differences() throws {
        let before = try Self.value(#"{"a":1,"b":{"c":[1,2],"d":null},"updated_at":1}"#)
        let after = try Self.value(#"{"a":1,"b":{"c":[1,3],"d":"x"},"e":true,"updated_at":2}"#)
        #expect(Differences.fields(before, after).map(\.path) == ["b.c", "b.d", "e"])
        #expect(Differences.fields(before, before).isEmpty)
    }

    @Test("a merge patch removes by null and merges inside (RFC 7396)")
    func merging() throws {
        let value = try Self.value(#"{"a":{"b":1,"c":2},"d":[1]}"#)
        let patch = try Self.value(#"{"a":{"b":null,"e":{"f":null,"g":3}},"d":[2]}"#)
        #expect(value.merged(with: patch) == (try Self.value(#"{"a":{"c":2,"e":{"g":3}},"d":[2]}"#)))
    }

    @Test("every schema of the description can be read and is referred to, and nothing else is")
    func description() throws {
        let document = try ConfigValue(json: OpenAPI.document)
        let text = String(decoding: OpenAPI.document, as: UTF8.self)
        let names = document["components"]["schemas"].entries ?? []
        #expect(names.count > 20)
        for entry in names {
            #expect(!entry.value.isNull, "\(entry.key) cannot be read")
            #expect(text.contains("schemas/\(entry.key)\""), "nothing refers to \(entry.key)")
        }
        for part in text.components(separatedBy: "#/components/schemas/").dropFirst() {
            let name = String(part.prefix { $0 != "\"" })
            #expect(names.contains { $0.key == name }, "\(name) is not there")
        }
    }

    @Test("a login leads back to a page of the web UI and nowhere else")
    func ownPaths() {
        #expect(OIDCProvider.ownPath("/ui/routes?label=a") == "/ui/routes?label=a")
        for path in ["https://evil.example", "//evil.example", "/\\evil", "/v1/x", "", "/uix", "/ui/\n", "/ui/ü"] {
            #expect(OIDCProvider.ownPath(path) == "/ui/")
        }
    }
}
