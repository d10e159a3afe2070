// Forms of text that a schema can ask for.

import Bytes
import Model

/// What is wrong with a value.
struct ValueProblem {
    var code = DiagnosticCode.badValue
    var message: String
    var remedy: String
}

/// The checks behind `TextForm`.
enum TextForms {
    /// What is wrong with `text` as a `form`, or nil.
    static func problem(_ form: TextForm, _ text: Bytes) -> ValueProblem? {
        switch form {
        case .uuid:
            return Identifier(text.string) == nil
                ? problem("not a UUID", "write 8-4-4-4-12 hexadecimal digits, or leave the id out") : nil
        case .name: return name(text)
        case .host: return host(text)
        case .routeHost: return routeHost(text)
        case .path: return path(text)
        case .routePath: return routePath(text)
        case .method:
            return all(text) { $0 &- 0x41 < 26 }
                ? nil : problem("a method has upper-case letters only", "write GET, POST, …")
        case .headerName: return headerName(text)
        case .headerMatch:
            return text.starts(with: Bytes("~*")) ? regex(text.dropFirst(2)) : nil
        case .serverName: return serverName(text)
        case .wildcardServerName: return text == "*" ? nil : wildcard(text, serverName)
        case .url:
            guard ServiceURL(text) == nil else { return nil }
            return placeholder(text) ?? problem("not a URL", "write scheme://host[:port][/path]")
        case .ip: return IPAddress(text) == nil ? problem("not an IP address", "write 10.0.0.1 or 2001:db8::1") : nil
        case .ipOrPrefix:
            return IPPrefix(text.string) == nil
                ? problem("not an IP address or CIDR range", "write 10.0.0.1 or 10.0.0.0/8") : nil
        case .tag:
            return text.contains(UInt8(ascii: ",")) || text.contains(UInt8(ascii: "/")) || hasControl(text)
                ? problem("a tag may not contain \",\" or \"/\"", "use - or _ instead") : nil
        case .origin: return text == "*" ? nil : regex(text)
        case .regex: return regex(text)
        case .pair: return pair(text)
        case .renamePair: return headerPair(text) ?? newHeaderName(text)
        case .headerPair: return headerPair(text)
        case .templatePair: return pair(text) ?? emptyValue(text) ?? template(text)
        case .templateHeaderPair: return headerPair(text) ?? template(text)
        case .plainName:
            return text.contains(UInt8(ascii: "$"))
                ? template(text) ?? problem("a name with a template in it", "templates stand in values only") : nil
        case .template: return template(text)
        case .cookieName:
            return all(text, ASCII.isToken) ? nil : problem("not a cookie name", "use letters, digits, - and _")
        case .vaultPrefix: return vaultPrefix(text)
        case .upstreamName: return upstreamName(text)
        case .target:
            guard TargetAddress(text) == nil else { return nil }
            return placeholder(text) ?? problem("not host[:port]", "write name:8000 or 10.0.0.1:80")
        case .jwk:
            guard (try? JSONReader.read(text, limits: DocumentLimits())) != nil else {
                return problem("not JSON", "write the key as a JSON string")
            }
            return nil
        }
    }

    private static func problem(_ message: String, _ remedy: String) -> ValueProblem {
        ValueProblem(message: message, remedy: remedy)
    }

    private static func all(_ text: Bytes, _ holds: (UInt8) -> Bool) -> Bool {
        for i in 0..<text.count where !holds(text[i]) { return false }
        return text.count > 0
    }

    private static func hasControl(_ text: Bytes) -> Bool {
        for i in 0..<text.count where text[i] < 0x20 || text[i] == 0x7F { return true }
        return false
    }

    private static func name(_ text: Bytes) -> ValueProblem? {
        all(text) { ASCII.isUnreserved($0) || $0 >= 0x80 }
            ? nil : problem("a name holds letters, digits and . - _ ~ only", "replace the other characters by -")
    }

