// The access log: workers queue lines in lanes, one thread writes them to a file.

internal import Bytes
internal import CLinux
internal import Glibc
internal import Synchronization

/// What kept an access log from opening.
public struct AccessLogError: Error, CustomStringConvertible {
    public let path: String
    /// `errno` of the call that failed.
    public let code: Int32

    public var description: String {
        "cannot open the access log \(path): \(errorText(code)); check the directory and its permissions"
    }
}

func errorText(_ code: Int32) -> String {
    guard let text = unsafe strerror(code) else { return "error \(code)" }
    return unsafe String(cString: text)
}

/// One per process. Each worker owns a `Lane`; one thread of this object writes what the lanes hold.
///
/// The thread sleeps while nothing is logged. Under load it wakes every `napMilliseconds` or when a
/// lane is half full, and writes up to 64 KiB of whole lines at once, so that a request costs the
/// worker no system call. A full disk or a closed pipe loses lines, each counted, and nothing else.
///
/// Call `close()` before dropping the last reference: the thread keeps the object alive.
public final class AccessLog: @unchecked Sendable {
    public enum Format: Sendable {
        /// One JSON object a line, in the shape of Kong's log plugins.
        case json
        /// nginx's `combined`, with the request id at the end as Kong writes it.
        case combined
    }

    /// What became of the records since the start.
    public struct Counts: Sendable, Equatable {
        /// Lines handed to the file.
        public var written = 0
        /// Dropped because the worker's lane was full.
        public var full = 0
        /// Dropped because not even the short form fitted.
        public var tooLong = 0
        /// Lost in failed writes (disk full, closed pipe).
        public var failed = 0
        /// Times the file was opened again, and times that failed.
        public var reopened = 0
        public var reopenFailed = 0

        public init() {}

        public var dropped: Int { full + tooLong + failed }
    }

    private static let batchBytes = 64 * 1024
    /// POSIX: a pipe that polls writable takes this much without blocking.
    private static let pipeBytes = 4096

    public let lanes: [Lane]
    private let path: String
    private let napMilliseconds: Int32
    private let alarm: Alarm
    private let reopenAsked = Atomic<Bool>(false)
    private let failed = Atomic<Int>(0)
    private let reopened = Atomic<Int>(0)
    private let reopenFailed = Atomic<Int>(0)
    private let lastError = Atomic<Int32>(0)
    private let thread = Mutex<pthread_t?>(nil)
    /// Monotonic nanoseconds after which a blocked output is given up; 0: not closing.
    private let deadline = Atomic<Int64>(0)

    // The thread's own state.
    private var file: Int32
    private var isRegular: Bool
    private var torn = false

    /// - Parameters:
    ///   - path: file to append to, created with mode 0640; `-` is standard output.
    ///   - lanes: one per worker.
    ///   - laneBytes: room for lines that wait, per lane; rounded up to a power of two.
    ///   - napMilliseconds: longest time a line waits under load.
    public init(
        path: String, format: Format, lanes: Int, laneBytes: Int = 1 << 20, napMilliseconds: Int = 50
    ) throws(AccessLogError) {
        let opened = Self.open(path)
        guard opened >= 0 else { throw AccessLogError(path: path, code: -opened) }
        let alarm = Alarm()
        self.path = path
        self.alarm = alarm
        self.napMilliseconds = Int32(clamping: max(1, napMilliseconds))
        self.lanes = (0..<max(1, lanes)).map { _ in Lane(capacity: laneBytes, format: format, alarm: alarm) }
        file = opened
        isRegular = sys_is_regular_file(opened) == 1
        try start()
    }

    deinit { _ = sys_close(file) }

    /// Asks for the file to be opened again by its path (after a rotation). Lines queued before go
    /// to the old file. Returns at once. Safe to call from any thread.
    public func reopen() {
        reopenAsked.store(true, ordering: .sequentiallyConsistent)
        alarm.ring()
    }

