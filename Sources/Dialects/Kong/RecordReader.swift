// Reads records by their schema: unknown fields, types and rules are told here, once for all entities.

import Bytes
import Model

/// The fields of one record: a node for each field of its schema, `Document.none` where absent or null.
struct Fields {
    let schema: RecordSchema
    var nodes: [Int]

    func has(_ position: Int) -> Bool { nodes[position] != Document.none }
}

extension KongLoader {
    /// Reads `records` (the first wins; the others fill what it leaves out) by `schema`.
    ///
    /// - Parameter extra: is asked about each key that the schema lacks; true: it is known.
    /// - Parameter skipping: fields whose values are not looked at.
    func read(
        _ records: [Int], _ schema: RecordSchema, skipping: Set<String> = [],
        extra: (_ key: String, _ entry: Int) -> Bool = { _, _ in false }
    ) -> Fields {
        var fields = Fields(
            schema: schema, nodes: [Int](repeating: Document.none, count: schema.fields.count))
        for record in records { read(record, into: &fields, skipping, extra) }
        return fields
    }

    private func read(
        _ record: Int, into fields: inout Fields, _ skipping: Set<String>,
        _ extra: (_ key: String, _ entry: Int) -> Bool
    ) {
        guard document.kind(record) == .record else {
            if document.kind(record) == .array, document.count(record) == 0 { return }
            report(
                .wrongType, at: record, "expected a record, found \(found(record))",
                remedy: "write name: value pairs here")
            return
        }
        var positions = positions(of: fields.schema)
        var entry = document.firstEntry(record)
        while entry != Document.none {
            let symbol = document.symbol(entry)
            var position = positions[symbol]
            if position == -2 {
                position = Int16(clamping: fields.schema.position(of: document.symbols[symbol]) ?? -1)
                positions[symbol] = position
                symbolPositions[ObjectIdentifier(fields.schema)] = positions
            }
            let value = document.value(entry)
            if position < 0 {
                let key = document.symbols[symbol]
                if !extra(key, entry) { reportUnknown(key, entry, record, fields.schema) }
            } else {
                let index = Int(position)
                let isSkipped = !skipping.isEmpty && skipping.contains(document.symbols[symbol])
                if !isSkipped, fields.nodes[index] == Document.none, document.kind(value) != .null,
                    isValid(value, fields.schema.fields[index])
                {
                    fields.nodes[index] = value
                }
            }
            entry = document.nextEntry(entry)
        }
    }

    private func positions(of schema: RecordSchema) -> [Int16] {
        if let known = symbolPositions[ObjectIdentifier(schema)] { return known }
        // -2: not looked up yet.
        let fresh = [Int16](repeating: -2, count: document.symbols.count)
        symbolPositions[ObjectIdentifier(schema)] = fresh
        return fresh
    }

    /// Fields that are required and have neither value nor default.
    func reportMissing(_ fields: Fields, at record: Int, except: Set<String> = []) {
        for (index, field) in fields.schema.fields.enumerated()
        where field.isRequired && !fields.has(index) && field.defaultValue.isNull && !except.contains(field.name) {
            if case .record = field.type { continue }
            // A value that was refused has had its finding.
            if document.kind(record) == .record {
                let given = document.member(record, field.name)
                if given != Document.none, document.kind(given) != .null { continue }
            }
            report(
                .missingField, at: record, field: field.name, "\(field.name) is required",
                remedy: "add \(field.name)")
        }
    }

    // MARK: Values

    /// What a node is, for a message. Shows no value: it may be a secret.
    func found(_ node: Int) -> String {
        switch document.kind(node) {
        case .null: "null"
        case .bool: "a boolean (\(document.text(node)))"
        case .int: "an integer"
        case .double: "a number"
        case .string, .key: "a string"
        case .array: "an array"
        case .record: "a record"
        }
    }

