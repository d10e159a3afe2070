// A TCP connection, with or without TLS: reading, writing, and what could not be written yet.

public import Bytes
import CLinux

/// What a read gave.
public enum ReadResult: Equatable, Sendable {
    case bytes(Int)
    case wouldBlock
    /// The peer has finished sending.
    case ended
    case failed
}

/// A connected socket on a loop. Subclasses decide what the bytes mean.
open class StreamConnection: EventHandler {
    public final let loop: EventLoop
    public final var tls: TLSSession?
    /// The kernel may hold bytes that were not read (edge-triggered: nobody will say so again).
    public final var mayRead = false
    /// The peer has shut down its sending direction.
    public final var peerFinished = false
    private final var output: Buffer?
    private final var mayWrite = true
    public final let buffers: BufferPool

    public init(loop: EventLoop, buffers: BufferPool) {
        self.loop = loop
        self.buffers = buffers
    }

    /// Starts watching `descriptor`. False if the kernel refuses.
    public final func attach(_ descriptor: Int32) -> Bool { loop.add(self, descriptor: descriptor) }

    /// Takes the socket of another handler of this loop, with its TLS and what waits to be sent.
    public final func take(over other: StreamConnection) {
        loop.hand(other, to: self)
        tls = other.tls
        mayRead = other.mayRead
        peerFinished = other.peerFinished
        mayWrite = other.mayWrite
        output = other.output
        other.tls = nil
        other.output = nil
    }

    // MARK: Events

    open override func ready(_ events: Readiness) {
        if !events.isDisjoint(with: [.readable, .readClosed, .hungUp, .failed]) { mayRead = true }
        if !events.isDisjoint(with: [.readClosed, .hungUp, .failed]) { peerFinished = true }
        if events.contains(.writable) { mayWrite = true }
    }

    // MARK: Reading

    /// Reads once into `buffer`, at most `limit` bytes.
    public final func receive(into buffer: Buffer, limit: Int) -> ReadResult {
        if let tls { return receiveTLS(tls, buffer, limit) }
        let descriptor = descriptor
        var room = 0
        let n = buffer.appendFrom(limit: limit) { address, space in
            room = space
            return sys_recv(descriptor, address, space)
        }
        if n > 0 {
            // A short read has emptied the socket; the next edge will tell. After the peer's FIN
            // there is no next edge, so keep reading until the end shows.
            if n < room, !peerFinished { mayRead = false }
            return .bytes(n)
        }
        if n == 0 {
            mayRead = false
            peerFinished = true
            return room == 0 ? .wouldBlock : .ended
        }
        let error = sys_errno()
        if error == EAGAIN || error == EINTR {
            mayRead = error == EINTR
            return .wouldBlock
        }
        mayRead = false
        return .failed
    }

    private final func receiveTLS(_ tls: TLSSession, _ buffer: Buffer, _ limit: Int) -> ReadResult {
        var outcome = TLSSession.Outcome.wantsRead
        _ = buffer.appendFrom(limit: limit) { address, space in
            outcome = tls.read(address, space)
            if case .bytes(let n) = outcome { return n }
            return 0
        }
        switch outcome {
        case .bytes(let n): return .bytes(n)
        case .wantsRead:
            mayRead = false
            return .wouldBlock
        case .wantsWrite:
            mayRead = false
            mayWrite = false
            return .wouldBlock
        case .closed:
            mayRead = false
            return .ended
        case .failed:
            mayRead = false
            return .failed
        }
    }

    // MARK: Writing

    /// Bytes that wait for the peer to read.
    public final var pendingOutput: Int { output?.count ?? 0 }

    /// Bytes that the kernel holds because the peer has not taken them yet.
    public final var unacknowledgedOutput: Int { Int(sys_unacknowledged(descriptor)) }

    /// Sends `bytes` after what waits already; what does not fit is copied and sent when the socket
    /// is writable. False if the connection is broken.
    public final func send(_ bytes: Bytes) -> Bool {
        if let output, !output.isEmpty {
            store(bytes)
            return true
        }
        guard mayWrite else {
            store(bytes)
            return true
        }
        guard let sent = write(bytes) else { return false }
        if sent < bytes.count { store(bytes.dropFirst(sent)) }
        return true
    }

    /// Sends what waits, as far as the socket takes it. False if the connection is broken.
    public final func flush() -> Bool {
        guard let output, mayWrite else { return true }
        if !output.isEmpty {
            guard let sent = write(output.readable) else { return false }
            output.consume(sent)
        }
        if output.isEmpty {
            buffers.give(output)
            self.output = nil
        }
        return true
    }

    /// Sends from `buffer` as far as the socket takes it; the rest stays there. For owners that
    /// keep their own output. False if the connection is broken.
    public final func drain(_ buffer: Buffer) -> Bool {
        guard mayWrite, !buffer.isEmpty else { return true }
        guard let sent = write(buffer.readable) else { return false }
        buffer.consume(sent)
        return true
    }

    private final func store(_ bytes: Bytes) {
        let output = output ?? buffers.take()
        self.output = output
        if output.free < bytes.count, output.start > 0 { output.compact() }
        output.append(bytes)
    }

    /// Writes until the socket is full; nil if the connection is broken.
    private final func write(_ bytes: Bytes) -> Int? {
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

    /// Tells the peer that nothing more follows; it may go on sending.
    public final func finishSending() {
        if let tls { tls.sendClose() }
        _ = sys_shutdown_write(descriptor)
    }

    /// Closes the socket and gives the memory back.
    public final func closeStream() {
        if let output {
            buffers.give(output)
            self.output = nil
        }
        if let tls {
            tls.sendClose()
            self.tls = nil
        }
        loop.close(self)
    }
}
