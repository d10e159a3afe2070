// Which configuration runs where: Kong's order of lookup.

import Compile
import Model
import Snapshot
import Testing

/// One service, one route, one consumer and rate limits by scope; the limit tells the configuration.
private func scopes(_ plugins: [String]) -> String {
    """
    _format_version: "3.0"
    services: [{name: s, url: "http://s.internal"}]
    routes: [{name: r, service: s, paths: [/r]}, {name: other, service: s, paths: [/o]}]
    consumers: [{username: c}]
    plugins:
    \(plugins.map { "- \($0)" }.joined(separator: "\n"))
    """
}

/// The limit that runs on the first route for nobody and for the consumer.
private func limits(_ snapshot: Snapshot, route: Int = 0) -> (common: Int?, consumer: Int?) {
    let chain = snapshot.routes[route].chain
    guard chain >= 0, let step = snapshot.chains[chain].steps.first else { return (nil, nil) }
    func minute(_ filter: Int) -> Int? {
        guard filter >= 0, case .rateLimiting(let config) = snapshot.filters[filter] else { return nil }
        return config.minute
    }
    let own = step.overrides.count == 2 ? minute(step.overrides[1]) : minute(step.filter)
    return (minute(step.filter), own)
}

private func limit(_ scope: String, _ minute: Int) -> String {
    "{name: rate-limiting, \(scope) config: {minute: \(minute)}}"
}
private let eightScopes: [(scope: String, minute: Int)] = [
    ("route: r, service: s, consumer: c,", 1), ("route: r, consumer: c,", 2), ("service: s, consumer: c,", 3),
    ("route: r, service: s,", 4), ("consumer: c,", 5), ("route: r,", 6), ("service: s,", 7), ("", 8),
]

@Test("of all scopes the first in Kong's order runs, whichever are configured", arguments: 1..<256)
func lookupOrder(chosen: Int) throws {
    let used = eightScopes.indices.filter { chosen >> $0 & 1 == 1 }
    let snapshot = try compile(scopes(used.reversed().map { limit(eightScopes[$0].scope, eightScopes[$0].minute) }))
    let withConsumer: Set<Int> = [0, 1, 2, 4]
    let result = limits(snapshot)
    #expect(result.consumer == used.first.map { eightScopes[$0].minute })
    #expect(result.common == used.first { !withConsumer.contains($0) }.map { eightScopes[$0].minute })
}

@Test("a chain runs by falling priority and only where its protocols are")
func orderAndProtocols() throws {
    let snapshot = try compile(
        """
        _format_version: "3.0"
        services: [{name: s, url: "http://s.internal", plugins: [{name: request-termination}, {name: cors}]}]
        routes:
        - {name: http, service: s, paths: [/h]}
        - {name: grpc, service: s, protocols: [grpc], paths: [/g]}
        plugins:
        - {name: correlation-id, protocols: [http, https]}
        - {name: key-auth, enabled: false}
        """)
    func names(_ route: Int) -> [String] {
        snapshot.chains[snapshot.routes[route].chain].steps.map {
            switch snapshot.filters[$0.filter] {
            case .correlationID: "correlation-id"
            case .cors: "cors"
            case .requestTermination: "request-termination"
            default: "?"
            }
        }
    }
    #expect(names(0) == ["correlation-id", "cors", "request-termination"])
    #expect(names(1) == ["cors", "request-termination"])
    #expect(snapshot.chains[snapshot.globalChain].steps.count == 1)
}

@Test("routes without plugins have no chain, equal chains and configurations are stored once")
func sharing() throws {
    let plain = try compile("_format_version: \"3.0\"\nroutes: [{paths: [/a]}]")
    #expect(plain.routes[0].chain == -1)
    #expect(plain.globalChain == -1)
    #expect(plain.chains.isEmpty)
    let shared = try compile(
        """
        _format_version: "3.0"
        services:
        - {name: a, url: "http://a", routes: [{name: a, paths: [/a]}], plugins: [{name: cors}]}
        - {name: b, url: "http://b", routes: [{name: b, paths: [/b]}], plugins: [{name: cors}]}
        """)
    #expect(shared.filters.count == 1)
    #expect(shared.chains.count == 1)
    #expect(shared.routes[0].chain == shared.routes[1].chain)
}

@Test("routes of a disabled service are left out, a route without a service stays")
func disabled() throws {
    let snapshot = try compile(
        """
        _format_version: "3.0"
        services: [{name: closed, url: "http://a", enabled: false, routes: [{name: gone, paths: [/a]}]}]
        routes: [{name: here, paths: [/b]}]
        """)
    #expect(snapshot.routes.map(\.name) == ["here"])
    #expect(snapshot.routes[0].service == -1)
}

@Test("every plugin that the catalog calls supported has a filter")
func everyPluginIsMapped() throws {
    let configs = ["acl": "{allow: [a]}", "ip-restriction": "{allow: [10.0.0.1]}", "rate-limiting": "{second: 1}"]
    for name in PluginCatalog.supported.keys.sorted() {
        let snapshot = try compile(
            "_format_version: \"3.0\"\nplugins: [{name: \(name), config: \(configs[name] ?? "{}")}]")
        #expect(snapshot.filters.count == 1, "\(name)")
    }
}
