// What an HTTP/2 session tells its owner.

public import Bytes

/// Which end of the connection a session is.
public enum HTTP2Role: Sendable {
    /// Streams are opened by the peer.
    case server
    /// Streams are opened by us.
    case client
}

/// What came of the bytes read so far; `HTTP2Session.next(_:)` returns one at a time.
public enum HTTP2Event {
    /// An incomplete frame stays in the input, a few hundred bytes at most.
    case needsBytes
    /// Server: the peer opens a stream, whose head is in `fields`. The owner answers at once, with `accept` or `refuse`.
    case opened(UInt32, end: Bool)
    /// A further block of a known stream is in `fields`: a response's head (interim ones too) or trailers.
    case headers(HTTP2Stream, end: Bool)
    /// A piece of a body, valid until the next call; empty at most with `end`.
    case data(HTTP2Stream, Bytes, end: Bool)
    /// The stream is over: reset by the peer, or by us for its fault (the RST_STREAM is written already).
    case reset(HTTP2Stream, HTTP2Code)
    /// A stream's window that had no room has room; nil: the connection's, or those of all by SETTINGS.
    case window(HTTP2Stream?)
    /// The peer's settings came, hold, and are acknowledged.
    case settings
    /// The peer takes no stream above `last`. Those of ours were not processed: they may be tried elsewhere.
    case goAway(last: UInt32, HTTP2Code)
    /// The connection is over for the peer's fault: the GOAWAY is in the output. Send it and close.
    case failed(HTTP2Code, reason: StaticString)
}
