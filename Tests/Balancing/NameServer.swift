// A DNS server on 127.0.0.1 that answers from a table, on the test's own loop.

import Bytes
import CLinux
import Testing

@testable import Engine

/// What the server says about one question.
enum Answer {
    /// (name, type, ttl, data) of each record; `name` nil: the question's.
    case records([(name: String?, type: UInt16, ttl: UInt32, data: [UInt8])])
    case code(UInt8)
    case silence
    case raw([UInt8])

    static func a(_ addresses: String..., ttl: UInt32 = 60) -> Answer {
        .records(addresses.map { (nil, 1, ttl, Wire.address($0)) })
    }
}

enum Wire {
    static func address(_ text: String) -> [UInt8] {
        guard let address = IPAddress(text) else { return [] }
        if !address.isIPv6 { return (0..<4).map { UInt8(truncatingIfNeeded: address.low >> UInt64(24 - 8 * $0)) } }
        return [address.high, address.low].flatMap { word in
            (0..<8).map { UInt8(truncatingIfNeeded: word >> UInt64(56 - 8 * $0)) }
        }
    }

    static func name(_ text: String) -> [UInt8] {
        text.split(separator: ".").flatMap { [UInt8($0.utf8.count)] + Array($0.utf8) } + [0]
    }

    static func short(_ value: UInt16) -> [UInt8] { [UInt8(value >> 8), UInt8(value & 255)] }

    static func service(_ priority: UInt16, _ weight: UInt16, _ port: UInt16, _ target: String) -> [UInt8] {
        short(priority) + short(weight) + short(port) + name(target)
    }

    /// A response to the question section `question` with the given id.
    static func response(
        id: [UInt8], question: [UInt8], code: UInt8,
        _ records: [(name: String?, type: UInt16, ttl: UInt32, data: [UInt8])]
    ) -> [UInt8] {
        var out = id + [0x81, 0x80 | code] + short(1) + short(UInt16(records.count)) + short(0) + short(0) + question
        for record in records {
            out += record.name.map(name) ?? [0xC0, 12]
            out += short(record.type) + short(1)
            out += short(UInt16(record.ttl >> 16)) + short(UInt16(record.ttl & 0xFFFF))
            out += short(UInt16(record.data.count)) + record.data
        }
        return out
    }
}

/// Answers `name/type` (type as a number) from a table; what is not in it does not exist.
final class NameServer: EventHandler {
    var answers: [String: Answer] = [:]
    private(set) var questions: [String] = []
    let address: SocketAddress
    private let loop: EventLoop

    init(_ loop: EventLoop) throws {
        self.loop = loop
        let socket = sys_socket(AF_INET, Int32(SOCK_DGRAM.rawValue))
        var (storage, length) = SocketAddress(IPAddress(v4: 0x7F00_0001), port: 0).storage
        try #require(unsafe sys_bind(socket, &storage, length) == 0)
        address = try #require(Socket.localAddress(socket))
        super.init()
        try #require(loop.add(self, descriptor: socket, events: .readable, edgeTriggered: false))
    }

    func stop() { loop.close(self) }

    override func ready(_ events: Readiness) {
        var packet = [UInt8](repeating: 0, count: 1500)
        var peer = sockaddr_storage()
        var length = UInt32(MemoryLayout<sockaddr_storage>.size)
        let socket = descriptor
        let count = unsafe packet.withUnsafeMutableBytes { buffer in
            unsafe withUnsafeMutablePointer(to: &peer) { pointer in
                unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    unsafe recvfrom(socket, buffer.baseAddress, buffer.count, 0, $0, &length)
                }
            }
        }
        guard count > 12 else { return }
        guard let reply = reply(Array(packet[..<count])) else { return }
        _ = unsafe reply.withUnsafeBytes { buffer in
            unsafe withUnsafePointer(to: &peer) { pointer in
                unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    unsafe sendto(socket, buffer.baseAddress, buffer.count, 0, $0, length)
                }
            }
        }
    }

    private func reply(_ packet: [UInt8]) -> [UInt8]? {
        var at = 12
        var labels: [String] = []
        while packet[at] != 0 {
            labels.append(String(decoding: packet[at + 1...at + Int(packet[at])], as: UTF8.self))
            at += 1 + Int(packet[at])
        }
        let type = Int(packet[at + 1]) << 8 | Int(packet[at + 2])
        let question = Array(packet[12..<at + 5])
        let key = "\(labels.joined(separator: ".").lowercased())/\(type)"
        questions.append(key)
        let id = Array(packet[..<2])
        switch answers[key] {
        case .records(let records): return Wire.response(id: id, question: question, code: 0, records)
        case .code(let code): return Wire.response(id: id, question: question, code: code, [])
        case .raw(let bytes): return id + bytes
        case .silence: return nil
        case nil:
            let exists = answers.keys.contains { $0.hasPrefix(labels.joined(separator: ".").lowercased() + "/") }
            return Wire.response(id: id, question: question, code: exists ? 0 : 3, [])
        }
    }
}

extension EventLoop {
    /// Turns until `condition` holds; false after about `seconds`.
    func run(seconds: Int64 = 10, until condition: () -> Bool) -> Bool {
        let end = sys_monotonic_nanoseconds() + seconds * 1_000_000_000
        while !condition() {
            if sys_monotonic_nanoseconds() > end { return false }
            turn(limit: 16)
        }
        return true
    }
}
