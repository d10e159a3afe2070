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
    public var fields: ConfigValue { .record([]) }

    /// Kong's `message`: `schema violation (host: required field missing)`.
    public var message: String { "" }
}
