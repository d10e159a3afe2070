// The sentences that say why a route did not answer.

internal import Snapshot

enum Reason {
    /// Which part of the priority decided, the most significant first.
    static func order(_ loser: RoutePart, behind winner: RoutePart, _ routes: [Route]) -> String {
        let (mine, other) = (routes[loser.route], routes[winner.route])
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

    private static func fold(_ name: String) -> String { String(name.lowercased().map { $0 == "-" ? "_" : $0 }) }

    /// At most three, joined with "or".
    static func list(_ values: [String]) -> String {
        let shown = values.prefix(3).joined(separator: " or ")
        return values.count > 3 ? "\(shown) or \(values.count - 3) more" : shown
    }
}
