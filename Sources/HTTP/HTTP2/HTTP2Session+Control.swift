// Frames that carry no message: settings, resets, windows, pings, priorities, the end.
//
//     SETTINGS:      *( identifier (16), value (32) )
//     RST_STREAM:    code (32)
//     WINDOW_UPDATE: reserved (1), increment (31)
//     PING:          opaque (64)
//     PRIORITY:      exclusive (1), dependency (31), weight (8)
//     GOAWAY:        reserved (1), last stream (31), code (32), debug data …

import Bytes

extension HTTP2Session {
    /// The frame's payload when it is complete; consumed.
    private func payload(_ frame: HTTP2Frame, _ input: Buffer) -> Bytes? {
        let bytes = input.readable
        guard bytes.count >= HTTP2Frame.headCount + frame.count else { return nil }
        input.consume(HTTP2Frame.headCount + frame.count)
        return bytes[HTTP2Frame.headCount..<HTTP2Frame.headCount + frame.count]
    }

    // MARK: SETTINGS, RFC 9113 section 6.5

    func readSettings(_ frame: HTTP2Frame, _ input: Buffer) -> HTTP2Event? {
        guard frame.id == 0 else { return fail(.badStreamID) }
        guard frame.count % 6 == 0, frame.count == 0 || !frame.isAcknowledgement else { return fail(.badFrameSize) }
        guard frame.count <= HTTP2Setting.countMax * 6 else { return fail(.settingsFlood) }
        guard let bytes = payload(frame, input) else { return .needsBytes }
        guard buckets.settings.take(limits.rates.settings, now: now) else { return fail(.settingsFlood) }
        if frame.isAcknowledgement {
            settingsHold = true
            return nil
        }
        if !sawSettings {
            sawSettings = true
            // Without a word about it there is no limit (RFC 9113 section 6.5.2).
            peerMaxStreams = Int(UInt32.max)
        }
        for at in stride(from: 0, to: bytes.count, by: 6) {
            let id = UInt16(bytes[at]) << 8 | UInt16(bytes[at + 1])
            if let fault = apply(id, bytes.big32(at + 2)) { return fail(fault) }
        }
        reply(count: 0, type: HTTP2Frame.settings, flags: HTTP2Frame.flagAcknowledge, id: 0)
        return .settings
    }

    private func apply(_ id: UInt16, _ value: UInt32) -> HTTP2Fault? {
        switch id {
        case HTTP2Setting.headerTable:
            // Our encoder keeps no table; only a decoder that saw its own shrink wants that confirmed.
            if value < 4096, !hasShrunkTable {
                owesTableUpdate = true
                hasShrunkTable = true
            }
        case HTTP2Setting.enablePush:
            guard value == 0 || value == 1 && role == .server else { return .badSetting }
        case HTTP2Setting.maxConcurrentStreams:
            peerMaxStreams = Int(value)
        case HTTP2Setting.initialWindow:
            return moveWindows(Int(value))
        case HTTP2Setting.maxFrame:
            guard (16_384...16_777_215).contains(value) else { return .badSetting }
            peerFrame = Int(value)
        case HTTP2Setting.enableConnectProtocol:
            // RFC 8441 section 3: what was allowed stays allowed.
            guard value <= 1, value == 1 || !peerAllowsConnectProtocol else { return .badSetting }
            peerAllowsConnectProtocol = value == 1
        default: break
        }
        return nil
    }

    /// RFC 9113 section 6.9.2: the change applies to open streams too, whose windows may become negative by it.
    private func moveWindows(_ size: Int) -> HTTP2Fault? {
        guard size <= HTTP2Frame.windowMax else { return .windowOverflow }
        let change = size - peerWindow
        peerWindow = size
        for stream in streams.streams {
            let before = stream.sendWindow
            stream.sendWindow += change
            if stream.sendWindow > HTTP2Frame.windowMax { return .windowOverflow }
            if before <= 0, stream.sendWindow > 0 { windowNews = true }
        }
        return nil
    }

    // MARK: WINDOW_UPDATE, RFC 9113 section 6.9

