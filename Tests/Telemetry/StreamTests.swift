// Stream sessions in the access log and among the metrics.

import Bytes
import Foundation
import Telemetry
import Testing

@Suite struct StreamTests {
    private func record() -> StreamRecord {
        var record = StreamRecord()
        record.startedAt = 1_795_417_200_123
        record.transport = Bytes("tls")
        record.end = Bytes("client_reset")
        record.client = IPAddress(v6High: 0x2001_0DB8_0000_0000, low: 1)
        record.localPort = 9443
        record.serverName = Bytes("a\"b.example")
        (record.received, record.sent) = (10, 20)
        (record.upstreamReceived, record.upstreamSent) = (30, 40)
        (record.kongLatency, record.connectLatency, record.sessionLatency) = (1, 2, 61_007)
        record.tlsVersion = Bytes("TLSv1.3")
        record.tlsCipher = Bytes("TLS_AES_256_GCM_SHA384")
        for port in 1...10 {
            var attempt = UpstreamTry()
            attempt.address = IPAddress(v4: 0x0A00_0005)
            attempt.port = UInt16(port)
            attempt.state = port < 10 ? .failed : .none
            record.tries.append(attempt)
        }
        return record
    }

    @Test("a JSON line has the shape of Kong's stream records")
    func json() throws {
        let object = try object(streamLine(.json, record()))
        let session = try #require(object["session"] as? [String: Any])
        #expect(session["protocol"] as? String == "tls")
        #expect(session["end"] as? String == "client_reset")
        #expect(session["sni"] as? String == "a\"b.example")
        #expect(session["server_port"] as? Int == 9443)
        #expect((session["tls"] as? [String: Any])?["version"] as? String == "TLSv1.3")
        #expect((session["received"] as? Int, session["sent"] as? Int) == (10, 20))
        let upstream = try #require(object["upstream"] as? [String: Any])
        #expect((upstream["received"] as? Int, upstream["sent"] as? Int) == (30, 40))
        let latencies = try #require(object["latencies"] as? [String: Any])
        #expect(latencies["kong"] as? Int == 1 && latencies["connect"] as? Int == 2)
        #expect(latencies["session"] as? Int == 61_007)
        #expect((object["tries"] as? [Any])?.count == RequestRecord.triesMax)
        #expect(object["client_ip"] as? String == "2001:db8::1")
        #expect(object["started_at"] as? Int == 1_795_417_200_123)
        #expect(object["route"] == nil && object["service"] == nil)
    }

    @Test("the other format is the line of Kong's nginx")
    func basic() throws {
        let text = String(decoding: try streamLine(.combined, record()), as: UTF8.self)
        #expect(text.hasPrefix("2001:db8::1 ["))
        #expect(text.hasSuffix("] TCP 200 20 10 61.007"))
    }

    @Test("sessions have families of their own, also where an HTTP route has the same names")
    func families() {
        let metrics = WorkerMetrics()
        let exchange = metrics.slot(service: Bytes("s"), route: Bytes("r"))
        let session = metrics.slot(service: Bytes("s"), route: Bytes("r"), isStream: true)
        #expect(exchange != session)
        #expect(metrics.slot(service: Bytes("s"), route: Bytes("r"), isStream: true) == session)
        var sample = RequestSample()
        sample.status = 200
        sample.isFromService = true
        sample.kongMicroseconds = -1
        sample.requestMicroseconds = 30_000
        sample.requestBytes = 7
        metrics.record(session, [.statusCodes, .latency, .bandwidth], sample)
        metrics.refuse(.noRoute)
        metrics.count(.streamSessions, 3)
        metrics.count(.streamEnded)
        var exposition = Exposition()
        exposition.workers = [metrics]
        let out = Buffer()
        exposition.render(into: out)
        let text = out.readable.string
        for line in [
            "kong_stream_sessions_total{service=\"s\",route=\"r\",code=\"200\",source=\"service\",workspace=\"default\"} 1",
            "kong_session_duration_ms_count{service=\"s\",route=\"r\",workspace=\"default\"} 1",
            "kong_session_duration_ms_bucket{service=\"s\",route=\"r\",workspace=\"default\",le=\"50\"} 1",
            "seaway_connections_rejected_total{reason=\"no_route\"} 1", "seaway_stream_sessions_active 2",
        ] { #expect(text.contains(line + "\n"), "\(line)") }
        #expect(!text.contains("kong_http_requests_total{"))
        #expect(!text.contains("kong_request_latency_ms_count"))
    }
}
