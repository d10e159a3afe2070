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
        if !answer.considered.isEmpty {
            lines.append("  others")
            for other in answer.considered { lines.append("    \(other.route): \(other.lostBecause)") }
        }
        return lines.joined(separator: "\n")
    }
}
