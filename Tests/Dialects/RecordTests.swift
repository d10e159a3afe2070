// A file taken apart into what is stored.

import Bytes
import Dialects
import Foundation
import Model
import Testing

private func stored(_ records: [EntityRecord], environment: [String: String] = [:]) -> LiveModel {
    var live = LiveModel(environment: environment)
    let findings = live.apply(
        records.enumerated().map { .put($1.kind, $1.id, order: UInt64($0 + 1), spec: $1.spec.json) })
    #expect(findings.allSatisfy { $0.severity != .error }, "\(findings)")
    return live
}

private func read(_ text: String, known: @escaping KnownEntities = { _, _ in nil }) -> [EntityRecord] {
    let (records, findings) = KongEntities.read(Array(text.utf8), file: "kong.yml", known: known)
    #expect(!records.isEmpty, "\(findings)")
    return records
}

@Test(
    "reading a file again changes nothing",
    arguments: [
        "supabase.yml", "deck-dump.yml", "format-1.1.yml", "nested.yml", "flat.yml", "db-export.yml", "stream.yml",
    ])
func readsTwice(name: String) throws {
    let text = try Fixture.bytes(name)
    let first = KongEntities.read(text, file: name, environment: Fixture.environment).records
    let live = stored(first, environment: Fixture.environment)
    let second = KongEntities.read(text, file: name, environment: Fixture.environment, known: live.known).records
    #expect(first == second)
}

@Test("an entity that is stored under an id of its own keeps it, and so does what refers to it")
func keepsStoredIDs() throws {
    let file = """
        _format_version: "3.0"
        services:
        - name: api
          url: http://upstream:8000/base
          routes: [{hosts: [a.test], plugins: [{name: cors}]}]
        upstreams: [{name: u, targets: [{target: 10.0.0.1}]}]
        certificates: [{cert: c, key: k, snis: [a.test]}]
        consumers:
        - username: ada
          acls: [{group: admins}]
          basicauth_credentials: [{username: ada, password: secret}]
          keyauth_credentials: [{key: one}]
          jwt_secrets: [{algorithm: HS512, secret: x}]
        plugins: [{name: rate-limiting, config: {minute: 5}}, {name: rate-limiting, service: api, config: {hour: 9}}]
        """
    let derived = read(file)
    // The same, under random ids.
    var text = String(decoding: ConfigValue.array(derived.map(\.spec)).json, as: UTF8.self)
    for record in derived { text = text.replacing(record.id.description, with: UUID().uuidString.lowercased()) }
    let specs = try #require(try ConfigValue(json: Array(text.utf8)).array)
    var random: [EntityRecord] = []
    for (record, spec) in zip(derived, specs) {
        let id = try #require(spec["id"].string.flatMap { Identifier($0) })
        var moved = EntityRecord(kind: record.kind, id: id, name: record.name, spec: spec)
        if record.kind == .basicAuthCredentials, case .record(var entries) = spec {
            let consumer = try #require(spec["consumer"]["id"].string)
            let index = try #require(entries.firstIndex { $0.key == "password" })
            entries[index].value = .string(SHA1.hex("secret" + consumer))
            moved.spec = .record(entries)
        }
        random.append(moved)
    }
    let live = stored(random)
    let again = read(file, known: live.known)
    #expect(again.map(\.id) == random.map(\.id))
    #expect(again.map(\.spec) == random.map(\.spec))
    #expect(derived.map(\.id) != random.map(\.id))
}

@Test("references lead to what is stored when the file does not declare it")
func refersToStored() throws {
    let base = read(
        "_format_version: \"3.0\"\nservices: [{name: api, host: h}]\nconsumers: [{username: ada, custom_id: a1}]")
    let live = stored(base)
    let more = read(
        """
        _format_version: "3.0"
        routes: [{name: r, paths: [/], service: api}]
        plugins:
        - {name: rate-limiting, service: api, config: {minute: 1}}
        - {name: rate-limiting, consumer: ada, config: {minute: 1}}
        acls: [{consumer: ada, group: g}]
        """, known: live.known)
    let service = try #require(base.first { $0.kind == .services }).id.description
    #expect(more.first { $0.kind == .routes }?.spec["service"]["id"].string == service)
    #expect(more.filter { $0.kind == .plugins }.first?.spec["service"]["id"].string == service)
    #expect(more.count == 4)
    let (none, findings) = KongEntities.read(
        Array("_format_version: \"3.0\"\nroutes: [{name: r, paths: [/], service: apo}]".utf8), file: "f.yml",
        known: live.known)
    #expect(none.isEmpty)
    #expect(findings.map(\.code) == ["K130"])
}

@Test("specs are complete: every field in the schema's order, sugar expanded, passwords hashed once")
func completeSpecs() throws {
    let records = read(
        """
        _format_version: "3.0"
        services: [{name: api, url: "https://example.com/v1", tags: [zone=eu]}]
        routes: [{name: g, protocols: [grpc], paths: [/pkg.Service/], service: api}]
        upstreams: [{name: u, targets: [{target: "[::1]"}]}]
        consumers: [{username: ada, basicauth_credentials: [{username: ada, password: "{vault://env/pw}"}, {username: b, password: pw}]}]
        """)
    let service = try #require(records.first { $0.kind == .services })
    #expect(
        String(decoding: service.spec.json, as: UTF8.self)
            == """
            {"id":"\(service.id)","created_at":null,"updated_at":null,"tags":["zone=eu"],"name":"api","retries":5,\
            "protocol":"https","host":"example.com","port":443,"path":"/v1","connect_timeout":60000,\
            "write_timeout":60000,"read_timeout":60000,"client_certificate":null,"tls_verify":null,\
            "tls_verify_depth":null,"ca_certificates":null,"enabled":true}
            """)
    #expect(service.name == "api")
    #expect(records.first { $0.kind == .routes }?.spec["strip_path"] == .bool(false))
    #expect(records.first { $0.kind == .targets }?.spec["target"].string == "[::1]:8000")
    let passwords = records.filter { $0.kind == .basicAuthCredentials }
    let consumer = try #require(records.first { $0.kind == .consumers }).id
    #expect(passwords.first?.spec["password"].string == "{vault://env/pw}")
    #expect(passwords.last?.spec["password"].string == SHA1.hex("pw\(consumer)"))
    let live = stored(records, environment: ["PW": "pw"])
    #expect(
        live.model.basicAuthCredentials.map(\.passwordHash) == [SHA1.hex("pw\(consumer)"), SHA1.hex("pw\(consumer)")])
}