    /// Writes what is queued and ends the thread. Lines that a blocked output does not take within
    /// `timeoutMilliseconds` are lost and counted. Workers must have stopped logging.
    public func close(timeoutMilliseconds: Int = 2000) {
        let handle = thread.withLock { value -> pthread_t? in
            defer { value = nil }
            return value
        }
        guard let handle else { return }
        let wait = Int64(clamping: max(0, timeoutMilliseconds))
        deadline.store(sys_monotonic_nanoseconds() + wait * 1_000_000, ordering: .sequentiallyConsistent)
        alarm.ring()
        pthread_join(handle, nil)
    }

    /// Counts so far; exact once `close()` has returned.
    public var counts: Counts {
        var counts = Counts()
        var accepted = 0
        for lane in lanes {
            let lane = lane.counts
            accepted += lane.accepted
            counts.full += lane.full
            counts.tooLong += lane.tooLong
        }
        counts.failed = failed.load(ordering: .relaxed)
        counts.written = accepted - counts.failed
        counts.reopened = reopened.load(ordering: .acquiring)
        counts.reopenFailed = reopenFailed.load(ordering: .acquiring)
        return counts
    }

    /// Nothing waits to be written.
    public var isDrained: Bool { lanes.allSatisfy(\.isEmpty) }

    /// Text of the last error of a write or a reopening, or nil.
    public var lastErrorText: String? {
        let code = lastError.load(ordering: .relaxed)
        return code == 0 ? nil : errorText(code)
    }

    // MARK: The thread

    private func start() throws(AccessLogError) {
        let code = thread.withLock { value -> Int32 in
            var handle = pthread_t()
            let argument = unsafe Unmanaged.passRetained(self)
            let code = unsafe sys_thread_start(
                &handle,
                { argument in
                    if let argument = unsafe argument {
                        unsafe Unmanaged<AccessLog>.fromOpaque(argument).takeRetainedValue().run()
                    }
                    return nil
                }, argument.toOpaque(), "access-log")
            if code == 0 { value = handle } else { unsafe argument.release() }
            return code
        }
        guard code == 0 else { throw AccessLogError(path: path, code: code) }
    }

