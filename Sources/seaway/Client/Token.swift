// `seaway token …`: tokens for people, machines and gateways.

import ArgumentParser
import Dialects
import Model

struct Token: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Make, list and revoke tokens.",
        subcommands: [TokenCreate.self, TokenList.self, TokenRevoke.self])
}

struct TokenCreate: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "create",
        abstract: "Make a token; it is printed once and stored as a hash.",
        discussion: """
            For a pipeline that changes configuration, for 90 days:

              seaway token create --role operator --for ci --expires 90d > ci-token

            For gateways of one zone to join with:

              seaway token create --role gateway --for eu --labels zone=eu > eu-token
              seaway gateway run --control-plane https://cp:5678 --token-file eu-token …
            """)

    @Option(
        help: ArgumentHelp("admin, operator, viewer, gateway, or a role of yours. May be repeated.", valueName: "role"))
    var role: [String]
    @Option(name: .customLong("for"), help: ArgumentHelp("For whom: shown in history and audit.", valueName: "name"))
    var name: String
    @Option(help: ArgumentHelp("How long it lasts: 30d, 12h, never.", valueName: "time")) var expires = "90d"
    @Option(help: ArgumentHelp("Labels that a gateway joining with it gets: zone=eu,cloud=aws.", valueName: "labels"))
    var labels: String?
    @Option(name: .customShort("o"), help: "table: the bare token; json or yaml: all about it.")
    var output = ShownAs.table
    @OptionGroup(title: "Control plane") var options: ClientOptions

    func run() throws {
        var body: [ConfigValue.Entry] = [
            .init("name", .string(name)), .init("roles", .array(role.map { .string($0) })),
        ]
        if let seconds = try Self.seconds(expires) { body.append(.init("expiresIn", .int(seconds))) }
        if let labels {
            body.append(
                .init("labels", .record(try Labels.parse(labels, flag: "--labels").map { .init($0.0, .string($0.1)) })))
        }
        let answer = try options.client().call("POST", "/v1/tokens", body: ConfigValue.record(body).json).json()
        switch output {
        case .table: Console.standard.out(answer["token"].string ?? "")
        case .json: Console.standard.out(String(decoding: answer.json, as: UTF8.self))
        case .yaml: Console.standard.out(YAMLText.text(answer))
        }
    }

    /// Nil: it never expires.
    static func seconds(_ text: String) throws -> Int? {
        if text == "never" { return nil }
        let units: [Character: Int] = ["s": 1, "m": 60, "h": 3600, "d": 86_400]
        guard let last = text.last, let unit = units[last], let count = Int(text.dropLast()),
            (1...100_000).contains(count)
        else { throw ValidationError("--expires is a time such as 30d, 12h or 45m, or never; not \"\(text)\".") }
        return count * unit
    }
}

/// `zone=eu,cloud=aws`.
enum Labels {
    static func parse(_ text: String, flag: String) throws -> [(String, String)] {
        try text.split(separator: ",").map { part in
            guard let equals = part.firstIndex(of: "="), equals != part.startIndex else {
                throw ValidationError("\(flag) is key=value,key=value; \"\(part)\" has no value.")
            }
            return (String(part[..<equals]), String(part[part.index(after: equals)...]))
        }
    }
}

struct TokenList: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "List tokens: for whom, which roles, until when.")

    @Option(name: .customShort("o"), help: "table, json or yaml.") var output = ShownAs.table
    @OptionGroup(title: "Control plane") var options: ClientOptions

    func run() throws {
        let value = try options.client().call("GET", "/v1/tokens").json()
        switch output {
        case .json: Console.standard.out(String(decoding: value.json, as: UTF8.self))
        case .yaml: Console.standard.out(YAMLText.text(value))
        case .table:
            var table = Table(head: ["for", "id", "roles", "expires", "last used", "state"])
            for item in value["items"].array ?? [] {
                table.rows.append([
                    item["name"].string ?? "", item["id"].string ?? "", item["roles"].strings.joined(separator: ","),
                    item["expiresAt"].string ?? "never", item["usedAt"].string ?? "never", item["state"].string ?? "",
                ])
            }
            Console.standard.out(table.text)
        }
    }
}

struct TokenRevoke: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "revoke",
        abstract: "Revoke a token by the name it was made for, or by id; effective at once.",
        discussion: """
              seaway token revoke ci

            Open streams of the token end too. Gateways that joined with it stay: `seaway delete gateway NAME` ends those.
            """)

    @Argument(help: ArgumentHelp("Name or id.", valueName: "name")) var name: String
    @OptionGroup(title: "Control plane") var options: ClientOptions

    func run() throws {
        try options.client().call("DELETE", "/v1/tokens/\(APIClient.escaped(name))")
        Console.standard.note("token \(name) is revoked")
    }
}
