// When certificates end.

import FoundationEssentials
import Model
import Store
import SwiftASN1
import X509

/// One certificate and its end.
public struct CertificateExpiry: Sendable, Equatable {
    /// `certificates`, `ca_certificates`, `gateways` or `authority`.
    public var type: String
    /// Of the resource or gateway.
    public var id: String
    public var subject: String
    public var issuer: String
    /// DNS names and addresses that it is for.
    public var names: [String]
    /// Unix milliseconds.
    public var notAfter: Int64

    public init(type: String, id: String, subject: String, issuer: String, names: [String], notAfter: Int64) {
        self.type = type
        self.id = id
        self.subject = subject
        self.issuer = issuer
        self.names = names
        self.notAfter = notAfter
    }

    /// The leaf of each certificate that a resource holds; vault references and what cannot be read are left out.
    static func of(_ resource: Resource) -> [CertificateExpiry] {
        guard let spec = try? ConfigValue(json: resource.spec) else { return [] }
        return ["cert", "cert_alt"].compactMap { field in
            guard let text = spec[field].string, let pem = try? PEMDocument.parseMultiple(pemString: text).first,
                let certificate = try? Certificate(pemDocument: pem)
            else { return nil }
            return CertificateExpiry(
                type: resource.key.type, id: resource.key.id.description, subject: "\(certificate.subject)",
                issuer: "\(certificate.issuer)", names: names(certificate),
                notAfter: Int64((certificate.notValidAfter.timeIntervalSince1970 * 1000).rounded()))
        }
    }

    private static func names(_ certificate: Certificate) -> [String] {
        guard let alternatives = try? certificate.extensions.subjectAlternativeNames else { return [] }
        return alternatives.compactMap { name in
            switch name {
            case .dnsName(let text): text
            case .ipAddress(let bytes): address(Array(bytes.bytes))
            case .uniformResourceIdentifier(let text): text
            default: nil
            }
        }
    }

    private static func address(_ bytes: [UInt8]) -> String? {
        if bytes.count == 4 { return bytes.map { String($0) }.joined(separator: ".") }
        guard bytes.count == 16 else { return nil }
        return stride(from: 0, to: 16, by: 2)
            .map { String(UInt16(bytes[$0]) << 8 | UInt16(bytes[$0 + 1]), radix: 16) }.joined(separator: ":")
    }

    func value(now: Int64) -> ConfigValue {
        .object([
            "type": .string(type), "id": .string(id), "name": .string(names.first ?? subject),
            "subject": .string(subject), "issuer": .string(issuer), "names": .array(names.map { .string($0) }),
            "notAfter": .moment(notAfter),
            // Rounded down: half a day left is 0, half a day over is -1.
            "daysLeft": .int(Int((Double(notAfter - now) / 86_400_000).rounded(.down))),
        ])
    }
}
