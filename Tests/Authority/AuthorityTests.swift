// The authority: what it keeps, what it gives, whom it believes.

import Crypto
import Foundation
import SwiftASN1
import Testing
import X509
import _CryptoExtras

@testable import Authority

@Suite struct AuthorityTests {
    let now = 1_800_000_000
    let id = "5b0e4a8e-7a55-4a9b-9a58-0d3ff6c1a001"

    @Test("what is stored comes back as the same authority")
    func roundTrip() throws {
        let authority = try Authority.make(now: now)
        let again = try Authority(stored: authority.stored())
        #expect(again.certificate == authority.certificate)
        #expect(again.fingerprint == authority.fingerprint)
        #expect(again.snapshotKey == authority.snapshotKey)
        #expect(again.snapshotChain == authority.snapshotChain)
        #expect(try again.stored() == authority.stored())
    }

    @Test("bytes that are no authority are refused")
    func unreadable() throws {
        let text = String(decoding: try Authority.make(now: now).stored(), as: UTF8.self)
        let other = String(decoding: try Authority.make(now: now).stored(), as: UTF8.self)
        #expect(throws: AuthorityError.self) { try Authority(stored: []) }
        #expect(throws: AuthorityError.self) { try Authority(stored: Array(text.utf8.dropLast(200))) }
        // The certificate of one with the keys of another.
        let end = try #require(text.range(of: "-----END CERTIFICATE-----")?.upperBound)
        let otherEnd = try #require(other.range(of: "-----END CERTIFICATE-----")?.upperBound)
        #expect(throws: AuthorityError.self) {
            try Authority(stored: Array((text[..<end] + other[otherEnd...]).utf8))
        }
    }

    @Test("the fingerprint is the SHA-256 of the certificate's DER")
    func fingerprint() throws {
        let authority = try Authority.make(now: now)
        let der = try PEMDocument(pemString: authority.certificate).derBytes
        #expect(authority.fingerprint == SHA256.hash(data: der).map { String(format: "%02x", $0) }.joined())
    }

    @Test("a control plane's certificate carries its names and chains to the authority")
    func server() throws {
        let authority = try Authority.make(now: now)
        let server = try authority.serverCertificate(now: now)
        let leaf = try Certificate(pemDocument: PEMDocument.parseMultiple(pemString: server.issued.chain)[0])
        let names = try #require(try leaf.extensions.subjectAlternativeNames)
        #expect(
            Array(names) == [
                .dnsName("seaway-control-plane"), .uniformResourceIdentifier("spiffe://seaway/control-plane"),
            ])
        #expect(authority.root.publicKey.isValidSignature(leaf.signature, for: leaf))
        #expect(leaf.publicKey == (try Certificate.PrivateKey(pemEncoded: server.key)).publicKey)
        #expect(server.issued.notAfter == now + 90 * 86_400)
        #expect(server.renewal > now + 44 * 86_400 && server.renewal < now + 46 * 86_400)
    }

    @Test("a gateway's certificate names the gateway, whatever the request asked for", arguments: Keys.allCases)
    func gateway(_ keys: Keys) async throws {
        let authority = try Authority.make(now: now)
        let request = try Requests.make(key: keys.make(), subject: "spiffe://seaway/control-plane", names: true)
        let issued = try authority.gatewayCertificate(
            request: request, id: id, name: "eu-1", labels: ["zone": "eu", "a": "b=c"], now: now)
        let leaf = try Certificate(pemDocument: PEMDocument.parseMultiple(pemString: issued.chain)[0])
        let names = try #require(try leaf.extensions.subjectAlternativeNames)
        #expect(Array(names) == [.uniformResourceIdentifier("spiffe://seaway/gateway/\(id)")])
        let identity = try await authority.gateway(leaf, now: now)
        #expect(
            identity
                == GatewayIdentity(
                    id: id, name: "eu-1", labels: ["zone": "eu", "a": "b=c"], serial: issued.serial,
                    notAfter: now + 86_400))
    }

    @Test("a name too long for a common name gives way to the id")
    func longName() throws {
        let authority = try Authority.make(now: now)
        let issued = try authority.gatewayCertificate(
            request: Requests.make(), id: id, name: String(repeating: "n", count: 65), now: now)
        let leaf = try Certificate(pemDocument: PEMDocument.parseMultiple(pemString: issued.chain)[0])
        #expect("\(leaf.subject)" == "CN=\(id)")
    }

    @Test("a lifetime is at least a minute and ends with the authority")
    func lifetimes() throws {
        let authority = try Authority.make(now: now)
        let short = try authority.gatewayCertificate(
            request: Requests.make(), id: id, name: "n", now: now, lifetime: -5)
        #expect(short.notAfter == now + 60)
        let late = now + Authority.lifetime - 100
        let long = try authority.gatewayCertificate(request: Requests.make(), id: id, name: "n", now: late)
        #expect(long.notAfter == now + Authority.lifetime)
    }

    @Test("a certificate is believed only while it holds")
    func validity() async throws {
        let authority = try Authority.make(now: now)
        let issued = try authority.gatewayCertificate(
            request: Requests.make(), id: id, name: "n", now: now, lifetime: 600)
        let leaf = try Certificate(pemDocument: PEMDocument.parseMultiple(pemString: issued.chain)[0])
        _ = try await authority.gateway(leaf, now: now + 599)
        let expired = AuthorityError.badCertificate("the certificate is expired or not valid yet")
        await #expect(throws: expired) { try await authority.gateway(leaf, now: now + 602) }
        await #expect(throws: expired) { try await authority.gateway(leaf, now: now - 400) }
    }

    @Test("other certificates are not a gateway's: another authority's, the authority's own, a control plane's")
    func strangers() async throws {
        let authority = try Authority.make(now: now)
        let other = try Authority.make(now: now)
        let foreign = try other.gatewayCertificate(request: Requests.make(), id: id, name: "n", now: now)
        let server = try authority.serverCertificate(now: now).issued
        for chain in [foreign.chain, server.chain, authority.certificate, authority.snapshotChain] {
            let leaf = try Certificate(pemDocument: PEMDocument.parseMultiple(pemString: chain)[0])
            await #expect(throws: AuthorityError.self) { try await authority.gateway(leaf, now: now) }
        }
    }

    @Test("a gateway cannot sign certificates of its own")
    func noIntermediates() async throws {
        let authority = try Authority.make(now: now)
        let key = Certificate.PrivateKey(P256.Signing.PrivateKey())
        let issued = try authority.gatewayCertificate(
            request: Requests.make(key: key), id: id, name: "n", now: now)
        let parent = try Certificate(pemDocument: PEMDocument.parseMultiple(pemString: issued.chain)[0])
        let child = try Authority.issue(
            Leaf(
                key: Certificate.PrivateKey(P256.Signing.PrivateKey()).publicKey, commonName: "child",
                names: [.uniformResourceIdentifier("spiffe://seaway/gateway/\(id)")], usages: [.clientAuth]),
            by: parent, key: key, from: now - 10, to: now + 100)
        await #expect(throws: AuthorityError.self) { try await authority.gateway(child, now: now) }
    }

    @Test("a snapshot's signature can be checked with the key that gateways get")
    func signature() throws {
        let authority = try Authority.make(now: now)
        let signature = try authority.sign(snapshot: [1, 2, 3])
        let document = try PEMDocument(pemString: authority.snapshotKey)
        let key = try #require(Curve25519.Signing.PublicKey(Certificate.PublicKey(pemDocument: document)))
        #expect(signature.count == 64)
        #expect(key.isValidSignature(Data(signature), for: Data([1, 2, 3])))
        #expect(!key.isValidSignature(Data(signature), for: Data([1, 2, 4])))
        let chain = try PEMDocument.parseMultiple(pemString: authority.snapshotChain).map(
            Certificate.init(pemDocument:))
        #expect(chain.count == 2)
        #expect(chain[1].publicKey.isValidSignature(chain[0].signature, for: chain[0]))
        #expect(chain[0].publicKey == Certificate.PublicKey(key))
    }
}

