// Certificate requests that are not what they should be.

import Crypto
import SwiftASN1
import Testing
import X509
import _CryptoExtras

@testable import Authority

@Suite struct CheckedRequestTests {
    @Test("a request that somebody else signed is refused")
    func foreignSignature() throws {
        let good = try CertificateSigningRequest(pemEncoded: Requests.make())
        let other = try CertificateSigningRequest(pemEncoded: Requests.make())
        let stolen = try CertificateSigningRequest(
            version: .v1, subject: good.subject, publicKey: good.publicKey, attributes: good.attributes,
            signatureAlgorithm: other.signatureAlgorithm, signature: other.signature)
        let text = try stolen.serializeAsPEM().pemString
        #expect(throws: AuthorityError.badRequest("the certificate request is not signed with its own key")) {
            try CheckedRequest(pem: text)
        }
    }

    @Test("keys of other kinds are refused")
    func otherKeys() throws {
        let weak = AuthorityError.badRequest(
            "the certificate request's key must be P-256, Ed25519, or RSA of 2048 to 4096 bits")
        for key in [
            Certificate.PrivateKey(P384.Signing.PrivateKey()), Certificate.PrivateKey(P521.Signing.PrivateKey()),
        ] {
            let text = try Requests.make(key: key)
            #expect(throws: weak) { try CheckedRequest(pem: text) }
        }
    }

    @Test("an RSA key of 1024 bits is refused")
    func weakRSA() throws {
        // Made with `openssl req -new -newkey rsa:1024`.
        #expect(throws: AuthorityError.self) { try CheckedRequest(pem: Self.rsa1024) }
    }

    @Test("text that is no request is refused", arguments: ["", "hello", "-----BEGIN CERTIFICATE REQUEST-----\n"])
    func noRequest(_ text: String) {
        #expect(throws: AuthorityError.self) { try CheckedRequest(pem: text) }
    }

    @Test("size is limited before anything is read")
    func size() throws {
        let good = try Requests.make()
        let padded = good + String(repeating: "\n", count: CheckedRequest.sizeMax - good.utf8.count)
        _ = try CheckedRequest(pem: padded)
        #expect(throws: AuthorityError.badRequest("the certificate request is larger than 8192 bytes")) {
            try CheckedRequest(pem: padded + "\n")
        }
    }

    @Test("a certificate, and a request followed by something, are no requests")
    func otherDocuments() throws {
        let authority = try Authority.make(now: 1_800_000_000)
        #expect(throws: AuthorityError.self) { try CheckedRequest(pem: authority.certificate) }
        var document = try PEMDocument(pemString: Requests.make())
        document.derBytes += [0]
        let text = document.pemString
        #expect(throws: AuthorityError.self) { try CheckedRequest(pem: text) }
    }

    @Test("no damage to a good request gets past the check or traps")
    func damage() throws {
        let seed = UInt64.random(in: 0 ... .max)
        print("seed \(seed)")
        var random = Seeded(state: seed)
        let good = try PEMDocument(pemString: Requests.make(names: true))
        let key = try CheckedRequest(pem: good.pemString).key
        for _ in 0..<2000 {
            var bytes = good.derBytes
            for _ in 0...Int.random(in: 0..<3, using: &random) {
                let at = Int.random(in: 0..<bytes.count, using: &random)
                switch Int.random(in: 0..<3, using: &random) {
                case 0: bytes[at] ^= 1 << UInt8.random(in: 0..<8, using: &random)
                case 1: bytes.remove(at: at)
                default: bytes.insert(.random(in: 0...255, using: &random), at: at)
                }
            }
            guard bytes != good.derBytes else { continue }
            let text = PEMDocument(type: "CERTIFICATE REQUEST", derBytes: bytes).pemString
            // What is signed cannot change; around it DER leaves some room, so what passes must be the same key.
            guard let passed = try? CheckedRequest(pem: text) else { continue }
            #expect(passed.key == key, "seed \(seed)")
        }
    }

    static let rsa1024 = """
        -----BEGIN CERTIFICATE REQUEST-----
        MIIBTjCBuAIBADAPMQ0wCwYDVQQDDAR3ZWFrMIGfMA0GCSqGSIb3DQEBAQUAA4GN
        ADCBiQKBgQCfUrTeHWvGSSZCbO9olLp1CFklNGoDeOVpTxT40vi0JCs2M76J/Wsh
        +Ei0ODxOVJlR8DcqZX9xliSlS/EM12q0QHgHgT8sB7IFzr/u3ZqF2SnRKe7KTscj
        YPKyqHUarwuubVrW/j8RX6He4reAQ3H989x7OPMk3EWzsTOVPTjFBQIDAQABoAAw
        DQYJKoZIhvcNAQELBQADgYEABP4cdp62LmIkiexNzgu2WHQc8txCfaJsmjhx6y+r
        FvHLIgesvRSfVzcqocjEOk5+ZPEjK9/f23WMA8AVbf1oUveLEjdUEETJoh061R1r
        Q0CryqBCpBV5pLxM1eOYRBeTSQP39QmlH/mMRYTIglzIYuROv5jz4qGHEt+85uCW
        4aE=
        -----END CERTIFICATE REQUEST-----
        """
}

/// SplitMix64: the seed alone reproduces a run.
struct Seeded: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}
