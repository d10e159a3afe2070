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
        // The view ends with the closure; messages copy what they keep.
        let result: Result<Self, WireError> = unsafe bytes.withUnsafeBytes { buffer in
            guard let base = buffer.baseAddress else { return .success(Self()) }
            let view = unsafe Bytes(unsafeBase: base, count: buffer.count)
            do throws(WireError) { return .success(try Self(wire: view)) } catch { return .failure(error) }
        }
        self = try result.get()
    }
}
