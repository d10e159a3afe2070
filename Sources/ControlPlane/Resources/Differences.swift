// What a change does, said field by field.

import Model
import Store

enum Differences {
    /// Changes named one by one in an answer; `omitted` counts the others.
    static let namedMax = 10_000
    /// Fields named of one change.
    static let fieldsMax = 200

    struct Field: Sendable, Equatable {
        /// Dotted: `config.minute`.
        var path: String
        var before: ConfigValue
        var after: ConfigValue
    }

    /// Fields that differ. Records are compared inside, arrays as a whole.
    static func fields(_ before: ConfigValue, _ after: ConfigValue) -> [Field] {
        var found: [Field] = []
        compare(before, after, "", &found)
        return found.filter { $0.path != "updated_at" && $0.path != "created_at" }
    }

    private static func compare(_ a: ConfigValue, _ b: ConfigValue, _ path: String, _ found: inout [Field]) {
        guard a != b else { return }
        guard case .record(let left) = a, case .record(let right) = b else {
            found.append(Field(path: path, before: a, after: b))
            return
        }
        let keys = left.map(\.key) + right.map(\.key).filter { key in !left.contains { $0.key == key } }
        for key in keys { compare(a[key], b[key], path.isEmpty ? key : "\(path).\(key)", &found) }
    }

    // MARK: - Answers

    /// `{revision, summary, changes, omitted, warnings}`.
    static func answer(_ result: ChangeResult, for author: Author) -> ConfigValue {
        .object([
            "revision": .number(result.revision), "summary": summary(result.changes),
            "changes": list(result.changes, for: author),
            "omitted": .int(max(0, result.changes.count - namedMax)),
            "warnings": .array(result.warnings.map(ResourceShape.value)),
        ])
    }

    static func summary(_ changes: [Change]) -> ConfigValue {
        .object([
            "created": .int(changes.count { $0.before == nil }),
            "updated": .int(changes.count { $0.before != nil && $0.after != nil }),
            "deleted": .int(changes.count { $0.after == nil }),
        ])
    }

    /// Those that the author may read.
    static func list(_ changes: [Change], for author: Author) -> ConfigValue {
        .array(changes.prefix(namedMax).filter { mayRead($0, author) }.map { value($0, for: author) })
    }

    static func mayRead(_ change: Change, _ author: Author) -> Bool {
        [change.before, change.after].compactMap { $0 }
            .allSatisfy { author.may(.read, type: change.key.type, labels: $0.labels) }
    }

    static func action(_ change: Change) -> String {
        change.before == nil ? "create" : change.after == nil ? "delete" : "update"
    }

    /// One change. Fields are those of updates: what was created or deleted is there to be read as a whole.
    static func value(_ change: Change, for author: Author) -> ConfigValue {
        let resource = change.after ?? change.before
        var fields: [ConfigValue] = []
        if let before = change.before, let after = change.after {
            fields = Self.fields(spec(before), spec(after)).prefix(fieldsMax).map { field in
                hidden(field, change, author)
            }
        }
        return .object([
            "action": .string(action(change)), "type": .string(change.key.type),
            "name": .text(resource?.name), "id": .string(change.key.id.description), "fields": .array(fields),
        ])
    }

    private static func spec(_ resource: Resource) -> ConfigValue { (try? ConfigValue(json: resource.spec)) ?? .null }

    /// Whoever may not see a secret learns that it changed, not from what to what.
    private static func hidden(_ field: Field, _ change: Change, _ author: Author) -> ConfigValue {
        var (before, after) = (field.before, field.after)
        let maySee = [change.before, change.after].compactMap { $0 }
            .allSatisfy { author.may(.update, type: change.key.type, labels: $0.labels) }
        if !maySee, Redaction.concerns(change.key.type) {
            let path = field.path.split(separator: ".").map(String.init)
            before = Redaction.redacted(before, type: change.key.type, inside: path)
            after = Redaction.redacted(after, type: change.key.type, inside: path)
        }
        return .object(["path": .string(field.path), "before": before, "after": after])
    }
}
