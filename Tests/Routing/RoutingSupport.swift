// Short ways to write routes and requests, and a random source whose seed is printed.

import Bytes
import CLinux
import Snapshot
import Testing

/// SplitMix64: the same seed gives the same numbers everywhere.
struct SeededRandom: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ z >> 30) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ z >> 27) &* 0x94D0_49BB_1331_11EB
        return z ^ z >> 31
    }

    mutating func chance(_ percent: Int) -> Bool { Int(next() % 100) < percent }

    mutating func some<T>(_ values: [T], atMost limit: Int) -> [T] {
        let count = 1 + Int(next() % UInt64(limit))
        return (0..<count).map { _ in values[Int(next() % UInt64(values.count))] }
    }

    mutating func one<T>(_ values: [T]) -> T { values[Int(next() % UInt64(values.count))] }
}

/// SEAWAY_SEED, or a new seed; printed so that a failure can be repeated.
func announcedSeed(_ name: String) -> UInt64 {
    let given = unsafe getenv("SEAWAY_SEED").flatMap { unsafe UInt64(String(cString: $0)) }
    let seed = given ?? UInt64.random(in: 1...1 << 40)
    print("\(name): SEAWAY_SEED=\(seed)")
    return seed
}

struct TestHeaders: HeaderLookup {
    var fields: [(name: [UInt8], value: [UInt8])]
    private let buffer = Buffer(capacity: 4096)
    private var ranges: [(Range<Int>, Range<Int>)] = []

    init(_ fields: [(String, String)]) { self.init(fields.map { ($0, Array($1.utf8)) }) }

    init(_ fields: [(String, [UInt8])]) {
        self.fields = []
        for (name, value) in fields {
            let start = buffer.end
            buffer.append(name)
            let middle = buffer.end
            buffer.append(value)
            ranges.append((start..<middle, middle..<buffer.end))
        }
    }

    var fieldCount: Int { ranges.count }
    func isAbsent(_ index: Int) -> Bool { false }
    func fieldName(_ index: Int) -> Bytes { view(ranges[index].0) }
    func fieldValue(_ index: Int) -> Bytes { view(ranges[index].1) }
    private func view(_ range: Range<Int>) -> Bytes { buffer.bytes(at: range.lowerBound, count: range.count) }
}

/// Asks the table in the reference's terms.
func tableAnswer(
    _ table: RouteTable, _ routes: [Route], _ services: [Service], _ request: ReferenceRequest, _ result: MatchResult
) -> ReferenceAnswer {
    let headers = TestHeaders(request.headers)
    let memory = Buffer(capacity: 4096)
    func keep(_ text: String) -> Range<Int> {
        let start = memory.end
        memory.append(text)
        return start..<memory.end
    }
    let ranges = [request.method, request.host, request.target, request.serverName].map { keep($0) }
    let views = ranges.map { memory.bytes(at: $0.lowerBound, count: $0.count) }
    let outcome = table.match(
        MatchRequest(
            method: views[0], host: views[1], target: views[2], serverName: views[3], isTLS: request.isTLS,
            port: request.port),
        headers: headers, into: result)
    var answer = ReferenceAnswer(status: "", route: nil, prefix: nil)
    switch outcome {
    case .matched: answer.status = "matched"
    case .notFound: answer.status = "not found"
    case .badPath: answer.status = "bad path"
    case .httpsRequired(let status): answer.status = "https \(status)"
    case .http2Required, .notGRPC, .grpcsRequired: answer.status = "\(outcome)"
    }
    guard result.route >= 0 else { return answer }
    let route = routes[result.route]
    answer.route = result.route
    answer.prefix = result.prefixCount < 0 ? nil : result.prefixCount
    answer.captures = (0..<result.captureCount).map { result.capture($0)?.string }
    let out = Buffer(capacity: 256)
    let servicePath = route.service >= 0 ? services[route.service].path : ""
    servicePath.withBytes {
        UpstreamURI.join(
            service: $0, path: result.path, prefix: result.prefixCount, strip: route.stripPath,
            handling: route.pathHandling, to: out)
    }
    UpstreamURI.appendQuery(of: views[2], to: out)
    answer.uri = out.readable.string
    return answer
}
