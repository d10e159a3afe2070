// Explains matches: the proxy's own table is asked, then its answer is put into words.

public import Bytes
public import Snapshot

/// One request, as `gateway match` takes it.
public struct MatchQuestion: Sendable {
    public var method = "GET"
    /// The Host header; empty: none.
    public var host = ""
    /// The request target, query included.
    public var path = "/"
    public var scheme = "http"
    public var serverName = ""
    /// In order; a name may occur more than once.
    public var headers: [(name: String, value: String)] = []
    /// The port the client connected to; 0: the first listener of that scheme, or 80 or 443.
    public var port = 0
    public var isHTTP2 = false
    /// The client's address; nil: unknown.
    public var source: IPAddress?
    /// 0: unknown.
    public var sourcePort = 0
    /// The address the client connected to; nil: unknown.
    public var destination: IPAddress?

    public init() {}

    /// The connection is TLS.
    var isTLS: Bool { ["https", "grpcs", "wss"].contains(scheme.lowercased()) }
}

/// Answers questions about one snapshot's routes.
public final class RouteExplainer {
    private let snapshot: Snapshot
    private let table: RouteTable
    private let result = MatchResult()
    private let memory = Buffer(capacity: 4096)
    private let out = Buffer(capacity: 1024)

    /// Routes named in `MatchAnswer.considered`.
    public static let consideredLimit = 10
    /// Internal routes held against the request to find those, from the first in order.
    public static let examineLimit = 5000

    public init(_ snapshot: Snapshot) throws(RouteTableError) {
        self.snapshot = snapshot
        table = try RouteTable(routes: snapshot.routes, flavour: snapshot.settings.router)
    }

    /// - Parameter withReasons: fill `considered`, which costs a scan of the routes.
    public func answer(_ question: MatchQuestion, withReasons: Bool = true) -> MatchAnswer {
        memory.clear()
        let texts = [question.method, question.host, question.path, question.serverName]
        let size = texts.reduce(0) { $0 + $1.utf8.count }
        memory.reserve(question.headers.reduce(size) { $0 + $1.name.utf8.count + $1.value.utf8.count })
        let views = texts.map { keep($0) }
        let headers = KeptHeaders(fields: question.headers.map { (keep($0.name), keep($0.value)) })
        let isTLS = question.isTLS
        let request = MatchRequest(
            method: views[0], host: views[1], target: views[2], serverName: views[3], isTLS: isTLS,
            isHTTP2: question.isHTTP2 || question.scheme.lowercased().hasPrefix("grpc"), port: port(question, isTLS),
            source: question.source, sourcePort: question.sourcePort, destination: question.destination)
        let outcome = table.match(request, headers: headers, into: result)
        var answer = MatchAnswer()
        describe(outcome, &answer)
        if result.route >= 0 { fill(&answer, request, question) }
        if withReasons { answer.considered = considered(request, headers, question) }
        return answer
    }

    private func port(_ question: MatchQuestion, _ isTLS: Bool) -> Int {
        if question.port > 0 { return question.port }
        return snapshot.listeners.first { $0.tls == isTLS }?.port ?? (isTLS ? 443 : 80)
    }

    private func keep(_ text: String) -> Bytes {
        let start = memory.end
        memory.append(text)
        return memory.bytes(at: start, count: memory.end - start)
    }

    private func describe(_ outcome: MatchOutcome, _ answer: inout MatchAnswer) {
        switch outcome {
        case .matched: answer.status = 200
        case .notFound: (answer.status, answer.message) = (404, "no Route matched with those values")
        case .badPath: (answer.status, answer.message) = (404, "the path is not UTF-8, so no route can match it")
        case .httpsRequired(let status): (answer.status, answer.message) = (status, "Please use HTTPS protocol")
        case .http2Required: (answer.status, answer.message) = (426, "Please use HTTP2 protocol")
        case .notGRPC: (answer.status, answer.message) = (415, "Non-gRPC request matched gRPC route")
        case .grpcsRequired: (answer.status, answer.message) = (200, "gRPC request matched gRPCs route")
        }
    }

