// Fuzz target: chunked bodies alone, in one piece and in many.

import Bytes
import HTTP

private func decode(_ input: Bytes, cuts: Cuts?) -> [Int] {
    let buffer = Buffer(), trailers = HeaderBlock()
    var decoder = ChunkedDecoder()
    var sum = 0, count = 0, at = 0, cuts = cuts
    while at < input.count {
        let size = cuts?.next() ?? input.count
        let next = min(input.count, at + size)
        buffer.append(input[at..<next])
        at = next
        while true {
            switch decoder.next(buffer, trailers: trailers) {
            case .incomplete: break
            case .failed: return [-1, count, sum]
            case .end: return [1, count, sum, trailers.count]
            case .data(let n):
                require(n > 0 && n <= buffer.count, "chunk data outside the buffer")
                let bytes = buffer.readable.prefix(n)
                for index in 0..<n { sum = sum &* 31 &+ Int(bytes[index]) }
                count += n
                buffer.consume(n)
                continue
            }
            break
        }
    }
    return [0, count, sum]
}

@c(LLVMFuzzerTestOneInput)
public func fuzz(_ data: UnsafePointer<UInt8>, _ size: Int) -> CInt {
    unsafe pieces(data, size) { input, seed in
        require(
            decode(input, cuts: nil) == decode(input, cuts: Cuts(seed: seed)),
            "the same chunks in pieces mean something else")
    }
    return 0
}
