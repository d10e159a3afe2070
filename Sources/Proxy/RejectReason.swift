// Everything a client's bytes are refused for, as one list of counters.

import Bytes
import HTTP
import Telemetry

/// The reasons that `seaway_requests_rejected_total` tells apart: those of requests, then those of HTTP/2
/// connections.
enum RejectReason {
    static let names =
        RequestFault.allCases.map { Bytes($0.name).string }
        + HTTP2Fault.allCases.map { "http2_" + Bytes($0.name).string }
}

extension WorkerMetrics {
    /// Counts an HTTP/2 connection that was ended for what its client did.
    func reject(_ fault: HTTP2Fault) { reject(RequestFault.allCases.count + fault.rawValue) }
}
