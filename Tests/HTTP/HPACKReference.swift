// HPACK written out plainly: no shared code with the codec under test but the lengths of the Huffman code, which the
// vectors of another implementation check.

import Bytes
import HTTP

/// A field as the reference sees it.
struct PlainField: Equatable, CustomStringConvertible {
    var name: [UInt8]
    var value: [UInt8]
    var isNeverIndexed = false

    init(_ name: [UInt8], _ value: [UInt8], isNeverIndexed: Bool = false) {
        self.name = name
        self.value = value
        self.isNeverIndexed = isNeverIndexed
    }

    init(_ name: String, _ value: String, isNeverIndexed: Bool = false) {
        self.init(Array(name.utf8), Array(value.utf8), isNeverIndexed: isNeverIndexed)
    }

    var description: String {
        (isNeverIndexed ? "!" : "") + String(decoding: name, as: UTF8.self) + ": "
            + String(decoding: value, as: UTF8.self)
    }
}

/// The code as strings of 0 and 1, made by the rule for canonical codes.
enum PlainHuffman {
    static let codes: [String] = {
        let lengths = (0...255).map { HPACKHuffman.length(UInt8($0)) } + [30]
        var codes = [String](repeating: "", count: 257)
        var code = 0
        var length = 0
        for symbol in lengths.indices.sorted(by: { (lengths[$0], $0) < (lengths[$1], $1) }) {
            code <<= lengths[symbol] - length
            length = lengths[symbol]
            let digits = String(code, radix: 2)
            codes[symbol] = String(repeating: "0", count: length - digits.count) + digits
            code += 1
        }
        return codes
    }()

    private static let symbols = Dictionary(uniqueKeysWithValues: codes.enumerated().map { ($1, $0) })

    static func encode(_ text: [UInt8]) -> [UInt8] {
        var bits = text.map { codes[Int($0)] }.joined()
        while bits.utf8.count % 8 != 0 { bits += "1" }
        return bytes(bits)
    }

    static func bytes(_ bits: String) -> [UInt8] {
        let digits = Array(bits.utf8)
        return stride(from: 0, to: digits.count, by: 8).map { start in
            digits[start..<(start + 8)].reduce(0) { $0 << 1 | ($1 - 0x30) }
        }
    }

    static func decode(_ text: [UInt8]) -> [UInt8]? {
        var out: [UInt8] = []
        var code = ""
        for byte in text {
            for bit in stride(from: 7, through: 0, by: -1) {
                code += byte >> UInt8(bit) & 1 == 1 ? "1" : "0"
                guard let symbol = symbols[code] else { continue }
                guard symbol < 256 else { return nil }
                out.append(UInt8(symbol))
                code = ""
            }
        }
        return code.utf8.count < 8 && !code.contains("0") ? out : nil
    }
}

/// A table of whole fields, newest first, and blocks read byte by byte.
struct PlainDecoder {
    static let fixed: [(String, String)] = [
        (":authority", ""), (":method", "GET"), (":method", "POST"), (":path", "/"), (":path", "/index.html"),
        (":scheme", "http"), (":scheme", "https"), (":status", "200"), (":status", "204"), (":status", "206"),
        (":status", "304"), (":status", "400"), (":status", "404"), (":status", "500"), ("accept-charset", ""),
        ("accept-encoding", "gzip, deflate"), ("accept-language", ""), ("accept-ranges", ""), ("accept", ""),
        ("access-control-allow-origin", ""), ("age", ""), ("allow", ""), ("authorization", ""), ("cache-control", ""),
        ("content-disposition", ""), ("content-encoding", ""), ("content-language", ""), ("content-length", ""),
        ("content-location", ""), ("content-range", ""), ("content-type", ""), ("cookie", ""), ("date", ""),
        ("etag", ""), ("expect", ""), ("expires", ""), ("from", ""), ("host", ""), ("if-match", ""),
        ("if-modified-since", ""), ("if-none-match", ""), ("if-range", ""), ("if-unmodified-since", ""),
        ("last-modified", ""), ("link", ""), ("location", ""), ("max-forwards", ""), ("proxy-authenticate", ""),
        ("proxy-authorization", ""), ("range", ""), ("referer", ""), ("refresh", ""), ("retry-after", ""),
        ("server", ""), ("set-cookie", ""), ("strict-transport-security", ""), ("transfer-encoding", ""),
        ("user-agent", ""), ("vary", ""), ("via", ""), ("www-authenticate", ""),
    ]

    private(set) var table: [PlainField] = []
    private var sizeMax = 4096
    private var block: [UInt8] = []
    private var at = 0

    private struct Broken: Error {}

