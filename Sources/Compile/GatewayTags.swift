// Tags of the form `seaway.gateways.KEY=VALUE`: which gateways get an entity, by their labels.

import Model

/// One such tag. Tags of the same key are alternatives; tags of different keys must all hold.
struct GatewayTag {
    static let prefix = "seaway.gateways."

    var key: String
    var value: String

    enum Reading {
        case other
        case malformed
        case tag(GatewayTag)
    }

    /// A key is made of letters, digits, `.`, `_` and `-`; a value is not empty.
    static func read(_ tag: String) -> Reading {
        guard tag.hasPrefix("seaway.gateways") else { return .other }
        guard tag.hasPrefix(prefix), let sign = tag.firstIndex(of: "=") else { return .malformed }
        let key = tag[..<sign].dropFirst(prefix.count)
        let value = tag[tag.index(after: sign)...]
        guard !key.isEmpty, !value.isEmpty, key.utf8.allSatisfy(isKeyByte) else { return .malformed }
        return .tag(GatewayTag(key: String(key), value: String(value)))
    }

    private static func isKeyByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"): true
        case UInt8(ascii: "0")...UInt8(ascii: "9"): true
        case UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "-"): true
        default: false
        }
    }
}

extension EntityHead {
    /// The values that each key of its gateway tags allows; empty: every gateway gets it. A malformed tag, which
    /// compiling refuses, allows none.
    var gatewayTags: [String: Set<String>] {
        guard hasGatewayTags else { return [:] }
        var allowed: [String: Set<String>] = [:]
        for tag in tags {
            switch GatewayTag.read(tag) {
            case .other: continue
            case .malformed: allowed["", default: []] = []
            case .tag(let tag): allowed[tag.key, default: []].insert(tag.value)
            }
        }
        return allowed
    }

    var hasGatewayTags: Bool { tags.contains { $0.hasPrefix("seaway.gateways") } }

    /// Whether a gateway with these labels gets the entity, by its own tags.
    func isFor(_ labels: [String: String]) -> Bool {
        !hasGatewayTags || gatewayTags.allSatisfy { key, values in labels[key].map(values.contains) ?? false }
    }
}

/// Whatever can be given to some gateways only.
protocol HeadedEntity {
    var head: EntityHead { get }
}

extension ServiceEntity: HeadedEntity {}
extension RouteEntity: HeadedEntity {}
extension UpstreamEntity: HeadedEntity {}
extension TargetEntity: HeadedEntity {}
extension ConsumerEntity: HeadedEntity {}
extension PluginEntity: HeadedEntity {}
extension CertificateEntity: HeadedEntity {}
extension ServerNameEntity: HeadedEntity {}
extension CACertificateEntity: HeadedEntity {}
extension KeyAuthEntity: HeadedEntity {}
extension BasicAuthEntity: HeadedEntity {}
extension HMACAuthEntity: HeadedEntity {}
extension JWTSecretEntity: HeadedEntity {}
extension OAuth2Entity: HeadedEntity {}
extension VaultEntity: HeadedEntity {}
extension KeySetEntity: HeadedEntity {}
extension KeyEntity: HeadedEntity {}

// MARK: Findings

extension Compilation {
    /// Whatever needs something that fewer gateways get is missing on the others, as a child of what is missing.
    mutating func checkReach() {
        guard
            model.certificates.contains(where: \.head.hasGatewayTags)
                || model.caCertificates.contains(where: \.head.hasGatewayTags)
                || model.upstreams.contains(where: \.head.hasGatewayTags)
        else { return }
        var upstreams: [String: Int] = [:]
        for (index, upstream) in model.upstreams.enumerated() { upstreams[upstream.name] = index }
        for upstream in model.upstreams where upstream.clientCertificate >= 0 {
            checkReach(
                upstream.head, "upstream \"\(upstream.name)\"", "client_certificate",
                model.certificates[upstream.clientCertificate].head)
        }
        for service in model.services {
            if service.clientCertificate >= 0 {
                checkReach(
                    service.head, label(service), "client_certificate",
                    model.certificates[service.clientCertificate].head)
            }
            for authority in service.caCertificates {
                checkReach(service.head, label(service), "ca_certificates", model.caCertificates[authority].head)
            }
            if let index = upstreams[service.host] {
                checkReach(service.head, label(service), "host", model.upstreams[index].head)
            }
        }
    }

    private mutating func checkReach(_ head: EntityHead, _ entity: String, _ field: String, _ needed: EntityHead) {
        let own = head.gatewayTags
        for (key, values) in needed.gatewayTags.sorted(by: { $0.key < $1.key }) {
            if let chosen = own[key], chosen.isSubset(of: values) { continue }
            let tags = values.sorted().map { "\(GatewayTag.prefix)\(key)=\($0)" }.joined(separator: ", ")
            report(
                head, entity, field, .tag,
                "what it names goes only to gateways of \(tags): the others do not get either",
                remedy: "give both the same tags", severity: .warning)
        }
    }
}
