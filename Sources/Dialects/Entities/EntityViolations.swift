// Why an entity out of a request is refused, in Kong's words.

public import Model

/// What a request's entity violates.
public struct EntityViolations: Error, Sendable, Equatable {
    /// One violation.
    public struct Violation: Sendable, Equatable {
        /// Dotted path with positions from 1, such as `config.origins[1]`; empty: the entity as a whole.
        public var field: String
        /// In Kong's words: `required field missing`.
        public var message: String
        /// What to write instead; empty: the message says it. `did you mean hosts?`
        public var remedy: String

        public init(field: String, message: String, remedy: String = "") {
            self.field = field
            self.message = message
            self.remedy = remedy
        }
    }

    /// A reference by name that leads nowhere.
    public struct Unresolved: Sendable, Equatable {
        /// The foreign key's field, such as `service`.
        public var field: String
        /// What it was given by: `name`, `username`, `id`.
        public var key: String
        public var value: String
        public var target: EntityKind

        public init(field: String, key: String, value: String, target: EntityKind) {
            self.field = field
            self.key = key
            self.value = value
            self.target = target
        }
    }

    public var violations: [Violation]
    public var unresolved: [Unresolved]

    public init(_ violations: [Violation] = [], unresolved: [Unresolved] = []) {
        self.violations = violations
        self.unresolved = unresolved
    }

    /// Kong's `fields`: a record of texts, nested as the entity is; violations of the whole entity under `@entity`.
    public var fields: ConfigValue {
        var tree = ConfigValue.record([])
        for violation in violations {
            let steps = Self.steps(violation.field)
            if steps.isEmpty {
                let before = tree["@entity"].array ?? []
                Self.insert(["@entity"], .array(before + [.string(violation.message)]), into: &tree)
            } else {
                Self.insert(steps[...], .string(violation.message), into: &tree)
            }
        }
        return tree
    }

    /// Kong's `message`: `schema violation (host: required field missing)`.
    public var message: String {
        var parts = (fields["@entity"].array ?? []).compactMap(\.string)
        for entry in (fields.entries ?? []).sorted(by: { $0.key < $1.key }) where entry.key != "@entity" {
            if let text = entry.value.string {
                parts.append("\(entry.key): \(text)")
                continue
            }
            let inner: [(String, ConfigValue)] =
                entry.value.entries?.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
                ?? (entry.value.array ?? []).enumerated().map { ("\($0 + 1)", $1) }
            for (key, value) in inner where !value.isNull {
                let text = value.string ?? String(decoding: value.json, as: UTF8.self)
                parts.append("\(entry.key).\(key): \(text)")
            }
        }
        return parts.count == 1
            ? "schema violation (\(parts[0]))"
            : "\(parts.count) schema violations (\(parts.joined(separator: "; ")))"
    }

    /// `config.origins[2]` as `config`, `origins`, 2.
    private static func steps(_ path: String) -> [Substring] {
        path.split(separator: ".").flatMap { part in
            part.split(separator: "[").map { $0.last == "]" ? $0.dropLast() : $0 }
        }
    }

    /// Positions become places in an array, with nulls before them. What is there already stays.
    private static func insert(_ steps: ArraySlice<Substring>, _ text: ConfigValue, into value: inout ConfigValue) {
        guard let step = steps.first else { return value = text }
        let rest = steps.dropFirst()
        if let position = Int(step), (1...10_000).contains(position), value.isNull || value.array != nil {
            var values = value.array ?? []
            while values.count < position { values.append(.null) }
            if rest.isEmpty, !values[position - 1].isNull { return }
            insert(rest, text, into: &values[position - 1])
            value = .array(values)
            return
        }
        guard value.isNull || value.entries != nil else { return }
        var entries = value.entries ?? []
        if let index = entries.firstIndex(where: { $0.key == step }) {
            if rest.isEmpty, step != "@entity" { return }
            insert(rest, text, into: &entries[index].value)
        } else {
            var child = ConfigValue.null
            insert(rest, text, into: &child)
            entries.append(ConfigValue.Entry(String(step), child))
        }
        value = .record(entries)
    }
}
