// What telemetry costs a worker per request: run with a release build.

import Bytes
import CLinux
import HTTP
import Snapshot
import Telemetry

/// Runs `body` in rounds and prints the best and the median round in nanoseconds per call.
func measure(_ name: String, rounds: Int = 20, calls: Int = 20_000, between: () -> Void = {}, _ body: (Int) -> Void) {
    var times: [Int64] = []
    for _ in 0..<rounds {
        let start = sys_monotonic_nanoseconds()
        for i in 0..<calls { body(i) }
        times.append(sys_monotonic_nanoseconds() - start)
        between()
    }
    times.sort()
    let best = Double(times[0] * 10 / Int64(calls)) / 10
    let middle = Double(times[times.count / 2] * 10 / Int64(calls)) / 10
    print("\(name): \(best) ns best, \(middle) ns median")
}

func headers(_ fields: [(StaticString, StaticString)]) -> HeaderBlock {
    let block = HeaderBlock()
    block.reset(source: nil)
    for (name, value) in fields { block.add(Bytes(name), Bytes(value)) }
    return block
}

let request = headers([
    ("Host", "api.example.com:8000"), ("User-Agent", "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101"),
    ("Accept", "application/json, text/plain, */*"), ("Accept-Encoding", "gzip, deflate, br"),
    ("Accept-Language", "en-GB,en;q=0.5"), ("Authorization", "Bearer abcdefghijklmnopqrstuvwxyz"),
    ("X-Correlation-Id", "1d7e9c7c-1cf0-4dd8-8a8c-2a4f6b2a6f10"), ("Connection", "keep-alive"),
])
let response = headers([
    ("Content-Type", "application/json; charset=utf-8"), ("Content-Length", "512"),
    ("Date", "Mon, 23 Nov 2026 07:00:00 GMT"), ("Server", "nginx/1.22.1"), ("Via", "1.1 kong/3.9.1"),
    ("X-Kong-Upstream-Latency", "2"), ("X-Kong-Proxy-Latency", "0"),
])
let small = headers([("Host", "127.0.0.1:8000"), ("User-Agent", "wrk")])

var snapshot = Snapshot()
snapshot.services = [Service()]
snapshot.services[0].name = "orders"
snapshot.services[0].host = "orders.internal"
var route = Route()
route.name = "orders-v1"
route.service = 0
route.paths = ["/orders"]
let routeJSON = LogEntities.route(route, in: snapshot)
let serviceJSON = LogEntities.service(snapshot.services[0])

func record(route: Bytes, service: Bytes) -> RequestRecord {
    var record = RequestRecord()
    record.startedAt = 1_795_417_200_123
    record.method = Bytes("GET")
    record.uri = Bytes("/orders/4711/items")
    record.host = Bytes("api.example.com")
    record.localPort = 8000
    record.client = IPAddress(v4: 0x7F00_0001)
    record.status = 200
    record.requestBytes = 412
    record.responseBytes = 890
    record.responseBodyBytes = 512
    record.upstreamStatus = 200
    record.upstreamURI = Bytes("/4711/items")
    record.isFromUpstream = true
    record.proxyLatency = 2
    record.requestLatency = 3
    record.route = route
    record.service = service
    record.requestID = Bytes("0123456789abcdef0123456789abcdef")
    var attempt = UpstreamTry()
    attempt.address = IPAddress(v4: 0x0A00_0005)
    attempt.port = 8080
    attempt.balancerStart = 1_795_417_200_123_456_789
    attempt.balancerLatency = 1200
    record.add(attempt)
    return record
}

let formats: [(String, AccessLog.Format, HeaderBlock, HeaderBlock)] = [
    ("json, 8+7 headers", .json, request, response), ("json, 2+7 headers", .json, small, response),
    ("combined", .combined, request, response),
]
for (name, format, request, response) in formats {
    let log = try AccessLog(path: "/dev/null", format: format, lanes: 1)
    routeJSON.withBytes { route in
        serviceJSON.withBytes { service in
            let one = record(route: route, service: service)
            let drained = { while !log.isDrained { _ = sys_poll_one(-1, 0, 1) } }
            measure("access log \(name)", rounds: 400, calls: 250, between: drained) { _ in
                log.lanes[0].write(one, request: request, response: response)
            }
        }
    }
    log.close()
    print("  \(log.counts)")
}

let metrics = WorkerMetrics()
let slot = metrics.slot(service: Bytes("orders"), route: Bytes("orders-v1"))
var sample = RequestSample()
sample.status = 200
sample.isFromService = true
sample.requestBytes = 412
sample.responseBytes = 890
measure("metrics, none on") { _ in metrics.record(slot, [], sample) }
measure("metrics, all but per_consumer") { i in
    sample.kongMicroseconds = i & 1023
    sample.upstreamMicroseconds = i
    sample.requestMicroseconds = i
    metrics.record(slot, [.statusCodes, .latency, .bandwidth], sample)
}
measure("metrics, all") { i in
    sample.requestMicroseconds = i
    metrics.record(slot, [.statusCodes, .latency, .bandwidth, .perConsumer], sample, consumer: Bytes("alice"))
}
measure("worker counter") { _ in metrics.count(.requests) }
