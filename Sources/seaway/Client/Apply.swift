// `seaway apply` and `seaway diff`: what is wanted, in files; what changes, entity by entity.

import ArgumentParser
import Dialects
import Model

/// What both commands take.
struct WantedOptions: ParsableArguments {
    @Option(
        name: [.customShort("f"), .customLong("file")],
        help: ArgumentHelp(
            "A kong.yml or resource documents; a directory of them; or - for standard input. May be repeated.",
            valueName: "file|dir|-"))
    var files: [String]

    @Flag(help: "Delete what is there and not in the files; with --select-tag, only what has the tag.")
    var prune = false

    @Option(help: ArgumentHelp("Only resources with this tag are compared and pruned.", valueName: "tag"))
    var selectTag: String?

    @Option(name: .customShort("o"), help: "table, json or yaml.") var output = ShownAs.table

    @OptionGroup(title: "Control plane") var options: ClientOptions

    func query(dryRun: Bool, _ more: [(String, String)] = []) -> String {
        var parts = more
        if dryRun { parts.append(("dryRun", "true")) }
        if prune { parts.append(("prune", "true")) }
        if let selectTag { parts.append(("selectTag", selectTag)) }
        return parts.isEmpty
            ? "" : "?" + parts.map { "\($0.0)=\(APIClient.escaped($0.1))" }.joined(separator: "&")
    }

    /// The API's answer; findings are shown with the lines they speak of.
    func send(dryRun: Bool, _ more: [(String, String)] = []) throws -> ConfigValue {
        let documents = try Documents(files)
        let client = try options.client()
        let answer = try client.send(
            "POST", "/v1/apply" + query(dryRun: dryRun, more), body: documents.text, type: "application/yaml")
        let value = (try? answer.json()) ?? .null
        show(value["findings"].array ?? value["warnings"].array ?? [], documents)
        guard answer.status < 300 else {
            throw APIClient.failure(answer, hasToken: client.token != nil, client.base)
        }
        return value
    }

    private func show(_ findings: [ConfigValue], _ documents: Documents) {
        let report = Report(console: .standard)
        for finding in findings {
            let (file, line) = documents.place(finding["line"].int ?? 0)
            let diagnostic = Diagnostic(
                Diagnostic.Severity(rawValue: finding["severity"].string ?? "error") ?? .error,
                code: finding["code"].string ?? "", file: file, line: line, column: finding["column"].int ?? 0,
                entity: finding["entity"].string ?? "", field: finding["field"].string ?? "",
                message: finding["message"].string ?? "", remedy: finding["remedy"].string ?? "")
            report.print([diagnostic], source: documents.source(file))
        }
    }

    func show(_ answer: ConfigValue, dryRun: Bool) {
        switch output {
        case .table: Console.standard.out(ChangeText(console: .standard).text(answer, dryRun: dryRun))
        case .json: Console.standard.out(String(decoding: answer.json, as: UTF8.self))
        case .yaml: Console.standard.out(YAMLText.text(answer))
        }
    }
}

struct Apply: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Make the control plane's resources as files say, in one transaction.",
        discussion: """
            See what would change, then change it:

              seaway diff -f kong.yml
              seaway apply -f kong.yml -m "payments: a second target"

            Let the files be the whole truth of what one team owns:

              seaway apply -f team-a/ --prune --select-tag team-a

            Try it on the gateways of one zone first:

              seaway apply -f kong.yml --canary zone=eu

            All of it becomes one revision, or none of it. Applying the same files again changes nothing.
            """)

    @OptionGroup var wanted: WantedOptions
    @Flag(help: "Check everything and show what would change; change nothing.") var dryRun = false
    @Option(name: [.customShort("m"), .long], help: "Why: kept with the revision.") var message: String?
    @Option(
        help: ArgumentHelp(
            "Send the revision to gateways with this label first; promoted or reverted by how they fare.",
            valueName: "key=value"))
    var canary: String?

    func run() throws {
        var more: [(String, String)] = []
        if let message { more.append(("message", message)) }
        if let canary {
            guard canary.contains("="), canary.first != "=" else {
                throw ValidationError("--canary is key=value, such as zone=eu.")
            }
            more.append(("canary", canary))
        }
        let answer = try wanted.send(dryRun: dryRun, more)
        wanted.show(answer, dryRun: dryRun)
        let changed = !(answer["changes"].array ?? []).isEmpty
        if !dryRun, changed, let revision = answer["revision"].int {
            let undo = revision > 1 ? ", seaway rollback \(revision - 1) undoes it" : ""
            Console.standard.note("revision \(revision) is stored; seaway status shows where it is in effect\(undo)")
        }
    }
}

struct Diff: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Show what `apply` would change, entity by entity.",
        discussion: """
              seaway diff -f kong.yml

            Exit codes: 0 nothing differs, 2 something does, 1 the files cannot be applied.
            """)

    @OptionGroup var wanted: WantedOptions

    func run() throws {
        let answer = try wanted.send(dryRun: true)
        wanted.show(answer, dryRun: true)
        if !(answer["changes"].array ?? []).isEmpty { throw Failure.silent(2) }
    }
}
