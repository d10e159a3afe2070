// Listening sockets: made once, shared by every proxy that serves after another.

import Bytes
import CLinux
import Snapshot

/// The supervisor's copies. While they are open, connections to a proxy that died wait in the
/// kernel's queue for its successor instead of being refused.
struct ListeningSockets {
    private(set) var sockets: [ListenSocket] = []
    private(set) var descriptors: [Int32] = []

    init() {}

    /// Those of a proxy that was left behind.
    init(adopting sockets: [ListenSocket], _ descriptors: [Int32]) {
        self.sockets = sockets
        self.descriptors = descriptors
    }

    /// Makes what the plan asks for: one socket for each worker and address, so that the kernel
    /// spreads connections over workers without a lock between them.
    ///
    /// Sockets of an older proxy that still fit are kept, also those of more workers than are asked for
    /// (a proxy shares them out): closing one would reset the connections in its queue.
    init(binding plan: GatewayPlan, keeping held: ListeningSockets = ListeningSockets()) throws(Failure) {
        var spare = Array(zip(held.sockets, held.descriptors))
        do {
            for listener in plan.listeners {
                try add(.gateway, listener, count: plan.workers, from: &spare, flag: listener.flag)
            }
            if let status = plan.status {
                try add(.status, PlannedListener(place: status), count: 1, from: &spare, flag: "--status")
            }
            for (_, descriptor) in spare { _ = sys_close(descriptor) }
        } catch {
            for (_, descriptor) in spare { _ = sys_close(descriptor) }
            close()
            throw error
        }
    }

    /// Adds the sockets of one address: those of `spare` first, new ones for what is missing.
    private mutating func add(
        _ role: ListenSocket.Role, _ asked: PlannedListener, count: Int, from spare: inout [(ListenSocket, Int32)],
        flag: String
    ) throws(Failure) {
        var place = asked.place
        let fits = { (socket: ListenSocket) in
            Self.serves(socket, role, asked) && (place.port == 0 || socket.port == place.port)
        }
        if place.port == 0, let first = spare.first(where: { fits($0.0) }) { place.port = first.0.port }
        var missing = Set(0..<count)
        var isShared = false
        for (socket, descriptor) in spare where fits(socket) {
            sockets.append(socket)
            descriptors.append(descriptor)
            missing.remove(socket.worker)
            isShared = true
        }
        spare.removeAll { fits($0.0) }
        for worker in missing.sorted() {
            let descriptor = try Self.bind(place, udp: asked.udp, exclusive: !isShared, flag: flag)
            isShared = true
            place.port = Int(sys_local_port(descriptor))
            descriptors.append(descriptor)
            sockets.append(
                ListenSocket(
                    role: role, address: place.address, port: place.port, tls: asked.tls, worker: worker,
                    kind: asked.kind, udp: asked.udp))
        }
    }

    mutating func close() {
        for descriptor in descriptors { _ = sys_close(descriptor) }
        descriptors = []
        sockets = []
    }

    /// Whether these are all that the plan asks for, at its addresses and no others; port 0 in the plan
    /// stands for any port.
    func satisfy(_ plan: GatewayPlan) -> Bool {
        var rest = sockets
        func take(_ role: ListenSocket.Role, _ asked: PlannedListener, _ count: Int) -> Bool {
            let fits = { (socket: ListenSocket) in Self.serves(socket, role, asked) }
            let port = asked.place.port == 0 ? rest.first(where: fits)?.port ?? 0 : asked.place.port
            let workers = Set(rest.filter { fits($0) && $0.port == port }.map(\.worker))
            rest.removeAll { fits($0) && $0.port == port }
            return workers.isSuperset(of: 0..<count)
        }
        for listener in plan.listeners where !take(.gateway, listener, plan.workers) { return false }
        if let status = plan.status, !take(.status, PlannedListener(place: status), 1) { return false }
        return rest.isEmpty && descriptors.count == sockets.count
    }

    /// Whether a socket is one for the listener, but for its port.
    static func serves(_ socket: ListenSocket, _ role: ListenSocket.Role, _ asked: PlannedListener) -> Bool {
        socket.role == role && socket.address == asked.place.address && socket.tls == asked.tls
            && socket.kind == asked.kind && socket.udp == asked.udp
    }

    /// The addresses that are really listened on, in the plan's order.
    var listeners: [ListenSocket] { sockets.filter { $0.role == .gateway && $0.worker == 0 } }

    var status: ListenSocket? { sockets.first { $0.role == .status } }

    private static func bind(
        _ place: ListenAddress, udp: Bool, exclusive: Bool, flag: String
    ) throws(Failure) -> Int32 {
        var address = sockaddr_storage()
        guard let ip = IPAddress(place.address) else { throw Failure("\(place) is no address") }
        let port = UInt16(clamping: place.port)
        let length =
            unsafe ip.isIPv6
            ? sys_make_address6(&address, ip.high, ip.low, port)
            : sys_make_address4(&address, UInt32(truncatingIfNeeded: ip.low), port)
        func open(reusePort: Bool, listening: Bool) throws(Failure) -> Int32 {
            let type = udp ? SOCK_DGRAM : SOCK_STREAM
            let socket = sys_socket(ip.isIPv6 ? AF_INET6 : AF_INET, Int32(type.rawValue))
            guard socket >= 0 else { throw Failure("cannot make a socket: \(errorText(sys_errno()))") }
            if !udp { _ = sys_set_option(socket, SOL_SOCKET, SO_REUSEADDR, 1) }
            if reusePort { _ = sys_set_option(socket, SOL_SOCKET, SO_REUSEPORT, 1) }
            if ip.isIPv6 { _ = sys_set_option(socket, Int32(IPPROTO_IPV6), IPV6_V6ONLY, 1) }
            if !udp { _ = sys_set_option(socket, Int32(IPPROTO_TCP), TCP_NODELAY, 1) }
            let failed = unsafe sys_bind(socket, &address, length) != 0 || listening && sys_listen(socket, 4096) != 0
            guard failed else { return socket }
            let error = sys_errno()
            _ = sys_close(socket)
            throw Failure(
                """
                cannot listen on \(place)\(udp ? " (UDP)" : ""): \(errorText(error))
                \(remedy(error, place, udp: udp, flag))
                """)
        }
        // A shared port would be bound without complaint although somebody else serves it: ask first.
        if exclusive, place.port != 0 { _ = sys_close(try open(reusePort: false, listening: false)) }
        return try open(reusePort: true, listening: !udp)
    }

    private static func remedy(_ error: Int32, _ place: ListenAddress, udp: Bool, _ flag: String) -> String {
        switch error {
        case EADDRINUSE:
            "Another program listens there (see: ss -l\(udp ? "u" : "t")np 'sport = :\(place.port)'). Stop it, or choose another port with \(flag)."
        case EACCES:
            "Ports below 1024 need root or CAP_NET_BIND_SERVICE. Choose a higher port with \(flag)."
        case EADDRNOTAVAIL:
            "This machine does not have that address. Give one it has, or * for all, with \(flag)."
        default:
            "Choose another address with \(flag)."
        }
    }
}