    private static func isHostName(_ text: Bytes) -> Bool {
        text.count <= 253
            && all(text) { ASCII.isAlpha($0) || ASCII.isDigit($0) || $0 == 0x2D || $0 == 0x2E || $0 == 0x5F }
    }

    static func withoutBrackets(_ text: Bytes) -> Bytes {
        text.count > 2 && text[0] == UInt8(ascii: "[") && text[text.count - 1] == UInt8(ascii: "]")
            ? text[1..<text.count - 1] : text
    }

    private static func host(_ text: Bytes) -> ValueProblem? {
        if isHostName(text) || IPAddress(withoutBrackets(text)) != nil { return nil }
        if let found = placeholder(text) { return found }
        if text.contains(UInt8(ascii: ":")) {
            return problem("a host has no port and no scheme here", "give the port in `port`, or use `url`")
        }
        return problem("not a host name or IP address", "use letters, digits, - and .")
    }

    private static func withoutPort(_ text: Bytes) -> (host: Bytes, isPortValid: Bool) {
        guard let colon = text.lastIndex(of: UInt8(ascii: ":")),
            text.count == 0 || text[text.count - 1] != UInt8(ascii: "]"),
            text[0..<colon].firstIndex(of: UInt8(ascii: ":")) == nil || text[0] == UInt8(ascii: "[")
        else { return (text, true) }
        let port = text.dropFirst(colon + 1).decimal()
        return (text[0..<colon], port.map { (1...65535).contains($0) } ?? false)
    }

    private static func routeHost(_ text: Bytes) -> ValueProblem? {
        let (bare, isPortValid) = withoutPort(text)
        guard isPortValid else { return problem("not a port", "write host or host:port") }
        return wildcard(bare, host)
    }

    /// One `*` as the whole leftmost or rightmost label.
    private static func wildcard(_ text: Bytes, _ plain: (Bytes) -> ValueProblem?) -> ValueProblem? {
        guard let star = text.firstIndex(of: UInt8(ascii: "*")) else { return plain(text) }
        guard text.firstIndex(of: UInt8(ascii: "*"), from: star + 1) == nil else {
            return problem("more than one wildcard", "keep one *, as in *.example.com")
        }
        if star == 0, text.count > 2, text[1] == UInt8(ascii: ".") { return plain(text.dropFirst(2)) }
        if star == text.count - 1, star > 1, text[star - 1] == UInt8(ascii: ".") { return plain(text[0..<star - 1]) }
        return problem(
            "a wildcard stands for the whole leftmost or rightmost label", "write *.example.com or example.*")
    }

    private static func serverName(_ text: Bytes) -> ValueProblem? {
        if IPAddress(withoutBrackets(text)) != nil {
            return problem("a server name is no IP address", "use the DNS name")
        }
        if isHostName(text) { return nil }
        return problem("not a server name", "write a DNS name without a port")
    }

    private static func escapesAreValid(_ text: Bytes) -> Bool {
        var at = 0
        while let percent = text.firstIndex(of: UInt8(ascii: "%"), from: at) {
            guard percent + 2 < text.count, ASCII.hex(text[percent + 1]) != nil, ASCII.hex(text[percent + 2]) != nil
            else { return false }
            at = percent + 3
        }
        return true
    }

    private static func hasEmptySegment(_ text: Bytes) -> Bool {
        var previous: UInt8 = 0
        for i in 0..<text.count {
            if previous == UInt8(ascii: "/"), text[i] == UInt8(ascii: "/") { return true }
            previous = text[i]
        }
        return false
    }

    private static func path(_ text: Bytes) -> ValueProblem? {
        guard text.count > 0, text[0] == UInt8(ascii: "/") else {
            return problem("a path begins with /", "write /\(text.string)")
        }
        if hasEmptySegment(text) { return problem("a path has no empty segments", "write / once") }
        guard all(text, { ASCII.isUnreserved($0) || "/%:@!$&'()*+,;=".utf8.contains($0) }) else {
            return problem("a character that RFC 3986 does not allow in a path", "write it as %XX")
        }
        return escapesAreValid(text) ? nil : problem("an incomplete %XX escape", "write % as %25")
    }

