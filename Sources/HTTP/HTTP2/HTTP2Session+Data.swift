// Bodies, and the windows of what comes in (RFC 9113 sections 5.2 and 6.1).
//
//     DATA: [pad length (8)] data … padding …
//
// A body is handed on as it comes: no frame waits until it is complete. A window and what the owner holds of it
// never are more than the limit; it is opened again as the owner consumes.

import Bytes

extension HTTP2Session {
    func beginData(_ frame: HTTP2Frame, _ input: Buffer) -> HTTP2Event? {
        let bytes = input.readable
        let lead = frame.isPadded ? 1 : 0
        guard frame.id != 0 else { return fail(.badStreamID) }
        guard frame.count >= lead else { return fail(.badFrameSize) }
        guard bytes.count >= HTTP2Frame.headCount + lead else { return .needsBytes }
        let pad = frame.isPadded ? Int(bytes[HTTP2Frame.headCount]) : 0
        let count = frame.count - lead - pad
        guard count >= 0 else { return fail(.badPadding) }
        guard let stream = streams.find(frame.id) else { return beginStrayData(frame, input) }
        guard frame.count <= connectionReceiveWindow else { return fail(.windowExceeded) }

        connectionReceiveWindow -= frame.count
        input.consume(HTTP2Frame.headCount + lead)
        if let code = refusal(of: frame, count, on: stream) {
            _ = skip(count + pad)
            let event = strike(stream, code)
            replenish()
            return event
        }
        stream.receiveWindow -= frame.count
        stream.receivedLength += count
        stream.unconsumed += count
        unconsumed += count
        if frame.isPadded {
            replenish(stream)
            replenish()
        }
        if count == 0 {
            _ = skip(pad)
            if frame.endsStream { return deliver(stream, .empty, end: true) }
            return buckets.empty.take(limits.rates.empty, now: now) ? nil : fail(.emptyFrameFlood)
        }
        part = .data
        left = count
        padLeft = pad
        dataID = frame.id
        dataEnds = frame.endsStream
        return nil
    }

    /// Why the stream cannot take the frame, or nil.
    @inline(__always)
    private func refusal(of frame: HTTP2Frame, _ count: Int, on stream: HTTP2Stream) -> HTTP2Code? {
        if stream.receivedEnd { return .streamClosed }
        if role == .client, !stream.receivedHead { return .protocolError }
        if frame.count > stream.receiveWindow { return .flowControlError }
        if let expected = stream.expectedLength {
            // RFC 9113 section 8.1.1: the body is as long as its Content-Length says.
            let length = stream.receivedLength + count
            if length > expected || frame.endsStream && length != expected { return .protocolError }
        }
        return nil
    }

    /// DATA for a stream that is not open: it counts for the connection's window and is passed over.
    private func beginStrayData(_ frame: HTTP2Frame, _ input: Buffer) -> HTTP2Event? {
        let kind = absent(frame.id)
        if kind == .idle { return fail(.idleStream) }
        guard frame.count <= connectionReceiveWindow else { return fail(.windowExceeded) }
        if kind == .closed, role == .server { return fail(.closedStream) }
        connectionReceiveWindow -= frame.count
        input.consume(HTTP2Frame.headCount)
        _ = skip(frame.count)
        let event = kind == .closed ? strike(frame.id, .streamClosed) : nil
        replenish()
        return event
    }

    func readData(_ input: Buffer) -> HTTP2Event? {
        let count = min(left, input.count)
        guard count > 0 else { return .needsBytes }
        let bytes = input.readable.prefix(count)
        input.consume(count)
        left -= count
        let isLast = left == 0
        if isLast { _ = skip(padLeft) }
        // The owner may have reset it since the frame began.
        guard let stream = streams.find(dataID) else { return nil }
        return deliver(stream, bytes, end: isLast && dataEnds)
    }

    private func deliver(_ stream: HTTP2Stream, _ bytes: Bytes, end: Bool) -> HTTP2Event? {
        if end { receivedEnd(stream) }
        return .data(stream, bytes, end: end)
    }

    func receivedEnd(_ stream: HTTP2Stream) {
        stream.receivedEnd = true
        if stream.sentEnd { close(stream) }
    }

    // MARK: Windows

    /// The owner has passed on `count` bytes of those delivered: the peer may send as many more.
    public func consumed(_ stream: HTTP2Stream, _ count: Int) {
        let count = min(max(0, count), stream.unconsumed)
        stream.unconsumed -= count
        unconsumed -= count
        replenish(stream)
        replenish()
    }

    /// The owner drops what it had not passed on. Before a stream goes back to its pool.
    public func abandon(_ stream: HTTP2Stream) {
        unconsumed -= stream.unconsumed
        stream.unconsumed = 0
        replenish()
    }

    /// Opens a stream's window again once half of it can be.
    private func replenish(_ stream: HTTP2Stream) {
        guard stream.isOpen, !stream.receivedEnd else { return }
        let room = streamWindow - stream.unconsumed - stream.receiveWindow
        guard room >= streamWindow / 2 else { return }
        stream.receiveWindow += room
        writeWindowUpdate(stream.id, room)
    }

    /// Opens the connection's window again once that doubles it: what some streams hold back must not keep the
    /// others from using the rest.
    func replenish() {
        let allowed = connectionWindow - unconsumed
        guard connectionReceiveWindow <= allowed / 2, allowed > connectionReceiveWindow else { return }
        writeWindowUpdate(0, allowed - connectionReceiveWindow)
        connectionReceiveWindow = allowed
    }
}
