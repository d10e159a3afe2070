// Expressions by the rules alone: a tree walk over strings and lists. And random ones to compare with.

import Bytes
import Snapshot

/// Evaluates an expression on a request slowly and plainly; shares nothing with the compiled form.
struct NaiveExpressions {
    typealias Node = RouteExpression.Node
    let request: ExpressionRequest
    /// What `captures` and the prefix are after evaluating: the last predicate that held decides.
    private(set) var prefix: Int?

    init(_ request: ExpressionRequest) { self.request = request }

    mutating func holds(_ node: Node) -> Bool {
        switch node.kind {
        case .predicate(let predicate): return holds(predicate)
        case .not(let inner): return !holds(inner)
        case .all(let nodes):
            for node in nodes where !holds(node) { return false }
            return true
        case .any(let nodes):
            for node in nodes where holds(node) { return true }
            return false
        }
    }

    private mutating func holds(_ predicate: RouteExpression.Predicate) -> Bool {
        switch predicate.field {
        case .sourcePort: return number(predicate, request.sourcePort == 0 ? nil : request.sourcePort)
        case .destinationPort: return number(predicate, port)
        case .segmentCount: return number(predicate, segments.count)
        case .sourceAddress: return address(predicate, request.source)
        case .destinationAddress: return address(predicate, request.destination)
        default: break
        }
        let values = texts(predicate.field)
        if values.isEmpty { return false }
        var results: [Bool] = []
        for value in values {
            let result = text(predicate, value)
            results.append(result)
            // Kong stops at the first value that decides.
            if result == predicate.isAny { break }
        }
        return predicate.isAny ? results.contains(true) : !results.contains(false)
    }

    // MARK: Fields

    private var hostAndPort: (host: String, port: Int?) {
        let parts = request.host.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        if parts.count == 2, !parts[1].isEmpty, parts[1].allSatisfy(\.isNumber), let port = Int(parts[1]) {
            return (rootless(parts[0].lowercased()), port)
        }
        return (rootless(request.host.lowercased()), nil)
    }

    /// A name without the final dot that stands for the root.
    private func rootless(_ name: String) -> String {
        name.hasSuffix(".") && name != "." ? String(name.dropLast()) : name
    }

    private var port: Int { hostAndPort.port ?? request.port }

