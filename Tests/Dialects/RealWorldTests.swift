// Constructs that published kong.yml files have, each reduced to the lines that matter.

import Dialects
import Model
import Testing

/// Findings as `code:line`, with `!` for warnings and `-` for things left out.
private func told(_ text: String, lenient: Bool = false) -> [String] {
    load(text, lenient: lenient).findings.map { finding in
        switch finding.severity {
        case .error: "\(finding.code):\(finding.line)"
        case .warning: "\(finding.code):\(finding.line)!"
        case .omitted: "\(finding.code):\(finding.line)-"
        }
    }
}

@Test("what a dump of Kong Enterprise writes without meaning anything by it is accepted")
func idleEnterpriseFields() throws {
    let result = load(
        """
        _format_version: "3.0"
        _konnect: {control_plane_name: default}
        services:
        - name: a
          host: a.example
          tls_sans: null
          plugins:
          - name: basic-auth
            ordering: null
            condition: null
            config: {realm: service, brute_force_protection: {strategy: off, redis: {host: 127.0.0.1}}}
          - name: key-auth
            protocols: [grpc, grpcs, http, https, ws, wss]
            config: {identity_realms: [{id: null, region: null, scope: cp}]}
          - name: acl
            config: {allow: [a], deny: null, include_consumer_groups: false}
          - name: rate-limiting
            config: {minute: 5, redis: {host: null, port: 6379, cloud_authentication: null}}
        upstreams:
        - name: pool
          sticky_sessions_cookie: null
          sticky_sessions_cookie_path: /
          targets: [{target: "a:80", failover: false}]
        consumers:
        - {username: x, groups: [], type: null}
        """)
    #expect(result.findings.isEmpty, "\(result.findings)")
    let model = try #require(result.model)
    #expect(model.plugins[1].protocols == [.grpc, .grpcs, .http, .https])
}

@Test(
    "a field of Kong Enterprise that means something is refused by name",
    arguments: [
        "{name: acl, config: {allow: [a], include_consumer_groups: true}}",
        "{name: basic-auth, config: {brute_force_protection: {strategy: redis}}}",
        "{name: key-auth, config: {identity_realms: [{scope: realm, id: x}]}}",
        "{name: cors, condition: 'http.method == \"GET\"'}",
        "{name: cors, protocols: [ws, wss]}",
    ])
func enterpriseFieldInUse(plugin: String) {
    #expect(told("_format_version: '3.0'\nplugins:\n- \(plugin)") == ["K123:3"])
}

@Test("a target that waits for a failover is not quietly used as one that does not")
func failoverTarget() {
    let text = "_format_version: '3.0'\nupstreams:\n- name: a\n  targets:\n  - {target: 'a:80', failover: true}"
    #expect(told(text) == ["K123:5"])
    #expect(told(text, lenient: true) == ["K123:5-"])
}

@Test("WebSocket protocols of a service or a route are refused with what to write")
func webSocketProtocols() {
    let result = load(
        """
        _format_version: "3.0"
        services:
        - {name: a, host: a, protocol: wss}
        routes:
        - {paths: [/a], protocols: [ws]}
        """)
    #expect(
        result.findings.map { "\($0.code):\($0.line) \($0.remedy)" } == [
            "K123:3 write https; WebSockets work over it", "K123:5 write http; WebSockets work over it",
        ])
}

@Test("a plugin's field beside config is sent into config")
func fieldBesideConfig() {
    let result = load("_format_version: '1.1'\nplugins:\n- name: key-auth\n  hide_credentials: false")
    #expect(
        result.findings.map { "\($0.code):\($0.line) \($0.remedy)" }
            == ["K100:4 move it into config:, where key-auth has a field of that name"])
}

@Test("a top-level key without its underscore is recognised")
func missingUnderscore() {
    let result = load("format_version: '1.1'\nservices: []")
    #expect(result.findings.map(\.code) == ["K020", "K120"])
    #expect(result.findings.last?.remedy == "did you mean _format_version?")
}

@Test(
    "a placeholder that a script should have filled in is named as one",
    arguments: [
        "{name: a, url: 'http://$AUTH_HOST:9999/verify'}", "{name: a, url: 'http://$AUTH_HOST:$AUTH_PORT/'}",
        "{name: a, url: 'http://api:${PORT:-5046}'}", "{name: a, host: '${API_HOST}'}",
        "{name: a, host: '{{ api_host }}'}",
    ])
func placeholders(service: String) {
    let result = load("_format_version: '3.0'\nservices:\n- \(service)")
    #expect(
        result.findings.map { "\($0.code):\($0.line) \($0.message)" } == ["K103:3 a placeholder that nobody filled in"])
}