    private func fill(_ answer: inout MatchAnswer, _ request: MatchRequest, _ question: MatchQuestion) {
        let route = snapshot.routes[result.route]
        answer.route = Self.label(route)
        if route.stripPath, result.prefixCount >= 0 {
            answer.stripPrefix = result.path.prefix(result.prefixCount).string
        }
        for group in 0..<result.captureCount {
            if let value = result.capture(group) { answer.captures.append(("\(group)", value.string)) }
        }
        for (name, value) in table.namedCaptures(of: result) { answer.captures.append((name, value.string)) }
        let service =
            route.service >= 0 && route.service < snapshot.services.count ? snapshot.services[route.service] : nil
        answer.service = service.map { $0.name.isEmpty ? "\($0.id)" : $0.name }
        if (301...308).contains(answer.status) {
            answer.redirect = "https://" + question.host + question.path
        }
        guard answer.status == 200, answer.message.isEmpty else { return }
        guard let service else {
            (answer.status, answer.message) = (503, "no Service found with those values")
            return
        }
        out.clear()
        service.path.withBytes {
            UpstreamURI.join(
                service: $0, path: result.path, prefix: result.prefixCount, strip: route.stripPath,
                handling: route.pathHandling, to: out)
        }
        UpstreamURI.appendQuery(of: request.target, to: out)
        answer.upstreamURI = out.readable.string
        answer.upstreamHost = upstreamHost(route, service, question)
    }

    /// The Host that the upstream gets (of the first target with a weight, if there are several).
    private func upstreamHost(_ route: Route, _ service: Service, _ question: MatchQuestion) -> String {
        if route.preserveHost, !question.host.isEmpty { return question.host }
        var host = service.host
        var port = service.port
        if service.cluster >= 0, service.cluster < snapshot.clusters.count {
            let cluster = snapshot.clusters[service.cluster]
            if cluster.isUpstream, let target = cluster.targets.first(where: { $0.weight > 0 }) ?? cluster.targets.first
            {
                (host, port) = (target.host, target.port)
            }
            if !cluster.hostHeader.isEmpty { host = cluster.hostHeader }
        }
        if host.contains(":"), !host.hasPrefix("["), host.utf8.count(where: { $0 == 0x3A }) > 1 { host = "[\(host)]" }
        let standard: Int =
            if !service.protocol.isDisjoint(with: [.http, .grpc]) {
                80
            } else if !service.protocol.isDisjoint(with: [.https, .grpcs]) { 443 } else { 0 }
        return port == standard ? host : "\(host):\(port)"
    }

    static func label(_ route: Route) -> String { route.name.isEmpty ? "\(route.id)" : route.name }

    // MARK: Reasons

    /// Those that match too first, then those that one condition kept out; each route once.
    private func considered(
        _ request: MatchRequest, _ headers: KeptHeaders, _ question: MatchQuestion
    ) -> [MatchAnswer.Considered] {
        let (winner, winnerRank) = (result.route, result.rank)
        let examined = table.examine(request, headers: headers, limit: Self.examineLimit, into: result)
        let path = result.path.string
        let parts = orderedParts
        var seen: Set<Int> = [winner]
        var reasons: [MatchAnswer.Considered] = []
        for failures in 0...1 {
            for other in examined where other.failed.count == failures && reasons.count < Self.consideredLimit {
                guard other.rank != winnerRank, seen.insert(other.route).inserted else { continue }
                let route = snapshot.routes[other.route]
                let reason =
                    if let failure = other.failed.first {
                        Reason.mismatch(failure, parts[other.rank], route, question, path: path)
                    } else if winnerRank >= 0 {
                        Reason.order(parts[other.rank], behind: parts[winnerRank], snapshot.routes)
                    } else { "" }
                reasons.append(MatchAnswer.Considered(route: Self.label(route), lostBecause: reason))
            }
        }
        return reasons
    }

    /// The table's order again, in full.
    private lazy var orderedParts: [RoutePart] = RoutePart.ordered(snapshot.routes)
}

/// Header fields whose bytes the explainer keeps.
struct KeptHeaders: HeaderLookup {
    let fields: [(name: Bytes, value: Bytes)]
    var fieldCount: Int { fields.count }
    func isAbsent(_ index: Int) -> Bool { false }
    func fieldName(_ index: Int) -> Bytes { fields[index].name }
    func fieldValue(_ index: Int) -> Bytes { fields[index].value }
}
