// Nanoseconds per look-up at 1, 1,000 and 100,000 routes, for each thing that routes can differ by.

import Bytes
import CLinux
import Snapshot

/// One way for routes to differ, and the request that finds route `n`.
struct Difference {
    var name: String
    var route: (Int) -> Route
    var request: (Int) -> Sample
}

struct Sample {
    var method = "GET"
    var host = "example.com"
    var target = "/"
    var serverName = ""
    var header: (String, String)?
}

func makeRoute(_ number: Int, _ fill: (inout Route) -> Void) -> Route {
    var route = Route()
    route.id = ID(high: UInt64(number) &* 0x9E37_79B9_7F4A_7C15, low: UInt64(number))
    fill(&route)
    return route
}

func letters(_ number: Int) -> String {
    var text = ""
    var rest = number
    repeat {
        text.append(Character(UnicodeScalar(UInt8(0x41 + rest % 26))))
        rest /= 26
    } while rest > 0
    return text
}

let differences: [Difference] = [
    Difference(name: "exact host") { n in
        makeRoute(n) { $0.hosts = ["host\(n).example.com"] }
    } request: {
        Sample(host: "host\($0).example.com", target: "/api/v1/items")
    },
    Difference(name: "wildcard host") { n in
        makeRoute(n) { $0.hosts = ["*.zone\(n).example.com"] }
    } request: {
        Sample(host: "www.zone\($0).example.com", target: "/api/v1/items")
    },
    Difference(name: "host and path") { n in
        makeRoute(n) {
            $0.hosts = ["host\(n / 10).example.com"]
            $0.paths = ["/api/v\(n % 10)"]
        }
    } request: {
        Sample(host: "host\($0 / 10).example.com", target: "/api/v\($0 % 10)/items")
    },
    Difference(name: "prefix, one host") { n in
        makeRoute(n) {
            $0.hosts = ["example.com"]
            $0.paths = ["/service-\(n)/v1"]
        }
    } request: {
        Sample(target: "/service-\($0)/v1/items/42?x=1")
    },
    Difference(name: "prefix, many lengths") { n in
        makeRoute(n) { $0.paths = ["/" + String(repeating: "x", count: n % 60 + 1) + "/\(n)/"] }
    } request: {
        Sample(target: "/" + String(repeating: "x", count: $0 % 60 + 1) + "/\($0)/items")
    },
    Difference(name: "regex, literal start") { n in
        makeRoute(n) { $0.paths = ["~/service-\(n)/(?<id>\\d+)$"] }
    } request: {
        Sample(target: "/service-\($0)/4711")
    },
    Difference(name: "regex, same start") { n in
        makeRoute(n) { $0.paths = ["~/api/[^/]+/service-\(n)/(?<id>\\d+)$"] }
    } request: {
        Sample(target: "/api/eu/service-\($0)/4711")
    },
    Difference(name: "method") { n in
        makeRoute(n) {
            $0.methods = [letters(n)]
            $0.paths = ["/api"]
        }
    } request: {
        Sample(method: letters($0), target: "/api/items")
    },
    Difference(name: "header value") { n in
        makeRoute(n) {
            $0.paths = ["/api"]
            $0.headers = [HeaderRule(name: "x-tenant", values: ["tenant-\(n)"])]
        }
    } request: {
        Sample(target: "/api/items", header: ("X-Tenant", "tenant-\($0)"))
    },
    Difference(name: "header name") { n in
        makeRoute(n) {
            $0.paths = ["/api"]
            $0.headers = [HeaderRule(name: "x-tenant-\(n)", values: ["on"])]
        }
    } request: {
        Sample(target: "/api/items", header: ("X-Tenant-\($0)", "on"))
    },
    Difference(name: "server name") { n in
        makeRoute(n) {
            $0.paths = ["/api"]
            $0.serverNames = ["host\(n).example.com"]
        }
    } request: {
        Sample(target: "/api/items", serverName: "host\($0).example.com")
    },
    Difference(name: "expression, path") { n in
        makeRoute(n) { $0.expression = "http.path ^= \"/service-\(n)/v1\" && http.method == \"GET\"" }
    } request: {
        Sample(target: "/service-\($0)/v1/items/42?x=1")
    },
    Difference(name: "expression, hosts") { n in
        makeRoute(n) {
            $0.expression =
                "(http.host == \"host\(n).example.com\" || http.host == \"h\(n).test\") && http.path ^= \"/api\""
        }
    } request: {
        Sample(host: "host\($0).example.com", target: "/api/v1/items")
    },
    Difference(name: "expression, header") { n in
        makeRoute(n) {
            $0.expression = "http.path ^= \"/api\" && any(lower(http.headers.x_tenant)) == \"tenant-\(n)\""
        }
    } request: {
        Sample(target: "/api/items", header: ("X-Tenant", "tenant-\($0)"))
    },
    Difference(name: "expression, regex") { n in
        makeRoute(n) { $0.expression = "http.path ~ r#\"^/service-\(n)/(?<id>\\d+)$\"#" }
    } request: {
        Sample(target: "/service-\($0)/4711")
    },
]