@Test("a placeholder as a secret loads, as it does in Kong, with a warning")
func placeholderSecrets() throws {
    let result = load(
        """
        _format_version: "2.1"
        consumers:
        - username: anon
          keyauth_credentials:
          - key: $SUPABASE_ANON_KEY
          - key: "${API_KEY}"
          - key: $2y$10$notOne
          - key: "#hash"
        basicauth_credentials:
        - {consumer: anon, username: u, password: "$PASSWORD"}
        """)
    #expect(
        result.findings.map { "\($0.code):\($0.line) \($0.severity)" } == [
            "K103:5 warning", "K103:6 warning", "K103:10 warning",
        ])
    #expect(try #require(result.model).keyAuthCredentials.count == 4)
}

@Test(
    "a plain path of 3.0 that looks like a pattern loads with a warning",
    arguments: [
        ("/api/files/*/download", true), ("/users/{id}", true), ("/items/:id", true), ("/a/[0-9]+", true),
        ("/user/<int:id>", true),
        ("/v1/images:annotate", false), ("/api/~/x", false), ("/odata/Products(1)", false), ("~/users/[^/]+", false),
    ])
func patternsInPlainPaths(path: String, warns: Bool) throws {
    let result = load("_format_version: '3.0'\nroutes:\n- paths: ['\(path)']")
    #expect(result.findings.map { "\($0.code):\($0.line)" } == (warns ? ["K103:3"] : []))
    #expect(try #require(result.model).routes[0].paths == [path])
}

@Test("in format 1.1 and 2.1 such a path is the pattern that it looks like, and nothing is said")
func patternsOfOlderFormats() throws {
    let result = load("_format_version: '1.1'\nroutes:\n- paths: ['/tenant/[0-9a-z]+/users', '/api/*']")
    #expect(result.findings.isEmpty)
    #expect(try #require(result.model).routes[0].paths == ["~/tenant/[0-9a-z]+/users", "~/api/*"])
}

@Test("a deprecated spelling's remedy is a piece of YAML that can be written")
func deprecatedRemedy() {
    let result = load("_format_version: '3.0'\nplugins:\n- name: rate-limiting\n  config: {minute: 1, redis_host: r}")
    #expect(result.findings.map { "\($0.code) \($0.remedy)" } == ["K106 write redis: { host: … }"])
}

@Test(
    "pairs of the transformers hold to Kong's rules",
    arguments: [
        ("request-transformer", "{rename: {headers: ['X-A:X-B'], querystring: ['a:b']}}", true),
        ("request-transformer", "{rename: {headers: ['X-A: X-B']}}", false),
        ("request-transformer", "{rename: {headers: ['X-A:']}}", false),
        ("request-transformer", "{add: {querystring: ['a:']}}", false),
        ("request-transformer", "{add: {headers: ['X-A: some value; q=1']}}", true),
        ("request-transformer", "{add: {headers: [\"X-A:a\\r\\nX-B:b\"]}}", false),
        ("response-transformer", "{rename: {headers: ['X-A:X B']}}", false),
        ("response-transformer", "{add: {headers: ['X-T: $(date)', 'access-control-allow-origin:*']}}", true),
        ("response-transformer", "{append: {headers: [\"X-A:a\\nX-B:b\"]}}", false),
    ])
func pairs(plugin: String, config: String, isAccepted: Bool) {
    #expect(
        told("_format_version: '3.0'\nplugins:\n- name: \(plugin)\n  config: \(config)")
            == (isAccepted ? [] : ["K103:4"]))
}

@Test("prometheus may be configured for one consumer, as in Kong")
func prometheusForConsumer() {
    #expect(told("_format_version: '3.0'\nconsumers:\n- username: a\n  plugins:\n  - name: prometheus").isEmpty)
}

@Test("empty and null sections are no sections")
func emptySections() {
    #expect(told("_format_version: '3.0'\nservices: null\nroutes:\nplugins:\nconsumers: []\nupstreams: {}").isEmpty)
}

@Test("each plugin that cannot run is refused by name at its line, and left out and listed when lenient")
func unsupportedPlugins() throws {
    let text = """
        _format_version: "3.0"
        services:
        - name: api
          url: http://api
          plugins:
          - name: jwt
            config: {claims_to_verify: [exp]}
          - name: rate-limiting
            config: {minute: 60, policy: redis, redis: {host: r}}
          - name: key-auth
        plugins:
        - name: response-ratelimiting
          config: {limits: {video: {minute: 10}}}
        - name: rate-limiting-advanced
          config: {limit: [10]}
        - name: my-lua-plugin
        - name: file-log
          enabled: false
        """
    #expect(told(text) == ["K142:6", "K143:9", "K142:12", "K141:14", "K140:16", "K146:17!"])
    let lenient = load(text, lenient: true)
    #expect(told(text, lenient: true) == ["K142:6-", "K143:9-", "K142:12-", "K141:14-", "K140:16-", "K146:17!"])
    #expect(try #require(lenient.model).plugins.map(\.name) == ["key-auth"])
    for (finding, name) in zip(
        lenient.findings,
        ["jwt", "rate-limiting", "response-ratelimiting", "rate-limiting-advanced", "my-lua-plugin", "file-log"])
    {
        #expect(finding.message.contains(name) && finding.entity.contains(name))
    }
}

