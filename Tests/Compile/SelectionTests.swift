// What a gateway gets of a configuration: by its labels, with parents, and secrets only where they are used.

import Bytes
import Compile
import Dialects
import Model
import Snapshot
import Testing

private func load(_ text: String) throws -> GatewayModel {
    let (model, findings) = Array(("_format_version: \"3.0\"\n" + text).utf8).withBytes {
        KongFile.load($0, file: "kong.yml")
    }
    return try #require(model, "\(findings)")
}

private func findings(_ text: String) throws -> [Diagnostic] {
    GatewayCompiler.compile(try load(text), settings: Settings(), listeners: []).1.filter {
        $0.code == DiagnosticCode.tag.rawValue
    }
}

/// A service with a route for each list of tags, named by its place.
private func routes(_ tags: [String]) -> String {
    "services: [{name: s, url: \"http://s.internal\"}]\nroutes:\n"
        + tags.enumerated().map { "- {name: r\($0.offset), service: s, paths: [/\($0.offset)], tags: [\($0.element)]}" }
        .joined(separator: "\n")
}

@Suite("What a gateway gets")
struct SelectionTests {
    private static let tags = [
        "", "other, zone=us", "seaway.gateways.zone=eu", "seaway.gateways.zone=eu, seaway.gateways.zone=us",
        "seaway.gateways.zone=eu, seaway.gateways.cloud=aws", "seaway.gateways.cloud=a=b",
    ]

    @Test(
        "tags of one key are alternatives, tags of several keys must all hold, no tag is for everybody",
        arguments: [
            ([:], [0, 1]),
            (["zone": "eu"], [0, 1, 2, 3]),
            (["zone": "us"], [0, 1, 3]),
            (["zone": "eu", "cloud": "aws"], [0, 1, 2, 3, 4]),
            (["zone": "EU"], [0, 1]),
            (["cloud": "aws"], [0, 1]),
            (["cloud": "a=b"], [0, 1, 5]),
        ] as [([String: String], [Int])])
    func labels(labels: [String: String], expected: [Int]) throws {
        let model = GatewaySelection.select(try load(routes(Self.tags)), labels: labels)
        #expect(model.routes.map(\.name) == expected.map { "r\($0)" })
    }

    private static let eu = ["zone": "eu"]
    private static let us = ["zone": "us"]

    @Test("a service takes its routes with it, and the plugins of both; references of the rest follow")
    func services() throws {
        let model = try load(
            """
            services:
            - name: a
              url: "http://a.internal"
              tags: [seaway.gateways.zone=us]
              routes: [{name: ra, paths: [/a], plugins: [{name: cors}]}]
              plugins: [{name: cors}]
            - name: b
              url: "http://b.internal"
              routes:
              - {name: rb, paths: [/b], plugins: [{name: acl, config: {allow: [x]}}]}
              - {name: rc, paths: [/c], tags: [seaway.gateways.zone=us], plugins: [{name: correlation-id}]}
            plugins:
            - {name: prometheus}
            - {name: request-termination, tags: [seaway.gateways.zone=us]}
            """)
        let eu = GatewaySelection.select(model, labels: Self.eu)
        #expect(eu.services.map(\.name) == ["b"])
        #expect(eu.routes.map(\.name) == ["rb"])
        #expect(eu.routes[0].service == 0)
        #expect(Set(eu.plugins.map(\.name)) == ["acl", "prometheus"])
        #expect(eu.plugins.first { $0.name == "acl" }?.route == 0)
        let us = GatewaySelection.select(model, labels: Self.us)
        #expect(us.services.count == 2 && us.routes.count == 3 && us.plugins.count == 6)
        _ = GatewayCompiler.compile(eu, settings: Settings(), listeners: [])
    }

    @Test("an upstream takes the services that lead to it with it; targets are chosen one by one")
    func upstreams() throws {
        let model = try load(
            """
            services:
            - {name: a, host: pool, routes: [{name: ra, paths: [/a]}]}
            - {name: b, host: other, routes: [{name: rb, paths: [/b]}]}
            upstreams:
            - {name: pool, tags: [seaway.gateways.zone=us], targets: [{target: "10.0.0.1:80"}]}
            - name: other
              targets:
              - {target: "10.0.0.2:80", tags: [seaway.gateways.zone=us]}
              - {target: "10.0.0.3:80"}
            """)
        let eu = GatewaySelection.select(model, labels: Self.eu)
        #expect(eu.services.map(\.name) == ["b"])
        #expect(eu.upstreams.map(\.name) == ["other"])
        #expect(eu.upstreams[0].targets.map(\.host) == ["10.0.0.3"])
        #expect(GatewaySelection.select(model, labels: Self.us).upstreams.map(\.targets.count) == [1, 2])
    }

