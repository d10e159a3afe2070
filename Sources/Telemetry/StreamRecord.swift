// What a stream session tells the access log when it is over, and how the line looks.

public import Bytes

/// One finished session of a stream listener: a TCP or TLS connection, or a client's datagrams. Views point
/// into memory that outlives the call that logs it. Latencies are milliseconds; -1: did not happen.
public struct StreamRecord {
    /// Realtime milliseconds at which the session began.
    public var startedAt: Int64 = 0
    /// `tcp`, `tls`, `tls_passthrough` or `udp`.
    public var transport = Bytes("tcp")
    /// nginx's numbers for how it ended: 200; 400 the client's first bytes, 403 the client itself, 500 no
    /// route, 502 no upstream, 503 no room.
    public var status = 200
    /// What ended it, in a word.
    public var end = Bytes.empty
    public var client = IPAddress(v4: 0)
    public var clientPort: UInt16 = 0
    /// The port that the client connected to.
    public var localPort: UInt16 = 0
    /// The name that TLS asked for; empty: none.
    public var serverName = Bytes.empty
    /// Bytes from the client and to it; from the upstream and to it. TLS and PROXY headers not counted.
    public var received = 0
    public var sent = 0
    public var upstreamReceived = 0
    public var upstreamSent = 0
    /// From the start until a connection to an upstream was begun, until it was there, and until the end.
    public var kongLatency = 0
    public var connectLatency = -1
    public var sessionLatency = 0
    /// JSON objects from `LogEntities`; empty: none.
    public var route = Bytes.empty
    public var service = Bytes.empty
    /// Of the client's TLS, where it was ended here; empty: it was not.
    public var tlsVersion = Bytes.empty
    public var tlsCipher = Bytes.empty
    public var tlsClientVerify = Bytes("NONE")
    /// Attempts at upstreams, in order; at most `RequestRecord.triesMax` are logged.
    public var tries: [UpstreamTry] = []

    public init() {}
}

extension RecordFormatter {
    func write(_ record: StreamRecord, into out: inout LineWriter) {
        if isJSON { json(record, into: &out) } else { basic(record, into: &out) }
    }

    /// Kong's record of its stream log plugins: session, upstream, latencies, tries, entities.
    private func json(_ record: StreamRecord, into out: inout LineWriter) {
        out.append("{\"session\":{\"protocol\":\"")
        out.append(record.transport)
        out.append("\",\"status\":")
        out.append(decimal: record.status)
        out.append(",\"end\":\"")
        out.append(record.end)
        out.append("\",\"received\":")
        out.append(decimal: record.received)
        out.append(",\"sent\":")
        out.append(decimal: record.sent)
        out.append(",\"server_port\":")
        out.append(decimal: Int(record.localPort))
        if !record.serverName.isEmpty {
            out.append(",\"sni\":\"")
            out.append(json: record.serverName)
            out.append(0x22)
        }
        if !record.tlsVersion.isEmpty { tls(record.tlsVersion, record.tlsCipher, record.tlsClientVerify, into: &out) }
        out.append("},\"upstream\":{\"received\":")
        out.append(decimal: record.upstreamReceived)
        out.append(",\"sent\":")
        out.append(decimal: record.upstreamSent)
        out.append("},\"latencies\":{\"kong\":")
        out.append(decimal: record.kongLatency)
        out.append(",\"connect\":")
        out.append(decimal: record.connectLatency)
        out.append(",\"session\":")
        out.append(decimal: record.sessionLatency)
        out.append("},\"tries\":[")
        for (index, one) in record.tries.prefix(RequestRecord.triesMax).enumerated() {
            attempt(one, isFirst: index == 0, into: &out)
        }
        out.append("]")
        if !record.route.isEmpty {
            out.append(",\"route\":")
            out.append(record.route)
        }
        if !record.service.isEmpty {
            out.append(",\"service\":")
            out.append(record.service)
        }
        out.append(",\"workspace_name\":\"default\",\"client_ip\":\"")
        out.append(record.client, scratch: scratch)
        out.append("\",\"started_at\":")
        out.append(decimal: Int(record.startedAt))
        out.append(0x7D)
    }

    /// The format that Kong's nginx gives stream logs: `client [time] protocol status sent received seconds`.
    private func basic(_ record: StreamRecord, into out: inout LineWriter) {
        out.append(record.client, scratch: scratch)
        out.append(" [")
        tick(record.startedAt + Int64(max(0, record.sessionLatency)))
        out.append(clock.readable)
        out.append(record.transport == "udp" ? "] UDP " : "] TCP ")
        out.append(decimal: record.status)
        out.append(0x20)
        out.append(decimal: record.sent)
        out.append(0x20)
        out.append(decimal: record.received)
        out.append(0x20)
        let latency = max(0, record.sessionLatency)
        out.append(decimal: latency / 1000)
        out.append(0x2E)
        let thousandths = latency % 1000
        if thousandths < 100 { out.append(0x30) }
        if thousandths < 10 { out.append(0x30) }
        out.append(decimal: thousandths)
    }
}
