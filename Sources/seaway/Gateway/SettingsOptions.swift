// Every setting of a gateway that is not in kong.yml, as flags.

import ArgumentParser
import Bytes
import CLinux
import Snapshot

/// The file and how strictly it is read; shared by run, check and match.
struct ConfigOptions: ParsableArguments {
    @Option(
        name: [.customShort("c"), .long],
        help: ArgumentHelp("A kong.yml or kong.json, format 1.1, 2.1 or 3.0.", valueName: "file"),
        completion: .file(extensions: ["yml", "yaml", "json"]))
    var config: String

    @Flag(help: "Start without what is not supported, and list each thing left out, instead of refusing the file.")
    var lenient = false

    @Option(
        help: ArgumentHelp(
            "How routes are told apart: traditional_compatible (by their fields) or expressions (by expressions too).",
            valueName: "flavour"))
    var router = RouterChoice.traditionalCompatible

    func validate() throws {
        guard router == .traditional else { return }
        throw ValidationError(
            """
            --router traditional, the order of Kong before 3.0, is not offered. traditional_compatible orders routes \
            as Kong does since, and `seaway gateway match` shows for any request which route that makes the answer.
            """)
    }
}

/// Where the configuration of a running gateway comes from: a file, or a control plane.
struct RunSourceOptions: ParsableArguments {
    @Option(
        name: [.customShort("c"), .long],
        help: ArgumentHelp("A kong.yml or kong.json, format 1.1, 2.1 or 3.0.", valueName: "file"),
        completion: .file(extensions: ["yml", "yaml", "json"]))
    var config: String?

    @Flag(help: "Start without what is not supported, and list each thing left out, instead of refusing the file.")
    var lenient = false

    @Option(
        help: ArgumentHelp(
            "How routes are told apart: traditional_compatible (by their fields) or expressions (by expressions too).",
            valueName: "flavour"))
    var router = RouterChoice.traditionalCompatible

    @Option(
        help: ArgumentHelp(
            "Instead of --config: control planes that send the configuration; one is followed, the others are for when it is gone.",
            valueName: "https://host:port,…"))
    var controlPlane: String?

    @Option(
        help: ArgumentHelp(
            "Holds the token by which this gateway joins, one line. Not needed again while its certificate lasts.",
            valueName: "file"),
        completion: .file())
    var tokenFile: String?

    @Option(
        help: ArgumentHelp(
            "What this gateway is, such as zone=eu,cloud=aws: configurations may be meant for some labels only.",
            valueName: "key=value,…"))
    var labels: String = ""

    @Option(help: ArgumentHelp("What control planes call this gateway. (default: the host's name)", valueName: "name"))
    var name: String?

    @Option(
        help: ArgumentHelp(
            "A signed configuration for a first start while no control plane answers: file:///path or https://host/path.",
            valueName: "url"))
    var fallback: String = ""

    func validate() throws {
        if router == .traditional {
            throw ValidationError(
                """
                --router traditional, the order of Kong before 3.0, is not offered. traditional_compatible orders routes \
                as Kong does since, and `seaway gateway match` shows for any request which route that makes the answer.
                """)
        }
        switch (config, controlPlane) {
        case (nil, nil):
            throw ValidationError(
                """
                Where does the configuration come from? Give a file with --config kong.yml, or a control plane with \
                --control-plane https://HOST:5678 --token-file FILE.
                """)
        case (_?, _?):
            throw ValidationError(
                "--config and --control-plane exclude each other: the configuration comes from one place. Keep one of them."
            )
        case (nil, let planes?): try validate(planes)
        case (_?, nil):
            for (flag, isGiven) in [
                ("--token-file", tokenFile != nil), ("--labels", !labels.isEmpty), ("--name", name != nil),
                ("--fallback", !fallback.isEmpty),
            ] where isGiven {
                throw ValidationError(
                    "\(flag) is for gateways that follow a --control-plane. With --config, leave it out.")
            }
        }
    }

    private func validate(_ planes: String) throws {
        for url in JoinPlan.list(planes) where !JoinPlan.isControlPlane(url) {
            throw ValidationError(
                "--control-plane: \(jsonString(url)) is no address of a control plane. Write it as https://HOST:PORT, such as https://cp1.example.com:5678."
            )
        }
        if JoinPlan.list(planes).isEmpty {
            throw ValidationError("--control-plane is empty. Write at least one https://HOST:PORT.")
        }
        for label in JoinPlan.list(labels) where !JoinPlan.isLabel(label) {
            throw ValidationError(
                "--labels: \(jsonString(label)) is no label. Write key=value with letters, digits, '.', '_', '-' and '/', such as zone=eu."
            )
        }
        if let name, !(1...100).contains(name.utf8.count) {
            throw ValidationError("--name must have 1 to 100 bytes.")
        }
        if !fallback.isEmpty, !fallback.hasPrefix("file:///"), !fallback.hasPrefix("https://") {
            throw ValidationError(
                "--fallback: \(jsonString(fallback)) cannot be fetched. Write file:///PATH or https://HOST/PATH.")
        }
    }

