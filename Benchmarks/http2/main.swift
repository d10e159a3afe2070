// Nanoseconds per request of our HTTP/2 header codec, on the bytes that nghttp2-codec recorded.
//
//     cc -O2 -o nghttp2-codec Benchmarks/tools/nghttp2-codec.c -lnghttp2 && ./nghttp2-codec record requests.bytes
//     ./nghttp2-codec measure requests.bytes && .build/release/http2-bench requests.bytes

import Bytes
import CLinux
import HTTP

let requests = 100_000
let rounds = 9

func stop(_ why: String) -> Never {
    print("http2-bench: \(why)")
    exit(1)
}

func nanoseconds() -> Double {
    var now = timespec()
    unsafe clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now)
    return Double(now.tv_sec) * 1e9 + Double(now.tv_nsec)
}

/// The file, where its batches of frames are, and where the header blocks in them.
func load(_ path: String) -> (Buffer, [Range<Int>], [Range<Int>]) {
    let file = unsafe sys_open(path, O_RDONLY | O_CLOEXEC, 0)
    guard file >= 0 else { stop("\(path) cannot be read") }
    let buffer = Buffer(capacity: 16 << 20)
    while buffer.appendFrom(limit: 1 << 20, { sys_read(file, $0, $1) }) > 0 { buffer.reserve(1 << 20) }
    var batches: [Range<Int>] = []
    var blocks: [Range<Int>] = []
    var at = 0
    while at + 4 <= buffer.end {
        let end = at + 4 + Int(buffer.bytes(at: at, count: 4).load32(0))
        batches.append((at + 4)..<end)
        var frame = at == 0 ? 4 + 24 : at + 4
        while frame < end {
            let head = buffer.bytes(at: frame, count: 9)
            let count = Int(head[0]) << 16 | Int(head[1]) << 8 | Int(head[2])
            if head[3] == 1 {
                // A priority stands before the block.
                blocks.append((frame + 9 + (head[4] & 0x20 != 0 ? 5 : 0))..<(frame + 9 + count))
            }
            frame += 9 + count
        }
        at = end
    }
    return (buffer, batches, blocks)
}

/// The response that nghttp2-codec sends.
func response() -> ResponseHead {
    let out = Buffer()
    out.append(
        """
        HTTP/1.1 200 OK\r\ncontent-type: application/json; charset=utf-8\r\ncontent-length: 5\r\n\
        date: Mon, 23 Nov 2026 10:00:00 GMT\r\nserver: orders/2.1\r\ncache-control: private, max-age=0\r\n\
        x-kong-upstream-latency: 3\r\nvia: 1.1 kong/3.9.1\r\n\r\n
        """)
    let head = ResponseHead()
    var parser = ResponseParser()
    parser.begin(at: 0)
    guard case .complete = parser.parse(out, into: head, limits: HeadLimits(), toHead: false) else {
        stop("the response is not one")
    }
    return head
}

/// Huffman coding as an encoder would do it, to see whether it pays.
struct HuffmanCoder {
    private var codes = [UInt32](repeating: 0, count: 256)
    private var lengths = [Int](repeating: 0, count: 256)

    init() {
        var code: UInt32 = 0
        for length in 5...30 {
            code <<= 1
            for symbol in UInt8.min...UInt8.max where HPACKHuffman.length(symbol) == length {
                codes[Int(symbol)] = code
                lengths[Int(symbol)] = length
                code += 1
            }
        }
    }

    func encode(_ text: Bytes, to out: Buffer) {
        var bits: UInt64 = 0
        var held = 0
        for index in 0..<text.count {
            let symbol = Int(text[index])
            bits = bits << UInt64(lengths[symbol]) | UInt64(codes[symbol])
            held += lengths[symbol]
            while held >= 8 {
                held -= 8
                out.append(UInt8(truncatingIfNeeded: bits >> UInt64(held)))
            }
        }
        if held > 0 { out.append(UInt8(truncatingIfNeeded: bits << UInt64(8 - held)) | 0xFF >> UInt8(held)) }
    }
}

/// A stream with the request that opened it.
final class Stream: HTTP2Stream {
    let request = RequestHead()
}

