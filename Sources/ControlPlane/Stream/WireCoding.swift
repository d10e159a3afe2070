// Our wire messages as gRPC's messages: they write and read themselves.

internal import Bytes
internal import GRPCCore
internal import Snapshot

/// Reads a wire message from what a peer sent.
struct WireDeserializer<Message: WireMessage & Sendable>: MessageDeserializer {
    func deserialize<Payload: GRPCContiguousBytes>(_ payload: Payload) throws -> Message {
        do {
            return try unsafe payload.withUnsafeBytes { buffer in
                guard let base = buffer.baseAddress else { return Message() }
                // The view ends with this closure; messages copy what they keep.
                return unsafe try Message(wire: Bytes(unsafeBase: UnsafeRawPointer(base), count: buffer.count))
            }
        } catch {
            throw RPCError(code: .invalidArgument, message: "the message cannot be read: \(error)")
        }
    }
}

struct WireSerializer<Message: WireMessage & Sendable>: MessageSerializer {
    func serialize<Payload: GRPCContiguousBytes>(_ message: Message) throws -> Payload { Payload(message.wire) }
}

/// For messages that are encoded once and sent to many.
struct EncodedSerializer: MessageSerializer {
    func serialize<Payload: GRPCContiguousBytes>(_ message: [UInt8]) throws -> Payload { Payload(message) }
}

extension WireMessage {
    init(reading bytes: [UInt8]) throws(WireError) {
        self = try bytes.withBytes { (view) throws(WireError) in try Self(wire: view) }
    }
}
