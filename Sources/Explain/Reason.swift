// The sentences that say why a route did not answer.

internal import Bytes
internal import Snapshot

enum Reason {
    /// Which part of the priority decided, the most significant first.
    static func order(_ loser: RoutePart, behind winner: RoutePart, _ routes: [Route]) -> String {
        let (mine, other) = (routes[loser.route], routes[winner.route])
        if let reason = expressionOrder(mine, behind: other) { return reason }
        let (kinds, otherKinds) = (RoutePriority.kinds(of: mine), RoutePriority.kinds(of: other))
        if kinds != otherKinds { return "fewer kinds of matcher (\(kinds) < \(otherKinds))" }
        if hasPlainHosts(mine) != hasPlainHosts(other) {
            return mine.hosts.isEmpty
                ? "it has no hosts, and \(RouteExplainer.label(other)) names plain ones"
                : "a wildcard host ranks below plain hosts"
        }
        if mine.headers.count != other.headers.count {
            return "fewer headers (\(mine.headers.count) < \(other.headers.count))"
        }
        let (path, otherPath) = (firstPath(loser, mine), firstPath(winner, other))
        let (isRegex, otherIsRegex) = (RoutePart.isRegex(path), RoutePart.isRegex(otherPath))
        if isRegex != otherIsRegex { return "prefix \(path) ranks below the regular expression \(otherPath)" }
        if isRegex, mine.regexPriority != other.regexPriority {
            return "regex_priority \(mine.regexPriority) < \(other.regexPriority)"
        }
        if !isRegex, path.utf8.count != otherPath.utf8.count { return "path \(path) is shorter than \(otherPath)" }
        return "same priority, and its id \(loser.id) is smaller than \(winner.id)"
    }

    static func hasPlainHosts(_ route: Route) -> Bool {
        !route.hosts.isEmpty && !route.hosts.contains { $0.contains("*") }
    }

    private static func firstPath(_ part: RoutePart, _ route: Route) -> String {
        part.paths.first.map { route.paths[$0] } ?? ""
    }

    /// Which condition does not hold.
    static func mismatch(
        _ matcher: Matcher, _ part: RoutePart, _ route: Route, _ question: MatchQuestion, path: String
    ) -> String {
        switch matcher {
        case .expression(let range, let observed): return predicate(route.expression, range, observed)
        case .protocols:
            return "the connection is \(question.isTLS ? "https" : "http"), and the route takes \(protocols(route))"
        case .sources: return address("the client's address", question.source, question.sourcePort, route.sources)
        case .destinations:
            return address("the address connected to", question.destination, question.port, route.destinations)
        case .method: return "method \(question.method) is not \(list(route.methods))"
        case .host:
            return question.host.isEmpty
                ? "there is no host, and it wants \(list(route.hosts))"
                : "host \(question.host) does not match \(list(route.hosts))"
        case .path: return "path \(path) does not match \(list(part.paths.map { route.paths[$0] }))"
        case .serverName:
            let sent = question.serverName.isEmpty ? "no server name was sent" : "server name \(question.serverName)"
            return "\(sent), and it wants \(list(route.serverNames))"
        case .header(let index):
            guard index < route.headers.count else { return "a header does not match" }
            let rule = route.headers[index]
            let sent = question.headers.contains { fold($0.name) == fold(rule.name) }
            return sent
                ? "header \(rule.name) is not \(list(rule.values))"
                : "there is no header \(rule.name), and it wants \(list(rule.values))"
        }
    }

    /// Why a route goes behind one with an expression; nil if that has none.
    static func expressionOrder(_ loser: Route, behind winner: Route) -> String? {
        if winner.expression.isEmpty { return nil }
        if loser.expression.isEmpty { return "routes with an expression go first" }
        if loser.priority != winner.priority { return "priority \(loser.priority) < \(winner.priority)" }
        return "same priority, and its id \(loser.id) is smaller than \(winner.id)"
    }

    /// A part of an expression, and what the request has instead.
    static func predicate(_ expression: String, _ range: Range<Int>, _ observed: [String]?) -> String {
        let bytes = Array(expression.utf8)
        let part = range.upperBound <= bytes.count ? String(decoding: bytes[range], as: UTF8.self) : expression
        let shown = part.split { $0.isWhitespace }.joined(separator: " ")
        guard let observed else { return "\(shown) does not hold" }
        return observed.isEmpty
            ? "\(shown) does not hold: there is no such value" : "\(shown) does not hold: it is \(list(observed))"
    }

    private static func protocols(_ route: Route) -> String {
        let names: [(Protocols, String)] = [(.http, "http"), (.https, "https"), (.grpc, "http"), (.grpcs, "https")]
        return list(names.filter { route.protocols.contains($0.0) }.map(\.1))
    }

    private static func address(_ what: String, _ address: IPAddress?, _ port: Int, _ rules: [AddressRule]) -> String {
        let wanted = rules.map {
            $0.port == 0 ? $0.address : "\($0.address.isEmpty ? "any" : $0.address) port \($0.port)"
        }
        let sent = address.map { port > 0 ? "\($0) port \(port)" : "\($0)" }
        return "\(what) \(sent.map { "is \($0)" } ?? "is not known"), and it wants \(list(wanted))"
    }

    private static func fold(_ name: String) -> String { String(name.lowercased().map { $0 == "-" ? "_" : $0 }) }

    /// At most three, joined with "or".
    static func list(_ values: [String]) -> String {
        let shown = values.prefix(3).joined(separator: " or ")
        return values.count > 3 ? "\(shown) or \(values.count - 3) more" : shown
    }
}
