// Whose certificate is this: what the control plane asks about a gateway that calls.

internal import Foundation
internal import SwiftASN1
@_spi(FixedExpiryValidationTime) internal import X509

/// A gateway, as its certificate names it.
public struct GatewayIdentity: Sendable, Equatable {
    /// A UUID as the certificate has it.
    public var id: String
    /// Lower-case hex.
    public var serial: String
    /// Unix seconds.
    public var notAfter: Int
}

extension Authority {
    /// The gateway that a certificate of this authority names.
    ///
    /// - Parameter der: the certificate that the peer has shown, and whose key it has used, in the TLS handshake.
    /// - Throws: `badCertificate` for any other authority's, for one that holds no more or not yet, and for one that
    ///   is not a gateway's.
    public func gateway(der: [UInt8], now: Int) async throws(AuthorityError) -> GatewayIdentity {
        let certificate: Certificate
        do {
            certificate = try Certificate(derEncoded: der)
        } catch {
            throw .badCertificate("the certificate cannot be read")
        }
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
        return GatewayIdentity(
            id: String(name.dropFirst(Self.gatewayIdentity.count)), serial: certificate.serialNumber.bytes.hex,
            notAfter: Int(certificate.notValidAfter.timeIntervalSince1970))
    }
}
