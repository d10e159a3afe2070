// What the start line and header section of a message mean.

public import Bytes

/// How a body's end is known.
public enum BodyFraming: Equatable, Sendable {
    case none
    case length(Int)
    case chunked
    /// A response that ends with its connection.
    case untilClose
}

/// Limits on a head; bytes and counts.
public struct HeadLimits: Sendable {
    public var line: Int
    public var head: Int
    public var fields: Int

    public init(line: Int = 16 * 1024, head: Int = 32 * 1024, fields: Int = 100) {
        self.line = line
        self.head = head
        self.fields = fields
    }
}

/// Why a request was refused before anything else was done with it. Each is a counter and a line
/// in docs/rejections.md.
public enum RequestFault: Int, Error, Sendable, CaseIterable {
    case malformedRequestLine
    case badMethod
    case methodNotAllowed
    case badTarget
    case badVersion
    case lineTooLong
    case headTooLarge
    case tooManyFields
    case malformedField
    case obsoleteFolding
    case badLineEnd
    case missingHost
    case badHost
    case badContentLength
    case badTransferEncoding
    case conflictingFraming
    case badExpectation
    case badChunk
    case bodyTooLarge
    case headTimeout
    case bodyTimeout

    public var status: Int {
        switch self {
        case .methodNotAllowed: 405
        case .lineTooLong: 414
        case .headTooLarge, .tooManyFields: 431
        case .badVersion: 505
        case .badExpectation: 417
        case .bodyTooLarge: 413
        case .headTimeout, .bodyTimeout: 408
        case .malformedRequestLine, .badMethod, .badTarget, .malformedField, .obsoleteFolding, .badLineEnd,
            .missingHost, .badHost, .badContentLength, .badTransferEncoding, .conflictingFraming, .badChunk:
            400
        }
    }

    /// The counter's label and the name in docs/rejections.md.
    public var name: StaticString {
        switch self {
        case .malformedRequestLine: "malformed_request_line"
        case .badMethod: "bad_method"
        case .methodNotAllowed: "method_not_allowed"
        case .badTarget: "bad_target"
        case .badVersion: "bad_version"
        case .lineTooLong: "line_too_long"
        case .headTooLarge: "head_too_large"
        case .tooManyFields: "too_many_fields"
        case .malformedField: "malformed_field"
        case .obsoleteFolding: "obsolete_folding"
        case .badLineEnd: "bad_line_end"
        case .missingHost: "missing_host"
        case .badHost: "bad_host"
        case .badContentLength: "bad_content_length"
        case .badTransferEncoding: "bad_transfer_encoding"
        case .conflictingFraming: "conflicting_framing"
        case .badExpectation: "bad_expectation"
        case .badChunk: "bad_chunk"
        case .bodyTooLarge: "body_too_large"
        case .headTimeout: "head_timeout"
        case .bodyTimeout: "body_timeout"
        }
    }
}

/// Why an upstream's response cannot be used.
public enum ResponseFault: Int, Error, Sendable {
    case malformedStatusLine
    case headTooLarge
    case tooManyFields
    case malformedField
    case badLineEnd
    case badContentLength
    case badTransferEncoding
    case conflictingFraming
    case badChunk
    case tooManyInterim
    case unexpectedUpgrade
}

/// Methods whose meaning the proxy acts on.
public enum Method: UInt8, Sendable {
    case other, get, head, post, put, delete, options, patch, trace, connect

    public init(_ bytes: Bytes) {
        switch bytes.count {
        case 3: self = bytes == "GET" ? .get : bytes == "PUT" ? .put : .other
        case 4: self = bytes == "POST" ? .post : bytes == "HEAD" ? .head : .other
        case 5: self = bytes == "PATCH" ? .patch : bytes == "TRACE" ? .trace : .other
        case 6: self = bytes == "DELETE" ? .delete : .other
        case 7: self = bytes == "OPTIONS" ? .options : bytes == "CONNECT" ? .connect : .other
        default: self = .other
        }
    }

    /// Bytes of the longest method that is taken.
    static let countMax = 64

    static func isValid(_ method: Bytes) -> Bool {
        method.count > 0 && method.count <= countMax && FieldParser.endOfName(method) == method.count
    }

    /// Never forwarded: a tunnel to anywhere, and an echo of what the proxy added.
    var isRefused: Bool { self == .connect || self == .trace }

    /// RFC 9110 section 9.2.2: sending it twice means the same as once.
    public var isIdempotent: Bool {
        switch self {
        case .get, .head, .put, .delete, .options, .trace: true
        case .other, .post, .patch, .connect: false
        }
    }
}

