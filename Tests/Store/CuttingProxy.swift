// A TCP proxy before PostgreSQL that loses what it is told to lose.

import Foundation
import Glibc
import Synchronization

/// Forwards connections to a port. When a client's bytes contain a word, it can cut the connection before they
/// reach the server, or after, so that only the answer is lost.
final class CuttingProxy: Sendable {
    enum Loss { case request, answer }

    private struct State {
        var cuts: [(word: String, loss: Loss)] = []
        var made = 0
    }

    let port: UInt16
    private let listener: CInt
    private let target: UInt16
    private let state = Mutex(State())

    init(to target: UInt16) {
        self.target = target
        let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        self.listener = listener
        port = unsafe Self.withAddress(0) { raw, length in
            var length = length
            _ = unsafe bind(listener, raw, length)
            _ = unsafe getsockname(listener, raw, &length)
        }
        listen(listener, 64)
        Thread { [self] in
            while true {
                let client = accept(listener, nil, nil)
                guard client >= 0 else { return }
                let server = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
                _ = unsafe Self.withAddress(target) { raw, length in _ = unsafe connect(server, raw, length) }
                Thread { [self] in
                    pump(client, server)
                    shutdown(client, Int32(SHUT_RDWR))
                    shutdown(server, Int32(SHUT_RDWR))
                }.start()
                Thread { [self] in
                    copy(server, client)
                    shutdown(client, Int32(SHUT_RDWR))
                    shutdown(server, Int32(SHUT_RDWR))
                }.start()
            }
        }.start()
    }

    func stop() {
        shutdown(listener, Int32(SHUT_RDWR))
    }

    /// The next request with `word` in it ends its connection.
    func cut(at word: String, losing loss: Loss) {
        state.withLock { $0.cuts.append((word, loss)) }
    }

    /// How many connections were cut.
    var made: Int { state.withLock { $0.made } }

    private func pump(_ client: CInt, _ server: CInt) {
        while let bytes = Self.read(client) {
            let text = String(decoding: bytes, as: UTF8.self)
            let loss = state.withLock { state -> Loss? in
                guard let index = state.cuts.firstIndex(where: { text.contains($0.word) }) else { return nil }
                state.made += 1
                return state.cuts.remove(at: index).loss
            }
            switch loss {
            case .request: return
            case .answer:
                // The client hears nothing more; the server gets its request, and its answer is dropped.
                shutdown(client, Int32(SHUT_RDWR))
                Self.write(server, bytes)
                shutdown(server, Int32(SHUT_WR))
                return
            case nil: Self.write(server, bytes)
            }
        }
    }

    private func copy(_ from: CInt, _ to: CInt) {
        while let bytes = Self.read(from) { Self.write(to, bytes) }
    }

    private static func read(_ descriptor: CInt) -> [UInt8]? {
        var bytes = [UInt8](repeating: 0, count: 65536)
        let count = unsafe recv(descriptor, &bytes, bytes.count, 0)
        return count > 0 ? Array(bytes[..<count]) : nil
    }

    private static func write(_ descriptor: CInt, _ bytes: [UInt8]) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = unsafe rest.withUnsafeBytes { raw in
                unsafe send(descriptor, raw.baseAddress, raw.count, Int32(MSG_NOSIGNAL))
            }
            guard count > 0 else { return }
            rest = rest.dropFirst(count)
        }
    }

    /// Loopback; gives back the port that stands in the address afterwards.
    private static func withAddress(_ port: UInt16, _ body: (UnsafeMutablePointer<sockaddr>, socklen_t) -> Void)
        -> UInt16
    {
        var address = sockaddr_in()
        address.sin_family = UInt16(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        return unsafe withUnsafeMutablePointer(to: &address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { raw in
                unsafe body(raw, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
            return unsafe UInt16(bigEndian: pointer.pointee.sin_port)
        }
    }
}