/// Common headers of a browser and one more.
struct Headers: HeaderLookup {
    let memory = Buffer(capacity: 1024)
    var ranges: [(Range<Int>, Range<Int>)] = []

    init(_ extra: (String, String)?) {
        var all = [
            ("Host", "example.com"), ("User-Agent", "bench/1.0"), ("Accept", "*/*"), ("Accept-Encoding", "gzip"),
            ("Accept-Language", "en"), ("X-Request-ID", "0123456789abcdef"),
        ]
        if let extra { all.append(extra) }
        for (name, value) in all {
            let start = memory.end
            memory.append(name)
            let middle = memory.end
            memory.append(value)
            ranges.append((start..<middle, middle..<memory.end))
        }
    }
    var fieldCount: Int { ranges.count }
    func isAbsent(_ index: Int) -> Bool { false }
    func fieldName(_ index: Int) -> Bytes {
        memory.bytes(at: ranges[index].0.lowerBound, count: ranges[index].0.count)
    }
    func fieldValue(_ index: Int) -> Bytes {
        memory.bytes(at: ranges[index].1.lowerBound, count: ranges[index].1.count)
    }
}

func seconds() -> Double {
    var time = timespec()
    unsafe clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
}

func residentMegabytes() -> Double {
    guard let file = unsafe fopen("/proc/self/statm", "r") else { return 0 }
    defer { unsafe fclose(file) }
    var line = [CChar](repeating: 0, count: 128)
    _ = unsafe line.withUnsafeMutableBufferPointer { unsafe fgets($0.baseAddress, 128, file) }
    let fields = line.prefix { $0 != 0 }.split(separator: 0x20)
    let text = String(decoding: fields.count > 1 ? fields[1].map { UInt8(bitPattern: $0) } : [], as: UTF8.self)
    return Double(Int(text) ?? 0) * 4096 / 1_048_576
}

struct Prepared {
    var memory = Buffer(capacity: 512)
    var parts: [Range<Int>] = []
    var headers: Headers

    init(_ sample: Sample) {
        headers = Headers(sample.header)
        for text in [sample.method, sample.host, sample.target, sample.serverName] {
            let start = memory.end
            memory.append(text)
            parts.append(start..<memory.end)
        }
    }
    func view(_ index: Int) -> Bytes { memory.bytes(at: parts[index].lowerBound, count: parts[index].count) }
}

func measure(_ table: RouteTable, _ difference: Difference, count: Int) -> Double {
    let samples = 1000
    var prepared: [(Prepared, Int)] = []
    for i in 0..<samples {
        let number = (i &* 7919) % count
        prepared.append((Prepared(difference.request(number)), number))
    }
    let requests = prepared.map { sample, _ in
        MatchRequest(
            method: sample.view(0), host: sample.view(1), target: sample.view(2), serverName: sample.view(3),
            isTLS: !sample.parts[3].isEmpty)
    }
    let result = MatchResult()
    for (at, request) in requests.enumerated() {
        let outcome = table.match(request, headers: prepared[at].0.headers, into: result)
        guard outcome == .matched, result.route == prepared[at].1 else {
            print("wrong answer: \(difference.name), route \(prepared[at].1), got \(result.route) \(outcome)")
            exit(1)
        }
    }
    var best = Double.infinity
    for _ in 0..<(CommandLine.arguments.count > 2 ? 2000 : 20) {
        let start = seconds()
        for at in 0..<samples {
            _ = table.match(requests[at], headers: prepared[at].0.headers, into: result)
        }
        best = min(best, (seconds() - start) / Double(samples))
    }
    return best * 1e9
}

func padded(_ text: String, _ width: Int) -> String {
    String(repeating: " ", count: max(0, width - text.utf8.count)) + text
}

print("ns per look-up, build in ms, resident growth in MB")
print(
    padded("routes differ by", 22), padded("1", 8), padded("1000", 8), padded("100000", 8), padded("build", 8),
    padded("MB", 6))
let only = CommandLine.arguments.dropFirst().first
let sizes = CommandLine.arguments.count > 2 ? [Int(CommandLine.arguments[2]) ?? 1] : [1, 1000, 100_000]
for difference in differences where only == nil || difference.name.contains(only ?? "") {
    var cells: [String] = []
    var build = 0.0
    var growth = 0.0
    for count in sizes {
        let routes = (0..<count).map { difference.route($0) }
        let before = residentMegabytes()
        let start = seconds()
        do {
            let table = try RouteTable(routes: routes, seed: 42)
            build = (seconds() - start) * 1000
            growth = residentMegabytes() - before
            cells.append("\(Int(measure(table, difference, count: count)))")
        } catch {
            print("\(error)")
            exit(1)
        }
    }
    print(
        padded(difference.name, 22), cells.map { padded($0, 8) }.joined(separator: " "),
        padded("\(Int(build))", 8), padded("\(Int(growth))", 6))
}
if only == nil || only == "streams" {
    print("streams, ns per look-up")
    do { try measureStreams(sizes) } catch { print("\(error)") }
}
