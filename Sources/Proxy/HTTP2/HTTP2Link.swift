// What both ends' HTTP/2 connections share: frames in from the socket, frames out to it.

import Bytes
import Engine
import HTTP

/// A connection that carries HTTP/2: it decides what events mean.
protocol HTTP2Owner: StreamConnection {
    func take(_ event: HTTP2Event)
}

/// A session bound to a connection: its bytes, and the streams that wait for room.
final class HTTP2Link {
    let session: HTTP2Session
    let worker: Worker
    /// Frames to be sent. They gather during a turn and leave in one write.
    let out = Buffer(capacity: 512)
    private(set) var isClosed = false
    private unowned let owner: any HTTP2Owner
    /// The beginning of a frame whose rest has not come.
    private var rest: Buffer?
    /// Streams that would send, were there room in the connection's window or the socket.
    private var waiting: [CarriedStream] = []
    /// Streams at rest, for reuse.
    var spare: [CarriedStream] = []

    /// What a connection begins with (RFC 9113 section 3.4).
    static let preface: StaticString = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
    /// Bytes that may wait for the socket before streams do.
    static let outputMax = 64 * 1024
    /// Bytes that are sent at once rather than at the end of the turn.
    private static let outputEager = 32 * 1024
    /// Streams that are kept for reuse: as many as are usually open, and few where none is.
    static let spareMax = 128
    private static let spareAtRest = 4
    /// Reads of one connection before others get their turn.
    private static let readsPerTurn = 4

    init(owner: any HTTP2Owner, role: HTTP2Role, limits: HTTP2Limits, worker: Worker) {
        self.owner = owner
        self.worker = worker
        session = HTTP2Session(role: role, limits: limits, output: out)
    }

    // MARK: Reading

    enum Reading { case drained, more, ended, failed }

    /// Reads what the socket has, and hands on the frames.
    func read() -> Reading {
        var budget = Self.readsPerTurn
        while owner.mayRead, !isClosed {
            // Whoever does not read our answers is not read either.
            guard out.count < Self.outputMax else { return .drained }
            guard budget > 0 else { return .more }
            budget -= 1
            let frames = worker.frames
            frames.clear()
            if let rest { frames.append(rest.readable) }
            switch owner.receive(into: frames, limit: frames.free) {
            case .bytes: process(frames)
            case .wouldBlock: continue
            case .ended: return .ended
            case .failed: return .failed
            }
        }
        return .drained
    }

    /// Handles bytes that somebody else has read.
    func feed(_ bytes: Bytes) {
        let frames = worker.frames
        frames.clear()
        frames.append(bytes)
        process(frames)
    }

    private func process(_ frames: Buffer) {
        if let rest {
            worker.buffers.give(rest)
            self.rest = nil
        }
        session.now = worker.loop.now
        while !isClosed {
            let event = session.next(frames)
            if case .needsBytes = event { break }
            owner.take(event)
        }
        guard !isClosed else { return }
        if !frames.isEmpty {
            let rest = worker.buffers.take()
            rest.append(frames.readable)
            self.rest = rest
        }
        sendSoon()
    }

    /// A frame has begun and not ended.
    var isInsideFrame: Bool { rest != nil }

    // MARK: Writing

    /// What was written leaves at the end of this turn.
    func sendSoon() {
        if out.count >= Self.outputEager { _ = owner.drain(out) }
        worker.loop.callAtEnd(owner)
    }

    /// Sends as much as the socket takes. False: the connection is broken.
    func send() -> Bool {
        guard owner.drain(out) else { return false }
        if out.isEmpty { out.clear() } else if out.start > Self.outputMax { out.compact() }
        return true
    }

    /// The stream is called when the connection's window or the socket has room.
    func wait(_ stream: CarriedStream) {
        guard !stream.isWaiting else { return }
        stream.isWaiting = true
        waiting.append(stream)
    }

    /// Calls those that wait, the longest waiting first.
    func resume() {
        guard !waiting.isEmpty, out.count < Self.outputEager else { return }
        let all = waiting
        waiting = []
        for stream in all {
            stream.isWaiting = false
            if stream.isOpen { stream.roomCame() }
        }
    }

    // MARK: The end

    /// No stream is open: what many of them needed goes.
    func rested() {
        if spare.count > Self.spareAtRest { spare.removeLast(spare.count - Self.spareAtRest) }
        if out.isEmpty { out.shrink(to: 512) }
    }

    /// Nothing is read or sent any more. Streams that are open have been told, or are by the caller.
    func close() {
        isClosed = true
        waiting = []
        spare = []
        if let rest { worker.buffers.give(rest) }
        rest = nil
    }
}
