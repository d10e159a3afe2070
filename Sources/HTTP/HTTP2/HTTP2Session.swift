// One HTTP/2 connection (RFC 9113): bytes in, events out, bytes out. No socket, no clock.

public import Bytes

/// The protocol of one connection, at either end.
///
/// The owner feeds what it reads to `next(_:)` until that needs more, answers the events, and sends what is in
/// `output`. It sets `now` before.
public final class HTTP2Session {
    public let role: HTTP2Role
    public let limits: HTTP2Limits
    /// Everything to be sent, in order. The owner sends and consumes it.
    public let output: Buffer
    /// The fields of the block that the last event was about.
    public let fields = FieldList()
    /// Milliseconds of any clock that does not go back; only rates depend on it.
    public var now: Int64 = 0
    /// Why the connection is over, or nil.
    public internal(set) var fault: HTTP2Fault?

    public init(role: HTTP2Role, limits: HTTP2Limits, output: Buffer) {
        self.role = role
        self.limits = limits
        self.output = output
    }

    /// Writes what the connection begins with (RFC 9113 section 3.4). Once, before all else.
    public func start() {}

    /// Takes the next step: consumes from `input`, returns what it meant. Call until `.needsBytes`.
    public func next(_ input: Buffer) -> HTTP2Event { .needsBytes }

    /// Streams that are not over.
    public var openStreams: Int { 0 }
    /// Streams that the peer lets us have open at once; 100 until its settings came.
    public var peerMaxStreams: Int { 100 }
    /// Bytes of DATA that the peer takes on all streams together.
    public var connectionSendWindow: Int { 0 }
    /// Client: the peer takes extended CONNECT (RFC 8441).
    public var peerAllowsConnectProtocol: Bool { false }
    /// Whether `open` would succeed.
    public var canOpen: Bool { false }
    /// Calls `body` with each open stream, beginning with another one each time. It may send and reset.
    public func forEachStream(_ body: (HTTP2Stream) -> Void) {}

    /// Begins a header block in `output`; fields are encoded right behind it.
    public func beginHeaders() {}
    /// Completes the block begun; it becomes as many frames as the peer's frame size needs. For a stream that is
    /// over it is dropped.
    public func endHeaders(_ stream: HTTP2Stream, end: Bool) {}
    /// Sends as much as the windows allow; END_STREAM only when all of it went.
    ///
    /// - Returns: bytes taken.
    public func send(_ stream: HTTP2Stream, _ bytes: Bytes, end: Bool) -> Int { 0 }

    /// The owner has passed on `count` bytes of those delivered: the peer may send as many more.
    public func consumed(_ stream: HTTP2Stream, _ count: Int) {}
    /// The owner drops what it had not passed on. Before a stream goes back to its pool.
    public func abandon(_ stream: HTTP2Stream) {}

    /// Client: gives the stream the next id. Its head follows before another stream is opened.
    ///
    /// - Returns: false when the peer's limit or the last id is reached, or a GOAWAY came or went.
    public func open(_ stream: HTTP2Stream) -> Bool { false }
    /// Server: takes the stream just opened.
    public func accept(_ stream: HTTP2Stream, _ id: UInt32, end: Bool) {}
    /// Server: refuses the stream just opened, with RST_STREAM.
    public func refuse(_ id: UInt32, _ code: HTTP2Code) {}
    /// Ends a stream with RST_STREAM; nothing for one that is over.
    public func reset(_ stream: HTTP2Stream, _ code: HTTP2Code) {}
    /// Writes GOAWAY: no stream above `last` is taken any more; nil: above those accepted.
    public func goAway(_ code: HTTP2Code, last: UInt32?) {}
}
