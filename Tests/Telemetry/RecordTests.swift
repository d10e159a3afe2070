// Lines of the access log: what a finished request looks like.

import Bytes
import Foundation
import HTTP
import Snapshot
import Telemetry
import Testing

@Suite struct RecordTests {
    @Test("a JSON line has the shape of Kong's log records")
    func shape() throws {
        var snapshot = Snapshot()
        var service = Service()
        service.name = "orders"
        service.host = "orders.internal"
        snapshot.services = [service]
        var route = Route()
        route.name = "quote\"and\\slash"
        route.service = 0
        route.paths = ["/orders"]
        var consumer = Consumer()
        consumer.username = "alice"
        let request = headers([
            ("Host", "API.example.com"), ("Accept", "a"), ("X-Many", "1"), ("x-many", "2"), ("X-MANY", "3"),
            ("Authorization", "Bearer secret"), ("Proxy-Authorization", "Basic c2VjcmV0"),
        ])
        let response = headers([("Content-Type", "text/plain"), ("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")])
        let line = try line(.json, request: request, response: response) { record, hold in
            record.startedAt = 1_795_417_200_123
            record.method = hold(Array("POST".utf8))
            record.uri = hold(Array("/orders?a=1&b=x+y&b=%41&flag&empty=".utf8))
            record.host = hold(Array("API.example.com".utf8))
            record.isTLS = true
            record.localPort = 8443
            record.client = IPAddress(v6High: 0x2001_0DB8_0000_0000, low: 1)
            record.status = 201
            record.requestBytes = 123
            record.responseBytes = 4567
            record.upstreamStatus = 201
            record.upstreamURI = hold(Array("/".utf8))
            record.isFromUpstream = true
            record.kongLatency = 1
            record.proxyLatency = 22
            record.requestLatency = 24
            record.receiveLatency = 1
            record.route = hold(LogEntities.route(route, in: snapshot))
            record.service = hold(LogEntities.service(service))
            record.consumer = hold(LogEntities.consumer(consumer))
            record.credentialID = hold(Array("c0ffee".utf8))
            record.requestID = hold(Array("0123456789abcdef0123456789abcdef".utf8))
            record.tlsVersion = hold(Array("TLSv1.3".utf8))
            record.tlsCipher = hold(Array("TLS_AES_256_GCM_SHA384".utf8))
            var attempt = UpstreamTry()
            attempt.address = IPAddress(v4: 0x0A00_0005)
            attempt.port = 8080
            attempt.state = .failed
            attempt.code = 502
            attempt.balancerStart = 1_795_417_200_123_456_789
            attempt.balancerLatency = 1_500_000
            record.add(attempt)
            attempt.state = .none
            attempt.code = 0
            record.add(attempt)
        }
        let expected: NSDictionary = [
            "request": [
                "id": "0123456789abcdef0123456789abcdef", "method": "POST",
                "uri": "/orders?a=1&b=x+y&b=%41&flag&empty=",
                "url": "https://api.example.com:8443/orders?a=1&b=x+y&b=%41&flag&empty=",
                "querystring": ["a": "1", "b": ["x y", "A"], "flag": true, "empty": ""],
                "headers": [
                    "host": "API.example.com", "accept": "a", "x-many": ["1", "2", "3"],
                    "authorization": "REDACTED", "proxy-authorization": "REDACTED",
                ],
                "size": 123,
                "tls": ["version": "TLSv1.3", "cipher": "TLS_AES_256_GCM_SHA384", "client_verify": "NONE"],
            ],
            "response": [
                "status": 201, "size": 4567,
                "headers": ["content-type": "text/plain", "set-cookie": ["a=1", "b=2"]],
            ],
            "latencies": ["kong": 1, "proxy": 22, "request": 24, "receive": 1],
            "tries": [
                [
                    "ip": "10.0.0.5", "port": 8080, "balancer_start": 1_795_417_200_123,
                    "balancer_start_ns": 1_795_417_200_123_456_789, "balancer_latency": 1,
                    "balancer_latency_ns": 1_500_000, "state": "failed", "code": 502,
                ],
                [
                    "ip": "10.0.0.5", "port": 8080, "balancer_start": 1_795_417_200_123,
                    "balancer_start_ns": 1_795_417_200_123_456_789, "balancer_latency": 1,
                    "balancer_latency_ns": 1_500_000,
                ],
            ],
            "upstream_uri": "/", "upstream_status": "201",
            "route": [
                "id": "00000000-0000-0000-0000-000000000000", "name": "quote\"and\\slash",
                "service": ["id": "00000000-0000-0000-0000-000000000000"], "protocols": ["http", "https"],
                "paths": ["/orders"], "regex_priority": 0, "strip_path": true, "path_handling": "v0",
                "preserve_host": false, "https_redirect_status_code": 426, "request_buffering": true,
                "response_buffering": true,
            ],
            "service": [
                "id": "00000000-0000-0000-0000-000000000000", "name": "orders", "protocol": "http",
                "host": "orders.internal", "port": 80, "retries": 5, "connect_timeout": 60000,
                "write_timeout": 60000, "read_timeout": 60000, "enabled": true,
            ],
            "consumer": ["id": "00000000-0000-0000-0000-000000000000", "username": "alice"],
            "authenticated_entity": ["id": "c0ffee"], "workspace_name": "default", "client_ip": "2001:db8::1",
            "started_at": 1_795_417_200_123, "source": "upstream",
        ]
        #expect(try object(line) as NSDictionary == expected)
    }

