// Nanoseconds per look-up among stream routes, for each thing that they can differ by.

import Bytes
import Snapshot

/// One way for stream routes to differ, and the question that finds route `n`.
struct StreamDifference: Sendable {
    var name: String
    var transport = StreamTransport.tcp
    var route: @Sendable (Int, inout Route) -> Void
    /// Source, destination and its port, server name.
    var ask: @Sendable (Int) -> (UInt32, UInt32, UInt16, String)
}

private func address(_ n: Int) -> String { "10.\(n >> 16 & 255).\(n >> 8 & 255).\(n & 255)" }
private func number(_ n: Int) -> UInt32 { 0x0A00_0000 | UInt32(n & 0xFF_FFFF) }
private let anywhere: UInt32 = 0xC000_0201

let streamDifferences: [StreamDifference] = [
    StreamDifference(name: "destination") { n, route in
        route.destinations = [AddressRule(address: address(n), port: 5432)]
    } ask: {
        (anywhere, number($0), 5432, "")
    },
    StreamDifference(name: "source, one port") { n, route in
        route.sources = [AddressRule(address: address(n), port: 0)]
        route.destinations = [AddressRule(address: "", port: 5432)]
    } ask: {
        (number($0), anywhere, 5432, "")
    },
    StreamDifference(name: "range of sources") { n, route in
        route.sources = [AddressRule(address: address(n << 4) + "/28", port: 0)]
    } ask: {
        (number($0 << 4 | 5), anywhere, 5432, "")
    },
    StreamDifference(name: "source and port, a grid") { n, route in
        route.sources = [AddressRule(address: address(n % 300), port: 0)]
        route.destinations = [AddressRule(address: "", port: n / 300 + 1)]
    } ask: {
        (number($0 % 300), anywhere, UInt16(truncatingIfNeeded: $0 / 300 + 1), "")
    },
    StreamDifference(name: "server name, one port", transport: .tls) { n, route in
        route.protocols = .tls
        route.serverNames = ["host\(n).example.com"]
        route.destinations = [AddressRule(address: "", port: 443)]
    } ask: {
        (anywhere, anywhere, 443, "host\($0).example.com")
    },
    StreamDifference(name: "wildcard server name", transport: .tls) { n, route in
        route.protocols = .tls
        route.serverNames = ["*.zone\(n).example.com"]
    } ask: {
        (anywhere, anywhere, 443, "www.zone\($0).example.com")
    },
]

/// Prints a line for each difference.
func measureStreams(_ sizes: [Int]) throws(RouteTableError) {
    for difference in streamDifferences {
        var cells: [String] = []
        var build = 0.0
        for count in sizes {
            let routes = (0..<count).map { n in
                makeRoute(n) { route in
                    route.protocols = .tcp
                    difference.route(n, &route)
                }
            }
            let start = seconds()
            let table = try StreamTable(routes: routes, seed: 42)
            build = (seconds() - start) * 1000
            cells.append("\(measure(table, difference, count: count))")
        }
        print(
            padded(difference.name, 26), cells.map { padded($0, 8) }.joined(separator: " "), padded("\(Int(build))", 8))
    }
}

private func measure(_ table: StreamTable, _ difference: StreamDifference, count: Int) -> Int {
    let memory = Buffer(capacity: 1 << 16)
    let asked = (0..<1000).map { i in
        let number = (i &* 7919) % count
        return (number, difference.ask(number), memory.end, { memory.append(difference.ask(number).3) }())
    }
    let questions = asked.map { number, ask, start, _ in
        StreamQuestion(
            transport: difference.transport, source: IPAddress(v4: ask.0), sourcePort: 4711,
            destination: IPAddress(v4: ask.1), destinationPort: ask.2,
            serverName: memory.bytes(at: start, count: ask.3.utf8.count))
    }
    for (at, question) in questions.enumerated() where table.match(question) != asked[at].0 {
        print("wrong answer: \(difference.name), route \(asked[at].0), got \(table.match(question))")
    }
    var best = Double.infinity
    for _ in 0..<20 {
        let start = seconds()
        for question in questions { _ = table.match(question) }
        best = min(best, (seconds() - start) / Double(questions.count))
    }
    return Int(best * 1e9)
}
