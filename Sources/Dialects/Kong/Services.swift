// Services and routes.

import Bytes
import Model

private enum ServiceField {
    static let schema = EntitySchemas.service
    static let name = schema["name"]
    static let retries = schema["retries"]
    static let proto = schema["protocol"]
    static let host = schema["host"]
    static let port = schema["port"]
    static let path = schema["path"]
    static let connectTimeout = schema["connect_timeout"]
    static let writeTimeout = schema["write_timeout"]
    static let readTimeout = schema["read_timeout"]
    static let clientCertificate = schema["client_certificate"]
    static let tlsVerify = schema["tls_verify"]
    static let tlsVerifyDepth = schema["tls_verify_depth"]
    static let caCertificates = schema["ca_certificates"]
    static let enabled = schema["enabled"]
    static let url = schema["url"]
}

private enum RouteField {
    static let schema = EntitySchemas.route
    static let name = schema["name"]
    static let protocols = schema["protocols"]
    static let redirect = schema["https_redirect_status_code"]
    static let stripPath = schema["strip_path"]
    static let preserveHost = schema["preserve_host"]
    static let requestBuffering = schema["request_buffering"]
    static let responseBuffering = schema["response_buffering"]
    static let methods = schema["methods"]
    static let hosts = schema["hosts"]
    static let paths = schema["paths"]
    static let headers = schema["headers"]
    static let snis = schema["snis"]
    static let sources = schema["sources"]
    static let destinations = schema["destinations"]
    static let regexPriority = schema["regex_priority"]
    static let pathHandling = schema["path_handling"]
    static let service = schema["service"]
    static let expression = schema["expression"]
    static let priority = schema["priority"]
}

extension KongLoader {
    /// `url` wins over the fields that it stands for, even over their mistakes.
    func usesURL(_ node: Int) -> Bool {
        let url = document.member(node, "url")
        return url != Document.none && document.kind(url) != .null
    }

    func addService(_ fields: Fields, _ node: Int, _ parent: Parent?) -> Parent? {
        typealias F = ServiceField
        var service = ServiceEntity()
        service.name = string(fields, F.name) ?? ""
        service.protocol = string(fields, F.proto).flatMap { GatewayProtocol(rawValue: $0) } ?? .http
        service.host = string(fields, F.host) ?? ""
        service.port = int(fields, F.port) ?? 80
        service.path = string(fields, F.path) ?? ""
        if fields.has(F.url) { applyURL(fields[F.url], to: &service) }
        service.host = TargetAddress(service.host[...], defaultPort: nil)?.host ?? service.host
        service.retries = int(fields, F.retries) ?? 5
        service.connectTimeout = int(fields, F.connectTimeout) ?? 60000
        service.writeTimeout = int(fields, F.writeTimeout) ?? 60000
        service.readTimeout = int(fields, F.readTimeout) ?? 60000
        service.tlsVerify = bool(fields, F.tlsVerify)
        service.tlsVerifyDepth = int(fields, F.tlsVerifyDepth)
        service.isEnabled = bool(fields, F.enabled) ?? true
        service.head = head(.services, fields, node) {
            service.name.isEmpty
                ? "\(service.protocol.rawValue)://\(service.host):\(service.port)\(service.path)" : service.name
        }
        if service.name.isEmpty, !fields.has(EntitySchemas.service["id"]) {
            service.head.id = contentIdentifier(
                .services, "\(service.protocol.rawValue)://\(service.host):\(service.port)\(service.path)")
        }
        let index = model.services.count
        service.clientCertificate = link(
            fields, F.clientCertificate, to: .certificates, from: .services, index, parent)
        for element in elements(fields[F.caCertificates]) {
            pending.append(
                PendingReference(
                    kind: .services, index: index, field: "ca_certificates", target: .caCertificates,
                    text: document.text(element), scopes: scopes, node: element))
        }
        checkService(service, fields, node)
        model.services.append(service)
        return Parent(kind: .services, index: index, id: service.head.id)
    }

