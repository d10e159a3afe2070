// A listening socket on a loop.

import CLinux

/// Hands each new connection to its owner. Level-triggered, a bounded number per turn.
public final class Acceptor: EventHandler {
    private let loop: EventLoop
    private let accepted: (Int32, SocketAddress) -> Void
    private static let batch = 64
    /// How many to accept at the next event. While connections come one by one, asking for a second
    /// would be a system call in vain; a burst doubles it.
    private var quota = 1
    /// As many as a listening socket's queue holds.
    private static let queueMax = 4096

    /// - Parameter accepted: gets the descriptor, which it owns from then on.
    public init?(loop: EventLoop, listener: Int32, accepted: @escaping (Int32, SocketAddress) -> Void) {
        self.loop = loop
        self.accepted = accepted
        super.init()
        // Accepted sockets inherit it.
        Socket.noDelay(listener)
        guard loop.add(self, descriptor: listener, events: .readable, edgeTriggered: false) else { return nil }
    }

    public override func ready(_ events: Readiness) {
        var taken = 0
        while taken < quota {
            guard let (fd, peer) = Socket.accept(descriptor) else {
                // Out of descriptors: rest a moment rather than spin on a socket that stays ready.
                if sys_errno() == EMFILE || sys_errno() == ENFILE { pause() }
                quota = max(1, taken)
                return
            }
            taken += 1
            accepted(fd, peer)
        }
        quota = min(quota * 2, Self.batch)
    }

    /// Accepts everything that waits in the queue, before the socket is given up.
    public func takeAll() {
        var left = Self.queueMax
        while left > 0, let (fd, peer) = Socket.accept(descriptor) {
            left -= 1
            accepted(fd, peer)
        }
    }

    private func pause() {
        loop.modify(self, events: [])
        loop.setDeadline(self, loop.now + 100)
    }

    public override func timedOut() { loop.modify(self, events: .readable) }

    /// Stops accepting and gives the descriptor back to the kernel; whoever shares the socket goes on.
    public func close() {
        loop.cancelDeadline(self)
        // The socket lives on in other descriptors, and so would its registration.
        if let descriptor = loop.detach(self) { Socket.close(descriptor) }
    }
}