    /// The fields, or nil for a block that ends the connection.
    mutating func decode(_ block: [UInt8]) -> [PlainField]? {
        self.block = block
        at = 0
        var fields: [PlainField] = []
        do {
            while at < block.count {
                let first = block[at]
                if first >= 0x80 {
                    fields.append(try entry(try integer(7)))
                    fields[fields.count - 1].isNeverIndexed = false
                } else if first >= 0x40 {
                    let field = try literal(6)
                    fields.append(field)
                    table.insert(field, at: 0)
                    shrink()
                } else if first >= 0x20 {
                    guard fields.isEmpty else { return nil }
                    sizeMax = try integer(5)
                    guard sizeMax <= 4096 else { return nil }
                    shrink()
                } else {
                    var field = try literal(4)
                    field.isNeverIndexed = first >= 0x10
                    fields.append(field)
                }
            }
        } catch {
            return nil
        }
        return fields
    }

    private mutating func shrink() {
        while table.reduce(0, { $0 + $1.name.count + $1.value.count + 32 }) > sizeMax { table.removeLast() }
    }

    private func entry(_ index: Int) throws(Broken) -> PlainField {
        guard index > 0, index <= 61 + table.count else { throw Broken() }
        return index <= 61 ? PlainField(Self.fixed[index - 1].0, Self.fixed[index - 1].1) : table[index - 62]
    }

    private mutating func literal(_ prefix: Int) throws(Broken) -> PlainField {
        let index = try integer(prefix)
        let name = index > 0 ? try entry(index).name : try string()
        return PlainField(name, try string())
    }

    private mutating func string() throws(Broken) -> [UInt8] {
        guard at < block.count else { throw Broken() }
        let isCoded = block[at] >= 0x80
        let count = try integer(7)
        guard count <= block.count - at else { throw Broken() }
        let text = Array(block[at..<(at + count)])
        at += count
        guard isCoded else { return text }
        guard let decoded = PlainHuffman.decode(text) else { throw Broken() }
        return decoded
    }

    private mutating func integer(_ prefix: Int) throws(Broken) -> Int {
        let mask = 1 << prefix - 1
        var value = Int(block[at]) & mask
        at += 1
        if value < mask { return value }
        for place in 0..<4 {
            guard at < block.count else { throw Broken() }
            value += Int(block[at] & 0x7F) << (7 * place)
            at += 1
            if block[at - 1] < 0x80 { return value }
        }
        throw Broken()
    }
}

/// Blocks that use every representation, chosen by chance, with the table as a decoder would have it.
struct PlainEncoder {
    private var mirror = PlainDecoder()

    /// - Parameter fields: their `isNeverIndexed` is obeyed.
    mutating func encode(_ fields: [PlainField], _ random: inout some RandomNumberGenerator) -> [UInt8] {
        var block: [UInt8] = []
        if Int.random(in: 0..<12, using: &random) == 0 {
            for _ in 0..<Int.random(in: 1...2, using: &random) {
                add(Self.integer(Int.random(in: 0...4096, using: &random), 5, 0x20), to: &block)
            }
        }
        for field in fields {
            var choices: [[UInt8]] = []
            let all = PlainDecoder.fixed.map { PlainField($0.0, $0.1) } + mirror.table
            let names = all.indices.filter { all[$0].name == field.name }
            let form = field.isNeverIndexed ? (4, 0x10) : Bool.random(using: &random) ? (6, 0x40) : (4, 0)
            let value = Self.string(field.value, &random)
            choices.append(
                Self.integer(0, form.0, UInt8(form.1)) + Self.string(field.name, &random) + value)
            if let index = names.randomElement(using: &random) {
                choices.append(Self.integer(index + 1, form.0, UInt8(form.1)) + value)
            }
            if !field.isNeverIndexed,
                let index = names.filter({ all[$0].value == field.value }).randomElement(using: &random)
            {
                choices.append(Self.integer(index + 1, 7, 0x80))
                choices.append(Self.integer(index + 1, 7, 0x80))
            }
            add(choices.randomElement(using: &random) ?? [], to: &block)
        }
        return block
    }

    /// The mirror reads one piece at a time, so that the next one sees the table as it then is.
    private mutating func add(_ piece: [UInt8], to block: inout [UInt8]) {
        _ = mirror.decode(piece)
        block += piece
    }

    static func string(_ text: [UInt8], _ random: inout some RandomNumberGenerator) -> [UInt8] {
        let coded = PlainHuffman.encode(text)
        return Bool.random(using: &random)
            ? integer(coded.count, 7, 0x80) + coded : integer(text.count, 7, 0) + text
    }

    static func integer(_ value: Int, _ prefix: Int, _ form: UInt8) -> [UInt8] {
        let mask = 1 << prefix - 1
        guard value >= mask else { return [form | UInt8(value)] }
        var out = [form | UInt8(mask)]
        var rest = value - mask
        while rest >= 128 {
            out.append(UInt8(rest & 127) | 128)
            rest >>= 7
        }
        return out + [UInt8(rest)]
    }
}

/// A generator whose seed alone says what it gives.
struct Seeded: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ z >> 30) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ z >> 27) &* 0x94D0_49BB_1331_11EB
        return z ^ z >> 31
    }
}
