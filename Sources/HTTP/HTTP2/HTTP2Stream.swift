// One stream of an HTTP/2 connection, as far as the protocol is concerned.

/// What a session knows of a stream. Subclassed by the owner for what it knows, and pooled: a stream serves many
/// exchanges, one after the other.
open class HTTP2Stream {
    public internal(set) final var id: UInt32 = 0
    /// Bytes of DATA that the peer takes on this stream; negative after it shrank its windows.
    public internal(set) final var sendWindow = 0
    /// Bytes of DATA that the peer may send on this stream.
    public internal(set) final var receiveWindow = 0
    /// We sent END_STREAM.
    public internal(set) final var sentEnd = false
    /// The peer's END_STREAM was delivered.
    public internal(set) final var receivedEnd = false
    /// Ended by RST_STREAM of either side.
    public internal(set) final var isReset = false
    /// The body's length by its Content-Length, set by the owner. Another length of DATA is a stream error.
    public final var expectedLength: Int?

    /// Bytes delivered, or announced by a frame's head, that the owner has not consumed.
    public internal(set) final var unconsumed = 0
    final var receivedLength = 0
    final var openedAt: Int64 = 0
    final var sentHead = false
    final var sentData = false
    /// The final response's head came (client).
    final var receivedHead = false
    /// Where the session's table has it; -1: not in it.
    final var position = -1

    public init() {}

    /// In the session's table: neither ended on both sides nor reset.
    public final var isOpen: Bool { position >= 0 }

    /// Makes it fresh for the next exchange. Overriders call super.
    open func prepare() {
        id = 0
        sendWindow = 0
        receiveWindow = 0
        sentEnd = false
        receivedEnd = false
        isReset = false
        expectedLength = nil
        unconsumed = 0
        receivedLength = 0
        openedAt = 0
        sentHead = false
        sentData = false
        receivedHead = false
    }
}
