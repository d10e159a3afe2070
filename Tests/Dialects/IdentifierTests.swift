// Derived ids are Kong's, so that logs and metrics of a migrated gateway stay comparable.

import Dialects
import Model
import Testing

@Test("ids that are not written are UUIDv5 of the kind's namespace and the name")
func derivedIds() throws {
    // Expected values computed with another implementation of RFC 9562.
    let result = load(
        """
        _format_version: "3.0"
        services:
        - name: users
          url: http://users
          routes: [{name: users, paths: [/u]}]
        - name: auth-v1-open
          url: http://auth
          plugins: [{name: cors}]
        upstreams:
        - name: pool
          targets: [{target: "10.0.0.1:80"}]
        consumers:
        - username: alice
          basicauth_credentials: [{username: alice, password: secret}]
        """)
    let model = try #require(result.model)
    #expect(model.services[0].head.id.description == "e37de8aa-85e3-5439-b356-1084f7624ae5")
    #expect(model.routes[0].head.id.description == "5743af74-e28b-5671-996a-5326ecaba123")
    #expect(model.plugins[0].head.id.description == "1809a64d-9200-5eff-bdbc-a4f145dcc8ce")
    #expect(model.upstreams[0].targets[0].head.id.description == "7b6744e1-53ac-5273-9511-d2b5dd189bb0")
    #expect(model.basicAuthCredentials[0].passwordHash == "3871dc59ef495b47270e3209dca80899e81de3b4")
}

@Test("a password stays as it is when the file says that it is hashed already")
func transformOff() throws {
    let result = load(
        """
        _format_version: "3.0"
        _transform: false
        consumers:
        - username: alice
          basicauth_credentials: [{username: alice, password: 3871dc59ef495b47270e3209dca80899e81de3b4}]
        """)
    #expect(
        try #require(result.model).basicAuthCredentials[0].passwordHash == "3871dc59ef495b47270e3209dca80899e81de3b4")
}

@Test("routes without names get ids of their content: stable, distinct, independent of their place")
func contentIds() throws {
    let one = load(
        "_format_version: \"3.0\"\nroutes: [{paths: [/a]}, {paths: [/b]}, {paths: [/b]}]")
    let two = load("# moved\n_format_version: \"3.0\"\nroutes: [{paths: [/b]}, {paths: [/a]}]")
    let first = try #require(one.model).routes.map(\.head.id)
    let second = try #require(two.model).routes.map(\.head.id)
    #expect(Set(first).count == 3)
    #expect(first[0] == second[1] && first[1] == second[0])
}

@Test(
    "SHA-1 is right at every length of its last block",
    arguments: [
        (0, "da39a3ee5e6b4b0d3255bfef95601890afd80709"), (1, "86f7e437faa5a7fce15d1ddcb9eaeaea377667b8"),
        (54, "b05d71c64979cb95fa74a33cdb31a40d258ae02e"), (55, "c1c8bbdc22796e28c0e15163d20899b65621d65a"),
        (56, "c2db330f6083854c99d4b5bfb6e8f29f201be699"), (57, "f08f24908d682555111be7ff6f004e78283d989a"),
        (59, "dbc8b8f59ff85a2b1448ed873484b14bf0507246"), (60, "13d956033d9af449bfe2c4ef78c17c20469c4bf1"),
        (63, "03f09f5b158a7a8cdad920bddc29b81c18a551f5"), (64, "0098ba824b5c16427bd7a1122a5a442a25ec644d"),
        (65, "11655326c708d70319be2610e8a57d9a5b959d3b"), (119, "ee971065aaa017e0632a8ca6c77bb3bf8b1dfc56"),
        (120, "f34c1488385346a55709ba056ddd08280dd4c6d6"), (128, "ad5b3fdbcb526778c2839d2f151ea753995e26a0"),
    ])
func sha1Lengths(length: Int, digest: String) {
    #expect(SHA1.hex(String(repeating: "a", count: length)) == digest)
}
