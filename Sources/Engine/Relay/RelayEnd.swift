// One socket of a connection that is passed on byte by byte, with or without TLS.

public import Bytes
import CLinux

/// Who decides what the ends of a relay do. Each end keeps it alive until it is closed.
public protocol RelayOwner: AnyObject {
    /// The end's readiness changed; its flags say how.
    func ready(_ end: RelayEnd, _ events: Readiness)
    /// The end's deadline has passed.
    func timedOut(_ end: RelayEnd)
    /// The turn that `EventLoop.callAgain` asked for.
    func again(_ end: RelayEnd)
}

/// A socket that reads and writes without keeping anything itself: what one end could not take is the
/// `Flow`'s to keep.
public final class RelayEnd: EventHandler {
    public let loop: EventLoop
    /// Nil once closed.
    private var owner: (any RelayOwner)?
    public var tls: TLSSession?
    /// The kernel may hold bytes that were not read (edge-triggered: nobody will say so again).
    public var mayRead = false
    /// The kernel may take bytes.
    public var mayWrite = true
    /// The peer has shut down its sending direction.
    public private(set) var peerFinished = false

    /// Events that told of bytes while nobody could take them.
    private var vainEvents = 0
    private var isPaused = false

    /// So many in a row, and the kernel is asked not to tell: each costs a turn of the loop.
    private static let vainEventsMax = 2

    public init(loop: EventLoop) { self.loop = loop }

    /// Starts watching `descriptor` for `owner`. False if the kernel refuses; the descriptor is the caller's then.
    public func attach(_ descriptor: Int32, owner: any RelayOwner) -> Bool {
        guard loop.add(self, descriptor: descriptor) else { return false }
        self.owner = owner
        return true
    }

    public var isOpen: Bool { descriptor >= 0 }

    // MARK: Events

    public override func ready(_ events: Readiness) {
        if !events.isDisjoint(with: [.readable, .readClosed, .hungUp, .failed]) { mayRead = true }
        if !events.isDisjoint(with: [.readClosed, .hungUp, .failed]) { peerFinished = true }
        if events.contains(.writable) { mayWrite = true }
        owner?.ready(self, events)
    }

    public override func timedOut() { owner?.timedOut(self) }
    public override func again() { owner?.again(self) }

    // MARK: Pausing

    /// There are bytes, and whoever should have them is full.
    func cannotPassOn() {
        guard mayRead, !isPaused else { return }
        vainEvents += 1
        guard vainEvents > Self.vainEventsMax else { return }
        isPaused = true
        loop.modify(self, events: [.writable, .readClosed, .edgeTriggered])
    }

    /// There is room again. An edge that was missed meanwhile comes with the change itself.
    func canPassOn() {
        vainEvents = 0
        guard isPaused else { return }
        isPaused = false
        loop.modify(self, events: [.readable, .writable, .readClosed, .edgeTriggered])
    }

    // MARK: Reading

    /// Reads once into `buffer`, at most `limit` bytes.
    public func receive(into buffer: Buffer, limit: Int) -> ReadResult {
        if let tls { return receive(tls, buffer, limit) }
        let descriptor = descriptor
        var room = 0
        let n = buffer.appendFrom(limit: limit) { address, space in
            room = space
            return sys_recv(descriptor, address, space)
        }
        if n > 0 {
            // A short read has emptied the socket; the next edge will tell. After the peer's FIN there is
            // no next edge, so the end must be read now.
            if n < room, !peerFinished { mayRead = false }
            return .bytes(n)
        }
        return nothingRead(n)
    }

    private func receive(_ tls: TLSSession, _ buffer: Buffer, _ limit: Int) -> ReadResult {
        var outcome = TLSSession.Outcome.wantsRead
        _ = buffer.appendFrom(limit: limit) { address, space in
            outcome = tls.read(address, space)
            if case .bytes(let n) = outcome { return n }
            return 0
        }
        switch outcome {
        case .bytes(let n): return .bytes(n)
        case .wantsRead, .wantsWrite: return paused(outcome)
        case .closed:
            mayRead = false
            return .ended
        case .failed:
            mayRead = false
            return .failed
        }
    }

    private func paused(_ outcome: TLSSession.Outcome) -> ReadResult {
        mayRead = false
        if outcome == .wantsWrite { mayWrite = false }
        return .wouldBlock
    }

    /// Moves up to `limit` bytes into an empty pipe.
    func splice(into pipe: Pipe, limit: Int) -> ReadResult {
        let n = sys_splice(descriptor, pipe.writing, limit)
        return n > 0 ? .bytes(n) : nothingRead(n)
    }

    /// The last failure meant that this kernel does not move bytes of this kind of socket through pipes.
    var cannotSplice: Bool { sys_errno() == EINVAL || sys_errno() == ENOSYS }

    private func nothingRead(_ n: Int) -> ReadResult {
        if n == 0 {
            mayRead = false
            peerFinished = true
            return .ended
        }
        let error = sys_errno()
        mayRead = error == EINTR
        return error == EAGAIN || error == EINTR ? .wouldBlock : .failed
    }

    // MARK: Writing

    /// Writes until the socket is full; how much, or nil if the connection is broken.
    public func send(_ bytes: Bytes) -> Int? {
        var sent = 0
        while sent < bytes.count {
            let rest = bytes.dropFirst(sent)
            if let tls {
                switch tls.write(rest.address, rest.count) {
                case .bytes(let n): sent += n
                case .wantsRead, .wantsWrite:
                    mayWrite = false
                    return sent
                case .closed, .failed: return nil
                }
                continue
            }
            let n = sys_send(descriptor, rest.address, rest.count)
            if n >= 0 {
                sent += n
                if n < rest.count {
                    mayWrite = false
                    return sent
                }
            } else {
                let error = sys_errno()
                if error == EINTR { continue }
                guard error == EAGAIN else { return nil }
                mayWrite = false
                return sent
            }
        }
        return sent
    }

    /// Moves up to `count` bytes out of a pipe; how many, or nil if the connection is broken.
    func splice(from pipe: Pipe, count: Int) -> Int? {
        let n = sys_splice(pipe.reading, descriptor, count)
        if n >= 0 { return n }
        let error = sys_errno()
        guard error == EAGAIN || error == EINTR else { return nil }
        mayWrite = error == EINTR
        return 0
    }

    /// Bytes that the kernel holds because the peer has not taken them yet.
    public var unacknowledgedOutput: Int { Int(sys_unacknowledged(descriptor)) }

    // MARK: The end

    /// Tells the peer that nothing more follows; it may go on sending.
    func finishSending() {
        if let tls { tls.sendClose() }
        _ = sys_shutdown_write(descriptor)
    }

    /// Closes the socket. With `reset` the peer learns that this is no orderly end.
    public func close(reset: Bool) {
        owner = nil
        if let tls {
            if !reset { tls.sendClose() }
            self.tls = nil
        }
        if reset, descriptor >= 0 { _ = sys_reset_on_close(descriptor) }
        loop.close(self)
    }
}
