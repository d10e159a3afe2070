// Stream routes and services, their tags, and the listeners they need.

import Bytes
import Compile
import Dialects
import Model
import Snapshot
import Testing

/// Compiles, also what has errors; the findings as `CODE message`.
private func findings(_ text: String) throws -> (Snapshot, [String]) {
    let (model, problems) = Array(text.utf8).withBytes { KongFile.load($0, file: "kong.yml") }
    let usable = try #require(model, "\(problems)")
    let (snapshot, more) = GatewayCompiler.compile(usable, settings: Settings(), listeners: [])
    return (snapshot, more.map { "\($0.severity.rawValue) \($0.code) \($0.message)" })
}

private func service(_ protocolName: String, tags: String) -> String {
    """
    _format_version: "3.0"
    services:
    - {name: s, protocol: \(protocolName), host: a.internal, port: 1, tags: [\(tags)]}
    """
}

@Suite("Streams")
struct StreamTests {
    @Test("tags ask for HTTP/2 and PROXY headers, gRPC services have HTTP/2 without asking")
    func tags() throws {
        #expect(try findings(service("http", tags: "x")).0.services[0].http2 == false)
        for name in ["http", "https"] {
            let (snapshot, problems) = try findings(service(name, tags: "\"seaway.upstream-protocol=h2\", other"))
            #expect(snapshot.services[0].http2)
            #expect(problems == [])
        }
        for name in ["grpc", "grpcs"] { #expect(try findings(service(name, tags: "")).0.services[0].http2) }
        for name in ["tcp", "tls", "tls_passthrough"] {
            let (snapshot, problems) = try findings(service(name, tags: "\"seaway.proxy-protocol=v2\""))
            #expect(snapshot.services[0].proxyProtocol == .v2)
            #expect(problems == [])
        }
        #expect(
            try findings(service("tcp", tags: "\"seaway.proxy-protocol=v1\"")).0.services[0].proxyProtocol == .v1)
        let copy = try findings(service("tls", tags: "\"seaway.proxy-protocol=v1\"")).0.wire.withBytes {
            try Snapshot(wire: $0)
        }
        #expect(copy.services[0].proxyProtocol == .v1)
    }

    @Test(
        "a tag that would do nothing is refused",
        arguments: [
            ("http", "seaway.proxy-protocol=v1", "needs a service of tcp, tls or tls_passthrough"),
            ("udp", "seaway.proxy-protocol=v2", "needs a service of tcp, tls or tls_passthrough"),
            ("tcp", "seaway.proxy-protocol=v3", "names no version"),
            ("tcp", "seaway.proxy-protocol", "names no version"),
            ("tcp", "seaway.upstream-protocol=h2", "needs a service of http or https"),
            ("http", "seaway.upstream-protocol=h3", "names no protocol"), ("http", "seaway.http2", "is no tag"),
            ("tcp", "seaway.proxy-protocol=v1, seaway.proxy-protocol=v2", "contradicts another tag"),
        ])
    func badTags(protocolName: String, tag: String, message: String) throws {
        let tags = tag.split(separator: ", ").map { "\"\($0)\"" }.joined(separator: ", ")
        let (_, problems) = try findings(service(protocolName, tags: tags))
        #expect(problems.count == 1)
        #expect(problems.first?.hasPrefix("error K107 ") == true)
        #expect(problems.first?.contains(message) == true, "\(problems)")
    }

    @Test("a tag of services on a route or an upstream is refused")
    func tagsElsewhere() throws {
        let (_, problems) = try findings(
            """
            _format_version: "3.0"
            routes:
            - {name: r, paths: [/], tags: ["seaway.upstream-protocol=h2"]}
            upstreams:
            - {name: u, tags: ["seaway.proxy-protocol=v1"]}
            """)
        #expect(problems.count == 2)
        #expect(problems.allSatisfy { $0.hasPrefix("error K107 ") && $0.hasSuffix("does nothing here") }, "\(problems)")
    }

