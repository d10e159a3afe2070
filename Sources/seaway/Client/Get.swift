// `seaway get`, `seaway delete`, `seaway export`: what is stored, by type and name.

import ArgumentParser
import ControlPlane
import Dialects
import Model

/// Types as people write them: `service`, `services`, `Service`, `ca_certificates`.
enum TypeName {
    static func plural(_ text: String) throws -> String {
        let wanted = fold(text)
        for type in ResourceType.all where [type.plural, type.kind].contains(where: { fold($0) == wanted }) {
            return type.plural
        }
        for other in ["gateways", "tokens"] where fold(other) == wanted { return other }
        let known = ResourceType.all.map(\.plural)
        let near = known.min { distance(fold($0), wanted) < distance(fold($1), wanted) } ?? ""
        throw ValidationError(
            "there is no type \"\(text)\"; did you mean \(near)? All: \(known.joined(separator: ", ")).")
    }

    /// Without case, `-`, `_` and a final s.
    private static func fold(_ text: String) -> String {
        let plain = text.lowercased().filter { $0 != "-" && $0 != "_" }
        return plain.hasSuffix("s") ? String(plain.dropLast()) : plain
    }

    private static func distance(_ a: String, _ b: String) -> Int {
        let (a, b) = (Array(a), Array(b))
        var row = Array(0...b.count)
        for (i, x) in a.enumerated() {
            var last = row[0]
            row[0] = i + 1
            for (j, y) in b.enumerated() {
                let here = x == y ? last : 1 + min(last, row[j], row[j + 1])
                last = row[j + 1]
                row[j + 1] = here
            }
        }
        return row[b.count]
    }
}

struct Get: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Show resources: all of a type, or one by name or id.",
        discussion: """
              seaway get services
              seaway get route users -o yaml
              seaway get routes --label team=payments -o json
            """)

    @Argument(help: ArgumentHelp("A type, such as services or route.", valueName: "type")) var type: String
    @Argument(help: ArgumentHelp("Name or id of one.", valueName: "name")) var name: String?
    @Option(help: ArgumentHelp("Only those with this label.", valueName: "key=value")) var label: [String] = []
    @Option(name: .customShort("o"), help: "table, json or yaml.") var output = ShownAs.table
    @OptionGroup(title: "Control plane") var options: ClientOptions

    func run() throws {
        let plural = try TypeName.plural(type)
        let client = try options.client()
        if let name {
            let value = try client.call("GET", "/v1/\(plural)/\(APIClient.escaped(name))").json()
            return show([value], one: true)
        }
        show(try Self.all(plural, labels: label, client), one: false)
    }

    /// Every page of a list.
    static func all(_ plural: String, labels: [String], _ client: APIClient) throws -> [ConfigValue] {
        var items: [ConfigValue] = []
        var after: String?
        repeat {
            var query = ["limit=1000"] + labels.map { "label=\(APIClient.escaped($0))" }
            if let after { query.append("after=\(APIClient.escaped(after))") }
            let page = try client.call("GET", "/v1/\(plural)?" + query.joined(separator: "&")).json()
            items += page["items"].array ?? []
            after = page["next"].string
        } while after != nil
        return items
    }

    private func show(_ items: [ConfigValue], one: Bool) {
        let whole = one ? items.first ?? .null : .array(items)
        switch output {
        case .json: Console.standard.out(String(decoding: whole.json, as: UTF8.self))
        case .yaml: Console.standard.out(YAMLText.text(whole))
        case .table:
            if items.isEmpty { return Console.standard.note("there are none") }
            Console.standard.out(Self.table(items).text)
        }
    }

    private static func table(_ items: [ConfigValue]) -> Table {
        var table = Table(head: ["name", "id", "version", "labels", "about"])
        for item in items {
            let labels = (item["labels"].entries ?? []).map { "\($0.key)=\($0.value.string ?? "")" }
            table.rows.append([
                item["name"].string ?? "-", item["id"].string ?? "-", item["version"].int.map { String($0) } ?? "-",
                labels.isEmpty ? "-" : labels.joined(separator: ","), about(item["spec"]),
            ])
        }
        return table
    }

    /// What makes a resource recognisable besides its name.
    private static func about(_ spec: ConfigValue) -> String {
        if let host = spec["host"].string {
            return "\(spec["protocol"].string ?? "http")://\(host):\(spec["port"].int ?? 80)"
        }
        for field in ["paths", "hosts"] where !spec[field].strings.isEmpty {
            return spec[field].strings.joined(separator: " ")
        }
        for field in ["expression", "target", "algorithm", "name", "custom_id", "group"] {
            if let text = spec[field].string { return text }
        }
        return "-"
    }
}

struct Delete: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Delete a resource by name or id, with what belongs to it.",
        discussion: """
              seaway delete route users
              seaway delete upstream payments --dry-run
              seaway delete gateway eu-1

            Deleting a gateway revokes its certificate and ends its stream within a second.
            """)

    @Argument(help: ArgumentHelp("A type, such as route.", valueName: "type")) var type: String
    @Argument(help: ArgumentHelp("Name or id.", valueName: "name")) var name: String
    @Flag(help: "Show what would be deleted; delete nothing.") var dryRun = false
    @OptionGroup(title: "Control plane") var options: ClientOptions

    func run() throws {
        let plural = try TypeName.plural(type)
        let path = "/v1/\(plural)/\(APIClient.escaped(name))" + (dryRun ? "?dryRun=true" : "")
        let answer = try options.client().call("DELETE", path)
        let value = (try? answer.json()) ?? .null
        if value["changes"].array != nil {
            Console.standard.out(ChangeText(console: .standard).text(value, dryRun: dryRun))
        } else {
            Console.standard.note(dryRun ? "\(plural)/\(name) would be deleted" : "\(plural)/\(name) is deleted")
        }
    }
}

struct Export: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Print everything that is stored, as files that `apply` reads.",
        discussion: """
              seaway export > kong.yml
              seaway export --format seaway > resources.yaml
            """)

    enum Format: String, ExpressibleByArgument, CaseIterable { case kong, seaway }

    @Option(help: "kong: a kong.yml; seaway: `type:` documents of everything.") var format = Format.kong
    @OptionGroup(title: "Control plane") var options: ClientOptions

    func run() throws {
        let answer = try options.client().call("GET", "/v1/export?format=\(format.rawValue)")
        Console.standard.out(String(decoding: answer.body, as: UTF8.self))
    }
}
