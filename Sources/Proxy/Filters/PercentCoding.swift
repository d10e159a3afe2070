// Percent-encoding (RFC 3986 section 2.1) and the arguments of queries and forms.

import Bytes

enum PercentCoding {
    /// Appends `text` decoded; what is no escape stays. In arguments `+` stands for a space.
    static func decodeArgument(_ text: Bytes, to out: Buffer) {
        var i = 0
        while i < text.count {
            let byte = text[i]
            if byte == 0x25, i + 2 < text.count, let high = ASCII.hex(text[i + 1]), let low = ASCII.hex(text[i + 2]) {
                out.append(high << 4 | low)
                i += 3
            } else {
                out.append(byte == 0x2B ? 0x20 : byte)
                i += 1
            }
        }
    }

    /// Appends `text` with everything but unreserved characters encoded.
    static func encode(_ text: Bytes, to out: Buffer) {
        for i in 0..<text.count {
            let byte = text[i]
            if ASCII.isUnreserved(byte) {
                out.append(byte)
            } else {
                out.append(0x25)
                appendHex(byte, to: out)
            }
        }
    }

    /// Two upper-case digits.
    static func appendHex(_ byte: UInt8, to out: Buffer) {
        for nibble in [byte >> 4, byte & 15] { out.append(nibble < 10 ? 0x30 + nibble : 0x37 + nibble) }
    }

    /// Whether `text` decoded as an argument equals `name`, without decoding it anywhere.
    static func argument(_ text: Bytes, equals name: Bytes) -> Bool {
        var i = 0
        var at = 0
        while i < text.count {
            guard at < name.count else { return false }
            var byte = text[i]
            if byte == 0x25, i + 2 < text.count, let high = ASCII.hex(text[i + 1]), let low = ASCII.hex(text[i + 2]) {
                byte = high << 4 | low
                i += 2
            } else if byte == 0x2B {
                byte = 0x20
            }
            guard byte == name[at] else { return false }
            i += 1
            at += 1
        }
        return at == name.count
    }
}

/// One `name=value` as it was sent.
struct RawArgument {
    var name: Bytes
    /// nil: there was no `=`.
    var value: Bytes?
    /// All of it.
    var text: Bytes
}

/// Walks the arguments of a query or a form. Empty ones are passed over.
struct RawArguments: Sequence, IteratorProtocol {
    private let text: Bytes
    private var at = 0

    init(_ text: Bytes) { self.text = text }

    mutating func next() -> RawArgument? {
        while at < text.count {
            let end = text.firstIndex(of: 0x26, from: at) ?? text.count
            let item = text[at..<end]
            at = end + 1
            guard !item.isEmpty else { continue }
            guard let equals = item.firstIndex(of: 0x3D) else { return RawArgument(name: item, value: nil, text: item) }
            return RawArgument(name: item.prefix(equals), value: item.dropFirst(equals + 1), text: item)
        }
        return nil
    }

    /// What looking for one name found.
    enum Found {
        case none
        case one(Bytes)
        case several
    }

    /// The raw value of the argument called `name`; without `=` it has none.
    func find(_ name: Bytes) -> Found {
        var found = Found.none
        for argument in self where PercentCoding.argument(argument.name, equals: name) {
            guard case .none = found else { return .several }
            guard let value = argument.value else { continue }
            found = .one(value)
        }
        return found
    }

    /// Appends all but the arguments called `name`; true if there was one.
    func write(without name: Bytes, to out: Buffer) -> Bool {
        let start = out.end
        var wasFound = false
        for argument in self {
            if PercentCoding.argument(argument.name, equals: name) {
                wasFound = true
                continue
            }
            if out.end > start { out.append(0x26) }
            out.append(argument.text)
        }
        return wasFound
    }
}
