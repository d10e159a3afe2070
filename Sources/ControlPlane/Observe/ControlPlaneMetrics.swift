// What Prometheus reads of a control plane.

internal import Foundation
internal import Glibc
internal import Model
internal import Snapshot
internal import Store

/// One scrape, written as Prometheus' text format 0.0.4.
struct ControlPlaneMetrics {
    private(set) var text = ""

    init(revision: UInt64, counters: StreamCounters, gateways: [GatewayStatus], store: MeteredStore, now: Int64) {
        family("seaway_control_plane_info", "gauge", "The version of this control plane; always 1.")
        sample("seaway_control_plane_info", [("version", productVersion)], 1)
        family("seaway_revision", "gauge", "The newest revision.")
        sample("seaway_revision", [], Double(revision))
        family("seaway_streams", "gauge", "Streams of gateways that are open here.")
        sample("seaway_streams", [], Double(counters.streams))
        family("seaway_configurations_sent_total", "counter", "Configurations sent to gateways, whole or as deltas.")
        sample("seaway_configurations_sent_total", [("kind", "full")], Double(counters.fullSent))
        sample("seaway_configurations_sent_total", [("kind", "delta")], Double(counters.deltasSent))
        family("seaway_configuration_sent_bytes_total", "counter", "Bytes of configurations sent to gateways.")
        sample("seaway_configuration_sent_bytes_total", [], Double(counters.bytesSent))
        family("seaway_configurations_answered_total", "counter", "What gateways did with configurations.")
        sample("seaway_configurations_answered_total", [("answer", "applied")], Double(counters.applied))
        sample("seaway_configurations_answered_total", [("answer", "rejected")], Double(counters.rejected))
        pushes(counters)
        fleet(gateways, revision, now)
        stores([("commit", store.commits), ("write", store.writes), ("read", store.reads)])
        process()
    }

    private mutating func pushes(_ counters: StreamCounters) {
        family(
            "seaway_push_duration_seconds", "histogram",
            "From a revision's publication to its being in effect on every worker of a gateway.")
        histogram(
            "seaway_push_duration_seconds", [], StreamCounters.pushBounds.map { $0 / 1000 }, counters.pushCounts,
            counters.pushSum / 1000)
    }

    private mutating func fleet(_ gateways: [GatewayStatus], _ revision: UInt64, _ now: Int64) {
        let present = gateways.filter { $0.record.revokedAt == 0 }
        family("seaway_gateway_connected", "gauge", "Whether the gateway has a stream to a control plane.")
        for one in present { sample("seaway_gateway_connected", labels(one), one.isConnected ? 1 : 0) }
        family("seaway_gateway_revision", "gauge", "The revision in effect on every worker of the gateway.")
        for one in present { sample("seaway_gateway_revision", labels(one), Double(one.record.revision)) }
        family("seaway_gateway_revision_lag", "gauge", "Revisions between the newest and the one in effect.")
        for one in present {
            let lag = revision > one.record.revision ? revision - one.record.revision : 0
            sample("seaway_gateway_revision_lag", labels(one), Double(lag))
        }
        family("seaway_gateway_rejected_revision", "gauge", "The revision that the gateway rejected last; 0: none.")
        for one in present {
            sample("seaway_gateway_rejected_revision", labels(one), Double(one.record.rejectedRevision))
        }
        family("seaway_gateway_last_seen_seconds", "gauge", "Unix time at which the gateway was heard of last.")
        for one in present {
            sample("seaway_gateway_last_seen_seconds", labels(one), Double(one.record.lastSeenAt) / 1000)
        }
    }

    private func labels(_ gateway: GatewayStatus) -> [(String, String)] {
        [("gateway", gateway.record.name), ("id", gateway.record.id.description)]
    }

    private mutating func stores(_ operations: [(String, Timings)]) {
        let counts = operations.map { ($0.0, $0.1.counts) }
        family("seaway_store_duration_seconds", "histogram", "How long the store took, by operation.")
        for (name, one) in counts {
            histogram("seaway_store_duration_seconds", [("operation", name)], Timings.bounds, one.counts, one.sum)
        }
        family("seaway_store_errors_total", "counter", "Operations that the store refused or could not do.")
        for (name, one) in counts {
            sample("seaway_store_errors_total", [("operation", name)], Double(one.errors))
        }
    }

    private mutating func process() {
        family("process_resident_memory_bytes", "gauge", "Resident memory.")
        let statm = (try? String(contentsOfFile: "/proc/self/statm", encoding: .utf8)) ?? ""
        let pages = statm.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0
        sample("process_resident_memory_bytes", [], Double(pages * Int(sysconf(Int32(_SC_PAGESIZE)))))
    }

    // MARK: - The format

    private mutating func family(_ name: String, _ type: String, _ help: String) {
        text += "# HELP \(name) \(help)\n# TYPE \(name) \(type)\n"
    }

    private mutating func sample(_ name: String, _ labels: [(String, String)], _ value: Double) {
        text += name
        if !labels.isEmpty {
            text += "{" + labels.map { "\($0.0)=\"\(Self.escaped($0.1))\"" }.joined(separator: ",") + "}"
        }
        text += " " + Self.number(value) + "\n"
    }

    private mutating func histogram(
        _ name: String, _ labels: [(String, String)], _ bounds: [Double], _ counts: [UInt64], _ sum: Double
    ) {
        var total: UInt64 = 0
        for (index, count) in counts.enumerated() {
            total += count
            let bound = index < bounds.count ? Self.number(bounds[index]) : "+Inf"
            sample(name + "_bucket", labels + [("le", bound)], Double(total))
        }
        sample(name + "_sum", labels, sum)
        sample(name + "_count", labels, Double(total))
    }

    private static func number(_ value: Double) -> String {
        Int(exactly: value).map { String($0) } ?? String(value)
    }

    private static func escaped(_ text: String) -> String {
        text.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"").replacing("\n", with: "\\n")
    }
}