/// One server connection that reads every batch and answers it. Nanoseconds of each; bytes sent.
@MainActor
func serve(_ streams: [Stream], _ answer: ResponseHead) -> (reading: Double, answering: Double, sent: Int) {
    let output = Buffer(capacity: 1 << 16)
    let input = Buffer(capacity: 1 << 16)
    let session = HTTP2Session(role: .server, limits: .server, output: output)
    session.start()
    var reading = 0.0
    var answering = 0.0
    var sent = 0
    for batch in batches {
        input.clear()
        input.append(recorded.bytes(at: batch.lowerBound, count: batch.count))
        session.now += 1000
        var opened = 0
        let start = nanoseconds()
        reading: while true {
            switch session.next(input) {
            case .needsBytes: break reading
            case .opened(let id, let end):
                let stream = streams[opened]
                opened += 1
                stream.prepare()
                guard stream.request.take(session.fields, end: end, limits: limits) == nil else {
                    stop("a request is not taken")
                }
                session.accept(stream, id, end: end)
            case .failed(_, let reason): stop("the session failed: \(reason)")
            default: break
            }
        }
        let middle = nanoseconds()
        for stream in streams[..<opened] {
            session.beginHeaders()
            HPACKEncoder.status(answer.status, to: output)
            answer.headers.encode(to: output)
            session.endHeaders(stream, end: true)
        }
        answering += nanoseconds() - middle
        reading += middle - start
        guard opened == 100 else { stop("\(opened) requests in a batch") }
        sent += output.count
        output.clear()
    }
    return (reading, answering, sent)
}

func best(_ body: () -> Void) -> Int {
    var best = Double.infinity
    for _ in 0..<rounds {
        let start = nanoseconds()
        body()
        best = min(best, (nanoseconds() - start) / Double(requests))
    }
    return Int(best)
}

guard CommandLine.arguments.count == 2 else { stop("say the file that nghttp2-codec recorded") }
let (recorded, batches, blocks) = load(CommandLine.arguments[1])
guard blocks.count == requests else { stop("\(blocks.count) requests instead of \(requests)") }
let limits = HeadLimits()

let decoding = best {
    let decoder = HPACKDecoder(tableLimit: 4096)
    let list = FieldList()
    for block in blocks {
        guard decoder.decode(recorded.bytes(at: block.lowerBound, count: block.count), into: list, limits: limits)
        else {
            stop("a block is not read")
        }
    }
}
let taking = best {
    let decoder = HPACKDecoder(tableLimit: 4096)
    let list = FieldList()
    let head = RequestHead()
    for block in blocks {
        guard decoder.decode(recorded.bytes(at: block.lowerBound, count: block.count), into: list, limits: limits),
            head.take(list, end: true, limits: limits) == nil
        else { stop("a request is not taken") }
    }
}
let head = response()
let out = Buffer()
let encoding = best {
    for _ in 0..<requests {
        out.clear()
        HPACKEncoder.status(200, to: out)
        head.headers.encode(to: out)
    }
}
let plainCount = out.count
let coder = HuffmanCoder()
let values = Buffer()
for index in 0..<head.headers.count { values.append(head.headers.value(index)) }
let coded = Buffer()
let coding = best {
    for _ in 0..<requests {
        coded.clear()
        coder.encode(values.readable, to: coded)
    }
}
let decoded = Buffer()
let undoing = best {
    for _ in 0..<requests {
        decoded.clear()
        guard HPACKHuffman.shared.decode(coded.readable, to: decoded) else { stop("the code is not read") }
    }
}
let streams = (0..<100).map { _ in Stream() }
var reading = Double.infinity
var answering = Double.infinity
var sent = 0
for _ in 0..<rounds {
    let round = serve(streams, head)
    reading = min(reading, round.reading)
    answering = min(answering, round.answering)
    sent = round.sent
}
print("ns per request, best of \(rounds) rounds of \(requests)")
print(
    "  session: reading \(Int(reading) / requests), answering \(Int(answering) / requests); a response has \(sent / requests) bytes"
)
print("  blocks to fields \(decoding), to a request's head \(taking)")
print("  a response to a block of \(plainCount) bytes \(encoding)")
print("  Huffman coding of its values, \(values.count) bytes to \(coded.count): \(coding), and decoding \(undoing)")
