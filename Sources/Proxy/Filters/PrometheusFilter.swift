// prometheus: says which metrics are kept; the exchange keeps them when it ends.

import Snapshot
import Telemetry

final class PrometheusFilter: FilterInstance, @unchecked Sendable {
    private let kept: MetricFamilies

    init(_ config: Prometheus) {
        var kept: MetricFamilies = []
        if config.statusCodeMetrics { kept.insert(.statusCodes) }
        if config.latencyMetrics { kept.insert(.latency) }
        if config.bandwidthMetrics { kept.insert(.bandwidth) }
        if config.perConsumer { kept.insert(.perConsumer) }
        if config.upstreamHealthMetrics { kept.insert(.upstreamHealth) }
        self.kept = kept
    }

    override var name: StaticString { "prometheus" }
    override var hasAccessPhase: Bool { false }
    override var families: MetricFamilies? { kept }
}
