// `seaway gateway reload` and `upgrade`: words to a running supervisor.

import ArgumentParser
import Bytes
import CLinux
import Snapshot

struct GatewayReload: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "reload",
        abstract: "Make a running gateway read its configuration again, and say what came of it.",
        discussion: """
              seaway gateway reload --state-dir /var/lib/seaway

            Like SIGHUP, but the findings are printed here, and the exit code tells: 0 the configuration is \
            in effect, 1 it is not and the one before stays, 4 no gateway runs there.
            """)

    @OptionGroup var target: ControlTarget

    func run() throws { try target.give(.reload) }
}

struct GatewayUpgrade: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "upgrade",
        abstract: "Replace a running gateway's proxy process without dropping a request.",
        discussion: """
            After installing a new seaway-proxy in the place of the old one:

              seaway gateway upgrade --state-dir /var/lib/seaway

            The new process takes over the listening sockets; once it serves, the old one finishes its \
            requests and ends. If the new one does not start, the old one goes on. The same as SIGUSR2.

            To replace the supervisor as well, end it with SIGKILL and start the new `seaway gateway run`: \
            it takes over the proxy, which never stopped serving.
            """)

    @OptionGroup var target: ControlTarget

    func run() throws { try target.give(.upgrade) }
}

/// Which gateway is meant.
struct ControlTarget: ParsableArguments {
    @Option(
        help: ArgumentHelp("The state directory that `gateway run` printed.", valueName: "dir"), completion: .directory)
    var stateDir: String

    /// Sends `command` and waits for its outcome.
    func give(_ command: SupervisorCommand) throws {
        let path = absolute(stateDir) + "/control.sock"
        let link: ControlLink
        do throws(ControlError) {
            link = try ControlSocket.connect(to: path)
        } catch {
            throw Failure(
                """
                no gateway answers at \(path)
                The directory is the one that `seaway gateway run` prints as "state".
                """, exitCode: 4)
        }
        link.send(.command(command))
        while true {
            var entry = pollfd(
                fd: link.descriptor, events: Int16(link.wantsWrite ? POLLIN | POLLOUT : POLLIN), revents: 0)
            _ = unsafe poll(&entry, 1, -1)
            link.flush()
            let frames: [ControlFrame]
            do throws(ControlError) {
                frames = try link.receive()
            } catch {
                throw Failure("the gateway ended before it answered", exitCode: 4)
            }
            for case .report(let succeeded, let text) in frames.map(\.message) {
                if succeeded {
                    Console.standard.out(text)
                    return
                }
                throw Failure(text)
            }
        }
    }
}