    private func applyURL(_ node: Int, to service: inout ServiceEntity) {
        guard let url = document.withText(node, { ServiceURL($0) }) else { return }
        guard let proto = GatewayProtocol(rawValue: url.scheme) else {
            let isWebSocket = url.scheme == "ws" || url.scheme == "wss"
            report(
                .badValue, at: node, field: "url", "the scheme \(url.scheme) is none that a service speaks",
                remedy: isWebSocket
                    ? "write \(url.scheme == "ws" ? "http" : "https")://; WebSockets work over it"
                    : "write http://, https://, grpc://, grpcs://, tcp://, tls:// or udp://")
            return
        }
        service.protocol = proto
        service.host = url.host
        service.port = url.port ?? (proto == .https ? 443 : 80)
        service.path = url.path
        guard !url.path.isEmpty else { return }
        if let problem = url.path.withBytes({ TextForms.problem(.path, $0) }) {
            report(problem.code, at: node, field: "url", problem.message, remedy: problem.remedy)
        }
    }

    private func checkService(_ service: ServiceEntity, _ fields: Fields, _ node: Int) {
        typealias F = ServiceField
        switch service.protocol {
        case .http, .https: break
        case .grpc, .grpcs, .tcp, .tls, .udp, .tlsPassthrough:
            if !service.path.isEmpty {
                let place = fields.has(F.path) ? fields[F.path] : fields.has(F.url) ? fields[F.url] : node
                report(
                    .combination, at: place, field: "path",
                    "a service of protocol \(service.protocol.rawValue) has no path", remedy: "remove the path")
            }
        }
        guard service.protocol != .https, service.protocol != .tls else { return }
        for position in [F.clientCertificate, F.tlsVerify, F.tlsVerifyDepth, F.caCertificates]
        where fields.has(position) {
            // An empty list says nothing.
            if document.kind(fields[position]) == .array, document.count(fields[position]) == 0 { continue }
            let name = fields.schema.fields[position].name
            report(
                .combination, at: fields[position], field: name,
                "\(name) needs protocol https or tls, not \(service.protocol.rawValue)",
                remedy: "remove \(name) or change the protocol")
        }
    }

    // MARK: Routes

    func addRoute(_ fields: Fields, _ node: Int, _ parent: Parent?) -> Parent? {
        typealias F = RouteField
        var route = RouteEntity()
        route.name = string(fields, F.name) ?? ""
        if fields.has(F.protocols) {
            route.protocols = strings(fields, F.protocols, unique: true).compactMap { GatewayProtocol(rawValue: $0) }
        }
        route.methods = strings(fields, F.methods, unique: true)
        route.hosts = strings(fields, F.hosts)
        route.paths = routePaths(fields)
        route.headers = headerMatches(fields)
        route.serverNames = strings(fields, F.snis, unique: true)
        route.sources = addresses(fields, F.sources)
        route.destinations = addresses(fields, F.destinations)
        route.regexPriority = int(fields, F.regexPriority) ?? 0
        if fields.has(F.expression) {
            route.expression = string(fields, F.expression) ?? ""
            if purpose.hasPlaces {
                let position = document.position(fields[F.expression])
                (route.expressionLine, route.expressionColumn) = (sourceLine(position.line), position.column)
            }
        }
        route.priority = int(fields, F.priority) ?? 0
        let isGRPC = route.protocols.contains { $0 == .grpc || $0 == .grpcs }
        route.stripPath = bool(fields, F.stripPath) ?? !isGRPC
        route.isPathHandlingV1 = fields.has(F.pathHandling) && document.text(fields[F.pathHandling]) == "v1"
        route.preserveHost = bool(fields, F.preserveHost) ?? false
        route.httpsRedirectStatus = int(fields, F.redirect) ?? 426
        route.requestBuffering = bool(fields, F.requestBuffering) ?? true
        route.responseBuffering = bool(fields, F.responseBuffering) ?? true
        checkRoute(route, fields, node)
        route.head = head(.routes, fields, node) { route.name }
        if route.name.isEmpty, !fields.has(EntitySchemas.route["id"]) {
            route.head.id = contentIdentifier(
                .routes, route.content(service: keyPart(fields, F.service, parent, .routes)))
        }
        let index = model.routes.count
        route.service = link(fields, F.service, to: .services, from: .routes, index, parent)
        model.routes.append(route)
        return Parent(kind: .routes, index: index, id: route.head.id)
    }

    private func routePaths(_ fields: Fields) -> [String] {
        guard fields.has(RouteField.paths) else { return [] }
        guard format != .v3 else {
            warnAboutPatterns(fields[RouteField.paths])
            return strings(fields, RouteField.paths)
        }
        var result: [String] = []
        for (index, element) in elements(fields[RouteField.paths]).enumerated() {
            let written = document.withText(element) { $0.array }
            let path = RoutePath.migrated(written)
            if let problem = path.withBytes({ TextForms.problem(.routePath, $0) }) {
                report(
                    problem.code, at: element, field: "paths[\(index + 1)]", problem.message, remedy: problem.remedy)
            }
            result.append(String(decoding: path, as: UTF8.self))
        }
        return result
    }

