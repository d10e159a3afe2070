// `seaway gateway run`: arguments to a plan, the plan to a supervisor.

import ArgumentParser
import Bytes
import CLinux
import Snapshot

struct GatewayRun: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run",
        abstract: "Run a gateway on a kong.yml, or for a control plane, until it is told to stop.",
        discussion: """
            On this machine only:

              seaway gateway run --config kong.yml

            For the network, with a log, reloading when the file changes:

              seaway gateway run -c kong.yml --http '*:80' --https '*:443' \\
                --access-log access.log --watch

            With routes of tcp, tls, tls_passthrough and udp as well:

              seaway gateway run -c kong.yml --stream '*:5432' \\
                --stream '*:9443,tls' --stream '*:53,udp'

            Behind a load balancer that tells who the client is by the PROXY protocol:

              seaway gateway run -c kong.yml --https '*:443,proxy_protocol' \\
                --trusted-ips 10.0.0.0/8

            With a configuration from a control plane, which sends every change within a moment:

              seaway gateway run --control-plane https://cp1:5678,https://cp2:5678 \\
                --token-file gateway.token --labels zone=eu,cloud=aws --http '*:80'

            It joins with the token once and gets a certificate, which it renews; its private key never leaves \
            the state directory. When no control plane answers it goes on with what it has, restarts included.

            The gateway is a process of its own, seaway-proxy, that this command supervises. It is started \
            again when it dies, and goes on serving when the supervisor dies; a new `gateway run` with the \
            same --state-dir takes it over.

            Signals:

              SIGHUP           read the file again; a broken file changes nothing
              SIGUSR1          reopen the access log
              SIGUSR2          replace the proxy's process without dropping a request
              SIGTERM, SIGINT  finish running requests and stop; again: at once

            Exit codes: 0 stopped, 1 could not start, 2 wrong usage.
            """)

    @OptionGroup(title: "Configuration") var source: RunSourceOptions
    @OptionGroup(title: "Where and how") var place: PlaceOptions
    @OptionGroup(title: "Requests, limits and times") var settings: SettingsOptions

    func validate() throws {
        if source.config == "-" {
            throw ValidationError("--config must name a file: it is read again on every reload.")
        }
        if source.controlPlane != nil, place.watch {
            throw ValidationError(
                "--watch is for --config: a control plane's changes come by themselves. Leave it out.")
        }
        let plan = makePlan()
        if plan.listeners.isEmpty {
            throw ValidationError(
                "--http and --https are both off, and no --stream is given: there is nothing to listen on.")
        }
        if let both = place.twice {
            throw ValidationError("\(both.place) is asked for by two flags that want TCP there. Keep one of them.")
        }
        if let listener = plan.listeners.first(where: \.proxyProtocol), plan.settings.trustedPeers.isEmpty {
            throw ValidationError(
                """
                \(listener.flag) \(listener.place),proxy_protocol trusts nobody, so it would refuse every connection. \
                Name those who may send the header, such as --trusted-ips 10.0.0.0/8.
                """)
        }
        if plan.socketCount > ControlLimits.descriptors {
            throw ValidationError(
                "workers × addresses is \(plan.socketCount); at most \(ControlLimits.descriptors) sockets are possible."
            )
        }
    }

    func run() throws {
        let supervisor = try Supervisor(plan: makePlan(), console: .standard)
        let code = try supervisor.run()
        if code != 0 { throw Failure.silent(code) }
    }

    private func makePlan() -> GatewayPlan {
        var settings = self.settings.settings(in: currentDirectory())
        settings.router = source.router.flavour
        return GatewayPlan(
            config: source.config.map(absolute) ?? "", join: source.join, lenient: source.lenient, settings: settings,
            clientAuthorities: self.settings.clientCa.map(absolute), listeners: place.listeners,
            status: place.status == .off ? nil : place.status, workers: place.workers ?? GatewayPlan.defaultWorkers,
            stateDirectory: place.stateDir.map(absolute), watch: place.watch,
            proxy: place.proxy.map(absolute) ?? GatewayPlan.siblingProxy)
    }
}

