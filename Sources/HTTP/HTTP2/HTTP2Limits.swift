// What an HTTP/2 session announces and enforces, and how often a peer may do what costs it nothing.

/// Sizes and counts of one connection.
public struct HTTP2Limits: Sendable {
    /// Streams that the peer may have open at once (server).
    public var maxConcurrentStreams = 128
    /// Bytes of one stream that may be on their way to us or with the owner unconsumed. At least 65,535, the size
    /// that every connection begins with.
    public var streamWindow = 65_535
    /// As `streamWindow`, for all streams together: what one connection can make us hold. At least 65,535.
    public var connectionWindow = 1024 * 1024
    /// Bytes of the table by which the peer compresses fields (SETTINGS_HEADER_TABLE_SIZE). At least 4,096.
    public var headerTable = 4096
    /// Limits of a decoded header block. A block over four times `head.head` bytes on the wire ends the connection.
    public var head = HeadLimits()
    /// CONTINUATION frames of one header block.
    public var continuations = 32
    /// Bytes of acknowledgements, resets and window updates that may wait in the output for a peer that does not read.
    public var controlBytes = 16 * 1024
    /// Rates of frames that cost the peer next to nothing.
    public var rates = HTTP2Rates()

    public init() {}

    /// What clients get.
    public static var server: HTTP2Limits { HTTP2Limits() }

    /// What upstreams get: larger windows, for one connection carries many clients' responses.
    public static var client: HTTP2Limits {
        var limits = HTTP2Limits()
        limits.streamWindow = 256 * 1024
        return limits
    }
}

/// How often a peer may do what makes us work and costs it next to nothing: `burst` at once, then `perSecond`.
/// What a peer earns in addition is said with each.
public struct HTTP2Rates: Sendable {
    public struct Rate: Sendable {
        public var burst: Int
        public var perSecond: Int

        public init(burst: Int, perSecond: Int) {
            self.burst = burst
            self.perSecond = perSecond
        }
    }

    /// Streams that the client resets within their first second and before any DATA of the answer, and streams that
    /// we reset for the peer's errors. Each stream that both sides ended earns one. Two times the concurrent streams
    /// are the burst: a browser that closes a page may reset all of them at once. What waited for an answer, or a
    /// second long, is not counted: concurrency bounds it, and calls with a deadline end so.
    public var resets = Rate(burst: 256, perSecond: 20)
    /// SETTINGS, acknowledgements included.
    public var settings = Rate(burst: 50, perSecond: 2)
    /// PING, acknowledgements included. Each DATA or HEADERS frame that we send earns one: gRPC clients measure the
    /// path with a PING while they receive.
    public var pings = Rate(burst: 200, perSecond: 20)
    /// PRIORITY. Each new stream earns two.
    public var priorities = Rate(burst: 200, perSecond: 20)
    /// Frames of unknown type, GOAWAY, and HEADERS and RST_STREAM for streams that are over. Each new stream earns
    /// three.
    public var unknown = Rate(burst: 200, perSecond: 20)
    /// DATA, HEADERS or CONTINUATION with nothing in it that ends nothing.
    public var empty = Rate(burst: 100, perSecond: 10)
    /// WINDOW_UPDATE. Each DATA or HEADERS frame that we send earns four, each KiB of DATA one, each new stream two:
    /// Go's client sends two for 4 KiB.
    public var windowUpdates = Rate(burst: 1000, perSecond: 100)

    public init() {}
}
