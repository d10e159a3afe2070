// Counters and their exposition.

import Bytes
import Foundation
import Telemetry
import Testing

/// The samples of an exposition: name and labels to value, and the order they came in.
private struct Samples {
    var values: [String: Double] = [:]
    var order: [String] = []

    init(_ text: String) throws {
        for line in text.split(separator: "\n") where !line.hasPrefix("#") {
            let space = try #require(line.lastIndex(of: " "))
            let key = String(line[..<space])
            #expect(values[key] == nil, "twice: \(key)")
            let value: Double = try #require(Double(String(line[line.index(after: space)...])))
            values[key] = value
            order.append(key)
        }
    }

    subscript(key: String) -> Double? { values[key] }
    func keys(_ prefix: String) -> [String] { order.filter { $0.hasPrefix(prefix) } }
}

private func render(_ workers: [WorkerMetrics], _ change: (inout Exposition) -> Void = { _ in }) -> String {
    var page = Exposition()
    page.node.nodeID = "6a7c"
    page.node.version = "1.2.3"
    page.workers = workers
    change(&page)
    let out = Buffer()
    page.render(into: out)
    return out.readable.string
}

private func sample(
    _ status: Int = 200, service: Bool = true, kong: Int = 500, upstream: Int = 2_500, request: Int = 3_000,
    bytes: (Int, Int) = (100, 1000)
) -> RequestSample {
    var sample = RequestSample()
    sample.status = status
    sample.isFromService = service
    sample.requestBytes = bytes.0
    sample.responseBytes = bytes.1
    sample.kongMicroseconds = kong
    sample.upstreamMicroseconds = upstream
    sample.requestMicroseconds = request
    return sample
}

private let everything: MetricFamilies = [.statusCodes, .latency, .bandwidth]

@Suite struct MetricsTests {
    @Test("requests, latencies and bandwidth of several workers are added up per route")
    func sums() throws {
        let workers = [WorkerMetrics(), WorkerMetrics()]
        for (n, worker) in workers.enumerated() {
            let slot = worker.slot(service: Bytes("s"), route: Bytes("r"))
            for _ in 0...n { worker.record(slot, everything, sample()) }
            worker.record(slot, everything, sample(404, service: false, upstream: -1))
        }
        let found = try Samples(render(workers))
        let labels = #"service="s",route="r""#
        let tail = #"workspace="default",consumer="""#
        #expect(found[#"kong_http_requests_total{\#(labels),code="200",source="service",\#(tail)}"#] == 3)
        #expect(found[#"kong_http_requests_total{\#(labels),code="404",source="kong",\#(tail)}"#] == 2)
        #expect(found[#"kong_bandwidth_bytes{\#(labels),direction="ingress",\#(tail)}"#] == 500)
        #expect(found[#"kong_bandwidth_bytes{\#(labels),direction="egress",\#(tail)}"#] == 5000)
        #expect(found[#"kong_kong_latency_ms_bucket{\#(labels),workspace="default",le="1"}"#] == 5)
        #expect(found[#"kong_kong_latency_ms_sum{\#(labels),workspace="default"}"#] == 2.5)
        #expect(found[#"kong_upstream_latency_ms_count{\#(labels),workspace="default"}"#] == 3)
        #expect(found[#"kong_upstream_latency_ms_sum{\#(labels),workspace="default"}"#] == 7.5)
        #expect(found[#"kong_request_latency_ms_count{\#(labels),workspace="default"}"#] == 5)
    }

    static let kongBounds = [1, 2, 5, 7, 10, 15, 20, 30, 50, 75, 100, 200, 500, 750, 1000, 3000, 6000]
    static let longBounds = [25, 50, 80, 100, 250, 400, 700, 1000, 2000, 5000, 10000, 30000, 60000]

