// What Kong's validators say about texts of a wrong form.

import Bytes
import Model

/// Messages by form. Clients and their tests compare them.
enum KongTexts {
    /// What Kong says about `text`, which is not of the form for the reason that `problem` gives.
    static func message(_ form: TextForm, _ text: String, _ problem: ValueProblem) -> String {
        switch form {
        case .uuid: "expected a valid UUID"
        case .name: "invalid value '\(text)': the only accepted ascii characters are alphanumerics or ., -, _, and ~"
        case .host: hasPort(text) ? "must not have a port" : "invalid value: \(text)"
        case .routeHost: routeHost(text)
        case .path: path(text) ?? "invalid value: \(text)"
        case .routePath: routePath(text, problem)
        case .headerName: "bad header name '\(text)', allowed characters are A-Z, a-z, 0-9, '_', and '-'"
        case .cookieName: "bad cookie name '\(text)', allowed characters are A-Z, a-z, 0-9, '_', and '-'"
        case .serverName: serverName(text)
        case .wildcardServerName: wildcardServerName(text)
        case .url: text.contains("://") ? "missing host in url" : "missing scheme in url"
        case .ip: "not an ip address: \(text)"
        case .ipOrPrefix: "invalid ip or cidr range: '\(text)'"
        case .tag: "invalid tag '\(text)': expected printable ascii (except `,` and `/`) or valid utf-8 sequences"
        case .origin: "'\(text)' is not a valid regex"
        case .regex: "not a valid regex: \(text)"
        case .headerMatch: "wrong regex '\(text)'"
        case .upstreamName:
            isAddress(text)
                ? "Invalid name ('\(text)'); no ip addresses allowed"
                : hasPort(text) ? "Invalid name ('\(text)'); no port allowed" : "Invalid name; must be a valid hostname"
        case .target: "Invalid target ('\(text)'); not a valid hostname or ip address"
        case .jwk: "could not json decode jwk string"
        case .method, .vaultPrefix, .pair, .headerPair, .templatePair, .templateHeaderPair, .renamePair, .template,
            .plainName:
            "invalid value: \(text)"
        }
    }

    private static func isAddress(_ text: String) -> Bool {
        text.withBytes { IPAddress(TextForms.withoutBrackets($0)) != nil }
    }

    private static func hasPort(_ text: String) -> Bool {
        guard let colon = text.lastIndex(of: ":") else { return false }
        let port = text[text.index(after: colon)...]
        return !port.isEmpty && port.utf8.allSatisfy(ASCII.isDigit)
    }

    private static func routeHost(_ text: String) -> String {
        let stars = text.utf8.count { $0 == UInt8(ascii: "*") }
        if stars > 1 { return "invalid wildcard: must have at most one wildcard" }
        if stars == 1, !text.hasPrefix("*."), !text.hasSuffix(".*") {
            return "invalid wildcard: must be placed at leftmost or rightmost label"
        }
        return hasPort(text) ? "invalid port number" : "invalid hostname: \(text)"
    }

    private static func path(_ text: String) -> String? {
        if !text.hasPrefix("/") { return "should start with: /" }
        if text.contains("//") { return "must not have empty segments" }
        let allowed = text.utf8.allSatisfy { ASCII.isUnreserved($0) || "/%:@!$&'()*+,;=".utf8.contains($0) }
        if !allowed { return "invalid path: '\(text)' (characters outside of the reserved list of RFC 3986 found)" }
        return escape(text).map { "invalid url-encoded value: '\($0)'" }
    }

    /// The first incomplete `%XX`.
    private static func escape(_ text: String) -> String? {
        let bytes = Array(text.utf8)
        for (index, byte) in bytes.enumerated() where byte == UInt8(ascii: "%") {
            let digits = bytes[(index + 1)...].prefix(2)
            if digits.count < 2 || !digits.allSatisfy({ ASCII.hex($0) != nil }) {
                return String(decoding: bytes[index...].prefix(3), as: UTF8.self)
            }
        }
        return nil
    }

    private static func routePath(_ text: String, _ problem: ValueProblem) -> String {
        if !text.hasPrefix("/"), !text.hasPrefix("~/") { return "should start with: / (fixed path) or ~/ (regex path)" }
        if text.contains("//") { return "must not have empty segments" }
        if problem.code == .badRegex {
            return "invalid regex: '\(text.dropFirst())' (PCRE returned: \(problem.message))"
        }
        if let escape = escape(text) { return "invalid url-encoded value: '\(escape)'" }
        let normal = String(decoding: RoutePath.normalized(Array(text.utf8)), as: UTF8.self)
        return "non-normalized path, consider use '\(normal)' instead"
    }

    private static func serverName(_ text: String) -> String {
        if isAddress(text) { return "must not be an IP" }
        return hasPort(text) ? "must not have a port" : "invalid value: \(text)"
    }

    private static func wildcardServerName(_ text: String) -> String {
        let stars = text.utf8.count { $0 == UInt8(ascii: "*") }
        if stars > 0, !text.hasPrefix("*"), !text.hasSuffix("*") {
            return "wildcard must be leftmost or rightmost character"
        }
        return stars > 1 ? "only one wildcard must be specified" : serverName(text)
    }
}
