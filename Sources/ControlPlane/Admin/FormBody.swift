// Form fields as Kong reads them: `hosts[]=a`, `config.limits[1].name=x`, and values typed by the entity's schema.

import Model

/// What a form says before its schema gives the texts their types.
indirect enum FormNode: Sendable, Equatable {
    case text(String)
    /// A part that was JSON already.
    case value(ConfigValue)
    /// By position; positions may have gaps, which close up.
    case list([Int: FormNode])
    case record([FormField])
}

struct FormField: Sendable, Equatable {
    var key: String
    var node: FormNode
}

/// A tree grown from `name=value` pairs.
struct FormBody: Sendable {
    /// Pairs in one body, steps in one name, and the largest position.
    static let pairsLimit = 1000
    static let stepsLimit = 32
    static let positionLimit = 10_000

    private(set) var root = FormNode.record([])

    /// From `application/x-www-form-urlencoded` bytes; nil beyond the limits or when a name makes no sense.
    init?(urlencoded body: [UInt8]) {
        guard let pairs = FormBody.pairs(String(decoding: body, as: UTF8.self)) else { return nil }
        self.init(pairs.map { ($0.name, .text($0.value)) })
    }

    init?(_ pairs: [(name: String, node: FormNode)]) {
        guard pairs.count <= Self.pairsLimit else { return nil }
        for pair in pairs {
            guard let steps = Self.steps(pair.name) else { return nil }
            Self.insert(steps[...], pair.node, into: &root)
        }
    }

    /// The pairs of a query or of an urlencoded body, decoded; nil: too many.
    static func pairs(_ text: String) -> [(name: String, value: String)]? {
        let parts = text.split(separator: "&", omittingEmptySubsequences: true)
        guard parts.count <= pairsLimit else { return nil }
        return parts.map { part in
            let sides = part.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            return (
                PercentCoding.decode(sides.first ?? "", plusIsSpace: true),
                sides.count == 2 ? PercentCoding.decode(sides[1], plusIsSpace: true) : ""
            )
        }
    }

    private enum Step {
        case key(String)
        /// Nil: behind the last.
        case position(Int?)
    }

    /// `a.b[2].c` → a, b, position 2, c. A name that begins or ends with a dot is one key.
    private static func steps(_ name: String) -> [Step]? {
        if name.hasPrefix(".") || name.hasSuffix(".") { return [.key(name)] }
        var steps: [Step] = []
        for part in name.split(separator: ".", omittingEmptySubsequences: true) {
            var rest = part
            var positions: [Step] = []
            while rest.last == "]", let open = rest.lastIndex(of: "["), open != rest.startIndex {
                let inside = rest[rest.index(after: open)..<rest.index(before: rest.endIndex)]
                if inside.isEmpty {
                    positions.append(.position(nil))
                } else if let number = Int(inside), number >= 0, number <= positionLimit {
                    positions.append(.position(number))
                } else {
                    break
                }
                rest = rest[..<open]
            }
            steps.append(.key(String(rest)))
            steps += positions.reversed()
        }
        if steps.isEmpty { steps = [.key(name)] }
        return steps.count <= stepsLimit ? steps : nil
    }

    private static func insert(_ steps: ArraySlice<Step>, _ new: FormNode, into node: inout FormNode) {
        switch steps.first {
        case .key(let key)?:
            guard case .record(var fields) = node else { return }
            if let index = fields.firstIndex(where: { $0.key == key }) {
                if steps.count == 1 {
                    join(new, into: &fields[index].node)
                } else {
                    insert(steps.dropFirst(), new, into: &fields[index].node)
                }
            } else {
                var child = empty(before: steps.dropFirst()) ?? new
                if steps.count > 1 { insert(steps.dropFirst(), new, into: &child) }
                fields.append(FormField(key: key, node: child))
            }
            node = .record(fields)
        case .position(let position)?:
            guard case .list(var elements) = node else { return }
            let place = position ?? (elements.keys.max() ?? 0) + 1
            if steps.count == 1 {
                if elements[place] == nil {
                    elements[place] = new
                } else {
                    join(new, into: &elements[place, default: new])
                }
            } else {
                var child = elements[place] ?? empty(before: steps.dropFirst()) ?? new
                insert(steps.dropFirst(), new, into: &child)
                elements[place] = child
            }
            node = .list(elements)
        case nil: join(new, into: &node)
        }
    }