    @Test(
        "a latency at a bucket's bound falls into it, a microsecond more into the next",
        arguments: [
            ("kong_kong_latency_ms", kongBounds), ("kong_upstream_latency_ms", longBounds),
            ("kong_request_latency_ms", longBounds),
        ])
    func buckets(name: String, bounds: [Int]) throws {
        for (index, bound) in bounds.enumerated() {
            for extra in 0...1 {
                let worker = WorkerMetrics()
                let latency = bound * 1000 + extra
                let slot = worker.slot(service: Bytes("s"), route: Bytes("r"))
                worker.record(slot, .latency, sample(kong: latency, upstream: latency, request: latency))
                let found = try Samples(render([worker]))
                let buckets = found.keys(name + "_bucket")
                let names = bounds.map(String.init) + ["+Inf"]
                #expect(
                    buckets
                        == names.map {
                            #"\#(name)_bucket{service="s",route="r",workspace="default",le="\#($0)"}"#
                        })
                let expected = names.indices.map { $0 >= index + extra ? 1.0 : 0.0 }
                #expect(buckets.compactMap { found[$0] } == expected, "\(latency) us")
            }
        }
    }

    @Test(
        "only the families that are switched on are counted",
        arguments: [
            (MetricFamilies.statusCodes, ["kong_http_requests_total"]), (.bandwidth, ["kong_bandwidth_bytes"]),
            (.latency, ["kong_kong_latency_ms", "kong_upstream_latency_ms", "kong_request_latency_ms"]),
            (.perConsumer, []), (.upstreamHealth, []), (MetricFamilies(), []),
        ])
    func families(on: MetricFamilies, names: [String]) throws {
        let worker = WorkerMetrics()
        worker.record(worker.slot(service: Bytes("s"), route: Bytes("r")), on, sample(), consumer: Bytes("alice"))
        let found = try Samples(render([worker]))
        let all = [
            "kong_http_requests_total", "kong_bandwidth_bytes", "kong_kong_latency_ms", "kong_upstream_latency_ms",
            "kong_request_latency_ms",
        ]
        for name in all { #expect(found.keys(name).isEmpty == !names.contains(name), "\(name)") }
    }

    @Test("per_consumer splits requests and bandwidth, not latencies")
    func consumers() throws {
        let worker = WorkerMetrics()
        let slot = worker.slot(service: Bytes("s"), route: Bytes("r"))
        let families: MetricFamilies = [.statusCodes, .latency, .bandwidth, .perConsumer]
        worker.record(slot, families, sample(), consumer: Bytes("alice"))
        worker.record(slot, families, sample(), consumer: Bytes("alice"))
        worker.record(slot, families, sample(), consumer: Bytes("bob \"the\" \\"))
        worker.record(slot, families, sample())
        worker.record(slot, everything, sample(), consumer: Bytes("alice"))
        let found = try Samples(render([worker]))
        let head = #"kong_http_requests_total{service="s",route="r",code="200",source="service",workspace="default","#
        #expect(found[head + #"consumer="alice"}"#] == 2)
        #expect(found[head + #"consumer="bob \"the\" \\"}"#] == 1)
        #expect(found[head + #"consumer=""}"#] == 2)
        #expect(found.keys(head).count == 3)
        #expect(found[#"kong_request_latency_ms_count{service="s",route="r",workspace="default"}"#] == 5)
        #expect(found.keys("kong_bandwidth_bytes").count == 6)
    }

    @Test("counters go on where they were under a new snapshot, whatever the route's index")
    func swap() throws {
        let worker = WorkerMetrics()
        var before = RouteSlots(count: 3)
        var calls = 0
        for _ in 0..<5 {
            let slot = before.slot(2, worker) {
                calls += 1
                return ("s", "r")
            }
            worker.record(slot, everything, sample())
        }
        #expect(calls == 1)
        var after = RouteSlots(count: 1)
        worker.record(after.slot(0, worker) { ("s", "r") }, everything, sample())
        // A request that began under the old snapshot ends under it.
        worker.record(before.slot(2, worker) { ("unused", "unused") }, everything, sample())
        let found = try Samples(render([worker]))
        #expect(found.keys("kong_http_requests_total").compactMap { found[$0] } == [7])
    }

    @Test("an index outside the snapshot counts nothing and harms nothing", arguments: [-1, 3, Int.max])
    func badIndex(route: Int) throws {
        let worker = WorkerMetrics()
        var slots = RouteSlots(count: 3)
        worker.record(slots.slot(route, worker) { ("s", "r") }, everything, sample())
        #expect(try Samples(render([worker])).keys("kong_http_requests_total").isEmpty)
    }

    @Test("every status code from 100 to 599 keeps its own count")
    func codes() throws {
        let worker = WorkerMetrics()
        let slot = worker.slot(service: Bytes("s"), route: Bytes("r"))
        for code in 100...599 {
            for _ in 0..<(code % 3 + 1) { worker.record(slot, .statusCodes, sample(code, service: code % 2 == 0)) }
        }
        let found = try Samples(render([worker]))
        #expect(found.keys("kong_http_requests_total").count == 500)
        for code in 100...599 {
            let source = code % 2 == 0 ? "service" : "kong"
            let key =
                #"kong_http_requests_total{service="s",route="r",code="\#(code)",source="\#(source)",workspace="default",consumer=""}"#
            #expect(found[key] == Double(code % 3 + 1))
        }
    }

    @Test("past its limit the table shares one series, so that totals stay right", arguments: [1, 2, 10])
    func limit(seriesMax: Int) throws {
        let worker = WorkerMetrics(seriesMax: seriesMax)
        for n in 0..<20 {
            let slot = "r\(n)".withBytes { worker.slot(service: Bytes("s"), route: $0) }
            worker.record(slot, everything, sample())
        }
        let found = try Samples(render([worker]))
        let keys = found.keys("kong_http_requests_total")
        #expect(keys.count == seriesMax)
        #expect(keys.compactMap { found[$0] }.reduce(0, +) == 20)
        #expect(found["seaway_metrics_overflow_total"] == Double(20 - (seriesMax - 1)))
    }

    @Test("connections, rejections, drops and target health appear under their names")
    func node() throws {
        let worker = WorkerMetrics(reasons: ["bad_chunk_size", "obs_fold"])
        worker.count(.accepted, 10)
        worker.count(.closed, 4)
        worker.count(.refused)
        worker.count(.reading)
        worker.count(.writing, 2)
        worker.count(.requests, 33)
        worker.reject(1)
        worker.reject(1)
        worker.reject(2)  // No such reason.
        var log = AccessLog.Counts()
        log.written = 5
        log.full = 6
        let text = render([worker]) { page in
            page.accessLog = log
            page.node.residentBytes = 12_345
            page.node.processID = 42
            page.node.startedAt = 1_795_417_200
            page.targets = [TargetHealth(upstream: "u", target: "a:80", address: "10.0.0.1:80", state: .unhealthy)]
        }
        let found = try Samples(text)
        let states = [
            "accepted": 11.0, "handled": 10, "total": 33, "active": 6, "reading": 1, "writing": 2, "waiting": 3,
        ]
        for (state, value) in states {
            let key = #"kong_nginx_connections_total{node_id="6a7c",subsystem="http",state="\#(state)"}"#
            #expect(found[key] == value, "\(state)")
        }
        #expect(found[#"kong_nginx_requests_total{node_id="6a7c",subsystem="http"}"#] == 33)
        #expect(found[#"kong_node_info{node_id="6a7c",version="1.2.3"}"#] == 1)
        #expect(found["kong_datastore_reachable"] == 1)
        #expect(found[#"seaway_requests_rejected_total{reason="bad_chunk_size"}"#] == 0)
        #expect(found[#"seaway_requests_rejected_total{reason="obs_fold"}"#] == 2)
        #expect(found["seaway_access_log_records_total"] == 5)
        #expect(found[#"seaway_access_log_dropped_total{reason="lane_full"}"#] == 6)
        for (state, value) in ["healthy": 0.0, "unhealthy": 1, "dns_error": 0, "healthchecks_off": 0] {
            let key =
                #"kong_upstream_target_health{upstream="u",target="a:80",address="10.0.0.1:80",state="\#(state)",subsystem="http"}"#
            #expect(found[key] == value, "\(state)")
        }
    }

    @Test("reading while a worker counts never shows a counter going backwards")
    func concurrentReading() throws {
        let worker = WorkerMetrics()
        let done = DispatchGroup()
        DispatchQueue.global().async(group: done) {
            for n in 0..<2_000 {
                let slot = "r\(n)".withBytes { worker.slot(service: Bytes("s"), route: $0) }
                for code in [200, 404, 500] { worker.record(slot, everything, sample(code)) }
            }
        }
        var seen = 0.0
        var rounds = 0
        repeat {
            let found = try Samples(render([worker]))
            let total = found.keys("kong_http_requests_total").compactMap { found[$0] }.reduce(0, +)
            #expect(total >= seen)
            seen = total
            rounds += 1
        } while seen < 6_000 && rounds < 10_000
        done.wait()
        #expect(seen == 6_000)
    }

    @Test("promtool parses the page; what it remarks on is Kong's own naming")
    func promtool() throws {
        let worker = WorkerMetrics(reasons: ["obs_fold"])
        let slot = worker.slot(service: Bytes("s\"\\\n"), route: Bytes("r"))
        worker.record(slot, [.statusCodes, .latency, .bandwidth, .perConsumer], sample(), consumer: Bytes("alice"))
        let text = render([worker]) { page in
            page.accessLog = AccessLog.Counts()
            page.node.residentBytes = 1
            page.node.startedAt = 1
            page.targets = [TargetHealth(upstream: "u", target: "t:1", address: "", state: .dnsError)]
        }
        let result = try run("promtool", ["check", "metrics"], input: text)
        // 0: clean; 3: parsed, with remarks; 1: not the format.
        #expect(result.status == 0 || result.status == 3, "\(result.output)")
        let remarks = Set(result.output.split(separator: "\n").map { String($0.prefix { $0 != " " }) })
        #expect(
            remarks.isSubset(of: [
                "kong_bandwidth_bytes", "kong_nginx_connections_total", "kong_kong_latency_ms",
                "kong_upstream_latency_ms", "kong_request_latency_ms",
            ]), "\(result.output)")
    }
}

