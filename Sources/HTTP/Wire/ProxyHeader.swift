// The PROXY protocol header: where a connection really came from, told by the hop before us.
//
//     version 1   PROXY TCP4 192.0.2.7 198.51.100.1 51000 443 CRLF
//
//     version 2    0             12        13       14       16
//                 +-------------+---------+--------+--------+-----------+------ - - -+
//                 | signature   | 2 | cmd | family | length | addresses | TLVs       |
//                 +-------------+---------+--------+--------+-----------+------ - - -+
//
// After HAProxy's proxy-protocol.txt, version 2.2. Departures, all towards strictness: one space between
// words, ports without leading zeros, TLVs that fill their room exactly, no family that the text does not name.

public import Bytes

/// What a PROXY protocol header says.
public struct ProxyHeader: Equatable, Sendable {
    /// Bytes of the header itself, from the start of what was read.
    public var length: Int
    /// Where the connection came from and went to. Nil when the header does not tell: `LOCAL`
    /// (the hop's own connection, such as a health check), `UNKNOWN`, and Unix sockets. The
    /// connection's own addresses stand then.
    public var addresses: Addresses?
    /// 1 or 2.
    public var version: UInt8

    /// Both ends of the connection that the hop before us accepted.
    public struct Addresses: Equatable, Sendable {
        public var source: IPAddress
        public var sourcePort: UInt16
        public var destination: IPAddress
        public var destinationPort: UInt16

        public init(source: IPAddress, sourcePort: UInt16, destination: IPAddress, destinationPort: UInt16) {
            self.source = source
            self.sourcePort = sourcePort
            self.destination = destination
            self.destinationPort = destinationPort
        }
    }

    /// Longest header of version 1, CRLF included.
    public static let lengthMax1 = 107
    /// Longest header of version 2 that is read; the format itself allows 65551 bytes.
    public static let lengthMax2 = 4096

    /// What the bytes so far are.
    public enum Reading: Equatable, Sendable {
        /// The start of a header; ask again with more bytes.
        case incomplete
        case complete(ProxyHeader)
        case failed(ProxyHeaderFault)
    }

    /// Reads a header at the start of `bytes`, which holds all that came so far. What it answers other
    /// than `incomplete` stays the answer whatever follows.
    public static func read(_ bytes: Bytes) -> Reading {
        guard !bytes.isEmpty else { return .incomplete }
        return bytes[0] == 0x50 ? readText(bytes) : readBinary(bytes)
    }

    // MARK: Version 1

    private static func readText(_ bytes: Bytes) -> Reading {
        let word = Bytes("PROXY ")
        let seen = min(bytes.count, word.count)
        guard bytes.prefix(seen) == word.prefix(seen) else { return .failed(.notProxy) }
        guard let end = bytes.prefix(lengthMax1).firstIndex(of: 0x0A) else {
            return bytes.count < lengthMax1 ? .incomplete : .failed(.tooLong)
        }
        guard bytes[end - 1] == 0x0D else { return .failed(.malformed) }
        let rest = bytes[word.count..<max(word.count, end - 1)]
        let header = ProxyHeader(length: end + 1, addresses: nil, version: 1)
        if rest == "UNKNOWN" || rest.starts(with: "UNKNOWN ") { return .complete(header) }
        guard rest.starts(with: "TCP4 ") || rest.starts(with: "TCP6 ") else { return .failed(.malformed) }
        guard let addresses = textAddresses(rest.dropFirst(5), isIPv6: rest[3] == 0x36) else {
            return .failed(.malformed)
        }
        return .complete(ProxyHeader(length: end + 1, addresses: addresses, version: 1))
    }

