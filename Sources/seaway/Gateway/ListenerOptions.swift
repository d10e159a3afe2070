// Listeners as people write them: an address, and options behind commas.

import ArgumentParser
import Snapshot

/// One address that the gateway serves.
struct PlannedListener: Hashable, Sendable {
    var place: ListenAddress
    var kind = ListenerKind.http
    var tls = false
    var udp = false
    var proxyProtocol = false

    /// The flag that asks for it.
    var flag: String { kind == .stream ? "--stream" : tls ? "--https" : "--http" }

    /// `tcp`, `tls` or `udp`; `http` or `https`.
    var scheme: String {
        switch kind {
        case .http: tls ? "https" : "http"
        case .stream: udp ? "udp" : tls ? "tls" : "tcp"
        }
    }
}

extension PlannedListener {
    /// `ADDRESS[,proxy_protocol]` of `--http`.
    static func http(_ text: String) throws -> PlannedListener { try parse(text, .http, options: ["proxy_protocol"]) }

    /// `ADDRESS[,proxy_protocol]` of `--https`.
    static func https(_ text: String) throws -> PlannedListener {
        var listener = try parse(text, .http, options: ["proxy_protocol"])
        listener.tls = true
        return listener
    }

    /// `ADDRESS[,tls][,udp][,proxy_protocol]` of `--stream`.
    static func stream(_ text: String) throws -> PlannedListener {
        let listener = try parse(text, .stream, options: ["tls", "udp", "proxy_protocol"])
        if listener.place == .off {
            throw ValidationError("there is no stream listener unless one is asked for: leave --stream out.")
        }
        if listener.udp, listener.tls {
            throw ValidationError("udp and tls exclude each other: TLS needs a connection.")
        }
        if listener.udp, listener.proxyProtocol {
            throw ValidationError("udp and proxy_protocol exclude each other: the header begins a connection.")
        }
        return listener
    }

    private static func parse(_ text: String, _ kind: ListenerKind, options known: [String]) throws -> PlannedListener {
        let parts = text.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
        guard let place = parts.first.flatMap({ ListenAddress(argument: $0) }) else {
            throw ValidationError(
                "\"\(parts.first ?? "")\" is no address: write address:port, [ipv6]:port, port (on 127.0.0.1) or *:port."
            )
        }
        var listener = PlannedListener(place: place, kind: kind)
        for option in parts.dropFirst() {
            switch option {
            case "tls" where known.contains(option): listener.tls = true
            case "udp" where known.contains(option): listener.udp = true
            case "proxy_protocol": listener.proxyProtocol = true
            default: throw ValidationError(unknown(option, known))
            }
        }
        return listener
    }

    private static func unknown(_ option: String, _ known: [String]) -> String {
        let words =
            known.count == 1 ? known[0] : known.dropLast().joined(separator: ", ") + " and " + (known.last ?? "")
        switch option {
        case "": return "an option is missing behind the comma; known: \(words)."
        case "ssl" where known.contains("tls"): return "write tls instead of ssl."
        case "tcp" where known.contains("udp"): return "leave tcp out: a stream listener is TCP unless it is udp."
        case "http2": return "leave http2 out: every HTTP listener speaks it."
        default: return "\"\(option)\" is no option of a listener; known: \(words)."
        }
    }
}
