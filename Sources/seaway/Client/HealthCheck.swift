// `seaway check`: is everything healthy? Each line says what was looked at, and what to do if it is not well.

import ArgumentParser
import Dialects
import Model

struct HealthCheck: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check",
        abstract: "Check that everything is healthy; each failure says what to do.",
        discussion: """
              seaway check

            Exit codes: 0 all well, 1 something is not, 4 no control plane answers.
            """)

    @Option(name: .customShort("o"), help: "table, json or yaml.") var output = ShownAs.table
    @OptionGroup(title: "Control plane") var options: ClientOptions

    private struct Line {
        var what: String
        /// Nil: well.
        var problem: String?
        var advice = ""
    }

    func run() throws {
        let client = try options.client()
        let status = try client.call("GET", "/v1/status").json()
        let gateways = try client.call("GET", "/v1/gateways").json()["items"].array ?? []
        var lines = [Line(what: "the control plane at \(client.base) answers and knows the token")]
        lines.append(store(status))
        lines += gateways.isEmpty ? [none] : gateways.map { gateway($0, status["revision"].int ?? 0) }
        lines += try certificates(client)
        if !status["rollout"].isNull { lines.append(rollout(status["rollout"])) }
        show(lines)
        if lines.contains(where: { $0.problem != nil }) { throw Failure.silent(1) }
    }

    private func store(_ status: ConfigValue) -> Line {
        let state = status["store"]["state"].string ?? "unknown"
        return Line(
            what: "the store answers (\(status["store"]["kind"].string ?? "?"))",
            problem: state == "ok" ? nil : status["store"]["error"].string ?? state,
            advice: "look at the database; gateways serve on meanwhile, and changes are refused")
    }

    private var none: Line {
        Line(
            what: "a gateway has joined", problem: "there is none",
            advice:
                "seaway token create --role gateway --for NAME, then seaway gateway run --control-plane URL --token-file FILE"
        )
    }

    private func gateway(_ gateway: ConfigValue, _ revision: Int) -> Line {
        let name = gateway["name"].string ?? ""
        var line = Line(what: "gateway \(name) is connected and has revision \(revision) in effect")
        let own = gateway["revision"].int ?? 0
        if let reason = gateway["rejected"]["reason"].string {
            line.problem =
                "it rejected revision \(gateway["rejected"]["revision"].int ?? 0): \(gateway["rejected"]["entity"].string ?? "") \(reason)"
            line.advice = "correct the entity and apply again, or seaway rollback \(max(1, own))"
        } else if gateway["state"].string != "connected" {
            line.problem =
                "it is \(gateway["state"].string ?? "away"), last seen \(gateway["lastSeen"].string ?? "never")"
            line.advice =
                "is it running, and can it reach the control plane's --stream address? Its log says why; seaway delete gateway \(name) if it is gone for good"
        } else if own != revision {
            line.problem = "it has revision \(own)"
            line.advice = "wait a second and check again; a staged rollout holds it back on purpose (seaway status)"
        }
        return line
    }

    private func certificates(_ client: APIClient) throws -> [Line] {
        let items = try client.call("GET", "/v1/certificates-expiry").json()["items"].array ?? []
        return items.compactMap { item in
            guard let days = item["daysLeft"].int, days < 30 else { return nil }
            let name = item["name"].string ?? item["id"].string ?? ""
            return Line(
                what: "certificate \(name) is valid for 30 days more",
                problem: days < 0 ? "it ended \(-days) days ago" : "it ends in \(counted(days, "day"))",
                advice: "put the new one in place with seaway apply")
        }
    }

    private func rollout(_ rollout: ConfigValue) -> Line {
        let state = rollout["state"].string ?? ""
        return Line(
            what: "the last staged rollout went well",
            problem: state == "reverted" ? rollout["reason"].string ?? state : nil,
            advice: "seaway history \(rollout["revision"].int ?? 0) shows what it changed")
    }

    private func show(_ lines: [Line]) {
        let value = ConfigValue.record([
            .init("healthy", .bool(!lines.contains { $0.problem != nil })),
            .init(
                "checks",
                .array(
                    lines.map { line in
                        .record([
                            .init("check", .string(line.what)), .init("ok", .bool(line.problem == nil)),
                            .init("problem", line.problem.map { .string($0) } ?? .null),
                            .init("advice", line.problem == nil ? .null : .string(line.advice)),
                        ])
                    })),
        ])
        switch output {
        case .json: Console.standard.out(String(decoding: value.json, as: UTF8.self))
        case .yaml: Console.standard.out(YAMLText.text(value))
        case .table:
            let console = Console.standard
            for line in lines {
                if let problem = line.problem {
                    console.out("\(console.style(.red, "✗")) \(line.what)\n    \(problem)\n    do: \(line.advice)")
                } else {
                    console.out("\(console.style(.green, "✓")) \(line.what)")
                }
            }
        }
    }
}
