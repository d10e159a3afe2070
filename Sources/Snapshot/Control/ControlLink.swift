// One end of a control socket: what to send, what was received.

internal import Bytes
internal import CLinux

/// A connected, non-blocking control socket. Its owner polls `descriptor` for reading, and for
/// writing while `wantsWrite`.
public final class ControlLink {
    /// The socket; owned by the link, closed by `close` or with it.
    public private(set) var descriptor: Int32
    private var decoder = ControlDecoder()
    private var outgoing: [ControlFrame] = []
    private var current: [UInt8] = []
    private var sent = 0
    private var failure: Int32 = 0

    /// - Parameter descriptor: a connected, non-blocking Unix stream socket, which the link now owns.
    public init(owning descriptor: Int32) { self.descriptor = descriptor }

    deinit { close() }

    /// Process and user at the other end, as the kernel knows them; pid 0: unknown.
    public var peer: (pid: Int, user: UInt32) {
        let both = sys_peer_credentials(descriptor)
        return (Int(both >> 32), UInt32(truncatingIfNeeded: both))
    }

    /// Whether something waits for the socket to take more.
    public var wantsWrite: Bool { descriptor >= 0 && (!current.isEmpty || !outgoing.isEmpty) }

    /// Queues a message and sends as much as the socket takes. The descriptors stay the caller's, and
    /// must stay open until `wantsWrite` is false.
    public func send(_ message: ControlMessage, descriptors: [Int32] = []) {
        guard descriptor >= 0, failure == 0 else { return }
        outgoing.append(ControlFrame(message, descriptors: descriptors))
        flush()
    }

    /// Sends more of the queue. A failure shows in the next `receive`.
    public func flush() {
        while descriptor >= 0, failure == 0 {
            if current.isEmpty {
                guard let next = outgoing.first else { return }
                current = next.bytes
                sent = 0
            }
            let n = write()
            if n < 0 {
                let error = sys_errno()
                if error == EINTR { continue }
                if error != EAGAIN { failure = error }
                return
            }
            sent += n
            if sent == current.count {
                current = []
                outgoing.removeFirst()
            }
        }
    }

    private func write() -> Int {
        // The descriptors go with the first byte, once.
        let descriptors = sent == 0 ? outgoing.first?.descriptors ?? [] : []
        return current.withBytes { bytes in
            let rest = bytes.dropFirst(sent)
            let span = descriptors.span
            return unsafe span.withUnsafeBufferPointer { list in
                Int(
                    sys_send_descriptors(
                        descriptor, rest.address, rest.count, UInt(bitPattern: list.baseAddress), Int32(list.count)))
            }
        }
    }

    /// Everything that has arrived, as frames. An error comes after the frames before it were
    /// returned; then the link is of no more use.
    public func receive() throws(ControlError) -> [ControlFrame] {
        var frames: [ControlFrame] = []
        while true {
            do {
                while let frame = try decoder.next() { frames.append(frame) }
            } catch {
                // The decoder stays where it is, so the next call meets the same error first.
                if !frames.isEmpty { return frames }
                throw error
            }
            let n = read()
            let error = sys_errno()
            if n > 0 || n < 0 && error == EINTR { continue }
            if !frames.isEmpty || n < 0 && error == EAGAIN && failure == 0 { return frames }
            throw .closed(n == 0 ? 0 : failure != 0 ? failure : error)
        }
    }

    /// One read into the decoder; what recvmsg returned.
    private func read() -> Int {
        let room = Buffer(capacity: 64 * 1024)
        var list = [Int32](repeating: 0, count: 254)  // As many as the shim may write.
        let n = room.appendFrom(limit: 64 * 1024) { address, room in
            var span = list.mutableSpan
            return unsafe span.withUnsafeMutableBufferPointer { list in
                Int(sys_recv_descriptors(descriptor, address, room, UInt(bitPattern: list.baseAddress)))
            }
        }
        if n > 0 {
            let count = min(max(0, Int(list[0])), list.count - 1)
            decoder.received(room.readable, descriptors: Array(list[1..<(1 + count)]))
        }
        return n
    }

    public func close() {
        guard descriptor >= 0 else { return }
        _ = sys_close(descriptor)
        descriptor = -1
        for orphan in decoder.abandon() { _ = sys_close(orphan) }
        outgoing = []
        current = []
    }
}

/// Control sockets by path.
public enum ControlSocket {
    /// A listening socket at `path`, mode 0600. A socket left there by a process that is gone is
    /// replaced, so the caller must hold the lock of the directory.
    public static func listen(at path: String) throws(ControlError) -> Int32 {
        let socket = sys_socket(AF_UNIX, Int32(SOCK_STREAM.rawValue))
        guard socket >= 0 else { throw .closed(sys_errno()) }
        _ = unsafe unlink(path)
        let mask = umask(0o177)
        let bound = withShort(path) { unsafe sys_unix_address(socket, $0, 1) }
        let error = sys_errno()
        _ = umask(mask)
        guard bound == 0, sys_listen(socket, 16) == 0 else {
            _ = sys_close(socket)
            throw .closed(bound == 0 ? sys_errno() : error)
        }
        return socket
    }

    /// A connection to the socket at `path`; nil with `errno` set when nobody listens there.
    public static func connect(to path: String) throws(ControlError) -> ControlLink {
        let socket = sys_socket(AF_UNIX, Int32(SOCK_STREAM.rawValue))
        guard socket >= 0 else { throw .closed(sys_errno()) }
        guard withShort(path, { unsafe sys_unix_address(socket, $0, 0) }) == 0 else {
            let error = sys_errno()
            _ = sys_close(socket)
            throw .closed(error)
        }
        return ControlLink(owning: socket)
    }

    /// Names longer than `sun_path` (108 bytes) are reached through a descriptor of their directory.
    private static func withShort(_ path: String, _ body: (String) -> Int32) -> Int32 {
        guard path.utf8.count > 100, let slash = path.lastIndex(of: "/") else { return body(path) }
        let directory = unsafe sys_open(String(path[..<slash]), O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0)
        guard directory >= 0 else { return -1 }
        defer { _ = sys_close(directory) }
        return body("/proc/self/fd/\(directory)\(path[slash...])")
    }
}
