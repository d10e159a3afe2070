// The documents of an apply: read against what is stored, then turned into edits.
//
// 1. the text is split at `---`   2. `type:` documents become one kong.yml, an entity a line   3. all are read with
// what is stored at hand   4. tags are added, missing resources pruned

import Dialects
import Model
import Store
import Synchronization

/// Thread-safe, because a plan may run more than once: when somebody else commits in between.
final class AppliedDocuments: Sendable {
    private let text: [UInt8]
    private let prune: Bool
    private let tag: String?
    private let expressions: Bool
    private let workspace: Workspace
    /// Of the last reading.
    private let warnings = Mutex<[Diagnostic]>([])

    init(_ text: [UInt8], prune: Bool, tag: String?, expressions: Bool, workspace: Workspace) {
        self.text = text
        self.prune = prune
        self.tag = tag
        self.expressions = expressions
        self.workspace = workspace
    }

    /// The result with what was found on reading.
    func completed(_ result: ChangeResult) -> ChangeResult {
        var result = result
        result.warnings = warnings.withLock { $0 } + result.warnings
        return result
    }

    func edits(on catalog: Catalog) throws(ChangeError) -> [Edit] {
        var reader = DocumentReader(workspace: workspace, expressions: expressions)
        reader.read(text)
        guard !reader.findings.contains(where: { $0.severity == .error }) else { throw .invalid(reader.findings) }
        let findings = reader.findings
        warnings.withLock { $0 = findings }
        var edits: [Edit] = []
        var wanted: Set<ResourceKey> = []
        for record in reader.records {
            var draft = Draft(record)
            if let tag { draft.spec = Self.tagged(draft.spec, tag) }
            wanted.insert(draft.key)
            edits.append(.put(draft))
        }
        for role in reader.roles {
            let id = catalog.resource(type: "roles", named: role.name)?.key.id ?? Self.roleID(role.name)
            let key = ResourceKey(type: "roles", id: id)
            wanted.insert(key)
            edits.append(.put(Draft(key: key, spec: role.spec(id: id))))
        }
        if prune { edits += leftovers(wanted, in: catalog) }
        return edits
    }

    /// Children before parents, so that nothing refers to what goes.
    private func leftovers(_ wanted: Set<ResourceKey>, in catalog: Catalog) -> [Edit] {
        var edits: [Edit] = []
        for type in ResourceType.all.reversed() where type.entity != nil {
            for resource in catalog.all(type.plural) where !wanted.contains(resource.key) {
                if let tag, !Self.has(tag, resource) { continue }
                edits.append(.delete(resource.key))
            }
        }
        return edits
    }

    private static func has(_ tag: String, _ resource: Resource) -> Bool {
        ((try? ConfigValue(json: resource.spec)) ?? .null)["tags"].strings.contains(tag)
    }

    private static func tagged(_ spec: ConfigValue, _ tag: String) -> ConfigValue {
        let tags = spec["tags"].strings
        guard !tags.contains(tag) else { return spec }
        return spec.setting("tags", .array((tags + [tag]).map { .string($0) }))
    }

    /// The same name gives the same id everywhere.
    private static func roleID(_ name: String) -> Identifier {
        Identifier(namespace: Identifier(high: 0x5EA0_A100_0000_4000, low: 0x8000_0000_0000_0001), name: name)
    }
}

/// Reads documents of either form.
struct DocumentReader {
    private(set) var records: [EntityRecord] = []
    private(set) var roles: [RoleSpec] = []
    private(set) var findings: [Diagnostic] = []
    private let workspace: Workspace
    private let expressions: Bool
    /// Ids of what earlier documents declared, by kind and name.
    private var declared: [String: Identifier] = [:]

    /// What findings call the text: the client knows the files.
    private static let file = ""

    init(workspace: Workspace, expressions: Bool) {
        self.workspace = workspace
        self.expressions = expressions
    }

