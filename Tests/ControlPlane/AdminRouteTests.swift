// Paths, pages and errors of the Admin API, and the document that describes them.

@testable import ControlPlane
import Foundation
import Model
import Store
import Testing

@Suite("admin routes")
struct AdminRouteTests {
    static let table = AdminRouteTable()

    static func action(_ method: String, _ path: String) -> AdminAction? {
        table.match(AdminRequest.segments(path))?.route.operations.first { "\($0.method)" == method }?.action
    }

    @Test(
        "paths lead to their operations, literals before names",
        arguments: [
            ("GET", "/services", AdminAction.entity(.list, .services)),
            ("POST", "/services/", .entity(.create, .services)),
            ("PUT", "/services/a%2Fb", .entity(.replace, .services)),
            (
                "PATCH", "/services/a/routes/b",
                .nested(.update, Nesting(parent: .services, child: .routes, field: "service"))
            ),
            ("GET", "/routes/a/service", .foreign(.get, Nesting(parent: .services, child: .routes, field: "service"))),
            (
                "POST", "/consumers/a/key-auth",
                .nested(.create, Nesting(parent: .consumers, child: .keyAuthCredentials, field: "consumer"))
            ),
            ("GET", "/key-auths", .entity(.list, .keyAuthCredentials)),
            ("GET", "/upstreams/a/targets/all", .allTargets),
            ("GET", "/plugins/enabled", .enabledPlugins),
            ("POST", "/schemas/plugins/validate", .validatePlugin),
            ("POST", "/schemas/services/validate", .validateEntity),
            ("GET", "/schemas/plugins/cors", .pluginSchema),
            ("GET", "/", .node),
        ])
    func paths(_ method: String, _ path: String, _ expected: AdminAction) {
        #expect(Self.action(method, path) == expected)
    }

    @Test(
        "what is not in the table is nowhere", arguments: ["/targets", "/services//a", "/services/a/b/c/d", "/nothing"])
    func unknown(_ path: String) {
        #expect(Self.table.match(AdminRequest.segments(path)) == nil)
    }

    @Test("Allow names HEAD and OPTIONS besides the operations")
    func allow() throws {
        let route = try #require(Self.table.match(["services"])).route
        #expect(route.allow == "GET, HEAD, OPTIONS, POST")
    }

    @Test("no two routes have the same path, and every path parameter has a name of its own in it")
    func unambiguous() {
        let paths = Self.table.routes.map(\.path)
        #expect(Set(paths).count == paths.count)
        for route in Self.table.routes { #expect(Set(route.parameters).count == route.parameters.count) }
    }

    // MARK: Pages

    static func resources(_ count: Int) -> [Resource] {
        (0..<count).map { number in
            Resource(
                key: ResourceKey(type: "services", id: Identifier(high: 1, low: UInt64(number))), name: "s\(number)",
                spec: [])
        }
    }

    @Test("pages follow each other without gaps, whatever is hidden", arguments: [1, 2, 3, 7, 100])
    func pages(_ size: Int) throws {
        let all = Self.resources(20)
        func isShown(_ resource: Resource) -> Bool { resource.key.id.low % 3 != 0 }
        var seen: [Resource] = []
        var query = ["size": String(size)]
        for _ in 0..<30 {
            let page = try Paging(query).page(all, where: isShown)
            seen += page.page
            guard let last = page.last else { break }
            #expect(page.page.count == size)
            query["offset"] = Paging.offset(last)
        }
        #expect(seen == all.filter(isShown))
    }

    @Test("a page that ends with the last entity has no next")
    func exact() throws {
        #expect(try Paging(["size": "20"]).page(Self.resources(20)) { _ in true }.last == nil)
        #expect(try Paging(["size": "19"]).page(Self.resources(20)) { _ in true }.last != nil)
    }

    @Test(
        "sizes, offsets and tags that make no sense are told so",
        arguments: [
            ("size", "0", 9), ("size", "1001", 9), ("size", "-1", 9), ("size", "x", 9), ("size", "1.5", 9),
            ("size", "nan", 9), ("size", "1e400", 9), ("offset", "", 7), ("offset", "x", 7),
            ("offset", "AAAAAAAAAAAAAAAAAAAAAB", 7), ("tags", "a,b/c", 11), ("tags", "", 11), ("tags", ",", 11),
        ])
    func mistakes(_ name: String, _ value: String, _ code: Int) throws {
        let fault = #expect(throws: AdminFault.self) { try Paging([name: value]) }
        let body = try ConfigValue(json: try #require(fault?.answer.body))
        #expect(body["code"].int == code)
    }

    @Test("offsets hold any id")
    func offsets() throws {
        for id in [Identifier(), Identifier(high: .max, low: .max), Identifier(high: 1 << 63, low: 1)] {
            #expect(try Paging(["offset": Paging.offset(id)]).after == id)
        }
    }

    // MARK: Errors

    @Test("violations read as Kong writes them")
    func violations() throws {
        var tree = ViolationTree()
        tree.add("host", "required field missing")
        tree.add("", "at least one of these fields must be non-empty: 'a', 'b'")
        tree.add("config.limits[2]", "expected a number")
        let body = try ConfigValue(json: try #require(KongError.schemaViolation(tree).answer.body))
        #expect(body["code"].int == 2)
        let message = body["message"].string ?? ""
        #expect(message.hasPrefix("3 schema violations (at least one of these fields must be non-empty: 'a', 'b'; "))
        #expect(message.hasSuffix("; host: required field missing)"))
        #expect(body["fields"]["host"].string == "required field missing")
        #expect(body["fields"]["config"]["limits"]["2"].string == "expected a number")
        #expect(body["fields"]["@entity"].strings.count == 1)
    }

    @Test("values that are not unique are shown as a key")
    func unique() throws {
        let error = ChangeError.notUnique(type: "acls", field: "consumer,group", value: "c,g")
        let body = try ConfigValue(json: try #require(AdminFault(error).answer.body))
        #expect(body["code"].int == 5)
        #expect(body["message"].string == "UNIQUE violation detected on '{consumer={id=\"c\"},group=\"g\"}'")
        #expect(body["fields"]["consumer"]["id"].string == "c")
    }

    // MARK: The document

    @Test("every operation of the table is in the document, secured, and every reference leads somewhere")
    func document() throws {
        let document = AdminDocument(Self.table).value
        let schemas = Set(document["components"]["schemas"].entries?.map(\.key) ?? [])
        var identifiers: Set<String> = []
        for route in Self.table.routes {
            for operation in route.operations {
                let described = document["paths"][route.path]["\(operation.method)".lowercased()]
                #expect(described["security"].array?.isEmpty == false, "\(route.path)")
                #expect(!described["responses"].isNull)
                let id = try #require(described["operationId"].string)
                #expect(identifiers.insert(id).inserted, "\(id)")
            }
        }
        let text = String(decoding: document.json, as: UTF8.self)
        for part in text.components(separatedBy: "\"#/components/schemas/").dropFirst() {
            let name = String(part.prefix { $0 != "\"" })
            #expect(schemas.contains(name), "\(name)")
        }
    }
}
