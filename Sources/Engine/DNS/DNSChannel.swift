// c-ares on an event loop: sends one question at a time and reports how it ended.

import Bytes
import CCAres
import CLinux

/// One c-ares channel. Its sockets and timer live on `loop`; everything happens on that thread.
@safe
final class DNSChannel {
    private let loop: EventLoop
    private var raw: OpaquePointer?
    private var sockets: [Int32: DNSSocket] = [:]
    private var timer: DNSTimer?
    private var outstanding = 0

    /// Nil when the library cannot start (out of memory, or no usable server).
    init?(_ configuration: DNSConfiguration, loop: EventLoop) {
        self.loop = loop
        guard DNSChannel.isLibraryReady else { return nil }
        timer = DNSTimer(self)
        var options = unsafe ares_options()
        unsafe options.flags = Int32(ARES_FLAG_NOSEARCH | ARES_FLAG_NOALIASES | ARES_FLAG_STAYOPEN)
        unsafe options.timeout = Int32(configuration.timeoutMilliseconds)
        unsafe options.tries = Int32(configuration.tries)
        unsafe options.sock_state_cb = { context, descriptor, readable, writable in
            guard let context = unsafe context else { return }
            unsafe Unmanaged<DNSChannel>.fromOpaque(context).takeUnretainedValue()
                .watch(descriptor, readable: readable != 0, writable: writable != 0)
        }
        unsafe options.sock_state_cb_data = Unmanaged.passUnretained(self).toOpaque()
        let mask = ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_SOCK_STATE_CB | ARES_OPT_NOROTATE
        guard unsafe ares_init_options(&raw, &options, Int32(mask)) == ARES_SUCCESS else { return nil }
        let servers =
            configuration.servers.isEmpty
            ? [SocketAddress(IPAddress(v4: 0x7F00_0001), port: 53)] : configuration.servers
        let list = servers.prefix(DNSConfiguration.serversMax).map { server in
            server.address.isIPv6 ? "[\(server.address)]:\(server.port)" : "\(server.address):\(server.port)"
        }.joined(separator: ",")
        guard unsafe ares_set_servers_ports_csv(raw, list) == ARES_SUCCESS else { return nil }
    }

    deinit {
        // Ends every question with ARES_EDESTRUCTION, and closes the sockets through `watch`.
        if let raw = unsafe raw { unsafe ares_destroy(raw) }
        if let timer { loop.cancelDeadline(timer) }
    }

    /// Asks. `done` is called once, on a later turn or right away when nothing could be sent; not at
    /// all after the channel is gone.
    func ask(_ question: DNSQuestion, _ done: @escaping (DNSOutcome) -> Void) {
        let request = unsafe Unmanaged.passRetained(DNSRequest(self, done))
        outstanding += 1
        unsafe ares_query(
            raw, question.name, Int32(1), Int32(question.type.rawValue),
            { context, status, _, reply, count in
                guard let context = unsafe context else { return }
                let request = unsafe Unmanaged<DNSRequest>.fromOpaque(context).takeRetainedValue()
                request.finish(status, unsafe DNSChannel.outcome(status, reply, Int(count)))
            }, request.toOpaque())
        schedule()
    }

    // MARK: Events

    fileprivate func process(readable: Int32, writable: Int32) {
        unsafe ares_process_fd(raw, readable, writable)
        schedule()
    }

    fileprivate func ended() { outstanding -= 1 }

    private func schedule() {
        guard let timer else { return }
        guard outstanding > 0 else {
            loop.cancelDeadline(timer)
            return
        }
        var most = timeval(tv_sec: 30, tv_usec: 0)
        var left = timeval()
        guard let wait = unsafe ares_timeout(raw, &most, &left) else { return }
        let milliseconds = unsafe Int64(wait.pointee.tv_sec) * 1000 + Int64(wait.pointee.tv_usec) / 1000 + 1
        loop.setDeadline(timer, loop.now + milliseconds)
    }

    /// c-ares opens and closes its sockets itself; the loop only watches them.
    private func watch(_ descriptor: Int32, readable: Bool, writable: Bool) {
        var events: Readiness = []
        if readable { events.insert(.readable) }
        if writable { events.insert(.writable) }
        if events.isEmpty {
            if let socket = sockets.removeValue(forKey: descriptor) { _ = loop.detach(socket) }
        } else if let socket = sockets[descriptor] {
            loop.modify(socket, events: events)
        } else {
            let socket = DNSSocket(self)
            if loop.add(socket, descriptor: descriptor, events: events, edgeTriggered: false) {
                sockets[descriptor] = socket
            }
        }
    }

    // MARK: Outcomes

    private static func outcome(_ status: Int32, _ reply: UnsafeMutablePointer<UInt8>?, _ count: Int) -> DNSOutcome {
        if status == Int32(ARES_ETIMEOUT) || status == Int32(ARES_ECONNREFUSED) { return .timedOut }
        guard let reply = unsafe reply, count > 0 else { return .failed }
        guard let parsed = unsafe DNSReply(Bytes(unsafeBase: UnsafeRawPointer(reply), count: count)) else {
            return .failed
        }
        return .reply(parsed)
    }

    /// The library's own set-up, once per process.
    private static let isLibraryReady = ares_library_init(ARES_LIB_INIT_ALL) == ARES_SUCCESS
}

/// A question that c-ares holds.
private final class DNSRequest {
    private weak var channel: DNSChannel?
    private let done: (DNSOutcome) -> Void

    init(_ channel: DNSChannel, _ done: @escaping (DNSOutcome) -> Void) {
        self.channel = channel
        self.done = done
    }

    func finish(_ status: Int32, _ outcome: DNSOutcome) {
        guard status != ARES_EDESTRUCTION, let channel else { return }
        channel.ended()
        done(outcome)
    }
}

private final class DNSSocket: EventHandler {
    private unowned let channel: DNSChannel

    init(_ channel: DNSChannel) { self.channel = channel }

    override func ready(_ events: Readiness) {
        let isReadable = !events.isDisjoint(with: [.readable, .failed, .hungUp])
        let descriptor = descriptor
        channel.process(readable: isReadable ? descriptor : -1, writable: events.contains(.writable) ? descriptor : -1)
    }
}

private final class DNSTimer: EventHandler {
    private unowned let channel: DNSChannel

    init(_ channel: DNSChannel) { self.channel = channel }

    override func timedOut() { channel.process(readable: -1, writable: -1) }
}
