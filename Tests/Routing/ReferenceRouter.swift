// A slow, obvious router, written from Kong's rules. It shares nothing with the route table.

import Bytes
import Snapshot

struct ReferenceRequest {
    var method = "GET"
    var host = ""
    var target = "/"
    var serverName = ""
    var isTLS = false
    var port = 8000
    var headers: [(String, String)] = []
}

struct ReferenceAnswer: Equatable, CustomStringConvertible {
    var status: String
    var route: Int?
    /// Bytes of the canonical path that the route's path matched; nil: the route has no paths.
    var prefix: Int?
    var captures: [String?] = []
    var uri: String?

    var description: String {
        "\(status) route=\(route ?? -1) prefix=\(prefix ?? -1) captures=\(captures) uri=\(uri ?? "-")"
    }
}

struct ReferenceRouter {
    struct Part {
        var index: Int
        var route: Route
        var paths: [String]
        var priority: UInt64
        var id: String
    }

    var parts: [Part] = []
    var services: [Service]

    init(_ routes: [Route], _ services: [Service] = []) {
        self.services = services
        for (index, route) in routes.enumerated() {
            if route.protocols.isDisjoint(with: .anyHTTP) { continue }
            for (paths, id) in Self.split(route) {
                parts.append(
                    Part(
                        index: index, route: route, paths: paths, priority: Self.priority(route, paths),
                        id: id))
            }
        }
        // Higher priority first; the larger id breaks ties.
        parts.sort { ($0.priority, $0.id) > ($1.priority, $1.id) }
    }

    static func split(_ route: Route) -> [([String], String)] {
        var groups: [(key: Int, paths: [String])] = []
        for path in route.paths {
            let key = path.hasPrefix("~") ? 0 : Array(path.utf8).count
            if let at = groups.firstIndex(where: { $0.key == key }) {
                groups[at].paths.append(path)
            } else {
                groups.append((key, [path]))
            }
        }
        if groups.count < 2 { return [(route.paths, "\(route.id)")] }
        guard let namespace = ID("7f145bf9-0dce-4f91-98eb-debbce4b9f6b") else { return [] }
        return groups.enumerated().map { number, group in
            let name = Array("\(route.id)#\(number + 1)".utf8)
            return (group.paths, "\(name.withBytes { ID(namespace: namespace, name: $0) })")
        }
    }

    static func priority(_ route: Route, _ paths: [String]) -> UInt64 {
        var kinds: UInt64 = 0
        if route.methods.count > 0 { kinds += 1 }
        if route.hosts.count > 0 { kinds += 1 }
        if route.headers.count > 0 { kinds += 1 }
        if route.paths.count > 0 { kinds += 1 }
        if route.serverNames.count > 0 { kinds += 1 }
        var priority = kinds << 61
        if route.hosts.count > 0 && !route.hosts.contains(where: { $0.contains("*") }) { priority += 1 << 60 }
        priority += UInt64(route.headers.count) << 52
        if let first = paths.first {
            if first.hasPrefix("~") {
                priority += 1 << 51
                priority += UInt64(max(0, route.regexPriority)) << 19  // No rule for negative ones.
            } else {
                priority += UInt64(first.utf8.count)
            }
        }
        return priority
    }

    // MARK: Matching

    func answer(_ request: ReferenceRequest) -> ReferenceAnswer {
        let path = NaivePath.normalize(NaivePath.withoutQuery(Array(request.target.utf8)))
        guard let text = String(validating: path, as: UTF8.self) else {
            return ReferenceAnswer(status: "bad path", route: nil, prefix: nil)
        }
        for part in parts {
            guard methodMatches(part.route, request), hostMatches(part.route, request),
                headersMatch(part.route, request), serverNameMatches(part.route, request)
            else { continue }
            var prefix: Int?
            var captures: [String?] = []
            if !part.paths.isEmpty {
                guard let found = pathMatch(part.paths, text) else { continue }
                prefix = found.prefix
                captures = found.captures
            }
            var answer = ReferenceAnswer(
                status: status(part.route, request), route: part.index, prefix: prefix, captures: captures)
            answer.uri = uri(part.route, path, prefix, request.target)
            return answer
        }
        return ReferenceAnswer(status: "not found", route: nil, prefix: nil)
    }

