// What a client sends of a resource, and the complete resource that is made of it.

import Dialects
import Model
import Store

/// A resource as somebody wrote it: envelope and spec.
struct ResourceInput: Sendable {
    /// `version` is what a reader was given; it has no meaning in an input.
    static let fields = ["type", "id", "name", "labels", "spec", "version"]

    var id: Identifier?
    var name: String?
    var labels: [String: String]?
    var spec: ConfigValue

    /// Strict: unknown fields are mistakes.
    init(_ value: ConfigValue, type: ResourceType) throws(ChangeError) {
        var problems = SpecProblems()
        guard let entries = value.entries else {
            problems.add("", "a resource is a record", "write {\"name\": …, \"spec\": {…}}")
            throw .invalid(problems.findings(type.kind))
        }
        problems.checkFields(entries, at: "", known: Self.fields)
        if let word = value["type"].string, word != type.plural, word != type.kind {
            problems.add("type", "this is the path of \(type.plural), not of \(word.prefix(80))", "leave type out")
        } else if value["type"].string == nil, !value["type"].isNull {
            problems.add("type", "expected a string", "leave it out")
        }
        if let text = value["id"].string {
            id = Identifier(text)
            if id == nil { problems.add("id", "expected a UUID", "leave it out to have one made") }
        } else if !value["id"].isNull {
            problems.add("id", "expected a UUID", "leave it out to have one made")
        }
        name = value["name"].string
        if name == nil, !value["name"].isNull { problems.add("name", "expected a string", "write name: \"…\"") }
        if let list = value["labels"].entries {
            var labels: [String: String] = [:]
            for entry in list {
                guard let text = entry.value.string else {
                    problems.add("labels.\(entry.key)", "expected a string", "write \(entry.key): \"value\"")
                    continue
                }
                if entry.key.isEmpty || entry.key.contains("=") {
                    problems.add("labels.\(entry.key)", "a label's key is not empty and has no =", "rename it")
                }
                labels[entry.key] = text
            }
            self.labels = labels
        } else if !value["labels"].isNull {
            problems.add("labels", "expected a map of strings", "write {\"team\": \"payments\"}")
        }
        spec = value["spec"]
        if spec.isNull { spec = .record([]) }
        if spec.entries == nil {
            problems.add("spec", "expected a record", "write the fields of a \(type.kind)")
        }
        Self.findMarks(spec, at: "spec", &problems)
        guard problems.list.isEmpty else { throw .invalid(problems.findings(type.kind)) }
    }

    /// What is stored with a merge patch of the envelope put over it.
    init(_ current: Resource, patch: ConfigValue, type: ResourceType) throws(ChangeError) {
        let spec = (try? ConfigValue(json: current.spec)) ?? .null
        let whole = ConfigValue.object([
            "name": .text(current.name), "labels": .map(current.labels), "spec": spec,
        ])
        try self.init(whole.merged(with: patch), type: type)
        // In a patch of a spec's name or tags, the envelope's copies are what was there before.
        if patch["name"].isNull { name = nil }
        if patch["labels"].isNull { labels = nil }
    }

    /// A reader who was not shown a secret must not store what stood in its place.
    private static func findMarks(_ value: ConfigValue, at path: String, _ problems: inout SpecProblems) {
        switch value {
        case .string(Redaction.mark):
            problems.add(path, "this is what stands for a secret that you were not shown", "give the secret itself")
        case .array(let values):
            for (index, value) in values.enumerated() { findMarks(value, at: "\(path)[\(index + 1)]", &problems) }
        case .record(let entries):
            for entry in entries { findMarks(entry.value, at: "\(path).\(entry.key)", &problems) }
        default: break
        }
    }
}

/// Makes whole resources of inputs.
struct ResourceWriter: Sendable {
    let workspace: Workspace
    let environment: ResourceAPI.Environment
    let clock: @Sendable () -> Int64

    /// - Parameters:
    ///   - current: what is stored under `target`.
    ///   - target: name or id in the path; nil: none.
    func draft(
        _ input: ResourceInput, of type: ResourceType, current: Resource?, target: String?, in catalog: Catalog
    ) throws(ChangeError) -> Draft {
        let id = try self.id(input, type, current, target)
        if target == nil, let id, catalog.resource(ResourceKey(type: type.plural, id: id)) != nil {
            throw .notUnique(type: type.plural, field: "id", value: id.description)
        }
        var spec = input.spec
        if let id { spec = spec.setting("id", .string(id.description)) }
        spec = try named(spec, input, type, current, target)
        guard let kind = type.entity else { return try role(spec, input, current) }
        spec = Self.labelled(spec, input.labels, current)
        let known: KnownEntities = { kind, key in workspace.known(kind, key) }
        // A password that comes back as it was shown is a hash already.
        let stored = current.flatMap { try? ConfigValue(json: $0.spec) }
        let isHashed = stored.map { !$0["password"].isNull && $0["password"] == spec["password"] } ?? false
        let result = KongEntities.complete(
            kind, input: spec, now: Int(clamping: clock()), expressions: environment.expressions,
            hashesPasswords: !isHashed, known: known)
        switch result {
        case .success(let record): return Draft(record)
        case .failure(let violations): throw .invalid(Self.findings(violations, type))
        }
    }

