// One HTTP/2 stream as the proxy moves its bytes.

import Bytes
import Engine
import HTTP

/// A stream with what came and was not taken, and what is to go and has no room.
class CarriedStream: HTTP2Stream {
    /// A stream and its link hold each other while the connection lives; `HTTP2Link.close` ends that.
    final let link: HTTP2Link
    final let worker: Worker
    /// In the link's list of those that wait.
    final var isWaiting = false
    /// Of the frame that is being handled: not copied unless nobody takes it.
    private final var arrived = Bytes.empty
    /// Came earlier. The peer's window bounds it.
    private final var inbox: Buffer?
    /// To be sent as windows open; at most what a filter or we ourselves made, and one piece.
    private final var outbox: Buffer?
    private final var outEnds = false
    /// An encoded trailer block that follows the outbox.
    private final var outTrailers: Buffer?
    private final lazy var timer = StreamTimer(self)
    private final var hasTimer = false

    init(link: HTTP2Link) {
        self.link = link
        worker = link.worker
        super.init()
    }

    deinit {
        guard hasTimer else { return }
        worker.loop.cancelDeadline(timer)
        timer.stream = nil
    }

    override func prepare() {
        super.prepare()
        arrived = .empty
        outEnds = false
        if let inbox { worker.buffers.give(inbox) }
        if let outbox { worker.buffers.give(outbox) }
        if let outTrailers { worker.buffers.give(outTrailers) }
        inbox = nil
        outbox = nil
        outTrailers = nil
        if hasTimer { worker.loop.setDeadline(timer, .max) }
    }

    // MARK: What owners do

    /// Bytes, the end or trailers came.
    func readable() {}
    /// What waited is gone, and there is room for more.
    func writable() {}
    /// Everything of ours is sent, the end included.
    func drained() {}
    func timedOut() {}

    // MARK: Deadline

    final func setDeadline(_ deadline: Int64) {
        guard hasTimer || deadline != .max else { return }
        hasTimer = true
        worker.loop.setDeadline(timer, deadline)
    }

    final var deadline: Int64 { hasTimer ? timer.deadline : .max }

    final func callAgain() {
        hasTimer = true
        worker.loop.callAgain(timer)
    }

    // MARK: In

    /// A DATA frame came: whoever waits may take it from where it is.
    final func arrive(_ bytes: Bytes) {
        arrived = bytes
        readable()
        guard !arrived.isEmpty else { return }
        let inbox = inbox ?? worker.buffers.take()
        self.inbox = inbox
        if inbox.free < arrived.count { inbox.compact() }
        inbox.append(arrived)
        arrived = .empty
    }

    /// What comes next of the body; the peer may send as much again.
    final func next(_ limit: Int) -> BodyPiece {
        guard limit > 0 else { return .wait }
        var piece = Bytes.empty
        if let inbox {
            if inbox.isEmpty {
                worker.buffers.give(inbox)
                self.inbox = nil
            } else {
                piece = inbox.readable.prefix(limit)
                inbox.consume(piece.count)
            }
        }
        if piece.isEmpty, !arrived.isEmpty {
            piece = arrived.prefix(limit)
            arrived = arrived.dropFirst(piece.count)
        }
        if piece.isEmpty {
            if receivedEnd { return .end }
            return isOpen ? .wait : .broken
        }
        link.session.consumed(self, piece.count)
        link.sendSoon()
        return .data(piece, last: false)
    }

    /// Nobody takes what came, and nothing more is sent: the stream ends, with `code` if it had not.
    final func leave(_ code: HTTP2Code) {
        dropInput()
        guard isOpen else { return }
        link.session.reset(self, code)
        link.sendSoon()
    }

    /// Nobody takes what came.
    final func dropInput() {
        arrived = .empty
        if let inbox { worker.buffers.give(inbox) }
        inbox = nil
        // One that was never opened has nothing; and nothing may be written before the preface.
        if id != 0 { link.session.abandon(self) }
    }

    // MARK: Out

    final func room() -> Int {
        guard outbox == nil else { return 0 }
        let shared = min(link.session.connectionSendWindow, HTTP2Link.outputMax - link.out.count)
        let room = min(sendWindow, shared, worker.scratch.capacity)
        if room <= 0, shared <= 0 { link.wait(self) }
        return max(0, room)
    }

    /// Sends what the windows allow; the rest waits. False: the stream is over.
    final func sendData(_ bytes: Bytes, last: Bool) -> Bool {
        guard isOpen, !sentEnd else { return false }
        var rest = bytes
        if outbox == nil {
            let sent = link.session.send(self, bytes, end: last)
            link.sendSoon()
            rest = bytes.dropFirst(sent)
            if sentEnd || rest.isEmpty && !last { return true }
        }
        let outbox = outbox ?? worker.buffers.take()
        self.outbox = outbox
        outbox.append(rest)
        outEnds = last
        if sendWindow > 0 { link.wait(self) }
        return true
    }

    /// Ends with those trailers that may cross, or without.
    final func sendTrailers(_ trailers: HeaderBlock, announcedIn headers: HeaderBlock, allowed: Bool) -> Bool {
        guard isOpen, !sentEnd else { return false }
        let block = worker.buffers.take()
        for index in 0..<trailers.count where Forwarding.passes(trailers, index, announcedIn: headers, allowed: allowed)
        {
            HPACKEncoder.field(
                id: trailers.id(index), name: trailers.name(index), value: trailers.value(index), neverIndexed: false,
                to: block)
        }
        if block.isEmpty {
            worker.buffers.give(block)
            return sendData(.empty, last: true)
        }
        outTrailers = block
        if outbox == nil { finishOut() }
        return true
    }

    /// Sends the trailers that waited for the body.
    private final func finishOut() {
        guard let block = outTrailers else { return }
        outTrailers = nil
        link.session.beginHeaders()
        link.out.append(block.readable)
        link.session.endHeaders(self, end: true)
        worker.buffers.give(block)
        link.sendSoon()
    }

    /// A window opened, or the socket took something.
    final func roomCame() {
        if let outbox {
            let sent = link.session.send(self, outbox.readable, end: outEnds)
            outbox.consume(sent)
            // Only what was sent asks for another look: else who waits would be looked at for ever.
            if sent > 0 || sentEnd { link.sendSoon() }
            guard outbox.isEmpty, !outEnds || sentEnd else {
                if sendWindow > 0 { link.wait(self) }
                return
            }
            worker.buffers.give(outbox)
            self.outbox = nil
            finishOut()
        }
        if sentEnd { drained() } else { writable() }
    }

    /// Bytes of ours still wait for the peer.
    final var isBehind: Bool { outbox != nil || outTrailers != nil }
}

/// The deadline of one stream, and its place in the queue of those called again.
private final class StreamTimer: EventHandler {
    /// Nil once the stream is no more: the loop may hold the timer for the rest of a turn.
    unowned var stream: CarriedStream?
    init(_ stream: CarriedStream) { self.stream = stream }
    override func timedOut() { stream?.timedOut() }
    override func again() { stream?.readable() }
}
