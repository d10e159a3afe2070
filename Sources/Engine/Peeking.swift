// Looking at what came over a socket without taking it.

public import Bytes
import CLinux

extension EventHandler {
    /// Appends what came to `buffer`, at most `limit` bytes, and leaves it in the socket: the next look shows it
    /// again, with what came since.
    public final func peek(into buffer: Buffer, limit: Int) -> ReadResult {
        let descriptor = descriptor
        let n = buffer.appendFrom(limit: limit) { address, room in sys_peek(descriptor, address, room) }
        if n > 0 { return .bytes(n) }
        if n == 0 { return .ended }
        let error = sys_errno()
        return error == EAGAIN || error == EINTR ? .wouldBlock : .failed
    }

    /// Takes exactly `count` bytes that were seen by `peek`, into `buffer`. False if they are not there.
    public final func take(_ count: Int, into buffer: Buffer) -> Bool {
        let descriptor = descriptor
        return buffer.appendFrom(limit: count) { address, room in sys_recv(descriptor, address, room) } == count
    }
}
