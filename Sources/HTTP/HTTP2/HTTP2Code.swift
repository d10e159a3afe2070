// Error codes of HTTP/2, and the named reasons for which a connection is ended.

/// An error code of RST_STREAM or GOAWAY (RFC 9113 section 7). Unknown ones keep their number.
public struct HTTP2Code: RawRepresentable, Equatable, Sendable {
    public let rawValue: UInt32

    public init(rawValue: UInt32) { self.rawValue = rawValue }

    public static let noError = HTTP2Code(rawValue: 0)
    public static let protocolError = HTTP2Code(rawValue: 1)
    public static let internalError = HTTP2Code(rawValue: 2)
    public static let flowControlError = HTTP2Code(rawValue: 3)
    public static let settingsTimeout = HTTP2Code(rawValue: 4)
    public static let streamClosed = HTTP2Code(rawValue: 5)
    public static let frameSizeError = HTTP2Code(rawValue: 6)
    public static let refusedStream = HTTP2Code(rawValue: 7)
    public static let cancel = HTTP2Code(rawValue: 8)
    public static let compressionError = HTTP2Code(rawValue: 9)
    public static let connectError = HTTP2Code(rawValue: 10)
    public static let enhanceYourCalm = HTTP2Code(rawValue: 11)
    public static let inadequateSecurity = HTTP2Code(rawValue: 12)
    public static let http11Required = HTTP2Code(rawValue: 13)
}

/// Why a session ended its connection. Each is a counter's label and a line in docs/rejections.md.
public enum HTTP2Fault: Int, Sendable, CaseIterable {
    // The peer broke the protocol.
    case badPreface
    case badFrameSize
    case badStreamID
    case idleStream
    case closedStream
    case badPadding
    case brokenHeaderBlock
    case badCompression
    case unexpectedPush
    case badSetting
    case badPriority
    case badWindowUpdate
    case windowOverflow
    case windowExceeded
    // The peer keeps us busy.
    case resetFlood
    case continuationFlood
    case headerBlockTooLarge
    case settingsFlood
    case pingFlood
    case priorityFlood
    case unknownFrameFlood
    case emptyFrameFlood
    case windowUpdateFlood
    case unreadReplies

    /// What the GOAWAY says.
    public var code: HTTP2Code {
        switch self {
        case .badPreface, .badStreamID, .idleStream, .badPadding, .brokenHeaderBlock, .unexpectedPush, .badSetting,
            .badPriority, .badWindowUpdate:
            .protocolError
        case .badFrameSize: .frameSizeError
        case .closedStream: .streamClosed
        case .badCompression: .compressionError
        case .windowOverflow, .windowExceeded: .flowControlError
        case .resetFlood, .continuationFlood, .headerBlockTooLarge, .settingsFlood, .pingFlood, .priorityFlood,
            .unknownFrameFlood, .emptyFrameFlood, .windowUpdateFlood, .unreadReplies:
            .enhanceYourCalm
        }
    }

    /// The counter's label and the name in docs/rejections.md; also the GOAWAY's debug data.
    public var name: StaticString {
        switch self {
        case .badPreface: "bad_preface"
        case .badFrameSize: "bad_frame_size"
        case .badStreamID: "bad_stream_id"
        case .idleStream: "idle_stream"
        case .closedStream: "closed_stream"
        case .badPadding: "bad_padding"
        case .brokenHeaderBlock: "broken_header_block"
        case .badCompression: "bad_compression"
        case .unexpectedPush: "unexpected_push"
        case .badSetting: "bad_setting"
        case .badPriority: "bad_priority"
        case .badWindowUpdate: "bad_window_update"
        case .windowOverflow: "window_overflow"
        case .windowExceeded: "window_exceeded"
        case .resetFlood: "reset_flood"
        case .continuationFlood: "continuation_flood"
        case .headerBlockTooLarge: "header_block_too_large"
        case .settingsFlood: "settings_flood"
        case .pingFlood: "ping_flood"
        case .priorityFlood: "priority_flood"
        case .unknownFrameFlood: "unknown_frame_flood"
        case .emptyFrameFlood: "empty_frame_flood"
        case .windowUpdateFlood: "window_update_flood"
        case .unreadReplies: "unread_replies"
        }
    }
}
