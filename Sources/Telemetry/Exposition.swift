// Everything counted, in Prometheus' text format with Kong's names.

public import Bytes

/// What the whole process knows about itself, gathered by the status listener for one answer.
public struct NodeFacts: Sendable {
    /// UUID of this node.
    public var nodeID = ""
    /// Version of this program.
    public var version = ""
    public var processID = 0
    /// Resident bytes of the process; 0: unknown.
    public var residentBytes = 0
    /// Unix seconds at which the process started; 0: unknown.
    public var startedAt = 0
    /// Revision in effect; 0: no configuration yet.
    public var revision: UInt64 = 0
    /// 32 hexadecimal digits that name the configuration, as Kong's `configuration_hash`.
    public var configurationHash = ""
    /// Reloads refused since the start; the configuration before each stayed in effect.
    public var refusedConfigurations = 0
    public var timersRunning = 0
    /// Nil: the configuration is a file's.
    public var controlPlane: ControlPlaneFacts?
    /// Unix seconds of the moment that all this is said of.
    public var now = 0

    public init() {}
}

/// One address of a target, for `kong_upstream_target_health`.
public struct TargetHealth: Sendable {
    public enum State: String, CaseIterable, Sendable {
        case healthchecksOff = "healthchecks_off"
        case healthy, unhealthy
        case dnsError = "dns_error"
    }

    public var upstream: String
    /// `host:port` as configured.
    public var target: String
    /// `ip:port`; empty when the name did not resolve.
    public var address: String
    public var state: State

    public init(upstream: String, target: String, address: String, state: State) {
        self.upstream = upstream
        self.target = target
        self.address = address
        self.state = state
    }
}

/// Renders `/metrics`. Pure: the same facts give the same bytes, in a fixed order.
public struct Exposition {
    /// The content type of the answer.
    public static let contentType: StaticString = "text/plain; version=0.0.4; charset=utf-8"
    /// Output past this many bytes leaves the remaining route series out and says how many.
    public static let bytesMax = 128 << 20

    public var node = NodeFacts()
    public var workers: [WorkerMetrics] = []
    public var accessLog: AccessLog.Counts?
    /// Given when some prometheus configuration has `upstream_health_metrics`; nil leaves the family out.
    public var targets: [TargetHealth]?

    public init() {}

    public func render(into out: Buffer) {
        var text = Text(out)
        connections(&text)
        process(&text)
        health(&text)
        let groups = Self.grouped(workers)
        var omitted = 0
        let exchanges = groups.filter { !$0.isStream }
        let sessions = groups.filter(\.isStream)
        requests(exchanges, &text, &omitted)
        for family in LatencyFamily.allCases { latency(family, exchanges, &text, &omitted) }
        streamSessions(sessions, &text, &omitted)
        latency(.request, sessions, &text, &omitted, isStream: true)
        bandwidth(groups, &text, &omitted)
        own(&text, omitted)
    }

    private func sum(_ counter: WorkerCounter) -> Int { workers.reduce(0) { $0 + $1.value(counter) } }

    // MARK: Families of the node

    private func connections(_ out: inout Text) {
        let facts = ConnectionFacts(workers)
        out.family("kong_nginx_connections_total", "gauge", "Number of connections by subsystem")
        for (state, value) in facts.states {
            out.open("kong_nginx_connections_total")
            out.label("node_id", node.nodeID)
            out.label("subsystem", "http")
            out.label("state", state)
            out.close(value)
        }
        out.family("kong_nginx_requests_total", "counter", "Number of requests total")
        out.open("kong_nginx_requests_total")
        out.label("node_id", node.nodeID)
        out.label("subsystem", "http")
        out.close(sum(.requests))
        out.family("kong_nginx_timers", "gauge", "Number of timers")
        for (state, value) in [("running", node.timersRunning), ("pending", 0)] {
            out.open("kong_nginx_timers")
            out.label("state", state)
            out.close(value)
        }
    }

    private func process(_ out: inout Text) {
        out.family("kong_datastore_reachable", "gauge", "Datastore reachable from Kong, 0 is unreachable")
        out.plain("kong_datastore_reachable", 1)
        out.family("kong_node_info", "gauge", "Kong Node metadata information")
        out.open("kong_node_info")
        out.label("node_id", node.nodeID)
        out.label("version", node.version)
        out.close(1)
        if node.residentBytes > 0 {
            // No Lua here: the resident memory, under the name that dashboards draw.
            out.family("kong_memory_workers_lua_vms_bytes", "gauge", "Resident bytes of the proxy process")
            out.open("kong_memory_workers_lua_vms_bytes")
            out.label("node_id", node.nodeID)
            out.label("pid", String(node.processID))
            out.label("kong_subsystem", "http")
            out.close(node.residentBytes)
            out.family("process_resident_memory_bytes", "gauge", "Resident memory size in bytes.")
            out.plain("process_resident_memory_bytes", node.residentBytes)
        }
        if node.startedAt > 0 {
            out.family(
                "process_start_time_seconds", "gauge", "Start time of the process since unix epoch in seconds.")
            out.plain("process_start_time_seconds", node.startedAt)
        }
    }

