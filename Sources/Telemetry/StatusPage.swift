// The bodies of `/status` and `/status/ready`.

public import Bytes

/// What the status listener answers, besides metrics. Pure functions of what they are given.
public enum StatusPage {
    /// The JSON of `/status`, in Kong's shape: server, memory, database and configuration hash.
    public static func render(_ node: NodeFacts, workers: [WorkerMetrics], into out: Buffer) {
        let facts = ConnectionFacts(workers)
        var server = JSONObject()
        server.add("connections_accepted", facts.accepted)
        server.add("connections_handled", facts.handled)
        server.add("connections_active", facts.active)
        server.add("connections_reading", facts.reading)
        server.add("connections_writing", facts.writing)
        server.add("connections_waiting", facts.waiting)
        server.add("total_requests", facts.requests)
        var worker = JSONObject()
        worker.add("pid", node.processID)
        worker.add("http_allocated_gc", mebibytes(node.residentBytes))
        var memory = JSONObject()
        memory.add("workers_lua_vms", raw: "[\(worker.text)]")
        memory.add("lua_shared_dicts", raw: "{}")
        var database = JSONObject()
        database.add("reachable", true)
        var page = JSONObject()
        page.add("server", raw: server.text)
        page.add("memory", raw: memory.text)
        page.add("database", raw: database.text)
        if !node.configurationHash.isEmpty { page.add("configuration_hash", node.configurationHash) }
        page.add("node_id", node.nodeID)
        page.add("version", node.version)
        page.add("revision", Int(clamping: node.revision))
        if let plane = node.controlPlane {
            var object = JSONObject()
            object.add("address", plane.address)
            object.add("connected", plane.isConnected)
            object.add("revision", Int(clamping: plane.revision))
            object.add("age_seconds", plane.age(now: node.now))
            object.add("rejected", plane.rejected)
            page.add("control_plane", raw: object.text)
        }
        out.append(page.text)
    }

    /// The JSON of `/status/ready`, and its status: 200, or 503 with the reason.
    ///
    /// - Parameter reason: why requests cannot be served now; nil: they can.
    public static func renderReady(reason: String?, into out: Buffer) -> Int {
        var page = JSONObject()
        page.add("message", reason ?? "ready")
        out.append(page.text)
        return reason == nil ? 200 : 503
    }

    /// Kong's words for a node without configuration.
    public static let noConfiguration = "no configuration available (empty configuration present)"

    /// `12.34 MiB`, as Kong prints memory by default.
    private static func mebibytes(_ bytes: Int) -> String {
        let hundredths = (bytes >> 10) * 100 / 1024
        let rest = hundredths % 100
        return "\(hundredths / 100).\(rest < 10 ? "0" : "")\(rest) MiB"
    }
}
