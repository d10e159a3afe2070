// Certificates that the authority gives: to gateways on request, to control planes for their listeners.

internal import Crypto
internal import Foundation
internal import SwiftASN1
internal import X509

/// What a certificate is to say.
struct Leaf {
    var key: Certificate.PublicKey
    var commonName: String
    /// Those of a gateway, in its subject as organizational units `key=value`.
    var labels: [String: String] = [:]
    var names: [GeneralName]
    var usages: [ExtendedKeyUsage.Usage]
}

/// A certificate that was given, and when it holds.
public struct IssuedCertificate: Sendable {
    /// PEM: the certificate, then the authority's.
    public var chain: String
    /// Lower-case hex, as `GatewayRecord.certificateSerial` keeps it.
    public var serial: String
    /// Unix seconds.
    public var notBefore: Int
    public var notAfter: Int
}

/// A control plane's own certificate with its key.
public struct ServerCertificate: Sendable {
    public var issued: IssuedCertificate
    /// PEM.
    public var key: String

    /// When a new one is due: half way through, Unix seconds.
    public var renewal: Int { issued.notBefore + (issued.notAfter - issued.notBefore) / 2 }
}

extension Authority {
    /// The name in every control plane's certificate; gateways check it instead of the address they dialled.
    public static let serverName = "seaway-control-plane"
    static let serverIdentity = "spiffe://seaway/control-plane"
    static let gatewayIdentity = "spiffe://seaway/gateway/"

    /// A certificate and a new key for a control plane's listener.
    ///
    /// - Parameter lifetime: seconds.
    public func serverCertificate(now: Int, lifetime: Int = 90 * 86_400) throws(AuthorityError) -> ServerCertificate {
        do {
            let key = Certificate.PrivateKey(P256.Signing.PrivateKey())
            let issued = try issue(
                Leaf(
                    key: key.publicKey, commonName: Self.serverName,
                    names: [.dnsName(Self.serverName), .uniformResourceIdentifier(Self.serverIdentity)],
                    usages: [.serverAuth]),
                now: now, lifetime: lifetime)
            return ServerCertificate(issued: issued, key: try key.serializeAsPEM().pemString)
        } catch {
            throw .failed("the control plane's certificate could not be made: \(error)")
        }
    }

    /// A certificate for the key of `request`. Of the request only the key counts: the names are the control plane's
    /// to give.
    ///
    /// - Parameters:
    ///   - id: the gateway's, a UUID in lower case.
    ///   - name: what the gateway is called; names longer than X.520's 64 characters give way to the id.
    ///   - labels: those that nobody but the authority may give it.
    ///   - lifetime: seconds, at least 60; never beyond the authority's own end.
    /// - Throws: `badRequest` when the request is none, its signature does not fit, or its key is too weak.
    public func gatewayCertificate(
        request: String, id: String, name: String, labels: [String: String] = [:], now: Int, lifetime: Int = 86_400
    ) throws(AuthorityError) -> IssuedCertificate {
        let request = try CheckedRequest(pem: request)
        let isShort = name.utf8.count <= 64 && !name.isEmpty
        do {
            return try issue(
                Leaf(
                    key: request.key, commonName: isShort ? name : id, labels: labels,
                    names: [.uniformResourceIdentifier(Self.gatewayIdentity + id)], usages: [.clientAuth]),
                now: now, lifetime: lifetime)
        } catch {
            throw .failed("the gateway's certificate could not be made: \(error)")
        }
    }

    private func issue(_ leaf: Leaf, now: Int, lifetime: Int) throws -> IssuedCertificate {
        let end = min(now + max(lifetime, 60), Int(root.notValidAfter.timeIntervalSince1970))
        // As far back as it reaches forward at most, so that half of a short life is not past at its start.
        let start = now - min(Self.backdate, max(lifetime, 60) / 60)
        let certificate = try Self.issue(leaf, by: root, key: key, from: start, to: end)
        return IssuedCertificate(
            chain: try certificate.serializeAsPEM().pemString + "\n" + self.certificate,
            serial: certificate.serialNumber.bytes.hex, notBefore: start, notAfter: end)
    }

    static func issue(
        _ leaf: Leaf, by root: Certificate, key: Certificate.PrivateKey, from start: Int, to end: Int
    ) throws -> Certificate {
        let isRSA = leaf.key.isRSA
        return try Certificate(
            version: .v3, serialNumber: Certificate.SerialNumber(), publicKey: leaf.key,
            notValidBefore: date(start), notValidAfter: date(end),
            issuer: root.subject,
            subject: try DistinguishedName {
                CommonName(leaf.commonName)
                for label in leaf.labels.sorted(by: { $0.key < $1.key }) {
                    OrganizationalUnitName("\(label.key)=\(label.value)")
                }
            },
            extensions: try Certificate.Extensions {
                Critical(BasicConstraints.notCertificateAuthority)
                Critical(KeyUsage(digitalSignature: true, keyEncipherment: isRSA))
                try ExtendedKeyUsage(leaf.usages)
                SubjectAlternativeNames(leaf.names)
                SubjectKeyIdentifier(hash: leaf.key)
                AuthorityKeyIdentifier(keyIdentifier: SubjectKeyIdentifier(hash: root.publicKey).keyIdentifier)
            },
            issuerPrivateKey: key)
    }
}
