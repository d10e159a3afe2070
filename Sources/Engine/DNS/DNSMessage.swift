// Reads the answer section of a DNS response (RFC 1035 section 4, RFC 3596, RFC 2782).

public import Bytes

/// Record types that name resolution asks for.
public enum DNSType: UInt16, Sendable {
    case a = 1
    case cname = 5
    case aaaa = 28
    case srv = 33
}

/// What a record says.
public enum DNSData: Equatable, Sendable {
    case address(IPAddress)
    /// The target of a CNAME, lower-case, without the final dot.
    case alias(String)
    case service(priority: UInt16, weight: UInt16, port: UInt16, target: String)
}

public struct DNSRecord: Equatable, Sendable {
    /// Lower-case, without the final dot.
    public var name: String
    public var type: DNSType
    /// Seconds; values with the top bit set count as 0 (RFC 2181 section 8).
    public var ttl: UInt32
    public var data: DNSData

    public init(name: String, type: DNSType, ttl: UInt32, data: DNSData) {
        self.name = name
        self.type = type
        self.ttl = ttl
        self.data = data
    }
}

/// A response: how it went, and the records of its answer section that are of a known type.
///
/// ```
/// +--------+---------------+---------+---------+-----------+------------+
/// | id (2) | flags (2)     | qd (2)  | an (2)  | ns (2)    | ar (2)     |
/// |        | QR … RCODE(4) |         |         |           |            |
/// +--------+---------------+---------+---------+-----------+------------+
/// question: name, type (2), class (2)
/// answer:   name, type (2), class (2), ttl (4), length (2), data
/// ```
public struct DNSReply: Equatable, Sendable {
    /// 0: no error, 2: server failure, 3: no such name, 5: refused.
    public var code: UInt8
    public var records: [DNSRecord]

    /// Records past this are ignored.
    public static let recordsMax = 256

    public init(code: UInt8, records: [DNSRecord]) {
        self.code = code
        self.records = records
    }

    /// Nil for bytes that are not a well-formed response.
    public init?(_ message: Bytes) {
        guard message.count >= 12, message[2] & 0x80 != 0 else { return nil }
        var reader = DNSReader(message: message, at: 12)
        code = message[3] & 0x0F
        records = []
        for _ in 0..<reader.count(at: 4) {
            guard reader.name() != nil, reader.skip(4) else { return nil }
        }
        for _ in 0..<min(reader.count(at: 6), Self.recordsMax) {
            guard let name = reader.name(), let type = reader.number16(), let dnsClass = reader.number16(),
                let ttl = reader.number32(), let length = reader.number16()
            else { return nil }
            let end = reader.at + Int(length)
            guard end <= message.count else { return nil }
            if dnsClass == 1, let type = DNSType(rawValue: type) {
                guard let data = reader.data(type, end: end) else { return nil }
                let seconds = ttl & 0x8000_0000 == 0 ? ttl : 0
                records.append(DNSRecord(name: name, type: type, ttl: seconds, data: data))
            }
            reader.at = end
        }
    }
}

/// A cursor over a message. Every read is checked against the end.
private struct DNSReader {
    let message: Bytes
    var at: Int

    /// A section's number of entries, from the header.
    func count(at offset: Int) -> Int { Int(message[offset]) << 8 | Int(message[offset + 1]) }

    mutating func skip(_ n: Int) -> Bool {
        guard at + n <= message.count else { return false }
        at += n
        return true
    }

    mutating func number16() -> UInt16? {
        guard at + 2 <= message.count else { return nil }
        defer { at += 2 }
        return UInt16(message[at]) << 8 | UInt16(message[at + 1])
    }

    mutating func number32() -> UInt32? {
        guard let high = number16(), let low = number16() else { return nil }
        return UInt32(high) << 16 | UInt32(low)
    }

    mutating func data(_ type: DNSType, end: Int) -> DNSData? {
        switch type {
        case .a:
            guard end - at == 4, let value = number32() else { return nil }
            return .address(IPAddress(v4: value))
        case .aaaa:
            guard end - at == 16, let a = number32(), let b = number32(), let c = number32(), let d = number32()
            else { return nil }
            return .address(IPAddress(v6High: UInt64(a) << 32 | UInt64(b), low: UInt64(c) << 32 | UInt64(d)))
        case .cname:
            guard let target = name(), at == end else { return nil }
            return .alias(target)
        case .srv:
            guard let priority = number16(), let weight = number16(), let port = number16(), let target = name(),
                at == end
            else { return nil }
            return .service(priority: priority, weight: weight, port: port, target: target)
        }
    }

    /// A name as text: at most 255 bytes on the wire, compression pointers only backwards (so that
    /// they end), a label's dots and control characters refused rather than misread.
    mutating func name() -> String? {
        var text: [UInt8] = []
        var cursor = at
        var resume: Int?
        var lowest = at
        while true {
            guard cursor < message.count else { return nil }
            let length = Int(message[cursor])
            if length == 0 {
                cursor += 1
                break
            }
            if length & 0xC0 == 0xC0 {
                guard cursor + 1 < message.count else { return nil }
                let target = (length & 0x3F) << 8 | Int(message[cursor + 1])
                guard target < lowest else { return nil }
                if resume == nil { resume = cursor + 2 }
                lowest = target
                cursor = target
                continue
            }
            guard length < 64, cursor + 1 + length <= message.count, text.count + length + 1 <= 254 else { return nil }
            if !text.isEmpty { text.append(0x2E) }
            for i in cursor + 1...cursor + length {
                let byte = ASCII.lower(message[i])
                guard byte > 0x20, byte != 0x2E, byte < 0x7F else { return nil }
                text.append(byte)
            }
            cursor += 1 + length
        }
        at = resume ?? cursor
        return text.withBytes { $0.string }
    }
}