    private func status(_ route: Route, _ request: ReferenceRequest) -> String {
        if route.protocols.contains(.https) && !route.protocols.contains(.http) && !request.isTLS {
            return "https \(route.httpsRedirectStatus)"
        }
        return "matched"
    }

    private func methodMatches(_ route: Route, _ request: ReferenceRequest) -> Bool {
        route.methods.isEmpty || route.methods.contains(request.method)
    }

    private static func splitHost(_ text: String) -> (String, Int?) {
        guard let colon = text.firstIndex(of: ":"), let port = Int(text[text.index(after: colon)...]) else {
            return (text, nil)
        }
        return (String(text[..<colon]), port)
    }

    private func hostMatches(_ route: Route, _ request: ReferenceRequest) -> Bool {
        if route.hosts.isEmpty { return true }
        let (sentHost, sentPort) = Self.splitHost(request.host.lowercased())
        for pattern in route.hosts {
            let (host, port) = Self.splitHost(pattern.lowercased())
            if let port, port != sentPort ?? request.port { continue }
            if Self.nameMatches(Self.bare(host), Self.bare(sentHost)) { return true }
        }
        return false
    }

    /// Without the final dot of a name that says its root.
    private static func bare(_ name: String) -> String {
        name.count > 1 && name.hasSuffix(".") ? String(name.dropLast()) : name
    }

    private static func nameMatches(_ pattern: String, _ name: String) -> Bool {
        if pattern.hasPrefix("*") { return name.hasSuffix(pattern.dropFirst()) }
        if pattern.hasSuffix("*") { return name.hasPrefix(pattern.dropLast()) }
        return name == pattern && name != ""
    }

    private func serverNameMatches(_ route: Route, _ request: ReferenceRequest) -> Bool {
        if route.serverNames.isEmpty || !request.isTLS { return true }
        let sent = Self.bare(request.serverName.lowercased())
        return route.serverNames.contains { Self.nameMatches(Self.bare($0.lowercased()), sent) }
    }

    private func headersMatch(_ route: Route, _ request: ReferenceRequest) -> Bool {
        func folded(_ name: String) -> String { String(name.lowercased().map { $0 == "-" ? "_" : $0 }) }
        return route.headers.allSatisfy { rule in
            let sent = request.headers.filter { folded($0.0) == folded(rule.name) }.map { $0.1.lowercased() }
            return rule.values.contains { value in
                if value.hasPrefix("~*") {
                    return sent.contains { Self.search(String(value.dropFirst(2)), $0) != nil }
                }
                return sent.contains(value.lowercased())
            }
        }
    }

    private func pathMatch(_ paths: [String], _ path: String) -> (prefix: Int, captures: [String?])? {
        for candidate in paths {
            if candidate.hasPrefix("~") {
                if let captures = Self.search("^" + candidate.dropFirst(), path) {
                    return ((captures[0] ?? "").utf8.count, captures)
                }
            } else if Array(path.utf8).starts(with: Array(candidate.utf8)) {
                return (candidate.utf8.count, [])
            }
        }
        return nil
    }

    /// The standard library's engine, not PCRE2.
    private static func search(_ pattern: String, _ text: String) -> [String?]? {
        guard let regex = try? Regex(pattern).matchingSemantics(.unicodeScalar),
            let match = try? regex.firstMatch(in: text)
        else { return nil }
        var captures = match.output.map { $0.substring.map { String($0) } }
        while let last = captures.last, last == nil { captures.removeLast() }
        return captures
    }

    // MARK: Upstream URI

    private func uri(_ route: Route, _ path: [UInt8], _ prefix: Int?, _ target: String) -> String {
        let raw = route.service >= 0 ? services[route.service].path : ""
        let joined = NaivePath.join(
            service: Array(raw.utf8), path: path, prefix: prefix, strip: route.stripPath,
            v1: route.pathHandling == .v1)
        var text = NaivePath.escape(joined)
        let bytes = Array(target.utf8)
        if let mark = bytes.dropFirst(1).firstIndex(of: 0x3F) {
            text += String(decoding: bytes[mark...], as: UTF8.self)
        }
        return text
    }
}