    private func id(
        _ input: ResourceInput, _ type: ResourceType, _ current: Resource?, _ target: String?
    ) throws(ChangeError) -> Identifier? {
        var ids: [Identifier] = []
        if let current {
            ids.append(current.key.id)
        } else if let id = target.flatMap({ Identifier($0) }) {
            ids.append(id)
        }
        if let id = input.id { ids.append(id) }
        if let id = input.spec["id"].string.flatMap({ Identifier($0) }) { ids.append(id) }
        guard let first = ids.first else { return nil }
        guard ids.allSatisfy({ $0 == first }) else {
            throw Self.mistake(type, "id", "it has another id: \(first)", "leave id out; ids never change")
        }
        return first
    }

    /// The spec with the name of path, envelope or spec: whichever differs from what is stored counts.
    private func named(
        _ spec: ConfigValue, _ input: ResourceInput, _ type: ResourceType, _ current: Resource?, _ target: String?
    ) throws(ChangeError) -> ConfigValue {
        let pathName = current == nil ? target.flatMap { Identifier($0) == nil ? $0 : nil } : nil
        guard !type.nameField.isEmpty else {
            guard pathName == nil else {
                throw .notFound(type: type.plural, name: pathName ?? "")
            }
            guard input.name == nil else {
                throw Self.mistake(type, "name", "\(type.plural) have no name", "leave it out")
            }
            return spec
        }
        let written = spec[type.nameField].string
        let candidates = [pathName, input.name, written].compactMap { $0 }
        let changed = candidates.filter { $0 != current?.name }
        guard let name = changed.first else {
            // PUT replaces all but what the path says.
            guard let name = candidates.first ?? current?.name, written == nil else { return spec }
            return spec.setting(type.nameField, .string(name))
        }
        guard changed.allSatisfy({ $0 == name }) else {
            throw Self.mistake(type, "name", "it is called \(changed.joined(separator: " and "))", "give one name")
        }
        return spec.setting(type.nameField, .string(name))
    }

    /// Labels are tags of the form `key=value`. Of the envelope's labels and the spec's tags, those count that differ
    /// from what is stored.
    static func labelled(_ spec: ConfigValue, _ labels: [String: String]?, _ current: Resource?) -> ConfigValue {
        guard let labels, labels != (current?.labels ?? [:]) || spec["tags"].isNull else { return spec }
        let isLabel: (String) -> Bool = { tag in tag.firstIndex(of: "=").map { $0 != tag.startIndex } ?? false }
        let others = spec["tags"].strings.filter { !isLabel($0) }
        let tags = others + labels.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }
        return spec.setting("tags", tags.isEmpty ? .null : .array(tags.map { .string($0) }))
    }

    private func role(
        _ spec: ConfigValue, _ input: ResourceInput, _ current: Resource?
    ) throws(ChangeError) -> Draft {
        var spec = spec
        if let labels = input.labels, labels != (current?.labels ?? [:]) || spec["labels"].isNull {
            spec = spec.setting("labels", .map(labels))
        }
        switch RoleSpec.read(spec) {
        case .failure(let problems): throw .invalid(problems.findings("role \"\(spec["name"].string ?? "")\""))
        case .success(let role):
            let id = spec["id"].string.flatMap { Identifier($0) } ?? Identifier.random()
            return Draft(key: ResourceKey(type: "roles", id: id), spec: role.spec(id: id))
        }
    }

    // MARK: - Findings

    private static func mistake(
        _ type: ResourceType, _ field: String, _ message: String, _ remedy: String
    ) -> ChangeError {
        .invalid([
            Diagnostic(
                code: DiagnosticCode.badValue.rawValue, entity: type.kind, field: field, message: message,
                remedy: remedy)
        ])
    }

    private static func findings(_ violations: EntityViolations, _ type: ResourceType) -> [Diagnostic] {
        var findings = violations.violations.map { violation in
            Diagnostic(
                code: DiagnosticCode.badValue.rawValue, entity: type.kind,
                field: violation.field.isEmpty ? "spec" : "spec.\(violation.field)", message: violation.message,
                remedy: violation.remedy)
        }
        for missing in violations.unresolved {
            findings.append(
                Diagnostic(
                    code: DiagnosticCode.missingReference.rawValue, entity: type.kind, field: "spec.\(missing.field)",
                    message: "there is no \(missing.target.singular) with the \(missing.key) \"\(missing.value)\"",
                    remedy: "create it first, or correct the reference"))
        }
        return findings
    }
}