    /// The plan, where a control plane is followed.
    var join: JoinPlan? {
        guard let controlPlane else { return nil }
        return JoinPlan(
            controlPlanes: JoinPlan.list(controlPlane), tokenFile: tokenFile.map(absolute),
            labels: JoinPlan.list(labels).sorted(), name: name ?? JoinPlan.hostName, fallback: fallback)
    }
}

/// Flags that become `Settings`. Defaults are those of `Settings`.
struct SettingsOptions: ParsableArguments {
    private static let defaults = Settings()

    @Option(help: "Whose names the gateway's own headers carry: X-Kong-…, X-Seaway-…, or none.")
    var headers = HeaderStyle.kong

    @Option(
        help: ArgumentHelp(
            "Peers whose X-Forwarded-*, real IP and PROXY protocol headers are believed: addresses or CIDRs, separated by commas.",
            valueName: "cidr,…"))
    var trustedIps: String = ""

    @Option(
        help: ArgumentHelp(
            "The header of a trusted peer that names the client: X-Real-IP or X-Forwarded-For.", valueName: "name"))
    var realIpHeader: String = defaults.realIPHeader

    @Flag(help: "Walk X-Forwarded-For from the right past trusted addresses.")
    var realIpRecursive = false

    @Option(
        help: ArgumentHelp(
            "Where requests are logged: a file (SIGUSR1 reopens it), - for standard output, or off.",
            valueName: "file|-|off"),
        completion: .file())
    var accessLog: String = "off"

    @Option(help: "How an access log line looks: json (Kong's log shape) or combined.")
    var accessLogFormat = AccessLogFormat.json

    @Option(help: ArgumentHelp("DNS servers, instead of those in /etc/resolv.conf.", valueName: "host:port,…"))
    var resolver: String = ""

    @Option(
        help: ArgumentHelp(
            "Ask clients on --https, and on --stream with tls, for a certificate of these authorities (PEM).",
            valueName: "file"),
        completion: .file())
    var clientCa: String?

    @Option(help: ArgumentHelp("Largest request line, and largest header line.", valueName: "size"))
    var requestLineLimit = ByteCount(bytes: defaults.requestLineLimit)

    @Option(help: ArgumentHelp("Largest request line and headers together.", valueName: "size"))
    var requestHeadLimit = ByteCount(bytes: defaults.requestHeadLimit)

    @Option(help: ArgumentHelp("Most headers in a request.", valueName: "n"))
    var headerCountLimit: Int = defaults.headerCountLimit

    @Option(help: ArgumentHelp("Largest head that an upstream may answer with.", valueName: "size"))
    var responseHeadLimit = ByteCount(bytes: defaults.responseHeadLimit)

    @Option(help: ArgumentHelp("Largest request body; 0: any.", valueName: "size"))
    var requestBodyLimit = ByteCount(bytes: defaults.requestBodyLimit)

    @Option(help: ArgumentHelp("Memory for the bodies of one exchange.", valueName: "size"))
    var bodyBuffer = ByteCount(bytes: defaults.bodyBuffer)

    @Option(help: ArgumentHelp("From a request's first byte to the end of its head.", valueName: "time"))
    var headTimeout = TimeLimit(milliseconds: defaults.headTimeout)

    @Option(help: ArgumentHelp("Between two reads of a request body, or two writes of a response.", valueName: "time"))
    var bodyTimeout = TimeLimit(milliseconds: defaults.bodyTimeout)

    @Option(help: ArgumentHelp("Between two requests of a client connection.", valueName: "time"))
    var idleTimeout = TimeLimit(milliseconds: defaults.idleTimeout)

    @Option(help: ArgumentHelp("For a client's TLS handshake.", valueName: "time"))
    var tlsHandshakeTimeout = TimeLimit(milliseconds: defaults.tlsHandshakeTimeout)

    @Option(help: ArgumentHelp("Requests on one client connection; 0: any number.", valueName: "n"))
    var keepAliveRequests: Int = defaults.keepAliveRequests

    @Option(help: ArgumentHelp("Idle upstream connections kept for each worker and endpoint.", valueName: "n"))
    var upstreamKeepAlive: Int = defaults.upstreamKeepAlive

