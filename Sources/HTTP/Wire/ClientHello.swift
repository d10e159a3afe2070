// The first message of a TLS client, read without taking part: whom it asks for.
//
//     record     type 22 | version 3.x | length (2)        | fragment
//     handshake  type 1  | length (3)                      | body
//     body       version (2) random (32) session (1+n) suites (2+n) compressions (1+n) extensions (2+n)
//
// RFC 8446 sections 4.1.2 and 5.1, RFC 6066 section 3, RFC 7301 section 3.1. A message may be cut into
// records anywhere, and records into segments anywhere. What cannot be read to the end is refused rather
// than guessed at: whoever routes by this must see what the server behind it will see.

public import Bytes

/// Reads ClientHello messages. Reusable; one per worker, since it keeps what the last message said.
public final class ClientHelloReader {
    /// The server name asked for, as sent but for the root's dot; empty: none.
    public let serverName = Buffer(capacity: 256)
    /// The application protocols offered, each behind one byte of length (RFC 7301); empty: none.
    public let protocols = Buffer(capacity: 256)
    /// Part of the message is encrypted: the name is the one meant for everybody to see.
    public private(set) var isEncrypted = false

    /// Longest message that is read.
    public static let messageMax = 16 * 1024
    /// Most bytes that a message and the heads of its records may take.
    public static let wireMax = 24 * 1024

    public init() {}

    /// What the bytes so far are.
    public enum Reading: Equatable, Sendable {
        /// The start of a message; ask again with more bytes.
        case incomplete
        /// A whole message; the reader's properties tell what it says.
        case complete
        case failed(ClientHelloFault)
    }

    /// Reads the message at the start of `bytes`, which holds all that came so far. What it answers
    /// other than `incomplete` stays the answer whatever follows.
    public func read(_ bytes: Bytes) -> Reading {
        serverName.clear()
        protocols.clear()
        isEncrypted = false
        var message = HandshakeCursor(bytes.prefix(Self.wireMax))
        do throws(HandshakeStop) {
            try readMessage(&message)
            return .complete
        } catch {
            switch error {
            case .incomplete: return bytes.count < Self.wireMax ? .incomplete : .failed(.tooLong)
            case .fault(let fault): return .failed(fault)
            }
        }
    }

    private func readMessage(_ message: inout HandshakeCursor) throws(HandshakeStop) {
        guard try message.byte() == 1 else { throw .fault(.notClientHello) }
        let length = try message.number(3)
        guard length <= Self.messageMax else { throw .fault(.tooLong) }
        message.end = message.offset + length
        guard try message.byte() == 3 else { throw .fault(.malformed) }
        try message.skip(33)
        let session = try message.number(1)
        guard session <= 32 else { throw .fault(.malformed) }
        try message.skip(session)
        let suites = try message.number(2)
        guard suites >= 2, suites.isMultiple(of: 2) else { throw .fault(.malformed) }
        try message.skip(suites)
        let compressions = try message.number(1)
        guard compressions >= 1 else { throw .fault(.malformed) }
        try message.skip(compressions)
        // Old clients end here.
        if message.offset == message.end { return }
        guard try message.number(2) == message.left else { throw .fault(.malformed) }
        try readExtensions(&message)
    }

    private func readExtensions(_ message: inout HandshakeCursor) throws(HandshakeStop) {
        let end = message.end
        var hasName = false
        var hasProtocols = false
        while message.offset < end {
            let type = try message.number(2)
            let length = try message.number(2)
            guard length <= end - message.offset else { throw .fault(.malformed) }
            message.end = message.offset + length
            switch type {
            case 0:
                guard !hasName else { throw .fault(.malformed) }
                hasName = true
                try readServerName(&message)
            case 16:
                guard !hasProtocols else { throw .fault(.malformed) }
                hasProtocols = true
                try readProtocols(&message)
            case 0xFE0D:
                isEncrypted = true
                try message.skip(length)
            default: try message.skip(length)
            }
            message.end = end
        }
    }

