// The state of one load: the document, what was found wrong, and the model so far.

import Bytes
import Model

/// Kong's declarative formats. Before 3.0 a path could be a regex without saying so.
enum FormatVersion: String {
    case v1 = "1.1"
    case v2 = "2.1"
    case v3 = "3.0"
}

/// Where an entity is declared: it and the entities around it, for messages.
struct Scope {
    var kind: EntityKind
    var node: Int
}

/// A foreign key that was read as text; resolved when all entities are known.
struct PendingReference {
    var kind: EntityKind
    var index: Int
    var field: String
    var target: EntityKind
    var text: String
    var scopes: [Scope]
    var node: Int
}

/// What is made of what is read.
enum LoadPurpose {
    /// A file that a gateway is to run.
    case file
    /// A file that is to be stored: records are collected, vault references stay as written.
    case records
    /// As `records`, for one entity out of a request: nothing in it has a line.
    case request
    /// What is stored, for a gateway to run: nothing has a line, secrets are hashed already.
    case stored

    var collectsRecords: Bool { self == .records || self == .request }
    var resolvesVaults: Bool { self == .file || self == .stored }
    var hasPlaces: Bool { self == .file || self == .records }
}

/// How a file is to be read.
struct LoadOptions {
    /// Its name, for findings.
    var file: String
    var environment: [String: String]
    var isLenient: Bool
    /// The router has expressions.
    var hasExpressions: Bool
    var purpose = LoadPurpose.file
    /// What is stored, for references that leave the file.
    var known: KnownEntities = { _, _ in nil }
}

/// One load. Lives on one thread from `KongFile.load` to its return.
final class KongLoader {
    /// Findings kept; past it, one more says that there are others.
    static let findingsLimit = 1000

    /// Changes between the parts of what is stored; a file is one document.
    private(set) var document: Document
    let file: String
    let environment: [String: String]
    let isLenient: Bool
    let hasExpressions: Bool
    let purpose: LoadPurpose
    let known: KnownEntities
    /// Maps a line of the rendered text to the file's.
    let sourceLine: (Int) -> Int

    var model = GatewayModel()
    var findings: [Diagnostic] = []
    private var dropped = 0
    /// Counts those that were not kept, too.
    var findingsMade: Int { findings.count + dropped }

    var format = FormatVersion.v3
    /// False: secrets are already hashed.
    var transforms = true
    /// `_info.defaults` by entity kind.
    var fileDefaults: [EntityKind: Int] = [:]
    /// `_plugin_configs` by name.
    var sharedConfigs: [String: Int] = [:]

    var scopes: [Scope] = []
    var path: [PathPart] = []
    var pending: [PendingReference] = []
    /// Ids taken, with the line that took them, by kind.
    var ids: [EntityKind: [Identifier: Int]] = [:]
    /// Targets and groups, side by side with where they stand and the index of their parent; moved into
    /// it at the end.
    var targets: [TargetEntity] = []
    var targetScopes: [[Scope]] = []
    var targetParents: [Int] = []
    var groups: [String] = []
    var groupHeads: [EntityHead] = []
    var groupScopes: [[Scope]] = []
    var groupParents: [Int] = []
    var pluginScopes: [[Scope]] = []
    /// Values that lenient loading leaves out of the lists and fields that hold them.
    var leftOut: Set<Int> = []
    /// Configurations of plugins that gave no finding, by a hash of what is written.
    var knownConfigs: [Int: KnownConfig] = [:]
    /// Complete records of schemas that nothing was written for.
    var defaultRecords: [ObjectIdentifier: ConfigValue] = [:]
    /// Entities to be stored, in the order in which they were read.
    var drafts: [Draft] = []
    /// What references that leave the file lead to; -2 is the first.
    var externals: [Identifier] = []
    var externalIndices: [Identifier: Int] = [:]
    /// Basic-auth credentials whose stored password is a vault reference: what is behind it is not hashed yet.
    var unhashedPasswords: [Int] = []
    /// A vault reference was resolved, or could not be.
    var hasVaultReferences = false
    /// The name of a stored entity, for messages about a reference to it by id.
    var displayName: (EntityKind, String) -> String? = { _, _ in nil }
    /// Prefixes of environment variables by vault.
    var vaultPrefixes: [String: String] = [:]
    var symbolPositions: [ObjectIdentifier: [Int16]] = [:]
    var namespaces: [EntityKind: Identifier] = [:]

    struct KnownConfig {
        var schema: RecordSchema
        var node: Int
        var value: ConfigValue
    }

    enum PathPart {
        case key(String)
        case element(Int)
    }

    init(document: Document, options: LoadOptions, sourceLine: @escaping (Int) -> Int) {
        self.document = document
        file = options.file
        environment = options.environment
        isLenient = options.isLenient
        hasExpressions = options.hasExpressions
        purpose = options.purpose
        known = options.known
        self.sourceLine = sourceLine
    }

