// correlation-id: gives a request an id that it keeps on all of its way.

import Bytes
import Engine
import HTTP
import Snapshot

final class CorrelationIDFilter: FilterInstance, @unchecked Sendable {
    private let header: FieldKey
    private let generator: CorrelationGenerator
    private let echoes: Bool
    private let shared: SharedState

    init(_ config: CorrelationID, shared: SharedState) {
        header = FieldKey(config.headerName)
        generator = config.generator
        echoes = config.echoDownstream
        self.shared = shared
    }

    override var name: StaticString { "correlation-id" }
    override var hasResponsePhase: Bool { echoes }

    override func access(_ x: Exchange) -> FilterVerdict {
        if let value = x.requestHeaders.first(header), !value.isEmpty { return .next }
        let id = x.worker.scratch
        id.clear()
        write(x, to: id)
        x.requestHeaders.set(header, id.readable)
        return .next
    }

    /// The request's field still has the id, whoever made it. A reply that came before our access
    /// phase gets a new one.
    override func response(_ x: Exchange) {
        if let value = x.requestHeaders.first(header), !value.isEmpty {
            x.responseHeaders.set(header, value)
            return
        }
        let id = x.worker.scratch
        id.clear()
        write(x, to: id)
        x.responseHeaders.set(header, id.readable)
    }

    private func write(_ x: Exchange, to out: Buffer) {
        switch generator {
        case .uuid: CorrelationCounter.writeUUID(of: x.requestID.readable, seed: shared.seed, to: out)
        case .counter:
            CorrelationCounter.writeUUID(ofWorker: x.worker.index, seed: shared.seed, to: out)
            out.append(0x23)
            out.append(decimal: shared.correlations.next(x.worker.index))
        case .tracker:
            // server address - port - process - connection - its requests - seconds; a number that no
            // other request has stands for the connection.
            out.append(x.client?.transport.listener.address ?? "0.0.0.0")
            out.append(0x2D)
            out.append(decimal: x.client?.transport.listener.port ?? 0)
            out.append(0x2D)
            out.append(decimal: Int(shared.process))
            out.append(0x2D)
            out.append(
                decimal: shared.correlations.next(x.worker.index) * CorrelationCounter.lanes
                    + x.worker.index % CorrelationCounter.lanes)
            out.append("-1-")
            let milliseconds = x.worker.loop.wallNanoseconds / 1_000_000
            out.append(decimal: Int(milliseconds / 1000))
            out.append(0x2E)
            out.append(decimal: Int(milliseconds % 1000) / 100)
            out.append(decimal: Int(milliseconds % 100) / 10)
            out.append(decimal: Int(milliseconds % 10))
        }
    }
}

/// Numbers for ids: one sequence for each worker, going on when the configuration is replaced.
final class CorrelationCounter: Sendable {
    /// Workers beyond this many share sequences.
    static let lanes = 256
    private static let stride = 8
    private let words = AtomicWords(count: lanes * stride)

    /// 1, 2, 3, …
    func next(_ worker: Int) -> Int {
        let word = worker % Self.lanes * Self.stride
        while true {
            let current = words.load(word)
            if words.exchange(word, current, current &+ 1) { return Int(truncatingIfNeeded: current &+ 1) }
        }
    }

    /// A version 4 UUID that follows from bytes nobody else has and a secret.
    static func writeUUID(of bytes: Bytes, seed: UInt64, to out: Buffer) {
        writeUUID(bytes.hash64(seed: seed), bytes.hash64(seed: ~seed), to: out)
    }

    static func writeUUID(ofWorker worker: Int, seed: UInt64, to out: Buffer) {
        let lane = UInt64(worker % lanes) &* 0x9E37_79B9_7F4A_7C15
        let text = Bytes("correlation-id")
        writeUUID(text.hash64(seed: seed ^ lane), text.hash64(seed: ~seed ^ lane), to: out)
    }

    private static func writeUUID(_ high: UInt64, _ low: UInt64, to out: Buffer) {
        ID(high: high & ~0xF000 | 0x4000, low: low & ~(3 << 62) | 2 << 62).write(to: out)
    }
}
