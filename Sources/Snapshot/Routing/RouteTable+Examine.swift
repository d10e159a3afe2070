// Why other routes did not answer: every rule against one request, for explanations.

/// A kind of condition that a route can set.
public enum Matcher: Sendable, Equatable {
    case method, host, path, serverName
    /// Index into the route's headers.
    case header(Int)
    /// A part of the route's expression that must hold: bytes of its text, and, if the part is one
    /// predicate, the values that it looks at; none: they are absent.
    case expression(Range<Int>, observed: [String]?)
    /// The route's protocols, where they are a condition.
    case protocols
    case sources, destinations
}

/// One internal route held against a request.
public struct Examined: Sendable {
    /// Its place in the table's order; 0 is asked first.
    public var rank: Int
    public var route: Int
    /// Conditions that do not hold; empty: it matches too, and lost by its rank.
    public var failed: [Matcher]
}

extension RouteTable {
    /// Number of internal routes: a route whose paths differ in kind or length counts several times.
    public var ruleCount: Int { rules.count }

    /// Holds up to `limit` internal routes, from rank 0, against `request`. Costs as much as a scan;
    /// `result` is overwritten.
    public func examine<H: HeaderLookup>(
        _ request: MatchRequest, headers: borrowing H, limit: Int, into result: MatchResult
    ) -> [Examined] {
        var probe = Probe()
        guard prepare(request, &probe, result) else { return [] }
        for i in 0..<headers.fieldCount where !headers.isAbsent(i) {
            note(headers.fieldName(i), headers.fieldValue(i), result)
        }
        var examined: [Examined] = []
        for rank in 0..<min(limit, rules.count) {
            examined.append(
                Examined(rank: rank, route: Int(rules[rank].route), failed: failures(rules[rank], probe, result)))
        }
        return examined
    }
}
