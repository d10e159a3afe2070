// What is wrong with a configuration, said so that its author can mend it.

/// One finding about a configuration.
public struct Diagnostic: Sendable, Equatable {
    public enum Severity: String, Sendable, Comparable {
        /// The configuration cannot be used.
        case error
        /// It can be used; something in it does not do what it seems to.
        case warning
        /// Something was left out because the reader asked to be lenient.
        case omitted

        public static func < (a: Severity, b: Severity) -> Bool { a.rank < b.rank }
        private var rank: Int {
            switch self {
            case .error: 0
            case .omitted: 1
            case .warning: 2
            }
        }
    }

    public var severity: Severity
    /// Stable, searchable: `K` and three digits; docs/errors.md has a paragraph for each.
    public var code: String
    public var file: String
    /// 1-based; 0: unknown.
    public var line: Int
    public var column: Int
    /// What it is about, as a person would say it: `route "users"`, `plugin cors on service "api"`.
    public var entity: String
    /// Dotted path inside the entity, such as `config.origins[1]`; empty: the entity itself.
    public var field: String
    /// What is wrong.
    public var message: String
    /// What to write instead, or what to do.
    public var remedy: String

    public init(
        _ severity: Severity = .error, code: String, file: String = "", line: Int = 0, column: Int = 0,
        entity: String, field: String = "", message: String, remedy: String
    ) {
        self.severity = severity
        self.code = code
        self.file = file
        self.line = line
        self.column = column
        self.entity = entity
        self.field = field
        self.message = message
        self.remedy = remedy
    }
}
