// Digests against published values.

import Dialects
import Model
import Testing

@Test("SHA-256 gives the standard's digests")
func sha256() {
    #expect(SHA256Digest.hex([]) == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
    #expect(
        SHA256Digest.hex(Array("abc".utf8)) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
    #expect(
        SHA256Digest.hex(Array("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq".utf8))
            == "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1")
}

@Test("the certificate of an authority is stored with its digest")
func digestOfAuthority() throws {
    // The digest is over what the armour holds, here "abc".
    let pem = "-----BEGIN CERTIFICATE-----\nYWJj\n-----END CERTIFICATE-----\n"
    let made = try KongEntities.complete(
        .caCertificates, input: .record([.init("cert", .string(pem))]), now: 0, known: { _, _ in nil }
    ).get()
    #expect(
        made.spec["cert_digest"].string == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
}
