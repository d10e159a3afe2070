// An entity of a request against its schema, in Kong's words: field by field, without stopping at the first mistake.

import Bytes
import Model

/// Collects what a request's entity violates.
struct RequestCheck {
    private(set) var violations: [EntityViolations.Violation] = []
    let hasExpressions: Bool

    init(expressions: Bool) { hasExpressions = expressions }

    mutating func add(_ field: String, _ message: String, remedy: String = "") {
        // A hostile request must not make an answer many times its own size.
        guard violations.count < 100 else { return }
        violations.append(EntityViolations.Violation(field: field, message: message, remedy: remedy))
    }

    /// Everything that an entity's own fields tell; references are not followed.
    mutating func check(_ kind: EntityKind, _ input: ConfigValue) {
        guard case .record = input else { return add("", "expected a record") }
        let schema = EntitySchemas.schema(kind)
        var skipped: Set<String> = []
        // `url` wins over the fields that it stands for, even over their mistakes.
        if kind == .services, !input["url"].isNull { skipped = ["protocol", "host", "port", "path"] }
        fields(of: schema, input, path: "", skipping: skipped)
        if kind == .plugins { plugin(input) }
        entity(kind, input)
    }

    private mutating func plugin(_ input: ConfigValue) {
        guard let name = input["name"].string else { return }
        guard let description = PluginCatalog.supported[name] else {
            let near = Suggestion.nearest(to: name, in: PluginCatalog.supported.keys.sorted())
            return add(
                "name", "plugin '\(name)' not enabled; add it to the 'plugins' configuration property",
                remedy: near.map { "did you mean \($0)?" } ?? "use one of the plugins that GET / lists")
        }
        let config = input["config"].isNull ? ConfigValue.record([]) : input["config"]
        guard config.entries != nil else { return }
        fields(of: description.config, config, path: "config")
    }

    // MARK: Records

    private mutating func fields(
        of schema: RecordSchema, _ input: ConfigValue, path: String, skipping: Set<String> = []
    ) {
        for entry in input.entries ?? [] {
            let place = path.isEmpty ? entry.key : "\(path).\(entry.key)"
            guard let position = schema.position(of: entry.key) else {
                let near = Suggestion.nearest(to: entry.key, in: schema.fields.map(\.name))
                add(place, "unknown field", remedy: near.map { "did you mean \($0)?" } ?? "remove it")
                continue
            }
            if skipping.contains(entry.key) || entry.value.isNull { continue }
            check(entry.value, schema.fields[position], place)
        }
        for field in schema.fields where !skipping.contains(field.name) {
            guard field.isRequired, field.defaultValue.isNull, input[field.name].isNull else { continue }
            if case .record = field.type { continue }
            add(path.isEmpty ? field.name : "\(path).\(field.name)", "required field missing")
        }
    }

    // MARK: Values

    private mutating func check(_ value: ConfigValue, _ field: FieldSchema, _ place: String) {
        switch field.type {
        case .string:
            guard let text = value.string else { return add(place, "expected a string", remedy: "quote the value") }
            check(text: text, field, place)
        case .integer:
            guard let number = value.number, number == number.rounded(), number.isFinite else {
                return add(place, "expected an integer")
            }
            check(number: number, field, place)
        case .number:
            guard let number = value.number, number.isFinite else { return add(place, "expected a number") }
            check(number: number, field, place)
        case .boolean: if value.bool == nil { add(place, "expected a boolean", remedy: "write true or false") }
        case .array(let element): check(elements: value, element, field, place, "expected an array")
        case .set(let element): check(elements: value, element, field, place, "expected a set")
        case .map(let keys, let values):
            guard let entries = value.entries ?? (value == .array([]) ? [] : nil) else {
                return add(place, "expected a map")
            }
            for entry in entries {
                check(text: entry.key, keys, place)
                check(entry.value, values, "\(place).\(entry.key)")
            }
        case .record(let schema):
            guard value.entries != nil || value == .array([]) else { return add(place, "expected a record") }
            fields(of: schema, value, path: place)
        case .open:
            guard value.entries != nil || value == .array([]) else { return add(place, "expected a record") }
        case .foreign: reference(value, place)
        }
    }

    private mutating func check(
        elements value: ConfigValue, _ element: FieldSchema, _ field: FieldSchema, _ place: String, _ expected: String
    ) {
        // An empty record is an empty list to Lua.
        guard let values = value.array ?? (value == .record([]) ? [] : nil) else {
            return add(place, expected, remedy: "write [value]")
        }
        for (index, value) in values.enumerated() {
            let own = "\(place)[\(index + 1)]"
            if value.isNull { add(own, "required field missing") } else { check(value, element, own) }
        }
        for rule in field.rules {
            if case .lengthAtLeast(let least) = rule, values.count < least {
                add(place, "length must be at least \(least)")
            }
        }
    }

    private mutating func reference(_ value: ConfigValue, _ place: String) {
        if value.string != nil { return }
        guard let entries = value.entries else { return add(place, "expected a record") }
        if let id = value["id"].string {
            if Identifier(id) == nil { add("\(place).id", "expected a valid UUID") }
        } else if value["name"].string == nil, value["username"].string == nil {
            add(place, entries.isEmpty ? "missing primary key" : "expected a record with an id")
        }
    }

    private mutating func check(text: String, _ field: FieldSchema, _ place: String) {
        if field.isReferenceable, text.hasPrefix("{vault://") { return }
        var least = 1
        for rule in field.rules {
            switch rule {
            case .lengthAtLeast(let count): least = count
            case .lengthAtMost(let count):
                if text.utf8.count > count { return add(place, "length must be at most \(count)") }
            case .oneOf(let values):
                guard !values.contains(text) else { continue }
                let near = Suggestion.nearest(to: text, in: values)
                return add(
                    place, "expected one of: \(values.joined(separator: ", "))",
                    remedy: near.map { "did you mean \($0)?" } ?? "")
            case .form, .oneOfIntegers, .between, .greaterThan: break
            }
        }
        if text.utf8.count < least { return add(place, "length must be at least \(least)") }
        for case .form(let form) in field.rules where !text.isEmpty {
            guard let problem = text.withBytes({ TextForms.problem(form, $0) }) else { continue }
            return add(place, KongTexts.message(form, text, problem), remedy: problem.remedy)
        }
    }

    private mutating func check(number: Double, _ field: FieldSchema, _ place: String) {
        for rule in field.rules {
            switch rule {
            case .between(let low, let high):
                if number < low || number > high {
                    return add(place, "value should be between \(Int(low)) and \(Int(high))")
                }
            case .greaterThan(let low):
                if number <= low { return add(place, "value must be greater than \(Int(low))") }
            case .oneOfIntegers(let values):
                if !values.contains(where: { Double($0) == number }) {
                    let known = values.map { "\($0)" }.joined(separator: ", ")
                    return add(place, "expected one of: \(known)")
                }
            case .oneOf, .lengthAtLeast, .lengthAtMost, .form: break
            }
        }
    }
}
