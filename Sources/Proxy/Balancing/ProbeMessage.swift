// What an HTTP probe sends, and what it reads of the answer.

import Bytes
import Snapshot

enum ProbeMessage {
    /// Bytes of an answer looked at before it counts as "not HTTP".
    static let answerMax = 8192

    /// `GET path` with Host, the configured headers (which may replace Host and User-Agent), and
    /// `Connection: close`. HTTP/1.1, unlike Kong's 1.0: servers that insist on 1.1 are healthy too.
    static func request(path: String, host: [UInt8], headers: [HeaderRule], into out: Buffer) {
        out.append("GET ")
        out.append(isClean(path) && path.hasPrefix("/") && !path.contains(" ") ? path : "/")
        out.append(" HTTP/1.1\r\n")
        let names = headers.map { $0.name.lowercased() }
        if !names.contains("host") {
            out.append("Host: ")
            out.append(host)
            out.append("\r\n")
        }
        if !names.contains("user-agent") { out.append("User-Agent: seaway-probe\r\n") }
        for header in headers where isToken(header.name) && header.name.lowercased() != "connection" {
            for value in header.values where isClean(value) {
                out.append(header.name)
                out.append(": ")
                out.append(value)
                out.append("\r\n")
            }
        }
        out.append("Connection: close\r\n\r\n")
    }

    /// The status of the final response's head: nil while more bytes are needed, 0 for an answer
    /// that is not HTTP. Interim responses (RFC 9110 section 15.2) are skipped.
    static func status(_ answer: Bytes, isComplete: Bool) -> Int? {
        var start = 0
        while start < answer.count {
            let rest = answer.dropFirst(start)
            guard let end = rest.firstIndex(of: 0x0A) else { break }
            guard let status = statusLine(rest.prefix(end)) else { return 0 }
            if status >= 200 || status == 101 { return status }
            guard let next = afterHead(answer, from: start + end + 1) else { break }
            start = next
        }
        return isComplete || answer.count >= answerMax ? 0 : nil
    }

    /// `HTTP/d.d SP+ ddd`, with or without a reason.
    private static func statusLine(_ line: Bytes) -> Int? {
        var line = line
        if line.count > 0, line[line.count - 1] == 0x0D { line = line.prefix(line.count - 1) }
        guard line.count >= 12, line.starts(with: Bytes("HTTP/")), ASCII.isDigit(line[5]), line[6] == 0x2E,
            ASCII.isDigit(line[7]), line[8] == 0x20
        else { return nil }
        let rest = line.dropFirst(8).trimmed()
        guard rest.count >= 3, rest.count == 3 || rest[3] == 0x20, let status = rest.prefix(3).decimal(), status >= 100
        else { return nil }
        return status
    }

    /// The offset behind the empty line that ends a head; nil while it has not come.
    private static func afterHead(_ answer: Bytes, from start: Int) -> Int? {
        var at = start
        while let end = answer.firstIndex(of: 0x0A, from: at) {
            if end == at || end == at + 1 && answer[at] == 0x0D { return end + 1 }
            at = end + 1
        }
        return nil
    }

    private static func isToken(_ text: String) -> Bool { !text.isEmpty && text.utf8.allSatisfy(ASCII.isToken) }

    /// No control characters: a value cannot end its line.
    private static func isClean(_ text: String) -> Bool { text.utf8.allSatisfy { $0 >= 0x20 && $0 != 0x7F } }
}
