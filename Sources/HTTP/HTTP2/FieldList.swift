// The names and values of one decoded header block, in order, with their text in one buffer.

public import Bytes

/// A pseudo-header field of HTTP/2 (RFC 9113 section 8.3, RFC 8441 section 4).
public enum Pseudo: UInt8, Sendable {
    /// An ordinary field.
    case none
    case method, scheme, authority, path, status, `protocol`
    /// A name that begins with a colon and is none of the above.
    case unknown
}

/// Names and values of one header block, decoded, in order; the text is in `storage`.
///
/// A connection has one list and decodes every block into it. Whoever keeps a message's text takes the
/// buffer and leaves another one, so that nothing is copied a second time.
public final class FieldList {
    /// One name and its value. Offsets are counted from the origin of `storage`; the value follows its name.
    public struct Entry: Sendable {
        var offset: Int32
        var nameLength: Int32
        var valueLength: Int32
        var flags: Flags
        /// The name's number; `.other` for a pseudo field.
        public let id: FieldName
        public let pseudo: Pseudo

        public var nameOffset: Int { Int(offset) }
        public var nameCount: Int { Int(nameLength) }
        public var valueOffset: Int { Int(offset) + Int(nameLength) }
        public var valueCount: Int { Int(valueLength) }
        /// The sender asked that no intermediary ever puts it into a compression table (RFC 7541 section 6.2.3).
        public var isNeverIndexed: Bool { flags.contains(.neverIndexed) }
        /// Whether the name is no lower-case token, or the value holds what no value may (RFC 9113 section 8.2.1).
        public var isMalformed: Bool { !flags.isDisjoint(with: [.malformedName, .malformedValue]) }
    }

    struct Flags: OptionSet, Sendable {
        let rawValue: UInt8
        static let neverIndexed = Flags(rawValue: 1)
        static let malformedName = Flags(rawValue: 2)
        static let malformedValue = Flags(rawValue: 4)
    }

    /// Why storing stopped.
    enum Overflow: Sendable {
        case none
        /// Names and values, 32 bytes more for each field, are over `HeadLimits.head`.
        case size
        /// As `size`, and the field that did not fit was `:path`.
        case target
        /// More ordinary fields than `HeadLimits.fields`; all cookie fields count as one.
        case count
    }

    /// The text. It may be exchanged by whoever keeps it; `clear()` follows.
    public var storage: Buffer
    /// The first `count` are this block's; the rest is room from earlier ones.
    private var entries: [Entry] = []
    /// Fields of the block that were stored.
    public private(set) var count = 0
    /// Bytes of the block on the wire.
    public private(set) var wireCount = 0
    private(set) var overflow = Overflow.none
    private var size = 0
    private var ordinaryCount = 0
    private var hasCookie = false

    /// First size of a text buffer, in bytes: most heads fit.
    public static let standardCapacity = 2048

    public init() { storage = Buffer(capacity: Self.standardCapacity) }

    public subscript(index: Int) -> Entry {
        precondition(index >= 0 && index < count, "field index out of range")
        return entries[index]
    }

    public func name(_ index: Int) -> Bytes {
        let entry = self[index]
        return storage.bytes(at: entry.nameOffset, count: entry.nameCount)
    }

    public func value(_ index: Int) -> Bytes {
        let entry = self[index]
        return storage.bytes(at: entry.valueOffset, count: entry.valueCount)
    }

    /// The block went over a limit: decoding went on for the table's sake, storing stopped.
    public var isTooLarge: Bool { overflow != .none }

    /// Forgets all content; keeps the memory.
    public func clear() { begin(wireCount: 0) }

    /// Starts a block of so many bytes on the wire.
    func begin(wireCount: Int) {
        storage.clear()
        count = 0
        self.wireCount = wireCount
        overflow = .none
        size = 0
        ordinaryCount = 0
        hasCookie = false
    }

    /// Whether a field of so many bytes fits; if not, storing has stopped.
    @inline(__always)
    func admit(_ id: FieldName, _ pseudo: Pseudo, bytes: Int, _ limits: HeadLimits) -> Bool {
        guard overflow == .none else { return false }
        size += bytes + HPACKDynamicTable.rowCost
        if size > min(limits.head, HPACKDecoder.blockMax) {
            overflow = pseudo == .path ? .target : .size
            return false
        }
        guard pseudo == .none else { return true }
        if id == .cookie {
            if hasCookie { return true }
            hasCookie = true
        }
        ordinaryCount += 1
        if ordinaryCount > limits.fields {
            overflow = .count
            return false
        }
        return true
    }

    /// Adds a field whose text is at the end of `storage`.
    @inline(__always)
    func append(_ entry: Entry) {
        if count < entries.count { entries[count] = entry } else { entries.append(entry) }
        count += 1
    }
}
