// The fields that an expression may ask about, and their types.

/// What a predicate looks at.
public enum ExpressionField: Sendable, Hashable {
    /// `net.protocol`: http or https, tcp, tls or udp, by the connection itself.
    case networkProtocol
    /// `tls.sni`, in lower case, without a final dot; absent without TLS.
    case serverName
    /// `http.method`, as sent.
    case method
    /// `http.host`: the Host header in lower case, without its port and a final dot.
    case host
    /// `http.path`: the canonical path, without the query.
    case path
    /// `http.path.segments.N`, from 0.
    case segment(Int)
    /// `http.path.segments.N_M`: segments N to M with the slashes between them; N is less than M.
    case segments(Int, Int)
    /// `http.path.segments.len`.
    case segmentCount
    /// `http.headers.NAME`: every value of it. In lower case, with `_` for `-`.
    case header(String)
    /// `http.queries.NAME`: every decoded value of it.
    case query(String)
    /// `net.src.ip`: the client's address, as a trusted peer tells it.
    case sourceAddress
    /// `net.src.port`.
    case sourcePort
    /// `net.dst.ip`: the address that the client connected to.
    case destinationAddress
    /// `net.dst.port`: the port in Host, else the one that the client connected to.
    case destinationPort

    /// What its values are.
    public enum ValueType: Sendable {
        case text, number, address

        /// With an article, for messages.
        var name: String {
            switch self {
            case .text: "a string"
            case .number: "a number"
            case .address: "an IP address"
            }
        }
    }

    public var type: ValueType {
        switch self {
        case .networkProtocol, .serverName, .method, .host, .path, .segment, .segments, .header, .query: .text
        case .segmentCount, .sourcePort, .destinationPort: .number
        case .sourceAddress, .destinationAddress: .address
        }
    }

    /// The domain that has it; nil: both.
    var onlyDomain: RouteExpression.Domain? {
        switch self {
        case .method, .host, .path, .segment, .segments, .segmentCount, .header, .query: .http
        case .networkProtocol, .serverName, .sourceAddress, .sourcePort, .destinationAddress, .destinationPort: nil
        }
    }

    /// Names without a variable part.
    static let fixed: [(name: String, field: ExpressionField)] = [
        ("net.protocol", .networkProtocol), ("tls.sni", .serverName), ("http.method", .method), ("http.host", .host),
        ("http.path", .path), ("http.path.segments.len", .segmentCount), ("net.src.ip", .sourceAddress),
        ("net.src.port", .sourcePort), ("net.dst.ip", .destinationAddress), ("net.dst.port", .destinationPort),
    ]
    static let headerPrefix = "http.headers."
    static let queryPrefix = "http.queries."
    static let segmentsPrefix = "http.path.segments."
    /// What `net.dst.port` was called.
    static let oldPortName = "net.port"
}

extension ExpressionField: CustomStringConvertible {
    public var description: String {
        switch self {
        case .segment(let number): "\(Self.segmentsPrefix)\(number)"
        case .segments(let first, let last): "\(Self.segmentsPrefix)\(first)_\(last)"
        case .header(let name): Self.headerPrefix + name
        case .query(let name): Self.queryPrefix + name
        case .networkProtocol, .serverName, .method, .host, .path, .segmentCount, .sourceAddress, .sourcePort,
            .destinationAddress, .destinationPort:
            Self.fixed.first { $0.field == self }?.name ?? ""
        }
    }
}

/// Why a name is no field, and what to write instead.
struct FieldProblem: Error {
    var message: String
    var remedy: String
}

extension ExpressionField {
    /// The field called `name` in expressions of `domain`.
    static func named(_ name: String, in domain: RouteExpression.Domain) throws(FieldProblem) -> ExpressionField {
        let field = try known(name)
        guard let only = field.onlyDomain, only != domain else { return field }
        throw FieldProblem(
            message: "\(name) does not exist for a route of tcp, tls or udp",
            remedy: "such a route has net.protocol, net.src.ip, net.src.port, net.dst.ip, net.dst.port and tls.sni")
    }