/// Flags about the process and its sockets.
struct PlaceOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Where to listen for HTTP: address:port, port (on 127.0.0.1), *:port, or off. May be repeated. (default: 127.0.0.1:8000)",
            valueName: "address[,proxy_protocol]"),
        transform: PlannedListener.http)
    var http: [PlannedListener] = []

    @Option(
        help: ArgumentHelp(
            "Where to listen for HTTPS. May be repeated. (default: 127.0.0.1:8443)",
            valueName: "address[,proxy_protocol]"),
        transform: PlannedListener.https)
    var https: [PlannedListener] = []

    @Option(
        help: ArgumentHelp(
            "Where to listen for stream routes: TCP as it is, TLS that is ended (or passed through, where a route says so), or UDP. May be repeated. (default: nowhere)",
            valueName: "address[,tls][,udp][,proxy_protocol]"),
        transform: PlannedListener.stream)
    var stream: [PlannedListener] = []

    @Option(help: ArgumentHelp("Where /status, /status/ready and /metrics are served, or off.", valueName: "address"))
    var status = ListenAddress(address: "127.0.0.1", port: 8007)

    @Option(help: ArgumentHelp("Worker threads, 1 to 64. (default: one for each CPU)", valueName: "n"))
    var workers: Int?

    @Option(
        help: ArgumentHelp(
            "Holds the control socket, locks and the last good configuration. (default: under $XDG_STATE_HOME or ~/.local/state)",
            valueName: "dir"),
        completion: .directory)
    var stateDir: String?

    @Flag(help: "Reload when the configuration file changes.")
    var watch = false

    @Option(help: ArgumentHelp("The seaway-proxy to run.", valueName: "file", visibility: .hidden))
    var proxy: String?

    func validate() throws {
        if let workers, !(1...64).contains(workers) {
            throw ValidationError("--workers must be between 1 and 64, not \(workers).")
        }
    }

    var listeners: [PlannedListener] {
        let clear = http.isEmpty ? [PlannedListener(place: ListenAddress(address: "127.0.0.1", port: 8000))] : http
        let secure =
            https.isEmpty ? [PlannedListener(place: ListenAddress(address: "127.0.0.1", port: 8443), tls: true)] : https
        return (clear + secure).filter { $0.place != .off } + stream
    }

    /// A listener whose address another one has already, with the same transport.
    var twice: PlannedListener? {
        let all = listeners.filter { $0.place.port != 0 }
        return all.indices.first { at in
            all[..<at].contains { $0.place == all[at].place && $0.udp == all[at].udp }
        }.map { all[$0] }
    }
}

/// All that a supervisor is told at its start. Paths are absolute.
struct GatewayPlan: Sendable {
    /// Empty where a control plane is followed.
    var config: String
    var join: JoinPlan?
    var lenient: Bool
    var settings: Settings
    /// PEM file of the authorities that clients' certificates are checked against.
    var clientAuthorities: String?
    var listeners: [PlannedListener]
    var status: ListenAddress?
    var workers: Int
    var stateDirectory: String?
    var watch: Bool
    /// The seaway-proxy to start.
    var proxy: String

    /// Where configurations come from, in words.
    var origin: String { join.map { $0.controlPlanes.joined(separator: ", ") } ?? config }

    /// How many sockets the plan needs: one for each worker and address, one for the status.
    var socketCount: Int { workers * listeners.count + (status == nil ? 0 : 1) }

    /// The CPUs that this process may use, at most 64.
    static var defaultWorkers: Int { min(max(1, Int(sys_available_processors())), 64) }

    /// `seaway-proxy` beside this executable, wherever the working directory is.
    static var siblingProxy: String {
        let own = readLink("/proc/self/exe") ?? absolute(CommandLine.arguments.first ?? "seaway")
        return (own.lastIndex(of: "/").map { String(own[...$0]) } ?? "/") + "seaway-proxy"
    }
}