    @Test("a consumer takes its credentials and plugins with it")
    func consumers() throws {
        let model = try load(
            """
            consumers:
            - username: a
              tags: [seaway.gateways.zone=us]
              keyauth_credentials: [{key: ka}]
              basicauth_credentials: [{username: ua, password: p}]
              plugins: [{name: rate-limiting, config: {minute: 1}}]
            - username: b
              keyauth_credentials: [{key: kb}, {key: kc, tags: [seaway.gateways.zone=us]}]
              basicauth_credentials: [{username: ub, password: p}]
            plugins: [{name: key-auth}, {name: basic-auth}]
            """)
        let eu = GatewaySelection.select(model, labels: Self.eu)
        #expect(eu.consumers.map(\.username) == ["b"])
        #expect(eu.keyAuthCredentials.map(\.key) == ["kb"])
        #expect(eu.keyAuthCredentials.map(\.consumer) == [0])
        #expect(eu.basicAuthCredentials.map(\.username) == ["ub"])
        #expect(Set(eu.plugins.map(\.name)) == ["key-auth", "basic-auth"])
        #expect(GatewaySelection.select(model, labels: Self.us).keyAuthCredentials.count == 3)
    }

    @Test("credentials go only where an enabled plugin asks for them")
    func credentials() throws {
        let text = """
            services: [{name: s, url: "http://s", tags: [seaway.gateways.zone=us], plugins: [{name: basic-auth}]}]
            consumers:
            - {username: a, keyauth_credentials: [{key: k}], basicauth_credentials: [{username: u, password: p}]}
            plugins: [{name: key-auth, enabled: ENABLED}]
            """
        let model = try load(text.replacing("ENABLED", with: "true"))
        let eu = GatewaySelection.select(model, labels: Self.eu)
        #expect(eu.keyAuthCredentials.count == 1 && eu.basicAuthCredentials.isEmpty && eu.consumers.count == 1)
        let us = GatewaySelection.select(model, labels: Self.us)
        #expect(us.keyAuthCredentials.count == 1 && us.basicAuthCredentials.count == 1)
        let off = GatewaySelection.select(try load(text.replacing("ENABLED", with: "false")), labels: Self.us)
        #expect(off.keyAuthCredentials.isEmpty)
    }

    private static func head(_ tags: String...) -> EntityHead {
        var head = EntityHead()
        head.tags = tags
        return head
    }

    @Test("certificates and authorities go only where something uses them, and services only with theirs")
    func certificates() {
        var model = GatewayModel()
        model.certificates = ["unused", "shown", "ofService", "ofUpstream", "us"].map { name in
            var certificate = CertificateEntity()
            certificate.certificate = name
            if name == "us" { certificate.head = Self.head("seaway.gateways.zone=us") }
            return certificate
        }
        model.caCertificates = ["unused", "used"].map { name in
            var authority = CACertificateEntity()
            authority.certificate = name
            return authority
        }
        for (name, certificate) in [("shown", 1), ("us", 4)] {
            var entity = ServerNameEntity()
            entity.name = name
            entity.certificate = certificate
            model.serverNames.append(entity)
        }
        for certificate in [2, 4] {
            var service = ServiceEntity()
            service.clientCertificate = certificate
            service.caCertificates = [1]
            model.services.append(service)
        }
        var upstream = UpstreamEntity()
        upstream.clientCertificate = 3
        model.upstreams = [upstream]
        let eu = GatewaySelection.select(model, labels: Self.eu)
        #expect(eu.certificates.map(\.certificate) == ["shown", "ofService", "ofUpstream"])
        #expect(eu.caCertificates.map(\.certificate) == ["used"])
        #expect(eu.serverNames.map(\.name) == ["shown"] && eu.serverNames[0].certificate == 0)
        #expect(eu.services.map(\.clientCertificate) == [1])
        #expect(eu.services.map(\.caCertificates) == [[0]])
        #expect(eu.upstreams.map(\.clientCertificate) == [2])
        let us = GatewaySelection.select(model, labels: Self.us)
        #expect(us.certificates.map(\.certificate) == ["shown", "ofService", "ofUpstream", "us"])
        #expect(us.services.map(\.clientCertificate) == [1, 3])
    }

