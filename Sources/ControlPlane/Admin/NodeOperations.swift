// What the Admin API says about this node: version, status, paths, tags, plugins, schemas.

import Dialects
import HTTPTypes
import Model
import Snapshot
import Store

extension AdminAPI {
    /// The Kong whose Admin API this is; clients choose their behaviour by it.
    static let kongVersion = "3.9.1"

    func node() -> AdminAnswer {
        let plugins = PluginCatalog.supported.values.sorted { $0.name < $1.name }.map { plugin in
            ConfigValue.Entry(
                plugin.name,
                .record([.init("version", .string(Self.kongVersion)), .init("priority", .int(plugin.priority))]))
        }
        return AdminAnswer(
            .ok,
            .record([
                .init("tagline", .string("Welcome to Seaway")),
                .init("version", .string(Self.kongVersion)),
                .init("edition", .string("community")),
                .init("hostname", .string(options.hostname)),
                .init("node_id", .string(options.nodeID.description)),
                .init(
                    "plugins",
                    .record([
                        .init("available_on_server", .record(plugins)),
                        .init("enabled_in_cluster", .array(pluginsInUse().map { .string($0) })),
                    ])),
                .init(
                    "configuration",
                    .record([
                        .init("role", .string("control_plane")),
                        .init("database", .string("postgres")),
                        .init(
                            "router_flavor", .string(options.expressions ? "expressions" : "traditional_compatible")),
                    ])),
                .init("pids", .record([])),
                .init("timers", .record([.init("running", .int(0)), .init("pending", .int(0))])),
            ]))
    }

    private func pluginsInUse() -> [String] {
        let plugins = workspace.catalog.sorted(EntityKind.plugins.rawValue)
        return Set(plugins.compactMap { SpecValue.of($0)["name"].string }).sorted()
    }

    /// The numbers are sums over the gateways' newest reports.
    func status() async -> AdminAnswer {
        let isReachable = await isStoreReachable()
        let reports = await gateways().compactMap(GatewayHealth.report)
        let requests = reports.reduce(UInt64(0)) { $0 &+ $1.requests }
        let connections = reports.reduce(0) { $0 &+ max(0, $1.connections) }
        let server: [(String, Int)] = [
            ("total_requests", Int(clamping: requests)), ("connections_active", connections),
            ("connections_accepted", 0), ("connections_handled", 0), ("connections_reading", 0),
            ("connections_writing", 0), ("connections_waiting", 0),
        ]
        return AdminAnswer(
            .ok,
            .record([
                .init("database", .record([.init("reachable", .bool(isReachable))])),
                .init("server", .record(server.map { .init($0.0, .int($0.1)) })),
                .init(
                    "memory",
                    .record([.init("workers_lua_vms", .array([])), .init("lua_shared_dicts", .record([]))])),
                .init("configuration_hash", .string(Self.hash(of: workspace.catalog.revision))),
            ]))
    }

    func ready() async -> AdminAnswer {
        await isStoreReachable()
            ? .message(.ok, "ready") : .message(.serviceUnavailable, "the database cannot be reached")
    }

    private func isStoreReachable() async -> Bool {
        do throws(StoreError) {
            try await store.ping()
            return true
        } catch {
            return false
        }
    }

    /// 32 hexadecimal digits, as Kong's hashes are: the revision's number. Zero: an empty configuration.
    static func hash(of revision: UInt64) -> String {
        let digits = String(revision, radix: 16)
        return String(repeating: "0", count: 32 - digits.count) + digits
    }

    func endpoints() -> AdminAnswer {
        let paths = Set(table.routes.map(\.path)).sorted()
        return AdminAnswer(.ok, .record([.init("data", .array(paths.map { .string($0) }))]))
    }

    func enabledPlugins() -> AdminAnswer {
        let names = PluginCatalog.supported.keys.sorted()
        return AdminAnswer(.ok, .record([.init("enabled_plugins", .array(names.map { .string($0) }))]))
    }

    // MARK: Tags

    func tags(_ request: AdminRequest) throws(AdminFault) -> AdminAnswer { try tags(request, only: nil) }

    func tag(_ request: AdminRequest) throws(AdminFault) -> AdminAnswer {
        let tag = request.first
        guard !tag.isEmpty,
            tag.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7F && $0 != UInt8(ascii: ",") && $0 != UInt8(ascii: "/") })
        else {
            throw KongError.invalidOption("tags", "invalid filter syntax: a tag has no ',' and no '/'")
        }
        return try tags(request, only: tag)
    }

    /// Every tag of every entity that the author may see; pages are cut by position.
    private func tags(_ request: AdminRequest, only: String?) throws(AdminFault) -> AdminAnswer {
        var query = request.query
        query["tags"] = nil
        let paging = try Paging(query)
        let start = Int(clamping: paging.after?.low ?? 0)
        let catalog = workspace.catalog
        var rows: [ConfigValue] = []
        for kind in EntityKind.allCases {
            for resource in catalog.sorted(kind.rawValue)
            where request.author.may(.read, type: kind.rawValue, labels: resource.labels) {
                for tag in SpecValue.tags(resource) where only == nil || tag == only {
                    rows.append(
                        .record([
                            .init("entity_name", .string(kind.rawValue)),
                            .init("entity_id", .string(resource.key.id.description)), .init("tag", .string(tag)),
                        ]))
                }
            }
        }
        let page = Array(rows.dropFirst(start).prefix(paging.size))
        var entries: [ConfigValue.Entry] = [.init("data", .array(page))]
        if start + page.count < rows.count, !page.isEmpty {
            let offset = Paging.offset(Identifier(high: 0, low: UInt64(start + page.count)))
            let path = only.map { "/tags/\(PercentCoding.encode($0))" } ?? "/tags"
            entries.append(.init("next", .string("\(path)?offset=\(offset)")))
            entries.append(.init("offset", .string(offset)))
        } else {
            entries.append(.init("next", .null))
        }
        return AdminAnswer(.ok, .record(entries))
    }

    // MARK: Schemas

    func entitySchema(_ request: AdminRequest) throws(AdminFault) -> AdminAnswer {
        AdminAnswer(.ok, SchemaJSON.entity(try kind(request.first)))
    }

    func pluginSchema(_ request: AdminRequest) throws(AdminFault) -> AdminAnswer {
        guard let schema = SchemaJSON.plugin(request.first) else {
            throw AdminFault(.notFound, "No plugin named '\(request.first)'")
        }
        return AdminAnswer(.ok, schema)
    }

    func validateEntity(_ request: AdminRequest) throws(AdminFault) -> AdminAnswer {
        try validate(try kind(request.first), request)
    }

    private func kind(_ name: String) throws(AdminFault) -> EntityKind {
        guard let kind = EntityKind(rawValue: name) else { throw AdminFault(.notFound, "No entity named '\(name)'") }
        return kind
    }

    /// Checks a body by its schema alone: references are taken to lead somewhere.
    func validate(_ kind: EntityKind, _ request: AdminRequest) throws(AdminFault) -> AdminAnswer {
        var input = try request.body.record(EntitySchemas.schema(kind))
        if kind == .certificates { _ = try ServerNames.taken(from: &input) }
        let result = KongEntities.complete(kind, input: input, now: Int(clock()), expressions: options.expressions) {
            _, text in Identifier(text) ?? Identifier()
        }
        if case .failure(let violations) = result { throw AdminFault(violations) }
        return .message(.ok, "schema validation successful")
    }
}
