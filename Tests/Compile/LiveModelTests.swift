// A model that followed changes is the model that reads everything at once.

import Bytes
import Compile
import Dialects
import Foundation
import Model
import Snapshot
import Testing

private let fixtures = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .appendingPathComponent("Dialects/Fixtures")

private let environment = [
    "DECK_NAME": "templated", "DECK_HOST": "env.internal", "DECK_PORT": "8088", "DECK_ENABLED": "1",
    "DECK_CERT": "line one\nline two\nline three", "KEY_PEM": "the key", "OTHER": "x",
]

private func bytes(_ name: String) throws -> [UInt8] {
    Array(try Data(contentsOf: fixtures.appendingPathComponent(name)))
}

private func wire(_ model: GatewayModel) -> [UInt8] {
    GatewayCompiler.compile(model, settings: Settings(), listeners: [Listener()]).0.wire
}

/// Every entity that a model holds, with its references, in a form that compares.
private func dump(_ model: GatewayModel) -> String {
    var text = ""
    Swift.dump(model, to: &text, maxDepth: 12)
    return text
}

private func withoutPlaces(_ model: GatewayModel) -> GatewayModel {
    var model = model
    func clear(_ head: inout EntityHead) { (head.line, head.column) = (0, 0) }
    for i in model.services.indices { clear(&model.services[i].head) }
    for i in model.routes.indices {
        clear(&model.routes[i].head)
        (model.routes[i].expressionLine, model.routes[i].expressionColumn) = (0, 0)
    }
    for i in model.upstreams.indices {
        clear(&model.upstreams[i].head)
        for j in model.upstreams[i].targets.indices { clear(&model.upstreams[i].targets[j].head) }
    }
    for i in model.consumers.indices { clear(&model.consumers[i].head) }
    for i in model.plugins.indices { clear(&model.plugins[i].head) }
    for i in model.certificates.indices { clear(&model.certificates[i].head) }
    for i in model.serverNames.indices { clear(&model.serverNames[i].head) }
    for i in model.caCertificates.indices { clear(&model.caCertificates[i].head) }
    for i in model.keyAuthCredentials.indices { clear(&model.keyAuthCredentials[i].head) }
    for i in model.basicAuthCredentials.indices { clear(&model.basicAuthCredentials[i].head) }
    for i in model.hmacAuthCredentials.indices { clear(&model.hmacAuthCredentials[i].head) }
    for i in model.jwtSecrets.indices { clear(&model.jwtSecrets[i].head) }
    for i in model.oauth2Credentials.indices { clear(&model.oauth2Credentials[i].head) }
    for i in model.vaults.indices { clear(&model.vaults[i].head) }
    for i in model.keySets.indices { clear(&model.keySets[i].head) }
    for i in model.keys.indices { clear(&model.keys[i].head) }
    return model
}

private let loadable = [
    "supabase.yml", "deck-dump.yml", "format-1.1.yml", "format-2.1.yml", "nested.yml", "flat.yml", "kong.json",
    "env.yml", "db-export.yml", "anchors.yml", "stream.yml", "transformers.yml",
]

@Test("what is stored of a file compiles to what the file compiles to", arguments: loadable)
func storedIsLoaded(name: String) throws {
    let text = try bytes(name)
    let loaded = text.withBytes { KongFile.load($0, file: name, environment: environment) }
    let (records, findings) = KongEntities.read(text, file: name, environment: environment)
    try #require(!records.isEmpty, "\(findings)")
    var live = LiveModel(environment: environment)
    let changes = records.enumerated().map { index, record in
        EntityChange.put(record.kind, record.id, order: UInt64(index + 1), spec: record.spec.json)
    }
    let problems = live.apply(changes.shuffled()).filter { $0.severity == .error }
    #expect(problems.isEmpty)
    let model = withoutPlaces(try #require(loaded.model))
    #expect(dump(live.model) == dump(model))
    #expect(wire(live.model) == wire(model))
}

// MARK: Random changes

/// A generator that a seed determines (SplitMix64).
private struct Seeded: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}

private struct Stored {
    var kind: EntityKind
    var id: Identifier
    var order: UInt64
    var spec: ConfigValue
    var change: EntityChange { .put(kind, id, order: order, spec: spec.json) }
}

