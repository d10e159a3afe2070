// Explains which stream route takes a connection: the proxy's own table is asked, then its answer is put into words.

public import Bytes
public import Snapshot

/// One end of a stream as far as it is known.
public struct StreamPlace: Sendable, Equatable {
    public var address: IPAddress?
    public var port: UInt16?

    public init(address: IPAddress? = nil, port: UInt16? = nil) {
        self.address = address
        self.port = port
    }

    /// `10.0.0.1:80`, `10.0.0.1`, `port 80` or nothing.
    public var text: String {
        guard let address else { return port.map { "port \($0)" } ?? "" }
        guard let port else { return address.description }
        return address.isIPv6 ? "[\(address)]:\(port)" : "\(address):\(port)"
    }
}

/// One connection or session, as `gateway match` takes it.
public struct StreamMatchQuestion: Sendable, Equatable {
    /// The listener's kind: `tls` ends TLS, or passes it on where a route says so.
    public var transport = StreamTransport.tcp
    public var source = StreamPlace()
    public var destination = StreamPlace()
    /// Of the client's hello; empty: none. With `tcp`, a hello that the listener does not answer itself.
    public var serverName = ""

    public init() {}
}

/// Answers questions about one snapshot's stream routes.
public final class StreamExplainer {
    private let snapshot: Snapshot
    private let table: StreamTable

    public init(_ snapshot: Snapshot) throws(RouteTableError) {
        self.snapshot = snapshot
        table = try StreamTable(routes: snapshot.routes)
    }

    /// - Parameter withReasons: fill `considered`, which costs a scan of the routes.
    public func answer(_ asked: StreamMatchQuestion, withReasons: Bool = true) -> StreamAnswer {
        asked.serverName.withBytes { answer(asked, $0, withReasons: withReasons) }
    }

    private func answer(_ asked: StreamMatchQuestion, _ serverName: Bytes, withReasons: Bool) -> StreamAnswer {
        var question = StreamQuestion(
            transport: asked.transport, source: asked.source.address ?? IPAddress(v4: 0),
            sourcePort: asked.source.port ?? 0, destination: asked.destination.address ?? IPAddress(v4: 0),
            destinationPort: asked.destination.port ?? 0, serverName: serverName)
        // As the proxy does: a hello is offered to be passed on first, then TLS is ended.
        question.isPassthrough =
            asked.transport == .tls || asked.transport == .tcp && !serverName.isEmpty
        let offered = question
        var route = table.match(question)
        if route < 0, asked.transport == .tls {
            question.isPassthrough = false
            route = table.match(question)
        }
        var answer = StreamAnswer()
        answer.verdict = asked.transport == .udp ? .dropped : .closed
        if route >= 0 {
            fill(&answer, snapshot.routes[route], asked.transport)
        } else {
            answer.message = "no Route matched with those values"
        }
        if withReasons { answer.considered = considered(offered, asked, winner: route) }
        return answer
    }

    private func fill(_ answer: inout StreamAnswer, _ route: Route, _ transport: StreamTransport) {
        answer.route = RouteExplainer.label(route)
        guard snapshot.services.indices.contains(route.service) else {
            answer.message = "no Service found with those values"
            return
        }
        let service = snapshot.services[route.service]
        answer.service = service.name.isEmpty ? "\(service.id)" : service.name
        answer.verdict = route.protocols.contains(.tlsPassthrough) ? .passedThrough : .forwarded
        let scheme = transport == .udp ? "udp" : service.protocol == .tls ? "tls" : "tcp"
        answer.upstream = "\(scheme)://\(place(of: service))"
        if transport != .udp {
            answer.proxyProtocol =
                switch service.proxyProtocol {
                case .none: nil
                case .v1: "v1"
                case .v2: "v2"
                }
        }
    }

    /// Of the first target with a weight, if there are several.
    private func place(of service: Service) -> String {
        var (host, port) = (service.host, service.port)
        if snapshot.clusters.indices.contains(service.cluster), snapshot.clusters[service.cluster].isUpstream {
            let targets = snapshot.clusters[service.cluster].targets
            if let target = targets.first(where: { $0.weight > 0 }) ?? targets.first {
                (host, port) = (target.host, target.port)
            }
        }
        return host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
    }

    // MARK: Reasons

    /// Those that match too first, then those that one condition kept out.
    private func considered(
        _ question: StreamQuestion, _ asked: StreamMatchQuestion, winner: Int
    ) -> [MatchAnswer.Considered] {
        let examined = table.examine(question, limit: RouteExplainer.examineLimit)
        var reasons: [MatchAnswer.Considered] = []
        for failures in 0...1 {
            for other in examined where other.failed.count == failures && other.route != winner {
                guard reasons.count < RouteExplainer.consideredLimit else { return reasons }
                let route = snapshot.routes[other.route]
                let reason =
                    if let failure = other.failed.first {
                        StreamReason.mismatch(failure, route, asked)
                    } else if winner >= 0 {
                        StreamReason.order(route, behind: snapshot.routes[winner])
                    } else { "" }
                reasons.append(MatchAnswer.Considered(route: RouteExplainer.label(route), lostBecause: reason))
            }
        }
        return reasons
    }
}