    private static func routePath(_ text: Bytes) -> ValueProblem? {
        guard text.count > 0 else { return problem("an empty path", "write /") }
        if text[0] == UInt8(ascii: "~") {
            guard text.count > 1, text[1] == UInt8(ascii: "/") else {
                return problem("a regex path begins with ~/", "write ~/\(text.dropFirst(1).string)")
            }
            if hasEmptySegment(text) { return problem("a path has no empty segments", "write / once") }
            return regex(text.dropFirst(1))
        }
        guard text[0] == UInt8(ascii: "/") else {
            return problem("a path begins with / (prefix) or ~/ (regex)", "write /\(text.string)")
        }
        if RoutePath.isPlainlyNormal(text) { return nil }
        if hasEmptySegment(text) { return problem("a path has no empty segments", "write / once") }
        let source = text.array
        let normal = RoutePath.normalized(source)
        guard normal != source else { return nil }
        return problem(
            "a path that no normalised request can match", "write \(String(decoding: normal, as: UTF8.self))")
    }

    static func regex(_ pattern: Bytes) -> ValueProblem? {
        guard let found = PatternCheck.problem(pattern) else { return nil }
        return ValueProblem(
            code: .badRegex, message: "not a regular expression: \(found.message) at offset \(found.offset)",
            remedy: "correct the pattern \(pattern.string)")
    }

    private static func headerName(_ text: Bytes) -> ValueProblem? {
        all(text, ASCII.isToken) ? nil : problem("not a header name", "use letters, digits, - and _")
    }

    private static func pair(_ text: Bytes) -> ValueProblem? {
        guard let colon = text.firstIndex(of: 0x3A), colon > 0 else {
            return problem("not of the form name:value", "write name:value")
        }
        return nil
    }

    private static func headerPair(_ text: Bytes) -> ValueProblem? {
        if let found = pair(text) ?? headerName(text.prefix(text.firstIndex(of: 0x3A) ?? 0)) { return found }
        return hasControl(text) ? problem("a control character in a header", "remove line ends and the like") : nil
    }

    /// Of `old:new`, both name headers; a blank after the colon is part of the second.
    private static func newHeaderName(_ text: Bytes) -> ValueProblem? {
        let new = text.dropFirst((text.firstIndex(of: 0x3A) ?? 0) + 1)
        return headerName(new) == nil ? nil : problem("the new name is no header name", "write old:new, without blanks")
    }

    private static func emptyValue(_ text: Bytes) -> ValueProblem? {
        text[text.count - 1] == 0x3A && text.firstIndex(of: 0x3A) == text.count - 1
            ? problem("a name without a value", "write name:value") : nil
    }

    /// `$NAME`, `${NAME}`, `#{NAME}` or `{{ NAME }}` where a name is wanted: something that a script fills in
    /// before Kong reads the file, and that nobody filled in.
    private static func placeholder(_ text: Bytes) -> ValueProblem? {
        guard text.contains(UInt8(ascii: "$")) || text.contains(UInt8(ascii: "{")) else { return nil }
        return problem(
            "a placeholder that nobody filled in",
            "fill it in first (envsubst < kong.yml), or write ${{ env \"DECK_NAME\" }}")
    }

    /// True for a text that is one `$NAME` or `${NAME…}` and nothing else.
    static func isPlaceholder(_ text: Bytes) -> Bool {
        guard text.count > 1, text[0] == UInt8(ascii: "$") || text[0] == UInt8(ascii: "#") else { return false }
        if text[1] == UInt8(ascii: "{") { return text[text.count - 1] == UInt8(ascii: "}") }
        return text[0] == UInt8(ascii: "$") && (ASCII.isAlpha(text[1]) || text[1] == 0x5F)
            && all(text.dropFirst(1)) { ASCII.isDigit($0) || $0 == 0x5F || ($0 &- 0x41 < 26) }
    }