    /// Since 3.0 a path is a regular expression only behind `~`; before, special characters made it one, and
    /// `{id}` and `:id` come from other tools. Such a path loads and then matches nothing that anyone asks for.
    private func warnAboutPatterns(_ paths: Int) {
        var element = document.firstElement(paths)
        var index = 1
        while element != Document.none {
            if document.withText(element, { RoutePath.looksLikePattern($0) }) {
                report(
                    .badValue, .warning, at: element, field: "paths[\(index)]",
                    "the path looks like a pattern, but without ~ it matches these very characters",
                    remedy: "write ~/… with a regular expression, as in ~/users/[^/]+$, or only what goes before it")
            }
            element = document.next(element)
            index += 1
        }
    }

    private func headerMatches(_ fields: Fields) -> [HeaderMatch] {
        guard fields.has(RouteField.headers) else { return [] }
        var result: [HeaderMatch] = []
        var entry = document.firstEntry(fields[RouteField.headers])
        while entry != Document.none {
            let name = document.symbols[document.symbol(entry)]
            let value = document.value(entry)
            if name.lowercased() == "host" {
                report(
                    .combination, at: entry, field: "headers.\(name)", "Host is matched by hosts, not by headers",
                    remedy: "use the route's hosts")
            }
            result.append(HeaderMatch(name: name, values: elements(value).map { document.text($0) }))
            entry = document.nextEntry(entry)
        }
        return result.sorted { $0.name < $1.name }
    }

    private func addresses(_ fields: Fields, _ position: Int) -> [AddressMatch] {
        guard fields.has(position) else { return [] }
        var result: [AddressMatch] = []
        for element in elements(fields[position]) {
            let ip = document.member(element, "ip")
            let port = document.member(element, "port")
            var match = AddressMatch()
            if ip != Document.none { match.ip = document.string(ip) ?? "" }
            if port != Document.none { match.port = document.int(port) ?? 0 }
            if match.ip.isEmpty, match.port == 0 {
                report(
                    .combination, at: element, field: fields.schema.fields[position].name,
                    "at least one of ip and port is needed", remedy: "add ip or port")
            }
            if !result.contains(match) { result.append(match) }
        }
        return result
    }

    private static let protocolGroups: [Set<GatewayProtocol>] = [
        [.http, .https], [.tcp, .tls, .udp], [.tlsPassthrough], [.grpc, .grpcs],
    ]

    private func checkRoute(_ route: RouteEntity, _ fields: Fields, _ node: Int) {
        typealias F = RouteField
        let protocols = Set(route.protocols)
        if !Self.protocolGroups.contains(where: protocols.isSubset) {
            report(
                .combination, at: fields.has(F.protocols) ? fields[F.protocols] : node, field: "protocols",
                "protocols of different families do not share a route",
                remedy: "use one of: http and https; tcp, tls and udp; tls_passthrough; grpc and grpcs")
            return
        }
        if fields.has(F.expression) { return checkExpression(route, fields) }
        if fields.has(F.priority), route.priority != 0 || !hasExpressions {
            report(
                hasExpressions ? .combination : .expressionRoute, at: fields[F.priority], field: "priority",
                "priority belongs to routes with an expression", remedy: "use regex_priority, or remove it")
        }
        let isTLS = !protocols.isDisjoint(with: [.https, .grpcs, .tls, .tlsPassthrough])
        if !isTLS, !route.serverNames.isEmpty {
            report(
                .combination, at: fields[F.snis], field: "snis", "snis need https, grpcs, tls or tls_passthrough",
                remedy: "add one of these protocols or remove snis")
        }
        checkMatchers(route, fields, node, isTLS: isTLS)
        if protocols.contains(.grpc) || protocols.contains(.grpcs) {
            checkStripPath(route, fields)
            if !route.methods.isEmpty {
                report(
                    .combination, at: fields[F.methods], field: "methods", "a gRPC route has no methods",
                    remedy: "remove methods; gRPC is always POST")
            }
        }
    }