    private func health(_ out: inout Text) {
        guard let targets else { return }
        let name: StaticString = "kong_upstream_target_health"
        out.family(
            name, "gauge",
            "Health status of targets of upstream. States = healthchecks_off|healthy|unhealthy|dns_error, value is 1 when state is populated."
        )
        for target in targets {
            for state in TargetHealth.State.allCases {
                out.open(name)
                out.label("upstream", target.upstream)
                out.label("target", target.target)
                out.label("address", target.address)
                out.label("state", state.rawValue)
                out.label("subsystem", "http")
                out.close(state == target.state ? 1 : 0)
            }
        }
    }

    // MARK: Families by route

    /// Series with the same labels on different workers, in order of the labels.
    private struct Group {
        var members: [RouteSeries]
        var routeLabels: [UInt8] { members[0].routeLabels }
        var consumer: [UInt8] { members[0].consumer }
        var isStream: Bool { members[0].isStream }

        /// Counts by status and, in the lowest bit, whether the service answered.
        var codes: [Int: Int] {
            var counts: [Int: Int] = [:]
            for series in members {
                series.forEachCode { code, fromService, n in counts[code << 1 | (fromService ? 1 : 0), default: 0] += n
                }
            }
            return counts
        }
    }

    /// Sessions that ended, by nginx's numbers.
    private func streamSessions(_ groups: [Group], _ out: inout Text, _ omitted: inout Int) {
        let name: StaticString = "kong_stream_sessions_total"
        var started = false
        for group in groups {
            let counts = group.codes
            if counts.isEmpty || out.isFull(&omitted) { continue }
            if !started { out.family(name, "counter", "Stream status codes per service/route in Kong") }
            started = true
            for (key, count) in counts.sorted(by: { $0.key < $1.key }) {
                out.open(name)
                out.labels(group.routeLabels)
                out.label("code", String(key >> 1))
                out.label("source", key & 1 == 1 ? "service" : "kong")
                out.label("workspace", "default")
                out.close(count)
            }
        }
    }

    private static func grouped(_ workers: [WorkerMetrics]) -> [Group] {
        let all = workers.flatMap { $0.allSeries() }.sorted { a, b in
            if a.isStream != b.isStream { return b.isStream }
            return a.routeLabels == b.routeLabels
                ? a.consumer.lexicographicallyPrecedes(b.consumer)
                : a.routeLabels.lexicographicallyPrecedes(b.routeLabels)
        }
        var groups: [Group] = []
        for series in all {
            if let last = groups.last, last.routeLabels == series.routeLabels,
                last.consumer == series.consumer, last.isStream == series.isStream
            {
                groups[groups.count - 1].members.append(series)
            } else {
                groups.append(Group(members: [series]))
            }
        }
        return groups
    }

    private func requests(_ groups: [Group], _ out: inout Text, _ omitted: inout Int) {
        let name: StaticString = "kong_http_requests_total"
        var started = false
        for group in groups {
            let counts = group.codes
            if counts.isEmpty { continue }
            if out.isFull(&omitted) { continue }
            if !started { out.family(name, "counter", "HTTP status codes per consumer/service/route in Kong") }
            started = true
            for (key, count) in counts.sorted(by: { $0.key < $1.key }) {
                out.open(name)
                out.labels(group.routeLabels)
                out.label("code", String(key >> 1))
                out.label("source", key & 1 == 1 ? "service" : "kong")
                out.label("workspace", "default")
                out.label("consumer", group.consumer)
                out.close(count)
            }
        }
    }

    private func bandwidth(_ groups: [Group], _ out: inout Text, _ omitted: inout Int) {
        let name: StaticString = "kong_bandwidth_bytes"
        var started = false
        for group in groups {
            for (direction, cell) in [("egress", RouteSeries.egress), ("ingress", RouteSeries.ingress)] {
                let total = group.members.reduce(0) { $0 + $1.bytes(cell) }
                if total == 0 || out.isFull(&omitted) { continue }
                if !started { out.family(name, "counter", "Total bandwidth (ingress/egress) throughput in bytes") }
                started = true
                out.open(name)
                out.labels(group.routeLabels)
                out.label("direction", direction)
                out.label("workspace", "default")
                out.label("consumer", group.consumer)
                out.close(total)
            }
        }
    }