    @Test("stream routes carry their matchers, and one without a name keeps its id whatever stands before it")
    func routes() throws {
        let text = """
            _format_version: "3.0"
            services:
            - name: s
              url: tcp://a.internal:5432
              routes:
              - {protocols: [tcp], destinations: [{port: 1}]}
              - {protocols: [tcp, tls, udp], sources: [{ip: 10.0.0.0/8, port: 7}], snis: [a.example]}
            """
        let (snapshot, problems) = try findings(text)
        #expect(problems == [])
        #expect(snapshot.routes[0].destinations == [AddressRule(address: "", port: 1)])
        #expect(snapshot.routes[1].sources == [AddressRule(address: "10.0.0.0/8", port: 7)])
        #expect(snapshot.routes[1].protocols == [.tcp, .tls, .udp])
        #expect(snapshot.routes[1].serverNames == ["a.example"])
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        let swapped = (lines[..<5] + [lines[6], lines[5]]).joined(separator: "\n")
        #expect(try findings(swapped).0.routes.map(\.id) == snapshot.routes.map(\.id).reversed())
    }

    @Test(
        "a service that does not understand what its route carries is warned about",
        arguments: [
            ("[tcp]", "http", "as they are"), ("[http]", "tcp", "HTTP is spoken"), ("[udp]", "tls", "datagrams"),
            ("[tls_passthrough]", "tls", "inside another one"), ("[tcp]", "tcp", nil), ("[tls]", "tls", nil),
            ("[tls]", "tcp", nil), ("[tls_passthrough]", "tcp", nil), ("[tls_passthrough]", "tls_passthrough", nil),
            ("[udp]", "tcp", nil), ("[grpc]", "grpc", nil),
        ])
    func pairs(protocols: String, service: String, message: String?) throws {
        let matcher =
            protocols == "[http]" || protocols == "[grpc]"
            ? "paths: [/]" : protocols == "[tls_passthrough]" ? "snis: [a.example]" : "destinations: [{port: 1}]"
        let (_, problems) = try findings(
            """
            _format_version: "3.0"
            services:
            - {name: s, protocol: \(service), host: a.internal, port: 1}
            routes:
            - {name: r, service: s, protocols: \(protocols), \(matcher)}
            """)
        #expect(problems.count == (message == nil ? 0 : 1), "\(problems)")
        if let message { #expect(problems.first?.contains(message) == true, "\(problems)") }
    }

    @Test("routes that no listener serves and listeners that no route is for are told, once for each kind")
    func listeners() throws {
        var (snapshot, _) = try findings(
            """
            _format_version: "3.0"
            routes:
            - {name: a, protocols: [tcp], destinations: [{port: 5432}]}
            - {name: b, protocols: [tcp], destinations: [{port: 5433}]}
            - {name: c, protocols: [tls_passthrough], snis: [c.example]}
            - {name: d, protocols: [udp], destinations: [{port: 53}]}
            - {name: e, paths: [/]}
            """)
        func advice(_ listeners: [(tls: Bool, udp: Bool)]) -> [String] {
            snapshot.listeners = [Listener()]
            for (index, given) in listeners.enumerated() {
                var listener = Listener()
                listener.kind = .stream
                listener.tls = given.tls
                listener.udp = given.udp
                listener.port = 9000 + index
                snapshot.listeners.append(listener)
            }
            return GatewayCompiler.listenerFindings(snapshot).map { "\($0.entity): \($0.message); \($0.remedy)" }
        }
        #expect(
            advice([]) == [
                "route \"a\": no listener serves it, nor 1 other route of tcp; start the gateway with --stream '*:5432'",
                "route \"c\": no listener serves it; start the gateway with --stream '*:9000,tls'",
                "route \"d\": no listener serves it; start the gateway with --stream '*:53,udp'",
            ])
        #expect(advice([(false, false), (false, true)]) == [])
        #expect(advice([(true, false), (false, true), (false, false)]) == [])
        snapshot.routes.removeAll { $0.name != "d" }
        #expect(
            advice([(false, true), (true, false)]) == [
                "listener 127.0.0.1:9001: closes every connection: no route is of tls or tls_passthrough; "
                    + "add such a route, or leave the listener out"
            ])
        snapshot.routes = []
        #expect(advice([(false, true)]).first?.contains("drops every datagram: no route is of udp") == true)
    }
}
