// Routes with expressions: where they are allowed, and what they stand beside.

import Bytes
import Dialects
import Model
import Testing

struct ExpressionRouteTests {
    private func load(_ route: String, expressions: Bool = true) -> (model: GatewayModel?, findings: [String]) {
        let text = """
            _format_version: "3.0"
            routes:
            - name: r
            \(route.split(separator: "\n").map { "  \($0)" }.joined(separator: "\n"))
            """
        let result = Array(text.utf8).withBytes { KongFile.load($0, file: "kong.yml", expressions: expressions) }
        return (
            result.model,
            result.findings.map { "\($0.code):\($0.line):\($0.column) \($0.field): \($0.message) -> \($0.remedy)" }
        )
    }

    @Test("an expression, its priority and its place reach the model")
    func model() throws {
        let route = try #require(load("expression: http.path ^= \"/a\"\npriority: 70368744177663").model?.routes.first)
        #expect(route.expression == "http.path ^= \"/a\"")
        #expect(route.priority == 70_368_744_177_663)
        #expect((route.expressionLine, route.expressionColumn) == (4, 15))
    }

    @Test("without the flavour an expression is refused with the advice to choose it")
    func flavour() {
        #expect(
            load("expression: http.path ^= \"/a\"", expressions: false).findings == [
                "K162:4:15 expression: routes written as expressions need the expressions router -> start with "
                    + "--router expressions, or write the route with methods, hosts, paths, headers and snis"
            ])
        #expect(
            load("paths: [/a]\npriority: 1", expressions: false).findings == [
                "K162:5:13 priority: priority belongs to routes with an expression -> use regex_priority, or remove it"
            ])
    }

    @Test("an expression stands alone")
    func alone() {
        let findings = load(
            """
            expression: http.path ^= "/a"
            methods: [GET]
            hosts: [h]
            paths: [/a]
            headers: {x: [y]}
            snis: [s]
            sources: [{port: 1}]
            destinations: [{port: 2}]
            regex_priority: 3
            """
        ).findings
        #expect(
            findings == [
                "K105:5:12 methods: methods and expression exclude each other -> write it into the expression, as in "
                    + "http.method == \"GET\"",
                "K105:6:10 hosts: hosts and expression exclude each other -> write it into the expression, as in "
                    + "http.host == \"example.com\"",
                "K105:7:10 paths: paths and expression exclude each other -> write it into the expression, as in "
                    + "http.path ^= \"/\"",
                "K105:8:12 headers: headers and expression exclude each other -> write it into the expression, as in "
                    + "any(lower(http.headers.x_name)) == \"value\"",
                "K105:9:9 snis: snis and expression exclude each other -> write it into the expression, as in "
                    + "tls.sni == \"example.com\"",
                "K105:10:12 sources: sources and expression exclude each other -> write it into the expression, as in "
                    + "net.src.ip in 192.0.2.0/24",
                "K105:11:17 destinations: destinations and expression exclude each other -> write it into the expression, "
                    + "as in net.dst.port == 8000",
                "K105:12:19 regex_priority: regex_priority does not apply to an expression -> use priority",
            ])
    }

    @Test("what a dump writes beside an expression, or without one, is accepted")
    func dumps() {
        #expect(
            load(
                """
                expression: http.path ^= "/a"
                methods: null
                paths: []
                headers: {}
                regex_priority: 0
                path_handling: v0
                strip_path: true
                priority: 0
                """
            ).findings == [])
        #expect(load("paths: [/a]\npriority: 0\nexpression: null").findings == [])
    }

    @Test("priority without an expression, an empty expression and stripping of gRPC paths are refused")
    func mistakes() {
        #expect(
            load("paths: [/a]\npriority: 7").findings == [
                "K105:5:13 priority: priority belongs to routes with an expression -> use regex_priority, or remove it"
            ])
        #expect(
            load("expression: \" \"").findings == [
                "K164:4:15 expression: the expression is empty -> write a predicate, as in http.path ^= \"/\", or remove "
                    + "the field"
            ])
        #expect(
            load("expression: http.path ^= \"/a\"\nprotocols: [grpc]\nstrip_path: true").findings == [
                "K105:6:15 strip_path: a gRPC route cannot strip its path -> remove strip_path"
            ])
        let range = load("expression: http.path ^= \"/a\"\npriority: 70368744177664").findings
        #expect(range.count == 1 && range[0].hasPrefix("K103:5:13 priority"))
    }

    @Test("HTTP routes have sources and destinations with the flavour alone")
    func addresses() {
        let route = "sources: [{ip: 10.0.0.0/8}]\ndestinations: [{port: 8000}]"
        #expect(load(route).findings == [])
        #expect(load(route + "\nprotocols: [grpcs]").findings == [])
        #expect(
            load("paths: [/a]\nsources: [{ip: 10.0.0.0/8}]", expressions: false).findings == [
                "K105:5:12 sources: sources does not apply to http, https -> remove sources, or start with --router "
                    + "expressions, where HTTP routes have it"
            ])
    }

    @Test("routes without names and ids are told apart by their expressions")
    func identity() throws {
        let text = """
            _format_version: "3.0"
            routes:
            - expression: http.path == "/a"
            - expression: http.path == "/b"
            """
        let model = Array(text.utf8).withBytes { KongFile.load($0, file: "k", expressions: true).model }
        let ids = try #require(model).routes.map(\.head.id)
        #expect(Set(ids).count == 2)
    }
}
