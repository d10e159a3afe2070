// ConfigValue <-> JSON (RFC 8259): the form in which specs are stored, compared and shown.

extension ConfigValue {
    /// The value as JSON without spaces: keys in the order given, whole numbers as integers, fractions so that they
    /// read back as the same `Double`. Equal values give equal bytes. An infinity or not-a-number, for which JSON has
    /// no text, becomes null.
    public var json: [UInt8] {
        var writer = JSONWriter()
        writer.write(self)
        return writer.bytes
    }

    /// As `json`, but over lines and indented by two spaces, for people.
    public var indentedJSON: [UInt8] {
        var writer = JSONWriter()
        writer.isIndented = true
        writer.write(self)
        writer.bytes.append(0x0A)
        return writer.bytes
    }

    /// Reads one JSON text.
    ///
    /// A number without fraction and exponent is an integer if an `Int` can hold it. A key that a record has twice is
    /// refused: readers disagree which of the two counts.
    ///
    /// - Parameters:
    ///   - json: the text in UTF-8; it may be anything.
    ///   - depth: arrays and records inside each other.
    /// - Throws: `JSONFault` with the place of the first mistake.
    public init(json: [UInt8], depth: Int = 64) throws(JSONFault) {
        var parser = JSONParser(depth: depth)
        self = try parser.read(json.span)
    }
}

/// Why a text is no JSON, and where.
public struct JSONFault: Error, Sendable, Equatable {
    /// Bytes before the mistake.
    public var offset: Int
    /// 1-based.
    public var line: Int
    /// 1-based, in bytes.
    public var column: Int
    /// Such as `"," or "}" expected`.
    public var message: String
}

/// Writes JSON into `bytes`.
private struct JSONWriter {
    var bytes: [UInt8] = []
    var isIndented = false
    private var depth = 0

    init() { bytes.reserveCapacity(512) }

    mutating func write(_ value: ConfigValue) {
        switch value {
        case .null: append("null")
        case .bool(let value): append(value ? "true" : "false")
        case .int(let value): append(value)
        case .double(let value): append(contentsOf: value.isFinite ? value.description : "null")
        case .string(let value): append(string: value)
        case .array(let values):
            open(UInt8(ascii: "["))
            for (index, value) in values.enumerated() {
                separate(index)
                write(value)
            }
            close(UInt8(ascii: "]"), isEmpty: values.isEmpty)
        case .record(let entries):
            open(UInt8(ascii: "{"))
            for (index, entry) in entries.enumerated() {
                separate(index)
                append(string: entry.key)
                bytes.append(UInt8(ascii: ":"))
                if isIndented { bytes.append(0x20) }
                write(entry.value)
            }
            close(UInt8(ascii: "}"), isEmpty: entries.isEmpty)
        }
    }

    private mutating func open(_ byte: UInt8) {
        bytes.append(byte)
        depth += 1
    }

    private mutating func separate(_ index: Int) {
        if index > 0 { bytes.append(UInt8(ascii: ",")) }
        breakLine()
    }

    private mutating func close(_ byte: UInt8, isEmpty: Bool) {
        depth -= 1
        if !isEmpty { breakLine() }
        bytes.append(byte)
    }

    private mutating func breakLine() {
        guard isIndented else { return }
        bytes.append(0x0A)
        for _ in 0..<depth * 2 { bytes.append(0x20) }
    }

    private mutating func append(_ text: StaticString) {
        text.withUTF8Buffer { unsafe bytes.append(contentsOf: $0) }
    }

    private mutating func append(contentsOf text: String) { bytes.append(contentsOf: text.utf8) }

    private mutating func append(_ value: Int) {
        // Ports, weights and timeouts: no string is made for them.
        var digits = InlineArray<20, UInt8>(repeating: 0)
        var magnitude = value.magnitude
        var count = 0
        repeat {
            digits[count] = UInt8(ascii: "0") + UInt8(truncatingIfNeeded: magnitude % 10)
            magnitude /= 10
            count += 1
        } while magnitude > 0
        if value < 0 { bytes.append(UInt8(ascii: "-")) }
        while count > 0 {
            count -= 1
            bytes.append(digits[count])
        }
    }

    private mutating func append(string text: String) {
        bytes.append(UInt8(ascii: "\""))
        let utf8 = text.utf8
        if utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x22 && $0 != 0x5C }) {
            bytes.append(contentsOf: utf8)
        } else {
            for byte in utf8 { escape(byte) }
        }
        bytes.append(UInt8(ascii: "\""))
    }

    private mutating func escape(_ byte: UInt8) {
        switch byte {
        case 0x22: append("\\\"")
        case 0x5C: append("\\\\")
        case 0x08: append("\\b")
        case 0x09: append("\\t")
        case 0x0A: append("\\n")
        case 0x0C: append("\\f")
        case 0x0D: append("\\r")
        case 0..<0x20:
            append("\\u00")
            bytes.append(SHA1.hexDigit(byte >> 4))
            bytes.append(SHA1.hexDigit(byte & 15))
        default: bytes.append(byte)
        }
    }
}
