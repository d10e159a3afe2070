// Secrets of tokens: their form, their hash, and what they never show.

import Testing

@testable import Authority

@Suite struct SecretsTests {
    @Test("a secret has its form, is new each time, and comes back from its text")
    func form() throws {
        let secret = TokenSecret.make()
        #expect(secret.text.hasPrefix("sw_") && secret.text.utf8.count == 46)
        #expect(secret.text != TokenSecret.make().text)
        #expect(TokenSecret(secret.text)?.hash == secret.hash)
    }

    @Test("the hash is the SHA-256 of the whole text")
    func hash() throws {
        let secret = try #require(TokenSecret("sw_" + String(repeating: "A", count: 43)))
        #expect(secret.hash == "4cf75965300869871a95fa4c5885f2dc8d09785f6020f81edd8463444ab909df")
    }

    @Test("a secret does not show itself")
    func redacted() {
        let secret = TokenSecret.make()
        #expect("\(secret)" == "<redacted>")
        #expect(String(reflecting: secret) == "<redacted>")
    }

    @Test(
        "other texts are no secrets",
        arguments: ["", "sw_", "sw_" + String(repeating: "A", count: 42), "sw_" + String(repeating: "A", count: 44)]
            + ["SW_" + String(repeating: "A", count: 43), "sw_" + String(repeating: "=", count: 43)])
    func otherTexts(_ text: String) { #expect(TokenSecret(text) == nil) }

    @Test("texts are compared whole")
    func comparison() {
        #expect(TokenSecret.areEqual("abc", "abc"))
        #expect(!TokenSecret.areEqual("abc", "abd"))
        #expect(!TokenSecret.areEqual("abc", "ab"))
        #expect(TokenSecret.areEqual("", ""))
    }

    @Test("a join token comes back from its text")
    func joinToken() throws {
        let token = JoinToken(secret: .make(), fingerprint: String(repeating: "0a", count: 32))
        let again = try JoinToken(token.text)
        #expect(again.secret.text == token.secret.text)
        #expect(again.fingerprint == token.fingerprint)
        #expect(!token.text.contains("sw_"))
    }

    @Test(
        "a bad join token says what is wrong with it",
        arguments: [
            ("", "form"), ("sw_abc", "form"), ("seaway2.a.b", "form"), ("seaway1.a.b", "43"),
            ("seaway1.\(String(repeating: "A", count: 43)).XY", "fingerprint"),
            ("seaway1.\(String(repeating: "A", count: 43)).\(String(repeating: "A", count: 64))", "fingerprint"),
        ])
    func badJoinTokens(_ text: String, _ word: String) {
        #expect {
            try JoinToken(text)
        } throws: {
            guard case .badToken(let reason) = $0 as? AuthorityError else { return false }
            return reason.contains(word) && reason.contains("seaway token create")
        }
    }
}