    private static func known(_ name: String) throws(FieldProblem) -> ExpressionField {
        if let found = fixed.first(where: { $0.name == name }) { return found.field }
        if name == oldPortName { return .destinationPort }
        if name.hasPrefix(headerPrefix) {
            let header = name.dropFirst(headerPrefix.utf8.count)
            guard !header.isEmpty else {
                throw FieldProblem(message: "the header's name is missing", remedy: "write http.headers.x_tenant")
            }
            return .header(header.lowercased())
        }
        if name.hasPrefix(queryPrefix) {
            let query = name.dropFirst(queryPrefix.utf8.count)
            guard !query.isEmpty else {
                throw FieldProblem(message: "the parameter's name is missing", remedy: "write http.queries.page")
            }
            return .query(String(query))
        }
        if name.hasPrefix(segmentsPrefix) { return try segment(name) }
        throw unknown(name)
    }

    /// `N` or `N_M` after the prefix, without leading zeros, N less than M.
    private static func segment(_ name: String) throws(FieldProblem) -> ExpressionField {
        let suffix = name.dropFirst(segmentsPrefix.utf8.count)
        let parts = suffix.split(separator: "_", omittingEmptySubsequences: false)
        let numbers = parts.compactMap { segmentNumber($0) }
        if numbers.count == parts.count {
            if numbers.count == 1 { return .segment(numbers[0]) }
            if numbers.count == 2, numbers[0] < numbers[1] { return .segments(numbers[0], numbers[1]) }
        }
        throw FieldProblem(
            message: "\(name) names no segment of a path",
            remedy: "write http.path.segments.0, http.path.segments.0_2 (the first number is the smaller) or "
                + "http.path.segments.len")
    }

    /// No leading zero, at most six digits: a request line is shorter than that.
    private static func segmentNumber(_ text: Substring) -> Int? {
        guard (1...6).contains(text.utf8.count), text.utf8.allSatisfy({ (0x30...0x39).contains($0) }),
            text.utf8.count == 1 || text.utf8.first != 0x30
        else { return nil }
        return Int(text)
    }

    private static func unknown(_ name: String) -> FieldProblem {
        let message = "there is no field \(name)"
        let habits = [
            ("http.header.", headerPrefix), ("http.query.", queryPrefix), ("http.args.", queryPrefix),
            ("http.path.segment.", segmentsPrefix),
        ]
        for (wrong, right) in habits where name.hasPrefix(wrong) {
            return FieldProblem(message: message, remedy: "write \(right)\(name.dropFirst(wrong.utf8.count))")
        }
        let synonyms = [
            "http.uri": "http.path", "http.url": "http.path", "http.sni": "tls.sni", "tls.servername": "tls.sni",
            "net.src": "net.src.ip", "net.dst": "net.dst.ip", "net.ip": "net.src.ip", "http.scheme": "net.protocol",
            "http.port": "net.dst.port", "http.headers": "http.headers.NAME", "http.queries": "http.queries.NAME",
            "http.path.segments": "http.path.segments.0",
        ]
        if let near = synonyms[name] ?? nearest(to: name) {
            return FieldProblem(message: message, remedy: "did you mean \(near)?")
        }
        return FieldProblem(
            message: message,
            remedy: "the fields are \(fixed.map(\.name).joined(separator: ", ")), http.path.segments.N, "
                + "http.headers.NAME and http.queries.NAME")
    }

    private static func nearest(to name: String) -> String? {
        guard name.utf8.count <= 64 else { return nil }
        let distances = fixed.map { (name: $0.name, distance: edits(Array(name.utf8), Array($0.name.utf8))) }
        guard let best = distances.min(by: { ($0.distance, $0.name) < ($1.distance, $1.name) }) else { return nil }
        return best.distance <= 3 ? best.name : nil
    }

    /// Insertions, deletions and changes that turn one into the other.
    private static func edits(_ a: [UInt8], _ b: [UInt8]) -> Int {
        var previous = Array(0...b.count)
        for i in 0..<a.count {
            var current = [i + 1]
            for j in 0..<b.count {
                current.append(min(previous[j + 1] + 1, current[j] + 1, previous[j] + (a[i] == b[j] ? 0 : 1)))
            }
            previous = current
        }
        return previous[b.count]
    }
}
