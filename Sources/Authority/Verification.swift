// Whose certificate is this: what the control plane asks about a gateway that calls.

internal import Foundation
internal import SwiftASN1
@_spi(FixedExpiryValidationTime) public import X509

/// A gateway, as its certificate names it.
public struct GatewayIdentity: Sendable, Equatable {
    /// A UUID as the certificate has it.
    public var id: String
    /// What it is called.
    public var name: String
    /// Those that its join token gave it, whatever it says of itself.
    public var labels: [String: String]
    /// Lower-case hex.
    public var serial: String
    /// Unix seconds.
    public var notAfter: Int
}

extension Authority {
    /// The gateway that a certificate of this authority names.
    ///
    /// - Parameter certificate: what the peer has shown, and whose key it has used, in the TLS handshake.
    /// - Throws: `badCertificate` for any other authority's, for one that holds no more or not yet, and for one that
    ///   is not a gateway's.
    public func gateway(_ certificate: Certificate, now: Int) async throws(AuthorityError) -> GatewayIdentity {
        // The policy: validity, basic constraints, name constraints, no unknown critical extension (RFC 5280
        // section 6).
        let time = Self.date(now)
        var verifier = Verifier(rootCertificates: CertificateStore([root])) {
            RFC5280Policy(fixedExpiryValidationTime: time)
        }
        switch await verifier.validate(leaf: certificate, intermediates: CertificateStore()) {
        case .validCertificate: break
        case .couldNotValidate:
            let isOurs = root.publicKey.isValidSignature(certificate.signature, for: certificate)
            throw .badCertificate(
                isOurs ? "the certificate is expired or not valid yet" : "the certificate is not of this authority")
        }
        guard certificate != root,
            let usages = try? certificate.extensions.extendedKeyUsage, usages.contains(.clientAuth),
            let names = try? certificate.extensions.subjectAlternativeNames, names.count == 1,
            case .uniformResourceIdentifier(let name) = names.first,
            name.hasPrefix(Self.gatewayIdentity)
        else { throw .badCertificate("the certificate is not a gateway's") }
        let attributes = certificate.subject.flatMap { Array($0) }
        let labels = attributes.filter { $0.type == .RDNAttributeType.organizationalUnitName }
        let commonName = attributes.first { $0.type == .RDNAttributeType.commonName }
        return GatewayIdentity(
            id: String(name.dropFirst(Self.gatewayIdentity.count)), name: commonName?.value.text ?? "",
            labels: Self.labels(labels.map(\.value.text)), serial: certificate.serialNumber.bytes.hex,
            notAfter: Int(certificate.notValidAfter.timeIntervalSince1970))
    }

    /// From `key=value` each; the first of a key counts.
    private static func labels(_ texts: [String]) -> [String: String] {
        var labels: [String: String] = [:]
        for text in texts {
            guard let equals = text.firstIndex(of: "="), equals != text.startIndex else { continue }
            let key = String(text[..<equals])
            if labels[key] == nil { labels[key] = String(text[text.index(after: equals)...]) }
        }
        return labels
    }
}

extension RelativeDistinguishedName.Attribute.Value {
    fileprivate var text: String { String(self) ?? "" }
}
