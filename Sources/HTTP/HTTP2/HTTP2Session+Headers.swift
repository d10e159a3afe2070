// Header blocks: collected, decoded, and given to the stream they open, continue or end (RFC 9113 sections 4.3, 6.2
// and 6.10).
//
//     HEADERS: [pad length (8)] [exclusive (1), dependency (31), weight (8)] fragment … padding …
//     CONTINUATION: fragment …

import Bytes

extension HTTP2Session {
    func beginBlock(_ frame: HTTP2Frame, _ input: Buffer) -> HTTP2Event? {
        let bytes = input.readable
        let padding = frame.isPadded ? 1 : 0
        let lead = padding + (frame.hasPriority ? 5 : 0)
        guard frame.count >= lead else { return fail(.badFrameSize) }
        guard bytes.count >= HTTP2Frame.headCount + lead else { return .needsBytes }
        let pad = frame.isPadded ? Int(bytes[HTTP2Frame.headCount]) : 0
        let count = frame.count - lead - pad
        guard count >= 0 else { return fail(.badPadding) }
        if let fault = faultOfHeaders(frame.id) { return fail(fault) }

        blockID = frame.id
        blockEndsStream = frame.endsStream
        blockDependsOnItself =
            frame.hasPriority && bytes.big32(HTTP2Frame.headCount + padding) & 0x7FFF_FFFF == frame.id
        blockCount = 0
        continuations = 0
        input.consume(HTTP2Frame.headCount + lead)
        return beginFragment(count, pad: pad, isLast: frame.endsHeaders)
    }

    /// Why no HEADERS may come for this id, or nil.
    private func faultOfHeaders(_ id: UInt32) -> HTTP2Fault? {
        // RFC 9113 section 5.1.1: only clients open streams here, and theirs are odd.
        guard id & 1 == 1 else { return .badStreamID }
        switch role {
        case .client:
            return id < nextID ? nil : .idleStream
        case .server:
            if id >= nextID || streams.find(id) != nil || absent(id) == .ignored { return nil }
            return passedOver.contains(id) ? .badStreamID : .closedStream
        }
    }

    func continueBlock(_ frame: HTTP2Frame, _ input: Buffer) -> HTTP2Event? {
        guard blockID != 0 else { return fail(.brokenHeaderBlock) }
        continuations += 1
        guard continuations <= limits.continuations else { return fail(.continuationFlood) }
        input.consume(HTTP2Frame.headCount)
        return beginFragment(frame.count, pad: 0, isLast: frame.endsHeaders)
    }

    private func beginFragment(_ count: Int, pad: Int, isLast: Bool) -> HTTP2Event? {
        blockCount += count
        guard blockCount / 4 <= limits.head.head else { return fail(.headerBlockTooLarge) }
        if count == 0, !isLast, !buckets.empty.take(limits.rates.empty, now: now) { return fail(.emptyFrameFlood) }
        part = .fragment
        left = count
        padLeft = pad
        blockEndsHere = isLast
        return nil
    }

    func readFragment(_ input: Buffer) -> HTTP2Event? {
        let count = min(left, input.count)
        let bytes = input.readable.prefix(count)
        // A block that came in one piece is decoded where it is; the view outlives the consuming.
        let isWhole = count == left && blockEndsHere && block == nil
        if !isWhole { collect(bytes) }
        input.consume(count)
        left -= count
        guard left == 0 else { return .needsBytes }
        _ = skip(padLeft)
        guard blockEndsHere else { return nil }
        let isDecoded = decoder.decode(isWhole ? bytes : block?.readable ?? .empty, into: fields, limits: limits.head)
        block = nil
        guard isDecoded else { return fail(.badCompression) }
        let id = blockID
        blockID = 0
        switch role {
        case .server: return received(id)
        case .client: return receivedByClient(id)
        }
    }

    private func collect(_ bytes: Bytes) {
        guard !bytes.isEmpty else { return }
        let buffer = block ?? Buffer(capacity: 4096)
        block = buffer
        buffer.append(bytes)
    }

    // MARK: What the block is for

    /// A request's head, or the trailers of one.
    private func received(_ id: UInt32) -> HTTP2Event? {
        if id >= nextID { return opened(id) }
        guard let stream = streams.find(id) else { return ignoreBlock() }
        if stream.receivedEnd { return strike(stream, .streamClosed) }
        return receivedTrailers(stream)
    }

    private func opened(_ id: UInt32) -> HTTP2Event? {
        if id > nextID { passedOver = nextID..<id }
        nextID = id + 2
        if let goAwaySent, id > goAwaySent { return ignoreBlock() }
        buckets.streamOpened()
        if blockDependsOnItself { return strike(id, .protocolError) }
        if streams.count >= limits.maxConcurrentStreams {
            // Until it has acknowledged, the peer need not know the limit.
            if settingsHold { return strike(id, .refusedStream) }
            writeReset(id, .refusedStream)
            return nil
        }
        pendingID = id
        return .opened(id, end: blockEndsStream)
    }

    /// A response's head, an interim one, or trailers.
    private func receivedByClient(_ id: UInt32) -> HTTP2Event? {
        guard let stream = streams.find(id) else {
            return absent(id) == .closed ? strike(id, .streamClosed) : ignoreBlock()
        }
        if stream.receivedEnd { return strike(stream, .streamClosed) }
        if stream.receivedHead { return receivedTrailers(stream) }
        if blockDependsOnItself { return strike(stream, .protocolError) }
        if isInterim {
            return blockEndsStream ? strike(stream, .protocolError) : .headers(stream, end: false)
        }
        stream.receivedHead = true
        if blockEndsStream { receivedEnd(stream) }
        return .headers(stream, end: blockEndsStream)
    }

    /// Whether the block's status is 1xx.
    private var isInterim: Bool {
        guard fields.count > 0, fields[0].pseudo == .status else { return false }
        return fields.value(0).starts(with: "1")
    }

    private func receivedTrailers(_ stream: HTTP2Stream) -> HTTP2Event? {
        // RFC 9113 section 8.1: trailers end their stream.
        guard blockEndsStream, !blockDependsOnItself,
            stream.expectedLength ?? stream.receivedLength == stream.receivedLength
        else { return strike(stream, .protocolError) }
        receivedEnd(stream)
        return .headers(stream, end: true)
    }

    /// The block was decoded to keep the table in step; nobody wants it.
    private func ignoreBlock() -> HTTP2Event? {
        buckets.unknown.take(limits.rates.unknown, now: now) ? nil : fail(.unknownFrameFlood)
    }
}