    private func latency(
        _ family: LatencyFamily, _ groups: [Group], _ out: inout Text, _ omitted: inout Int, isStream: Bool = false
    ) {
        let name = isStream ? "kong_session_duration_ms" : family.name
        let help = isStream ? "Duration of stream sessions for each service/route in Kong" : family.help
        var started = false
        let bounds = family.bounds
        for group in groups where group.consumer.isEmpty {
            let cells = (0...bounds.count).map { i in
                group.members.reduce(0) { $0 + $1.observed(family, bucket: i) }
            }
            let total = cells.reduce(0, +)
            if total == 0 || out.isFull(&omitted) { continue }
            if !started { out.family(name, "histogram", help) }
            started = true
            var running = 0
            for i in 0...bounds.count {
                running += cells[i]
                out.open(name, "_bucket")
                out.labels(group.routeLabels)
                out.label("workspace", "default")
                out.label("le", i < bounds.count ? String(bounds[i]) : "+Inf")
                out.close(running)
            }
            out.open(name, "_sum")
            out.labels(group.routeLabels)
            out.label("workspace", "default")
            out.close(thousandths: group.members.reduce(0) { $0 + $1.sum(family) })
            out.open(name, "_count")
            out.labels(group.routeLabels)
            out.label("workspace", "default")
            out.close(total)
        }
    }

    // MARK: Families of our own

    private func own(_ out: inout Text, _ omitted: Int) {
        for (counter, name, help) in Self.ownCounters {
            out.family(name, "counter", help)
            out.plain(name, sum(counter))
        }
        if let reasons = workers.first?.reasons, !reasons.isEmpty {
            let name: StaticString = "seaway_requests_rejected_total"
            out.family(name, "counter", "Requests the proxy refused before routing, by reason.")
            for (index, reason) in reasons.enumerated() {
                out.open(name)
                out.label("reason", reason)
                out.close(workers.reduce(0) { $0 + ($1.reasons.indices.contains(index) ? $1.rejected(index) : 0) })
            }
        }
        streams(&out)
        if let log = accessLog { self.log(log, &out) }
        out.family("seaway_configuration_revision", "gauge", "Revision in effect; 0 is none.")
        out.plain("seaway_configuration_revision", Int(clamping: node.revision))
        out.family("seaway_configurations_refused_total", "counter", "Configurations refused; the last one stayed.")
        out.plain("seaway_configurations_refused_total", node.refusedConfigurations)
        if let plane = node.controlPlane {
            out.family("seaway_control_plane_connected", "gauge", "Whether a control plane is followed now.")
            out.plain("seaway_control_plane_connected", plane.isConnected ? 1 : 0)
            out.family("seaway_configuration_age_seconds", "gauge", "Since the revision in effect came into effect.")
            out.plain("seaway_configuration_age_seconds", plane.age(now: node.now))
        }
        out.family("seaway_metrics_omitted_series", "gauge", "Series left out because the answer grew too long.")
        out.plain("seaway_metrics_omitted_series", omitted)
    }

    private func streams(_ out: inout Text) {
        out.family("seaway_stream_sessions_total", "counter", "Stream sessions begun.")
        let ended = sum(.streamEnded)
        let begun = sum(.streamSessions)
        out.plain("seaway_stream_sessions_total", begun)
        out.family("seaway_stream_sessions_active", "gauge", "Stream sessions under way.")
        out.plain("seaway_stream_sessions_active", max(0, begun - ended))
        let name: StaticString = "seaway_connections_rejected_total"
        out.family(name, "counter", "Connections and datagram sessions refused, by reason.")
        for reason in ConnectionRefusal.allCases {
            out.open(name)
            out.label("reason", Bytes(reason.name).string)
            out.close(workers.reduce(0) { $0 + $1.refused(reason) })
        }
    }

    private func log(_ log: AccessLog.Counts, _ out: inout Text) {
        out.family("seaway_access_log_records_total", "counter", "Records written to the access log.")
        out.plain("seaway_access_log_records_total", log.written)
        let name: StaticString = "seaway_access_log_dropped_total"
        out.family(name, "counter", "Records lost: lane full, record too long, or the write failed.")
        for (reason, value) in [
            ("lane_full", log.full), ("record_too_long", log.tooLong), ("write_failed", log.failed),
        ] {
            out.open(name)
            out.label("reason", reason)
            out.close(value)
        }
    }

