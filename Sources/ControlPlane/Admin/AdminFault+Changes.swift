// Why a change did not happen, in Kong's numbers and words.

import Dialects
import HTTPTypes
import Model
import Store

extension AdminFault {
    init(_ violations: EntityViolations) {
        if violations.violations.isEmpty, let first = violations.unresolved.first {
            self = Self.unresolved(violations.unresolved, first)
            return
        }
        var tree = ViolationTree()
        for violation in violations.violations { tree.add(violation.field, violation.message) }
        for missing in violations.unresolved { tree.add(missing.field, Self.text(missing)) }
        self = KongError.schemaViolation(tree)
    }

    private static func unresolved(
        _ all: [EntityViolations.Unresolved], _ first: EntityViolations.Unresolved
    ) -> AdminFault {
        if first.key == "id" {
            let key = ConfigValue.record([.init("id", .string(first.value))])
            return missing(first.field, key, first.target.rawValue)
        }
        let fields = ConfigValue.record(
            all.map { .init($0.field, .record([.init($0.key, .string(text($0)))])) })
        let texts = all.map { "\($0.field).\($0.key): \(text($0))" }
        let message =
            texts.count == 1
            ? "foreign key unresolved (\(texts[0]))"
            : "\(texts.count) foreign keys unresolved (\(texts.joined(separator: "; ")))"
        return KongError.foreignKeysUnresolved.fault(message, fields: fields)
    }

    private static func text(_ missing: EntityViolations.Unresolved) -> String {
        let key = ConfigValue.record([.init(missing.key, .string(missing.value))])
        return
            "the foreign key cannot be resolved with '\(LuaText.of(key))' for an existing '\(missing.target.rawValue)' entity"
    }

    private static func missing(_ field: String, _ key: ConfigValue, _ target: String) -> AdminFault {
        KongError.foreignKeyViolation.fault(
            "the foreign key '\(LuaText.of(key))' does not reference an existing '\(target)' entity.",
            fields: .record([.init(field, key)]))
    }

    init(_ error: ChangeError) {
        switch error {
        case .notFound: self = .notFound
        case .invalid(let findings): self = Self.invalid(findings)
        case .notUnique(let type, let field, let value): self = Self.notUnique(type, field, value)
        case .unresolved(let type, let field, let id):
            let target = ResourceType.named(type)?.references.first { $0.field == field }?.target ?? field
            self = Self.missing(field, .record([.init("id", .string(id))]), target)
        case .referenced(let type, let by):
            self = KongError.foreignKeyViolation.fault(
                "an existing '\(by)' entity references this '\(type)' entity",
                fields: .record([.init("@referenced_by", .string(by))]))
        case .preconditionFailed(let version):
            self.init(.preconditionFailed, "If-Match does not match: the version is \"\(version)\" now; read it again")
        case .denied(let rule): self = .denied(rule)
        case .contention:
            var answer = AdminAnswer.message(.serviceUnavailable, "others keep changing the configuration: try again")
            answer.headers[.retryAfter] = "1"
            self.init(answer)
        case .store(.unavailable):
            var answer = AdminAnswer.message(.serviceUnavailable, "the database cannot be reached: try again")
            answer.headers[.retryAfter] = "1"
            self.init(answer)
        case .store: self = KongError.databaseError.fault("the database refused the change")
        }
    }

    /// Fields whose values are joined by commas are told apart again: references become records.
    private static func notUnique(_ type: String, _ field: String, _ value: String) -> AdminFault {
        let fields = field.split(separator: ",").map(String.init)
        let values = value.split(
            separator: ",", maxSplits: max(0, fields.count - 1), omittingEmptySubsequences: false
        ).map(String.init)
        let schema = ResourceType.named(type)?.schema
        let entries = zip(fields, values).map { field, value -> ConfigValue.Entry in
            guard !value.isEmpty else { return .init(field, .null) }
            if let position = schema?.position(of: field), case .foreign? = schema?.fields[position].type {
                return .init(field, .record([.init("id", .string(value))]))
            }
            return .init(field, .string(value))
        }
        let key = ConfigValue.record(entries)
        return KongError.uniqueViolation.fault("UNIQUE violation detected on '\(LuaText.of(key))'", fields: key)
    }

    /// Findings about the configuration as a whole.
    private static func invalid(_ findings: [Diagnostic]) -> AdminFault {
        var tree = ViolationTree()
        for finding in findings where finding.severity == .error {
            let remedy = finding.remedy.isEmpty ? "" : "; \(finding.remedy)"
            tree.add(finding.field, "\(finding.message)\(remedy)")
        }
        return KongError.schemaViolation(tree)
    }
}
