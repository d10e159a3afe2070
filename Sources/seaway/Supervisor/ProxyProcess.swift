// One seaway-proxy process, started here or taken over.

import Bytes
import CLinux
import Snapshot

final class ProxyProcess {
    enum Role {
        /// On its way to be the one that serves.
        case incoming
        /// Serves.
        case current
        /// Finishes its requests.
        case draining
    }

    let pid: Int
    /// Started by this supervisor; else taken over from one that is gone.
    let isChild: Bool
    /// Readable when a process that is not our child has ended; -1 where the kernel cannot tell.
    let ended: Int32
    var role = Role.incoming
    /// Nil until it has introduced itself, and while its connection is lost.
    var link: ControlLink?
    /// The last revision that it said is in effect; 0: none.
    var applied: UInt64 = 0
    /// A revision that was sent and not answered yet.
    var inFlight: UInt64?
    /// Monotonic nanoseconds.
    let startedAt: Int64
    /// When patience ends: for a start, a lost connection, or a drain. Monotonic nanoseconds.
    var deadline: Int64?

    init(pid: Int, isChild: Bool, now: Int64) {
        self.pid = pid
        self.isChild = isChild
        ended = isChild ? -1 : sys_pidfd_open(Int32(clamping: pid))
        startedAt = now
    }

    deinit {
        if ended >= 0 { _ = sys_close(ended) }
    }

    func signal(_ number: Int32) { _ = kill(pid_t(clamping: pid), number) }

    /// Starts the executable of the plan; what went wrong when it cannot be.
    static func start(_ plan: GatewayPlan, in directory: StateDirectory, now: Int64) throws(Failure) -> ProxyProcess {
        let lock = directory.makeProxyLock()
        guard lock >= 0 else {
            throw Failure("cannot lock \(directory.path)/proxies.lock: \(errorText(sys_errno()))")
        }
        defer { _ = sys_close(lock) }
        var arguments = [
            plan.proxy, "--control", directory.controlPath, "--workers", "\(plan.workers)", "--state-dir",
            directory.path,
        ]
        if !plan.settings.resolvers.isEmpty {
            arguments += ["--resolver", plan.settings.resolvers.joined(separator: ",")]
        }
        let pid = spawn(arguments, inheriting: lock)
        guard pid > 0 else {
            throw Failure(
                """
                cannot start \(plan.proxy): \(errorText(-pid))
                seaway-proxy is expected beside the seaway executable.
                """)
        }
        return ProxyProcess(pid: Int(pid), isChild: true, now: now)
    }

    private static func spawn(_ arguments: [String], inheriting descriptor: Int32) -> Int32 {
        var pointers: [UnsafeMutablePointer<CChar>?] = unsafe arguments.map { unsafe strdup($0) }
        unsafe pointers.append(nil)
        defer { while let pointer = unsafe pointers.popLast() { unsafe free(pointer) } }
        return unsafe sys_spawn(arguments[0], &pointers, descriptor)
    }
}
