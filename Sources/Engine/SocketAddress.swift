// Socket addresses, and the calls that make sockets.

public import Bytes
import CLinux

/// An IP address and a port.
public struct SocketAddress: Hashable, Sendable {
    public var address: IPAddress
    public var port: UInt16

    public init(_ address: IPAddress, port: UInt16) {
        self.address = address
        self.port = port
    }

    init(_ storage: sockaddr_storage) {
        var storage = storage
        if Int32(storage.ss_family) == AF_INET6 {
            let (bytes, port) = unsafe withUnsafeBytes(of: &storage) { raw in
                unsafe (
                    (
                        raw.loadUnaligned(fromByteOffset: 8, as: UInt64.self).byteSwapped,
                        raw.loadUnaligned(fromByteOffset: 16, as: UInt64.self).byteSwapped
                    ), raw.loadUnaligned(fromByteOffset: 2, as: UInt16.self).byteSwapped
                )
            }
            self.init(IPAddress(v6High: bytes.0, low: bytes.1), port: port)
        } else {
            let (value, port) = unsafe withUnsafeBytes(of: &storage) { raw in
                unsafe (
                    raw.loadUnaligned(fromByteOffset: 4, as: UInt32.self).byteSwapped,
                    raw.loadUnaligned(fromByteOffset: 2, as: UInt16.self).byteSwapped
                )
            }
            self.init(IPAddress(v4: value), port: port)
        }
    }

    /// The kernel's form and its length.
    var storage: (sockaddr_storage, UInt32) {
        var storage = sockaddr_storage()
        storage.ss_family = sa_family_t(address.isIPv6 ? AF_INET6 : AF_INET)
        let address = address
        let port = port
        unsafe withUnsafeMutableBytes(of: &storage) { raw in
            unsafe raw.storeBytes(of: port.byteSwapped, toByteOffset: 2, as: UInt16.self)
            if address.isIPv6 {
                unsafe raw.storeBytes(of: address.high.byteSwapped, toByteOffset: 8, as: UInt64.self)
                unsafe raw.storeBytes(of: address.low.byteSwapped, toByteOffset: 16, as: UInt64.self)
            } else {
                unsafe raw.storeBytes(
                    of: UInt32(truncatingIfNeeded: address.low).byteSwapped, toByteOffset: 4, as: UInt32.self)
            }
        }
        return (storage, address.isIPv6 ? 28 : 16)
    }
}

/// An errno as a value, with the kernel's words for it.
public struct SystemError: Error, Equatable, CustomStringConvertible {
    public let code: Int32
    public let operation: String

    init(_ operation: String, _ code: Int32 = sys_errno()) {
        self.code = code
        self.operation = operation
    }

    /// What the last system call of this thread said.
    public static func last(_ operation: String) -> SystemError { SystemError(operation) }

    /// This machine has no descriptor, port or memory left; the other side has no part in it.
    public var isShortage: Bool {
        switch code {
        case EMFILE, ENFILE, ENOBUFS, ENOMEM, EADDRNOTAVAIL: true
        default: false
        }
    }

    public var description: String { "\(operation): \(Self.text(code))" }

    /// The kernel's words for an errno.
    public static func text(_ code: Int32) -> String { unsafe String(cString: strerror(code)) }
}

/// Sockets. Every descriptor is non-blocking and closed on exec.
public enum Socket {
    /// A listening TCP socket. With `shared`, several may be bound to one address and the kernel
    /// spreads new connections over them (SO_REUSEPORT).
    public static func listen(_ address: SocketAddress, shared: Bool = true, backlog: Int32 = 4096) throws(SystemError)
        -> Int32
    {
        let fd = sys_socket(address.address.isIPv6 ? AF_INET6 : AF_INET, Int32(SOCK_STREAM.rawValue))
        guard fd >= 0 else { throw SystemError("socket") }
        _ = sys_set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1)
        if shared { _ = sys_set_option(fd, SOL_SOCKET, SO_REUSEPORT, 1) }
        if address.address.isIPv6 { _ = sys_set_option(fd, Int32(IPPROTO_IPV6), IPV6_V6ONLY, 1) }
        var (storage, length) = address.storage
        guard unsafe sys_bind(fd, &storage, length) == 0 else { throw closing(fd, "bind") }
        guard sys_listen(fd, backlog) == 0 else { throw closing(fd, "listen") }
        return fd
    }

    /// A bound UDP socket. With `shared`, several may be bound to one address and the kernel spreads
    /// clients over them (SO_REUSEPORT).
    public static func bindDatagram(_ address: SocketAddress, shared: Bool = true) throws(SystemError) -> Int32 {
        let fd = sys_socket(address.address.isIPv6 ? AF_INET6 : AF_INET, Int32(SOCK_DGRAM.rawValue))
        guard fd >= 0 else { throw SystemError("socket") }
        if shared { _ = sys_set_option(fd, SOL_SOCKET, SO_REUSEPORT, 1) }
        if address.address.isIPv6 { _ = sys_set_option(fd, Int32(IPPROTO_IPV6), IPV6_V6ONLY, 1) }
        var (storage, length) = address.storage
        guard unsafe sys_bind(fd, &storage, length) == 0 else { throw closing(fd, "bind") }
        return fd
    }

    /// A TCP socket whose connection has been started; it is writable once connected.
    public static func connect(_ address: SocketAddress) throws(SystemError) -> Int32 {
        let fd = sys_socket(address.address.isIPv6 ? AF_INET6 : AF_INET, Int32(SOCK_STREAM.rawValue))
        guard fd >= 0 else { throw SystemError("socket") }
        noDelay(fd)
        var (storage, length) = address.storage
        guard unsafe sys_connect(fd, &storage, length) == 0 || sys_errno() == EINPROGRESS else {
            throw closing(fd, "connect")
        }
        return fd
    }

    /// The next waiting connection, or nil when there is none. `exhausted` tells that the process
    /// has no descriptors left.
    public static func accept(_ listener: Int32) -> (descriptor: Int32, peer: SocketAddress)? {
        var storage = sockaddr_storage()
        let fd = unsafe sys_accept(listener, &storage)
        return fd >= 0 ? (fd, SocketAddress(storage)) : nil
    }

    /// The address a socket is bound to.
    public static func localAddress(_ fd: Int32) -> SocketAddress? {
        var storage = sockaddr_storage()
        guard unsafe sys_getsockname(fd, &storage) == 0 else { return nil }
        return SocketAddress(storage)
    }

    public static func noDelay(_ fd: Int32) { _ = sys_set_option(fd, Int32(IPPROTO_TCP), TCP_NODELAY, 1) }

    public static func close(_ fd: Int32) { _ = sys_close(fd) }

    /// The error that waits on a socket, as an errno; 0: none.
    public static func error(_ fd: Int32) -> Int32 { sys_socket_error(fd) }

    private static func closing(_ fd: Int32, _ operation: String) -> SystemError {
        let error = SystemError(operation)
        sys_close(fd)
        return error
    }
}
