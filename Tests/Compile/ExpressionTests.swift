// Expressions on their way into a snapshot.

import Bytes
import Compile
import Dialects
import Model
import Snapshot
import Testing

struct ExpressionTests {
    private func compile(_ routes: String) throws -> (snapshot: Snapshot, findings: [Diagnostic]) {
        let text = "_format_version: \"3.0\"\nroutes:\n" + routes
        let (model, findings) = Array(text.utf8).withBytes { KongFile.load($0, file: "kong.yml", expressions: true) }
        var settings = Settings()
        settings.router = .expressions
        return GatewayCompiler.compile(
            try #require(model, "\(findings)"), settings: settings, listeners: [], file: "kong.yml")
    }

    @Test("expression and priority reach the snapshot, with the flavour")
    func compiled() throws {
        let (snapshot, findings) = try compile(
            """
            - {name: a, expression: 'http.path ^= "/a"', priority: 5}
            - {name: b, protocols: [tcp], expression: 'net.dst.port == 5432'}
            """)
        #expect(findings.filter { $0.severity == .error }.isEmpty)
        #expect(snapshot.routes.map(\.expression) == [#"http.path ^= "/a""#, "net.dst.port == 5432"])
        #expect(snapshot.routes.map(\.priority) == [5, 0])
        #expect(snapshot.settings.router == .expressions)
        // What the compiler let pass, the proxy's tables take.
        _ = try RouteTable(routes: snapshot.routes, flavour: snapshot.settings.router)
        _ = try StreamTable(routes: snapshot.routes)
    }

    @Test("each route's first mistake is a finding with its place in the file and in the expression")
    func mistakes() throws {
        let (_, findings) = try compile(
            """
            - name: a
              expression: http.method == "GET" && http.hots == "a"
            - name: b
              protocols: [udp]
              expression: |
                net.dst.port == 53 &&
                http.path ~ "x"
            - {name: c, expression: 'http.path ~ "(" && nonsense'}
            """)
        let told = findings.filter { $0.field == "expression" }.map {
            "\($0.severity) \($0.code):\($0.line):\($0.column) \($0.entity): \($0.message) -> \($0.remedy)"
        }
        #expect(
            told == [
                "error K164:4:15 route \"a\": there is no field http.hots, at column 25: http.hots == \"a\" -> did you mean "
                    + "http.host?",
                "error K164:7:15 route \"b\": http.path does not exist for a route of tcp, tls or udp, at line 2, column 1: "
                    + "http.path ~ \"x\" -> such a route has net.protocol, net.src.ip, net.src.port, net.dst.ip, "
                    + "net.dst.port and tls.sni",
                "error K164:10:25 route \"c\": there is no field nonsense, at column 20: nonsense -> the fields are "
                    + "net.protocol, tls.sni, http.method, http.host, http.path, http.path.segments.len, net.src.ip, "
                    + "net.src.port, net.dst.ip, net.dst.port, http.path.segments.N, http.headers.NAME and "
                    + "http.queries.NAME",
            ])
    }

    @Test("what loads and hardly means what it says is a warning")
    func warnings() throws {
        let (_, findings) = try compile("- {name: a, expression: 'net.port == 80 && lower(http.path) == \"/A\"'}\n")
        #expect(
            findings.map { "\($0.severity) \($0.code) \($0.message) -> \($0.remedy)" } == [
                "warning K106 net.port is the old name of net.dst.port, at column 1: net.port == 80 && lower(http.path) == "
                    + "\"/… -> write net.dst.port",
                "warning K103 lower() leaves no capital letters, and the string has some, at column 19: lower(http.path) == "
                    + "\"/A\" -> write the string in lower case",
            ])
    }
}
