// What becomes of one request, and why: the answer of `gateway match`.

/// The verdict on one request.
public struct MatchAnswer: Sendable, Equatable {
    /// A route that was looked at and did not answer.
    public struct Considered: Sendable, Equatable {
        /// Name, or id if it has none.
        public var route: String
        /// A sentence without a full stop.
        public var lostBecause: String
    }

    /// What the gateway itself would answer; 200: the request goes to the service.
    public var status = 404
    /// In words, when the request goes nowhere.
    public var message = ""
    public var route: String?
    public var service: String?
    public var upstreamURI: String?
    public var upstreamHost: String?
    public var redirect: String?
    /// What the route takes off the path; nil: nothing.
    public var stripPrefix: String?
    /// "0" is the whole match, then groups by number, then groups by name.
    public var captures: [(name: String, value: String)] = []
    public var considered: [Considered] = []

    public init() {}

    public static func == (a: MatchAnswer, b: MatchAnswer) -> Bool { a.json == b.json }

    /// One line of JSON; keys always in this order.
    public var json: String {
        var out = JSONText()
        out.open("{")
        out.key("status")
        out.raw("\(status)")
        out.field("route", route)
        out.field("service", service)
        out.field("upstream_uri", upstreamURI)
        out.field("upstream_host", upstreamHost)
        out.field("strip_prefix", stripPrefix)
        out.key("captures")
        out.open("{")
        for (name, value) in captures { out.field(name, value) }
        out.close("}")
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
        if let redirect { out.field("location", redirect) }
        out.close("}")
        return out.text
    }
}

/// Writes JSON text: enough for flat answers, with keys in the order written.
struct JSONText {
    private(set) var text = ""
    private var first = true

    mutating func open(_ bracket: String) {
        text += bracket
        first = true
    }

    mutating func close(_ bracket: String) {
        text += bracket
        first = false
    }

    mutating func element() {
        if !first { text += ", " }
        first = false
    }

    mutating func key(_ name: String) {
        element()
        quote(name)
        text += ": "
    }

    mutating func raw(_ value: String) { text += value }

    mutating func field(_ name: String, _ value: String?) {
        key(name)
        if let value { quote(value) } else { text += "null" }
    }

    private mutating func quote(_ value: String) {
        text += "\""
        for scalar in value.unicodeScalars {
            switch scalar {
            case "\"": text += "\\\""
            case "\\": text += "\\\\"
            case "\n": text += "\\n"
            case "\r": text += "\\r"
            case "\t": text += "\\t"
            default:
                if scalar.value < 0x20 || scalar.value == 0x7F {
                    let hex = String(scalar.value, radix: 16)
                    text += "\\u" + String(repeating: "0", count: 4 - hex.utf8.count) + hex
                } else {
                    text.unicodeScalars.append(scalar)
                }
            }
        }
        text += "\""
    }
}