    @Test("a request that the proxy answers itself has no upstream fields")
    func ownAnswer() throws {
        let object = try object(
            try line(.json) { record, hold in
                record.status = 404
                record.method = hold(Array("GET".utf8))
                record.uri = hold(Array("/?".utf8))
            })
        for absent in ["upstream_uri", "upstream_status", "route", "service", "consumer", "authenticated_entity"] {
            #expect(object[absent] == nil, "\(absent)")
        }
        #expect(object["source"] as? String == "kong")
        #expect((object["tries"] as? [Any])?.isEmpty == true)
        #expect((object["request"] as? [String: Any])?["querystring"] as? [String: String] == [:])
        #expect((object["request"] as? [String: Any])?["tls"] == nil)
    }

    static let nasty: [([UInt8], String)] = [
        (Array("plain".utf8), "plain"),
        (Array("a\"b\\c/d".utf8), "a\"b\\c/d"),
        ([0, 1, 9, 10, 13, 31, 32, 126, 127], "\u{0}\u{1}\t\n\r\u{1F} ~\u{7F}"),
        (Array("grüße, 世界, 🚢, longer than eight".utf8), "grüße, 世界, 🚢, longer than eight"),
        ([0x80], "\u{FFFD}"), ([0xFF, 0xFE], "\u{FFFD}\u{FFFD}"),
        ([0xC3], "\u{FFFD}"), ([0x61, 0xC3, 0x28, 0x62], "a\u{FFFD}(b"),
        // Overlong, surrogate, past the last code point, cut short.
        ([0xC0, 0xAF], "\u{FFFD}\u{FFFD}"), ([0xED, 0xA0, 0x80], "\u{FFFD}\u{FFFD}\u{FFFD}"),
        ([0xF4, 0x90, 0x80, 0x80], "\u{FFFD}\u{FFFD}\u{FFFD}\u{FFFD}"),
        ([0xF0, 0x9F, 0x9A], "\u{FFFD}\u{FFFD}\u{FFFD}"),
        (Array("exactly8".utf8) + [0x22], "exactly8\""), ([], ""),
    ]

    @Test("any bytes become valid JSON that means the same text", arguments: nasty)
    func escaping(bytes: [UInt8], text: String) throws {
        let line = try line(.json, request: headers([("X-Nasty", bytes)])) { record, hold in
            record.uri = hold(bytes)
            record.upstreamURI = hold([0x2F] + bytes)
        }
        let object = try object(line)
        let request = object["request"] as? [String: Any]
        #expect(request?["uri"] as? String == text)
        #expect((request?["headers"] as? [String: String])?["x-nasty"] == text)
        #expect(object["upstream_uri"] as? String == "/" + text)
    }

