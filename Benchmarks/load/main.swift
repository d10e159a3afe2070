// How long a large kong.yml takes from bytes to snapshot, and what memory it costs.
//
//     swift run -c release load-bench [ROUTES] [plugins] [stored]
//
// With `stored`, the file is also taken apart into what a store keeps, a model is made of that, and then one route
// after the other is changed in it. With `plugins`, each route has a plugin of its own and there are as many consumers with keys as routes.

import Bytes
import Compile
import Dialects
import Glibc
import Model
import Snapshot

/// A file of `count` routes over a hundred services, written as decK writes it.
func makeFile(_ count: Int, withPlugins: Bool) -> [UInt8] {
    var text = "_format_version: \"3.0\"\nservices:\n"
    let services = min(100, count)
    for service in 0..<services {
        text += "- name: service-\(service)\n  url: http://10.0.\(service / 250).\(service % 250):8080\n  routes:\n"
        for route in stride(from: service, to: count, by: services) {
            text += "  - name: route-\(route)\n    paths:\n    - /api/v1/tenant-\(route)/items\n"
            text +=
                "    hosts:\n    - host\(route % 1000).example.com\n    methods: [GET, POST]\n    strip_path: false\n"
            if withPlugins {
                text += "    plugins:\n    - name: rate-limiting\n      config: {minute: \(route % 50 + 1)}\n"
            }
        }
    }
    text += "plugins:\n- name: correlation-id\n- name: rate-limiting\n  service: service-1\n  config: {minute: 60}\n"
    if withPlugins {
        text += "consumers:\n"
        for consumer in 0..<count {
            text += "- username: user-\(consumer)\n  keyauth_credentials:\n  - key: key-of-user-\(consumer)\n"
        }
    }
    return Array(text.utf8)
}

func seconds() -> Double {
    var time = timespec()
    unsafe clock_gettime(CLOCK_MONOTONIC, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
}

/// Peak resident memory of this process in MB.
func peakMemory() -> Int {
    var usage = rusage()
    unsafe getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
    return usage.ru_maxrss / 1024
}

let count = CommandLine.arguments.count > 1 ? Int(CommandLine.arguments[1]) ?? 100_000 : 100_000
let file = makeFile(count, withPlugins: CommandLine.arguments.contains("plugins"))
print("\(count) routes, \(file.count / 1_000_000) MB of YAML, \(peakMemory()) MB resident before")
let start = seconds()
let (model, findings) = file.withBytes { KongFile.load($0, file: "kong.yml") }
let loaded = seconds()
guard let model else {
    for finding in findings.prefix(10) { print(finding) }
    exit(1)
}
print("load     \(Int((loaded - start) * 1000)) ms, peak \(peakMemory()) MB, \(model.routes.count) routes")
let (snapshot, _) = GatewayCompiler.compile(model, settings: Settings(), listeners: [Listener()])
let compiled = seconds()
print("compile  \(Int((compiled - loaded) * 1000)) ms, peak \(peakMemory()) MB, \(snapshot.chains.count) chains")
let bytes = snapshot.wire
print(
    "encode   \(Int((seconds() - compiled) * 1000)) ms, \(bytes.count / 1_000_000) MB on the wire, peak \(peakMemory()) MB"
)

if CommandLine.arguments.contains("stored") { measureStored(file) }

/// What the control plane does: records out of a file, their specs as JSON and back, the model from specs, one change.
func measureStored(_ file: [UInt8]) {
    var last = seconds()
    func lap(_ what: String, _ more: String = "") {
        print(
            "\(what)\(String(repeating: " ", count: max(1, 9 - what.count)))\(Int((seconds() - last) * 1000)) ms, peak \(peakMemory()) MB\(more)"
        )
        last = seconds()
    }
    let records = KongEntities.read(file, file: "kong.yml").records
    lap("records", ", \(records.count) entities")
    let specs = records.map(\.spec.json)
    lap("json", ", \(specs.reduce(0) { $0 + $1.count } / max(1, specs.count)) bytes a spec")
    let values = specs.compactMap { try? ConfigValue(json: $0) }
    lap("parse", ", \(values.count) values")
    var live = LiveModel()
    let changes = records.indices.map { index in
        EntityChange.put(
            records[index].kind, records[index].id, order: UInt64(index + 1), spec: specs[index])
    }
    last = seconds()
    let findings = live.apply(changes)
    lap("live", ", \(live.model.routes.count) routes, \(findings.count) findings")
    let again = KongEntities.read(file, file: "kong.yml", known: live.known).records
    lap("again", ", \(again == records ? "the same" : "not the same") records")
    var worst = 0.0
    var total = 0.0
    var kept = live.model
    let routes = records.indices.filter { records[$0].kind == .routes }.prefix(200)
    for index in routes {
        guard case .record(var entries) = records[index].spec,
            let place = entries.firstIndex(where: { $0.key == "regex_priority" })
        else { continue }
        entries[place].value = .int(index)
        let spec = ConfigValue.record(entries).json
        let start = seconds()
        // As the control plane does it: on a copy, while somebody holds the model from before.
        var copy = live
        _ = copy.apply([.put(.routes, records[index].id, order: UInt64(index + 1), spec: spec)])
        live = copy
        kept = live.model
        let took = seconds() - start
        worst = max(worst, took)
        total += took
    }
    print(
        "change   \(Int(total / Double(max(1, routes.count)) * 1e6)) us, worst \(Int(worst * 1e6)) us, \(kept.routes.count) routes"
    )
}