/// Two services with everything that can hang on them, several times.
private func manyEntities() -> [Stored] {
    var text = "_format_version: \"3.0\"\n"
    text += "vaults: [{prefix: my, name: env, config: {prefix: MY_}}]\n"
    text += "certificates:\n"
    for i in 0..<3 {
        text += "- {cert: \"cert \(i)\", key: \"key \(i)\", snis: [{name: s\(i).test}, {name: t\(i).test}]}\n"
    }
    text += "ca_certificates: [{cert: \"authority 1\"}, {cert: \"authority 2\"}]\n"
    text += "services:\n"
    for i in 0..<6 {
        text += "- name: s\(i)\n  url: https://u\(i % 3)/\n  plugins: [{name: cors}]\n  routes:\n"
        for j in 0..<4 {
            text +=
                "  - {name: r\(i)-\(j), paths: [/\(i)/\(j)], plugins: [{name: rate-limiting, config: {minute: \(j + 1)}}]}\n"
        }
        text += "  - {hosts: [h\(i).test]}\n"
    }
    text += "upstreams:\n"
    for i in 0..<3 {
        text += "- {name: u\(i), targets: [{target: 10.0.0.\(i)}, {target: 10.0.1.\(i)}, {target: 10.0.2.\(i)}]}\n"
    }
    text += "consumers:\n"
    for i in 0..<5 {
        text += "- username: c\(i)\n  acls: [{group: g\(i)}, {group: all}, {group: x}]\n"
        text += "  keyauth_credentials: [{key: k\(i)}, {key: \"{vault://my/key-\(i)}\"}]\n"
        text += "  basicauth_credentials: [{username: b\(i), password: p}]\n"
        text += "  plugins: [{name: request-size-limiting}]\n"
    }
    text +=
        "key_sets: [{name: set, keys: [{name: k1, kid: a, pem: {public_key: x}}, {kid: b, pem: {public_key: y}}]}]\n"
    let (records, findings) = KongEntities.read(Array(text.utf8), file: "many.yml")
    precondition(!records.isEmpty, "\(findings)")
    return records.enumerated().map { Stored(kind: $1.kind, id: $1.id, order: UInt64($0 + 1), spec: $1.spec) }
}

private func changed(_ entity: Stored, among all: [Stored], _ random: inout Seeded) -> Stored {
    var entity = entity
    guard case .record(var entries) = entity.spec else { return entity }
    func set(_ key: String, _ value: ConfigValue) {
        if let index = entries.firstIndex(where: { $0.key == key }) { entries[index].value = value }
    }
    let number = Int.random(in: 1...60000, using: &random)
    switch entity.kind {
    case .services:
        set(Bool.random(using: &random) ? "port" : "name", number % 2 == 0 ? .string("n\(number)") : .int(number))
    case .routes:
        let services = all.filter { $0.kind == .services }
        let service = services.randomElement(using: &random)
        set("service", service.map { .record([ConfigValue.Entry("id", .string($0.id.description))]) } ?? .null)
        set("regex_priority", .int(number))
    case .targets: set("weight", .int(number))
    case .upstreams: set("slots", .int(number + 10))
    case .plugins: set("enabled", .bool(Bool.random(using: &random)))
    case .keyAuthCredentials: set("key", .string("key-\(number)"))
    case .acls: set("group", .string("group-\(number)"))
    case .snis: set("name", .string("n\(number).test"))
    case .vaults: set("config", .record([ConfigValue.Entry("prefix", .string(number % 2 == 0 ? "MY_" : "YOUR_"))]))
    default: set("tags", .array([.string("t\(number)")]))
    }
    // A service keeps the types of its fields.
    if entity.kind == .services {
        if entries.first(where: { $0.key == "port" })?.value.int == nil { set("port", .int(number)) }
        if entries.first(where: { $0.key == "name" })?.value.string == nil { set("name", .string("n\(number)")) }
    }
    entity.spec = .record(entries)
    return entity
}

@Test(
    "random changes lead to the model that reads everything at once", arguments: [UInt64.random(in: 0 ... .max), 1, 2])
