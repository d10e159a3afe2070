// Bodies of the Admin API: forms become typed values, multipart parts become fields, nothing hostile gets far.

@testable import ControlPlane
import Foundation
import Model
import Testing

@Suite("admin bodies")
struct AdminBodyTests {
    static func form(_ text: String) throws -> FormBody { try #require(FormBody(urlencoded: Array(text.utf8))) }

    static func json(_ text: String) throws -> ConfigValue { try ConfigValue(json: Array(text.utf8)) }

    @Test(
        "a form becomes what the same entity is in JSON",
        arguments: [
            ("name=a&host=h&port=8080", #"{"name":"a","host":"h","port":8080}"#),
            ("enabled=false&path=", #"{"enabled":false,"path":null}"#),
            ("tags[]=a&tags[]=b", #"{"tags":["a","b"]}"#),
            ("tags=a&tags=b", #"{"tags":["a","b"]}"#),
            ("tags[2]=b&tags[1]=a", #"{"tags":["a","b"]}"#),
            ("tags=only", #"{"tags":["only"]}"#),
            ("client_certificate.id=x", #"{"client_certificate":{"id":"x"}}"#),
            ("path=%2Fa%20b+c", #"{"path":"/a b c"}"#),
            ("port=none", #"{"port":"none"}"#),
            ("unknown=1", #"{"unknown":"1"}"#),
        ])
    func services(_ text: String, _ expected: String) throws {
        #expect(try Self.form(text).value(EntitySchemas.service) == Self.json(expected))
    }

    @Test("nested names reach records, arrays of records and maps")
    func nested() throws {
        let upstream = try Self.form("healthchecks.active.healthy.interval=5&healthchecks.threshold=1.5")
        #expect(
            try upstream.value(EntitySchemas.upstream)
                == Self.json(#"{"healthchecks":{"active":{"healthy":{"interval":5}},"threshold":1.5}}"#))
        let route = try Self.form("sources[1].ip=1.2.3.4&sources[1].port=80&headers.x-a[]=v")
        #expect(
            try route.value(EntitySchemas.route)
                == Self.json(#"{"sources":[{"ip":"1.2.3.4","port":80}],"headers":{"x-a":["v"]}}"#))
    }

    @Test("a plugin's config takes its types from the plugin that the form, or the entity, names")
    func plugins() throws {
        let form = try Self.form("name=rate-limiting&config.minute=5&config.fault_tolerant=false")
        let expected = try Self.json(
            #"{"name":"rate-limiting","config":{"minute":5,"fault_tolerant":false}}"#)
        #expect(form.value(EntitySchemas.plugin) == expected)
        let patch = try Self.form("config.minute=5")
        #expect(
            try patch.value(EntitySchemas.plugin, plugin: "rate-limiting") == Self.json(#"{"config":{"minute":5}}"#))
        #expect(try patch.value(EntitySchemas.plugin) == Self.json(#"{"config":{"minute":"5"}}"#))
    }

    @Test("names that contradict each other change nothing and trap nowhere")
    func contradictions() throws {
        #expect(try Self.form("a=1&a.b=2").plain == Self.json(#"{"a":"1"}"#))
        #expect(try Self.form("a.b=2&a=1").plain == Self.json(#"{"a":{"b":"2"}}"#))
        #expect(try Self.form("a[]=2&a.b=1").plain == Self.json(#"{"a":["2"]}"#))
        #expect(try Self.form(".a=1&b.=2&[]=3&a[x]=4").plain.entries?.count == 4)
        #expect(try Self.form("=&&=1&a[99999999999999999999]=1").plain.entries != nil)
    }

    @Test("as many pairs and steps as the limits say, and not one more")
    func limits() throws {
        let pairs = (0..<FormBody.pairsLimit).map { "a\($0)=1" }
        #expect(FormBody(urlencoded: Array(pairs.joined(separator: "&").utf8)) != nil)
        #expect(FormBody(urlencoded: Array((pairs + ["b=1"]).joined(separator: "&").utf8)) == nil)
        let steps = Array(repeating: "a", count: FormBody.stepsLimit)
        #expect(FormBody(urlencoded: Array("\(steps.joined(separator: "."))=1".utf8)) != nil)
        #expect(FormBody(urlencoded: Array("\((steps + ["a"]).joined(separator: "."))=1".utf8)) == nil)
    }

    @Test("random forms never trap")
    func random() {
        let seed = UInt64.random(in: 0...UInt64.max)
        print("seed \(seed)")
        var state = seed
        func next(_ bound: Int) -> Int {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int(state >> 33) % bound
        }
        let alphabet = Array("ab.[]=&%1+\r\n-;\"".utf8)
        for _ in 0..<2000 {
            let bytes = (0..<next(60)).map { _ in alphabet[next(alphabet.count)] }
            _ = FormBody(urlencoded: bytes)?.value(EntitySchemas.route)
            _ = MultipartBody.form(bytes, contentType: "multipart/form-data; boundary=ab")
        }
    }

    // MARK: Multipart

    static let boundary = "multipart/form-data; boundary=\"xx\""

    @Test("parts become fields; a JSON part is a value; line ends inside a part stay")
    func multipart() throws {
        let body = [
            "preamble", "--xx", "Content-Disposition: form-data; name=\"cert\"", "", "line 1", "line 2", "--xx",
            "content-disposition: form-data; name=tags", "Content-Type: application/json", "", "[\"a\"]", "--xx",
            "Content-Disposition: form-data; name=\"key\"; filename=\"k.pem\"", "", "", "--xx--", "after",
        ].joined(separator: "\r\n")
        let form = try #require(MultipartBody.form(Array(body.utf8), contentType: Self.boundary))
        let value = form.value(EntitySchemas.certificate)
        #expect(value["cert"].string == "line 1\r\nline 2")
        #expect(value["tags"].strings == ["a"])
        #expect(value["key"].isNull)
    }

    @Test(
        "a body without end, names or boundary is refused",
        arguments: [
            "", "--xx", "--xx\r\n", "--xx\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nv",
            "--xx\r\nContent-Disposition: form-data\r\n\r\nv\r\n--xx--", "--xx\r\nno head\r\n--xx--",
        ])
    func damaged(_ body: String) {
        #expect(MultipartBody.form(Array(body.utf8), contentType: Self.boundary) == nil)
    }

    @Test("without a boundary there is nothing to find")
    func boundaries() {
        #expect(MultipartBody.form(Array("--\r\n".utf8), contentType: "multipart/form-data") == nil)
        #expect(MultipartBody.form(Array("--\r\n".utf8), contentType: "multipart/form-data; boundary=") == nil)
    }

    // MARK: PATCH

    @Test("a patch merges records, replaces lists and maps, and keeps what it does not name")
    func merging() throws {
        let stored = try Self.json(
            #"{"name":"u","tags":["a"],"healthchecks":{"threshold":0,"active":{"type":"http","headers":{"a":["1"]}}}}"#)
        let body = try Self.json(#"{"tags":["b"],"healthchecks":{"active":{"headers":{"b":["2"]}}}}"#)
        let expected = try Self.json(
            #"{"name":"u","tags":["b"],"healthchecks":{"threshold":0,"active":{"type":"http","headers":{"b":["2"]}}}}"#)
        #expect(SpecMerge.merge(body, onto: stored, EntitySchemas.upstream) == expected)
    }

    @Test("a url in a patch takes the place of protocol, host, port and path")
    func url() throws {
        let stored = try Self.json(#"{"name":"s","protocol":"https","host":"a","port":1,"path":"/p","retries":5}"#)
        let merged = SpecMerge.merge(try Self.json(#"{"url":"http://b"}"#), onto: stored, EntitySchemas.service)
        #expect(merged == (try Self.json(#"{"name":"s","retries":5,"url":"http://b"}"#)))
    }
}
