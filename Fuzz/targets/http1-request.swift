// Fuzz target: HTTP/1 requests with their bodies, in one piece and in many. Both must see the same messages.

import Bytes
import HTTP

/// What was seen: a row of numbers for each message, so that two runs can be compared.
struct Reading: Equatable {
    var messages: [[Int]] = []
    var failed = false
}

/// Reads messages one after the other, as a connection does.
struct Reader {
    private enum Stage { case head, length(Int), chunked(ChunkedDecoder), untilClose, stopped }

    private let buffer = Buffer()
    private var parser = RequestParser()
    private let head = RequestHead()
    private let trailers = HeaderBlock()
    private var stage = Stage.head
    private var current: [Int] = []
    private(set) var reading = Reading()
    let seed: Int

    init(seed: Int) {
        self.seed = seed
        parser.begin(at: 0)
    }

    mutating func received(_ bytes: Bytes) {
        buffer.append(bytes)
        while step() {}
    }

    private mutating func step() -> Bool {
        switch stage {
        case .stopped: return false
        case .head:
            switch parse() {
            case .incomplete: return false
            case .failed: return stop(failed: true)
            case .complete(let bodyAt):
                require(bodyAt >= buffer.start && bodyAt <= buffer.end, "a body starts outside the buffer")
                current = describe()
                buffer.consume(bodyAt - buffer.start)
                trailers.reset(source: nil)
                switch head.framing {
                case .none: return finish()
                case .length(let count): stage = .length(count)
                case .chunked: stage = .chunked(ChunkedDecoder())
                case .untilClose: stage = .untilClose
                }
                return true
            }
        case .length(let left):
            let n = min(left, buffer.count)
            take(n)
            if n == left { return finish() }
            stage = .length(left - n)
            return false
        case .untilClose:
            take(buffer.count)
            return false
        case .chunked(var decoder):
            let result = decoder.next(buffer, trailers: trailers)
            stage = .chunked(decoder)
            switch result {
            case .incomplete: return false
            case .failed: return stop(failed: true)
            case .data(let n):
                require(n > 0 && n <= buffer.count, "chunk data outside the buffer")
                take(n)
                return true
            case .end:
                current.append(trailers.count)
                return finish()
            }
        }
    }

    private mutating func parse() -> ParseResult<RequestFault> {
        parser.parse(buffer, into: head, limits: HeadLimits(line: 1024, head: 4096, fields: 20))
    }

    private func describe() -> [Int] {
        var row = [head.minorVersion, head.headers.count, Int(head.connection.rawValue), head.wireCount]
        row += [
            Int(head.method.rawValue), head.target.count, hash(head.target), head.host.count, head.keepsAlive ? 1 : 0,
        ]
        require(head.target.count > 0, "a request without a target")
        for index in 0..<head.headers.count {
            row += [hash(head.headers.name(index)), hash(head.headers.value(index))]
            require(!head.headers.value(index).contains(0x0A), "a line end inside a value")
            require(!head.headers.value(index).contains(0x0D), "a line end inside a value")
            require(!head.headers.value(index).contains(0x00), "a NUL inside a value")
        }
        return row
    }

    private func hash(_ bytes: Bytes) -> Int { Int(truncatingIfNeeded: bytes.hash64()) }

    private mutating func take(_ n: Int) {
        let bytes = buffer.readable.prefix(n)
        // A sum that does not depend on where the body was cut.
        var sum = 0
        for index in 0..<bytes.count { sum &+= Int(bytes[index]) &+ 1 }
        reading.messages.append([-1, sum])
        merge()
        buffer.consume(n)
    }

    /// Joins the sums of neighbouring pieces of one body.
    private mutating func merge() {
        let count = reading.messages.count
        guard count > 1, reading.messages[count - 2][0] == -1, reading.messages[count - 1][0] == -1 else { return }
        let last = reading.messages.removeLast()
        reading.messages[count - 2][1] &+= last[1]
    }

    private mutating func finish() -> Bool {
        reading.messages.append(current)
        current = []
        stage = .head
        buffer.compact()
        parser.begin(at: buffer.start)
        return !buffer.isEmpty
    }

    private mutating func stop(failed: Bool) -> Bool {
        reading.failed = failed
        stage = .stopped
        return false
    }
}

@c(LLVMFuzzerTestOneInput)
public func fuzz(_ data: UnsafePointer<UInt8>, _ size: Int) -> CInt {
    unsafe pieces(data, size) { input, seed in
        var whole = Reader(seed: seed)
        whole.received(input)
        var cut = Reader(seed: seed)
        var cuts = Cuts(seed: seed)
        var at = 0
        while at < input.count {
            let next = min(input.count, at + cuts.next())
            cut.received(input[at..<next])
            at = next
        }
        require(whole.reading == cut.reading, "the same bytes in pieces mean something else")
    }
    return 0
}