func randomChanges(seed: UInt64) throws {
    print("seed \(seed)")
    var random = Seeded(state: seed)
    var variables: [String: String] = [:]
    for i in 0..<5 {
        variables["MY_KEY_\(i)"] = "secret \(i)"
        variables["YOUR_KEY_\(i)"] = "other secret \(i)"
    }
    var stored = manyEntities()
    var removed: [Stored] = []
    var live = LiveModel(environment: variables)
    #expect(live.apply(stored.map(\.change)).allSatisfy { $0.severity != .error })
    for step in 0..<60 {
        var changes: [EntityChange] = []
        var touched: Set<Identifier> = []
        for _ in 0..<Int.random(in: 1...6, using: &random) {
            switch Int.random(in: 0..<4, using: &random) {
            case 0:
                guard let victim = stored.randomElement(using: &random), victim.kind != .vaults else { continue }
                // What refers to it goes along.
                var gone: Set<String> = [victim.id.description]
                for _ in 0..<3 {
                    for other in stored {
                        let text = String(decoding: other.spec.json, as: UTF8.self)
                        if gone.contains(where: { text.contains($0) }) { gone.insert(other.id.description) }
                    }
                }
                guard gone.isDisjoint(with: touched.map(\.description)) else { continue }
                for entity in stored where gone.contains(entity.id.description) {
                    changes.append(.remove(entity.kind, entity.id))
                    removed.append(entity)
                    touched.insert(entity.id)
                }
                stored.removeAll { gone.contains($0.id.description) }
            case 1:
                // Back to their old places: in the middle of the arrays.
                let back = removed.filter { !touched.contains($0.id) }
                let present = Set((stored + back).map(\.id.description))
                for entity in back {
                    let parents = ["service", "route", "consumer", "upstream", "certificate", "set"].compactMap {
                        entity.spec[$0]["id"].string
                    }
                    guard parents.allSatisfy(present.contains) else { continue }
                    stored.append(entity)
                    removed.removeAll { $0.id == entity.id }
                    changes.append(entity.change)
                    touched.insert(entity.id)
                }
            default:
                guard let index = stored.indices.randomElement(using: &random), !touched.contains(stored[index].id)
                else { continue }
                stored[index] = changed(stored[index], among: stored, &random)
                changes.append(stored[index].change)
                touched.insert(stored[index].id)
            }
        }
        let findings = live.apply(changes.shuffled(using: &random))
        var fresh = LiveModel(environment: variables)
        let all = fresh.apply(stored.map(\.change).shuffled(using: &random))
        let wrong = findings.filter { $0.severity == .error }
        try #require(
            wrong.isEmpty && !all.contains { $0.severity == .error }, "seed \(seed) step \(step) \(wrong) \(all)")
        try #require(dump(live.model) == dump(fresh.model), "seed \(seed) step \(step)")
        try #require(wire(live.model) == wire(fresh.model), "seed \(seed) step \(step)")
    }
}

@Test("a change that cannot be is told by entity, and the copy from before goes on")
func refusedChanges() throws {
    var live = LiveModel()
    let stored = manyEntities().filter { $0.kind != .keyAuthCredentials }
    #expect(live.apply(stored.map(\.change)).allSatisfy { $0.severity != .error })
    let service = try #require(stored.first { $0.kind == .services })
    var copy = live
    let dangling = copy.apply([.remove(.services, service.id)]).filter { $0.severity == .error }
    #expect(dangling.contains { $0.code == "K130" && $0.entity == "route \"r0-0\"" && $0.field == "service" })
    copy = live
    let other = try #require(stored.last { $0.kind == .services })
    var twin = other.spec
    if case .record(var entries) = twin {
        entries[entries.firstIndex { $0.key == "name" } ?? 0].value = .string("s0")
        twin = .record(entries)
    }
    let twice = copy.apply([.put(.services, other.id, order: other.order, spec: twin.json)])
    #expect(twice.map(\.code) == ["K131"])
    #expect(twice.first?.message == "there is another service with name \"s0\"")
    copy = live
    let broken = copy.apply([.put(.routes, Identifier(high: 1, low: 1), order: 9999, spec: Array("no".utf8))])
    #expect(broken.map(\.code) == ["K001"])
    #expect(dump(live.model).contains("r0-0"))
}

@Test("what is stored is found by name, by id and by natural key")
func findsStored() throws {
    var live = LiveModel()
    let stored = manyEntities().filter { $0.kind != .keyAuthCredentials }
    _ = live.apply(stored.map(\.change))
    let route = try #require(stored.first { $0.spec["name"].string == "r1-1" })
    #expect(live.known(.routes, "r1-1") == route.id)
    #expect(live.known(.routes, route.id.description) == route.id)
    #expect(live.known(.services, "r1-1") == nil)
    #expect(live.known(.routes, "r1") == nil)
    _ = live.apply([
        .remove(.plugins, try #require(stored.first { $0.spec["route"]["id"].string == route.id.description }).id)
    ])
    _ = live.apply([.remove(.routes, route.id)])
    #expect(live.known(.routes, "r1-1") == nil)
    #expect(live.known(.routes, route.id.description) == nil)
}
