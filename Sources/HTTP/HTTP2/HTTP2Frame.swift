// The nine bytes that every HTTP/2 frame begins with (RFC 9113 section 4.1).
//
//     | length (24) | type (8) | flags (8) | reserved (1), stream (31) | payload (length) …

import Bytes

/// A frame's head.
struct HTTP2Frame {
    /// Bytes of the payload.
    let count: Int
    let type: UInt8
    let flags: UInt8
    let id: UInt32

    /// Bytes of a frame's head.
    static let headCount = 9
    /// The longest payload that we take, and the longest of DATA that we send: what every peer takes
    /// (SETTINGS_MAX_FRAME_SIZE is left at its first value), and short enough for streams to take turns.
    static let countMax = 16_384
    static let preface: StaticString = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
    /// What a window is before anybody says otherwise, and the most that one may hold.
    static let firstWindow = 65_535
    static let windowMax = 0x7FFF_FFFF

    static let data: UInt8 = 0
    static let headers: UInt8 = 1
    static let priority: UInt8 = 2
    static let reset: UInt8 = 3
    static let settings: UInt8 = 4
    static let push: UInt8 = 5
    static let ping: UInt8 = 6
    static let goAway: UInt8 = 7
    static let windowUpdate: UInt8 = 8
    static let continuation: UInt8 = 9

    static let flagEndStream: UInt8 = 0x1
    static let flagAcknowledge: UInt8 = 0x1
    static let flagEndHeaders: UInt8 = 0x4
    static let flagPadded: UInt8 = 0x8
    static let flagPriority: UInt8 = 0x20

    /// - Parameter bytes: at least nine.
    @inline(__always)
    init(_ bytes: Bytes) {
        let first = bytes.big32(0)
        count = Int(first >> 8)
        type = UInt8(truncatingIfNeeded: first)
        flags = bytes[4]
        id = bytes.big32(5) & 0x7FFF_FFFF
    }

    var endsStream: Bool { flags & Self.flagEndStream != 0 }
    var endsHeaders: Bool { flags & Self.flagEndHeaders != 0 }
    var isAcknowledgement: Bool { flags & Self.flagAcknowledge != 0 }
    var isPadded: Bool { flags & Self.flagPadded != 0 }
    var hasPriority: Bool { flags & Self.flagPriority != 0 }

    /// Writes a frame's head.
    @inline(__always)
    static func write(count: Int, type: UInt8, flags: UInt8, id: UInt32, to out: Buffer) {
        out.append(big: UInt32(truncatingIfNeeded: count) << 8 | UInt32(type))
        out.append(flags)
        out.append(big: id)
    }

    /// Writes a frame's head over nine bytes at `offset`.
    static func write(count: Int, type: UInt8, flags: UInt8, id: UInt32, over out: Buffer, at offset: Int) {
        out.set(offset, big: UInt32(truncatingIfNeeded: count) << 8 | UInt32(type))
        out.set(offset + 4, flags)
        out.set(offset + 5, big: id)
    }
}

/// Parameters of SETTINGS (RFC 9113 section 6.5.2, RFC 8441 section 3).
enum HTTP2Setting {
    static let headerTable: UInt16 = 1
    static let enablePush: UInt16 = 2
    static let maxConcurrentStreams: UInt16 = 3
    static let initialWindow: UInt16 = 4
    static let maxFrame: UInt16 = 5
    static let maxHeaderList: UInt16 = 6
    static let enableConnectProtocol: UInt16 = 8

    /// Parameters that one frame may hold: far more than there are.
    static let countMax = 64
}
