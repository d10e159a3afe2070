// `seaway login`: remember a control plane and a token for the commands to come.

import ArgumentParser
import CLinux
import Model

struct Login: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Remember a control plane and a token.",
        discussion: """
            The token is read from standard input, so that it stays out of the shell's history:

              seaway login --api https://cp.example.com:5681 < token

            It is tried, then written to $XDG_CONFIG_HOME/seaway/login (mode 0600). `seaway login --forget` removes it.
            """)

    @OptionGroup var options: ClientOptions
    @Flag(help: "Remove what is remembered.") var forget = false

    struct Stored {
        var api: String
        var token: String
    }

    private static var path: String {
        let home = Environment.value("HOME") ?? "/"
        return (Environment.value("XDG_CONFIG_HOME") ?? "\(home)/.config") + "/seaway/login"
    }

    static func stored() -> Stored? {
        guard case .success(let bytes) = FileBytes.read(path, limit: 65536),
            let value = try? ConfigValue(json: bytes), let api = value["api"].string, let token = value["token"].string
        else { return nil }
        return Stored(api: api, token: token)
    }

    func run() throws {
        if forget {
            _ = unsafe unlink(Self.path)
            return Console.standard.note("nothing is remembered any more")
        }
        var client = try options.client()
        if options.tokenFile == nil {
            if isatty(0) == 1 { Console.standard.note("Paste the token and press Enter:") }
            guard let line = readLine(), !line.isEmpty else {
                throw Failure("no token on standard input: seaway login < token-file")
            }
            client = APIClient(base: client.base, token: ClientOptions.trimmed(Array(line.utf8)))
        }
        let answer = try client.call("GET", "/v1/whoami").json()
        let directory = Self.path.split(separator: "/", omittingEmptySubsequences: false).dropLast()
        var made = ""
        for part in directory.dropFirst() {
            made += "/" + part
            _ = unsafe mkdir(made, 0o700)
        }
        let stored = ConfigValue.record([
            ConfigValue.Entry("api", .string(client.base)), ConfigValue.Entry("token", .string(client.token ?? "")),
        ])
        let error = FileBytes.replace(Self.path, with: stored.json)
        guard error == 0 else { throw Failure("cannot write \(Self.path): \(errorText(error))") }
        Console.standard.note("\(client.base) knows you as \(answer["name"].string ?? "somebody")")
    }
}
