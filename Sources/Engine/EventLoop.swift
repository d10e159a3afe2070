// One thread's reactor: descriptors, deadlines and messages from other threads.

import CLinux

/// What a descriptor is ready for.
public struct Readiness: OptionSet, Sendable {
    public let rawValue: UInt32
    @inlinable public init(rawValue: UInt32) { self.rawValue = rawValue }

    public static let readable = Readiness(rawValue: 0x001)
    public static let writable = Readiness(rawValue: 0x004)
    public static let failed = Readiness(rawValue: 0x008)
    /// Both directions are shut down.
    public static let hungUp = Readiness(rawValue: 0x010)
    /// The peer has finished sending.
    public static let readClosed = Readiness(rawValue: 0x2000)
    static let edgeTriggered = Readiness(rawValue: 1 << 31)
}

/// Something that an event loop calls: for its descriptor, its deadline, or both.
///
/// It belongs to one loop and is only touched on that loop's thread.
open class EventHandler {
    public final fileprivate(set) var descriptor: Int32 = -1
    /// Monotonic milliseconds at which `timedOut` is called; `.max`: never. Set it through `EventLoop.setDeadline`.
    public final fileprivate(set) var deadline: Int64 = .max
    final var timerSlot: Int32 = -1
    final fileprivate var queuedAgain = false
    final fileprivate var queuedForEnd = false

    public init() {}

    deinit { precondition(timerSlot < 0, "a handler went away with its deadline armed") }

    /// The descriptor is ready. With edge triggering, what is not read or written now is not
    /// announced again.
    open func ready(_ events: Readiness) {}

    /// The deadline has passed; it has been cleared.
    open func timedOut() {}

    /// The loop calls this once more after `EventLoop.callAgain`, so that one busy connection does
    /// not hold up the others.
    open func again() {}

    /// The turn is over; asked for with `EventLoop.callAtEnd`.
    open func turnEnded() {}
}

/// A reactor over epoll. Descriptors are registered once, edge-triggered; no call per request.
public final class EventLoop {
    private let epoll: Int32
    private var handlers: [EventHandler?] = []
    private var generations: [UInt32] = []
    private var events: [sys_event]
    private var wheel: TimerWheel
    private var due: [EventHandler] = []
    private var closing: [Int32] = []
    private var againQueue: [EventHandler] = []
    private var endQueue: [EventHandler] = []
    private var stopped = false

    /// Monotonic time of this turn in milliseconds; read once per turn.
    public private(set) var now: Int64
    /// The same instant in nanoseconds.
    public private(set) var nowNanoseconds: Int64
    /// Wall clock of this turn, nanoseconds since 1970.
    public private(set) var wallNanoseconds: Int64

    public init() {
        epoll = sys_epoll_create()
        precondition(epoll >= 0, "the kernel refused an epoll descriptor")
        events = [sys_event](repeating: sys_event(), count: 256)
        let nanoseconds = sys_monotonic_nanoseconds()
        nowNanoseconds = nanoseconds
        now = nanoseconds / 1_000_000
        wallNanoseconds = sys_realtime_nanoseconds()
        wheel = TimerWheel(now: nanoseconds / 1_000_000)
    }

    deinit { sys_close(epoll) }

    // MARK: Registering

    /// Watches `descriptor` for `handler`, which must have none yet. False if the kernel refuses.
    public func add(
        _ handler: EventHandler, descriptor: Int32, events: Readiness = [.readable, .writable, .readClosed],
        edgeTriggered: Bool = true
    ) -> Bool {
        let index = Int(descriptor)
        while handlers.count <= index {
            handlers.append(nil)
            generations.append(0)
        }
        generations[index] &+= 1
        let data = UInt64(generations[index]) << 32 | UInt64(UInt32(bitPattern: descriptor))
        let mask = edgeTriggered ? events.union(.edgeTriggered) : events
        guard sys_epoll_add(epoll, descriptor, mask.rawValue, data) == 0 else { return false }
        handlers[index] = handler
        handler.descriptor = descriptor
        return true
    }

    /// Changes what a descriptor is watched for, or stops watching it for a while. Edge-triggered ones say so again.
    public func modify(_ handler: EventHandler, events: Readiness) {
        let descriptor = handler.descriptor
        guard descriptor >= 0 else { return }
        let data = UInt64(generations[Int(descriptor)]) << 32 | UInt64(UInt32(bitPattern: descriptor))
        _ = sys_epoll_modify(epoll, descriptor, events.rawValue, data)
    }

