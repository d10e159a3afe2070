// Snapshots of whole files, written out for review. SEAWAY_GOLDEN=write rewrites them.

import Bytes
import Compile
import Dialects
import Foundation
import Model
import Snapshot
import Testing

private let tests = URL(fileURLWithPath: #filePath).deletingLastPathComponent()

private func fixture(_ name: String) throws -> GatewayModel {
    let url = tests.deletingLastPathComponent().appendingPathComponent("Dialects/Fixtures/\(name).yml")
    let (model, findings) = Array(try Data(contentsOf: url)).withBytes { KongFile.load($0, file: "\(name).yml") }
    return try #require(model, "\(findings)")
}

@Test(
    "a fixture compiles to the snapshot in its golden file",
    arguments: ["supabase", "deck-dump", "format-1.1", "nested", "flat", "anchors", "transformers", "stream"])
func golden(name: String) throws {
    let (snapshot, findings) = GatewayCompiler.compile(
        try fixture(name), settings: Settings(), listeners: [Listener()], file: "\(name).yml")
    let text = describe(snapshot) + findings.map { "\($0.line): \($0.code) \($0.message)\n" }.joined()
    let file = tests.appendingPathComponent("Golden/\(name).golden")
    if ProcessInfo.processInfo.environment["SEAWAY_GOLDEN"] == "write" {
        try Data(text.utf8).write(to: file)
    }
    let expected = try String(contentsOf: file, encoding: .utf8)
    #expect(text == expected)
}

@Test("the same file compiles to the same bytes, and they read back to the same snapshot")
func deterministic() throws {
    for name in ["supabase", "deck-dump", "nested", "transformers"] {
        let model = try fixture(name)
        let first = GatewayCompiler.compile(model, settings: Settings(), listeners: []).0.wire
        let second = GatewayCompiler.compile(try fixture(name), settings: Settings(), listeners: []).0.wire
        #expect(first == second)
        #expect(try first.withBytes { try Snapshot(wire: $0) }.wire == first)
    }
}

/// What matters of a snapshot, a line for each thing.
private func describe(_ snapshot: Snapshot) -> String {
    var lines: [String] = []
    for (index, route) in snapshot.routes.enumerated() {
        var parts = ["route \(index) \(route.id) \(route.name)", "line \(route.line)", "service \(route.service)"]
        parts.append("protocols \(route.protocols.rawValue)")
        if !route.methods.isEmpty { parts.append("methods \(route.methods)") }
        if !route.hosts.isEmpty { parts.append("hosts \(route.hosts)") }
        if !route.paths.isEmpty { parts.append("paths \(route.paths)") }
        if !route.headers.isEmpty { parts.append("headers \(route.headers.map { "\($0.name)=\($0.values)" })") }
        if !route.serverNames.isEmpty { parts.append("snis \(route.serverNames)") }
        parts.append("strip \(route.stripPath) redirect \(route.httpsRedirectStatus) chain \(route.chain)")
        lines.append(parts.joined(separator: ", "))
    }
    for (index, service) in snapshot.services.enumerated() {
        lines.append(
            "service \(index) \(service.id) \(service.name), \(service.protocol.rawValue)://\(service.host):\(service.port)"
                + "\(service.path), cluster \(service.cluster), retries \(service.retries), connect \(service.connectTimeout)"
                + ", read \(service.readTimeout)")
    }
    for (index, cluster) in snapshot.clusters.enumerated() {
        let targets = cluster.targets.map { "\($0.host)|\($0.port)|\($0.weight)" }
        lines.append(
            "cluster \(index) \(cluster.name), upstream \(cluster.isUpstream), \(cluster.algorithm), hash \(cluster.hashOn.source)"
                + " \(cluster.hashOn.name) else \(cluster.hashFallback.source), targets \(targets)"
                + ", probe \(cluster.health.activePath) every \(cluster.health.activeHealthy.interval) s")
    }
    for (index, consumer) in snapshot.consumers.enumerated() {
        lines.append(
            "consumer \(index) \(consumer.id) \(consumer.username) \(consumer.customID) groups \(consumer.groups)")
    }
    for credential in snapshot.keyCredentials { lines.append("key of \(credential.consumer): \(credential.key)") }
    for credential in snapshot.basicCredentials {
        lines.append("basic of \(credential.consumer): \(credential.username) \(credential.passwordHash)")
    }
    for (index, filter) in snapshot.filters.enumerated() { lines.append("filter \(index) \(filter)") }
    for (index, chain) in snapshot.chains.enumerated() {
        lines.append("chain \(index): " + chain.steps.map { "\($0.filter)\($0.overrides)" }.joined(separator: " "))
    }
    lines.append("global chain \(snapshot.globalChain)")
    return lines.joined(separator: "\n") + "\n"
}
