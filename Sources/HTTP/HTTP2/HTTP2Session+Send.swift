// What the owner sends: the beginning, header blocks, bodies, and the opening and ending of streams.

public import Bytes

extension HTTP2Session {
    /// Writes what the connection begins with (RFC 9113 section 3.4). Once, before all else.
    public func start() {
        replies.look(output.count)
        if role == .client { output.append(HTTP2Frame.preface) }
        let at = output.end
        HTTP2Frame.write(count: 0, type: HTTP2Frame.settings, flags: 0, id: 0, to: output)
        if limits.headerTable > 4096 { writeSetting(HTTP2Setting.headerTable, limits.headerTable) }
        switch role {
        case .client:
            writeSetting(HTTP2Setting.enablePush, 0)
        case .server:
            writeSetting(HTTP2Setting.maxConcurrentStreams, limits.maxConcurrentStreams)
            writeSetting(HTTP2Setting.enableConnectProtocol, 1)
        }
        if streamWindow != HTTP2Frame.firstWindow { writeSetting(HTTP2Setting.initialWindow, streamWindow) }
        writeSetting(HTTP2Setting.maxHeaderList, limits.head.head)
        HTTP2Frame.write(
            count: output.end - at - HTTP2Frame.headCount, type: HTTP2Frame.settings, flags: 0, id: 0, over: output,
            at: at)
        replies.wrote(output.count)
        replenish()
    }

    private func writeSetting(_ id: UInt16, _ value: Int) {
        output.append(UInt8(truncatingIfNeeded: id >> 8))
        output.append(UInt8(truncatingIfNeeded: id))
        output.append(big: UInt32(clamping: value))
    }

    // MARK: Header blocks

    /// Begins a header block in `output`; fields are encoded right behind it, and nothing else is done to the
    /// session or its output until `endHeaders`.
    public func beginHeaders() {
        replies.look(output.count)
        blockStart = output.end
        HTTP2Frame.write(count: 0, type: HTTP2Frame.headers, flags: 0, id: 0, to: output)
        // RFC 7541 section 6.3: the table's size is 0 from here on.
        if owesTableUpdate { output.append(0x20) }
    }

    /// Completes the block begun; it becomes as many frames as the peer's frame size asks for. For a stream that is
    /// over it is dropped.
    public func endHeaders(_ stream: HTTP2Stream, end: Bool) {
        let start = blockStart
        guard start >= 0 else { return }
        blockStart = -1
        guard fault == nil, stream.isOpen, !stream.sentEnd else {
            output.truncate(to: start)
            replies.wrote(output.count)
            return
        }
        owesTableUpdate = false
        stream.sentHead = true
        let count = output.end - start - HTTP2Frame.headCount
        let flags = end ? HTTP2Frame.flagEndStream : 0
        if count <= peerFrame {
            HTTP2Frame.write(
                count: count, type: HTTP2Frame.headers, flags: flags | HTTP2Frame.flagEndHeaders, id: stream.id,
                over: output, at: start)
        } else {
            splitBlock(at: start, count, flags, stream.id)
        }
        replies.wrote(output.count)
        buckets.sent(frames: 1, bytes: 0)
        if end { sentEnd(stream) }
    }

    /// Puts a block that is too long for one frame into several.
    private func splitBlock(at start: Int, _ count: Int, _ flags: UInt8, _ id: UInt32) {
        let block = output.bytes(at: start + HTTP2Frame.headCount, count: count).array
        output.truncate(to: start)
        block.withBytes { block in
            var at = 0
            while at < count {
                let size = min(peerFrame, count - at)
                let isLast = at + size == count
                HTTP2Frame.write(
                    count: size, type: at == 0 ? HTTP2Frame.headers : HTTP2Frame.continuation,
                    flags: (at == 0 ? flags : 0) | (isLast ? HTTP2Frame.flagEndHeaders : 0), id: id, to: output)
                output.append(block[at..<at + size])
                at += size
            }
        }
    }

    // MARK: Bodies

    /// Sends as much as the windows allow; END_STREAM only when all of it went.
    ///
    /// - Returns: bytes taken.
    public func send(_ stream: HTTP2Stream, _ bytes: Bytes, end: Bool) -> Int {
        guard fault == nil, stream.isOpen, !stream.sentEnd else { return 0 }
        let total = min(bytes.count, max(0, min(stream.sendWindow, connectionSendWindow)))
        let ends = end && total == bytes.count
        guard total > 0 || ends else { return 0 }
        replies.look(output.count)
        var at = 0
        var frames = 0
        repeat {
            let size = min(HTTP2Frame.countMax, total - at)
            let flags = ends && at + size == total ? HTTP2Frame.flagEndStream : 0
            output.reserve(HTTP2Frame.headCount + size)
            HTTP2Frame.write(count: size, type: HTTP2Frame.data, flags: flags, id: stream.id, to: output)
            output.append(bytes[at..<at + size])
            at += size
            frames += 1
        } while at < total
        replies.wrote(output.count)
        stream.sendWindow -= total
        connectionSendWindow -= total
        buckets.sent(frames: frames, bytes: total)
        if total > 0 { stream.sentData = true }
        if ends { sentEnd(stream) }
        return total
    }

    private func sentEnd(_ stream: HTTP2Stream) {
        stream.sentEnd = true
        if stream.receivedEnd { close(stream) }
    }

    // MARK: Streams

    /// Streams that are not over.
    public var openStreams: Int { streams.count }