    /// Ends the handler's descriptor and deadline. The descriptor is closed at the end of the turn,
    /// so that its number is not reused while events of this turn are still to be handled.
    ///
    /// For descriptors that nobody shares: closing the last one ends the kernel's registration too.
    public func close(_ handler: EventHandler) {
        cancelDeadline(handler)
        let descriptor = handler.descriptor
        guard descriptor >= 0 else { return }
        handlers[Int(descriptor)] = nil
        handler.descriptor = -1
        closing.append(descriptor)
    }

    /// Stops watching; the caller owns the descriptor from now on.
    public func detach(_ handler: EventHandler) -> Int32? {
        let descriptor = handler.descriptor
        guard descriptor >= 0 else { return nil }
        _ = sys_epoll_remove(epoll, descriptor)
        handlers[Int(descriptor)] = nil
        handler.descriptor = -1
        return descriptor
    }

    /// Lets `successor` have the descriptor of `handler` from now on. The kernel is not asked.
    public func hand(_ handler: EventHandler, to successor: EventHandler) {
        cancelDeadline(handler)
        let descriptor = handler.descriptor
        guard descriptor >= 0 else { return }
        handlers[Int(descriptor)] = successor
        successor.descriptor = descriptor
        handler.descriptor = -1
    }

    // MARK: Deadlines

    @inline(__always)
    public func setDeadline(_ handler: EventHandler, _ deadline: Int64) {
        handler.deadline = deadline
        if deadline != .max { wheel.arm(handler) }
    }

    public func cancelDeadline(_ handler: EventHandler) {
        handler.deadline = .max
        wheel.cancel(handler)
    }

    /// Calls `handler.again()` at the end of this turn, before waiting.
    public func callAgain(_ handler: EventHandler) {
        guard !handler.queuedAgain else { return }
        handler.queuedAgain = true
        againQueue.append(handler)
    }

    /// Calls `handler.turnEnded()` when everything else of this turn is done, so that what many
    /// events had to send goes out in one write.
    public func callAtEnd(_ handler: EventHandler) {
        guard !handler.queuedForEnd else { return }
        handler.queuedForEnd = true
        endQueue.append(handler)
    }

    // MARK: Running

    /// Runs until `stop()`.
    public func run() {
        while !stopped { turn() }
    }

    public func stop() { stopped = true }

    /// One turn: wait for events, at most `limit` milliseconds, and handle what happened.
    public func turn(limit: Int64 = 1000) {
        let wait = againQueue.isEmpty ? wheel.wait(from: now, limit: limit) : 0
        let epoll = epoll
        let n = unsafe events.withUnsafeMutableBufferPointer { buffer in
            Int(sys_epoll_wait(epoll, UInt(bitPattern: buffer.baseAddress), Int32(buffer.count), Int32(wait)))
        }
        readClock()
        var i = 0
        while i < n {
            let event = events[i]
            i += 1
            let data = event.data
            let descriptor = Int(data & 0xFFFF_FFFF)
            guard generations[descriptor] == UInt32(data >> 32), let handler = handlers[descriptor] else { continue }
            handler.ready(Readiness(rawValue: event.events))
        }
        if n == events.count, n < 4096 {
            events = [sys_event](repeating: sys_event(), count: n * 2)
        }
        wheel.advance(to: now, due: &due)
        if !due.isEmpty { fireDue() }
        if !againQueue.isEmpty { runAgain() }
        if !endQueue.isEmpty { runEnd() }
        if !closing.isEmpty {
            for descriptor in closing { sys_close(descriptor) }
            closing.removeAll(keepingCapacity: true)
        }
    }

    private func readClock() {
        nowNanoseconds = sys_monotonic_nanoseconds()
        now = nowNanoseconds / 1_000_000
        wallNanoseconds = sys_realtime_nanoseconds()
    }

    private func fireDue() {
        let fired = due
        due.removeAll(keepingCapacity: true)
        for handler in fired where handler.deadline <= now {
            handler.deadline = .max
            handler.timedOut()
        }
    }

    private func runAgain() {
        let queue = againQueue
        againQueue.removeAll(keepingCapacity: true)
        for handler in queue {
            handler.queuedAgain = false
            handler.again()
        }
    }

    private func runEnd() {
        // One that is called may add another: all of this turn's are called in this turn.
        var i = 0
        while i < endQueue.count {
            let handler = endQueue[i]
            i += 1
            handler.queuedForEnd = false
            handler.turnEnded()
        }
        endQueue.removeAll(keepingCapacity: true)
    }
}