    /// True if `node` fits the field; reports what does not.
    func isValid(_ node: Int, _ field: FieldSchema) -> Bool {
        if !field.name.isEmpty { path.append(.key(field.name)) }
        defer { if !field.name.isEmpty { path.removeLast() } }
        let kind = document.kind(node)
        switch field.type {
        case .string:
            guard kind == .string else { return reportType(node, field) }
            return holds(text: node, field)
        case .integer:
            guard kind == .int || kind == .double, let value = document.int(node) else {
                return reportType(node, field)
            }
            return holds(number: Double(value), node, field)
        case .number:
            guard let value = document.number(node), !value.isNaN else { return reportType(node, field) }
            return holds(number: value, node, field)
        case .boolean: return kind == .bool || reportType(node, field)
        case .array(let element), .set(let element):
            if kind == .record, document.count(node) == 0 { return true }
            guard kind == .array else { return reportType(node, field) }
            return areValid(elementsOf: node, element) && holds(count: document.count(node), node, field)
        case .map(let keys, let values):
            if kind == .array, document.count(node) == 0 { return true }
            guard kind == .record else { return reportType(node, field) }
            return areValid(entriesOf: node, keys, values)
        case .record(let schema):
            let before = findings.count
            let fields = read([node], schema)
            if kind == .record { reportMissing(fields, at: node) }
            return !findings[before...].contains { $0.severity == .error }
        case .open:
            if kind == .array, document.count(node) == 0 { return true }
            return kind == .record || reportType(node, field)
        case .foreign(let target):
            guard referenceText(node) != nil else {
                report(
                    .wrongType, at: node, "expected \(field.type.expectation)",
                    remedy: "write the \(target.singular)'s name or id")
                return false
            }
            return true
        }
    }

    private func areValid(elementsOf node: Int, _ element: FieldSchema) -> Bool {
        var good = true
        var index = 0
        var child = document.firstElement(node)
        while child != Document.none {
            path.append(.element(index))
            if !isValid(child, element) { good = false }
            path.removeLast()
            index += 1
            child = document.next(child)
        }
        return good
    }

    private func areValid(entriesOf node: Int, _ keys: FieldSchema, _ values: FieldSchema) -> Bool {
        var good = true
        var entry = document.firstEntry(node)
        while entry != Document.none {
            let key = document.symbols[document.symbol(entry)]
            path.append(.key(key))
            for rule in keys.rules {
                if case .form(let form) = rule, let problem = key.withBytes({ TextForms.problem(form, $0) }) {
                    report(problem.code, at: entry, problem.message, remedy: problem.remedy)
                    good = false
                }
            }
            if !isValid(document.value(entry), values) { good = false }
            path.removeLast()
            entry = document.nextEntry(entry)
        }
        return good
    }

    private func reportType(_ node: Int, _ field: FieldSchema) -> Bool {
        var remedy = "write \(field.type.expectation)"
        if case .string = field.type {
            switch document.kind(node) {
            case .int, .double, .bool: remedy = "quote the value"
            case .null, .string, .array, .record, .key: break
            }
        }
        if document.kind(node) == .string {
            switch field.type {
            case .integer, .number, .boolean: remedy = "write it without quotes"
            case .array, .set: remedy = "write [value], or - value on lines of their own"
            case .string, .map, .record, .open, .foreign: break
            }
        }
        report(.wrongType, at: node, "expected \(field.type.expectation), found \(found(node))", remedy: remedy)
        return false
    }

    private func holds(text node: Int, _ field: FieldSchema) -> Bool {
        document.withText(node) { text in
            if field.isReferenceable, text.starts(with: Bytes("{vault://")) { return true }
            var least = 1
            for rule in field.rules {
                switch rule {
                case .lengthAtLeast(let count): least = count
                case .lengthAtMost(let count):
                    if text.count > count {
                        report(.badValue, at: node, "longer than \(count) bytes", remedy: "shorten it")
                        return false
                    }
                case .oneOf(let values):
                    let value = text.string
                    if !values.contains(value) {
                        if reportsWebSocket(value, among: values, at: node) { return false }
                        let near = Suggestion.nearest(to: value, in: values)
                        report(
                            .badValue, at: node, "expected one of: \(values.joined(separator: ", "))",
                            remedy: near.map { "did you mean \($0)?" } ?? "write one of them")
                        return false
                    }
                case .form(let form):
                    if form == .routePath, format != .v3 { continue }
                    if text.count > 0, let problem = TextForms.problem(form, text) {
                        report(problem.code, at: node, problem.message, remedy: problem.remedy)
                        return false
                    }
                case .oneOfIntegers, .between, .greaterThan: break
                }
            }
            if text.count < least {
                report(.badValue, at: node, "an empty string", remedy: "write a value or remove the field")
                return false
            }
            return true
        }
    }

