// The protobuf wire format (https://protobuf.dev/programming-guides/encoding), without a second
// set of types: snapshot types write and read themselves. The schema is docs/snapshot.proto.

public import Bytes

/// Why received bytes are no snapshot.
public enum WireError: Error, Equatable {
    case truncated
    case overlongInteger
    case badWireType(field: Int)
    case badValue(field: Int)
    case tooDeep
}

/// A type that can stand in a snapshot. Scalars are always written, so a type's defaults never
/// change what was sent.
public protocol WireMessage {
    init()
    func encode(into out: inout WireWriter)
    /// Takes one field; an unknown number must be passed to `reader.skip`.
    mutating func decode(field: Int, from reader: inout WireReader) throws(WireError)
}

extension WireMessage {
    public init(wire bytes: Bytes) throws(WireError) {
        var reader = WireReader(bytes)
        try self.init(from: &reader)
    }

    init(from reader: inout WireReader) throws(WireError) {
        self.init()
        while let field = try reader.nextField() {
            try decode(field: field, from: &reader)
        }
    }

    public var wire: [UInt8] {
        var out = WireWriter()
        encode(into: &out)
        return out.bytes
    }
}

/// Appends fields in protobuf's wire format, or only hashes what it would append.
public struct WireWriter {
    public private(set) var bytes: [UInt8] = []
    /// Set: nothing is appended, this takes it instead.
    private var hash: WireHash?

    public init() {}

    init(hashing hash: WireHash) { self.hash = hash }

    /// What was put is forgotten, the memory kept.
    mutating func removeAll() { bytes.removeAll(keepingCapacity: true) }

    private mutating func varint(_ value: UInt64) {
        var rest = value
        while rest >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        bytes.append(UInt8(truncatingIfNeeded: rest))
    }

    private mutating func tag(_ field: Int, _ type: UInt64) { varint(UInt64(field) << 3 | type) }

    /// A field of a number: `type` is 0 or 1 of the format.
    private mutating func hash(_ field: Int, _ type: UInt64, _ value: UInt64) {
        hash?.add(UInt64(field) << 3 | type)
        hash?.add(value)
    }

    public mutating func put(_ field: Int, _ value: UInt64) {
        if hash != nil { return hash(field, 0, value) }
        tag(field, 0)
        varint(value)
    }

    /// Signed integers are zigzag-encoded (`sint64`).
    public mutating func put(_ field: Int, _ value: Int) {
        put(field, UInt64(bitPattern: Int64((value << 1) ^ (value >> 63))))
    }

    public mutating func put(_ field: Int, _ value: Bool) { put(field, value ? UInt64(1) : 0) }

    /// `double`, as fixed64.
    public mutating func put(_ field: Int, _ value: Double) {
        if hash != nil { return hash(field, 1, value.bitPattern) }
        tag(field, 1)
        for shift in stride(from: UInt64(0), to: 64, by: 8) {
            bytes.append(UInt8(truncatingIfNeeded: value.bitPattern >> shift))
        }
    }

    public mutating func put(_ field: Int, _ value: String) {
        if hash != nil {
            hash?.add(UInt64(field) << 3 | 2)
            hash?.add(value)
            return
        }
        tag(field, 2)
        varint(UInt64(value.utf8.count))
        bytes.append(contentsOf: value.utf8)
    }

    public mutating func put(_ field: Int, _ value: [UInt8]) {
        if hash != nil {
            hash?.add(UInt64(field) << 3 | 2)
            value.withBytes { hash?.add($0) }
            return
        }
        tag(field, 2)
        varint(UInt64(value.count))
        bytes.append(contentsOf: value)
    }

    public mutating func put(_ field: Int, _ value: ID) {
        if hash != nil {
            hash(field, 2, value.high)
            hash?.add(value.low)
            return
        }
        tag(field, 2)
        varint(16)
        bigEndian(value.high)
        bigEndian(value.low)
    }

    private mutating func bigEndian(_ word: UInt64) {
        for shift in stride(from: UInt64(56), through: 0, by: -8) {
            bytes.append(UInt8(truncatingIfNeeded: word >> shift))
        }
    }

    public mutating func put(_ field: Int, _ values: [String]) {
        for value in values { put(field, value) }
    }

    public mutating func put(_ field: Int, _ values: [[UInt8]]) {
        for value in values { put(field, value) }
    }

    public mutating func put(_ field: Int, _ values: [Int]) {
        guard !values.isEmpty else { return }
        if hash != nil {
            hash(field, 2, UInt64(values.count))
            for value in values { hash?.add(UInt64(bitPattern: Int64(value))) }
            return
        }
        delimited(field) { out in
            for value in values { out.varint(UInt64(bitPattern: Int64((value << 1) ^ (value >> 63)))) }
        }
    }

    /// Enumerations travel as their raw number.
    public mutating func put<E: RawRepresentable<Int>>(_ field: Int, _ value: E) {
        put(field, UInt64(max(0, value.rawValue)))
    }

    /// A message that is always written, so that its presence can be told.
    public mutating func put<M: WireMessage>(_ field: Int, message value: M) {
        if hash != nil {
            hash?.add(UInt64(field) << 3 | 2)
            value.encode(into: &self)
            hash?.add(WireHash.end)
            return
        }
        delimited(field) { out in value.encode(into: &out) }
    }

    public mutating func put<M: WireMessage>(_ field: Int, message value: M?) {
        if let value { put(field, message: value) }
    }

    public mutating func put<M: WireMessage>(_ field: Int, messages values: [M]) {
        for value in values { put(field, message: value) }
    }