    /// Client: whether `open` would succeed.
    public var canOpen: Bool {
        role == .client && fault == nil && goAwayReceived == nil && goAwaySent == nil && streams.count < peerMaxStreams
            && nextID <= UInt32(HTTP2Frame.windowMax)
    }

    /// Client: gives the stream the next id. Its head follows before another stream is opened.
    ///
    /// - Returns: false when the peer's limit or the last id is reached, or a GOAWAY came or went.
    public func open(_ stream: HTTP2Stream) -> Bool {
        guard canOpen else { return false }
        begin(stream, nextID)
        nextID += 2
        buckets.streamOpened()
        return true
    }

    /// Server: takes the stream just opened.
    ///
    /// - Parameter end: as in the event.
    public func accept(_ stream: HTTP2Stream, _ id: UInt32, end: Bool) {
        guard id == pendingID, id != 0 else { return }
        pendingID = 0
        lastAccepted = id
        begin(stream, id)
        stream.receivedEnd = end
    }

    private func begin(_ stream: HTTP2Stream, _ id: UInt32) {
        stream.id = id
        stream.sendWindow = peerWindow
        stream.receiveWindow = streamWindow
        stream.sentEnd = false
        stream.receivedEnd = false
        stream.isReset = false
        stream.unconsumed = 0
        stream.receivedLength = 0
        stream.openedAt = now
        stream.sentHead = false
        stream.sentData = false
        stream.receivedHead = false
        streams.insert(stream)
    }

    /// Server: refuses the stream just opened, with RST_STREAM. For PROTOCOL_ERROR it counts as the peer's fault.
    public func refuse(_ id: UInt32, _ code: HTTP2Code) {
        guard id == pendingID, id != 0 else { return }
        pendingID = 0
        writeReset(id, code)
        blame(code)
    }

    /// Ends a stream with RST_STREAM; nothing for one that is over. For PROTOCOL_ERROR it counts as the peer's fault.
    public func reset(_ stream: HTTP2Stream, _ code: HTTP2Code) {
        guard stream.isOpen else { return }
        // A stream of ours without a head is idle to the peer; its id is passed over.
        if role == .server || stream.sentHead { writeReset(stream.id, code) }
        drop(stream)
        blame(code)
    }

    /// Resets that the peer made us send count like its own. The next event says if there were too many.
    private func blame(_ code: HTTP2Code) {
        guard code == .protocolError, fault == nil else { return }
        if !buckets.resets.take(limits.rates.resets, now: now) { fail(.resetFlood) }
    }

    /// Writes GOAWAY: no stream above `last` is taken any more; nil: above those accepted.
    public func goAway(_ code: HTTP2Code, last: UInt32? = nil) {
        guard fault == nil else { return }
        let last = min(last ?? lastAccepted, goAwaySent ?? .max)
        goAwaySent = last
        writeGoAway(code, last: last, .empty)
    }

    /// Writes PING (RFC 9113 section 6.7). Any bytes that come afterwards tell that the peer lives.
    public func ping() {
        guard fault == nil else { return }
        replies.look(output.count)
        HTTP2Frame.write(count: 8, type: HTTP2Frame.ping, flags: 0, id: 0, to: output)
        output.append(word: 0, count: 8)
        replies.wrote(output.count)
    }

    /// Calls `body` with each open stream, beginning with another one each time, so that none is always first.
    /// It may send and reset.
    public func forEachStream(_ body: (HTTP2Stream) -> Void) {
        let count = streams.count
        guard count > 0 else { return }
        // The room is kept from one visit to the next; a visit within a visit gets its own.
        var visiting = visiting
        self.visiting = []
        visiting.append(contentsOf: streams.streams)
        visits &+= 1
        let first = Int(visits % UInt(count))
        for index in 0..<count {
            let stream = visiting[(first + index) % count]
            if stream.isOpen { body(stream) }
        }
        visiting.removeAll(keepingCapacity: true)
        self.visiting = visiting
    }

    // MARK: Replies

    /// Writes a frame that the peer made us send. Of those only so many wait for it to read.
    func reply(count: Int, type: UInt8, flags: UInt8, id: UInt32, _ payload: Bytes = .empty) {
        guard fault == nil else { return }
        replies.look(output.count)
        HTTP2Frame.write(count: count, type: type, flags: flags, id: id, to: output)
        if !payload.isEmpty { output.append(payload) }
        if replies.replied(HTTP2Frame.headCount + count) > limits.controlBytes { fail(.unreadReplies) }
    }

    func writeReset(_ id: UInt32, _ code: HTTP2Code) {
        recentResets.add(id)
        reply(id, type: HTTP2Frame.reset, code.rawValue)
    }

    func writeWindowUpdate(_ id: UInt32, _ increment: Int) {
        reply(id, type: HTTP2Frame.windowUpdate, UInt32(clamping: increment))
    }

    /// A frame with a payload of one number.
    private func reply(_ id: UInt32, type: UInt8, _ value: UInt32) {
        guard fault == nil else { return }
        replies.look(output.count)
        HTTP2Frame.write(count: 4, type: type, flags: 0, id: id, to: output)
        output.append(big: value)
        if replies.replied(HTTP2Frame.headCount + 4) > limits.controlBytes { fail(.unreadReplies) }
    }

    func writeGoAway(_ code: HTTP2Code, last: UInt32, _ debug: Bytes) {
        replies.look(output.count)
        HTTP2Frame.write(count: 8 + debug.count, type: HTTP2Frame.goAway, flags: 0, id: 0, to: output)
        output.append(big: last)
        output.append(big: code.rawValue)
        output.append(debug)
        replies.wrote(output.count)
    }
}