/// What the `Connection` field said.
public struct ConnectionOptions: OptionSet, Sendable {
    public let rawValue: UInt8
    public init(rawValue: UInt8) { self.rawValue = rawValue }
    public static let close = ConnectionOptions(rawValue: 1)
    public static let keepAlive = ConnectionOptions(rawValue: 2)
    public static let upgrade = ConnectionOptions(rawValue: 4)
    /// Names other fields, which are then for this hop alone.
    public static let named = ConnectionOptions(rawValue: 8)
}

/// A request's head. Ranges are offsets into the buffer it was read to.
public final class RequestHead {
    public internal(set) var source: Buffer?
    public internal(set) var method = Method.other
    var methodRange = 0..<0
    var targetRange = 0..<0
    var hostRange = 0..<0
    var hostFromTarget = false
    /// 1 or 2: the protocol the head came in.
    public internal(set) var httpVersion = 1
    /// 0 or 1; 1 for HTTP/2, whose messages mean what those of HTTP/1.1 mean.
    public internal(set) var minorVersion = 1
    public let headers = HeaderBlock()
    public internal(set) var framing = BodyFraming.none
    public internal(set) var connection: ConnectionOptions = []
    public internal(set) var expectsContinue = false
    /// HTTP/2: `:scheme` was https.
    public internal(set) var saysHTTPS = false
    /// Asks for a WebSocket: `Upgrade: websocket` named in `Connection`, or CONNECT with `:protocol` websocket
    /// (RFC 8441), whose method reads as GET.
    public internal(set) var wantsWebSocket = false
    /// The client reads trailers (`TE: trailers`).
    public internal(set) var acceptsTrailers = false
    /// Bytes of the head on the wire.
    public internal(set) var wireCount = 0
    var ownText = HeadText()

    public init() {}

    func reset(_ source: Buffer) {
        self.source = source
        headers.reset(source: source)
        method = .other
        methodRange = 0..<0
        targetRange = 0..<0
        hostRange = 0..<0
        hostFromTarget = false
        httpVersion = 1
        saysHTTPS = false
        minorVersion = 1
        framing = .none
        connection = []
        expectsContinue = false
        wantsWebSocket = false
        acceptsTrailers = false
        wireCount = 0
    }

    /// Lets go of the buffer.
    public func clear() {
        source = nil
        ownText.trim()
        headers.reset(source: nil)
        methodRange = 0..<0
        targetRange = 0..<0
        hostRange = 0..<0
    }

    /// Takes an `Expect` field; false: an expectation that nobody here can meet.
    func expect(_ value: Bytes) -> Bool {
        guard value.equalsIgnoringCase("100-continue") else { return false }
        expectsContinue = true
        return true
    }

    private func slice(_ range: Range<Int>) -> Bytes {
        source.map { $0.bytes(at: range.lowerBound, count: range.count) } ?? .empty
    }

    public var methodBytes: Bytes { slice(methodRange) }

    /// The target in origin form: path and query as sent (`*` for a server-wide OPTIONS).
    public var target: Bytes { slice(targetRange) }

    /// Host with its port as sent; empty if there was none.
    public var host: Bytes { slice(hostRange) }

    /// Whether the client lets the connection live on.
    public var keepsAlive: Bool {
        minorVersion == 1
            ? !connection.contains(.close) : connection.contains(.keepAlive) && !connection.contains(.close)
    }
}

/// A response's head.
public final class ResponseHead {
    public internal(set) var source: Buffer?
    public internal(set) var status = 0
    var reasonRange = 0..<0
    /// 1 or 2: the protocol the head came in.
    public internal(set) var httpVersion = 1
    public internal(set) var minorVersion = 1
    public let headers = HeaderBlock()
    public internal(set) var framing = BodyFraming.none
    public internal(set) var connection: ConnectionOptions = []
    public internal(set) var wireCount = 0
    var ownText = HeadText()

    public init() {}

    func reset(_ source: Buffer) {
        self.source = source
        headers.reset(source: source)
        status = 0
        reasonRange = 0..<0
        httpVersion = 1
        minorVersion = 1
        framing = .none
        connection = []
        wireCount = 0
    }

    public func clear() {
        source = nil
        ownText.trim()
        headers.reset(source: nil)
        reasonRange = 0..<0
    }

    public var reason: Bytes {
        source.map { $0.bytes(at: reasonRange.lowerBound, count: reasonRange.count) } ?? .empty
    }

    public var keepsAlive: Bool {
        minorVersion == 1
            ? !connection.contains(.close) : connection.contains(.keepAlive) && !connection.contains(.close)
    }
}