    /// Goes on with another part of what is stored. Everything that names nodes of the last one is forgotten.
    func goOn(with document: Document) {
        self.document = document
        symbolPositions = [:]
        knownConfigs = [:]
        leftOut = []
        for index in pending.indices { pending[index].node = Document.none }
    }

    // MARK: Findings

    /// Adds a finding about `node`; `field` is appended to the path that is being read.
    func report(
        _ code: DiagnosticCode, _ severity: Diagnostic.Severity = .error, at node: Int, field: String = "",
        in scopes: [Scope]? = nil, _ message: String, remedy: String
    ) {
        guard findings.count < Self.findingsLimit else {
            dropped += 1
            return
        }
        let place =
            node == Document.none || !purpose.hasPlaces ? Position(line: 0, column: 0) : document.position(node)
        var text = scopes == nil ? fieldPath : ""
        if !field.isEmpty { text += text.isEmpty ? field : ".\(field)" }
        findings.append(
            Diagnostic(
                severity, code: code.rawValue, file: file, line: place.line == 0 ? 0 : sourceLine(place.line),
                column: place.column, entity: label(scopes ?? self.scopes), field: text, message: message,
                remedy: remedy))
    }

    /// What lenient loading leaves out and strict loading refuses.
    func refuse(_ code: DiagnosticCode, at node: Int, field: String = "", _ message: String, remedy: String) {
        report(code, isLenient ? .omitted : .error, at: node, field: field, message, remedy: remedy)
    }

    /// All findings by place; the file's author reads from top to bottom.
    func sortedFindings() -> [Diagnostic] {
        var sorted = findings.enumerated().sorted {
            ($0.element.line, $0.element.column, $0.offset) < ($1.element.line, $1.element.column, $1.offset)
        }.map(\.element)
        if dropped > 0 {
            sorted.append(
                Diagnostic(
                    code: DiagnosticCode.tooManyFindings.rawValue, file: file, entity: "the file",
                    message: "\(dropped) more findings are not shown", remedy: "correct the ones above first"))
        }
        return sorted
    }

    private var fieldPath: String {
        var text = ""
        for part in path {
            switch part {
            case .key(let key): text += text.isEmpty ? key : ".\(key)"
            case .element(let index): text += "[\(index + 1)]"
            }
        }
        return text
    }

    // MARK: Labels

    /// `route "users"`, `plugin cors on service "api"`.
    func label(_ scopes: [Scope]) -> String {
        guard let scope = scopes.last else { return "the file" }
        let own = ownLabel(scope)
        switch scope.kind {
        case .plugins:
            if scopes.count > 1 { return "\(own) on \(ownLabel(scopes[scopes.count - 2]))" }
            for (field, kind) in [("route", "route"), ("service", "service"), ("consumer", "consumer")] {
                if let name = referenceText(document.member(scope.node, field)) {
                    return "\(own) on \(kind) \"\(displayName(Self.parentKinds[field] ?? .services, name) ?? name)\""
                }
            }
            return own
        case .targets, .snis, .acls, .keyAuthCredentials, .basicAuthCredentials, .hmacAuthCredentials, .jwtSecrets,
            .oauth2Credentials:
            if scopes.count > 1 { return "\(own) of \(ownLabel(scopes[scopes.count - 2]))" }
            if let name = referenceText(document.member(scope.node, "consumer")) {
                return "\(own) of consumer \"\(displayName(.consumers, name) ?? name)\""
            }
            return own
        case .services, .routes, .upstreams, .consumers, .certificates, .caCertificates, .vaults, .keySets, .keys:
            return own
        }
    }

    private static let parentKinds: [String: EntityKind] = [
        "route": .routes, "service": .services, "consumer": .consumers,
    ]

    private func ownLabel(_ scope: Scope) -> String {
        let fields: [String] =
            switch scope.kind {
            case .services, .routes, .upstreams, .snis, .keySets, .keys, .plugins: ["name", "kid", "id"]
            case .targets: ["target", "id"]
            case .consumers: ["username", "custom_id", "id"]
            case .acls: ["group"]
            case .vaults: ["prefix"]
            // A credential's name may be the secret itself.
            case .keyAuthCredentials, .basicAuthCredentials, .hmacAuthCredentials, .jwtSecrets, .oauth2Credentials,
                .certificates, .caCertificates:
                ["id"]
            }
        for field in fields where document.kind(scope.node) == .record {
            let node = document.member(scope.node, field)
            guard node != Document.none, let name = document.string(node), !name.isEmpty else { continue }
            return scope.kind == .plugins ? "plugin \(name)" : "\(scope.kind.singular) \"\(name)\""
        }
        return "a \(scope.kind.singular)"
    }

    /// A foreign key as written: text, or a record with an id or a name.
    func referenceText(_ node: Int) -> String? {
        guard node != Document.none else { return nil }
        if let text = document.string(node) { return text }
        guard document.kind(node) == .record else { return nil }
        for field in ["id", "name", "username"] {
            let member = document.member(node, field)
            if member != Document.none, let text = document.string(member) { return text }
        }
        return nil
    }
}
