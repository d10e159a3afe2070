// How long a large kong.yml takes from bytes to snapshot, and what memory it costs.
//
//     swift run -c release load-bench [ROUTES] [plugins]
//
// With `plugins`, each route has a plugin of its own and there are as many consumers with keys as routes.

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
