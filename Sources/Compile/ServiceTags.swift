// Tags that begin with `seaway.`: what Kong's entities have no field for, kept where other tools leave it alone.

import Model
import Snapshot

extension Compilation {
    private static let prefix = "seaway."
    private static let proxyProtocol = "seaway.proxy-protocol"
    private static let upstreamProtocol = "seaway.upstream-protocol"
    private static let known =
        "the tags are \(GatewayTag.prefix)KEY=VALUE, and of services \(proxyProtocol)=v1, \(proxyProtocol)=v2 and "
        + "\(upstreamProtocol)=h2"

    /// Puts the tags of a service in effect.
    mutating func applyTags(_ entity: ServiceEntity, to service: inout Service) {
        service.http2 = entity.protocol == .grpc || entity.protocol == .grpcs
        for tag in entity.head.tags where tag.hasPrefix(Self.prefix) {
            if checkGatewayTag(tag, entity.head, label(entity)) { continue }
            let parts = tag.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
            let value = parts.count == 2 ? parts[1] : ""
            switch parts[0] {
            case Self.proxyProtocol: applyProxyProtocol(value, entity, &service)
            case Self.upstreamProtocol: applyUpstreamProtocol(value, entity, &service)
            default: refuse(tag, entity.head, label(entity), "is no tag that Seaway knows", remedy: Self.known)
            }
        }
    }

    private mutating func applyProxyProtocol(_ value: String, _ entity: ServiceEntity, _ service: inout Service) {
        let version: ProxyProtocolVersion
        switch value {
        case "v1": version = .v1
        case "v2": version = .v2
        default:
            return refuse(
                "\(Self.proxyProtocol)=\(value)", entity.head, label(entity), "names no version of the protocol",
                remedy: "write \(Self.proxyProtocol)=v1 or \(Self.proxyProtocol)=v2")
        }
        switch entity.protocol {
        case .tcp, .tls, .tlsPassthrough:
            guard service.proxyProtocol == .none || service.proxyProtocol == version else {
                return refuse(
                    "\(Self.proxyProtocol)=\(value)", entity.head, label(entity),
                    "contradicts another tag of the service",
                    remedy: "keep one of v1 and v2")
            }
            service.proxyProtocol = version
        case .http, .https, .grpc, .grpcs:
            refuse(
                "\(Self.proxyProtocol)=\(value)", entity.head, label(entity),
                "needs a service of tcp, tls or tls_passthrough, not of \(entity.protocol.rawValue)",
                remedy: "remove it: X-Forwarded-For tells an HTTP upstream who the client is")
        case .udp:
            refuse(
                "\(Self.proxyProtocol)=\(value)", entity.head, label(entity),
                "needs a service of tcp, tls or tls_passthrough, not of udp",
                remedy: "remove it: datagrams have no first byte to put a header before")
        }
    }

    private mutating func applyUpstreamProtocol(_ value: String, _ entity: ServiceEntity, _ service: inout Service) {
        let tag = "\(Self.upstreamProtocol)=\(value)"
        guard value == "h2" else {
            return refuse(
                tag, entity.head, label(entity), "names no protocol that can be asked for",
                remedy: "write \(Self.upstreamProtocol)=h2, or remove it: without, HTTP/1.1 is spoken")
        }
        guard !entity.protocol.isStream else {
            return refuse(
                tag, entity.head, label(entity), "needs a service of http or https, not of \(entity.protocol.rawValue)",
                remedy: "remove it, or change the service's protocol")
        }
        service.http2 = true
    }

    /// Whether it is one that chooses gateways, which must be well-formed then.
    private mutating func checkGatewayTag(_ tag: String, _ head: EntityHead, _ entity: String) -> Bool {
        switch GatewayTag.read(tag) {
        case .other: return false
        case .tag: break
        case .malformed:
            refuse(
                tag, head, entity, "names no label of gateways",
                remedy: "write \(GatewayTag.prefix)KEY=VALUE, such as \(GatewayTag.prefix)zone=eu")
        }
        return true
    }

    /// Any entity may be for some gateways only. The other tags are of services: one elsewhere would do nothing,
    /// and its author would not know.
    mutating func refuseTagsElsewhere() {
        for route in model.routes where hasTags(route.head) { refuseTags(of: route.head, label(route)) }
        for upstream in model.upstreams {
            if hasTags(upstream.head) { refuseTags(of: upstream.head, "upstream \"\(upstream.name)\"") }
            for target in upstream.targets where hasTags(target.head) {
                refuseTags(of: target.head, "target \"\(target.host):\(target.port)\"")
            }
        }
        for consumer in model.consumers where hasTags(consumer.head) {
            let name = consumer.username.isEmpty ? consumer.customID : consumer.username
            refuseTags(of: consumer.head, "consumer \"\(name)\"")
        }
        for plugin in model.plugins where hasTags(plugin.head) {
            refuseTags(of: plugin.head, "plugin \"\(plugin.name)\"")
        }
        for certificate in model.certificates where hasTags(certificate.head) {
            refuseTags(of: certificate.head, "a certificate")
        }
        for name in model.serverNames where hasTags(name.head) { refuseTags(of: name.head, "sni \"\(name.name)\"") }
        for authority in model.caCertificates where hasTags(authority.head) {
            refuseTags(of: authority.head, "a ca_certificate")
        }
        for credential in model.keyAuthCredentials where hasTags(credential.head) {
            refuseTags(of: credential.head, "a keyauth_credential")
        }
        for credential in model.basicAuthCredentials where hasTags(credential.head) {
            refuseTags(of: credential.head, "a basicauth_credential")
        }
        for credential in model.hmacAuthCredentials where hasTags(credential.head) {
            refuseTags(of: credential.head, "a hmacauth_credential")
        }
        for secret in model.jwtSecrets where hasTags(secret.head) { refuseTags(of: secret.head, "a jwt_secret") }
        for credential in model.oauth2Credentials where hasTags(credential.head) {
            refuseTags(of: credential.head, "an oauth2_credential")
        }
        for vault in model.vaults where hasTags(vault.head) { refuseTags(of: vault.head, "vault \"\(vault.prefix)\"") }
        for set in model.keySets where hasTags(set.head) { refuseTags(of: set.head, "key set \"\(set.name)\"") }
        for key in model.keys where hasTags(key.head) { refuseTags(of: key.head, "key \"\(key.keyID)\"") }
    }

    private func hasTags(_ head: EntityHead) -> Bool { head.tags.contains { $0.hasPrefix(Self.prefix) } }

    private mutating func refuseTags(of head: EntityHead, _ entity: String) {
        for tag in head.tags where tag.hasPrefix(Self.prefix) {
            if checkGatewayTag(tag, head, entity) { continue }
            refuse(tag, head, entity, "does nothing here", remedy: Self.known)
        }
    }

    private mutating func refuse(
        _ tag: String, _ head: EntityHead, _ entity: String, _ problem: String, remedy: String
    ) {
        report(head, entity, "tags", .tag, "\(tag) \(problem)", remedy: remedy)
    }

    func label(_ service: ServiceEntity) -> String {
        service.name.isEmpty ? "a service" : "service \"\(service.name)\""
    }
}