    /// Negative errno on failure.
    private static func open(_ path: String) -> Int32 {
        // Non-blocking, so that a named pipe without a reader is an error rather than a wait.
        let file =
            path == "-"
            ? sys_duplicate(1)
            : unsafe sys_open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NONBLOCK, 0o640)
        return file >= 0 ? file : -sys_errno()
    }

    private func run() {
        while true {
            let closing = deadline.load(ordering: .acquiring) != 0
            let reopening = reopenAsked.exchange(false, ordering: .acquiringAndReleasing)
            var moved = false
            for lane in lanes where drain(lane) { moved = true }
            if reopening { openAgain() }
            if closing { return }
            if moved {
                alarm.sleep(.napping, milliseconds: napMilliseconds) { isAsked || lanes.contains { $0.isHalfFull } }
            } else {
                alarm.sleep(.idle, milliseconds: -1) { isAsked || lanes.contains { !$0.isEmpty } }
            }
        }
    }

    private var isAsked: Bool {
        reopenAsked.load(ordering: .sequentiallyConsistent)
            || deadline.load(ordering: .sequentiallyConsistent) != 0
    }

    private func openAgain() {
        guard path != "-" else { return }
        let opened = Self.open(path)
        guard opened >= 0 else {
            lastError.store(-opened, ordering: .relaxed)
            reopenFailed.add(1, ordering: .releasing)
            return
        }
        _ = sys_close(file)
        file = opened
        isRegular = sys_is_regular_file(opened) == 1
        torn = false
        reopened.add(1, ordering: .releasing)
    }

    /// Writes what the lane holds at this moment; true if there was something.
    private func drain(_ lane: Lane) -> Bool {
        let queued = lane.queued
        var at = queued.lowerBound
        while at < queued.upperBound {
            // Whole lines only: during a binary upgrade two processes append to one file.
            var end = queued.upperBound
            if end - at > Self.batchBytes {
                var cut = at + Self.batchBytes
                while cut > at, lane.byte(cut - 1) != 0x0A { cut -= 1 }
                if cut > at { end = cut }
            }
            write(lane, at..<end)
            lane.take(upTo: end)
            at = end
        }
        return !queued.isEmpty
    }

    private func write(_ lane: Lane, _ range: Range<Int>) {
        if torn {
            // A failed write left half a line; end it so that the next line stands alone.
            guard waitUntilWritable(), sys_write(file, Bytes("\n").address, 1) == 1 else {
                return lose(lane, range, code: sys_errno())
            }
            torn = false
        }
        var at = range.lowerBound
        while at < range.upperBound {
            guard waitUntilWritable() else { return lose(lane, at..<range.upperBound, code: ETIMEDOUT) }
            let end = isRegular ? range.upperBound : min(range.upperBound, at + Self.pipeBytes)
            let (first, second) = lane.parts(at..<end)
            let n = sys_write2(file, first.address, first.count, second.address, second.count)
            if n > 0 {
                at += min(n, end - at)
                continue
            }
            let code = n == 0 ? EIO : sys_errno()
            if code == EINTR || code == EAGAIN { continue }
            torn = at > range.lowerBound && lane.byte(at - 1) != 0x0A
            return lose(lane, at..<range.upperBound, code: code)
        }
    }

    /// Counts the lines that end in `range` as lost.
    private func lose(_ lane: Lane, _ range: Range<Int>, code: Int32) {
        lastError.store(code, ordering: .relaxed)
        var lines = 0
        for position in range where lane.byte(position) == 0x0A { lines += 1 }
        failed.add(lines, ordering: .relaxed)
    }

    /// Files are always writable. Pipes and terminals are waited for, in steps, so that `close` can end it.
    private func waitUntilWritable() -> Bool {
        if isRegular { return true }
        while true {
            let ready = sys_poll_one(file, Int16(POLLOUT), 20)
            if ready > 0 { return true }
            if ready < 0, sys_errno() != EINTR { return true }  // The write will say what is wrong.
            let limit = deadline.load(ordering: .acquiring)
            if limit != 0, sys_monotonic_nanoseconds() >= limit { return false }
        }
    }
}

/// How workers wake the log's thread: a state they read, and an eventfd they rarely write.
final class Alarm: Sendable {
    enum State: Int { case awake = 0, idle, napping }

    private let state = Atomic<Int>(State.awake.rawValue)
    private let event = sys_eventfd()

    deinit { _ = sys_close(event) }

    /// After a lane published. `half`: it may be more than half full.
    @inline(__always)
    func published(half: Bool) {
        let seen = state.load(ordering: .sequentiallyConsistent)
        if seen == State.awake.rawValue || (seen == State.napping.rawValue && !half) { return }
        wake(seen)
    }

    @inline(never)
    private func wake(_ seen: Int) {
        let (won, _) = state.compareExchange(
            expected: seen, desired: State.awake.rawValue, ordering: .sequentiallyConsistent)
        if won { _ = sys_eventfd_signal(event) }
    }

    /// Wakes the thread whatever it does.
    func ring() { _ = sys_eventfd_signal(event) }

    /// The thread sleeps until rung, or until the time is up (-1: never). `isDue` is asked after
    /// the sleep was announced, so that nothing published before is missed.
    func sleep(_ kind: State, milliseconds: Int32, unless isDue: () -> Bool) {
        state.store(kind.rawValue, ordering: .sequentiallyConsistent)
        if !isDue() { _ = sys_poll_one(event, Int16(POLLIN), milliseconds) }
        state.store(State.awake.rawValue, ordering: .sequentiallyConsistent)
        _ = sys_eventfd_drain(event)
    }
}