/// Kinds of keys that gateways may have.
enum Keys: CaseIterable, Sendable {
    case p256, ed25519, rsa2048

    func make() throws -> Certificate.PrivateKey {
        switch self {
        case .p256: Certificate.PrivateKey(P256.Signing.PrivateKey())
        case .ed25519: Certificate.PrivateKey(Curve25519.Signing.PrivateKey())
        case .rsa2048: Certificate.PrivateKey(try _RSA.Signing.PrivateKey(keySize: .bits2048))
        }
    }
}

enum Requests {
    /// A certificate request in PEM, good unless a parameter makes it bad.
    static func make(
        key: Certificate.PrivateKey = Certificate.PrivateKey(P256.Signing.PrivateKey()), subject: String = "gateway",
        names: Bool = false
    ) throws -> String {
        var attributes = CertificateSigningRequest.Attributes()
        if names {
            let extensions = try Certificate.Extensions {
                Critical(BasicConstraints.isCertificateAuthority(maxPathLength: nil))
                SubjectAlternativeNames([.dnsName("seaway-control-plane")])
            }
            attributes = try CertificateSigningRequest.Attributes([
                .init(ExtensionRequest(extensions: extensions))
            ])
        }
        return try CertificateSigningRequest(
            version: .v1, subject: DistinguishedName { CommonName(subject) }, privateKey: key, attributes: attributes
        ).serializeAsPEM().pemString
    }
}
