// One HTTP/2 connection (RFC 9113): bytes in, events out, bytes out. No socket, no clock.
//
// 1. `start` writes what a connection begins with.
// 2. `next` reads one frame's head (`readFrame`), or goes on with the frame begun: a body's bytes, a piece of a
//    header block, or what is to be skipped. Only small frames wait until they are complete.
// 3. HTTP2Session+Headers.swift collects and decodes header blocks; HTTP2Session+Data.swift takes bodies and keeps
//    the windows of what comes in; HTTP2Session+Control.swift does the rest.
// 4. HTTP2Session+Send.swift is what the owner calls in answer.

public import Bytes

/// The protocol of one connection, at either end.
///
/// The owner sets `now`, feeds what it reads to `next(_:)` until that needs more, answers the events, and sends
/// what is in `output`. While much waits in `output` it should not call `next`: what the peer asks for grows there.
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

    /// A header block has begun, and its end is still to come.
    public var isInsideBlock: Bool { blockID != 0 }

    // Reading.
    var part = Part.head
    /// Bytes left of the part, and of the padding behind it.
    var left = 0
    var padLeft = 0
    /// The stream of the DATA begun, and whether it ends it.
    var dataID: UInt32 = 0
    var dataEnds = false
    var sawSettings = false

    // The header block begun, from HEADERS to END_HEADERS.
    let decoder: HPACKDecoder
    /// 0: none.
    var blockID: UInt32 = 0
    var blockEndsStream = false
    var blockEndsHere = false
    var blockDependsOnItself = false
    var blockCount = 0
    var continuations = 0
    /// Pieces of a block that did not come in one; there only while it lasts.
    var block: Buffer?

    // Streams.
    var streams = HTTP2StreamTable()
    var recentResets = HTTP2RecentResets()
    /// The lowest id that has not been opened: by the peer (server), by us (client).
    var nextID: UInt32 = 1
    /// Ids that the peer passed over last; opening one of them is another error than using a closed one.
    var passedOver: Range<UInt32> = 0..<0
    var lastAccepted: UInt32 = 0
    /// Server: the stream opened that the owner has not answered yet; 0: none.
    var pendingID: UInt32 = 0
    /// Streams above are not taken: by us (GOAWAY sent), by the peer (GOAWAY received).
    var goAwaySent: UInt32?
    var goAwayReceived: UInt32?

    // Windows.
    let streamWindow: Int
    let connectionWindow: Int
    var connectionReceiveWindow = HTTP2Frame.firstWindow
    /// Bytes delivered on all streams that the owner has not consumed.
    var unconsumed = 0
    public internal(set) var connectionSendWindow = HTTP2Frame.firstWindow
    /// Windows that had no room have room; to be told.
    var windowNews = false

    // The peer's settings.
    var peerWindow = HTTP2Frame.firstWindow
    var peerFrame = HTTP2Frame.countMax
    /// Streams that the peer lets us have open at once; 100 until its settings came (client).
    public internal(set) var peerMaxStreams = 100
    /// Client: the peer takes extended CONNECT (RFC 8441).
    public internal(set) var peerAllowsConnectProtocol = false
    /// The peer acknowledged our settings.
    var settingsHold = false

    // Sending.
    /// Where the block begun is in the output; -1: none is.
    var blockStart = -1
    /// The peer has shrunk the compression table, which the next block must acknowledge (RFC 7541 section 4.2).
    var owesTableUpdate = false
    var hasShrunkTable = false
    var replies = HTTP2ReplyTally()
    var buckets = HTTP2Buckets()
    var visiting: [HTTP2Stream] = []
    var visits: UInt = 0

    /// What the next bytes are.
    enum Part { case preface, head, data, fragment, skipped }

    public init(role: HTTP2Role, limits: HTTP2Limits, output: Buffer) {
        self.role = role
        self.limits = limits
        self.output = output
        decoder = HPACKDecoder(tableLimit: max(4096, limits.headerTable))
        streamWindow = min(max(HTTP2Frame.firstWindow, limits.streamWindow), HTTP2Frame.windowMax)
        connectionWindow = min(max(HTTP2Frame.firstWindow, limits.connectionWindow), HTTP2Frame.windowMax)
        part = role == .server ? .preface : .head
    }

    /// Takes the next step: consumes from `input`, returns what it meant. Call until `.needsBytes`.
    public func next(_ input: Buffer) -> HTTP2Event {
        // An owner without an answer takes no stream.
        if pendingID != 0 { refuse(pendingID, .refusedStream) }
        while fault == nil {
            if windowNews {
                windowNews = false
                return .window(nil)
            }
            let event: HTTP2Event?
            switch part {
            case .head: event = readFrame(input)
            case .data: event = readData(input)
            case .fragment: event = readFragment(input)
            case .skipped: event = skip(input)
            case .preface: event = readPreface(input)
            }
            if let event { return event }
        }
        return failure
    }

    /// RFC 9113 section 3.4.
    private func readPreface(_ input: Buffer) -> HTTP2Event? {
        let preface = Bytes(HTTP2Frame.preface)
        let count = min(input.count, preface.count)
        guard input.readable.prefix(count) == preface.prefix(count) else { return fail(.badPreface) }
        guard count == preface.count else { return .needsBytes }
        input.consume(count)
        part = .head
        return nil
    }

    private func readFrame(_ input: Buffer) -> HTTP2Event? {
        let bytes = input.readable
        guard bytes.count >= HTTP2Frame.headCount else { return .needsBytes }
        let frame = HTTP2Frame(bytes)
        guard sawSettings || frame.type == HTTP2Frame.settings && !frame.isAcknowledgement else {
            return fail(.badPreface)
        }
        guard frame.count <= HTTP2Frame.countMax else { return fail(.badFrameSize) }
        guard blockID == 0 || frame.type == HTTP2Frame.continuation && frame.id == blockID else {
            return fail(.brokenHeaderBlock)
        }
        switch frame.type {
        case HTTP2Frame.data: return beginData(frame, input)
        case HTTP2Frame.headers: return beginBlock(frame, input)
        case HTTP2Frame.continuation: return continueBlock(frame, input)
        case HTTP2Frame.windowUpdate: return readWindowUpdate(frame, input)
        case HTTP2Frame.reset: return readReset(frame, input)
        case HTTP2Frame.ping: return readPing(frame, input)
        case HTTP2Frame.settings: return readSettings(frame, input)
        case HTTP2Frame.priority: return readPriority(frame, input)
        case HTTP2Frame.goAway: return readGoAway(frame, input)
        case HTTP2Frame.push: return fail(.unexpectedPush)
        default:
            // RFC 9113 section 5.5: unknown frames are ignored.
            guard buckets.unknown.take(limits.rates.unknown, now: now) else { return fail(.unknownFrameFlood) }
            input.consume(HTTP2Frame.headCount)
            return skip(frame.count)
        }
    }

    /// Goes over the next `count` bytes.
    func skip(_ count: Int) -> HTTP2Event? {
        left = count
        padLeft = 0
        part = count > 0 ? .skipped : .head
        return nil
    }

    private func skip(_ input: Buffer) -> HTTP2Event? {
        let count = min(left, input.count)
        input.consume(count)
        left -= count
        guard left == 0 else { return .needsBytes }
        part = .head
        return nil
    }

    /// A header block has begun and is not complete: a peer that goes on like that is the owner's to time out.
    public var isInsideHeaders: Bool { blockID != 0 }

    // MARK: Streams

    /// What an id means that is not in the table.
    enum Absent {
        /// It has not been opened.
        case idle
        /// We reset it lately, or said that we would not take it: the peer may not know yet.
        case ignored
        case closed
    }

    func absent(_ id: UInt32) -> Absent {
        guard id & 1 == 1, id < nextID else { return .idle }
        if role == .server, let goAwaySent, id > goAwaySent { return .ignored }
        return recentResets.contains(id) ? .ignored : .closed
    }

    /// Both sides have ended it.
    func close(_ stream: HTTP2Stream) {
        streams.remove(stream)
        buckets.resets.earn(1)
    }

    /// It was reset; what the owner holds of it counts no more.
    func drop(_ stream: HTTP2Stream) {
        streams.remove(stream)
        stream.isReset = true
        abandon(stream)
    }

    /// Ends a stream for the peer's fault. Such resets count like the peer's own, for they cost us as much.
    func strike(_ stream: HTTP2Stream, _ code: HTTP2Code) -> HTTP2Event? {
        guard buckets.resets.take(limits.rates.resets, now: now) else { return fail(.resetFlood) }
        writeReset(stream.id, code)
        drop(stream)
        return .reset(stream, code)
    }

    /// As `strike`, for a stream that the owner does not know.
    func strike(_ id: UInt32, _ code: HTTP2Code) -> HTTP2Event? {
        guard buckets.resets.take(limits.rates.resets, now: now) else { return fail(.resetFlood) }
        writeReset(id, code)
        return nil
    }

    // MARK: The end

    var failure: HTTP2Event {
        guard let fault else { return .needsBytes }
        return .failed(fault.code, reason: fault.name)
    }

    /// Ends the connection (RFC 9113 section 5.4.1).
    @discardableResult
    func fail(_ fault: HTTP2Fault) -> HTTP2Event? {
        if self.fault == nil {
            writeGoAway(fault.code, last: goAwaySent.map { min($0, lastAccepted) } ?? lastAccepted, Bytes(fault.name))
            self.fault = fault
        }
        return failure
    }
}
