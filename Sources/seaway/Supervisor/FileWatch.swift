// Notices that a file's content may have changed, however the change was made.

import Bytes
import CLinux

/// Watches the directories on the way to one file: for a write in place, for an editor that renames
/// a new file over the old one, and for a symbolic link that is swapped (Kubernetes config maps
/// replace `..data`, a link in the same directory).
final class FileWatch {
    /// Readable when something happened in a watched directory.
    let descriptor: Int32
    private let path: String
    private var watches: [Int32: String] = [:]
    /// Names that matter, by directory: the file, and each link on the way to it.
    private var names: [String: Set<String>] = [:]

    /// Nil when the kernel has no more watches to give.
    init?(path: String) {
        descriptor = inotify_init1(sys_inotify_flags())
        self.path = path
        guard descriptor >= 0 else { return nil }
        follow()
        if watches.isEmpty {
            _ = sys_close(descriptor)
            return nil
        }
    }

    deinit { if descriptor >= 0 { _ = sys_close(descriptor) } }

    /// Reads all events; whether one of them concerned the file.
    func changed() -> Bool {
        var concerned = false
        let buffer = Buffer(capacity: 16 * 1024)
        while true {
            buffer.clear()
            let n = buffer.appendFrom(limit: 16 * 1024) { Int(sys_read(descriptor, $0, $1)) }
            if n < 0, sys_errno() == EINTR { continue }
            guard n > 0 else { break }
            if concerns(buffer.readable) { concerned = true }
        }
        // The links may lead elsewhere now.
        if concerned { follow() }
        return concerned
    }

    /// struct inotify_event: watch, mask, cookie, length (32 bits each), then the name padded with NUL.
    private func concerns(_ events: Bytes) -> Bool {
        var rest = events
        var concerned = false
        while rest.count >= 16 {
            let watch = Int32(bitPattern: rest.load32(0))
            let mask = rest.load32(4)
            let length = Int(rest.load32(12))
            guard rest.count - 16 >= length else { break }
            let padded = rest[16..<16 + length]
            let name = padded.prefix(padded.firstIndex(of: 0) ?? length).string
            // Events were lost, or a directory went away: look.
            if mask & (UInt32(IN_Q_OVERFLOW) | UInt32(IN_IGNORED) | UInt32(IN_DELETE_SELF) | UInt32(IN_MOVE_SELF)) != 0
            {
                concerned = true
            }
            if let directory = watches[watch], names[directory]?.contains(name) == true {
                // A file that was just made is empty: its content is announced when it is closed.
                concerned = concerned || mask & UInt32(IN_CREATE) == 0 || Self.isLink(directory + "/" + name)
            }
            rest = rest.dropFirst(16 + length)
        }
        return concerned
    }

    /// A symbolic link, or a second name of a file that was there before.
    private static func isLink(_ path: String) -> Bool {
        var info = sys_file()
        guard unsafe sys_file_at(path, 0, &info) == 0 else { return false }
        return info.mode & UInt32(S_IFMT) == UInt32(S_IFLNK) || info.names > 1
    }

    /// Walks the path as the kernel would, noting each link and the directory it stands in.
    private func follow() {
        var wanted: [String: Set<String>] = [:]
        var pending = path.split(separator: "/").map(String.init)
        var at = ""
        var links = 0
        while let name = pending.first {
            pending.removeFirst()
            if name == "." { continue }
            if name == ".." {
                at = String(at[..<(at.lastIndex(of: "/") ?? at.startIndex)])
                continue
            }
            let target = readLink(at + "/" + name)
            if target != nil || pending.isEmpty { wanted[at.isEmpty ? "/" : at, default: []].insert(name) }
            guard let target, links < 40 else {
                at += "/" + name
                continue
            }
            links += 1
            if target.hasPrefix("/") { at = "" }
            pending = target.split(separator: "/").map(String.init) + pending
        }
        names = wanted
        for (watch, directory) in watches where wanted[directory] == nil {
            _ = inotify_rm_watch(descriptor, watch)
            watches[watch] = nil
        }
        let mask = UInt32(IN_CLOSE_WRITE | IN_MOVED_TO | IN_CREATE | IN_DELETE_SELF | IN_MOVE_SELF)
        for directory in wanted.keys.sorted() {
            let watch = unsafe inotify_add_watch(descriptor, directory, mask)
            if watch >= 0 { watches[watch] = directory }
        }
    }

}
