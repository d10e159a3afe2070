// The directory that a supervisor and its proxies meet in, and who may use it.
//
//   supervisor.lock   locked for as long as a supervisor lives; holds its process id
//   proxies.lock      locked (shared) for as long as any proxy lives: each inherits the open file
//   control.sock      where proxies and commands reach the supervisor
//   snapshot, sockets the last configuration in effect and where it was served, for a proxy that
//                     nobody answers
//   join              where a control plane gives the configuration: which one. `snapshot` holds settings and
//                     listeners only then, and the proxy keeps `identity`, `configuration` and `attempt`

import Bytes
import CLinux
import Snapshot

/// An open, locked state directory.
final class StateDirectory {
    let path: String
    /// Made for this run only; removed when it ends.
    let isTemporary: Bool
    private let lock: Int32

    var controlPath: String { path + "/control.sock" }
    var snapshotPath: String { path + "/snapshot" }
    var socketsPath: String { path + "/sockets" }
    var joinPath: String { path + "/join" }
    private var proxiesPath: String { path + "/proxies.lock" }

    /// Makes the directory if need be, and becomes its only supervisor.
    init(path: String, isTemporary: Bool) throws(Failure) {
        self.path = path
        self.isTemporary = isTemporary
        try Self.prepare(path)
        let lockPath = path + "/supervisor.lock"
        lock = unsafe sys_open(lockPath, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard lock >= 0 else {
            throw Failure(
                "cannot open \(lockPath): \(errorText(sys_errno()))\nGive another directory with --state-dir.")
        }
        guard flock(lock, LOCK_EX | LOCK_NB) == 0 else {
            let holder = Self.holder(of: path)
            _ = sys_close(lock)
            throw Failure(
                """
                another supervisor\(holder.map { " (process \($0))" } ?? "") runs a gateway with the state directory \(path)
                Stop it first, or run this gateway with a --state-dir of its own.
                """)
        }
        let text = Array("\(getpid())\n".utf8)
        _ = ftruncate(lock, 0)
        _ = text.withBytes { sys_write(lock, $0.address, $0.count) }
    }

    /// Closes; removes what has no meaning without a supervisor.
    func release() {
        _ = unsafe unlink(controlPath)
        if isTemporary {
            for name in [
                "snapshot", "sockets", "join", "identity", "configuration", "attempt", "proxies.lock",
                "supervisor.lock",
            ] {
                _ = unsafe unlink(path + "/" + name)
            }
            _ = unsafe rmdir(path)
        }
        _ = sys_close(lock)
    }

    /// Whether any proxy of this directory lives.
    var hasLiveProxy: Bool {
        let descriptor = openProxiesLock()
        guard descriptor >= 0 else { return false }
        defer { _ = sys_close(descriptor) }
        return flock(descriptor, LOCK_EX | LOCK_NB) != 0
    }

    /// An open file to be inherited by one proxy, locked until that proxy ends; the caller closes
    /// its own copy. Negative on failure.
    func makeProxyLock() -> Int32 {
        let descriptor = openProxiesLock()
        if descriptor >= 0, flock(descriptor, LOCK_SH | LOCK_NB) != 0 {
            _ = sys_close(descriptor)
            return -1
        }
        return descriptor
    }

    private func openProxiesLock() -> Int32 {
        unsafe sys_open(proxiesPath, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
    }

    /// The process that holds the directory's lock, if any.
    static func holder(of path: String) -> Int? {
        guard case .success(let bytes) = FileBytes.read(path + "/supervisor.lock", limit: 64 * 1024) else { return nil }
        return bytes.withBytes { text in
            text.firstIndex(of: 0x0A).flatMap { text.prefix($0).decimal() }
        }
    }

    /// A directory that nobody else can write to.
    private static func prepare(_ path: String) throws(Failure) {
        var made = ""
        for part in path.split(separator: "/") {
            made += "/" + part
            if unsafe mkdir(made, 0o700) != 0, sys_errno() != EEXIST {
                throw Failure(
                    "cannot make \(made): \(errorText(sys_errno()))\nGive another directory with --state-dir.")
            }
        }
        var info = sys_file()
        guard unsafe sys_file_at(path, 1, &info) == 0, info.mode & UInt32(S_IFMT) == UInt32(S_IFDIR) else {
            throw Failure("\(path) is not a directory\nGive another one with --state-dir.")
        }
        guard info.user == geteuid(), info.mode & 0o022 == 0 else {
            throw Failure(
                """
                \(path) can be written by other users
                The state directory holds secrets: give one of your own with --state-dir, mode 0700.
                """)
        }
    }

    /// Where a gateway's state goes when nobody says: a directory that the same file and addresses
    /// find again, or a temporary one where there is no home.
    static func standard(for plan: GatewayPlan) throws(Failure) -> (path: String, isTemporary: Bool) {
        var name = plan.origin
        for listener in plan.listeners {
            name += "\n\(listener.place) \(listener.tls)"
            if listener.kind == .stream { name += " \(listener.scheme)" }
        }
        let hash = name.withBytes { $0.hash64() }
        let digits = String(hash, radix: 16)
        let leaf = "seaway/" + String(repeating: "0", count: 16 - digits.count) + digits
        var bases: [String] = []
        if let base = Environment.value("XDG_STATE_HOME"), base.hasPrefix("/") { bases.append(base) }
        if let home = Environment.value("HOME"), home.hasPrefix("/"), home != "/" {
            bases.append(home + "/.local/state")
        }
        for base in bases {
            let path = base + "/" + leaf
            do {
                try prepare(path)
                return (path, false)
            } catch {
                continue
            }
        }
        var template = Array("/tmp/seaway-XXXXXX".utf8CString)
        guard unsafe mkdtemp(&template) != nil else {
            throw Failure("cannot make a temporary directory: \(errorText(sys_errno()))\nGive one with --state-dir.")
        }
        return (String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self), true)
    }
}
