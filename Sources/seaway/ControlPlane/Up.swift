// `seaway up`: control plane, gateway and web UI on this machine, from one command.

import ArgumentParser
import CLinux
import ControlPlane
import Dispatch

struct Up: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Run everything on this machine: control plane, gateway and web UI.",
        discussion: """
              seaway up
              seaway apply -f kong.yml
              curl http://127.0.0.1:8000/…

            Everything is kept in ./data (a SQLite file, the admin token, the gateway's state). Nothing is reachable \\
            from other machines unless an address below says so.

            SIGTERM or Ctrl-C stops all of it; the gateway finishes its requests first.
            """)

    @OptionGroup(title: "Control plane") var options: ControlPlaneArguments

    @Option(
        help: ArgumentHelp(
            "Where the gateway listens for HTTP, or off. May be repeated. (default: 127.0.0.1:8000)",
            valueName: "address"))
    var http: [String] = []
    @Option(
        help: ArgumentHelp(
            "Where it listens for HTTPS, or off. May be repeated. (default: 127.0.0.1:8443)", valueName: "address"))
    var https: [String] = []
    @Option(
        name: .customLong("gateway-stream"),
        help: ArgumentHelp(
            "Where it listens for TCP, TLS or UDP. May be repeated. (default: nowhere)",
            valueName: "address[,tls][,udp]"))
    var gatewayStream: [String] = []
    @Option(help: ArgumentHelp("Where its /status and /metrics are, or off.", valueName: "address"))
    var status = "127.0.0.1:8007"
    @Option(help: ArgumentHelp("Its worker threads, 1 to 64. (default: one for each CPU)", valueName: "n"))
    var workers: Int?

    func validate() throws { _ = try options.resolved() }

    func run() throws {
        let options = try options.resolved()
        let arguments = gatewayArguments
        let signals = StopSignals()
        let code = try AsyncWork.run {
            try await ControlPlaneProcess.run(options, signals, console: .standard) { server, places in
                let token = try await server.gatewayToken(for: "local")
                let place = "https://127.0.0.1:\(places.stream)"
                return try GatewayChild(
                    [
                        "--control-plane", place, "--token-file", token, "--state-dir",
                        "\(options.dataDirectory)/gateway",
                    ]
                        + arguments)
            }
        }
        if code != 0 { throw Failure.silent(code) }
    }

    private var gatewayArguments: [String] {
        var out: [String] = ["--name", "local", "--status", status, "--router", options.router]
        for place in http { out += ["--http", place] }
        for place in https { out += ["--https", place] }
        for place in gatewayStream { out += ["--stream", place] }
        if let workers { out += ["--workers", "\(workers)"] }
        return out
    }
}

/// `seaway gateway run` as a child of this process.
final class GatewayChild: Sendable {
    let pid: Int32

    init(_ arguments: [String]) throws(Failure) {
        let own = readLink("/proc/self/exe") ?? absolute(CommandLine.arguments.first ?? "seaway")
        let all = [own, "gateway", "run"] + arguments
        // What the child inherits as its descriptor 3 means nothing to it.
        let nothing = unsafe sys_open("/dev/null", O_RDONLY | O_CLOEXEC, 0)
        defer { _ = sys_close(nothing) }
        var pointers: [UnsafeMutablePointer<CChar>?] = unsafe all.map { unsafe strdup($0) }
        unsafe pointers.append(nil)
        defer { while let pointer = unsafe pointers.popLast() { unsafe free(pointer) } }
        pid = unsafe sys_spawn(own, &pointers, nothing)
        guard pid > 0 else { throw Failure("cannot start the gateway: \(errorText(-pid))") }
    }

    /// Its exit code, once it has ended.
    func ended() async -> Int32 {
        let pid = pid
        return await withCheckedContinuation { continuation in
            DispatchQueue.global().async {
                var status: Int32 = 0
                while unsafe waitpid(pid, &status, 0) < 0, sys_errno() == EINTR {}
                continuation.resume(returning: status & 0x7F == 0 ? status >> 8 & 0xFF : 1)
            }
        }
    }

    func stop() { _ = kill(pid, SIGTERM) }
}
