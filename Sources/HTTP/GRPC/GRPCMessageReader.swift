// Messages of a gRPC stream out of the bytes of its body.
//
//      0        1        2        3        4
//     +--------+--------+--------+--------+--------+----------------
//     |compress|     message length, big-endian    | message ...
//     +--------+--------+--------+--------+--------+----------------

public import Bytes

/// Why a gRPC body cannot be followed any further.
public enum GRPCFault: Error, Equatable, Sendable {
    /// A message longer than the limit.
    case tooLong(Int)
    /// Nothing was said about compression, so none is understood.
    case compressed
    /// The body ended inside a message.
    case truncated
}

/// Takes a body's bytes in any pieces and gives whole messages. No socket, no clock.
public struct GRPCMessageReader {
    /// Bytes of one message at most.
    public let limit: Int
    private var pending = Buffer(capacity: 64)

    static let headCount = 5

    public init(limit: Int) { self.limit = limit }

    public mutating func received(_ bytes: Bytes) {
        if pending.isEmpty {
            pending.clear()
        } else if pending.free < bytes.count, pending.start > 0 {
            pending.compact()
        }
        pending.append(bytes)
    }

    /// The next whole message, or nil until more came. After an error it is of no more use.
    public mutating func next() throws(GRPCFault) -> [UInt8]? {
        let bytes = pending.readable
        guard bytes.count >= Self.headCount else { return nil }
        guard bytes[0] == 0 else { throw .compressed }
        let length = Int(bytes.big32(1))
        guard length <= limit else { throw .tooLong(length) }
        guard bytes.count - Self.headCount >= length else { return nil }
        let message = bytes[Self.headCount..<Self.headCount + length].array
        pending.consume(Self.headCount + length)
        // What a large message needed is given back with it.
        if pending.isEmpty, pending.capacity > Buffer.standardCapacity { pending = Buffer(capacity: 64) }
        return message
    }

    /// The body is over: no message may have begun.
    public func finish() throws(GRPCFault) { if !pending.isEmpty { throw .truncated } }

    /// `message` as it stands in a body.
    public static func frame(_ message: [UInt8], to out: Buffer) {
        out.append(0)
        out.append(big: UInt32(clamping: message.count))
        out.append(message)
    }
}

/// How a call ended, as `grpc-status` and `grpc-message` say it.
public struct GRPCStatus: Sendable, Equatable {
    public var code: Int
    public var message: String

    public static let ok = 0
    public static let unknown = 2
    public static let invalidArgument = 3
    public static let deadlineExceeded = 4
    public static let permissionDenied = 7
    public static let unavailable = 14
    public static let unauthenticated = 16

    public init(code: Int, message: String) {
        self.code = code
        self.message = message
    }

    /// From a trailer block, or from the head of an answer that has nothing else; nil: it says nothing.
    public init?(_ fields: FieldList) {
        var code: Int?
        var message = ""
        for index in 0..<fields.count {
            let name = fields.name(index)
            if name == "grpc-status" { code = fields.value(index).decimal() ?? Self.unknown }
            if name == "grpc-message" { message = Self.decoded(fields.value(index)) }
        }
        guard let code else { return nil }
        self.init(code: code, message: message)
    }

    /// Percent-decoded, at most 1000 bytes; what is no code stays as it is.
    private static func decoded(_ text: Bytes) -> String {
        var out: [UInt8] = []
        var at = 0
        while at < text.count, out.count < 1000 {
            if text[at] == 0x25, at + 2 < text.count, let high = ASCII.hex(text[at + 1]),
                let low = ASCII.hex(text[at + 2])
            {
                out.append(high << 4 | low)
                at += 3
            } else {
                out.append(text[at])
                at += 1
            }
        }
        return String(decoding: out, as: UTF8.self)
    }
}
