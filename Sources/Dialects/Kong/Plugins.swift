// Plugins: which can run, on what, and their configuration made complete.

import Bytes
import Model

extension KongLoader {
    /// Fields of plugins that formats before 3.0 knew by another name.
    private static let renamedFields: [String: [String: String]] = [
        "acl": ["whitelist": "allow", "blacklist": "deny"],
        "ip-restriction": ["whitelist": "allow", "blacklist": "deny"],
    ]

    func addPlugin(_ fields: Fields, _ node: Int, _ parent: Parent?) {
        let schema = EntitySchemas.plugin
        guard let name = string(fields, schema["name"]) else { return }
        let isEnabled = bool(fields, schema["enabled"]) ?? true
        guard let description = runnable(name, at: fields[schema["name"]], isEnabled: isEnabled) else { return }
        var plugin = PluginEntity()
        plugin.name = name
        plugin.instanceName = string(fields, schema["instance_name"]) ?? ""
        plugin.isEnabled = isEnabled
        plugin.protocols = description.defaultProtocols
        if fields.has(schema["protocols"]) {
            plugin.protocols = protocols(fields, schema["protocols"])
            if let odd = plugin.protocols.first(where: { !description.protocols.contains($0) }) {
                report(
                    .badValue, at: fields[schema["protocols"]], field: "protocols",
                    "\(name) does not work on \(odd.rawValue)",
                    remedy: "use \(description.protocols.map(\.rawValue).sorted().joined(separator: ", "))")
            }
        }
        guard let config = configuration(of: description, fields, node) else { return }
        plugin.config = config
        plugin.head = head(.plugins, fields, node) {
            if !plugin.instanceName.isEmpty { return plugin.instanceName }
            let scope = ["route", "service", "consumer"].map { keyPart(fields, schema[$0], parent, .plugins) }
            return "plugins:\(name):\(scope.joined(separator: ":"))"
        }
        let index = model.plugins.count
        plugin.route = link(fields, schema["route"], to: .routes, from: .plugins, index, parent)
        plugin.service = link(fields, schema["service"], to: .services, from: .plugins, index, parent)
        plugin.consumer = link(fields, schema["consumer"], to: .consumers, from: .plugins, index, parent)
        if !description.allowsConsumer, plugin.consumer >= 0 || fields.has(schema["consumer"]) {
            report(
                .pluginScope, at: node, field: "consumer", "\(name) cannot be configured for one consumer",
                remedy: "put it on a route, a service, or everywhere")
        }
        model.plugins.append(plugin)
        pluginScopes.append(scopes)
    }

    private func protocols(_ fields: Fields, _ position: Int) -> [GatewayProtocol] {
        let known = strings(fields, position, unique: true).compactMap { GatewayProtocol(rawValue: $0) }
        if known.isEmpty, document.count(fields[position]) > 0 {
            report(
                .enterpriseField, at: fields[position], field: "protocols",
                "the protocols ws and wss exist in Kong Enterprise only",
                remedy: "write http and https; WebSockets work over them")
        }
        return known
    }

    /// The plugin's description if Seaway runs it; otherwise a finding that says why not.
    private func runnable(_ name: String, at node: Int, isEnabled: Bool) -> PluginDescription? {
        let standing = PluginCatalog.standing(name)
        if case .supported(let description) = standing { return description }
        guard isEnabled else {
            report(
                .disabledPlugin, .warning, at: node, field: "name",
                "Seaway has no plugin \(name); as it is disabled, it is left out", remedy: "remove it to silence this")
            return nil
        }
        var remedy = "remove it, or start with --lenient to run without it"
        if PluginCatalog.authenticates(name) { remedy += "; what it protects is then open to everyone" }
        switch standing {
        case .supported(let description): return description
        case .notYet:
            refuse(
                .unsupportedPlugin, at: node, field: "name", "Kong plugin \(name) is not supported by Seaway yet",
                remedy: remedy)
        case .enterprise:
            refuse(
                .enterprisePlugin, at: node, field: "name", "\(name) exists in Kong Enterprise only", remedy: remedy)
        case .unknown:
            let near = Suggestion.nearest(to: name, in: PluginCatalog.allNames)
            refuse(
                .unknownPlugin, at: node, field: "name",
                near == nil
                    ? "\(name) is no bundled plugin; custom Lua plugins do not run in Seaway"
                    : "unknown plugin \(name)",
                remedy: near.map { "did you mean \($0)?" } ?? "remove it, or start with --lenient to run without it")
        }
        return nil
    }

    // MARK: Configuration

    /// Distinct configurations remembered; large files repeat a few of them many times.
    private static let knownConfigsLimit = 4096

    /// The plugin's `config` with defaults filled in; nil when it must be left out. Equal ones that gave no
    /// finding are read once and share their memory.
    private func configuration(of plugin: PluginDescription, _ fields: Fields, _ node: Int) -> ConfigValue? {
        let own = fields[EntitySchemas.plugin["config"]]
        guard document.member(node, "_config") == Document.none, own != Document.none else {
            return freshConfiguration(of: plugin, own, node)
        }
        var hasher = Hasher()
        hasher.combine(ObjectIdentifier(plugin.config))
        document.combine(own, into: &hasher)
        let key = hasher.finalize()
        if let known = knownConfigs[key], known.schema === plugin.config, document.areEqual(known.node, own) {
            return known.value
        }
        let before = findingsMade
        let value = freshConfiguration(of: plugin, own, node)
        if let value, findingsMade == before, knownConfigs.count < Self.knownConfigsLimit {
            knownConfigs[key] = KnownConfig(schema: plugin.config, node: own, value: value)
        }
        return value
    }

