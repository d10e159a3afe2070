// `seaway control-plane run`: arguments to options, options to a running server.

import ArgumentParser
import ControlPlane

struct ControlPlaneRun: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run",
        abstract: "Run a control plane until it is told to stop.",
        discussion: """
            With everything in one file, reachable from this machine only:

              seaway control-plane run --store sqlite:data/seaway.db

            For gateways elsewhere, with a database that several control planes share:

              seaway control-plane run --store postgres://seaway@db/seaway?sslmode=verify-full \\
                --stream 0.0.0.0:5678 --api 127.0.0.1:5681

            The first start prints an admin token and writes it to DATA/admin-token (mode 0600). Make others \\
            with `seaway token create`.

            Signals:

              SIGTERM, SIGINT  end the streams and stop; gateways go on with what they have

            Exit codes: 0 stopped, 1 could not start, 2 wrong usage.
            """)

    @OptionGroup(title: "Control plane") var options: ControlPlaneArguments

    func validate() throws { _ = try options.resolved() }

    func run() throws {
        let options = try options.resolved()
        let signals = StopSignals()
        let code = try AsyncWork.run { try await ControlPlaneProcess.run(options, signals, console: .standard) }
        if code != 0 { throw Failure.silent(code) }
    }
}