    mutating func read(_ text: [UInt8]) {
        var typed: [TypedDocument] = []
        for part in Self.parts(text) {
            if Self.isTyped(part.text) {
                readTyped(part, &typed)
            } else {
                take(
                    KongEntities.read(
                        Self.padded(part), file: Self.file, expressions: expressions, known: known))
            }
        }
        guard !typed.isEmpty else { return }
        let entities = typed.filter { $0.type.entity != nil }
        readEntities(entities.filter { !$0.holdsHash }, transform: true)
        readEntities(entities.filter(\.holdsHash), transform: false)
        for document in typed where document.type.entity == nil { readRole(document) }
    }

    private var known: KnownEntities {
        let (workspace, declared) = (workspace, declared)
        return { kind, key in declared["\(kind.rawValue) \(key)"] ?? workspace.known(kind, key) }
    }

    private mutating func take(_ read: (records: [EntityRecord], findings: [Diagnostic])) {
        findings += read.findings
        records += read.records
        for record in read.records {
            if let name = record.name { declared["\(record.kind.rawValue) \(name)"] = record.id }
            declared["\(record.kind.rawValue) \(record.id)"] = record.id
        }
    }

    // MARK: - Parts

    struct Part {
        var text: ArraySlice<UInt8>
        /// Lines before it.
        var line: Int
    }

    /// The text between lines of `---`, without parts that say nothing.
    static func parts(_ text: [UInt8]) -> [Part] {
        var parts: [Part] = []
        var (start, line, startLine) = (0, 0, 0)
        var place = 0
        func isMark(_ from: Int, _ to: Int) -> Bool {
            guard to - from >= 3, text[from..<(from + 3)].elementsEqual("---".utf8) else { return false }
            return to - from == 3 || text[from + 3] == 0x20 || text[from + 3] == 0x0D || text[from + 3] == 0x09
        }
        while place < text.count {
            let end = text[place...].firstIndex(of: 0x0A) ?? text.count
            if isMark(place, end) {
                parts.append(Part(text: text[start..<place], line: startLine))
                start = min(end + 1, text.count)
                startLine = line + 1
            }
            line += 1
            place = end + 1
        }
        parts.append(Part(text: text[start...], line: startLine))
        return parts.filter { !isBlank($0.text) }
    }

    /// Only comments and white space.
    private static func isBlank(_ text: ArraySlice<UInt8>) -> Bool {
        text.split(separator: 0x0A).allSatisfy { line in
            guard let first = line.first(where: { $0 != 0x20 && $0 != 0x09 && $0 != 0x0D }) else { return true }
            return first == UInt8(ascii: "#") || first == UInt8(ascii: "%")
        }
    }

    /// The part's text at its place, so that lines are those of the whole.
    private static func padded(_ part: Part) -> [UInt8] {
        Array(repeating: 0x0A, count: part.line) + part.text
    }

    /// Whether a document begins its top level with `type:` and `spec:` rather than with Kong's sections. Looks at keys
    /// that start a line, or at the first keys of a JSON text.
    private static func isTyped(_ text: ArraySlice<UInt8>) -> Bool {
        let first = text.first { $0 > 0x20 }
        if first == UInt8(ascii: "{") || first == UInt8(ascii: "[") {
            guard let value = try? ConfigValue(json: Array(text)) else { return false }
            return value.array?.contains { !$0["type"].isNull } ?? !value["type"].isNull
        }
        return text.split(separator: 0x0A).contains { line in
            line.starts(with: "type:".utf8) || line.starts(with: "- type:".utf8)
                || line.starts(with: "\"type\":".utf8)
        }
    }

    // MARK: - `type:` documents

    struct TypedDocument {
        var type: ResourceType
        var spec: ConfigValue
        /// 1-based line where it begins, and its source for places of fields.
        var document: ConfigDocument

        /// A basic-auth credential as exports write it: with its id, and the hash of its password.
        var holdsHash: Bool {
            guard type.entity == .basicAuthCredentials, !spec["id"].isNull, let text = spec["password"].string else {
                return false
            }
            return text.utf8.count == 40
                && text.utf8.allSatisfy { $0 >= 0x30 && $0 <= 0x39 || $0 >= 0x61 && $0 <= 0x66 }
        }
    }

