// Schemas as data: what Kong's Admin API serves under /schemas, and what forms are made of.

public import Model

/// Schemas in Kong's shape: `{"fields": [{"host": {"type": "string", "required": true}}, …]}`.
public enum SchemaJSON {
    /// The schema of an entity.
    public static func entity(_ kind: EntityKind) -> ConfigValue {
        var shorthands = ["url"]
        if kind != .services { shorthands = [] }
        return .record(
            members(EntitySchemas.schema(kind), shorthands: shorthands) + [Entry("entity_checks", .array([]))])
    }

    /// The schema of a plugin, with its `config`; nil when Seaway does not run it.
    public static func plugin(_ name: String) -> ConfigValue? {
        guard let plugin = PluginCatalog.supported[name] else { return nil }
        let known = plugin.protocols.map(\.rawValue).sorted().map { ConfigValue.string($0) }
        let element = ConfigValue.record([
            Entry("type", .string("string")), Entry("required", .bool(true)), Entry("one_of", .array(known)),
        ])
        let protocols: [Entry] = [
            Entry("type", .string("set")), Entry("required", .bool(true)),
            Entry("default", .array(plugin.defaultProtocols.map { .string($0.rawValue) })),
            Entry("elements", element),
        ]
        var consumer = [Entry("type", .string("foreign")), Entry("reference", .string("consumers"))]
        // Kong's way to say that it cannot be set.
        if !plugin.allowsConsumer { consumer.append(Entry("eq", .null)) }
        let config = [Entry("type", .string("record")), Entry("required", .bool(true))] + members(plugin.config)
        return .record([
            Entry(
                "fields",
                .array([
                    named("consumer", .record(consumer)), named("protocols", .record(protocols)),
                    named("config", .record(config)),
                ])),
            Entry("entity_checks", .array([])),
        ])
    }

    private typealias Entry = ConfigValue.Entry

    private static func named(_ name: String, _ value: ConfigValue) -> ConfigValue { .record([Entry(name, value)]) }

    /// `fields`, and `shorthand_fields` if there are any.
    private static func members(_ schema: RecordSchema, shorthands: [String] = []) -> [Entry] {
        func isShorthand(_ field: FieldSchema) -> Bool { !field.movedTo.isEmpty || shorthands.contains(field.name) }
        let fields = schema.fields.filter { !isShorthand($0) }.map { named($0.name, self.field($0)) }
        let short = schema.fields.filter(isShorthand).map { named($0.name, self.field($0)) }
        return [Entry("fields", .array(fields))] + (short.isEmpty ? [] : [Entry("shorthand_fields", .array(short))])
    }

    private static func field(_ field: FieldSchema) -> ConfigValue {
        var entries = type(of: field)
        if field.name == "id" || field.name == "created_at" || field.name == "updated_at" {
            entries.append(Entry("auto", .bool(true)))
        }
        if field.isRequired { entries.append(Entry("required", .bool(true))) }
        if !field.defaultValue.isNull { entries.append(Entry("default", field.defaultValue)) }
        if field.isReferenceable { entries.append(Entry("referenceable", .bool(true))) }
        for rule in field.rules { entries.append(self.rule(rule)) }
        return .record(entries)
    }

    private static func type(of field: FieldSchema) -> [Entry] {
        func name(_ text: String) -> Entry { Entry("type", .string(text)) }
        func element(_ field: FieldSchema) -> ConfigValue {
            guard case .record(let entries) = self.field(field) else { return .null }
            return .record(entries + (field.isRequired ? [] : [Entry("required", .bool(true))]))
        }
        switch field.type {
        case .string: return [name("string")]
        case .integer: return [name("integer")]
        case .number:
            let isTime = field.name == "created_at" || field.name == "updated_at"
            return isTime ? [name("integer"), Entry("timestamp", .bool(true))] : [name("number")]
        case .boolean: return [name("boolean")]
        case .array(let own): return [name("array"), Entry("elements", element(own))]
        case .set(let own): return [name("set"), Entry("elements", element(own))]
        case .map(let keys, let values):
            return [name("map"), Entry("keys", element(keys)), Entry("values", element(values))]
        case .record(let schema): return [name("record")] + members(schema)
        case .open: return [name("record"), Entry("fields", .array([]))]
        case .foreign(let kind): return [name("foreign"), Entry("reference", .string(kind.rawValue))]
        }
    }

    private static func rule(_ rule: Rule) -> Entry {
        func number(_ value: Double) -> ConfigValue { Int(exactly: value).map { .int($0) } ?? .double(value) }
        switch rule {
        case .oneOf(let values): return Entry("one_of", .array(values.map { .string($0) }))
        case .oneOfIntegers(let values): return Entry("one_of", .array(values.map { .int($0) }))
        case .between(let low, let high): return Entry("between", .array([number(low), number(high)]))
        case .greaterThan(let low): return Entry("gt", number(low))
        case .lengthAtLeast(let count): return Entry("len_min", .int(count))
        case .lengthAtMost(let count): return Entry("len_max", .int(count))
        case .form(.uuid): return Entry("uuid", .bool(true))
        // What Kong says with patterns and functions: the form's name, which a form may explain.
        case .form(let form): return Entry("form", .string(form.rawValue))
        }
    }
}
