// `seaway history` and `seaway rollback`: what changed, by whom and why, and back again.

import ArgumentParser
import Dialects
import Model

struct History: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Show the revisions, newest first; or what one, or two of them, changed.",
        discussion: """
              seaway history
              seaway history 12            what revision 12 changed
              seaway history 12 --to 15    what differs between the two
            """)

    @Argument(help: ArgumentHelp("A revision, to see what it changed.", valueName: "revision")) var revision: Int?
    @Option(help: ArgumentHelp("Compare with this revision instead.", valueName: "revision")) var to: Int?
    @Option(help: "How many to list, 1 to 1000.") var limit = 20
    @Option(name: .customShort("o"), help: "table, json or yaml.") var output = ShownAs.table
    @OptionGroup(title: "Control plane") var options: ClientOptions

    func run() throws {
        let client = try options.client()
        guard let revision else { return try list(client) }
        let path = to.map { "/v1/diff?from=\(revision)&to=\($0)" } ?? "/v1/revisions/\(revision)/changes"
        let value = try client.call("GET", path).json()
        switch output {
        case .json: Console.standard.out(String(decoding: value.json, as: UTF8.self))
        case .yaml: Console.standard.out(YAMLText.text(value))
        case .table: Console.standard.out(ChangeText(console: .standard).text(value, dryRun: false))
        }
    }

    private func list(_ client: APIClient) throws {
        let value = try client.call("GET", "/v1/revisions?limit=\(min(max(limit, 1), 1000))").json()
        switch output {
        case .json: Console.standard.out(String(decoding: value.json, as: UTF8.self))
        case .yaml: Console.standard.out(YAMLText.text(value))
        case .table:
            let items = value["items"].array ?? []
            if items.isEmpty { return Console.standard.note("nothing was ever changed") }
            var table = Table(head: ["revision", "when", "who", "through", "changes", "why"])
            for item in items {
                let changes = "+\(item["created"].int ?? 0) ~\(item["updated"].int ?? 0) -\(item["deleted"].int ?? 0)"
                table.rows.append([
                    item["number"].int.map { String($0) } ?? "", item["time"].string ?? "", item["actor"].string ?? "",
                    item["source"].string ?? "", changes, item["message"].string ?? "",
                ])
            }
            Console.standard.out(table.text)
        }
    }
}

struct Rollback: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Make everything as it was at a revision, as a new revision.",
        discussion: """
              seaway rollback 12 --dry-run
              seaway rollback 12 -m "the new routes answered 404"

            Nothing is lost: a rollback can itself be rolled back.
            """)

    @Argument(help: ArgumentHelp("The revision to go back to.", valueName: "revision")) var revision: Int
    @Flag(help: "Show what would change; change nothing.") var dryRun = false
    @Option(name: [.customShort("m"), .long], help: "Why: kept with the new revision.") var message: String?
    @OptionGroup(title: "Control plane") var options: ClientOptions

    func run() throws {
        guard revision > 0 else { throw ValidationError("revisions count from 1; see `seaway history`.") }
        var body = [ConfigValue.Entry("revision", .int(revision))]
        if let message { body.append(ConfigValue.Entry("message", .string(message))) }
        let path = "/v1/rollback" + (dryRun ? "?dryRun=true" : "")
        let value = try options.client().call("POST", path, body: ConfigValue.record(body).json).json()
        Console.standard.out(ChangeText(console: .standard).text(value, dryRun: dryRun))
        if !dryRun, let new = value["revision"].int, !(value["changes"].array ?? []).isEmpty {
            Console.standard.note("revision \(new) is as revision \(revision) was")
        }
    }
}
