// kong.yml -> GatewayModel: templates, document, top level, entities, references.

public import Bytes
public import Model

/// Reads Kong's declarative configuration, formats 1.1, 2.1 and 3.0, YAML or JSON, as Kong or decK write it.
public enum KongFile {
    /// - Parameters:
    ///   - text: the file's bytes; they may be anything.
    ///   - file: its name, for findings; a name that ends in `.json` is read as JSON only.
    ///   - environment: what `${{ env "DECK_X" }}` and `{vault://env/x}` read from.
    ///   - lenient: leave out what Seaway does not support instead of refusing the file.
    ///   - expressions: the router is of the flavour that has expressions.
    /// - Returns: the model, nil when there are errors; and all findings, by place in the file.
    public static func load(
        _ text: Bytes, file: String, environment: [String: String] = [:], lenient: Bool = false,
        expressions: Bool = false, limits: DocumentLimits = DocumentLimits()
    ) -> (model: GatewayModel?, findings: [Diagnostic]) {
        let options = LoadOptions(
            file: file, environment: environment, isLenient: lenient, hasExpressions: expressions)
        let (loader, findings) = load(text, options, limits)
        let isUsable = !findings.contains { $0.severity == .error }
        return (isUsable ? loader?.model : nil, findings)
    }

    /// The loader after it has read the file, nil when the file is no document; and all findings.
    static func load(
        _ text: Bytes, _ options: LoadOptions, _ limits: DocumentLimits = DocumentLimits()
    ) -> (loader: KongLoader?, findings: [Diagnostic]) {
        let file = options.file
        guard text.count <= limits.bytes else {
            let problem = DocumentProblem(
                code: "K003", position: Position(line: 1, column: 1),
                message: "the file is larger than \(limits.bytes >> 20) MB", remedy: "split it")
            return (nil, [finding(problem, file) { $0 }])
        }
        guard let template = EnvironmentTemplate.render(text, environment: options.environment) else {
            return read(text, options, limits, []) { $0 }
        }
        let early = template.problems.map { finding($0, file) { $0 } }
        return template.text.withBytes {
            read($0, options, limits, early) { template.sourceLine($0) }
        }
    }

    private static func finding(_ problem: DocumentProblem, _ file: String, _ line: (Int) -> Int) -> Diagnostic {
        Diagnostic(
            code: problem.code, file: file, line: line(problem.position.line), column: problem.position.column,
            entity: "the file", message: problem.message, remedy: problem.remedy)
    }

    private static func read(
        _ text: Bytes, _ options: LoadOptions, _ limits: DocumentLimits, _ early: [Diagnostic],
        _ sourceLine: @escaping (Int) -> Int
    ) -> (loader: KongLoader?, findings: [Diagnostic]) {
        let parsed: (Document, [DocumentProblem])
        do {
            parsed = try document(text, options.file, limits)
        } catch {
            return (nil, early + [finding(error, options.file, sourceLine)])
        }
        let loader = KongLoader(document: parsed.0, options: options, sourceLine: sourceLine)
        loader.findings = early + parsed.1.map { finding($0, options.file, sourceLine) }
        loader.load()
        return (loader, loader.sortedFindings())
    }

    /// JSON when the name or the first byte says so; else YAML, of which flow maps look like JSON.
    private static func document(
        _ text: Bytes, _ file: String, _ limits: DocumentLimits
    ) throws(DocumentProblem) -> (Document, [DocumentProblem]) {
        if file.lowercased().hasSuffix(".json") { return try JSONReader.read(text, limits: limits) }
        var first = 0
        while first < text.count, text[first] <= 0x20 { first += 1 }
        if first < text.count, text[first] == UInt8(ascii: "{"), let json = try? JSONReader.read(text, limits: limits) {
            return json
        }
        return try YAMLReader.read(text, limits: limits)
    }
}

extension KongLoader {
    /// Entities of Kong Enterprise, which a dump may hold.
    static let enterpriseEntities: Set<String> = [
        "consumer_groups", "consumer_group_consumers", "consumer_group_plugins", "rbac_roles", "rbac_users",
        "rbac_role_endpoints", "rbac_role_entities", "rbac_user_roles", "admins", "licenses", "partials",
        "custom_entities",
        "files", "document_objects", "event_hooks", "keyring_meta", "keyring_keys", "developers", "applications",
        "application_instances", "degraphql_routes", "graphql_ratelimiting_cost_decorations", "mtls_auth_credentials",
        "group_rbac_roles", "groups", "service_packages", "service_versions", "header_cert_auth_credentials",
    ]
    static let unsupportedEntities: Set<String> = [
        "filter_chains", "oauth2_tokens", "oauth2_authorization_codes", "sessions", "acme_storage",
        "ratelimiting_metrics", "response_ratelimiting_metrics",
    ]
    /// Top-level keys that are no entities.
    static let fileFields = [
        "_format_version", "_transform", "_info", "_plugin_configs", "_comment", "_ignore", "_workspace", "_konnect",
    ]
    /// Kept by Kong for itself.
    static let internalEntities: Set<String> = ["parameters", "clustering_data_planes", "plugins_meta"]

    func load() {
        let root = document.root
        guard root != Document.none, document.kind(root) == .record else {
            report(
                .notAMap, at: root,
                root == Document.none ? "the file is empty" : "the top of the file is \(found(root))",
                remedy: "begin with _format_version: \"3.0\"")
            return
        }
        readFormat(root)
        readSections(root)
        for kind in EntityKind.allCases where kind == .vaults {
            // References into vaults are read with the entities that hold them: vaults first.
            collectVaults(document.member(root, kind.rawValue))
        }
        var entry = document.firstEntry(root)
        while entry != Document.none {
            readTopLevel(document.symbols[document.symbol(entry)], entry)
            entry = document.nextEntry(entry)
        }
        resolve()
    }

