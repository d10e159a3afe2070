// Routes that can never answer, because another takes every request they match.

public import Snapshot

/// A route that another one hides.
public struct ShadowedRoute: Sendable, Equatable {
    /// Indices into the routes.
    public var route: Int
    public var by: Int
    public var reason: String
}

/// Finds routes that can never win. Certain about what it reports; it does not report all there are:
/// two regular expressions are compared as text, so are two expressions of routes, and one route must hide
/// another by itself.
public enum Shadow {
    /// Earlier routes compared with one route; more with the same path are not looked at.
    static let comparisonLimit = 200

    public static func find(
        in routes: [Route], flavour: RouterFlavour = .traditionalCompatible
    ) -> [ShadowedRoute] {
        let parts = RoutePart.ordered(routes)
        var known: [Place: [RoutePart]] = [:]
        var open: [Int: Int] = [:]
        var hidden: [Int: ShadowedRoute] = [:]
        for part in parts { open[part.route, default: 0] += 1 }
        var expressions: [String: RoutePart] = [:]
        for part in parts {
            let route = routes[part.route]
            if !route.expression.isEmpty {
                let key = "\(route.protocols.rawValue) \(route.expression)"
                if let other = expressions[key] {
                    let reason = Reason.order(part, behind: other, routes)
                    hidden[part.route] = ShadowedRoute(route: part.route, by: other.route, reason: reason)
                } else {
                    expressions[key] = part
                }
                continue
            }
            if let other = hider(of: part, routes, known, flavour) {
                open[part.route, default: 0] -= 1
                if open[part.route] == 0 {
                    let reason = Reason.order(part, behind: other, routes)
                    hidden[part.route] = ShadowedRoute(route: part.route, by: other.route, reason: reason)
                }
            }
            for path in part.paths.isEmpty ? [""] : part.paths.map({ route.paths[$0] }) {
                for host in route.hosts.isEmpty ? [""] : lowered(route.hosts) {
                    known[Place(path: path, host: host), default: []].append(part)
                }
            }
        }
        return hidden.values.sorted { $0.route < $1.route }
    }

    /// A path and a host that a route asks for; empty: it asks for none.
    private struct Place: Hashable {
        var path: String
        var host: String
    }

    /// A route that hides another has none of its hosts or all of them, so its first one too.
    private static func hider(
        of part: RoutePart, _ routes: [Route], _ known: [Place: [RoutePart]], _ flavour: RouterFlavour
    ) -> RoutePart? {
        let route = routes[part.route]
        let path = part.paths.first.map { route.paths[$0] } ?? ""
        let hosts = [""] + lowered(Array(route.hosts.prefix(1)))
        for host in hosts {
            let candidates = known[Place(path: path, host: host), default: []].prefix(comparisonLimit)
            let found = candidates.first { other in
                guard other.route != part.route, covers(other, part, routes) else { return false }
                // Where they are conditions, only the same ones are known to cover each other.
                return flavour == .traditionalCompatible || hasSameGuard(routes[other.route], route)
            }
            if let found { return found }
        }
        return nil
    }

    private static func hasSameGuard(_ a: Route, _ b: Route) -> Bool {
        a.protocols == b.protocols && a.sources == b.sources && a.destinations == b.destinations
    }

    /// True if `a` matches whatever `b` does.
    private static func covers(_ a: RoutePart, _ b: RoutePart, _ routes: [Route]) -> Bool {
        let (wide, narrow) = (routes[a.route], routes[b.route])
        let paths = Set(a.paths.map { wide.paths[$0] })
        guard b.paths.allSatisfy({ paths.contains(narrow.paths[$0]) }), a.paths.isEmpty == b.paths.isEmpty else {
            return false
        }
        return coversAll(wide.methods, narrow.methods) && coversAll(lowered(wide.hosts), lowered(narrow.hosts))
            && coversAll(lowered(wide.serverNames), lowered(narrow.serverNames))
            && wide.headers.allSatisfy { rule in
                narrow.headers.contains { $0.name == rule.name && Set($0.values).isSubset(of: rule.values) }
            }
    }

    private static func coversAll(_ wide: [String], _ narrow: [String]) -> Bool {
        wide.isEmpty || !narrow.isEmpty && Set(narrow).isSubset(of: wide)
    }

    /// Host names as they are compared: in lower case, and `a.example.` is `a.example`.
    private static func lowered(_ names: [String]) -> [String] {
        names.map { name in
            let name = name.lowercased()
            return name.hasSuffix(".") && name != "." ? String(name.dropLast()) : name
        }
    }
}