    /// Exactly one host name, which is all that RFC 6066 defines.
    private func readServerName(_ message: inout HandshakeCursor) throws(HandshakeStop) {
        guard try message.number(2) == message.left, try message.byte() == 0 else { throw .fault(.malformed) }
        let length = try message.number(2)
        guard length == message.left, length > 0, length <= 255 else { throw .fault(.badServerName) }
        for index in 0..<length {
            let byte = try message.byte()
            // A root's dot says nothing; an empty label would.
            if byte == 0x2E, index + 1 == length, length > 1, lastNameByte != 0x2E { return }
            guard Self.isNameByte(byte), byte != 0x2E || (index > 0 && lastNameByte != 0x2E) else {
                throw .fault(.badServerName)
            }
            serverName.append(byte)
        }
    }

    private var lastNameByte: UInt8 {
        serverName.isEmpty ? 0 : serverName.readable[serverName.count - 1]
    }

    /// What host names are made of, and the underscore that is met in practice.
    private static func isNameByte(_ byte: UInt8) -> Bool {
        ASCII.isAlpha(byte) || ASCII.isDigit(byte) || byte == 0x2D || byte == 0x2E || byte == 0x5F
    }

    private func readProtocols(_ message: inout HandshakeCursor) throws(HandshakeStop) {
        guard try message.number(2) == message.left, message.left >= 2 else { throw .fault(.malformed) }
        while message.left > 0 {
            let length = try message.byte()
            guard length > 0, Int(length) <= message.left else { throw .fault(.malformed) }
            protocols.append(length)
            for _ in 0..<Int(length) { protocols.append(try message.byte()) }
        }
    }
}

/// Why bytes are no ClientHello that can be used.
public enum ClientHelloFault: Error, Equatable, Sendable {
    /// They are no TLS handshake record.
    case notTLS
    /// A handshake, but it begins with another message.
    case notClientHello
    case malformed
    /// The server name is not one.
    case badServerName
    /// Longer than `ClientHelloReader.messageMax`, or cut into too many records.
    case tooLong
}

/// Why reading a handshake went no further.
private enum HandshakeStop: Error {
    case incomplete
    case fault(ClientHelloFault)
}

/// Walks the handshake's bytes across the heads of records.
private struct HandshakeCursor {
    private let bytes: Bytes
    private var at = 0
    /// Bytes of the current record not read yet.
    private var inRecord = 0
    /// Handshake bytes read so far.
    private(set) var offset = 0
    /// Handshake bytes past which nothing may be read.
    var end = 4

    init(_ bytes: Bytes) { self.bytes = bytes }

    var left: Int { end - offset }

    mutating func byte() throws(HandshakeStop) -> UInt8 {
        guard offset < end else { throw .fault(.malformed) }
        if inRecord == 0 { try openRecord() }
        guard at < bytes.count else { throw .incomplete }
        let byte = bytes[at]
        at += 1
        inRecord -= 1
        offset += 1
        return byte
    }

    /// A big-endian number of `count` bytes, at most four.
    mutating func number(_ count: Int) throws(HandshakeStop) -> Int {
        var value = 0
        for _ in 0..<count { value = value << 8 | Int(try byte()) }
        return value
    }

    mutating func skip(_ count: Int) throws(HandshakeStop) {
        guard count <= end - offset else { throw .fault(.malformed) }
        var left = count
        while left > 0 {
            if inRecord == 0 { try openRecord() }
            let step = min(left, inRecord, bytes.count - at)
            guard step > 0 else { throw .incomplete }
            at += step
            inRecord -= step
            offset += step
            left -= step
        }
    }

    /// Each byte of the head is judged as it comes: what is no TLS is told at its first byte.
    private mutating func openRecord() throws(HandshakeStop) {
        let isFirst = offset == 0
        guard at < bytes.count else { throw .incomplete }
        guard bytes[at] == 22 else { throw .fault(isFirst ? .notTLS : .malformed) }
        guard at + 1 < bytes.count else { throw .incomplete }
        guard bytes[at + 1] == 3 else { throw .fault(isFirst ? .notTLS : .malformed) }
        guard at + 2 < bytes.count else { throw .incomplete }
        guard bytes[at + 2] <= 4 else { throw .fault(isFirst ? .notTLS : .malformed) }
        guard at + 5 <= bytes.count else { throw .incomplete }
        let length = Int(bytes[at + 3]) << 8 | Int(bytes[at + 4])
        // RFC 8446 section 5.1: no empty fragments of handshake messages, at most 2^14 bytes.
        guard length > 0, length <= 1 << 14 else { throw .fault(.malformed) }
        at += 5
        inRecord = length
    }
}