    private var path: String {
        let raw = request.target.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)[0]
        return String(decoding: NaivePath.normalize(Array(raw.utf8)), as: UTF8.self)
    }

    private var segments: [String] {
        var parts = path.dropFirst().split(separator: "/", omittingEmptySubsequences: false).map(String.init)
        while parts.last == "" { parts.removeLast() }
        return parts
    }

    private func texts(_ field: ExpressionField) -> [String] {
        switch field {
        case .networkProtocol: [request.isTLS ? "https" : "http"]
        case .serverName:
            request.isTLS && !request.serverName.isEmpty ? [rootless(request.serverName.lowercased())] : []
        case .method: [request.method]
        case .host: hostAndPort.host.isEmpty ? [] : [hostAndPort.host]
        case .path: [path]
        case .segment(let number): number < segments.count ? [segments[number]] : []
        case .segments(let first, let last):
            last < segments.count ? [segments[first...last].joined(separator: "/")] : []
        case .header(let name):
            request.headers.filter { $0.0.lowercased().replacing("-", with: "_") == name }.map(\.1)
        case .query(let name): query(name)
        case .sourceAddress, .sourcePort, .destinationAddress, .destinationPort, .segmentCount: []
        }
    }

    private func query(_ name: String) -> [String] {
        let parts = request.target.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.count == 2 else { return [] }
        return parts[1].split(separator: "&").compactMap { argument in
            let pair = argument.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map {
                decoded($0)
            }
            return pair[0] == name && !pair[0].isEmpty ? (pair.count == 2 ? pair[1] : "") : nil
        }
    }

    private func decoded(_ text: Substring) -> String {
        var bytes: [UInt8] = []
        var rest = Array(text.utf8)[...]
        while let byte = rest.first {
            if byte == 0x25, rest.count > 2,
                let value = UInt8(String(decoding: rest.dropFirst().prefix(2), as: UTF8.self), radix: 16)
            {
                bytes.append(value)
                rest = rest.dropFirst(3)
            } else {
                bytes.append(byte == 0x2B ? 0x20 : byte)
                rest = rest.dropFirst()
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    // MARK: Comparisons

    private mutating func text(_ predicate: RouteExpression.Predicate, _ value: String) -> Bool {
        guard case .text(var literal) = predicate.literal else { return false }
        var value = value
        if predicate.isLowered { value = value.lowercased() }
        let foldsCase = predicate.field == .host || predicate.field == .serverName
        if foldsCase, predicate.comparison != .regex { literal = literal.lowercased() }
        if foldsCase, [.equal, .notEqual, .suffix].contains(predicate.comparison) { literal = rootless(literal) }
        let result =
            switch predicate.comparison {
            case .equal: value == literal
            case .notEqual: value != literal
            case .prefix: value.hasPrefix(literal)
            case .suffix: value.hasSuffix(literal)
            case .contains: literal.isEmpty || value.contains(literal)
            case .regex: RandomExpressions.matches(literal, foldsCase ? value.lowercased() : value) != nil
            case .greater, .greaterOrEqual, .less, .lessOrEqual, .isIn, .notIn: false
            }
        if result, predicate.field == .path {
            switch predicate.comparison {
            case .equal, .prefix: prefix = literal.utf8.count
            case .regex:
                if let range = RandomExpressions.matches(literal, value), range.lowerBound == 0 { prefix = range.count }
            case .notEqual, .suffix, .contains, .greater, .greaterOrEqual, .less, .lessOrEqual, .isIn, .notIn: break
            }
        }
        return result
    }

    private func number(_ predicate: RouteExpression.Predicate, _ value: Int?) -> Bool {
        guard case .number(let literal) = predicate.literal, let value else { return false }
        return switch predicate.comparison {
        case .equal: value == literal
        case .notEqual: value != literal
        case .greater: value > literal
        case .greaterOrEqual: value >= literal
        case .less: value < literal
        case .lessOrEqual: value <= literal
        case .regex, .prefix, .suffix, .contains, .isIn, .notIn: false
        }
    }

    private func address(_ predicate: RouteExpression.Predicate, _ value: IPAddress?) -> Bool {
        guard let value else { return false }
        switch (predicate.comparison, predicate.literal) {
        case (.equal, .address(let other)): return value == other
        case (.notEqual, .address(let other)): return value != other
        case (.isIn, .network(let network)):
            return Self.bits(value).hasPrefix(Self.bits(network.address).prefix(1 + network.length))
        case (.notIn, .network(let network)):
            return value.isIPv6 == network.address.isIPv6
                && !Self.bits(value).hasPrefix(Self.bits(network.address).prefix(1 + network.length))
        default: return false
        }
    }

    /// Family and bits as text.
    private static func bits(_ address: IPAddress) -> String {
        func padded(_ word: UInt64, _ width: Int) -> String {
            let text = String(word, radix: 2)
            return String(repeating: "0", count: width - text.count) + text
        }
        return address.isIPv6 ? "6" + padded(address.high, 64) + padded(address.low, 64) : "4" + padded(address.low, 32)
    }
}

/// Expressions and requests that have something to do with each other.
enum RandomExpressions {
    typealias Node = RouteExpression.Node
    typealias Predicate = RouteExpression.Predicate

    static let paths = ["/", "/a", "/b", "/a/b", "/a/bc", "/ab", "/a/b/c", "/A", "/a/1", "/b/22/x"]
    static let hosts = ["a.example", "b.example", "x.a.example", "A.example", "c.test"]
    static let values = ["one", "two", "One", "", "1", "k"]
    static let addresses = ["10.0.0.1", "10.1.2.3", "192.168.1.7", "fd00::1", "2001:db8::7"]
    static let networks = ["10.0.0.0/8", "10.1.0.0/16", "0.0.0.0/0", "fd00::/8", "2001:db8::/32", "192.168.1.7/32"]
    /// Patterns, and what each matches, written by hand: nil, or where.
    static let patterns = ["^/a", "^/a/", "b$", "^/a/b$", "/\\d+", "^/[ab]/", "^x?one", "^/a|^/b", "a\\.ex"]

    static func matches(_ pattern: String, _ text: String) -> Range<Int>? {
        let bytes = Array(text.utf8)
        func anchored(_ literal: String) -> Range<Int>? { text.hasPrefix(literal) ? 0..<literal.utf8.count : nil }
        func first(_ literal: String) -> Range<Int>? {
            let wanted = Array(literal.utf8)
            return bytes.indices.first { bytes[$0...].starts(with: wanted) }.map { $0..<$0 + wanted.count }
        }
        switch pattern {
        case "^/a": return anchored("/a")
        case "^/a/": return anchored("/a/")
        case "b$": return text.hasSuffix("b") ? bytes.count - 1..<bytes.count : nil
        case "^/a/b$": return text == "/a/b" ? 0..<4 : nil
        case "/\\d+":
            for at in bytes.indices where bytes[at] == 0x2F {
                let digits = bytes[(at + 1)...].prefix { (0x30...0x39).contains($0) }
                if !digits.isEmpty { return at..<at + 1 + digits.count }
            }
            return nil
        case "^/[ab]/": return anchored("/a/") ?? anchored("/b/")
        case "^x?one": return anchored("xone") ?? anchored("one")
        case "^/a|^/b": return anchored("/a") ?? anchored("/b")
        case "a\\.ex": return first("a.ex")
        default: return nil
        }
    }

    static func node(_ random: inout SeededRandom, depth: Int) -> Node {
        if depth == 0 || random.chance(35) { return Node(.predicate(predicate(&random))) }
        let inner = (0..<2 + Int(random.next() % 3)).map { _ in node(&random, depth: depth - 1) }
        switch random.next() % 5 {
        case 0: return Node(.not(inner[0]))
        case 1, 2: return join(inner, isAll: true)
        default: return join(inner, isAll: false)
        }
    }

    /// As the parser does it: no group directly in one of its kind.
    static func join(_ nodes: [Node], isAll: Bool) -> Node {
        let flat = nodes.flatMap { node in
            switch node.kind {
            case .all(let inner) where isAll: inner
            case .any(let inner) where !isAll: inner
            default: [node]
            }
        }
        return Node(isAll ? .all(flat) : .any(flat))
    }

    static func predicate(_ random: inout SeededRandom) -> Predicate {
        let texts: [RouteExpression.Comparison] = [
            .equal, .equal, .equal, .notEqual, .prefix, .prefix, .suffix, .contains, .regex,
        ]
        let numbers: [RouteExpression.Comparison] = [.equal, .notEqual, .greater, .greaterOrEqual, .less, .lessOrEqual]
        func text(_ field: ExpressionField, _ values: [String], _ random: inout SeededRandom) -> Predicate {
            let comparison = random.one(texts)
            let literal = comparison == .regex ? random.one(patterns) : random.one(values)
            return Predicate(
                field, comparison, .text(literal), isLowered: random.chance(20), isAny: random.chance(30))
        }
        switch random.next() % 16 {
        case 0: return text(.method, ["GET", "POST", "get"], &random)
        case 1, 2: return text(.host, hosts + [".example", "a.", "example", "x.", "b.example.", ".Example."], &random)
        case 3, 4, 5, 6: return text(.path, paths, &random)
        case 7: return text(.segment(Int(random.next() % 3)), ["a", "b", "bc", "1", "A", ""], &random)
        case 8: return text(.segments(0, 1), ["a/b", "a", "a/1"], &random)
        case 9: return text(.header(random.one(["x_kind", "x_other"])), values, &random)
        case 10: return text(.query(random.one(["q", "p"])), values, &random)
        case 11: return text(.serverName, hosts + [".example", "a.", "b.example."], &random)
        case 12: return text(.networkProtocol, ["http", "https"], &random)
        case 13:
            let field = random.one([ExpressionField.destinationPort, .sourcePort, .segmentCount])
            return Predicate(field, random.one(numbers), .number(random.one([0, 1, 2, 3, 80, 8000, 4000, -1])))
        case 14:
            let field = random.one([ExpressionField.sourceAddress, .destinationAddress])
            let comparison = random.one([RouteExpression.Comparison.equal, .notEqual])
            return Predicate(field, comparison, .address(IPAddress(random.one(addresses)) ?? IPAddress(v4: 1)))
        default:
            let field = random.one([ExpressionField.sourceAddress, .destinationAddress])
            let comparison = random.one([RouteExpression.Comparison.isIn, .notIn])
            let network = IPPrefix(random.one(networks)) ?? IPPrefix(IPAddress(v4: 1))
            return Predicate(field, comparison, .network(network))
        }
    }

    static func request(_ random: inout SeededRandom) -> ExpressionRequest {
        let host = random.one(hosts + ["-", "a.example:80", "b.example:8000", "a.example.", "B.example.:80", "."])
        var target = random.one(paths + ["/a/", "//a/b", "/a/./b", "/z", "/a/b/c/d/"])
        if random.chance(40) {
            target +=
                "?"
                + (0..<1 + Int(random.next() % 3)).map { _ in
                    random.one(["q", "p", "%71", "r"]) + random.one(["", "=", "=one", "=two", "=One", "=%6Bx", "=1"])
                }.joined(separator: "&")
        }
        var words = [random.one(["GET", "POST", "get", "PUT"]), host, target]
        for name in ["X-Kind", "x_kind", "X-Other", "Else"] where random.chance(40) {
            words.append("\(name):\(random.one(values))")
        }
        if random.chance(40) { words.append(random.chance(70) ? "sni=\(random.one(hosts + ["b.example."]))" : "tls") }
        if random.chance(70) { words.append("src=\(random.one(addresses))" + (random.chance(50) ? ",4000" : "")) }
        if random.chance(70) { words.append("dst=\(random.one(addresses))") }
        if random.chance(50) { words.append("port=\(random.one([80, 8000]))") }
        return ExpressionRequest(words.joined(separator: " "))
    }
}