    private static let ownCounters: [(WorkerCounter, StaticString, StaticString)] = [
        (.refused, "seaway_connections_refused_total", "Connections refused at a limit."),
        (.unmatched, "seaway_requests_unmatched_total", "Requests that matched no route."),
        (.retries, "seaway_upstream_retries_total", "Attempts after the first."),
        (.upstreamFailures, "seaway_upstream_failures_total", "Requests that no attempt at an upstream answered."),
        (.tlsHandshakeFailures, "seaway_tls_handshake_failures_total", "TLS handshakes of clients that failed."),
        (.upstreamOpened, "seaway_upstream_connections_opened_total", "Upstream connections opened."),
        (.upstreamReused, "seaway_upstream_connections_reused_total", "Requests sent on a kept upstream connection."),
        (.datagramsLost, "seaway_datagrams_lost_total", "Datagrams lost on their way through."),
        (.snapshots, "seaway_snapshots_applied_total", "Snapshots put in effect, counted per worker."),
        (
            .seriesOverflow, "seaway_metrics_overflow_total",
            "Look-ups of a route or consumer that found the table full."
        ),
    ]
}

extension LatencyFamily {
    var name: StaticString {
        switch self {
        case .kong: "kong_kong_latency_ms"
        case .upstream: "kong_upstream_latency_ms"
        case .request: "kong_request_latency_ms"
        }
    }

    var help: StaticString {
        switch self {
        case .kong: "Latency added by Kong and enabled plugins for each service/route in Kong"
        case .upstream: "Latency added by upstream response for each service/route in Kong"
        case .request: "Total latency incurred during requests for each service/route in Kong"
        }
    }
}

/// nginx's connection states, summed over workers.
struct ConnectionFacts {
    var accepted = 0
    var handled = 0
    var active = 0
    var reading = 0
    var writing = 0
    var waiting = 0
    var requests = 0

    init(_ workers: [WorkerMetrics]) {
        for worker in workers {
            // Closed before accepted: what is read in between makes the difference larger, not negative.
            let closed = worker.value(.closed)
            let accepted = worker.value(.accepted)
            handled += accepted
            self.accepted += accepted + worker.value(.refused)
            active += accepted - closed
            reading += worker.value(.reading)
            writing += worker.value(.writing)
            requests += worker.value(.requests)
        }
        reading = max(0, reading)
        writing = max(0, writing)
        active = max(active, reading + writing)
        waiting = active - reading - writing
    }

    /// In Kong's order; `total` is the number of requests there too.
    var states: [(String, Int)] {
        [
            ("accepted", accepted), ("handled", handled), ("total", requests), ("active", active),
            ("reading", reading), ("writing", writing), ("waiting", waiting),
        ]
    }
}

/// Lines of the text format.
private struct Text {
    private let out: Buffer
    private var hasLabels = false

    init(_ out: Buffer) { self.out = out }

    /// True, and one more omitted, when no further series should be written.
    func isFull(_ omitted: inout Int) -> Bool {
        if out.count < Exposition.bytesMax { return false }
        omitted += 1
        return true
    }

    func family(_ name: StaticString, _ type: StaticString, _ help: StaticString) {
        out.append("# HELP ")
        out.append(name)
        out.append(0x20)
        out.append(help)
        out.append("\n# TYPE ")
        out.append(name)
        out.append(0x20)
        out.append(type)
        out.append(0x0A)
    }

    func plain(_ name: StaticString, _ value: Int) {
        out.append(name)
        out.append(0x20)
        out.append(decimal: value)
        out.append(0x0A)
    }

    mutating func open(_ name: StaticString, _ suffix: StaticString = "") {
        out.append(name)
        out.append(suffix)
        hasLabels = false
    }

    private mutating func separate() {
        out.append(hasLabels ? 0x2C : 0x7B)
        hasLabels = true
    }

    /// Labels that are text already.
    mutating func labels(_ raw: [UInt8]) {
        separate()
        out.append(raw)
    }

    mutating func label(_ name: StaticString, _ value: [UInt8]) {
        separate()
        out.append(name)
        out.append("=\"")
        out.append(value.withBytes { WorkerMetrics.escaped($0) })
        out.append(0x22)
    }

    mutating func label(_ name: StaticString, _ value: String) { label(name, Array(value.utf8)) }

    private func end() { out.append(hasLabels ? "} " : " ") }

    func close(_ value: Int) {
        end()
        out.append(decimal: value)
        out.append(0x0A)
    }

    /// A value in thousandths of the unit shown.
    func close(thousandths value: Int) {
        end()
        out.append(decimal: value / 1000)
        let rest = value % 1000
        if rest > 0 {
            out.append(0x2E)
            if rest < 100 { out.append(0x30) }
            if rest < 10 { out.append(0x30) }
            out.append(decimal: rest)
        }
        out.append(0x0A)
    }
}