    func readWindowUpdate(_ frame: HTTP2Frame, _ input: Buffer) -> HTTP2Event? {
        guard frame.count == 4 else { return fail(.badFrameSize) }
        guard let bytes = payload(frame, input) else { return .needsBytes }
        guard buckets.windowUpdates.take(limits.rates.windowUpdates, now: now) else {
            return fail(.windowUpdateFlood)
        }
        let increment = Int(bytes.big32(0) & 0x7FFF_FFFF)
        if frame.id == 0 {
            guard increment > 0 else { return fail(.badWindowUpdate) }
            let before = connectionSendWindow
            connectionSendWindow += increment
            guard connectionSendWindow <= HTTP2Frame.windowMax else { return fail(.windowOverflow) }
            return before <= 0 && connectionSendWindow > 0 ? .window(nil) : nil
        }
        guard let stream = streams.find(frame.id) else {
            return absent(frame.id) == .idle ? fail(.idleStream) : nil
        }
        guard increment > 0 else { return strike(stream, .protocolError) }
        let before = stream.sendWindow
        guard before + increment <= HTTP2Frame.windowMax else { return strike(stream, .flowControlError) }
        stream.sendWindow += increment
        return before <= 0 && stream.sendWindow > 0 ? .window(stream) : nil
    }

    // MARK: RST_STREAM, RFC 9113 section 6.4

    func readReset(_ frame: HTTP2Frame, _ input: Buffer) -> HTTP2Event? {
        guard frame.id != 0 else { return fail(.badStreamID) }
        guard frame.count == 4 else { return fail(.badFrameSize) }
        guard let bytes = payload(frame, input) else { return .needsBytes }
        guard let stream = streams.find(frame.id) else {
            if absent(frame.id) == .idle { return fail(.idleStream) }
            return buckets.unknown.take(limits.rates.unknown, now: now) ? nil : fail(.unknownFrameFlood)
        }
        // What a client gives up at once it could ask for without end: its stream no longer counts as open.
        if role == .server, now - stream.openedAt < 1000, !stream.sentData, !stream.sentEnd {
            guard buckets.resets.take(limits.rates.resets, now: now) else { return fail(.resetFlood) }
        }
        drop(stream)
        return .reset(stream, HTTP2Code(rawValue: bytes.big32(0)))
    }

    // MARK: PING, RFC 9113 section 6.7

    func readPing(_ frame: HTTP2Frame, _ input: Buffer) -> HTTP2Event? {
        guard frame.id == 0 else { return fail(.badStreamID) }
        guard frame.count == 8 else { return fail(.badFrameSize) }
        guard let bytes = payload(frame, input) else { return .needsBytes }
        guard buckets.pings.take(limits.rates.pings, now: now) else { return fail(.pingFlood) }
        if !frame.isAcknowledgement {
            reply(count: 8, type: HTTP2Frame.ping, flags: HTTP2Frame.flagAcknowledge, id: 0, bytes)
        }
        return nil
    }

    // MARK: PRIORITY, RFC 9113 section 6.3

    /// Priorities are not followed; only what no peer may send is answered.
    func readPriority(_ frame: HTTP2Frame, _ input: Buffer) -> HTTP2Event? {
        guard frame.id != 0 else { return fail(.badStreamID) }
        guard frame.count == 5 else {
            guard let stream = streams.find(frame.id) else { return fail(.badFrameSize) }
            input.consume(HTTP2Frame.headCount)
            _ = skip(frame.count)
            return strike(stream, .frameSizeError)
        }
        guard let bytes = payload(frame, input) else { return .needsBytes }
        guard buckets.priorities.take(limits.rates.priorities, now: now) else { return fail(.priorityFlood) }
        guard bytes.big32(0) & 0x7FFF_FFFF == frame.id else { return nil }
        guard let stream = streams.find(frame.id) else { return fail(.badPriority) }
        return strike(stream, .protocolError)
    }

    // MARK: GOAWAY, RFC 9113 section 6.8

    func readGoAway(_ frame: HTTP2Frame, _ input: Buffer) -> HTTP2Event? {
        guard frame.id == 0 else { return fail(.badStreamID) }
        guard frame.count >= 8 else { return fail(.badFrameSize) }
        let bytes = input.readable
        guard bytes.count >= HTTP2Frame.headCount + 8 else { return .needsBytes }
        guard buckets.unknown.take(limits.rates.unknown, now: now) else { return fail(.unknownFrameFlood) }
        let last = min(bytes.big32(HTTP2Frame.headCount) & 0x7FFF_FFFF, goAwayReceived ?? .max)
        let code = HTTP2Code(rawValue: bytes.big32(HTTP2Frame.headCount + 4))
        goAwayReceived = last
        input.consume(HTTP2Frame.headCount + 8)
        _ = skip(frame.count - 8)
        return .goAway(last: last, code)
    }
}
