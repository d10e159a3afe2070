// `seaway status`: control planes, gateways, what is in effect where, and what was rejected and why.

import ArgumentParser
import CLinux
import Dialects
import Model

struct Status: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Show the control plane and its gateways: what is in effect where.",
        discussion: """
              seaway status
              seaway status --watch

            Exit codes: 0 all gateways have the newest revision, 3 some do not.
            """)

    @Flag(help: "Show it again every second until Ctrl-C.") var watch = false
    @Option(name: .customShort("o"), help: "table, json or yaml.") var output = ShownAs.table
    @OptionGroup(title: "Control plane") var options: ClientOptions

    func run() throws {
        let client = try options.client()
        while true {
            let status = try client.call("GET", "/v1/status").json()
            let gateways = try client.call("GET", "/v1/gateways").json()["items"].array ?? []
            let isBehind = show(status, gateways)
            guard watch else {
                if isBehind { throw Failure.silent(3) }
                return
            }
            usleep(1_000_000)
        }
    }

    /// Whether a gateway lacks the newest revision.
    private func show(_ status: ConfigValue, _ gateways: [ConfigValue]) -> Bool {
        let revision = status["revision"].int ?? 0
        let behind = gateways.contains { ($0["revision"].int ?? 0) != revision }
        let whole = ConfigValue.record([.init("status", status), .init("gateways", .array(gateways))])
        switch output {
        case .json: Console.standard.out(String(decoding: whole.json, as: UTF8.self))
        case .yaml: Console.standard.out(YAMLText.text(whole))
        case .table:
            // On a terminal the last picture is painted over.
            if watch, isatty(1) == 1 { Console.standard.out("\u{1B}[H\u{1B}[2J") }
            Console.standard.out(text(status, gateways, revision))
        }
        return behind
    }

    private func text(_ status: ConfigValue, _ gateways: [ConfigValue], _ revision: Int) -> String {
        var out = "revision \(revision), \(counted(gateways.count, "gateway"))"
        if let store = status["store"]["state"].string { out += ", store \(store)" }
        if !status["rollout"].isNull {
            out +=
                "\nrollout of revision \(status["rollout"]["revision"].int ?? 0): \(status["rollout"]["state"].string ?? "")"
            if let reason = status["rollout"]["reason"].string, !reason.isEmpty { out += " (\(reason))" }
        }
        guard !gateways.isEmpty else {
            return out
                + "\nno gateway has joined yet: seaway token create --role gateway --for NAME makes a token for one"
        }
        var table = Table(head: ["gateway", "labels", "state", "revision", "seen"])
        for gateway in gateways {
            let labels = (gateway["labels"].entries ?? []).map { "\($0.key)=\($0.value.string ?? "")" }
            table.rows.append([
                gateway["name"].string ?? "", labels.isEmpty ? "-" : labels.joined(separator: ","),
                gateway["state"].string ?? "", gateway["revision"].int.map { String($0) } ?? "-",
                gateway["lastSeen"].string ?? "-",
            ])
        }
        out += "\n\n" + table.text
        for gateway in gateways where !gateway["rejected"].isNull {
            let rejected = gateway["rejected"]
            let entity = rejected["entity"].string ?? ""
            out += "\n\n" + Console.standard.style(.red, "rejected") + " by \(gateway["name"].string ?? ""): revision "
            out +=
                "\(rejected["revision"].int ?? 0)\(entity.isEmpty ? "" : ", \(entity)"): \(rejected["reason"].string ?? "")"
        }
        return out
    }
}
