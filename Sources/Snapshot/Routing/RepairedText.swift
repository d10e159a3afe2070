// Values that are not UTF-8, as patterns read them.

internal import Bytes

/// A copy of a value as UTF-8: well-formed sequences stay, each other byte becomes the character that it is
/// in Latin-1, which is what header fields once were. So nothing that a client can send is without
/// characters, and what a rule says about any character, it says about that byte too.
struct RepairedText {
    private let buffer = Buffer(capacity: 256)
    /// Where in the copy two bytes stand for one, in order.
    private var replaced: [Int32] = []

    /// Bytes that it has room for.
    var capacity: Int { buffer.capacity }

    /// The copy, until the next call.
    mutating func set(_ value: Bytes) -> Bytes {
        buffer.clear()
        buffer.reserve(2 * value.count)
        replaced.removeAll(keepingCapacity: true)
        var at = 0
        while at < value.count {
            let byte = value[at]
            let length = byte < 0x80 ? 1 : PathNormalizer.sequenceLength(value, at)
            if length > 0 {
                buffer.append(value[at..<at + length])
                at += length
            } else {
                replaced.append(Int32(truncatingIfNeeded: buffer.end))
                buffer.append(0xC0 | byte >> 6)
                buffer.append(0x80 | byte & 0x3F)
                at += 1
            }
        }
        return buffer.readable
    }

    /// The place in the value that an offset in the copy, at the start of a character, came from.
    func original(_ offset: Int) -> Int {
        // Each replacement before it made the copy longer by one.
        var low = 0
        var high = replaced.count
        while low < high {
            let middle = (low + high) / 2
            if Int(replaced[middle]) < offset { low = middle + 1 } else { high = middle }
        }
        return offset - low
    }
}
