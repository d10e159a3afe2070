// One direction of a relay: from what one end reads to what the other has taken.
//
// 1. what waits goes out first: bytes in memory, or in a pipe
// 2. only then is more read, and only while the target takes it: that is all the back pressure there is
// 3. the source's end is passed on once nothing waits
//
// Small reads are copied through the worker's scratch memory. Once a source proves bulky, and both ends are
// plain sockets, the kernel moves its bytes through a pipe instead.

public import Bytes

/// What flows of one worker share.
public final class RelayMemory {
    /// For one read and its sending.
    let scratch: Buffer
    let buffers: BufferPool
    let pipes: PipePool

    /// - Parameter scratch: at least `Flow.readBytes` large; its content is nobody's between two calls.
    public init(scratch: Buffer, buffers: BufferPool, pipes: PipePool) {
        self.scratch = scratch
        self.buffers = buffers
        self.pipes = pipes
    }
}

/// Bytes on their way from one end to the other. Whoever drops a flow calls `clear` first.
public struct Flow {
    /// Bytes read from the source, and bytes that the target has taken.
    public private(set) var received = 0
    public private(set) var sent = 0
    /// The source has finished sending.
    public private(set) var sourceEnded = false
    /// The target has been told so.
    public private(set) var isFinished = false
    private var waiting: Buffer?
    private var pipe: Pipe?
    private var inPipe = 0
    /// Large reads in a row.
    private var streak: UInt8 = 0

    /// Most bytes of one copied read.
    public static let readBytes = 64 * 1024
    /// Reads of at least so many bytes are large. Measured: 8 KiB through a pipe cost 8 µs, copied 11 µs.
    private static let largeBytes = 8 * 1024
    /// So many large reads in a row make a source bulky.
    private static let streakBulky: UInt8 = 3
    /// Moves of one flow before other connections get their turn.
    private static let movesPerTurn = 4

    public init() {}

    /// What became of a flow.
    public enum Outcome {
        /// Nothing more can be done before the next event.
        case waiting
        /// There is more to do, after others had their turn.
        case busy
        /// All is said: the target knows that the source has ended.
        case finished
        case sourceFailed, targetFailed
    }

    /// Bytes that the target has not taken yet.
    public var pending: Int { inPipe + (waiting?.count ?? 0) }

    /// Moves what can be moved now.
    ///
    /// - Parameter isLast: the other direction is over already, so that closing both sockets follows and
    ///   the target need not be told apart from that.
    public mutating func move(
        from source: RelayEnd, to target: RelayEnd, _ memory: RelayMemory, isLast: Bool
    ) -> Outcome {
        if isFinished { return .finished }
        var left = Self.movesPerTurn
        while true {
            if pending > 0 {
                guard target.mayWrite else {
                    source.cannotPassOn()
                    return .waiting
                }
                source.canPassOn()
                guard flush(target, memory) else { return .targetFailed }
                if pending > 0 { return .waiting }
            }
            if sourceEnded {
                if !isLast { target.finishSending() }
                isFinished = true
                clear(memory)
                return .finished
            }
            guard source.mayRead, target.mayWrite else {
                clear(memory)
                return .waiting
            }
            left -= 1
            if left < 0 { return .busy }
            switch read(source, target, memory) {
            case .bytes(let n):
                received += n
                guard inPipe > 0 || passOn(target, memory) else { return .targetFailed }
            case .wouldBlock: continue
            case .ended: sourceEnded = true
            case .failed: return .sourceFailed
            }
        }
    }

    private mutating func read(_ source: RelayEnd, _ target: RelayEnd, _ memory: RelayMemory) -> ReadResult {
        if streak >= Self.streakBulky, source.tls == nil, target.tls == nil, let pipe = pipe ?? memory.pipes.take() {
            self.pipe = pipe
            let result = source.splice(into: pipe, limit: PipePool.wantedBytes)
            switch result {
            case .bytes(let n):
                inPipe = n
                // Back to copying when the reads have become small.
                if n < Self.largeBytes { streak -= 1 } else { streak = Self.streakMax }
            case .failed where source.cannotSplice:
                memory.pipes.retire()
                source.mayRead = true
                clear(memory)
                return .wouldBlock
            case .wouldBlock, .ended, .failed: break
            }
            return result
        }
        memory.scratch.clear()
        let result = source.receive(into: memory.scratch, limit: min(Self.readBytes, memory.scratch.free))
        if case .bytes(let n) = result { streak = n < Self.largeBytes ? 0 : min(streak + 1, Self.streakMax) }
        return result
    }

    private static let streakMax: UInt8 = 8

    /// Sends what was just read; keeps what the target does not take.
    private mutating func passOn(_ target: RelayEnd, _ memory: RelayMemory) -> Bool {
        guard let n = target.send(memory.scratch.readable) else { return false }
        sent += n
        if n < memory.scratch.count {
            let rest = memory.buffers.take()
            rest.append(memory.scratch.readable.dropFirst(n))
            waiting = rest
        }
        return true
    }

    private mutating func flush(_ target: RelayEnd, _ memory: RelayMemory) -> Bool {
        if let waiting {
            guard let n = target.send(waiting.readable) else { return false }
            sent += n
            waiting.consume(n)
            if waiting.isEmpty {
                memory.buffers.give(waiting)
                self.waiting = nil
            }
            return true
        }
        while inPipe > 0, target.mayWrite, let pipe {
            guard let n = target.splice(from: pipe, count: inPipe) else { return false }
            sent += n
            inPipe -= n
        }
        return true
    }

    /// Gives memory and pipe back; what still waited is lost.
    public mutating func clear(_ memory: RelayMemory) {
        if let waiting {
            memory.buffers.give(waiting)
            self.waiting = nil
        }
        guard let pipe else { return }
        self.pipe = nil
        if inPipe == 0 { memory.pipes.give(pipe) } else { memory.pipes.discard(pipe) }
        inPipe = 0
    }
}