    private func holds(number: Double, _ node: Int, _ field: FieldSchema) -> Bool {
        for rule in field.rules {
            switch rule {
            case .between(let low, let high):
                if number < low || number > high {
                    report(
                        .badValue, at: node, "value should be between \(Int(low)) and \(Int(high))",
                        remedy: "write a number in that range")
                    return false
                }
            case .greaterThan(let low):
                if number <= low {
                    report(
                        .badValue, at: node, "value must be greater than \(Int(low))", remedy: "write a larger number")
                    return false
                }
            case .oneOfIntegers(let values):
                if !values.contains(where: { Double($0) == number }) {
                    report(
                        .badValue, at: node,
                        "expected one of: \(values.map { "\($0)" }.joined(separator: ", "))",
                        remedy: "write one of them")
                    return false
                }
            case .oneOf, .lengthAtLeast, .lengthAtMost, .form: break
            }
        }
        return true
    }

    private func holds(count: Int, _ node: Int, _ field: FieldSchema) -> Bool {
        for rule in field.rules {
            if case .lengthAtLeast(let least) = rule, count < least {
                report(.badValue, at: node, "at least \(least) value is needed", remedy: "add one, or remove the field")
                return false
            }
        }
        return true
    }

    // MARK: Reading

    func string(_ fields: Fields, _ position: Int) -> String? {
        fields.has(position) ? document.text(fields.nodes[position]) : nil
    }

    /// A string, with a vault reference resolved.
    func secret(_ fields: Fields, _ position: Int) -> String? {
        if fields.has(position), document.withText(fields.nodes[position], { TextForms.isPlaceholder($0) }) {
            // Kong takes it too: whoever has read the repository then has the secret.
            report(
                .badValue, .warning, at: fields.nodes[position], field: fields.schema.fields[position].name,
                "a placeholder that nobody filled in is taken as the secret itself",
                remedy:
                    "fill it in first (envsubst < kong.yml), or write ${{ env \"DECK_NAME\" }} or {vault://env/name}")
        }
        return string(fields, position).flatMap {
            resolveVault($0, at: fields.nodes[position], fields.schema.fields[position].name)
        }
    }

    func int(_ fields: Fields, _ position: Int) -> Int? {
        fields.has(position) ? document.int(fields.nodes[position]) : nil
    }

    func number(_ fields: Fields, _ position: Int) -> Double? {
        fields.has(position) ? document.number(fields.nodes[position]) : nil
    }

    func bool(_ fields: Fields, _ position: Int) -> Bool? {
        fields.has(position) ? document.bool(fields.nodes[position]) : nil
    }

    func elements(_ node: Int) -> [Int] {
        var result: [Int] = []
        guard node != Document.none else { return result }
        result.reserveCapacity(document.count(node))
        var child = document.firstElement(node)
        while child != Document.none {
            result.append(child)
            child = document.next(child)
        }
        return result
    }

    /// The strings of an array, in order; without repeats when `unique`.
    func strings(_ fields: Fields, _ position: Int, unique: Bool = false) -> [String] {
        guard fields.has(position) else { return [] }
        var result: [String] = []
        var child = document.firstElement(fields.nodes[position])
        while child != Document.none {
            let text = document.text(child)
            if !unique || !result.contains(text) { result.append(text) }
            child = document.next(child)
        }
        return result
    }

    func ints(_ fields: Fields, _ position: Int) -> [Int]? {
        guard fields.has(position) else { return nil }
        return elements(fields.nodes[position]).compactMap { document.int($0) }
    }

    /// A record inside a record, without new findings: the outer read has checked it.
    func inner(_ fields: Fields, _ position: Int, _ schema: RecordSchema) -> Fields {
        guard fields.has(position) else {
            return Fields(schema: schema, nodes: [Int](repeating: Document.none, count: schema.fields.count))
        }
        let count = findings.count
        let result = read([fields.nodes[position]], schema)
        findings.removeSubrange(count...)
        return result
    }
}
