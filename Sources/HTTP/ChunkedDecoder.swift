// Chunked bodies (RFC 9112 section 7.1), decoded piece by piece.
//
//     chunk   = 1*HEXDIG [ ";" extension ] CRLF data CRLF
//     last    = 1*"0" [ ";" extension ] CRLF *( trailer CRLF ) CRLF

public import Bytes

/// Decodes a chunked body. It holds no bytes: each step says what the bytes at the front of the
/// buffer are, and consumes them from it.
public struct ChunkedDecoder {
    public enum Step: Equatable {
        /// More bytes are needed.
        case incomplete
        /// This many bytes at the front of the buffer are data; the caller consumes them.
        case data(Int)
        /// The body is complete; trailers, if any, are in the block.
        case end
        case failed
    }

    private enum Stage: Equatable {
        case size
        case data(Int)
        case dataEnd
        case trailers
        case done
    }

    private var stage = Stage.size
    private var trailerCount = 0
    private var trailerBytes = 0
    private static let lineLimit = 1024
    private static let trailerLimit = 8 * 1024
    private static let trailerFieldLimit = 64

    public init() {}

    /// - Parameter trailers: gets the trailer fields; reset it before the body.
    public mutating func next(_ buffer: Buffer, trailers: HeaderBlock) -> Step {
        while true {
            switch stage {
            case .size:
                switch sizeLine(buffer.readable) {
                case .incomplete: return .incomplete
                case .failed: return .failed
                case .size(let size, let count):
                    buffer.consume(count)
                    stage = size == 0 ? .trailers : .data(size)
                }
            case .data(let left):
                let n = min(left, buffer.count)
                if n == 0 { return .incomplete }
                stage = n == left ? .dataEnd : .data(left - n)
                return .data(n)
            case .dataEnd:
                let bytes = buffer.readable
                if bytes.count > 0, bytes[0] != 0x0D { return .failed }
                guard bytes.count >= 2 else { return .incomplete }
                guard bytes[1] == 0x0A else { return .failed }
                buffer.consume(2)
                stage = .size
            case .trailers:
                trailers.lend(buffer)
                switch FieldParser.line(buffer, at: buffer.start, limit: Self.trailerLimit, into: trailers) {
                case .incomplete: return buffer.count > Self.trailerLimit ? .failed : .incomplete
                case .failed: return .failed
                case .field(let next, _):
                    trailers.keepLast()
                    trailerCount += 1
                    trailerBytes += next - buffer.start
                    guard trailerCount <= Self.trailerFieldLimit, trailerBytes <= Self.trailerLimit else {
                        return .failed
                    }
                    buffer.consume(next - buffer.start)
                case .end(let next):
                    buffer.consume(next - buffer.start)
                    stage = .done
                    return .end
                }
            case .done:
                return .end
            }
        }
    }

    private enum SizeLine {
        case incomplete, failed
        case size(Int, lineCount: Int)
    }

    private func sizeLine(_ bytes: Bytes) -> SizeLine {
        var size = 0
        var i = 0
        while i < bytes.count, let digit = ASCII.hex(bytes[i]) {
            // 15 digits hold any real chunk and cannot overflow.
            guard i < 15 else { return .failed }
            size = size << 4 | Int(digit)
            i += 1
        }
        guard i < bytes.count else { return .incomplete }
        guard i > 0 else { return .failed }
        if bytes[i] == 0x3B {
            i += 1
            let start = i
            while i < bytes.count, isExtensionByte(bytes[i]) { i += 1 }
            guard i - start <= Self.lineLimit else { return .failed }
            guard i < bytes.count else { return .incomplete }
        }
        guard bytes[i] == 0x0D else { return .failed }
        guard i + 1 < bytes.count else { return .incomplete }
        guard bytes[i + 1] == 0x0A else { return .failed }
        return .size(size, lineCount: i + 2)
    }

    private func isExtensionByte(_ byte: UInt8) -> Bool {
        byte >= 0x20 && byte < 0x7F || byte == 0x09
    }
}