    private mutating func readTyped(_ part: Part, _ typed: inout [TypedDocument]) {
        let read = ConfigDocument.read(Self.padded(part), file: Self.file)
        findings += read.findings
        for document in read.documents {
            // A JSON text may hold a list of them.
            for value in document.value.array ?? [document.value] { readTyped(value, document, &typed) }
        }
    }

    private mutating func readTyped(
        _ value: ConfigValue, _ document: ConfigDocument, _ typed: inout [TypedDocument]
    ) {
        var problems = SpecProblems()
        let kinds = ResourceType.all.map(\.kind)
        guard let word = value["type"].string, let type = ResourceType.ofKind(word) ?? ResourceType.named(word) else {
            if let word = value["type"].string {
                problems.addUnknown(word, "type", at: "type", known: kinds)
            } else {
                problems.add("type", "it is missing", "one of: \(kinds.joined(separator: ", "))")
            }
            return report(problems.findings("the document"), document)
        }
        do throws(ChangeError) {
            let input = try ResourceInput(value, type: type)
            let spec = try whole(input, type)
            typed.append(TypedDocument(type: type, spec: spec, document: document))
        } catch {
            if case .invalid(let findings) = error { report(findings, document) }
        }
    }

    /// The spec with what the envelope says.
    private func whole(_ input: ResourceInput, _ type: ResourceType) throws(ChangeError) -> ConfigValue {
        var spec = input.spec
        if let id = input.id { spec = spec.setting("id", .string(id.description)) }
        if let name = input.name, !type.nameField.isEmpty, spec[type.nameField].isNull {
            spec = spec.setting(type.nameField, .string(name))
        }
        if type.entity == nil {
            return input.labels.map { spec["labels"].isNull ? spec.setting("labels", .map($0)) : spec } ?? spec
        }
        return ResourceWriter.labelled(spec, input.labels, nil)
    }

    private mutating func report(_ found: [Diagnostic], _ document: ConfigDocument) {
        findings += found.map { finding in
            var finding = finding
            (finding.line, finding.column) = document.place(of: finding.field)
            return finding
        }
    }

    /// All entities as one file with an entity a line, so that they are read, matched with what is stored and checked
    /// as those of a kong.yml are; a line of that file is a document here.
    private mutating func readEntities(_ typed: [TypedDocument], transform: Bool) {
        guard !typed.isEmpty else { return }
        var text = Array("{\"_format_version\":\"3.0\",\"_transform\":\(transform)".utf8)
        var documents: [ConfigDocument?] = []
        for type in ResourceType.all {
            let mine = typed.filter { $0.type.plural == type.plural }
            guard !mine.isEmpty else { continue }
            text += Array(",\"\(type.plural)\":[\n".utf8)
            documents.append(nil)
            for (index, document) in mine.enumerated() {
                text += Self.withReferences(document.spec, type).json
                text += Array((index + 1 < mine.count ? ",\n" : "]").utf8)
                documents.append(document.document)
            }
        }
        text.append(UInt8(ascii: "}"))
        let read = KongEntities.read(text, file: Self.file, expressions: expressions, known: known)
        let placed = read.findings.map { finding in
            var finding = finding
            if documents.indices.contains(finding.line - 1), let document = documents[finding.line - 1] {
                let field = finding.field.isEmpty ? "spec" : "spec.\(finding.field)"
                (finding.line, finding.column) = document.place(of: field)
                finding.field = field
            }
            return finding
        }
        take((read.records, placed))
    }

    /// Files write a reference as a name or id, specs as a record with one of them.
    private static func withReferences(_ spec: ConfigValue, _ type: ResourceType) -> ConfigValue {
        type.references.reduce(spec) { spec, reference in
            guard !reference.isList, let entries = spec[reference.field].entries else { return spec }
            guard let text = entries.compactMap(\.value.string).first else { return spec }
            return spec.setting(reference.field, .string(text))
        }
    }

    private mutating func readRole(_ document: TypedDocument) {
        switch RoleSpec.read(document.spec) {
        case .success(let role): roles.append(role)
        case .failure(let problems):
            let name = document.spec["name"].string ?? ""
            let found = problems.findings("role \"\(name)\"").map { finding in
                var finding = finding
                finding.field = "spec." + finding.field
                return finding
            }
            report(found, document.document)
        }
    }
}
