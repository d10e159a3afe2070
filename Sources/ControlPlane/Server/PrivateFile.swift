// Files that only their owner can read, whole or not at all.

internal import Foundation
internal import Glibc

enum PrivateFile {
    /// Replaces `path` with `bytes`: written beside it with mode 0600, synced, renamed.
    static func write(_ bytes: [UInt8], to path: String) throws {
        let beside = path + ".\(getpid()).new"
        _ = unsafe unlink(beside)
        let descriptor = unsafe open(beside, O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw CocoaError(.fileWriteNoPermission) }
        let handle = FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
        try handle.write(contentsOf: Data(bytes))
        try handle.synchronize()
        guard unsafe rename(beside, path) == 0 else { throw CocoaError(.fileWriteUnknown) }
    }
}