/// Path rules one at a time, by copying.
enum NaivePath {
    static func withoutQuery(_ target: [UInt8]) -> [UInt8] {
        for at in target.indices.dropFirst() where target[at] == 0x3F { return Array(target[..<at]) }
        return target
    }

    static func normalize(_ raw: [UInt8]) -> [UInt8] {
        var uri = decode(raw)
        var output: [[UInt8]] = []
        func starts(_ text: String) -> Bool { uri.starts(with: Array(text.utf8)) }
        while !uri.isEmpty {
            if uri == Array("/.".utf8) {
                uri = [0x2F]
            } else if uri == Array("/..".utf8) {
                uri = [0x2F]
                _ = output.popLast()
            } else if uri == [0x2E] || uri == [0x2E, 0x2E] {
                uri = []
            } else if starts("../") {
                uri.removeFirst(3)
            } else if starts("./") {
                uri.removeFirst(2)
            } else if starts("/./") {
                uri.removeFirst(2)
            } else if starts("/../") {
                uri.removeFirst(3)
                _ = output.popLast()
            } else if starts("//") {
                uri.removeFirst(1)
            } else {
                let end = uri.dropFirst().firstIndex(of: 0x2F) ?? uri.endIndex
                output.append(Array(uri[..<end]))
                uri.removeSubrange(..<end)
            }
        }
        return output.flatMap { $0 }
    }

    static func decode(_ raw: [UInt8]) -> [UInt8] {
        let kept = Array("!*'();:@&=+$,/?%#[]".utf8)
        var result: [UInt8] = []
        var at = 0
        while at < raw.count {
            if raw[at] == 0x25, at + 2 < raw.count,
                let value = UInt8(String(decoding: raw[(at + 1)...(at + 2)], as: UTF8.self), radix: 16),
                raw[at + 1] != 0x2B, raw[at + 1] != 0x2D
            {
                if kept.contains(value) {
                    result += Array(String(decoding: raw[at...(at + 2)], as: UTF8.self).uppercased().utf8)
                } else {
                    result.append(value)
                }
                at += 3
            } else {
                result.append(raw[at])
                at += 1
            }
        }
        return result
    }

    static func escape(_ path: [UInt8]) -> String {
        let safe = Set("!#$&'()*+,/:;=?@[]-_.~%ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789".utf8)
        return path.map { byte in
            if safe.contains(byte) { return String(UnicodeScalar(byte)) }
            let hex = String(byte, radix: 16, uppercase: true)
            return "%" + (hex.utf8.count == 1 ? "0" : "") + hex
        }.joined()
    }

    /// S: the service's path; U: the request's; P: what is left of U behind the prefix.
    static func join(service: [UInt8], path U: [UInt8], prefix: Int?, strip: Bool, v1: Bool) -> [UInt8] {
        let S = service.isEmpty ? [0x2F] : service
        var P = strip && prefix != nil ? Array(U.dropFirst(prefix ?? 0)) : Array(U.dropFirst(1))
        if P == [0x2E] || P == [0x2E, 0x2E] { P = [] }
        if P.starts(with: [0x2E, 0x2F]) {
            P.removeFirst(2)
        } else if P.starts(with: [0x2E, 0x2E, 0x2F]) {
            P.removeFirst(3)
        }
        let endsU = U.last == 0x2F
        if v1 {
            if !strip { return S + U.dropFirst(1) }
            return S.last == 0x2F && P.first == 0x2F ? S + P.dropFirst() : S + P
        }
        if S.last == 0x2F {
            if !strip { return S + U.dropFirst(1) }
            if P.isEmpty { return S == [0x2F] || endsU ? S : Array(S.dropLast()) }
            return P.first == 0x2F ? S.dropLast() + P : S + P
        }
        if !strip { return U == [0x2F] ? S : S + U }
        if P.isEmpty { return endsU && U != [0x2F] ? S + [0x2F] : S }
        return P.first == 0x2F ? S + P : S + [0x2F] + P
    }
}