@Test("equal configurations are read once, each mistake is told at every place")
func repeatedConfigurations() throws {
    let good = load(
        """
        _format_version: "3.0"
        services:
        - {name: a, host: a, plugins: [{name: rate-limiting, config: {minute: 5}}]}
        - {name: b, host: b, plugins: [{name: rate-limiting, config: {minute: 5}}]}
        - {name: c, host: c, plugins: [{name: rate-limiting, config: {minute: 6}}]}
        - {name: d, host: d, plugins: [{name: rate-limiting, config: {hour: 5}}]}
        - {name: e, host: e, plugins: [{name: cors, config: {max_age: 5}}, {name: request-transformer, config: {}}]}
        - {name: f, host: f, plugins: [{name: cors, config: {}}, {name: response-transformer, config: {}}]}
        """)
    let plugins = try #require(good.model, "\(good.findings)").plugins
    #expect(plugins.prefix(4).map { $0.config["minute"].int } == [5, 5, 6, nil])
    #expect(plugins[0].config == plugins[1].config && plugins[3].config["hour"].int == 5)
    #expect(plugins[4].config["max_age"].int == 5 && plugins[6].config["max_age"].isNull)
    #expect(plugins[5].config["http_method"].isNull && plugins[7].config["add"]["json_types"].array == [])
    #expect(
        told(
            """
            _format_version: "3.0"
            services:
            - {name: a, host: a, plugins: [{name: cors, config: {max_agee: 5}}]}
            - {name: b, host: b, plugins: [{name: cors, config: {max_agee: 5}}]}
            - {name: c, host: c, plugins: [{name: rate-limiting, config: {minute: 1, redis_host: r}}]}
            - {name: d, host: d, plugins: [{name: rate-limiting, config: {minute: 1, redis_host: r}}]}
            """) == ["K100:3", "K100:4", "K106:5!", "K106:6!"])
}

@Test("a Lua expression in a template costs a lenient file that one header and nothing else")
func lenientTemplates() throws {
    let text = """
        _format_version: "3.0"
        plugins:
        - name: request-transformer
          config:
            add: {headers: ["Content-Profile: public", "X-Request-ID:$(uuid)", "X-User:$(headers.user)"]}
            replace: {uri: "/x/$(os.time())", headers: ["Host:a"]}
        """
    #expect(told(text) == ["K144:5", "K144:6"])
    let result = load(text, lenient: true)
    #expect(
        result.findings.map { "\($0.code):\($0.line) \($0.severity) \($0.field)" } == [
            "K144:5 omitted config.add.headers[2]", "K144:6 omitted config.replace.uri",
        ])
    let config = try #require(result.model).plugins[0].config
    #expect(config["add"]["headers"].strings == ["Content-Profile: public", "X-User:$(headers.user)"])
    #expect(config["replace"]["uri"].isNull && config["replace"]["headers"].strings == ["Host:a"])
}

@Test("leaving an authentication plugin out is said to open what it protects", arguments: ["jwt", "openid-connect"])
func leftOutAuthentication(name: String) {
    let result = load("_format_version: '3.0'\nplugins:\n- name: \(name)", lenient: true)
    #expect(result.findings.map(\.severity) == [.omitted])
    #expect(result.findings[0].remedy.hasSuffix("what it protects is then open to everyone"))
}

@Test(
    "protocols of plugins are those that Kong's schemas allow",
    arguments: [
        ("ip-restriction", "{deny: [10.0.0.0/8]}", "tls_passthrough", true),
        ("request-transformer", "{}", "tcp", true), ("prometheus", "{}", "udp", true),
        ("response-transformer", "{}", "tcp", false), ("cors", "{}", "tls", false), ("key-auth", "{}", "udp", false),
    ])
func pluginProtocols(name: String, config: String, proto: String, isAllowed: Bool) {
    #expect(
        told("_format_version: '3.0'\nplugins:\n- name: \(name)\n  config: \(config)\n  protocols: [http, \(proto)]")
            == (isAllowed ? [] : ["K103:5"]))
}

@Test(
    "escapes of a plain path are complete",
    arguments: [
        ("/a%2", false), ("/a%zz", false), ("/a%", false), ("/a%20b", false), ("/a%2Fb", true), ("/a b%", true),
    ])
func escapes(path: String, isAccepted: Bool) {
    // An escape of a byte that need not be escaped is not in normal form; Kong does not look at escapes when
    // other characters are out of place.
    #expect(told("_format_version: '3.0'\nroutes:\n- paths: ['\(path)']") == (isAccepted ? [] : ["K103:3"]))
}
