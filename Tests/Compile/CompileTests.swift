// From model to snapshot.

import Bytes
import Compile
import Dialects
import Model
import Snapshot
import Testing

@Test("services of one host share a cluster, an upstream's name leads to the upstream")
func clusters() throws {
    let snapshot = try compile(
        """
        _format_version: "3.0"
        services:
        - {name: a, url: "http://one.internal:80"}
        - {name: b, url: "http://one.internal:80/b"}
        - {name: c, host: pool, port: 9999}
        upstreams:
        - name: pool
          targets:
          - {target: "10.0.0.1:8080"}
        """)
    #expect(snapshot.services[0].cluster == snapshot.services[1].cluster)
    let pool = snapshot.clusters[snapshot.services[2].cluster]
    #expect(pool.name == "pool")
    #expect(pool.targets.map(\.host) == ["10.0.0.1"])
    #expect(snapshot.clusters.count == 2)
}

/// Loads and compiles a file that must be without errors.
func compile(_ text: String, sourceLocation: SourceLocation = #_sourceLocation) throws -> Snapshot {
    let (model, findings) = Array(text.utf8).withBytes { KongFile.load($0, file: "kong.yml") }
    let usable = try #require(model, "\(findings)", sourceLocation: sourceLocation)
    let (snapshot, more) = GatewayCompiler.compile(usable, settings: Settings(), listeners: [Listener()])
    #expect(more.filter { $0.severity == .error }.isEmpty, "\(more)", sourceLocation: sourceLocation)
    return snapshot
}