    private func freshConfiguration(of plugin: PluginDescription, _ own: Int, _ node: Int) -> ConfigValue? {
        var records = own == Document.none ? [] : [own]
        let reference = document.member(node, "_config")
        if reference != Document.none, let name = document.string(reference) {
            if let shared = sharedConfigs[name] {
                records.append(shared)
            } else {
                report(
                    .missingReference, at: reference, field: "_config", "_plugin_configs has no \"\(name)\"",
                    remedy: "add it, or correct the name")
            }
        }
        path.append(.key("config"))
        defer { path.removeLast() }
        var renamed: [(key: String, entry: Int)] = []
        var config = read(records, plugin.config) { key, entry in
            guard Self.renamedFields[plugin.name]?[key] != nil else { return false }
            renamed.append((key, entry))
            return true
        }
        for (key, entry) in renamed { move(key, entry, into: &config, plugin) }
        reportMissing(config, at: own == Document.none ? node : own)
        let place = { (field: String) -> Int in
            for record in records {
                let member = self.document.kind(record) == .record ? self.document.member(record, field) : Document.none
                if member != Document.none { return member }
            }
            return own == Document.none ? node : own
        }
        let value = complete(config)
        var keeps = true
        for problem in PluginChecks.problems(plugin.name, value) {
            if problem.code == .unsupportedSetting {
                refuse(
                    problem.code, at: place(problem.field), field: problem.field, problem.message,
                    remedy: problem.remedy)
                keeps = false
            } else {
                report(
                    problem.code, at: place(problem.field), field: problem.field, problem.message,
                    remedy: problem.remedy)
            }
        }
        return keeps ? value : nil
    }

    private func move(_ key: String, _ entry: Int, into config: inout Fields, _ plugin: PluginDescription) {
        guard let name = Self.renamedFields[plugin.name]?[key] else { return }
        let position = plugin.config[name]
        let value = document.value(entry)
        guard format != .v3 else {
            refuse(
                .unknownField, at: entry, field: key, "\(key) was renamed when Kong 3.0 came",
                remedy: "write \(name)")
            return
        }
        guard document.kind(value) != .null, isValid(value, plugin.config.fields[position]) else { return }
        if !config.has(position) { config.nodes[position] = value }
    }

    /// The record as a value, with defaults for what is absent and deprecated spellings moved.
    private func complete(_ fields: Fields) -> ConfigValue {
        var entries: [ConfigValue.Entry] = []
        for (index, field) in fields.schema.fields.enumerated() where field.movedTo.isEmpty {
            entries.append(ConfigValue.Entry(field.name, value(fields, index, field)))
        }
        var record = ConfigValue.record(entries)
        for (index, field) in fields.schema.fields.enumerated() where !field.movedTo.isEmpty && fields.has(index) {
            report(
                .deprecated, .warning, at: fields[index], field: field.name, "\(field.name) is deprecated",
                remedy: "write \(Self.nesting(field.movedTo))")
            set(field.movedTo[...], in: &record, to: value(fields, index, field))
        }
        return record
    }

    /// `redis: { host: … }` for redis, host.
    private static func nesting(_ path: [String]) -> String {
        path.joined(separator: ": { ") + ": …" + String(repeating: " }", count: path.count - 1)
    }

    private func set(_ path: ArraySlice<String>, in record: inout ConfigValue, to value: ConfigValue) {
        guard let key = path.first, case .record(var entries) = record,
            let index = entries.firstIndex(where: { $0.key == key })
        else { return }
        if path.count == 1 {
            entries[index].value = value
        } else {
            set(path.dropFirst(), in: &entries[index].value, to: value)
        }
        record = .record(entries)
    }

    /// The value of a field, its default if it has none.
    func value(_ fields: Fields, _ index: Int, _ field: FieldSchema) -> ConfigValue {
        if case .record(let schema) = field.type {
            if fields.has(index) { return complete(inner(fields, index, schema)) }
            // Records made of defaults alone are the same for every plugin: one copy serves all.
            if let known = defaultRecords[ObjectIdentifier(schema)] { return known }
            let record = complete(inner(fields, index, schema))
            defaultRecords[ObjectIdentifier(schema)] = record
            return record
        }
        guard fields.has(index), !leftOut.contains(fields.nodes[index]) else { return field.defaultValue }
        return value(fields[index], field)
    }

    private func value(_ node: Int, _ field: FieldSchema) -> ConfigValue {
        switch field.type {
        case .string:
            let text = document.text(node)
            guard field.isReferenceable else { return .string(text) }
            return resolveVault(text, at: node, field.name).map { .string($0) } ?? .null
        case .foreign: return .string(document.text(node))
        case .integer: return document.int(node).map { .int($0) } ?? .null
        case .number:
            if let whole = document.int(node) { return .int(whole) }
            return document.number(node).map { .double($0) } ?? .null
        case .boolean: return document.bool(node).map { .bool($0) } ?? .null
        case .array(let element):
            return .array(elements(node).filter { !leftOut.contains($0) }.map { value($0, element) })
        case .set(let element):
            var values: [ConfigValue] = []
            for child in elements(node) {
                let item = value(child, element)
                if !values.contains(item) { values.append(item) }
            }
            return .array(values)
        case .map(_, let element):
            var entries: [ConfigValue.Entry] = []
            var entry = document.firstEntry(node)
            while entry != Document.none {
                entries.append(
                    ConfigValue.Entry(document.symbols[document.symbol(entry)], value(document.value(entry), element)))
                entry = document.nextEntry(entry)
            }
            // The order of a map's keys means nothing: what is stored has one.
            if purpose.collectsRecords { entries.sort { $0.key < $1.key } }
            return .record(entries)
        case .record(let schema): return complete(read([node], schema))
        case .open: return .null
        }
    }
}
