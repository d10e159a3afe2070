// Frames on the control socket, as a state machine without the socket.
//
//      0        1        2        3        4
//     +--------+--------+--------+--------+--------+----------------
//     |        payload length, big-endian | descr. | payload ...
//     +--------+--------+--------+--------+--------+----------------
//
// `descr.` says how many descriptors travel with the frame. The kernel hands them over with the
// first byte of the frame or earlier, never later, and in the order of the frames.

public import Bytes

/// Why what came over a control socket cannot be followed any further.
public enum ControlError: Error, Equatable {
    /// A frame longer than `ControlLimits.payload`.
    case tooLong(Int)
    /// More descriptors than `ControlLimits.descriptors`, or not as many as the frame said.
    case badDescriptors
    case malformed(WireError)
    /// The other end closed, or the system refused: its `errno`, 0 for a plain close.
    case closed(Int32)
}

/// What the control socket holds back at most.
public enum ControlLimits {
    /// Bytes in one frame's payload. 100,000 routes take about 20 MB.
    public static let payload = 256 * 1024 * 1024
    /// Descriptors with one frame; the kernel allows 253.
    public static let descriptors = 250
    public static let header = 5
}

/// A message and the descriptors that came with it. Whoever takes the frame owns them.
public struct ControlFrame: Sendable, Equatable {
    public var message: ControlMessage
    public var descriptors: [Int32]

    public init(_ message: ControlMessage, descriptors: [Int32] = []) {
        self.message = message
        self.descriptors = descriptors
    }

    /// The bytes to send; the descriptors go with the first of them.
    public var bytes: [UInt8] {
        let payload = message.payload
        precondition(payload.count <= ControlLimits.payload, "a control frame is longer than its limit")
        precondition(descriptors.count <= ControlLimits.descriptors, "too many descriptors for one frame")
        precondition(descriptors.count == message.descriptorCount, "a descriptor is missing from its frame")
        var out: [UInt8] = []
        out.reserveCapacity(ControlLimits.header + payload.count)
        for shift in stride(from: 24, through: 0, by: -8) {
            out.append(UInt8(truncatingIfNeeded: payload.count >> shift))
        }
        out.append(UInt8(descriptors.count))
        out.append(contentsOf: payload)
        return out
    }
}

/// Turns bytes and descriptors, in whatever pieces they come, into frames.
public struct ControlDecoder: Sendable {
    private var pending: [UInt8] = []
    private var descriptors: [Int32] = []

    public init() {}

    /// Takes what was received, with the descriptors that came in the same call.
    public mutating func received(_ bytes: Bytes, descriptors new: [Int32] = []) {
        pending.append(contentsOf: bytes.array)
        descriptors.append(contentsOf: new)
    }

    /// The next whole frame, or nil until more is received. After an error nothing that follows can
    /// be trusted: close the socket, and what `abandon` returns.
    public mutating func next() throws(ControlError) -> ControlFrame? {
        while true {
            guard descriptors.count <= 2 * ControlLimits.descriptors else { throw .badDescriptors }
            guard pending.count >= ControlLimits.header else { return nil }
            var length = 0
            for index in 0..<4 { length = length << 8 | Int(pending[index]) }
            let expected = Int(pending[4])
            guard length <= ControlLimits.payload else { throw .tooLong(length) }
            guard expected <= ControlLimits.descriptors, expected <= descriptors.count else {
                throw .badDescriptors
            }
            let whole = ControlLimits.header + length
            guard pending.count >= whole else {
                pending.reserveCapacity(whole)
                return nil
            }
            if let frame = try take(whole, expected) { return frame }
        }
    }

    /// Descriptors that were received and belong to no frame yet, for the caller to close.
    public mutating func abandon() -> [Int32] {
        let rest = descriptors
        descriptors = []
        pending = []
        return rest
    }

    /// Removes one frame from the front; nil if its kind is unknown and nothing came with it.
    private mutating func take(_ whole: Int, _ expected: Int) throws(ControlError) -> ControlFrame? {
        let message: ControlMessage?
        do {
            message = try pending.withBytes { (bytes) throws(WireError) in
                try ControlMessage(payload: bytes[ControlLimits.header..<whole])
            }
        } catch {
            throw .malformed(error)
        }
        guard (message?.descriptorCount ?? 0) == expected else { throw .badDescriptors }
        if pending.count == whole {
            // A large snapshot's memory is given back rather than kept for the next small frame.
            pending = []
        } else {
            pending.removeFirst(whole)
        }
        guard let message else { return nil }
        let frame = ControlFrame(message, descriptors: Array(descriptors.prefix(expected)))
        descriptors.removeFirst(expected)
        return frame
    }
}
