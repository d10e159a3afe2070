// What is exported reads back as what is stored.

import Dialects
import Foundation
import Model
import Testing

private func live(_ records: [EntityRecord]) -> LiveModel {
    var live = LiveModel(environment: Fixture.environment.merging(["KEY": "k", "PW": "p"]) { a, _ in a })
    let findings = live.apply(
        records.enumerated().map { .put($1.kind, $1.id, order: UInt64($0 + 1), spec: $1.spec.json) })
    #expect(findings.allSatisfy { $0.severity != .error }, "\(findings)")
    return live
}

private func byID(_ records: [EntityRecord]) -> [Identifier: ConfigValue] {
    Dictionary(uniqueKeysWithValues: records.map { ($0.id, $0.spec) })
}

@Test(
    "an export reads back as what is stored",
    arguments: [
        "supabase.yml", "deck-dump.yml", "format-1.1.yml", "format-2.1.yml", "nested.yml", "flat.yml", "kong.json",
        "anchors.yml", "stream.yml", "transformers.yml",
    ])
func exports(name: String) throws {
    let (records, findings) = KongEntities.read(
        try Fixture.bytes(name), file: name, environment: Fixture.environment)
    try #require(!records.isEmpty, "\(findings)")
    let text = KongWriter.write(records.map { ($0.kind, $0.spec) })
    let again = KongEntities.read(text, file: "export.yml", known: live(records).known)
    #expect(
        withoutTimes(byID(again.records)) == withoutTimes(byID(records)),
        "\(String(decoding: text, as: UTF8.self))\n\(again.findings)")
    // Once more: the same text.
    let order = again.records.sorted { a, b in
        (records.firstIndex { $0.id == a.id } ?? 0) < (records.firstIndex { $0.id == b.id } ?? 0)
    }
    #expect(KongWriter.write(order.map { ($0.kind, $0.spec) }) == text)
}

private func withoutTimes(_ specs: [Identifier: ConfigValue]) -> [Identifier: ConfigValue] {
    specs.mapValues { spec in
        .record((spec.entries ?? []).filter { $0.key != "created_at" && $0.key != "updated_at" })
    }
}

@Test("an export nests, names what it refers to and leaves out what is usual")
func exportShape() throws {
    let (records, findings) = KongEntities.read(
        Array(
            """
            _format_version: "3.0"
            services:
            - name: api
              url: https://example.com/v1
              tags: [zone=eu]
              routes:
              - name: users
                paths: ["/users", "~/u/(?<id>\\\\d+)$"]
                methods: [GET]
                plugins: [{name: rate-limiting, config: {minute: 5}}]
            - {name: "yes", host: h}
            consumers:
            - username: ada
              basicauth_credentials: [{username: ada, password: pw}]
              keyauth_credentials: [{key: "{vault://env/key}"}, {key: "null"}]
              acls: [{group: admins}]
            plugins:
            - {name: cors}
            - {name: request-termination, service: api, consumer: ada, config: {message: "a: b # c"}}
            """.utf8), file: "kong.yml")
    try #require(!records.isEmpty, "\(findings)")
    let ada = try #require(records.first { $0.kind == .consumers }).id
    let vaulted = try #require(records.first { $0.spec["key"].string?.hasPrefix("{vault") == true }).id
    #expect(
        String(decoding: KongWriter.write(records.map { ($0.kind, $0.spec) }), as: UTF8.self)
            == """
            _format_version: "3.0"
            _transform: false
            services:
            - name: api
              tags:
              - zone=eu
              protocol: https
              host: example.com
              port: 443
              path: /v1
              routes:
              - name: users
                methods:
                - GET
                paths:
                - /users
                - "~/u/(?<id>\\\\d+)$"
                plugins:
                - name: rate-limiting
                  config:
                    minute: 5
            - name: "yes"
              host: "h"
            consumers:
            - username: ada
              id: "\(ada)"
              acls:
              - group: admins
              keyauth_credentials:
              - id: "\(vaulted)"
                key: "{vault://env/key}"
              - key: "null"
              basicauth_credentials:
              - username: ada
                password: \(hash(ada))
            plugins:
            - name: cors
            - name: request-termination
              service: api
              consumer: ada
              config:
                message: "a: b # c"

            """.replacing("id: \"\(ada)\"", with: shown(ada)).replacing("id: \"\(vaulted)\"", with: shown(vaulted)))
}

/// An id or a hash is quoted unless it begins with a letter.
private func shown(_ id: Identifier) -> String {
    id.description.first?.isLetter == true ? "id: \(id)" : "id: \"\(id)\""
}

private func hash(_ consumer: Identifier) -> String {
    let hash = SHA1.hex("pw\(consumer)")
    return hash.first?.isLetter == true ? hash : "\"\(hash)\""
}

