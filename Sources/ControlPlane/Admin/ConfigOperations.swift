// /config: the whole configuration as one kong.yml, out and in.

import Dialects
import HTTPTypes
import Model
import Store

extension AdminAPI {
    func readConfig(_ request: AdminRequest) throws(AdminFault) -> AdminAnswer {
        let catalog = workspace.catalog
        var entities: [(kind: EntityKind, spec: ConfigValue)] = []
        for kind in EntityKind.allCases {
            for resource in catalog.all(kind.rawValue)
            where request.author.may(.read, type: kind.rawValue, labels: resource.labels) {
                entities.append((kind, SpecValue.shown(resource, to: request.author)))
            }
        }
        let text = String(decoding: KongWriter.write(entities), as: UTF8.self)
        return AdminAnswer(.ok, .record([.init("config", .string(text))]))
    }

    /// Makes the configuration what the body says, in one revision; what it does not name goes.
    func replaceConfig(_ request: AdminRequest) async throws(AdminFault) -> AdminAnswer {
        let (text, file) = try Self.configuration(request.body)
        let flatten = request.query["flatten_errors"] == "1"
        let environment = options.environment
        let expressions = options.expressions
        let workspace = workspace
        let (result, _) = try await change(request) { writes throws(AdminFault) in
            let catalog = writes.entities.catalog
            let (records, findings) = KongEntities.read(
                text, file: file, environment: environment, expressions: expressions
            ) { workspace.known($0, $1) }
            guard !findings.contains(where: { $0.severity == .error }) else {
                throw ConfigFault.declarative(findings, flatten: flatten)
            }
            var kept: Set<ResourceKey> = []
            var edits: [Edit] = []
            for record in records {
                let draft = Draft(record)
                kept.insert(draft.key)
                edits.append(.put(draft))
            }
            for kind in EntityKind.allCases {
                for resource in catalog.all(kind.rawValue) where !kept.contains(resource.key) {
                    edits.append(.delete(resource.key))
                }
            }
            return WritePlan(edits: edits)
        }
        if request.query["check_hash"] == "1", result.changes.isEmpty { return AdminAnswer(.notModified) }
        return AdminAnswer(.created, body: entities(of: workspace.catalog, request.author))
    }

    /// By kind and id, as JSON.
    private func entities(of catalog: Catalog, _ author: Author) -> [UInt8] {
        var body: [UInt8] = [UInt8(ascii: "{")]
        for kind in EntityKind.allCases {
            let all = catalog.sorted(kind.rawValue).filter {
                author.may(.read, type: kind.rawValue, labels: $0.labels)
            }
            guard !all.isEmpty else { continue }
            if body.count > 1 { body.append(UInt8(ascii: ",")) }
            body += Array("\"\(kind.rawValue)\":{".utf8)
            for (index, resource) in all.enumerated() {
                body += Array("\(index > 0 ? "," : "")\"\(resource.key.id)\":".utf8)
                body += Redaction.shown(resource, to: author)
            }
            body.append(UInt8(ascii: "}"))
        }
        return body + [UInt8(ascii: "}")]
    }

    /// The body itself, or what its field `config` holds.
    private static func configuration(_ body: AdminBody) throws(AdminFault) -> (text: [UInt8], file: String) {
        let expected = AdminFault(.badRequest, "expected a declarative configuration")
        switch body {
        case .none: throw expected
        case .text(let bytes): return (bytes, "config.yml")
        case .json(let value):
            if !value["_format_version"].isNull { return (value.json, "config.json") }
            guard let text = value["config"].string else { throw expected }
            return (Array(text.utf8), "config.yml")
        case .form(let form):
            guard let text = form.plain["config"].string else { throw expected }
            return (Array(text.utf8), "config.yml")
        }
    }
}

/// Why a posted configuration was refused.
enum ConfigFault {
    static func declarative(_ findings: [Diagnostic], flatten: Bool) -> AdminFault {
        let errors = findings.filter { $0.severity == .error }
        var fields = ConfigValue.record([])
        for finding in errors {
            var texts = fields[finding.entity]
            let field = finding.field.isEmpty ? "@entity" : finding.field
            if texts[field].isNull { texts.set(field, .string(text(finding))) }
            fields.set(finding.entity, texts)
        }
        let message = "declarative config is invalid: \(errors.count) error\(errors.count == 1 ? "" : "s")"
        guard flatten else {
            return KongError.declarativeConfig.fault(message, fields: fields)
        }
        return KongError.declarativeConfig.fault(
            message, fields: .record([]), extra: [.init("flattened_errors", .array(flattened(errors)))])
    }

    private static func text(_ finding: Diagnostic) -> String {
        let place = finding.line > 0 ? "line \(finding.line): " : ""
        return place + finding.message + (finding.remedy.isEmpty ? "" : "; \(finding.remedy)")
    }

    /// One for each entity, with all that is wrong with it.
    private static func flattened(_ errors: [Diagnostic]) -> [ConfigValue] {
        var order: [String] = []
        var byEntity: [String: [Diagnostic]] = [:]
        for error in errors {
            if byEntity[error.entity] == nil { order.append(error.entity) }
            byEntity[error.entity, default: []].append(error)
        }
        return order.map { entity in
            let parts = entity.split(separator: "\"", maxSplits: 2, omittingEmptySubsequences: false)
            let kind = parts.first.map { String($0).split(separator: " ").joined(separator: " ") } ?? entity
            var entries: [ConfigValue.Entry] = [.init("entity_type", .string(kind))]
            if parts.count >= 2 { entries.append(.init("entity_name", .string(String(parts[1])))) }
            let list = (byEntity[entity] ?? []).map { error -> ConfigValue in
                var entries: [ConfigValue.Entry] = [.init("type", .string(error.field.isEmpty ? "entity" : "field"))]
                if !error.field.isEmpty { entries.append(.init("field", .string(error.field))) }
                return .record(entries + [.init("message", .string(text(error)))])
            }
            entries.append(.init("errors", .array(list)))
            return .record(entries)
        }
    }
}
