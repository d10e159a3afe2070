// gRPC messages: whole ones out of any pieces, and the end of a call.

import Bytes
import Testing

@testable import HTTP

@Suite("gRPC messages")
struct GRPCMessageTests {
    private func framed(_ messages: [[UInt8]]) -> [UInt8] {
        let out = Buffer(capacity: 64)
        for message in messages { GRPCMessageReader.frame(message, to: out) }
        return out.readable.array
    }

    @Test("messages cut into random pieces come out whole and in order", arguments: 0..<20)
    func pieces(_ seed: UInt64) throws {
        var random = SmallRandom(seed: seed)
        let messages = (0..<30).map { _ in
            [UInt8](
                repeating: UInt8(random.below(256)),
                count: random.below(4) == 0 ? random.below(60_000) : random.below(40))
        }
        var rest = framed(messages)[...]
        var reader = GRPCMessageReader(limit: 60_000)
        var got: [[UInt8]] = []
        while !rest.isEmpty {
            let count = min(rest.count, 1 + random.below(9000))
            Array(rest.prefix(count)).withBytes { reader.received($0) }
            rest = rest.dropFirst(count)
            while let message = try reader.next() { got.append(message) }
        }
        #expect(got == messages)
        try reader.finish()
    }

    @Test("a message at the limit is taken and one more byte is refused")
    func limit() throws {
        var reader = GRPCMessageReader(limit: 10)
        framed([[UInt8](repeating: 1, count: 10)]).withBytes { reader.received($0) }
        let atLimit = try reader.next()
        #expect(atLimit?.count == 10)
        framed([[UInt8](repeating: 1, count: 11)]).withBytes { reader.received($0) }
        #expect(throws: GRPCFault.tooLong(11)) { try reader.next() }
    }

    @Test("a length alone makes nothing grow, and a compressed message is refused")
    func hostile() throws {
        var reader = GRPCMessageReader(limit: 1 << 28)
        [0, 0x0F, 0xFF, 0xFF, 0xFF].withBytes { reader.received($0) }
        let nothing = try reader.next()
        #expect(nothing == nil)
        #expect(throws: GRPCFault.truncated) { try reader.finish() }
        reader = GRPCMessageReader(limit: 100)
        [1, 0, 0, 0, 0].withBytes { reader.received($0) }
        #expect(throws: GRPCFault.compressed) { try reader.next() }
    }

    @Test("the end of a call is read from its trailers, its message percent-decoded")
    func status() throws {
        #expect(status([("grpc-status", "0")]) == GRPCStatus(code: 0, message: ""))
        #expect(
            status([("grpc-status", "16"), ("grpc-message", "no%20token%C3%A9 100%")])
                == GRPCStatus(code: 16, message: "no tokené 100%"))
        #expect(status([("grpc-status", "x")]) == GRPCStatus(code: GRPCStatus.unknown, message: ""))
        #expect(status([("grpc-message", "lost")]) == nil)
    }

    private func status(_ fields: [(StaticString, StaticString)]) -> GRPCStatus? {
        let block = Buffer(capacity: 64)
        for (name, value) in fields {
            HPACKEncoder.field(id: .other, name: Bytes(name), value: Bytes(value), neverIndexed: false, to: block)
        }
        let list = FieldList()
        guard HPACKDecoder(tableLimit: 4096).decode(block.readable, into: list, limits: HeadLimits()) else {
            return nil
        }
        return GRPCStatus(list)
    }
}
