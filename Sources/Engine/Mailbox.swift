// Messages from other threads to a loop's thread.

import CLinux
import Synchronization

/// A queue that any thread may fill and one loop empties, woken by an eventfd.
///
/// `limit` bounds the queue; a message past it is refused.
public final class Mailbox<Message: Sendable>: Sendable {
    private let queue: Mutex<[Message]>
    private let wakeup: Int32
    private let limit: Int

    public init(limit: Int = 4096) {
        queue = Mutex([])
        wakeup = sys_eventfd()
        precondition(wakeup >= 0, "the kernel refused an eventfd")
        self.limit = limit
    }

    deinit { sys_close(wakeup) }

    /// False if the queue is full.
    @discardableResult
    public func send(_ message: Message) -> Bool {
        let (accepted, first) = queue.withLock { queue in
            guard queue.count < limit else { return (false, false) }
            queue.append(message)
            return (true, queue.count == 1)
        }
        if first { sys_eventfd_signal(wakeup) }
        return accepted
    }

    /// Delivers messages on `loop`'s thread from now on. Call it there, once.
    public func attach(to loop: EventLoop, _ deliver: @escaping (Message) -> Void) {
        let handler = Receiver(self, deliver)
        // The mailbox owns the eventfd; the loop gets a duplicate that it may close.
        guard loop.add(handler, descriptor: sys_duplicate(wakeup), events: .readable, edgeTriggered: false) else {
            preconditionFailure("the kernel refused to watch an eventfd")
        }
    }

    private final class Receiver: EventHandler {
        private let mailbox: Mailbox<Message>
        private let deliver: (Message) -> Void

        init(_ mailbox: Mailbox<Message>, _ deliver: @escaping (Message) -> Void) {
            self.mailbox = mailbox
            self.deliver = deliver
        }

        override func ready(_ events: Readiness) {
            _ = sys_eventfd_drain(descriptor)
            let messages = mailbox.queue.withLock { queue in
                let taken = queue
                queue.removeAll(keepingCapacity: true)
                return taken
            }
            for message in messages { deliver(message) }
        }
    }
}
