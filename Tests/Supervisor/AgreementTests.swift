// `gateway match` and the running proxy never disagree: random routes, random requests, a real socket.

import Bytes
import CLinux
import Foundation
import Testing

@Suite("Agreement", .serialized)
struct AgreementTests {
    @Test("match says what the proxy does, for random routes and random requests", .timeLimit(.minutes(3)))
    func agreement() throws {
        let seed = ProcessInfo.processInfo.environment["SEAWAY_SEED"].flatMap(UInt64.init) ?? .random(in: 0 ... .max)
        print("SEAWAY_SEED=\(seed)")
        var random = SplitMix(state: seed)
        let upstream = try Program([Programs.beside("echo_upstream.py")], in: "/tmp", name: "seaway-echo-\(seed)")
        try eventually("the upstream's port") { readText(upstream.out).hasSuffix("\n") }
        let upstreamPort = try #require(Int(readText(upstream.out).filter(\.isNumber)))
        let gateway = try GatewayUnderTest(["--watch"], proxy: Programs.proxy)
        let port = try gateway.port()
        var forwarded = 0
        for round in 2...13 {
            writeText(gateway.config, Self.configuration(upstreamPort, &random))
            try gateway.waitFor("revision \(round) is in effect")
            let requests = (0..<150).map { _ in Request(&random, port: port) }
            let answers = try Self.match(gateway, requests)
            #expect(answers.count == requests.count)
            for (request, said) in zip(requests, answers) {
                let done = try request.send(to: port)
                #expect(
                    done == said,
                    "seed \(seed), round \(round): \(request.json)\n\(readText(gateway.config))")
                if done.uri != nil { forwarded += 1 }
            }
        }
        // The choice of routes and requests is good for something.
        #expect(forwarded > 300, "\(forwarded) of 1800 were forwarded")
        #expect(forwarded < 1700, "\(forwarded) of 1800 were forwarded")
    }

    /// What a client sees: the gateway's status, or the URI and Host that reached the upstream.
    struct Verdict: Equatable {
        var status: Int
        var uri: String?
        var host: String?
    }

    struct Request {
        let method: String
        let host: String
        let path: String
        let header: String?
        let port: Int

        init(_ random: inout SplitMix, port: Int) {
            self.port = port
            method = ["GET", "GET", "GET", "POST", "DELETE"].randomElement(using: &random) ?? "GET"
            host =
                [
                    "a.test", "b.test", "x.a.test", "y.x.a.test", "A.Test", "a.test:8000", "a.test:\(port)",
                    "a.example", "c.test",
                ]
                .randomElement(using: &random) ?? "a.test"
            let segments = [
                "a", "ab", "b", "c", "7", "42", "x", "%61", "a%2fb", ".", "..", "",
                "é".utf8.map { "%" + String($0, radix: 16) }.joined(),
            ]
            var path = ""
            for _ in 0..<Int.random(in: 1...4, using: &random) {
                path += "/" + (segments.randomElement(using: &random) ?? "a")
            }
            let query = ["", "", "?", "?q=1", "?q=/a/../b&x=%20"].randomElement(using: &random) ?? ""
            self.path = path + query
            header = [nil, nil, "blue", "green", "BLUE"].randomElement(using: &random) ?? nil
        }

        var json: String {
            let headers = header.map { "{\"x-tenant\": [\"\($0)\"]}" } ?? "{}"
            return
                "{\"method\": \"\(method)\", \"host\": \"\(host)\", \"path\": \"\(path)\", \"scheme\": \"http\", \"headers\": \(headers), \"dst\": \"127.0.0.1:\(port)\"}"
        }

        func send(to port: Int) throws -> Verdict {
            let fields = "Host: \(host)\r\n" + (header.map { "X-Tenant: \($0)\r\n" } ?? "")
            let answer = try Connection(port).exchange(
                "\(method) \(path) HTTP/1.1\r\n\(fields)Connection: close\r\n\r\n")
            guard answer.head.lowercased().contains("x-echo: yes") else { return Verdict(status: answer.status) }
            let parts = answer.body.split(separator: " ", maxSplits: 1)
            return Verdict(status: answer.status, uri: parts.first.map(String.init), host: parts.last.map(String.init))
        }
    }

    private static func match(_ gateway: GatewayUnderTest, _ requests: [Request]) throws -> [Verdict] {
        let path = gateway.directory + "/requests.jsonl"
        writeText(path, requests.map(\.json).joined(separator: "\n") + "\n")
        let program = try Program(
            [Programs.seaway, "gateway", "match", "--config", gateway.config, "--requests", path],
            in: gateway.directory,
            name: "match")
        #expect(try program.exitCode() == 0, "\(program.talk)")
        struct Answer: Decodable {
            var status: Int
            var upstream_uri: String?
            var upstream_host: String?
        }
        return try readText(program.out).split(separator: "\n").map { line in
            let answer = try JSONDecoder().decode(Answer.self, from: Data(line.utf8))
            return Verdict(status: answer.status, uri: answer.upstream_uri, host: answer.upstream_host)
        }
    }

    /// One service for each route, whose path tells which route answered.
    private static func configuration(_ upstreamPort: Int, _ random: inout SplitMix) -> String {
        var text = "_format_version: \"3.0\"\nservices:\n"
        func pick(_ values: [String], _ chance: Double, _ random: inout SplitMix) -> [String] {
            guard Double.random(in: 0..<1, using: &random) < chance else { return [] }
            return Array(values.shuffled(using: &random).prefix(Int.random(in: 1...2, using: &random)))
        }
        let hosts = ["a.test", "b.test", "*.a.test", "a.*", "a.test:8000", "x.a.test"]
        let paths = ["/", "/a", "/a/", "/ab", "/a/b", "/7", "~/a/(?<id>\\\\d+)", "~/[ab]+$", "~/(a|c)/x", "/c"]
        for n in 0..<Int.random(in: 1...12, using: &random) {
            let end = ["", "/", "/base", "/base/"].randomElement(using: &random) ?? ""
            text += "- name: s\(n)\n  url: http://127.0.0.1:\(upstreamPort)/r\(n)\(end)\n  routes:\n  - name: r\(n)\n"
            func field(_ name: String, _ values: [String]) {
                if !values.isEmpty { text += "    \(name): [\(values.map { "\"\($0)\"" }.joined(separator: ", "))]\n" }
            }
            let chosen = pick(paths, 0.8, &random)
            let methods = pick(["GET", "POST", "DELETE"], 0.3, &random)
            var wanted = pick(hosts, 0.5, &random)
            if chosen.isEmpty, methods.isEmpty, wanted.isEmpty { wanted = ["a.test"] }
            field("paths", chosen)
            field("methods", methods)
            field("hosts", wanted)
            field(
                "protocols",
                pick(
                    [["http"], ["https"], ["http", "https"], ["http", "https"]].randomElement(using: &random) ?? [],
                    0.5, &random))
            if Bool.random(using: &random) { text += "    strip_path: \(Bool.random(using: &random))\n" }
            if Bool.random(using: &random) { text += "    preserve_host: \(Bool.random(using: &random))\n" }
            if Bool.random(using: &random) {
                text += "    path_handling: \(Bool.random(using: &random) ? "v0" : "v1")\n"
            }
            if Int.random(in: 0..<4, using: &random) == 0 {
                text += "    regex_priority: \(Int.random(in: 0...3, using: &random))\n"
            }
            if Int.random(in: 0..<4, using: &random) == 0 { text += "    headers: {x-tenant: [\"blue\"]}\n" }
        }
        return text
    }
}

/// A small generator whose state is its seed.
struct SplitMix: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ z >> 30) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ z >> 27) &* 0x94D0_49BB_1331_11EB
        return z ^ z >> 31
    }
}
