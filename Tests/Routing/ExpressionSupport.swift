// Requests and expressions in a few words, for tables of tests.

import Bytes
import Snapshot

/// `GET host /target name:value sni=name tls src=1.2.3.4:80 dst=10.0.0.1 port=8000`; `-` for no host. `%20` stands
/// for itself in the target, `_` never for anything.
struct ExpressionRequest: CustomStringConvertible, Sendable {
    var description: String
    var method = "GET"
    var host = ""
    var target = "/"
    var headers: [(String, String)] = []
    var serverName = ""
    var isTLS = false
    var source: IPAddress?
    var sourcePort = 0
    var destination: IPAddress?
    var port = 8000

    init(_ text: String) {
        description = text
        for (index, word) in text.split(separator: " ").map(String.init).enumerated() {
            switch index {
            case 0: method = word
            case 1: host = word == "-" ? "" : word
            case 2: target = word
            default: take(word)
            }
        }
    }

    private mutating func take(_ word: String) {
        let parts = word.split(separator: "=", maxSplits: 1).map(String.init)
        switch parts[0] {
        case "tls": isTLS = true
        case "sni": (isTLS, serverName) = (true, parts[1])
        case "src":
            let place = parts[1].split(separator: ",").map(String.init)
            source = IPAddress(place[0])
            sourcePort = place.count > 1 ? Int(place[1]) ?? 0 : 0
        case "dst": destination = IPAddress(parts[1])
        case "port": port = Int(parts[1]) ?? 0
        default:
            let colon = word.firstIndex(of: ":") ?? word.startIndex
            headers.append((String(word[..<colon]), String(word[word.index(after: colon)...])))
        }
    }

    /// Asks `table`; `result` holds what it found.
    func match(_ table: RouteTable, _ result: MatchResult, _ memory: Buffer) -> MatchOutcome {
        memory.clear()
        let size = method.utf8.count + host.utf8.count + target.utf8.count + serverName.utf8.count
        memory.reserve(size)
        func keep(_ text: String) -> Bytes {
            let start = memory.end
            memory.append(text)
            return memory.bytes(at: start, count: memory.end - start)
        }
        return table.match(
            MatchRequest(
                method: keep(method), host: keep(host), target: keep(target), serverName: keep(serverName),
                isTLS: isTLS, port: port, source: source, sourcePort: sourcePort, destination: destination),
            headers: TestHeaders(headers), into: result)
    }
}

/// A route with an expression, and an id that is larger the larger `number` is.
func expressionRoute(_ expression: String, priority: Int = 0, number: UInt64 = 1) -> Route {
    var route = Route()
    route.expression = expression
    route.priority = priority
    route.id = ID(high: 0, low: number)
    route.name = "r\(number)"
    return route
}
