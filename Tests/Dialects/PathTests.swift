// Migration of paths from formats 1.1 and 2.1, and names and parents that do not fit.

import Dialects
import Model
import Testing

@Test(
    "a path of format 2.1 becomes the path of 3.0 that means the same",
    arguments: [
        ("/plain", "/plain"), ("/plain/", "/plain/"), ("/a/./b/../c", "/a/c"), ("/a//b", "/a/b"),
        ("/%7Euser", "/~user"),
        ("/a%2fb", "/a%2Fb"), ("/users/\\d+", "~/users/\\d+"), ("/a(b|c)", "~/a(b|c)"), ("/a%2Eb+", "~/a\\.b+"),
        ("/x%41$", "~/xA$"), ("/%28x%29*", "~/%28x%29*"),
    ])
func migration(old: String, new: String) throws {
    let result = load("_format_version: \"2.1\"\nroutes:\n- paths: ['\(old)']")
    #expect(try #require(result.model, "\(result.findings)").routes[0].paths == [new])
}

@Test("in 3.0 a path that is not in normal form is refused, and the normal form is named")
func normalForm() {
    let result = load("_format_version: \"3.0\"\nroutes:\n- paths: [/%7Euser/]")
    #expect(result.findings.map(\.remedy) == ["write /~user/"])
}

@Test(
    "services take their parts from url, which wins",
    arguments: [
        ("http://a", "http", "a", 80, ""), ("https://a/", "https", "a", 443, "/"),
        ("grpcs://a:50051", "grpcs", "a", 50051, ""),
        ("http://[2001:db8::1]:81/x", "http", "2001:db8::1", 81, "/x"), ("HTTP://a/b?c=d", "http", "a", 80, "/b"),
        ("tcp://10.0.0.1:5432", "tcp", "10.0.0.1", 5432, ""),
    ])
func urls(url: String, scheme: String, host: String, port: Int, path: String) throws {
    let result = load(
        "_format_version: \"3.0\"\nservices:\n- {name: a, url: \"\(url)\", port: 9, protocol: nonsense, host: other}")
    let service = try #require(result.model, "\(result.findings)").services[0]
    #expect(service.protocol.rawValue == scheme && service.host == host && service.port == port && service.path == path)
}

@Test("references go by name or id, and a near miss is named")
func references() {
    let result = load(
        """
        _format_version: "3.0"
        services: [{name: users, url: "http://u"}]
        routes:
        - {name: a, paths: [/a], service: usres}
        - {name: b, paths: [/b], service: 00000000-0000-0000-0000-000000000001}
        """)
    #expect(
        result.findings.map { "\($0.code):\($0.line) \($0.remedy)" } == [
            "K130:4 did you mean \"users\"?", "K130:5 declare it, or correct the name",
        ])
}

@Test("a nested entity that names another parent is refused")
func otherParent() {
    let result = load(
        """
        _format_version: "3.0"
        services:
        - {name: other, url: "http://o"}
        - name: mine
          url: http://m
          routes: [{name: a, paths: [/a], service: other}, {name: b, paths: [/b], service: mine}]
        """)
    #expect(result.findings.map(\.code) == ["K132"])
}

@Test(
    "a vault reference is read from the environment",
    arguments: [
        ("{vault://env/my-key}", "from-env"), ("{vault://mine/key}", "from-app"), ("{vault://env/json/part}", "inner"),
    ])
func vaults(reference: String, value: String) throws {
    let result = load(
        """
        _format_version: "3.0"
        vaults: [{prefix: mine, name: env, config: {prefix: APP_}}]
        consumers:
        - username: a
          keyauth_credentials: [{key: "\(reference)"}]
        """, environment: ["MY_KEY": "from-env", "APP_KEY": "from-app", "JSON": "{\"part\": \"inner\"}"])
    #expect(try #require(result.model, "\(result.findings)").keyAuthCredentials[0].key == value)
}

@Test("plugin configurations are complete: defaults filled in, shared ones merged, old spellings moved")
func pluginConfig() throws {
    let result = load(
        """
        _format_version: "3.0"
        _plugin_configs:
          shared: {minute: 5, hide_client_headers: true}
        plugins:
        - name: rate-limiting
          _config: shared
          config: {minute: 9, redis_host: r.internal, redis: {port: 1}}
        """)
    let config = try #require(result.model, "\(result.findings)").plugins[0].config
    #expect(config["minute"] == .int(9))
    #expect(config["hide_client_headers"] == .bool(true))
    #expect(config["policy"] == .string("local"))
    #expect(config["redis"]["host"] == .string("r.internal"))
    #expect(config["redis"]["port"] == .int(1))
    #expect(config["redis"]["database"] == .int(0))
    #expect(config["redis_host"] == .null)
}

@Test("an anonymous consumer that does not exist is warned of", arguments: [("guest", true), ("nobody", false)])
func anonymous(name: String, exists: Bool) throws {
    let result = load(
        """
        _format_version: "3.0"
        consumers: [{username: guest}]
        plugins: [{name: key-auth, config: {anonymous: \(name)}}]
        """)
    #expect(result.model != nil)
    #expect(result.findings.map { "\($0.code):\($0.line) \($0.severity)" } == (exists ? [] : ["K130:3 warning"]))
}
