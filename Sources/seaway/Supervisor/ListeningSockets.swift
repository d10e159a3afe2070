// Listening sockets: made once, shared by every proxy that serves after another.

import Bytes
import CSystem
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

    /// Binds what the plan asks for: one socket for each worker and address, so that the kernel
    /// spreads connections over workers without a lock between them.
    ///
    /// - Parameter held: addresses that our own older proxy serves, which are shared with it.
    init(binding plan: GatewayPlan, sharedWith held: [ListenSocket] = []) throws(Failure) {
        do {
            for listener in plan.listeners {
                var place = listener.place
                let shared = held.contains { $0.address == place.address && $0.port == place.port }
                for worker in 0..<plan.workers {
                    let descriptor = try Self.bind(place, exclusive: worker == 0 && !shared, flag: listener.tls ? "--https" : "--http")
                    place.port = Int(sys_local_port(descriptor))
                    descriptors.append(descriptor)
                    sockets.append(
                        ListenSocket(
                            role: .gateway, address: place.address, port: place.port, tls: listener.tls, worker: worker))
                }
            }
            if let status = plan.status {
                let shared = held.contains { $0.address == status.address && $0.port == status.port }
                let descriptor = try Self.bind(status, exclusive: !shared, flag: "--status")
                descriptors.append(descriptor)
                sockets.append(
                    ListenSocket(role: .status, address: status.address, port: Int(sys_local_port(descriptor))))
            }
        } catch {
            close()
            throw error
        }
    }

    mutating func close() {
        for descriptor in descriptors { _ = sys_close(descriptor) }
        descriptors = []
        sockets = []
    }

    /// Whether these are what the plan asks for; port 0 in the plan stands for any port.
    func satisfy(_ plan: GatewayPlan) -> Bool {
        var rest = sockets[...]
        func take(_ role: ListenSocket.Role, _ place: ListenAddress, _ tls: Bool, _ worker: Int) -> Bool {
            guard let next = rest.popFirst() else { return false }
            return next.role == role && next.address == place.address && next.tls == tls && next.worker == worker
                && (place.port == 0 || next.port == place.port)
        }
        for listener in plan.listeners {
            for worker in 0..<plan.workers where !take(.gateway, listener.place, listener.tls, worker) { return false }
        }
        if let status = plan.status, !take(.status, status, false, 0) { return false }
        return rest.isEmpty && descriptors.count == sockets.count
    }

    /// The addresses that are really listened on, in the plan's order.
    var listeners: [ListenSocket] { sockets.filter { $0.role == .gateway && $0.worker == 0 } }

    var status: ListenSocket? { sockets.first { $0.role == .status } }

    private static func bind(_ place: ListenAddress, exclusive: Bool, flag: String) throws(Failure) -> Int32 {
        var address = sockaddr_storage()
        guard let ip = IPAddress(place.address) else { throw Failure("\(place) is no address") }
        let port = UInt16(clamping: place.port)
        let length = unsafe ip.isIPv6
            ? sys_make_address6(&address, ip.high, ip.low, port) : sys_make_address4(&address, UInt32(truncatingIfNeeded: ip.low), port)
        func open(reusePort: Bool, listening: Bool) throws(Failure) -> Int32 {
            let socket = sys_socket(ip.isIPv6 ? AF_INET6 : AF_INET, Int32(SOCK_STREAM.rawValue))
            guard socket >= 0 else { throw Failure("cannot make a socket: \(errorText(sys_errno()))") }
            _ = sys_set_option(socket, SOL_SOCKET, SO_REUSEADDR, 1)
            if reusePort { _ = sys_set_option(socket, SOL_SOCKET, SO_REUSEPORT, 1) }
            if ip.isIPv6 { _ = sys_set_option(socket, Int32(IPPROTO_IPV6), IPV6_V6ONLY, 1) }
            _ = sys_set_option(socket, Int32(IPPROTO_TCP), TCP_NODELAY, 1)
            let failed = unsafe sys_bind(socket, &address, length) != 0 || listening && sys_listen(socket, 4096) != 0
            guard failed else { return socket }
            let error = sys_errno()
            _ = sys_close(socket)
            throw Failure("cannot listen on \(place): \(errorText(error))\n\(remedy(error, place, flag))")
        }
        // A shared port would be bound without complaint although somebody else serves it: ask first.
        if exclusive, place.port != 0 { _ = sys_close(try open(reusePort: false, listening: false)) }
        return try open(reusePort: true, listening: true)
    }

    private static func remedy(_ error: Int32, _ place: ListenAddress, _ flag: String) -> String {
        switch error {
        case EADDRINUSE:
            "Another program listens there (see: ss -ltnp 'sport = :\(place.port)'). Stop it, or choose another port with \(flag)."
        case EACCES:
            "Ports below 1024 need root or CAP_NET_BIND_SERVICE. Choose a higher port with \(flag)."
        case EADDRNOTAVAIL:
            "This machine does not have that address. Give one it has, or * for all, with \(flag)."
        default:
            "Choose another address with \(flag)."
        }
    }
}
