// Datagrams, many in one system call.

public import Bytes
import CLinux

/// Memory for the datagrams of one call, and who sent them. One per worker.
@safe
public final class DatagramBatch {
    private let slots: UnsafeMutableRawPointer
    private var facts = [sys_datagram](repeating: sys_datagram(), count: DatagramBatch.countMax)
    /// Asking for one costs less than asking for many in vain; a burst doubles it.
    private var quota = 1

    /// Most datagrams in one call.
    public static let countMax = SYS_DATAGRAMS
    /// Any datagram fits. Not a power of two: the starts of all slots would meet in one set of the cache.
    private static let stride = 65536 + 320

    public init() {
        unsafe slots = UnsafeMutableRawPointer.allocate(byteCount: Self.countMax * Self.stride, alignment: 64)
    }

    deinit { unsafe slots.deallocate() }

    // MARK: Receiving

    /// What a read gave.
    public enum Received: Equatable, Sendable {
        /// So many datagrams are in the batch, from 0. `more`: there may be others.
        case datagrams(Int, more: Bool)
        case wouldBlock
        /// Nobody listens where an earlier datagram went (ICMP said so), or the socket is broken.
        case failed
    }

    /// Reads what is there, at most `countMax` datagrams. What the batch held before is gone.
    public func receive(_ descriptor: Int32) -> Received {
        let asked = quota
        let address = unsafe UInt(bitPattern: slots)
        let n = unsafe facts.withUnsafeMutableBytes { raw in
            let facts = UInt(bitPattern: raw.baseAddress)
            return Int(sys_recv_datagrams(descriptor, address, Self.stride, facts, Int32(asked)))
        }
        guard n > 0 else {
            quota = 1
            let error = sys_errno()
            return n == 0 || error == EAGAIN || error == EINTR ? .wouldBlock : .failed
        }
        quota = n == asked ? min(asked * 2, Self.countMax) : max(1, n)
        return .datagrams(n, more: n == asked)
    }

    /// The datagram's content.
    public func bytes(_ index: Int) -> Bytes {
        unsafe Bytes(unsafeBase: slots + checked(index) * Self.stride, count: min(length(index), Self.stride))
    }

    public func length(_ index: Int) -> Int { Int(facts[index].length) }

    /// Who sent it.
    public func peer(_ index: Int) -> SocketAddress {
        let fact = facts[index]
        return SocketAddress(Self.address(fact.isIPv6, fact.high, fact.low), port: fact.port)
    }

    /// The address it was sent to; nil unless the socket was told to say (`DatagramSocket.tellLocalAddress`).
    public func local(_ index: Int) -> IPAddress? {
        let fact = facts[index]
        return fact.hasLocal == 0 ? nil : Self.address(fact.isIPv6, fact.localHigh, fact.localLow)
    }

    private static func address(_ isIPv6: UInt8, _ high: UInt64, _ low: UInt64) -> IPAddress {
        isIPv6 == 0 ? IPAddress(v4: UInt32(truncatingIfNeeded: low)) : IPAddress(v6High: high, low: low)
    }

    private func checked(_ index: Int) -> Int {
        precondition(index >= 0 && index < Self.countMax, "a datagram outside the batch")
        return index
    }

    // MARK: Sending

    /// What a sending came to.
    public struct Sent: Equatable, Sendable {
        /// Datagrams the kernel took.
        public var count = 0
        /// Datagrams lost because the socket's room was full, or because they are too long for the way.
        public var lost = 0
        /// The first datagram not taken when the peer refused: nobody listens there. Those from it on were
        /// not sent.
        public var refusedAt: Int?
    }

    /// Sends datagrams of this batch to the peer that `descriptor` is connected to.
    public func send(_ range: Range<Int>, on descriptor: Int32) -> Sent { send(range, on: descriptor, to: nil) }

    /// Sends datagrams of this batch to `peer`; `local` is the address they come from where the socket has many.
    public func send(_ range: Range<Int>, on descriptor: Int32, to peer: SocketAddress, from local: IPAddress?) -> Sent
    {
        var target = sys_datagram()
        target.isIPv6 = peer.address.isIPv6 ? 1 : 0
        target.high = peer.address.high
        target.low = peer.address.low
        target.port = peer.port
        if let local, local.isIPv6 == peer.address.isIPv6 {
            target.hasLocal = 1
            target.localHigh = local.high
            target.localLow = local.low
        }
        return send(range, on: descriptor, to: target)
    }

    private func send(_ range: Range<Int>, on descriptor: Int32, to target: sys_datagram?) -> Sent {
        precondition(range.lowerBound >= 0 && range.upperBound <= Self.countMax, "datagrams outside the batch")
        var sent = Sent()
        var at = range.lowerBound
        while at < range.upperBound {
            let n = call(at..<range.upperBound, descriptor, target)
            if n > 0 {
                sent.count += n
                at += n
                continue
            }
            switch sys_errno() {
            case EINTR: continue
            case ECONNREFUSED, EHOSTUNREACH, ENETUNREACH:
                sent.refusedAt = at
                return sent
            case EAGAIN, ENOBUFS:
                sent.lost += range.upperBound - at
                return sent
            default:
                // Too long for the way, or not allowed: the others may fare better.
                sent.lost += 1
                at += 1
            }
        }
        return sent
    }

    private func call(_ range: Range<Int>, _ descriptor: Int32, _ target: sys_datagram?) -> Int {
        let address = unsafe UInt(bitPattern: slots + range.lowerBound * Self.stride)
        return unsafe facts.withUnsafeBytes { raw in
            let facts = unsafe raw.baseAddress.map {
                unsafe UInt(bitPattern: $0 + range.lowerBound * MemoryLayout<sys_datagram>.stride)
            }
            guard let facts = facts else { return 0 }
            guard var target = target else {
                return Int(sys_send_datagrams(descriptor, address, Self.stride, facts, Int32(range.count), nil))
            }
            return unsafe Int(
                sys_send_datagrams(descriptor, address, Self.stride, facts, Int32(range.count), &target))
        }
    }
}

extension Socket {
    /// A UDP socket that only speaks with `peer`.
    public static func connectDatagram(_ peer: SocketAddress) throws(SystemError) -> Int32 {
        let fd = sys_socket(peer.address.isIPv6 ? AF_INET6 : AF_INET, Int32(SOCK_DGRAM.rawValue))
        guard fd >= 0 else { throw SystemError("socket") }
        var (storage, length) = peer.storage
        guard unsafe sys_connect(fd, &storage, length) == 0 else {
            let error = SystemError("connect")
            sys_close(fd)
            throw error
        }
        return fd
    }

    /// Has `DatagramBatch.local` know to which of our addresses each datagram came.
    public static func tellLocalAddress(_ descriptor: Int32, isIPv6: Bool) {
        _ = sys_tell_local_address(descriptor, isIPv6 ? 1 : 0)
    }
}
