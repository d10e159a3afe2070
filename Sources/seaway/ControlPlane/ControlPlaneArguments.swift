// The flags of a control plane, shared by `control-plane run` and `up`.

import ArgumentParser
import ControlPlane
import FoundationEssentials

struct ControlPlaneArguments: ParsableArguments {
    @Option(
        name: .customLong("store"),
        help: ArgumentHelp(
            "Where everything is kept: sqlite:PATH, or postgres://USER@HOST/DATABASE.",
            discussion: "Default: sqlite:DATA/seaway.db.", valueName: "url"))
    var store: String?

    @Option(
        name: .customLong("data"),
        help: ArgumentHelp(
            "Directory for the admin token, exported snapshots and the SQLite file; made with mode 0700.",
            valueName: "dir"))
    var data = "data"

    @Option(
        name: .customLong("cp-name"),
        help: ArgumentHelp(
            "What this control plane is called among several.",
            discussion: "Default: the host's name and the port of --stream.", valueName: "name"))
    var name: String?

    @Option(
        name: .customLong("admin"),
        help: ArgumentHelp("Address of the Admin API (Kong's), or off.", valueName: "address"))
    var admin = ListenAddress(address: "127.0.0.1", port: 8001)

    @Option(
        name: .customLong("api"),
        help: ArgumentHelp("Address of the resource API and the web UI.", valueName: "address"))
    var api = ListenAddress(address: "127.0.0.1", port: 5681)

    @Option(
        name: .customLong("stream"),
        help: ArgumentHelp("Address that gateways connect to, by TLS.", valueName: "address"))
    var stream = ListenAddress(address: "127.0.0.1", port: 5678)

    @Option(
        name: .customLong("export-dir"),
        help: ArgumentHelp(
            "Where signed snapshots for `gateway run --fallback` are written.",
            discussion: "Default: DATA/export.", valueName: "dir"))
    var exportDirectory: String?

    @Option(
        name: .customLong("router"),
        help: ArgumentHelp("traditional_compatible or expressions.", valueName: "flavour"))
    var router = "traditional_compatible"

    @Option(
        name: .customLong("certificate-lifetime"),
        help: ArgumentHelp(
            "Seconds that a gateway's certificate lasts; it is renewed at half of it. 60 to 31536000.",
            valueName: "seconds"))
    var certificateLifetime = 86_400

    @Option(
        name: .customLong("otlp"),
        help: ArgumentHelp(
            "Send traces of changes to an OpenTelemetry collector: its OTLP/HTTP address, such as http://127.0.0.1:4318.",
            valueName: "url"))
    var otlp: String?

    @Flag(
        name: .customLong("insecure-no-auth"),
        help: "Let everybody in without a token. Only with loopback addresses for --admin and --api.")
    var insecureNoAuth = false

    @Option(
        name: .customLong("allow-host"),
        help: ArgumentHelp(
            "A name besides localhost by which browsers reach listeners on loopback, through a proxy. May be repeated.",
            valueName: "name"))
    var allowHost: [String] = []

    @OptionGroup(title: "Login of people") var login: LoginArguments

    func resolved() throws -> ControlPlaneOptions {
        var options = ControlPlaneOptions(store: store ?? "sqlite:\(data)/seaway.db", dataDirectory: data)
        options.name = name ?? "\(ProcessInfo.processInfo.hostName):\(stream.port)"
        options.admin = admin == .off ? nil : endpoint(admin)
        guard api != .off, stream != .off else {
            throw ValidationError(
                "--api and --stream cannot be off: without them nobody could reach the control plane.")
        }
        options.api = endpoint(api)
        options.stream = endpoint(stream)
        options.exportDirectory = exportDirectory ?? "\(data)/export"
        switch router {
        case "traditional_compatible": options.expressions = false
        case "expressions": options.expressions = true
        default: throw ValidationError("--router is traditional_compatible or expressions, not \"\(router)\".")
        }
        guard (60...31_536_000).contains(certificateLifetime) else {
            throw ValidationError("--certificate-lifetime is 60 to 31536000 seconds.")
        }
        options.certificateLifetime = certificateLifetime
        options.insecureNoAuth = insecureNoAuth
        if let otlp {
            guard otlp.hasPrefix("http://") || otlp.hasPrefix("https://") else {
                throw ValidationError("--otlp is a URL such as http://127.0.0.1:4318, not \"\(otlp)\".")
            }
            options.traces = otlp.hasSuffix("/") ? String(otlp.dropLast()) : otlp
        }
        if insecureNoAuth, !isLoopback(api) || (admin != .off && !isLoopback(admin)) {
            throw ValidationError(
                "--insecure-no-auth lets everybody in who can connect: it needs loopback addresses for --admin and --api."
            )
        }
        options.hostNames = allowHost
        if let settings = try login.resolved() {
            options.login = settings
            if let host = login.publicHost { options.hostNames.append(host) }
        }
        options.version = seawayVersion
        options.environment = Environment.all
        return options
    }

    private func endpoint(_ place: ListenAddress) -> ControlPlaneOptions.Endpoint {
        ControlPlaneOptions.Endpoint(address: place.address, port: place.port)
    }

    private func isLoopback(_ place: ListenAddress) -> Bool {
        place.address.hasPrefix("127.") || place.address == "::1"
    }
}