    private func readFormat(_ root: Int) {
        let node = document.member(root, "_format_version")
        guard node != Document.none else {
            report(
                .formatVersion, at: root, field: "_format_version", "_format_version is required",
                remedy: "add _format_version: \"3.0\" (\"2.1\" or \"1.1\" for a file of an older Kong)")
            return
        }
        if document.kind(node) == .string, let version = FormatVersion(rawValue: document.text(node)) {
            format = version
            return
        }
        // Unquoted 3.0 is a number to YAML; decK and people write it so, and it can only mean one thing.
        if document.kind(node) == .double, let version = FormatVersion(rawValue: document.text(node)) {
            format = version
            return
        }
        report(
            .formatVersion, at: node, field: "_format_version", "expected one of: 1.1, 2.1, 3.0",
            remedy: "write _format_version: \"3.0\"")
    }

    /// What later entities depend on, wherever in the file it stands.
    private func readSections(_ root: Int) {
        let transform = document.member(root, "_transform")
        if transform != Document.none, document.kind(transform) != .null {
            if let value = document.bool(transform) {
                transforms = value
            } else {
                report(
                    .section, at: transform, field: "_transform", "expected a boolean, found \(found(transform))",
                    remedy: "write true or false")
            }
        }
        readInfo(document.member(root, "_info"))
        let configs = document.member(root, "_plugin_configs")
        guard configs != Document.none, document.kind(configs) != .null else { return }
        guard document.kind(configs) == .record else {
            report(
                .section, at: configs, field: "_plugin_configs", "expected a record, found \(found(configs))",
                remedy: "write name: { … } for each shared configuration")
            return
        }
        var entry = document.firstEntry(configs)
        while entry != Document.none {
            sharedConfigs[document.symbols[document.symbol(entry)]] = document.value(entry)
            entry = document.nextEntry(entry)
        }
    }

    private static let defaultKinds: [String: EntityKind] = [
        "service": .services, "route": .routes, "upstream": .upstreams, "target": .targets,
    ]

    private func readInfo(_ info: Int) {
        guard info != Document.none, document.kind(info) == .record else { return }
        let defaults = document.member(info, "defaults")
        guard defaults != Document.none, document.kind(defaults) == .record else { return }
        var entry = document.firstEntry(defaults)
        while entry != Document.none {
            let key = document.symbols[document.symbol(entry)]
            let value = document.value(entry)
            if let kind = Self.defaultKinds[key] {
                if document.kind(value) == .record { fileDefaults[kind] = value }
            } else if document.count(value) > 0 {
                refuse(
                    .section, at: entry, field: "_info.defaults.\(key)", "no defaults can be given for \(key)",
                    remedy: "use service, route, upstream or target")
            }
            entry = document.nextEntry(entry)
        }
    }

    private func collectVaults(_ array: Int) {
        for element in elements(array) where document.kind(element) == .record {
            guard let prefix = document.string(maybe: document.member(element, "prefix")),
                document.string(maybe: document.member(element, "name")) == "env"
            else { continue }
            let config = document.member(element, "config")
            let inner = config == Document.none ? Document.none : document.member(config, "prefix")
            vaultPrefixes[prefix] = document.string(maybe: inner) ?? ""
        }
    }

    private func readTopLevel(_ key: String, _ entry: Int) {
        let value = document.value(entry)
        if let kind = EntityKind(rawValue: key) { return readEntities(kind, value, parent: nil) }
        switch key {
        case _ where Self.fileFields.contains(key): return
        case "workspaces":
            readWorkspaces(value)
            return
        default: break
        }
        let isEmpty = document.kind(value) == .null || document.kind(value) != .string && document.count(value) == 0
        if Self.internalEntities.contains(key) || isEmpty && Self.enterpriseEntities.contains(key) { return }
        if Self.enterpriseEntities.contains(key) {
            refuse(
                .enterpriseEntity, at: entry, field: key, "\(key) exist in Kong Enterprise only",
                remedy: "remove them, or start with --lenient to run without them")
        } else if Self.unsupportedEntities.contains(key) {
            if isEmpty { return }
            refuse(
                .unsupportedEntity, at: entry, field: key, "\(key) are not supported by Seaway yet",
                remedy: "remove them, or start with --lenient to run without them")
        } else {
            let near = Suggestion.nearest(to: key, in: EntityKind.allCases.map(\.rawValue) + Self.fileFields)
            refuse(
                .unknownEntityType, at: entry, field: key, "unknown entity type \(key)",
                remedy: near.map { "did you mean \($0)?" } ?? "remove it, or see docs/kong-compatibility.md")
        }
    }

    /// Dumps of a database name its one workspace.
    private func readWorkspaces(_ array: Int) {
        for element in elements(array) {
            let name =
                document.kind(element) == .record ? document.string(maybe: document.member(element, "name")) : nil
            guard name != "default" else { continue }
            refuse(
                .enterpriseEntity, at: element, field: "workspaces", "workspaces exist in Kong Enterprise only",
                remedy: "load each workspace's entities into a gateway of its own")
        }
    }
}

extension Document {
    /// The text of a string node; nil for any other kind and for `none`.
    func string(maybe node: Int) -> String? { node == Document.none ? nil : string(node) }
}
