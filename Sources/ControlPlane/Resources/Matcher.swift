// The route tester: a request or a connection, asked of the tables that gateways run.

import Bytes
import Compile
import Explain
import Model
import Snapshot

/// Keeps the tables of the newest revision that was asked about.
actor Matcher {
    private let expressions: Bool
    private var revision: UInt64?
    private var explainers: (http: RouteExplainer, stream: StreamExplainer)?

    init(expressions: Bool) {
        self.expressions = expressions
    }

    /// One line of JSON, as `seaway gateway match --json` prints it.
    func answer(_ question: MatchInput, _ current: Publication) throws -> [UInt8] {
        let (http, stream) = try tables(current)
        switch question {
        case .request(let question): return Array(http.answer(question).json.utf8)
        case .stream(let question): return Array(stream.answer(question).json.utf8)
        }
    }

    private func tables(_ current: Publication) throws -> (http: RouteExplainer, stream: StreamExplainer) {
        if let explainers, revision == current.revision { return explainers }
        var settings = Settings()
        settings.router = expressions ? .expressions : .traditionalCompatible
        // What `gateway run` listens on by default.
        var clear = Listener()
        clear.port = 8000
        var secure = Listener()
        secure.port = 8443
        secure.tls = true
        let snapshot = GatewayCompiler.compile(current.model, settings: settings, listeners: [clear, secure]).0
        let made = (try RouteExplainer(snapshot), try StreamExplainer(snapshot))
        (revision, explainers) = (current.revision, made)
        return made
    }
}

/// What the route tester is asked.
enum MatchInput {
    case request(MatchQuestion)
    case stream(StreamMatchQuestion)

    static let fields = ["method", "host", "path", "scheme", "sni", "headers", "src", "dst"]

    static func read(_ input: ConfigValue) throws(ChangeError) -> MatchInput {
        var problems = SpecProblems()
        for field in ["method", "host", "path", "scheme", "sni", "src", "dst"]
        where !input[field].isNull && input[field].string == nil {
            problems.add(field, "expected a string", "write \(field): \"…\"")
        }
        let scheme = input["scheme"].string?.lowercased() ?? "http"
        let transports: [String: StreamTransport] = ["tcp": .tcp, "tls": .tls, "udp": .udp]
        let schemes = ["http", "https", "grpc", "grpcs"]
        let transport = transports[scheme]
        if transport == nil, !schemes.contains(scheme) {
            problems.addUnknown(scheme, "scheme", at: "scheme", known: schemes + transports.keys.sorted())
        }
        let source = place(input["src"], "src", &problems)
        let destination = place(input["dst"], "dst", &problems)
        var result: MatchInput
        if let transport {
            for field in ["method", "host", "path", "headers"] where !input[field].isNull {
                problems.add(field, "a connection has none", "leave it out")
            }
            var question = StreamMatchQuestion()
            question.transport = transport
            question.source = source
            question.destination = destination
            question.serverName = input["sni"].string ?? ""
            result = .stream(question)
        } else {
            var question = MatchQuestion()
            question.method = input["method"].string ?? "GET"
            question.host = input["host"].string ?? ""
            question.path = input["path"].string ?? "/"
            question.scheme = scheme
            question.serverName = input["sni"].string ?? ""
            question.source = source.address
            question.sourcePort = Int(source.port ?? 0)
            question.destination = destination.address
            question.port = Int(destination.port ?? 0)
            question.headers = headers(input["headers"], &problems)
            if !question.path.hasPrefix("/") { problems.add("path", "it does not start with /", "write /orders?id=7") }
            // Whoever asks about grpc means a call, which says so in its content type.
            if scheme.hasPrefix("grpc"), !question.headers.contains(where: { $0.name.lowercased() == "content-type" }) {
                question.headers.append(("content-type", "application/grpc"))
            }
            result = .request(question)
        }
        guard problems.list.isEmpty else { throw .invalid(problems.findings("the question")) }
        return result
    }

    /// `{"name": "value"}` or `{"name": ["value", …]}`.
    private static func headers(
        _ value: ConfigValue, _ problems: inout SpecProblems
    ) -> [(name: String, value: String)] {
        guard !value.isNull else { return [] }
        guard let entries = value.entries else {
            problems.add("headers", "expected a record of header fields", "write {\"x-tenant\": [\"blue\"]}")
            return []
        }
        var headers: [(name: String, value: String)] = []
        for entry in entries {
            let values = entry.value.string.map { [$0] } ?? entry.value.strings
            if values.isEmpty || entry.value.array.map({ $0.count != values.count }) ?? false {
                problems.add("headers.\(entry.key)", "expected a string or an array of strings", "write [\"blue\"]")
            }
            headers += values.map { (entry.key, $0) }
        }
        return headers
    }

    /// `10.0.0.1:80`, `[2001:db8::1]:80`, an address alone, or `:80`.
    private static func place(_ value: ConfigValue, _ field: String, _ problems: inout SpecProblems) -> StreamPlace {
        guard let text = value.string else { return StreamPlace() }
        if let address = IPAddress(text) { return StreamPlace(address: address) }
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        let host = parts.dropLast().joined(separator: ":")
        let bare = host.hasPrefix("[") && host.hasSuffix("]") ? String(host.dropFirst().dropLast()) : host
        let digits = parts.last ?? ""
        let isNumber = !digits.isEmpty && digits.utf8.allSatisfy { $0 >= 0x30 && $0 <= 0x39 }
        guard parts.count >= 2, isNumber, let port = UInt16(digits), port > 0 else {
            problems.add(field, "\(text.prefix(80)) is no address:port", "write 10.0.0.1:5432 or [2001:db8::1]:5432")
            return StreamPlace()
        }
        if bare.isEmpty { return StreamPlace(port: port) }
        guard let address = IPAddress(bare) else {
            problems.add(field, "\(bare.prefix(80)) is no IP address", "write 10.0.0.1:5432")
            return StreamPlace()
        }
        return StreamPlace(address: address, port: port)
    }
}
