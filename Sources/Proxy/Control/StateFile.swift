// Small files of the state directory: read whole, replaced so that a crash leaves the old or the new one.

import Bytes
import CLinux
import Engine
import Snapshot

enum StateFile {
    /// The file's bytes; nil when there is none, it cannot be read, or it is longer than `limit`.
    static func read(_ path: String, limit: Int = ControlLimits.payload) -> [UInt8]? {
        let descriptor = unsafe sys_open(path, O_RDONLY | O_CLOEXEC, 0)
        guard descriptor >= 0 else { return nil }
        defer { _ = sys_close(descriptor) }
        let buffer = Buffer(capacity: 64 * 1024)
        while buffer.count <= limit {
            buffer.reserve(64 * 1024)
            let n = buffer.appendFrom(limit: buffer.free) { Int(sys_read(descriptor, $0, $1)) }
            if n < 0, sys_errno() == EINTR { continue }
            guard n >= 0 else { return nil }
            if n == 0 { return buffer.readable.array }
        }
        return nil
    }

    /// A message that was stored; nil as for `read`, and when it is damaged.
    static func message<M: WireMessage>(_ path: String) -> M? {
        guard let bytes = read(path) else { return nil }
        return try? bytes.withBytes { (bytes) throws(WireError) in try M(wire: bytes) }
    }

    /// Replaces the file: written beside it, renamed; mode 0600. A proxy and its successor may do so at the same
    /// time: they wait for each other at the directory.
    ///
    /// - Parameter isDurable: survives the machine's end, not only the process's: synced before it is renamed.
    /// - Returns: the errno of what failed; 0: all went well.
    static func replace(_ path: String, with bytes: [UInt8], isDurable: Bool) -> Int32 {
        let folder = path.lastIndex(of: "/").map { String(path[...$0]) } ?? "."
        let lock = unsafe sys_open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0)
        if lock >= 0 { _ = flock(lock, LOCK_EX) }
        defer { if lock >= 0 { _ = sys_close(lock) } }
        let beside = path + ".new"
        let descriptor = unsafe sys_open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else { return sys_errno() }
        var error = write(bytes, to: descriptor)
        if error == 0, isDurable, fsync(descriptor) != 0 { error = sys_errno() }
        _ = sys_close(descriptor)
        if error == 0, unsafe rename(beside, path) != 0 { error = sys_errno() }
        if error != 0 { _ = unsafe unlink(beside) }
        return error
    }

    static func remove(_ path: String) { _ = unsafe unlink(path) }

    private static func write(_ bytes: [UInt8], to descriptor: Int32) -> Int32 {
        bytes.withBytes { all in
            var rest = all
            while !rest.isEmpty {
                let n = Int(sys_write(descriptor, rest.address, rest.count))
                if n < 0, sys_errno() == EINTR { continue }
                guard n > 0 else { return n < 0 ? sys_errno() : EIO }
                rest = rest.dropFirst(n)
            }
            return 0
        }
    }
}
