// One entity out of a request: whole, or refused in Kong's words.

import Dialects
import Foundation
import Model
import Testing

private let service = Identifier(high: 1, low: 1)

private func complete(
    _ kind: EntityKind, _ json: String, expressions: Bool = false, hashesPasswords: Bool = true
) throws -> Result<EntityRecord, EntityViolations> {
    KongEntities.complete(
        kind, input: try ConfigValue(json: Array(json.utf8)), now: 1_700_000_000_250, expressions: expressions,
        hashesPasswords: hashesPasswords, known: { $1 == "api" || $1 == "ada" ? service : nil })
}

private func violations(_ kind: EntityKind, _ json: String, expressions: Bool = false) throws -> EntityViolations {
    switch try complete(kind, json, expressions: expressions) {
    case .success(let record):
        Issue.record("accepted \(record)")
        return EntityViolations()
    case .failure(let violations): return violations
    }
}

@Test("an entity is completed: defaults, sugar, references by id, times, an id")
func completes() throws {
    let made = try complete(.services, #"{"name":"s","url":"https://example.com/x","id":null,"tags":["a"]}"#).get()
    #expect(made.name == "s")
    #expect(made.spec["port"].int == 443)
    #expect(made.spec["path"].string == "/x")
    #expect(made.spec["url"].isNull)
    #expect(made.spec["created_at"].int == 1_700_000_000)
    #expect(made.spec["id"].string == made.id.description)
    #expect(made.spec.entries?.map(\.key).prefix(5) == ["id", "created_at", "updated_at", "tags", "name"])
    let other = try complete(.services, #"{"name":"s","host":"h"}"#).get()
    #expect(other.id != made.id)

    let id = "7f9f1d0c-0f5e-4b8e-9d39-0000000000ab"
    let route = try complete(
        .routes, #"{"id":"\#(id)","paths":["/"],"service":{"name":"api"},"created_at":5}"#
    ).get()
    #expect(route.id.description == id)
    #expect(route.spec["service"]["id"].string == service.description)
    #expect(route.spec["created_at"].int == 5)
    #expect(route.spec["protocols"].strings == ["http", "https"])
    let far = try complete(.routes, #"{"paths":["/"],"service":{"id":"\#(id)"}}"#).get()
    #expect(far.spec["service"]["id"].string == id)

    let target = try complete(.targets, #"{"target":"10.0.0.1","upstream":{"id":"\#(id)"}}"#).get()
    #expect(target.spec["target"].string == "10.0.0.1:8000")
    #expect(target.spec["created_at"].number == 1_700_000_000.25)

    let plugin = try complete(.plugins, #"{"name":"rate-limiting","config":{"minute":5,"redis_host":"r"}}"#).get()
    #expect(plugin.spec["config"]["policy"].string == "local")
    #expect(plugin.spec["config"]["redis"]["host"].string == "r")
    #expect(plugin.spec["config"]["redis_host"].isNull)
}

@Test("what Kong makes up is made up, and passwords are hashed once")
func generates() throws {
    let consumer = #""consumer":{"id":"00000000-0000-0001-0000-000000000001"}"#
    let key = try complete(.keyAuthCredentials, "{\(consumer)}").get()
    #expect(key.spec["key"].string?.utf8.count == 32)
    let jwt = try complete(.jwtSecrets, "{\(consumer)}").get()
    #expect(jwt.spec["key"].string?.utf8.count == 32)
    #expect(jwt.spec["secret"].string?.utf8.count == 32)
    #expect(jwt.spec["key"] != jwt.spec["secret"])
    let basic = try complete(.basicAuthCredentials, "{\(consumer),\"username\":\"u\",\"password\":\"p\"}").get()
    let hash = SHA1.hex("p00000000-0000-0001-0000-000000000001")
    #expect(basic.spec["password"].string == hash)
    let again = try complete(
        .basicAuthCredentials, "{\(consumer),\"username\":\"u\",\"password\":\"\(hash)\"}", hashesPasswords: false
    ).get()
    #expect(again.spec["password"].string == hash)
}

@Test("a record that was completed completes to itself")
func isStable() throws {
    let inputs: [(EntityKind, String)] = [
        (.services, #"{"name":"s","url":"https://example.com/x"}"#),
        (.routes, #"{"paths":["/a","~/b"],"headers":{"x":["1"],"a":["2"]},"service":{"name":"api"}}"#),
        (.upstreams, #"{"name":"u","hash_on":"header","hash_on_header":"x","healthchecks":{"active":{"type":"tcp"}}}"#),
        (.consumers, #"{"username":"ada"}"#),
        (.plugins, #"{"name":"rate-limiting","config":{"minute":5}}"#),
        (.plugins, #"{"name":"request-transformer","config":{"add":{"headers":["a:b"]}}}"#),
        (.keys, #"{"kid":"a","jwk":"{}","name":"k"}"#),
        (.vaults, #"{"prefix":"my-env","name":"env"}"#),
        (.acls, #"{"group":"g","consumer":{"username":"ada"}}"#),
        (.certificates, #"{"cert":"c","key":"k"}"#),
    ]
    for (kind, json) in inputs {
        let first = try complete(kind, json).get()
        let second = try complete(kind, String(decoding: first.spec.json, as: UTF8.self)).get()
        #expect(second.spec == first.spec, "\(kind)")
        var live = LiveModel()
        let findings = live.apply([.put(kind, first.id, order: 1, spec: first.spec.json)])
        #expect(findings.allSatisfy { $0.severity != .error || $0.code == "K130" }, "\(findings)")
    }
}

/// A request and Kong's answer.
struct Refusal: Sendable, CustomTestStringConvertible {
    var kind: EntityKind
    var input: String
    var fields: String
    var testDescription: String { "\(kind) \(input)" }

    init(_ kind: EntityKind, _ input: String, _ fields: String) {
        self.kind = kind
        self.input = input
        self.fields = fields
    }

    static let all: [Refusal] = [
        Refusal(.services, #"{}"#, #"{"host":"required field missing"}"#),
        Refusal(.services, #"{"host":"h","prot":"http"}"#, #"{"prot":"unknown field"}"#),
        Refusal(.services, #"{"host":5,"port":"x"}"#, #"{"host":"expected a string","port":"expected an integer"}"#),
        Refusal(.services, #"{"host":"h","port":70000}"#, #"{"port":"value should be between 0 and 65535"}"#),
        Refusal(.services, #"{"host":"h:80"}"#, #"{"host":"must not have a port"}"#),
        Refusal(
            .services, #"{"host":"h","name":"a b"}"#,
            #"{"name":"invalid value 'a b': the only accepted ascii characters are alphanumerics or ., -, _, and ~"}"#),
        Refusal(
            .services, #"{"host":"h","protocol":"htp"}"#,
            #"{"protocol":"expected one of: grpc, grpcs, http, https, tcp, tls, tls_passthrough, udp"}"#),
        Refusal(.services, #"{"host":"h","path":"x"}"#, #"{"path":"should start with: /"}"#),
        Refusal(.services, #"{"host":"h","path":"/a//b"}"#, #"{"path":"must not have empty segments"}"#),
        Refusal(
            .services, #"{"host":"h","protocol":"tcp","path":"/"}"#,
            #"{"path":"value must be null","@entity":["failed conditional validation given value of field 'protocol'"]}"#
        ),
        Refusal(.services, #"{"url":"example.com"}"#, #"{"url":"missing scheme in url"}"#),
        Refusal(.services, #"{"host":"h","id":"x"}"#, #"{"id":"expected a valid UUID"}"#),
        Refusal(
            .services, #"{"host":"h","tags":["a","b,c"]}"#,
            #"{"tags":[null,"invalid tag 'b,c': expected printable ascii (except `,` and `/`) or valid utf-8 sequences"]}"#
        ),
        Refusal(
            .routes, #"{"paths":["foo"]}"#, #"{"paths":["should start with: / (fixed path) or ~/ (regex path)"]}"#),
        Refusal(.routes, #"{"paths":["/a%2"]}"#, #"{"paths":["invalid url-encoded value: '%2'"]}"#),
        Refusal(
            .routes, #"{"paths":["/a/../b"]}"#, #"{"paths":["non-normalized path, consider use '/b' instead"]}"#),
        Refusal(
            .routes, #"{"hosts":["*.a.*"],"methods":["get"]}"#,
            #"{"hosts":["invalid wildcard: must have at most one wildcard"],"methods":["invalid value: get"]}"#),
        Refusal(
            .routes, #"{}"#,
            #"{"@entity":["must set one of 'methods', 'hosts', 'headers', 'paths', 'snis' when 'protocols' is 'https'"]}"#
        ),
        Refusal(
            .routes, #"{"protocols":["http","tcp"],"paths":["/"]}"#,
            #"{"protocols":"these sets are mutually exclusive: ('http', 'https'), ('tcp', 'tls', 'udp')"}"#),
        Refusal(
            .routes, #"{"protocols":["grpc"],"methods":["GET"],"hosts":["a"],"strip_path":true}"#,
            #"{"methods":"cannot set 'methods' when 'protocols' is 'grpc' or 'grpcs'","strip_path":"cannot set 'strip_path' when 'protocols' is 'grpc' or 'grpcs'"}"#
        ),
        Refusal(
            .routes, #"{"paths":["/"],"headers":{"Host":["a"]}}"#,
            #"{"headers":"cannot contain 'host' header, which must be specified in the 'hosts' attribute"}"#),
        Refusal(.routes, #"{"paths":["/"],"service":{"id":"x"}}"#, #"{"service":{"id":"expected a valid UUID"}}"#),
        Refusal(.routes, #"{"paths":["/"],"protocols":[]}"#, #"{"protocols":"length must be at least 1"}"#),
        Refusal(
            .consumers, #"{}"#,
            #"{"@entity":["at least one of these fields must be non-empty: 'custom_id', 'username'"]}"#),
        Refusal(
            .consumers, #"{"username":""}"#,
            #"{"username":"length must be at least 1","@entity":["at least one of these fields must be non-empty: 'custom_id', 'username'"]}"#
        ),
        Refusal(
            .plugins, #"{"name":"corss"}"#,
            #"{"name":"plugin 'corss' not enabled; add it to the 'plugins' configuration property"}"#),
        Refusal(
            .plugins, #"{"name":"rate-limiting","config":{}}"#,
            #"{"@entity":["at least one of these fields must be non-empty: 'config.second', 'config.minute', 'config.hour', 'config.day', 'config.month', 'config.year'"]}"#
        ),
        Refusal(
            .plugins, #"{"name":"rate-limiting","config":{"minute":"5","redis":{"prt":1}}}"#,
            #"{"config":{"minute":"expected a number","redis":{"prt":"unknown field"}}}"#),
        Refusal(
            .plugins, #"{"name":"rate-limiting","config":{"minute":5,"hour":1}}"#,
            #"{"@entity":["The limit for hour(1.0) cannot be lower than the limit for minute(5.0)"]}"#),
        Refusal(
            .plugins, #"{"name":"cors","consumer":{"id":"7f9f1d0c-0f5e-4b8e-9d39-000000000001"}}"#,
            #"{"consumer":"value must be null"}"#),
        Refusal(
            .upstreams, #"{"name":"u","hash_on":"header"}"#,
            #"{"hash_on_header":"required field missing","@entity":["failed conditional validation given value of field 'hash_on'"]}"#
        ),
        Refusal(.upstreams, #"{"name":"1.2.3.4"}"#, #"{"name":"Invalid name ('1.2.3.4'); no ip addresses allowed"}"#),
        Refusal(
            .targets, #"{"target":"a:b:c","upstream":{"id":"7f9f1d0c-0f5e-4b8e-9d39-000000000001"}}"#,
            #"{"target":"Invalid target ('a:b:c'); not a valid hostname or ip address"}"#),
        Refusal(.acls, #"{}"#, #"{"consumer":"required field missing","group":"required field missing"}"#),
        Refusal(
            .keys, #"{"kid":"a"}"#,
            #"{"@entity":["at least one of these fields must be non-empty: 'jwk', 'pem'","only one of these fields must be non-empty: 'jwk', 'pem'"]}"#
        ),
        Refusal(
            .snis, #"{"name":"a.*.b","certificate":{"id":"7f9f1d0c-0f5e-4b8e-9d39-000000000001"}}"#,
            #"{"name":"wildcard must be leftmost or rightmost character"}"#),
    ]
}

@Test("a request is refused in Kong's words", arguments: Refusal.all)
func refuses(refusal: Refusal) throws {
    let found = try violations(refusal.kind, refusal.input)
    #expect(String(decoding: found.fields.json, as: UTF8.self) == refusal.fields)
}

@Test("Kong's message counts the violations")
func messages() throws {
    #expect(try violations(.services, "{}").message == "schema violation (host: required field missing)")
    #expect(
        try violations(.services, #"{"port":"x","tags":["a,b"]}"#).message
            == "3 schema violations (host: required field missing; port: expected an integer; tags.1: invalid tag 'a,b': expected printable ascii (except `,` and `/`) or valid utf-8 sequences)"
    )
    #expect(
        try violations(.consumers, "{}").message
            == "schema violation (at least one of these fields must be non-empty: 'custom_id', 'username')")
}

@Test("slips of the hand get a suggestion, names that lead nowhere are told apart")
func suggestions() throws {
    let found = try violations(.routes, #"{"path":["/"],"hosts":["a"],"service":{"name":"apo"}}"#)
    #expect(found.violations.map(\.remedy) == ["did you mean paths?"])
    #expect(found.unresolved == [.init(field: "service", key: "name", value: "apo", target: .services)])
}

@Test("what only the readers of files find is told too")
func deeper() throws {
    let found = try violations(.routes, #"{"paths":["/"],"expression":"http.path == \"/\""}"#)
    #expect(found.violations.map(\.field) == ["expression"])
    let vault = try violations(.vaults, #"{"prefix":"my-vault","name":"hcv"}"#)
    #expect(vault.violations.map(\.field) == ["name"])
    let policy = try violations(.plugins, #"{"name":"rate-limiting","config":{"minute":5,"policy":"redis"}}"#)
    #expect(policy.violations.map(\.field) == ["config.policy"])
}