    @Test("random bytes anywhere in a record stay one valid JSON line with the same text")
    func randomBytes() throws {
        let seed = UInt64.random(in: 0...UInt64.max)
        var random = Random(state: seed)
        for round in 0..<200 {
            func bytes() -> [UInt8] {
                let wide = random.below(3)
                return (0..<random.below(40)).map { _ in
                    UInt8(wide == 0 ? random.below(256) : wide == 1 ? 32 + random.below(96) : random.below(128))
                }
            }
            let (uri, value, name) = (bytes(), bytes(), bytes())
            let line = try line(.json, request: headers([("X-Value", value)])) { record, hold in
                record.uri = hold(uri)
                record.method = hold(name)
                record.host = hold(value)
            }
            #expect(!line.contains(0x0A), "seed \(seed) round \(round)")
            let request = try object(line)["request"] as? [String: Any]
            #expect(request?["uri"] as? String == lossy(uri), "seed \(seed) round \(round)")
            #expect(request?["method"] as? String == lossy(name), "seed \(seed) round \(round)")
            #expect(
                (request?["headers"] as? [String: String])?["x-value"] == lossy(value), "seed \(seed) round \(round)")
        }
    }

    /// Slow and obvious: each byte that begins no well-formed sequence is one U+FFFD.
    private func lossy(_ bytes: [UInt8]) -> String {
        var out = ""
        var i = 0
        next: while i < bytes.count {
            for length in stride(from: 4, through: 1, by: -1) where i + length <= bytes.count {
                if let text = String(validating: bytes[i..<i + length], as: UTF8.self), text.unicodeScalars.count == 1 {
                    out.unicodeScalars.append(contentsOf: text.unicodeScalars)
                    i += length
                    continue next
                }
            }
            out.unicodeScalars.append("\u{FFFD}")
            i += 1
        }
        return out
    }

    @Test("random header sections, with names repeated, removed and in any case, group as a slow reference does")
    func randomHeaders() throws {
        let seed = UInt64.random(in: 0...UInt64.max)
        var random = Random(state: seed)
        let names = ["Accept", "Cookie", "X-A", "X-B", "x-ab", "X-AAB", "X-ABB", "Via", "Set-Cookie", "Authorization"]
        for round in 0..<300 {
            let block = headers([(String, String)]())
            var expected: [String: [String]] = [:]
            for n in 0..<random.below(20) {
                var name = names[random.below(names.count)]
                if random.below(2) == 0 { name = name.uppercased() }
                name.withBytes { name in "v\(n)".withBytes { block.add(name, $0) } }
                if random.below(5) == 0 {
                    block.remove(at: block.count - 1)
                } else {
                    expected[name.lowercased(), default: []].append("v\(n)")
                }
            }
            let line = try line(.json, request: block) { _, _ in }
            let found = (try object(line)["request"] as? [String: Any])?["headers"] as? [String: Any]
            var wanted: [String: Any] = [:]
            for (name, values) in expected {
                wanted[name] = values.count == 1 ? values[0] as Any : values
                if name == "authorization" { wanted[name] = "REDACTED" }
            }
            #expect(
                found as NSDictionary? == wanted as NSDictionary,
                "seed \(seed) round \(round)")
        }
    }

    @Test("numbers of every length are written exactly")
    func numbers() throws {
        var values = [0, Int.max, Int(Int32.max), -1]
        var power = 1
        while power <= Int.max / 10 {
            power *= 10
            values += [power - 1, power, power + 1, -power]
        }
        for value in values {
            let line = String(decoding: try line(.json) { record, _ in record.requestBytes = value }, as: UTF8.self)
            #expect(line.contains("\"size\":\(value)}"), "\(value)")
        }
    }

    @Test("a request with more headers than fit is logged without them, not hidden")
    func tooLong() throws {
        let many = headers((0..<90).map { ("X-Long-\($0)", [UInt8](repeating: 1, count: 1000)) })
        let object = try object(
            try line(.json, request: many) { record, hold in
                record.uri = hold(Array("/".utf8) + [UInt8](repeating: 0x22, count: 60_000))
                record.method = hold(Array("GET".utf8))
                record.status = 431
            })
        let request = object["request"] as? [String: Any]
        #expect((object["response"] as? [String: Any])?["status"] as? Int == 431)
        #expect((request?["headers"] as? [String: Any])?.isEmpty == true)
        #expect((request?["uri"] as? String)?.count == 2048)
    }

    @Test("a combined line is nginx's, with the request id at the end")
    func combined() throws {
        let request = headers([("Referer", "http://a/\"b\""), ("User-Agent", "curl/8.1\u{1}é")])
        let line = try line(.combined, request: request) { record, hold in
            record.startedAt = 1_795_417_200_999
            record.method = hold(Array("GET".utf8))
            record.uri = hold(Array("/a?b=\\".utf8))
            record.client = IPAddress(v4: 0x7F00_0001)
            record.user = hold(Array("al\"ice".utf8))
            record.status = 200
            record.responseBytes = 700
            record.responseBodyBytes = 512
            record.requestID = hold(Array("0123456789abcdef0123456789abcdef".utf8))
        }
        var time = String(decoding: line, as: UTF8.self)
        let open = try #require(time.firstIndex(of: "["))
        let close = try #require(time.firstIndex(of: "]"))
        let stamp = String(time[time.index(after: open)..<close])
        time.removeSubrange(open...close)
        #expect(
            time == #"127.0.0.1 - al\x22ice  "GET /a?b=\x5C HTTP/1.1" 200 512 "http://a/\x22b\x22" "#
                + #""curl/8.1\x01\xC3\xA9" kong_request_id: "0123456789abcdef0123456789abcdef""#)
        let parser = DateFormatter()
        parser.locale = Locale(identifier: "en_US_POSIX")
        parser.dateFormat = "dd/MMM/yyyy:HH:mm:ss Z"
        #expect(parser.date(from: stamp)?.timeIntervalSince1970 == 1_795_417_200)
    }

    @Test("a combined line without a readable request shows dashes and an empty request")
    func combinedEmpty() throws {
        let text = String(decoding: try line(.combined) { record, _ in record.status = 400 }, as: UTF8.self)
        #expect(text.hasPrefix("0.0.0.0 - - ["))
        #expect(text.hasSuffix(#""" 400 0 "-" "-" kong_request_id: "-""#))
    }
}