    private static func empty(before steps: ArraySlice<Step>) -> FormNode? {
        switch steps.first {
        case .key?: .record([])
        case .position?: .list([:])
        case nil: nil
        }
    }

    /// The same name twice makes a list.
    private static func join(_ new: FormNode, into node: inout FormNode) {
        switch node {
        case .text, .value: node = .list([1: node, 2: new])
        case .list(var elements):
            elements[(elements.keys.max() ?? 0) + 1] = new
            node = .list(elements)
        case .record: return
        }
    }

    // MARK: Types

    /// The body as an entity of `schema`; `plugin` says whose schema the field `config` has.
    func value(_ schema: RecordSchema, plugin: String? = nil) -> ConfigValue {
        var plugin = plugin
        if case .record(let fields) = root, case .text(let name)? = fields.first(where: { $0.key == "name" })?.node {
            plugin = plugin ?? name
        }
        return Self.infer(root, .record(schema), plugin: plugin)
    }

    /// The body without a schema: texts stay texts.
    var plain: ConfigValue { Self.infer(root, nil, plugin: nil) }

    private static func infer(_ node: FormNode, _ type: FieldType?, plugin: String?) -> ConfigValue {
        switch node {
        case .value(let value): return value
        case .text(let text): return infer(text, type, plugin: plugin)
        case .list(let elements):
            let element: FieldType? =
                switch type {
                case .array(let field)?, .set(let field)?: field.type
                default: nil
                }
            return .array(elements.sorted { $0.key < $1.key }.map { infer($0.value, element, plugin: plugin) })
        case .record(let fields):
            return .record(
                fields.map { field in
                    .init(
                        field.key, infer(field.node, Self.type(of: field.key, in: type, plugin: plugin), plugin: plugin)
                    )
                })
        }
    }

    private static func type(of key: String, in type: FieldType?, plugin: String?) -> FieldType? {
        switch type {
        case .record(let schema)?: schema.position(of: key).map { schema.fields[$0].type }
        case .map(_, let values)?: values.type
        case .open?:
            plugin.flatMap { PluginCatalog.supported[$0] }.flatMap {
                Self.type(of: key, in: .record($0.config), plugin: nil)
            }
        default: nil
        }
    }

    private static func infer(_ text: String, _ type: FieldType?, plugin: String?) -> ConfigValue {
        guard let type else { return .string(text) }
        if text.isEmpty { return .null }
        switch type {
        case .integer, .number:
            if let number = Int(text) { return .int(number) }
            if let number = Double(text), number.isFinite { return .double(number) }
            return .string(text)
        case .boolean: return text == "true" ? .bool(true) : text == "false" ? .bool(false) : .string(text)
        case .array(let field), .set(let field): return .array([infer(text, field.type, plugin: plugin)])
        case .string, .map, .record, .open, .foreign: return .string(text)
        }
    }
}

/// Percent-encoding (RFC 3986 section 2.1).
enum PercentCoding {
    /// What is no `%XX` stays as it is.
    static func decode(_ text: some StringProtocol, plusIsSpace: Bool = false) -> String {
        guard text.utf8.contains(where: { $0 == UInt8(ascii: "%") || $0 == UInt8(ascii: "+") }) else {
            return String(text)
        }
        let bytes = Array(text.utf8)
        var out: [UInt8] = []
        out.reserveCapacity(bytes.count)
        var index = 0
        while index < bytes.count {
            let byte = bytes[index]
            if byte == UInt8(ascii: "%"), index + 2 < bytes.count, let high = digit(bytes[index + 1]),
                let low = digit(bytes[index + 2])
            {
                out.append(high << 4 | low)
                index += 3
                continue
            }
            out.append(plusIsSpace && byte == UInt8(ascii: "+") ? UInt8(ascii: " ") : byte)
            index += 1
        }
        return String(decoding: out, as: UTF8.self)
    }

    /// Everything but unreserved characters becomes `%XX`.
    static func encode(_ text: String) -> String {
        var out: [UInt8] = []
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
                UInt8(ascii: "~"):
                out.append(byte)
            default:
                out.append(UInt8(ascii: "%"))
                out.append(upper(byte >> 4))
                out.append(upper(byte & 15))
            }
        }
        return String(decoding: out, as: UTF8.self)
    }

    private static func upper(_ value: UInt8) -> UInt8 {
        value < 10 ? UInt8(ascii: "0") + value : UInt8(ascii: "A") + value - 10
    }

    static func digit(_ byte: UInt8) -> UInt8? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
        default: nil
        }
    }
}