    @Test("what is selected compiles, whatever the tags")
    func random() throws {
        let seed = UInt64.random(in: 0 ... .max)
        var state = seed
        func tag() -> String {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return ["", "seaway.gateways.zone=eu", "seaway.gateways.zone=us"][Int(state >> 33) % 3]
        }
        for _ in 0..<100 {
            let model = try load(
                """
                upstreams: [{name: u, tags: [\(tag())], targets: [{target: "1.2.3.4:1", tags: [\(tag())]}]}]
                services: [{name: a, host: u, tags: [\(tag())]}, {name: b, host: c, tags: [\(tag())]}]
                routes: [{name: a, service: a, tags: [\(tag())], paths: [/a]}, {name: b, service: b, paths: [/b]}]
                consumers: [{username: a, tags: [\(tag())], keyauth_credentials: [{key: k}]}, {username: b}]
                plugins:
                - {name: key-auth, route: b, tags: [\(tag())]}
                - {name: rate-limiting, consumer: b, service: b, tags: [\(tag())], config: {minute: 1}}
                - {name: cors, route: a}
                """)
            let (snapshot, findings) = GatewayCompiler.compile(
                GatewaySelection.select(model, labels: Self.eu), settings: Settings(), listeners: [])
            #expect(!findings.contains { $0.severity == .error }, "seed \(seed): \(findings)")
            // An apply checks each reference.
            #expect(throws: Never.self, "seed \(seed)") {
                try SnapshotDelta(from: Snapshot(), to: snapshot).apply(to: Snapshot())
            }
        }
    }

    @Test("a model without such tags and unused secrets stays as it is")
    func whole() throws {
        let model = try load(routes(["", "a=b"]))
        let selected = GatewaySelection.select(model, labels: Self.eu)
        let same = unsafe model.routes.withUnsafeBufferPointer { a in
            unsafe selected.routes.withUnsafeBufferPointer { b in unsafe a.baseAddress == b.baseAddress }
        }
        #expect(same)
    }
}

@Suite("Tags that choose gateways")
struct GatewayTagTests {
    @Test(
        "a malformed one is refused",
        arguments: [
            "seaway.gateways", "seaway.gateways.", "seaway.gateways.zone", "seaway.gateways.zone=",
            "seaway.gateways.=eu", "seaway.gateways=zone", "seaway.gateways.zo ne=eu", "seaway.gatewayszone=eu",
        ])
    func malformed(tag: String) throws {
        for text in [
            routes(["\"\(tag)\""]), "consumers: [{username: c, tags: [\"\(tag)\"]}]",
            "services: [{name: s, url: \"http://s\", tags: [\"\(tag)\"]}]",
        ] {
            let found = try findings(text)
            #expect(found.count == 1 && found[0].severity == .error, "\(found)")
            #expect(found[0].message.contains("names no label of gateways"))
        }
        #expect(GatewaySelection.select(try load(routes(["\"\(tag)\""])), labels: ["zone": "eu"]).routes.isEmpty)
    }

    @Test("one that is nearly right is refused wherever it stands")
    func unknown() throws {
        let found = try findings("plugins: [{name: cors, tags: [seaway.gateway.zone=eu]}]")
        #expect(found.count == 1 && found[0].severity == .error && found[0].entity == "plugin \"cors\"")
    }

    @Test(
        "a warning says that a service goes where what it names does not",
        arguments: [
            ("", "seaway.gateways.zone=eu", 1), ("seaway.gateways.zone=eu", "seaway.gateways.zone=eu", 0),
            ("seaway.gateways.zone=eu", "seaway.gateways.zone=eu, seaway.gateways.zone=us", 0),
            ("seaway.gateways.zone=eu, seaway.gateways.zone=us", "seaway.gateways.zone=eu", 1),
            ("seaway.gateways.zone=eu", "seaway.gateways.cloud=aws", 1), ("seaway.gateways.zone=eu", "", 0),
        ])
    func reach(service: String, upstream: String, count: Int) throws {
        let found = try findings(
            """
            services: [{name: s, host: u, tags: [\(service)]}]
            upstreams: [{name: u, tags: [\(upstream)]}]
            """)
        #expect(found.count == count && found.allSatisfy { $0.severity == .warning && $0.field == "host" })
    }
}