    private static func textAddresses(_ text: Bytes, isIPv6: Bool) -> Addresses? {
        guard let first = text.firstIndex(of: 0x20), let second = text.firstIndex(of: 0x20, from: first + 1),
            let third = text.firstIndex(of: 0x20, from: second + 1)
        else { return nil }
        guard let source = address(text[0..<first], isIPv6),
            let destination = address(text[(first + 1)..<second], isIPv6),
            let sourcePort = port(text[(second + 1)..<third]),
            let destinationPort = port(text.dropFirst(third + 1))
        else { return nil }
        return Addresses(
            source: source, sourcePort: sourcePort, destination: destination, destinationPort: destinationPort)
    }

    private static func address(_ text: Bytes, _ isIPv6: Bool) -> IPAddress? {
        guard text.contains(0x3A) == isIPv6 else { return nil }
        return IPAddress(text)
    }

    private static func port(_ text: Bytes) -> UInt16? {
        guard let value = text.decimal(), text.count == 1 || text[0] != 0x30 else { return nil }
        return UInt16(exactly: value)
    }

    // MARK: Version 2

    private static var signature: Bytes { Bytes("\r\n\r\n\u{0}\r\nQUIT\n") }

    private static func readBinary(_ bytes: Bytes) -> Reading {
        let signature = signature
        let seen = min(bytes.count, signature.count)
        guard bytes.prefix(seen) == signature.prefix(seen) else { return .failed(.notProxy) }
        guard bytes.count > 12 else { return .incomplete }
        let command = bytes[12]
        guard command == 0x20 || command == 0x21 else { return .failed(.malformed) }
        guard bytes.count > 13 else { return .incomplete }
        let family = bytes[13]
        guard let room = addressRoom(family) else { return .failed(.malformed) }
        guard bytes.count >= 16 else { return .incomplete }
        let length = 16 + (Int(bytes[14]) << 8 | Int(bytes[15]))
        guard length <= lengthMax2 else { return .failed(.tooLong) }
        let isLocal = command == 0x20
        guard isLocal || length >= 16 + room else { return .failed(.malformed) }
        guard bytes.count >= length else { return .incomplete }
        var header = ProxyHeader(length: length, addresses: nil, version: 2)
        // What a LOCAL header holds besides its length, and what follows an unspecified family, has no
        // meaning that could be checked.
        if isLocal || room == 0 { return .complete(header) }
        guard tagsAreWhole(bytes.prefix(length), from: 16 + room) else { return .failed(.malformed) }
        header.addresses = binaryAddresses(bytes, family >> 4)
        return .complete(header)
    }

    /// Bytes of the address block; nil for a family or a transport that does not exist.
    private static func addressRoom(_ family: UInt8) -> Int? {
        guard family & 0x0F <= 2 else { return nil }
        switch family >> 4 {
        // Only both together may be unspecified.
        case 0: return family == 0 ? 0 : nil
        case 1: return family & 0x0F == 0 ? nil : 12
        case 2: return family & 0x0F == 0 ? nil : 36
        case 3: return family & 0x0F == 0 ? nil : 216
        default: return nil
        }
    }

    private static func binaryAddresses(_ bytes: Bytes, _ family: UInt8) -> Addresses? {
        switch family {
        case 1:
            return Addresses(
                source: IPAddress(v4: UInt32(truncatingIfNeeded: number(bytes[16..<20]))),
                sourcePort: UInt16(truncatingIfNeeded: number(bytes[24..<26])),
                destination: IPAddress(v4: UInt32(truncatingIfNeeded: number(bytes[20..<24]))),
                destinationPort: UInt16(truncatingIfNeeded: number(bytes[26..<28])))
        case 2:
            return Addresses(
                source: IPAddress(v6High: number(bytes[16..<24]), low: number(bytes[24..<32])),
                sourcePort: UInt16(truncatingIfNeeded: number(bytes[48..<50])),
                destination: IPAddress(v6High: number(bytes[32..<40]), low: number(bytes[40..<48])),
                destinationPort: UInt16(truncatingIfNeeded: number(bytes[50..<52])))
        default: return nil
        }
    }