    @Option(help: ArgumentHelp("How long an upstream connection may idle.", valueName: "time"))
    var upstreamIdleTimeout = TimeLimit(milliseconds: defaults.upstreamIdleTimeout)

    @Option(help: ArgumentHelp("Requests on one upstream connection; 0: any number.", valueName: "n"))
    var upstreamKeepAliveRequests: Int = defaults.upstreamKeepAliveRequests

    @Option(help: ArgumentHelp("Open client connections for each worker.", valueName: "n"))
    var connectionLimit: Int = defaults.connectionLimit

    @Option(
        help: ArgumentHelp("How long requests may finish when the gateway stops or is replaced.", valueName: "time"))
    var drainTimeout = TimeLimit(milliseconds: defaults.drainTimeout)

    func validate() throws {
        for prefix in Self.list(trustedIps) where IPPrefix(prefix) == nil {
            throw ValidationError(
                "--trusted-ips: \"\(prefix)\" is neither an address nor a CIDR, such as 10.0.0.0/8 or ::1.")
        }
        for server in Self.list(resolver) where ListenAddress(argument: Self.withPort(server)) == nil {
            throw ValidationError("--resolver: \"\(server)\" is not ADDRESS:PORT, such as 127.0.0.1:5353.")
        }
        let ranges: [(flag: String, value: Int, range: ClosedRange<Int>)] = [
            ("request-line-limit", requestLineLimit.bytes, 64...1 << 20),
            ("request-head-limit", requestHeadLimit.bytes, 256...16 << 20),
            ("response-head-limit", responseHeadLimit.bytes, 256...16 << 20),
            ("header-count-limit", headerCountLimit, 1...10_000),
            ("body-buffer", bodyBuffer.bytes, 4096...1 << 30),
            ("keep-alive-requests", keepAliveRequests, 0...Int(Int32.max)),
            ("upstream-keep-alive", upstreamKeepAlive, 0...1_000_000),
            ("upstream-keep-alive-requests", upstreamKeepAliveRequests, 0...Int(Int32.max)),
            ("connection-limit", connectionLimit, 1...10_000_000),
        ]
        for (flag, value, range) in ranges where !range.contains(value) {
            throw ValidationError(
                "--\(flag) must be between \(range.lowerBound) and \(range.upperBound), not \(value).")
        }
    }

    /// - Parameter directory: what a relative access log path starts from.
    func settings(in directory: String) -> Settings {
        var settings = Settings()
        settings.headerStyle = headers
        settings.trustedPeers = Self.list(trustedIps)
        settings.realIPHeader = realIpHeader
        settings.realIPRecursive = realIpRecursive
        switch accessLog {
        case "off", "": settings.accessLog = ""
        case "-": settings.accessLog = "-"
        default: settings.accessLog = accessLog.hasPrefix("/") ? accessLog : directory + "/" + accessLog
        }
        settings.accessLogFormat = accessLogFormat
        settings.requestLineLimit = requestLineLimit.bytes
        settings.requestHeadLimit = requestHeadLimit.bytes
        settings.headerCountLimit = headerCountLimit
        settings.responseHeadLimit = responseHeadLimit.bytes
        settings.requestBodyLimit = requestBodyLimit.bytes
        settings.bodyBuffer = bodyBuffer.bytes
        settings.headTimeout = headTimeout.milliseconds
        settings.bodyTimeout = bodyTimeout.milliseconds
        settings.idleTimeout = idleTimeout.milliseconds
        settings.tlsHandshakeTimeout = tlsHandshakeTimeout.milliseconds
        settings.keepAliveRequests = keepAliveRequests
        settings.upstreamKeepAlive = upstreamKeepAlive
        settings.upstreamIdleTimeout = upstreamIdleTimeout.milliseconds
        settings.upstreamKeepAliveRequests = upstreamKeepAliveRequests
        settings.connectionLimit = connectionLimit
        settings.drainTimeout = drainTimeout.milliseconds
        settings.resolvers = Self.list(resolver).map(Self.withPort)
        return settings
    }

    private static func list(_ text: String) -> [String] {
        text.split(separator: ",").map { $0.trimmingPrefix { $0 == " " } }
            .map { String($0.reversed().drop { $0 == " " }.reversed()) }.filter { !$0.isEmpty }
    }

    /// A resolver without a port is asked on 53.
    private static func withPort(_ server: String) -> String {
        if server.hasPrefix("[") { return server.hasSuffix("]") ? server + ":53" : server }
        if server.count(where: { $0 == ":" }) > 1 { return "[\(server)]:53" }
        return server.contains(":") ? server : server + ":53"
    }
}