@Suite struct StatusPageTests {
    private func json(_ fill: (Buffer) -> Void) throws -> [String: Any] {
        let out = Buffer()
        fill(out)
        return try object(out.readable.array)
    }

    @Test("the status page has Kong's shape")
    func status() throws {
        let worker = WorkerMetrics()
        worker.count(.accepted, 3)
        worker.count(.closed, 1)
        worker.count(.reading)
        worker.count(.requests, 7)
        var node = NodeFacts()
        node.nodeID = "6a7c"
        node.version = "1.2.3"
        node.processID = 42
        node.residentBytes = 12 << 20
        node.revision = 9
        node.configurationHash = "0123456789abcdef0123456789abcdef"
        let page = try json { StatusPage.render(node, workers: [worker], into: $0) }
        let expected: NSDictionary = [
            "server": [
                "connections_accepted": 3, "connections_handled": 3, "connections_active": 2, "connections_reading": 1,
                "connections_writing": 0, "connections_waiting": 1, "total_requests": 7,
            ],
            "memory": [
                "workers_lua_vms": [["pid": 42, "http_allocated_gc": "12.00 MiB"]], "lua_shared_dicts": [:],
            ],
            "database": ["reachable": true], "configuration_hash": "0123456789abcdef0123456789abcdef",
            "node_id": "6a7c", "version": "1.2.3", "revision": 9,
        ]
        #expect(page as NSDictionary == expected)
    }

    @Test("ready is 200, or 503 with the reason", arguments: [nil, StatusPage.noConfiguration, "say \"why\"\n"])
    func ready(reason: String?) throws {
        var status = 0
        let page = try json { status = StatusPage.renderReady(reason: reason, into: $0) }
        #expect(status == (reason == nil ? 200 : 503))
        #expect(page as NSDictionary == ["message": reason ?? "ready"])
    }
}
