// The `seaway` command: where arguments become commands and errors become exit codes.

import ArgumentParser
import CLinux
import Snapshot

@main
struct Seaway: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "seaway",
        abstract: "Connect services across clouds, regions and machines.",
        discussion: """
            Run an existing kong.yml as it is:

              seaway gateway run --config kong.yml

            See what is wrong with one, and which route would answer a request:

              seaway gateway check --config kong.yml
              seaway gateway match --config kong.yml --host example.com --path /orders

            Exit codes: 0 done, 1 failed, 2 wrong usage, 4 nobody answers.

            Shell completion: seaway --generate-completion-script bash|zsh|fish
            """,
        version: seawayVersion,
        subcommands: [
            Up.self, ControlPlaneCommand.self, Gateway.self, Apply.self, Diff.self, Get.self, Delete.self, Export.self,
            History.self, Rollback.self, Status.self, Token.self, Login.self, HealthCheck.self,
        ])

    /// Like the argument parser's own entry, but with Seaway's exit codes.
    static func main() {
        sys_ignore_sigpipe()
        do {
            var command = try parseAsRoot()
            try command.run()
        } catch let failure as Failure {
            if !failure.message.isEmpty { Console.standard.error(failure.message) }
            leave(failure.exitCode)
        } catch {
            var text = fullMessage(for: error)
            let code = exitCode(for: error)
            if code == .validationFailure, let hint = Suggestion.hint(CommandLine.arguments.dropFirst()) {
                text = "Error: \(hint)\n" + text.drop { $0 != "\n" }.dropFirst()
            }
            if code.isSuccess {
                if !text.isEmpty { Console.standard.out(text) }
            } else if !text.isEmpty {
                Console.standard.note(text)
            }
            leave(code == .validationFailure ? ExitCode(2) : code)
        }
    }

    private static func leave(_ code: ExitCode) -> Never {
        Console.standard.flush()
        CLinux.exit(code.rawValue)
    }
}

/// What `--version` prints, and what a proxy and its supervisor tell each other.
let seawayVersion = productVersion

/// A command that could not do its work, in words for the person who gave it.
struct Failure: Error {
    var message: String
    var exitCode = ExitCode(1)

    /// - Parameter exitCode: 1 failed, 4 nobody answers. Wrong usage is a `ValidationError`.
    init(_ message: String, exitCode: Int32 = 1) {
        self.message = message
        self.exitCode = ExitCode(exitCode)
    }

    /// The command has said all there is to say; only the exit code is left.
    static func silent(_ exitCode: Int32) -> Failure { Failure("", exitCode: exitCode) }
}
