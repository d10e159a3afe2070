// `seaway gateway check`: every finding about a configuration, nothing started.

import ArgumentParser
import CLinux
import Explain
import Model
import Snapshot

struct GatewayCheck: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check",
        abstract: "Say everything that is wrong with a kong.yml, and how to mend it.",
        discussion: """
            Check a file, a file from standard input, or for a program:

              seaway gateway check --config kong.yml
              deck gateway dump -o - | seaway gateway check --config -
              seaway gateway check --config kong.yml --output json

            Nothing is started or changed. Exit code 0: it can be run; 1: it has errors.
            """)

    @OptionGroup var source: ConfigOptions

    @Option(name: [.short, .long], help: "How findings are printed: text or json.")
    var output = OutputFormat.text

    @Flag(help: "The same as --output json.")
    var json = false

    func run() throws {
        var result = Pipeline.load(.offline(source))
        if let snapshot = result.snapshot { result.diagnostics += Self.shadowed(snapshot, source.config) }
        let failed = result.snapshot == nil || result.diagnostics.contains { $0.severity == .error }
        if json || output == .json {
            Console.standard.out(Self.json(result))
        } else {
            let console = Console(colour: isatty(1) == 1 && Console.standard.colour)
            if !result.diagnostics.isEmpty {
                console.out(Report(console: console).text(result.diagnostics, source: result.source))
            }
            if let snapshot = result.snapshot, !failed {
                console.out(
                    "\(source.config) can be run: \(counted(snapshot.routes.count, "route")), "
                        + "\(counted(snapshot.services.count, "service"))")
            } else {
                console.out("\(source.config) cannot be run")
            }
        }
        if failed { throw Failure.silent(1) }
    }

    /// Routes that can never answer: legal, and almost always a mistake.
    private static func shadowed(_ snapshot: Snapshot, _ file: String) -> [Diagnostic] {
        // What cannot be indexed has had its error.
        let streams = (try? StreamShadow.find(in: snapshot.routes)) ?? []
        return (Shadow.find(in: snapshot.routes, flavour: snapshot.settings.router) + streams).map { hidden in
            let route = snapshot.routes[hidden.route]
            let other = snapshot.routes[hidden.by]
            let isStream = !route.protocols.isDisjoint(with: .anyStream)
            let what = isStream ? "every connection" : "every request"
            let remedy =
                !route.expression.isEmpty
                ? "another expression or a higher priority"
                : isStream
                    ? "another source, destination or server name"
                    : "a longer path, another matcher or a higher regex_priority"
            let name = { (route: Route) in route.name.isEmpty ? "\(route.id)" : route.name }
            return Diagnostic(
                .warning, code: "K090", file: file, line: route.line, entity: "route \"\(name(route))\"",
                message: "never answers: route \"\(name(other))\" takes \(what) that it matches (\(hidden.reason))",
                remedy: "remove it, or give it \(remedy)")
        }
    }

    /// `{"valid": …, "routes": n, "services": n, "findings": [{…}]}`
    static func json(_ result: PipelineResult) -> String {
        var out = "{\"valid\": \(result.snapshot != nil)"
        if let snapshot = result.snapshot {
            out += ", \"routes\": \(snapshot.routes.count), \"services\": \(snapshot.services.count)"
        }
        let findings = result.diagnostics.map { finding in
            let parts = [
                "\"severity\": \(jsonString(finding.severity.rawValue))", "\"code\": \(jsonString(finding.code))",
                "\"file\": \(jsonString(finding.file))", "\"line\": \(finding.line)", "\"column\": \(finding.column)",
                "\"entity\": \(jsonString(finding.entity))", "\"field\": \(jsonString(finding.field))",
                "\"message\": \(jsonString(finding.message))", "\"remedy\": \(jsonString(finding.remedy))",
            ]
            return "  {" + parts.joined(separator: ", ") + "}"
        }
        return out + ", \"findings\": [" + (findings.isEmpty ? "]}" : "\n" + findings.joined(separator: ",\n") + "\n]}")
    }
}

/// `text` as a JSON string.
func jsonString(_ text: String) -> String {
    var out = "\""
    for scalar in text.unicodeScalars {
        switch scalar {
        case "\"": out += "\\\""
        case "\\": out += "\\\\"
        case "\n": out += "\\n"
        case "\r": out += "\\r"
        case "\t": out += "\\t"
        case _ where scalar.value < 0x20:
            let digits = String(scalar.value, radix: 16)
            out += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
        default: out.unicodeScalars.append(scalar)
        }
    }
    return out + "\""
}
