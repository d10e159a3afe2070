// What becomes of one connection or session of datagrams, and why: the answer of `gateway match` for streams.

/// The verdict on one stream.
public struct StreamAnswer: Sendable, Equatable {
    public enum Verdict: String, Sendable {
        /// Its bytes or datagrams go to the service; TLS is ended first, where the listener ends it.
        case forwarded
        /// Its TLS goes to the service as it is.
        case passedThrough = "passed_through"
        /// Nothing takes the connection.
        case closed
        /// Nothing takes the datagrams.
        case dropped
    }

    public var verdict = Verdict.closed
    /// In words, when the stream goes nowhere.
    public var message = ""
    public var route: String?
    public var service: String?
    /// `tcp://`, `tls://` or `udp://` with host and port: what the gateway speaks to the upstream.
    public var upstream: String?
    /// `v1` or `v2`: the PROXY protocol header that the upstream gets first.
    public var proxyProtocol: String?
    public var considered: [MatchAnswer.Considered] = []

    public init() {}

    /// One line of JSON; keys always in this order.
    public var json: String {
        var out = JSONText()
        out.open("{")
        out.field("verdict", verdict.rawValue)
        out.field("route", route)
        out.field("service", service)
        out.field("upstream", upstream)
        out.field("proxy_protocol", proxyProtocol)
        out.key("considered")
        out.open("[")
        for other in considered {
            out.element()
            out.open("{")
            out.field("route", other.route)
            out.field("lost_because", other.lostBecause)
            out.close("}")
        }
        out.close("]")
        if !message.isEmpty { out.field("message", message) }
        out.close("}")
        return out.text
    }
}
