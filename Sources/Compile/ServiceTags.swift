// Tags that begin with `seaway.`: what Kong's services have no field for, kept where other tools leave it alone.

import Model
import Snapshot

extension Compilation {
    private static let prefix = "seaway."
    private static let proxyProtocol = "seaway.proxy-protocol"
    private static let upstreamProtocol = "seaway.upstream-protocol"
    private static let known =
        "the tags are \(proxyProtocol)=v1, \(proxyProtocol)=v2 and \(upstreamProtocol)=h2, all of services"

    /// Puts the tags of a service in effect.
    mutating func applyTags(_ entity: ServiceEntity, to service: inout Service) {
        service.http2 = entity.protocol == .grpc || entity.protocol == .grpcs
        for tag in entity.head.tags where tag.hasPrefix(Self.prefix) {
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

    /// Nothing but services has such tags: one elsewhere would do nothing, and its author would not know.
    mutating func refuseTagsElsewhere() {
        for route in model.routes { refuseTags(of: route.head, label(route)) }
        for upstream in model.upstreams { refuseTags(of: upstream.head, "upstream \"\(upstream.name)\"") }
    }

    private mutating func refuseTags(of head: EntityHead, _ entity: String) {
        for tag in head.tags where tag.hasPrefix(Self.prefix) {
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