    /// Big-endian.
    private static func number(_ bytes: Bytes) -> UInt64 {
        var value: UInt64 = 0
        for index in 0..<bytes.count { value = value << 8 | UInt64(bytes[index]) }
        return value
    }

    // MARK: TLVs

    private static let checksumTag: UInt8 = 0x03

    /// Type, two bytes of length, value; one after the other to the very end. A checksum holds.
    private static func tagsAreWhole(_ header: Bytes, from start: Int) -> Bool {
        var at = start
        while at < header.count {
            guard at + 3 <= header.count else { return false }
            let length = Int(header[at + 1]) << 8 | Int(header[at + 2])
            guard at + 3 + length <= header.count else { return false }
            if header[at] == checksumTag {
                guard length == 4, number(header[(at + 3)..<(at + 7)]) == checksum(header, blankAt: at + 3) else {
                    return false
                }
            }
            at += 3 + length
        }
        return true
    }

    /// CRC32c (RFC 4960 appendix B) of the header with the four bytes of the sum itself as zeros.
    private static func checksum(_ header: Bytes, blankAt blank: Int) -> UInt64 {
        var sum: UInt32 = ~0
        for index in 0..<header.count {
            let byte = index >= blank && index < blank + 4 ? 0 : header[index]
            sum ^= UInt32(byte)
            for _ in 0..<8 { sum = sum & 1 == 1 ? sum >> 1 ^ 0x82F6_3B78 : sum >> 1 }
        }
        return UInt64(~sum)
    }
}

/// Why bytes are no PROXY protocol header that can be used.
public enum ProxyHeaderFault: Error, Equatable, Sendable {
    /// They do not begin like one.
    case notProxy
    case malformed
    /// Longer than `ProxyHeader.lengthMax1` or `lengthMax2`.
    case tooLong
}

// MARK: Writing

extension ProxyHeader.Addresses {
    /// Appends a header of version 1; both addresses in IPv6 form when they differ in family.
    public func writeText(to out: Buffer) {
        let isIPv6 = source.isIPv6 || destination.isIPv6
        out.append(isIPv6 ? "PROXY TCP6 " : "PROXY TCP4 ")
        Self.write(source, mapped: isIPv6, to: out)
        out.append(0x20)
        Self.write(destination, mapped: isIPv6, to: out)
        out.append(0x20)
        out.append(decimal: Int(sourcePort))
        out.append(0x20)
        out.append(decimal: Int(destinationPort))
        out.append("\r\n")
    }

    private static func write(_ address: IPAddress, mapped: Bool, to out: Buffer) {
        if mapped, !address.isIPv6 { out.append("::ffff:") }
        address.write(to: out)
    }

    /// Appends a header of version 2 for a TCP connection, without TLVs.
    public func writeBinary(to out: Buffer) {
        let isIPv6 = source.isIPv6 || destination.isIPv6
        out.append("\r\n\r\n\u{0}\r\nQUIT\n")
        out.append(0x21)
        out.append(isIPv6 ? 0x21 : 0x11)
        out.append(0)
        out.append(isIPv6 ? 36 : 12)
        Self.writeBinary(source, isIPv6, to: out)
        Self.writeBinary(destination, isIPv6, to: out)
        Self.append(UInt64(sourcePort), bytes: 2, to: out)
        Self.append(UInt64(destinationPort), bytes: 2, to: out)
    }

    private static func writeBinary(_ address: IPAddress, _ isIPv6: Bool, to out: Buffer) {
        guard isIPv6 else { return append(address.low, bytes: 4, to: out) }
        append(address.high, bytes: 8, to: out)
        append(address.isIPv6 ? address.low : 0xFFFF_0000_0000 | address.low, bytes: 8, to: out)
    }

    private static func append(_ value: UInt64, bytes: Int, to out: Buffer) {
        for index in 0..<bytes { out.append(UInt8(truncatingIfNeeded: value >> UInt64(8 * (bytes - 1 - index)))) }
    }
}
