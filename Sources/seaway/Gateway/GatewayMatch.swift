// `seaway gateway match`: which route answers a request, and why.

import ArgumentParser
import Bytes
import CSystem
import Explain
import FoundationEssentials
import Model
import Snapshot

struct GatewayMatch: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "match",
        abstract: "Say which route answers a request, and why it beats the others.",
        discussion: """
            One request:

              seaway gateway match -c kong.yml --host example.com --path '/orders?id=7'
              seaway gateway match -c kong.yml --method POST --path /login --scheme https \\
                --header 'x-tenant: blue' --json

            Many, one JSON object a line in, one answer a line out:

              seaway gateway match -c kong.yml --requests requests.jsonl

            A request there is {"method", "host", "path", "scheme", "sni", "headers": {name: [values]}, \
            "src", "dst"}; all but "path" may be left out, "host": "" means no Host header, and the port of \
            "dst" is the one the client connected to.

            The routing table is the one that the gateway runs, so the answer is the gateway's. Nothing is \
            started or sent. Exit code 0: answered (404 is an answer); 1: the file cannot be used, or a \
            line is no request.
            """)

    @OptionGroup(title: "Configuration") var source: ConfigOptions
    @OptionGroup(title: "Request") var request: RequestOptions

    @Option(
        help: ArgumentHelp("Answer the requests in this file, or - for standard input.", valueName: "file.jsonl|-"),
        completion: .file(extensions: ["jsonl"]))
    var requests: String?

    @Flag(help: "Answer with one line of JSON.")
    var json = false

    @Option(name: [.short, .long], help: "How the answer is printed: text or json.")
    var output = OutputFormat.text

    func validate() throws {
        if requests == nil, request.path == nil {
            throw ValidationError(
                "--path is missing: the path and query of the request, such as --path /orders?page=2.")
        }
        if requests != nil, request.path != nil {
            throw ValidationError("--path and --requests exclude each other.")
        }
        if source.config == "-", requests == "-" {
            throw ValidationError("--config and --requests cannot both be standard input.")
        }
    }

    func run() throws {
        let explainer = try Self.explainer(source)
        if let requests {
            try answerAll(requests, explainer)
            return
        }
        let question = try request.question()
        let answer = explainer.answer(question)
        if json || output == .json {
            Console.standard.out(answer.json)
        } else {
            let console = Console(colour: isatty(1) == 1 && Console.standard.colour)
            console.out(MatchText(console: console).text(question, answer))
        }
    }

    /// The snapshot that `gateway run` would serve, ready to answer; or all that is wrong with the file.
    private static func explainer(_ source: ConfigOptions) throws -> RouteExplainer {
        let result = Pipeline.load(.offline(source))
        guard let snapshot = result.snapshot else {
            Report(console: .standard).print(result.diagnostics, source: result.source)
            throw Failure("\(source.config) cannot be used")
        }
        do {
            return try RouteExplainer(snapshot)
        } catch {
            throw Failure("\(source.config) cannot be used: \(error)")
        }
    }

    // MARK: - Many requests

    private func answerAll(_ path: String, _ explainer: RouteExplainer) throws {
        let descriptor = path == "-" ? dup(0) : unsafe sys_open(path, O_RDONLY | O_CLOEXEC, 0)
        guard descriptor >= 0 else { throw Failure("cannot open \(path): \(errorText(sys_errno()))") }
        defer { _ = sys_close(descriptor) }
        var lines = LineReader(descriptor)
        var number = 0
        var failed = 0
        // Answers go out as their requests come in, so that a program may hold a conversation.
        while let batch = lines.next() {
            var answers = ""
            for line in batch {
                number += 1
                guard line.contains(where: { $0 != 0x20 && $0 != 0x09 && $0 != 0x0D }) else { continue }
                do throws(RequestLineError) {
                    answers += explainer.answer(try RequestLine.question(line)).json + "\n"
                } catch {
                    failed += 1
                    answers += "{\"error\": \(jsonString(error.message)), \"line\": \(number)}\n"
                }
            }
            if !answers.isEmpty { Console.standard.out(answers) }
        }
        if lines.isTooLong { throw Failure("line \(number + 1) of \(path) is longer than \(LineReader.limit) bytes") }
        if failed > 0 { throw Failure("\(counted(failed, "line")) of \(path) could not be read as a request") }
    }
}

extension PipelineInput {
    /// For commands that start nothing: the settings and addresses that `gateway run` has by default.
    static func offline(_ source: ConfigOptions) -> PipelineInput {
        var clear = Listener()
        clear.port = 8000
        var secure = Listener()
        secure.port = 8443
        secure.tls = true
        var settings = Settings()
        settings.router = source.router.flavour
        return PipelineInput(
            path: source.config, lenient: source.lenient, environment: Environment.all, settings: settings,
            listeners: [clear, secure])
    }
}

