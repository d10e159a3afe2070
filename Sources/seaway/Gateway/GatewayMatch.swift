// `seaway gateway match`: which route answers a request or takes a connection, and why.

import ArgumentParser
import Bytes
import CLinux
import Explain
import Model
import Snapshot

struct GatewayMatch: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "match",
        abstract: "Say which route answers a request or takes a connection, and why it beats the others.",
        discussion: """
            One request:

              seaway gateway match -c kong.yml --host example.com --path '/orders?id=7'
              seaway gateway match -c kong.yml --method POST --path /login --scheme https \\
                --header 'x-tenant: blue' --json

            One connection, or one session of datagrams:

              seaway gateway match -c kong.yml --scheme tls --sni db.example.com --dst 10.0.0.1:5432
              seaway gateway match -c kong.yml --scheme udp --src 192.0.2.7:4000 --dst 10.0.0.1:53

            Many, one JSON object a line in, one answer a line out:

              seaway gateway match -c kong.yml --requests requests.jsonl

            A request there is {"method", "host", "path", "scheme", "sni", "headers": {name: [values]}, \
            "src", "dst"}; all but "path" may be left out, "host": "" means no Host header, and the port of \
            "dst" is the one the client connected to. A connection is {"scheme", "src", "dst", "sni"}.

            The routing table is the one that the gateway runs, so the answer is the gateway's. Nothing is \
            started or sent. Exit code 0: answered (404 and "closed" are answers); 1: the file cannot be used, \
            or a line is no request.
            """)

    @OptionGroup(title: "Configuration") var source: ConfigOptions
    @OptionGroup(title: "Request") var request: RequestOptions
    @OptionGroup(title: "Connection") var ends: EndOptions

    @Option(
        help: ArgumentHelp("Answer the requests in this file, or - for standard input.", valueName: "file.jsonl|-"),
        completion: .file(extensions: ["jsonl"]))
    var requests: String?

    @Flag(help: "Answer with one line of JSON.")
    var json = false

    @Option(name: [.short, .long], help: "How the answer is printed: text or json.")
    var output = OutputFormat.text

    func validate() throws {
        if requests == nil, request.transport == nil, request.path == nil {
            throw ValidationError(
                """
                --path is missing: the path and query of the request, such as --path /orders?page=2. \
                For a connection or datagrams, write --scheme tcp, tls or udp.
                """)
        }
        try ends.check(with: request, router: source.router.flavour)
        if requests != nil, request.path != nil {
            throw ValidationError("--path and --requests exclude each other.")
        }
        if source.config == "-", requests == "-" {
            throw ValidationError("--config and --requests cannot both be standard input.")
        }
    }

    func run() throws {
        let explainers = try Self.explainers(source)
        if let requests {
            try answerAll(requests, explainers)
            return
        }
        let text = MatchText(console: Console(colour: isatty(1) == 1 && Console.standard.colour))
        let isJSON = json || output == .json
        if let question = try ends.question(with: request) {
            let answer = explainers.stream.answer(question)
            Console.standard.out(isJSON ? answer.json : text.text(question, answer))
        } else {
            var question = try request.question()
            ends.describe(&question)
            let answer = explainers.http.answer(question)
            Console.standard.out(isJSON ? answer.json : text.text(question, answer))
        }
    }

    /// Of requests, and of connections and datagrams.
    struct Explainers {
        let http: RouteExplainer
        let stream: StreamExplainer

        func json(_ line: [UInt8]) throws(RequestLineError) -> String {
            switch try RequestLine.question(line) {
            case .request(let question): http.answer(question).json
            case .stream(let question): stream.answer(question).json
            }
        }
    }

    /// The snapshot that `gateway run` would serve, ready to answer; or all that is wrong with the file.
    private static func explainers(_ source: ConfigOptions) throws -> Explainers {
        let result = Pipeline.load(.offline(source))
        guard let snapshot = result.snapshot else {
            Report(console: .standard).print(result.diagnostics, source: result.source)
            throw Failure("\(source.config) cannot be used")
        }
        do {
            return Explainers(http: try RouteExplainer(snapshot), stream: try StreamExplainer(snapshot))
        } catch {
            throw Failure("\(source.config) cannot be used: \(error)")
        }
    }

    // MARK: - Many requests

    private func answerAll(_ path: String, _ explainers: Explainers) throws {
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
                    answers += try explainers.json(line) + "\n"
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
            listeners: [clear, secure], isServed: false)
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

    @Option(
        help: """
            http, https, grpc or grpcs (with gRPC's content type, unless another is given); for a connection tcp or \
            tls, for datagrams udp.
            """)
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
        if transport == nil, !["http", "https", "grpc", "grpcs"].contains(scheme.lowercased()) {
            throw ValidationError(
                scheme == "tls_passthrough"
                    ? "--scheme tls is asked for both: the answer says whether TLS is ended or passed through."
                    : "--scheme is http, https, grpc, grpcs, tcp, tls or udp, not \"\(scheme)\".")
        }
        for header in header where !header.dropFirst().contains(":") {
            throw ValidationError("--header \"\(header)\" has no colon: write name:value.")
        }
        if let path, !path.hasPrefix("/") { throw ValidationError("--path must start with /, not \"\(path)\".") }
        if let port, !(1...65535).contains(port) { throw ValidationError("--port must be between 1 and 65535.") }
    }

    /// Nil: a request.
    var transport: StreamTransport? { StreamTransport(scheme: scheme) }

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
        question.completeCall()
        return question
    }
}
