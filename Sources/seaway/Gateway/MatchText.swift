// A match, for people.

import Explain
import Snapshot

struct MatchText {
    let console: Console

    func text(_ question: MatchQuestion, _ answer: MatchAnswer) -> String {
        let place = question.host.isEmpty ? "" : "\(question.scheme)://\(question.host)"
        var lines = [console.style(.bold, "\(question.method) \(place)\(question.path)")]
        func line(_ name: String, _ value: String?) {
            if let value { lines.append("  \(name)\(String(repeating: " ", count: max(1, 10 - name.count)))\(value)") }
        }
        let colour: Console.Style = answer.status == 200 && answer.message.isEmpty ? .green : .yellow
        line(
            "answer", console.style(colour, answer.message.isEmpty ? "forwarded" : "\(answer.status) \(answer.message)")
        )
        line("route", answer.route)
        line("service", answer.service)
        line("upstream", answer.upstreamURI.map { "\(question.method) \($0)" })
        line("Host", answer.upstreamHost)
        line("strips", answer.stripPrefix)
        line("location", answer.redirect)
        for (name, value) in answer.captures where answer.captures.count > 1 || name != "0" {
            line("capture", "\(name) = \(value)")
        }
        lines += others(answer.considered)
        return lines.joined(separator: "\n")
    }

    func text(_ question: StreamMatchQuestion, _ answer: StreamAnswer) -> String {
        var title = "\(question.transport)"
        if !question.source.text.isEmpty { title += " from \(question.source.text)" }
        if !question.destination.text.isEmpty { title += " to \(question.destination.text)" }
        if !question.serverName.isEmpty { title += ", server name \(question.serverName)" }
        var lines = [console.style(.bold, title)]
        func line(_ name: String, _ value: String?) {
            if let value { lines.append("  \(name)\(String(repeating: " ", count: max(1, 10 - name.count)))\(value)") }
        }
        let verdict =
            switch answer.verdict {
            case .forwarded where question.transport == .tls: "forwarded, TLS is ended here"
            case .forwarded: "forwarded"
            case .passedThrough: "passed through, TLS is ended by the upstream"
            case .closed: "closed"
            case .dropped: "dropped"
            }
        line(
            "answer",
            console.style(
                answer.message.isEmpty ? .green : .yellow,
                answer.message.isEmpty ? verdict : "\(verdict): \(answer.message)"))
        line("route", answer.route)
        line("service", answer.service)
        line("upstream", answer.upstream)
        line("begins", answer.proxyProtocol.map { "with a PROXY protocol header, \($0)" })
        lines += others(answer.considered)
        return lines.joined(separator: "\n")
    }

    private func others(_ considered: [MatchAnswer.Considered]) -> [String] {
        considered.isEmpty ? [] : ["  others"] + considered.map { "    \($0.route): \($0.lostBecause)" }
    }
}