    private static func template(_ text: Bytes) -> ValueProblem? {
        guard let expression = TemplateSyntax.unsupported(in: text) else { return nil }
        return ValueProblem(
            code: .luaExpression, message: "\(expression) is a Lua expression, which Seaway does not run",
            remedy: "use $(headers.x), $(headers[\"x-y\"]), $(query_params.x), $(uri_captures[1]) or $(uri_captures.x)")
    }

    private static func vaultPrefix(_ text: Bytes) -> ValueProblem? {
        let isLower = { (byte: UInt8) in byte &- 0x61 < 26 }
        let good =
            text.count >= 2 && isLower(text[0]) && text[text.count - 1] != 0x2D
            && all(text) { isLower($0) || ASCII.isDigit($0) || $0 == 0x2D }
        return good
            ? nil : problem("not a vault prefix", "use lower-case letters, digits and -, beginning with a letter")
    }

    private static func upstreamName(_ text: Bytes) -> ValueProblem? {
        if IPAddress(withoutBrackets(text)) != nil {
            return problem("an upstream's name is no IP address", "use a name such as api.internal")
        }
        if isHostName(text) { return nil }
        if text.contains(UInt8(ascii: ":")) {
            return problem("an upstream's name has no port", "put ports on its targets")
        }
        return problem("an upstream's name has the form of a host name", "use letters, digits, - and .")
    }
}

/// `scheme://host[:port][/path]`, Kong's `url` shorthand of a service.
struct ServiceURL {
    var scheme = ""
    var host = ""
    var port: Int?
    var path = ""

    init?(_ text: Bytes) {
        let whole = text.string
        guard let colon = whole.firstIndex(of: ":"), whole[colon...].hasPrefix("://") else { return nil }
        scheme = whole[..<colon].lowercased()
        var rest = whole[colon...].dropFirst(3)
        if let end = rest.firstIndex(where: { $0 == "?" || $0 == "#" }) { rest = rest[..<end] }
        var authority = rest
        if let slash = rest.firstIndex(of: "/") {
            authority = rest[..<slash]
            path = String(rest[slash...])
        }
        if let at = authority.lastIndex(of: "@") { authority = authority[authority.index(after: at)...] }
        guard let address = TargetAddress(authority, defaultPort: nil) else { return nil }
        host = address.host
        port = address.port
        guard !scheme.isEmpty, !host.isEmpty else { return nil }
    }
}

/// `host[:port]`, IPv6 in brackets when a port follows.
struct TargetAddress {
    /// Without brackets.
    var host: String
    var port: Int?

    init?(_ text: Bytes) { self.init(text.string[...], defaultPort: 8000) }

    init?(_ text: Substring, defaultPort: Int?) {
        var name = text
        port = defaultPort
        if text.first == "[" {
            guard let end = text.firstIndex(of: "]") else { return nil }
            name = text[text.index(after: text.startIndex)..<end]
            let tail = text[text.index(after: end)...]
            if !tail.isEmpty {
                guard tail.first == ":", let value = Self.portNumber(tail.dropFirst()) else { return nil }
                port = value
            }
            guard IPAddress(String(name)) != nil else { return nil }
        } else if let colon = text.firstIndex(of: ":") {
            if text[text.index(after: colon)...].contains(":") {
                guard IPAddress(String(text)) != nil else { return nil }
            } else {
                guard let value = Self.portNumber(text[text.index(after: colon)...]) else { return nil }
                name = text[..<colon]
                port = value
            }
        }
        host = String(name)
        guard host.withBytes({ TextForms.problem(.host, $0) }) == nil else { return nil }
    }

    private static func portNumber(_ text: Substring) -> Int? {
        guard (1...5).contains(text.utf8.count), text.utf8.allSatisfy(ASCII.isDigit), let value = Int(text),
            value <= 65535
        else { return nil }
        return value
    }
}