/// One request, in flags.
struct RequestOptions: ParsableArguments {
    @Option(help: "The method.")
    var method = "GET"

    @Option(help: ArgumentHelp("The Host header, with or without port; empty: none.", valueName: "host[:port]"))
    var host = ""

    @Option(help: ArgumentHelp("Path and query, as a client sends them.", valueName: "path"))
    var path: String?

    @Option(help: "http, https, grpc or grpcs.")
    var scheme = "http"

    @Option(help: ArgumentHelp("The TLS server name.", valueName: "name"))
    var sni = ""

    @Option(
        name: [.customShort("H"), .long], help: ArgumentHelp("A header. May be repeated.", valueName: "name:value"))
    var header: [String] = []

    @Option(
        help: ArgumentHelp("The port that the client connected to. (default: 8000, or 8443 for TLS)", valueName: "port")
    )
    var port: Int?

    func validate() throws {
        if !["http", "https", "grpc", "grpcs"].contains(scheme.lowercased()) {
            throw ValidationError("--scheme is http, https, grpc or grpcs, not \"\(scheme)\".")
        }
        for header in header where !header.dropFirst().contains(":") {
            throw ValidationError("--header \"\(header)\" has no colon: write name:value.")
        }
        if let path, !path.hasPrefix("/") { throw ValidationError("--path must start with /, not \"\(path)\".") }
        if let port, !(1...65535).contains(port) { throw ValidationError("--port must be between 1 and 65535.") }
    }

    func question() throws -> MatchQuestion {
        var question = MatchQuestion()
        question.method = method
        question.host = host
        question.path = path ?? "/"
        question.scheme = scheme
        question.serverName = sni
        question.port = port ?? 0
        for header in header {
            guard let colon = header.firstIndex(of: ":") else { continue }
            let value = header[header.index(after: colon)...].drop { $0 == " " || $0 == "\t" }
            let end = value.lastIndex { $0 != " " && $0 != "\t" }.map { value.index(after: $0) } ?? value.startIndex
            question.headers.append((String(header[..<colon]), String(value[..<end])))
        }
        return question
    }
}

/// Why a line is no request.
struct RequestLineError: Error {
    var message: String
}

/// A request as a line of JSON.
private struct RequestLine: Decodable {
    var method: String?
    var host: String?
    var path: String?
    var scheme: String?
    var sni: String?
    var headers: [String: [String]]?
    var src: String?
    var dst: String?

    static func question(_ line: [UInt8]) throws(RequestLineError) -> MatchQuestion {
        let request: RequestLine
        do {
            request = try JSONDecoder().decode(RequestLine.self, from: Data(line))
        } catch DecodingError.typeMismatch(_, let context), DecodingError.valueNotFound(_, let context) {
            throw RequestLineError(
                message: "\(context.codingPath.map(\.stringValue).joined(separator: ".")): \(context.debugDescription)")
        } catch {
            throw RequestLineError(message: "not a JSON object")
        }
        guard let path = request.path else { throw RequestLineError(message: "path is missing") }
        var question = MatchQuestion()
        question.method = request.method ?? "GET"
        question.host = request.host ?? ""
        question.path = path
        question.scheme = request.scheme ?? "http"
        question.serverName = request.sni ?? ""
        if let dst = request.dst, let colon = dst.lastIndex(of: ":") {
            question.port = decimal(dst[dst.index(after: colon)...]) ?? 0
        }
        for (name, values) in (request.headers ?? [:]).sorted(by: { $0.key < $1.key }) {
            for value in values { question.headers.append((name, value)) }
        }
        return question
    }
}

/// Reads a descriptor's lines as they come.
struct LineReader {
    /// Bytes in one line.
    static let limit = 1 << 20
    private let descriptor: Int32
    private var pending: [UInt8] = []
    private var isAtEnd = false
    private(set) var isTooLong = false

    init(_ descriptor: Int32) { self.descriptor = descriptor }

    /// The lines of the next piece of input, without their ends; nil at the end.
    mutating func next() -> [[UInt8]]? {
        while !isAtEnd {
            let room = Buffer(capacity: 64 * 1024)
            let n = room.appendFrom(limit: 64 * 1024) { Int(sys_read(descriptor, $0, $1)) }
            if n < 0, sys_errno() == EINTR { continue }
            if n > 0 { pending += room.readable.array } else { isAtEnd = true }
            var lines = pending.split(separator: 0x0A, omittingEmptySubsequences: false).map(Array.init)
            pending = isAtEnd ? [] : lines.removeLast()
            if pending.count > Self.limit {
                isTooLong = true
                isAtEnd = true
            }
            if !lines.isEmpty { return lines }
        }
        return nil
    }
}
