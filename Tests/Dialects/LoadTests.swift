// The simplest files, end to end.

import Bytes
import Dialects
import Model
import Testing

@Test("a service with a route loads with Kong's defaults")
func simplest() throws {
    let result = load(
        """
        _format_version: "3.0"
        services:
        - name: users
          url: http://users.internal:8080/v1
          routes:
          - name: users
            paths: [/users]
        """)
    let model = try #require(result.model)
    #expect(result.findings.isEmpty)
    #expect(model.services[0].host == "users.internal")
    #expect(model.services[0].port == 8080)
    #expect(model.services[0].path == "/v1")
    #expect(model.routes[0].service == 0)
    #expect(model.routes[0].paths == ["/users"])
    #expect(model.routes[0].stripPath)
    #expect(model.routes[0].head.line == 6)
}

/// Loads a text as `kong.yml`.
func load(
    _ text: String, file: String = "kong.yml", environment: [String: String] = [:], lenient: Bool = false
) -> (model: GatewayModel?, findings: [Diagnostic]) {
    Array(text.utf8).withBytes { KongFile.load($0, file: file, environment: environment, lenient: lenient) }
}
