// A value out of a configuration file, before or after its schema was applied.

/// Plain data as YAML and JSON know it, with the order of keys kept.
public indirect enum ConfigValue: Sendable, Equatable {
    case null
    case bool(Bool)
    case int(Int)
    case double(Double)
    case string(String)
    case array([ConfigValue])
    case record([Entry])

    public struct Entry: Sendable, Equatable {
        public var key: String
        public var value: ConfigValue
        public init(_ key: String, _ value: ConfigValue) {
            self.key = key
            self.value = value
        }
    }

    /// The member `key` of a record; `.null` if absent or if this is no record.
    public subscript(key: String) -> ConfigValue {
        guard case .record(let entries) = self else { return .null }
        return entries.first { $0.key == key }?.value ?? .null
    }

    public var isNull: Bool { self == .null }
    public var bool: Bool? { if case .bool(let value) = self { value } else { nil } }
    public var int: Int? { if case .int(let value) = self { value } else { nil } }
    public var string: String? { if case .string(let value) = self { value } else { nil } }
    public var array: [ConfigValue]? { if case .array(let values) = self { values } else { nil } }
    public var entries: [Entry]? { if case .record(let entries) = self { entries } else { nil } }

    /// A number, whole or not.
    public var number: Double? {
        switch self {
        case .int(let value): Double(value)
        case .double(let value): value
        default: nil
        }
    }

    /// The strings of an array of strings; empty for anything else.
    public var strings: [String] { array?.compactMap(\.string) ?? [] }
}