    private func checkStripPath(_ route: RouteEntity, _ fields: Fields) {
        guard route.stripPath, fields.has(RouteField.stripPath) else { return }
        report(
            .combination, at: fields[RouteField.stripPath], field: "strip_path", "a gRPC route cannot strip its path",
            remedy: "remove strip_path")
    }

    /// An expression stands alone. What it says is checked where it is compiled.
    private func checkExpression(_ route: RouteEntity, _ fields: Fields) {
        typealias F = RouteField
        guard hasExpressions else {
            return report(
                .expressionRoute, at: fields[F.expression], field: "expression",
                "routes written as expressions need the expressions router",
                remedy:
                    "start with --router expressions, or write the route with methods, hosts, paths, headers and snis")
        }
        if route.expression.utf8.allSatisfy({ $0 <= 0x20 }) {
            report(
                .expression, at: fields[F.expression], field: "expression", "the expression is empty",
                remedy: "write a predicate, as in http.path ^= \"/\", or remove the field")
        }
        let examples = [
            (F.methods, "http.method == \"GET\""), (F.hosts, "http.host == \"example.com\""),
            (F.paths, "http.path ^= \"/\""), (F.headers, "any(lower(http.headers.x_name)) == \"value\""),
            (F.snis, "tls.sni == \"example.com\""), (F.sources, "net.src.ip in 192.0.2.0/24"),
            (F.destinations, "net.dst.port == 8000"),
        ]
        for (position, example) in examples where !isEmptyContainer(fields[position]) {
            let name = fields.schema.fields[position].name
            report(
                .combination, at: fields[position], field: name, "\(name) and expression exclude each other",
                remedy: "write it into the expression, as in \(example)")
        }
        if route.regexPriority != 0 {
            report(
                .combination, at: fields[F.regexPriority], field: "regex_priority",
                "regex_priority does not apply to an expression", remedy: "use priority")
        }
        if route.protocols.contains(where: { $0 == .grpc || $0 == .grpcs }) { checkStripPath(route, fields) }
    }

    private func checkMatchers(_ route: RouteEntity, _ fields: Fields, _ node: Int, isTLS: Bool) {
        typealias F = RouteField
        let allowed: [Int]
        let names: String
        let addresses = [F.sources, F.destinations]
        switch route.protocols.first {
        case .tcp, .tls, .udp:
            allowed = [F.sources, F.destinations, F.snis]
            names = isTLS ? "sources, destinations or snis" : "sources or destinations"
        case .tlsPassthrough:
            allowed = [F.snis, F.sources, F.destinations]
            names = "snis"
        case .grpc, .grpcs:
            allowed = [F.hosts, F.headers, F.paths, F.snis, F.methods] + (hasExpressions ? addresses : [])
            names = "hosts, headers\(isTLS ? ", snis" : "") or paths"
        case .http, .https, nil:
            allowed = [F.methods, F.hosts, F.headers, F.paths, F.snis] + (hasExpressions ? addresses : [])
            names = "methods, hosts, headers\(isTLS ? ", snis" : "") or paths"
        }
        let all = [F.methods, F.hosts, F.headers, F.paths, F.snis, F.sources, F.destinations]
        for position in all where !allowed.contains(position) && !isEmptyContainer(fields[position]) {
            let name = fields.schema.fields[position].name
            let family = route.protocols.map(\.rawValue).joined(separator: ", ")
            report(
                .combination, at: fields[position], field: name, "\(name) does not apply to \(family)",
                remedy: addresses.contains(position) && !hasExpressions && !route.isStream
                    ? "remove \(name), or start with --router expressions, where HTTP routes have it"
                    : "remove \(name) or change the protocols")
        }
        if all.allSatisfy({ isEmptyContainer(fields[$0]) }), !hasRefusedMatcher(node) {
            report(
                .combination, at: node,
                "a route of \(route.protocols.map(\.rawValue).joined(separator: ", ")) needs a matcher",
                remedy: "add at least one of \(names)")
        }
    }

    /// A matcher that is there but was refused has had its finding.
    private func hasRefusedMatcher(_ node: Int) -> Bool {
        ["methods", "hosts", "headers", "paths", "snis", "sources", "destinations"].contains {
            !isEmptyContainer(document.member(node, $0))
        }
    }

    private func isEmptyContainer(_ node: Int) -> Bool {
        if node == Document.none { return true }
        return switch document.kind(node) {
        case .null: true
        case .array, .record: document.count(node) == 0
        case .bool, .int, .double, .string, .key: false
        }
    }
}