    /// Contents with their length before them. Most are shorter than 128 bytes, whose length takes one byte:
    /// only longer ones are moved.
    private mutating func delimited(_ field: Int, _ contents: (inout WireWriter) -> Void) {
        tag(field, 2)
        bytes.append(0)
        let start = bytes.count
        contents(&self)
        let count = bytes.count - start
        if count < 0x80 {
            bytes[start - 1] = UInt8(truncatingIfNeeded: count)
            return
        }
        var length: [UInt8] = []
        var rest = count
        while rest >= 0x80 {
            length.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        length.append(UInt8(truncatingIfNeeded: rest))
        bytes.replaceSubrange((start - 1)..<start, with: length)
    }

    /// The hash of what was put, when it was made to hash.
    var hashValue: UInt64 { hash?.value ?? 0 }
}

/// Reads fields in protobuf's wire format from bytes that may be anything.
public struct WireReader {
    private let bytes: Bytes
    private var at = 0
    private let depth: Int
    private var field = 0
    private var type: UInt64 = 0

    public init(_ bytes: Bytes) { self.init(bytes, depth: 0) }

    private init(_ bytes: Bytes, depth: Int) {
        self.bytes = bytes
        self.depth = depth
    }

    private mutating func varint() throws(WireError) -> UInt64 {
        var value: UInt64 = 0
        var shift: UInt64 = 0
        while true {
            guard at < bytes.count else { throw .truncated }
            let byte = bytes[at]
            at += 1
            if shift == 63 && byte > 1 { throw .overlongInteger }
            value |= UInt64(byte & 0x7F) << shift
            if byte < 0x80 { return value }
            shift += 7
            if shift > 63 { throw .overlongInteger }
        }
    }

    /// The next field's number, or nil at the end.
    public mutating func nextField() throws(WireError) -> Int? {
        guard at < bytes.count else { return nil }
        let tag = try varint()
        field = Int(tag >> 3 & 0x1FFF_FFFF)
        type = tag & 7
        return field
    }

    /// Passes over a field that this version does not know.
    public mutating func skip() throws(WireError) {
        switch type {
        case 0: _ = try varint()
        case 1: try advance(8)
        case 2: _ = try delimited()
        case 5: try advance(4)
        default: throw .badWireType(field: field)
        }
    }

    private mutating func advance(_ n: Int) throws(WireError) {
        guard bytes.count - at >= n else { throw .truncated }
        at += n
    }

    private mutating func delimited() throws(WireError) -> Bytes {
        guard type == 2 else { throw .badWireType(field: field) }
        let length = try varint()
        guard length <= UInt64(bytes.count - at) else { throw .truncated }
        let start = at
        at += Int(length)
        return bytes[start..<at]
    }

    public mutating func unsigned() throws(WireError) -> UInt64 {
        guard type == 0 else { throw .badWireType(field: field) }
        return try varint()
    }

    public mutating func int() throws(WireError) -> Int { Self.signed(try unsigned()) }

    private static func signed(_ raw: UInt64) -> Int {
        Int(truncatingIfNeeded: Int64(bitPattern: raw >> 1) ^ -Int64(bitPattern: raw & 1))
    }

    public mutating func bool() throws(WireError) -> Bool { try unsigned() != 0 }

    public mutating func double() throws(WireError) -> Double {
        guard type == 1 else { throw .badWireType(field: field) }
        let start = at
        try advance(8)
        return Double(bitPattern: bytes.load64(start))
    }

    public mutating func string() throws(WireError) -> String { try delimited().string }

    public mutating func data() throws(WireError) -> [UInt8] { try delimited().array }

    public mutating func id() throws(WireError) -> ID {
        let raw = try delimited()
        guard raw.count == 16 else { throw .badValue(field: field) }
        return ID(high: raw.load64(0).byteSwapped, low: raw.load64(8).byteSwapped)
    }

    public mutating func ints(into values: inout [Int]) throws(WireError) {
        var packed = WireReader(try delimited(), depth: depth)
        while packed.at < packed.bytes.count { values.append(Self.signed(try packed.varint())) }
    }

    public mutating func value<E: RawRepresentable<Int>>() throws(WireError) -> E {
        guard let value = E(rawValue: Int(truncatingIfNeeded: try unsigned())) else {
            throw .badValue(field: field)
        }
        return value
    }

    public mutating func message<M: WireMessage>() throws(WireError) -> M {
        guard depth < 16 else { throw .tooDeep }
        var inner = WireReader(try delimited(), depth: depth + 1)
        return try M(from: &inner)
    }
}

/// A UUID. Compared as its text would be.
public struct ID: Hashable, Comparable, Sendable, CustomStringConvertible {
    public var high: UInt64
    public var low: UInt64

    public init(high: UInt64 = 0, low: UInt64 = 0) {
        self.high = high
        self.low = low
    }

    /// From `xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx` in any case; nil for anything else.
    public init?(_ text: String) {
        var words: [UInt64] = [0, 0]
        var digits = 0
        var position = 0
        for byte in text.utf8 {
            if position == 8 || position == 13 || position == 18 || position == 23 {
                guard byte == 0x2D else { return nil }
            } else {
                guard digits < 32, let value = ASCII.hex(byte) else { return nil }
                words[digits / 16] = words[digits / 16] << 4 | UInt64(value)
                digits += 1
            }
            position += 1
        }
        guard digits == 32, position == 36 else { return nil }
        self.init(high: words[0], low: words[1])
    }

    public static func < (a: ID, b: ID) -> Bool {
        a.high != b.high ? a.high < b.high : a.low < b.low
    }

    public var description: String {
        var text = ""
        for (index, digit) in (0..<32).enumerated() {
            if index == 8 || index == 12 || index == 16 || index == 20 { text += "-" }
            let word = digit < 16 ? high : low
            let nibble = Int(word >> UInt64(60 - (digit % 16) * 4) & 15)
            text += String(nibble, radix: 16)
        }
        return text
    }
}