@Test("any text survives in YAML, as a value and as a key")
func texts() throws {
    let odd = [
        "", " ", "yes", "no", "on", "y", "~", "null", "010", "1e3", "0x1f", "1:30", ".5", "-", "- a", "a: b", "a #b",
        "#",
        "a\nb", "a\nb\n", "a\n\nb\n\n", " a\nb", "a \nb", "\ta", "a\u{0}b", "a\u{7F}", "é", "😀", "\u{85}", "\u{2028}",
        "\u{FEFF}", "\"", "'", "\\", "{a}", "[a]", "*a", "&a", "!a", "|", ">", "%", "@a", "`", "a:", ":a", "---", "...",
        "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n", "<<", "=", "2001-01-01", "1_000", "$x",
        "a\r\nb",
    ]
    for text in odd {
        let spec = ConfigValue.record([
            .init("id", .string("7f9f1d0c-0f5e-4b8e-9d39-000000000001")), .init("username", .string("u")),
            .init("custom_id", .string(text)),
        ])
        let yaml = KongWriter.write([(.consumers, spec)])
        let (documents, findings) = ConfigDocument.read(yaml, file: "x.yml")
        #expect(
            documents.first?.value["consumers"].array?.first?["custom_id"] == .string(text),
            "\(text.debugDescription) \(findings) \(String(decoding: yaml, as: UTF8.self))")
    }
}

@Test("documents of any shape are read with their lines")
func documents() throws {
    let text = """
        # first
        type: Service
        name: api
        spec:
          host: example.com
          paths:
            - /a
            - /b
        ---
        ---
        type: Role
        name: reader
        """
    let (documents, findings) = ConfigDocument.read(Array(text.utf8), file: "x.yml")
    #expect(findings.isEmpty)
    try #require(documents.count == 2)
    #expect(documents[0].value["spec"]["paths"] == .array([.string("/a"), .string("/b")]))
    #expect(documents[0].place(of: "spec.host") == (5, 3))
    #expect(documents[0].place(of: "spec.paths[2]") == (8, 7))
    #expect(documents[0].place(of: "spec.paths[3].x") == (6, 3))
    #expect(documents[0].place(of: "spec.port") == (4, 1))
    #expect(documents[1].place(of: "name") == (12, 1))
    #expect(documents[1].place(of: "") == (11, 1))
    let json = ConfigDocument.read(Array(#"[{"type":"A"},{"type":"B"}]"#.utf8), file: "x.json").documents
    #expect(json.map { $0.value["type"].string } == ["A", "B"])
    let broken = ConfigDocument.read(Array("a: 1\nb: [\n".utf8), file: "x.yml")
    #expect(broken.documents.isEmpty)
    #expect(broken.findings.map(\.code) == ["K001"])
    let twice = ConfigDocument.read(Array("a: 1\n---\nb: 1\nb: 2\n".utf8), file: "x.yml")
    #expect(twice.documents.isEmpty)
    #expect(twice.findings.map(\.line) == [4])
    let bomb =
        "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: &f [*e,*e,*e,*e,*e,*e,*e,*e,*e]\ng: [*f,*f,*f,*f,*f,*f,*f,*f,*f]\n"
    #expect(ConfigDocument.read(Array(bomb.utf8), file: "x.yml").findings.map(\.code) == ["K003"])
}

@Test("schemas are told in Kong's shape")
func schemas() throws {
    let service = SchemaJSON.entity(.services)
    func field(_ schema: ConfigValue, _ name: String) -> ConfigValue {
        schema["fields"].array?.first { !$0[name].isNull }?[name] ?? .null
    }
    #expect(
        String(decoding: field(service, "protocol").json, as: UTF8.self)
            == #"{"type":"string","required":true,"default":"http","one_of":["grpc","grpcs","http","https","tcp","tls","tls_passthrough","udp"]}"#
    )
    #expect(
        String(decoding: field(service, "retries").json, as: UTF8.self)
            == #"{"type":"integer","default":5,"between":[0,32767]}"#)
    #expect(field(service, "client_certificate")["reference"].string == "certificates")
    #expect(field(service, "url").isNull)
    #expect(service["shorthand_fields"].array?.count == 1)
    for name in PluginCatalog.supported.keys {
        let plugin = try #require(SchemaJSON.plugin(name))
        let config = field(plugin, "config")
        #expect(config["type"].string == "record")
        let known = try #require(PluginCatalog.supported[name])
        #expect(config["fields"].array?.count == known.config.fields.count { $0.movedTo.isEmpty })
    }
    #expect(SchemaJSON.plugin("nothing") == nil)
    #expect(field(try #require(SchemaJSON.plugin("cors")), "consumer").entries?.last?.key == "eq")
}
