// Whether stream routes, their services and the listeners go together.

public import Model
public import Snapshot

extension Compilation {
    /// Kong takes any pair; some of them carry nothing that the other side understands.
    mutating func checkService(of route: RouteEntity) {
        guard route.service >= 0 else { return }
        let service = model.services[route.service]
        let name = service.protocol.rawValue
        let isHTTP = !service.protocol.isStream
        func warn(_ message: String, remedy: String) -> Diagnostic {
            Diagnostic(
                .warning, code: DiagnosticCode.serviceProtocol.rawValue, file: file, line: route.head.line,
                column: route.head.column, entity: label(route), field: "service", message: message, remedy: remedy)
        }
        if route.isStream, isHTTP {
            findings.append(
                warn(
                    "it carries bytes, and \(label(service)) is one of \(name): they go to it as they are",
                    remedy: "set the service's protocol to tcp, tls or udp"))
        } else if !route.isStream, !isHTTP {
            findings.append(
                warn(
                    "it carries requests, and \(label(service)) is one of \(name): HTTP is spoken to it",
                    remedy: "set the service's protocol to http or https, or the route's to tcp, tls or udp"))
        } else if route.protocols == [.tlsPassthrough], service.protocol == .tls {
            findings.append(
                warn(
                    "it passes TLS on, and \(label(service)) is one of tls: the client's TLS goes inside another one",
                    remedy: "set the service's protocol to tcp or tls_passthrough"))
        } else if route.protocols.contains(.udp), service.protocol == .tls || service.protocol == .tlsPassthrough {
            findings.append(
                warn(
                    "its datagrams go to \(label(service)) as they are, without the \(name) of the service",
                    remedy: "give udp a route and a service of its own"))
        }
    }
}

extension GatewayCompiler {
    /// What stream routes miss among the listeners, and stream listeners among the routes. All warnings.
    ///
    /// - Parameters:
    ///   - snapshot: compiled, with the listeners that it is going to be served on.
    ///   - file: the configuration's file, for findings.
    public static func listenerFindings(_ snapshot: Snapshot, file: String = "") -> [Diagnostic] {
        let listeners = snapshot.listeners.filter { $0.kind == .stream }
        let served = listeners.reduce(into: Protocols()) { $0.formUnion(Self.protocols(of: $1)) }
        let wanted = snapshot.routes.reduce(into: Protocols()) { $0.formUnion($1.protocols) }
        return unservedRoutes(snapshot, served, file) + idleListeners(listeners, wanted, file)
    }

    /// What a stream listener can serve.
    private static func protocols(of listener: Listener) -> Protocols {
        if listener.udp { return .udp }
        return listener.tls ? [.tls, .tlsPassthrough] : [.tcp, .tlsPassthrough]
    }

    /// One finding for all routes of the same protocols: it is one flag that is missing.
    private static func unservedRoutes(_ snapshot: Snapshot, _ served: Protocols, _ file: String) -> [Diagnostic] {
        var counts: [Protocols: Int] = [:]
        var first: [(Protocols, Route)] = []
        for route in snapshot.routes {
            let wanted = route.protocols.intersection(.anyStream)
            guard !wanted.isEmpty, wanted.isDisjoint(with: served) else { continue }
            if counts[wanted] == nil { first.append((wanted, route)) }
            counts[wanted, default: 0] += 1
        }
        return first.map { wanted, route in
            let others = (counts[wanted] ?? 1) - 1
            let more = others == 0 ? "" : ", nor \(others) other route\(others == 1 ? "" : "s") of \(names(wanted))"
            return Diagnostic(
                .warning, code: DiagnosticCode.streamRoute.rawValue, file: file, line: route.line,
                entity: route.name.isEmpty ? "a route" : "route \"\(route.name)\"", field: "protocols",
                message: "no listener serves it\(more)",
                remedy: "start the gateway with --stream \(example(wanted, route))")
        }
    }

    /// A listener that the route could be served by.
    private static func example(_ wanted: Protocols, _ route: Route) -> String {
        let port = route.destinations.first { $0.port > 0 }?.port ?? 9000
        let option = wanted.contains(.tcp) ? "" : wanted.isDisjoint(with: [.tls, .tlsPassthrough]) ? ",udp" : ",tls"
        return "'*:\(port)\(option)'"
    }

    private static func idleListeners(_ listeners: [Listener], _ wanted: Protocols, _ file: String) -> [Diagnostic] {
        listeners.filter { protocols(of: $0).isDisjoint(with: wanted) }.map { listener in
            let host = listener.address.contains(":") ? "[\(listener.address)]" : listener.address
            let served = protocols(of: listener)
            return Diagnostic(
                .warning, code: DiagnosticCode.streamRoute.rawValue, file: file,
                entity: "listener \(host):\(listener.port)", field: "--stream",
                message:
                    "\(listener.udp ? "drops every datagram" : "closes every connection"): no route is of \(names(served))",
                remedy: "add such a route, or leave the listener out")
        }
    }

    private static func names(_ protocols: Protocols) -> String {
        let all: [(Protocols, String)] = [
            (.tcp, "tcp"), (.tls, "tls"), (.udp, "udp"), (.tlsPassthrough, "tls_passthrough"),
        ]
        let named = all.filter { protocols.contains($0.0) }.map(\.1)
        return named.count < 2 ? named.joined() : named.dropLast().joined(separator: ", ") + " or " + (named.last ?? "")
    }
}
