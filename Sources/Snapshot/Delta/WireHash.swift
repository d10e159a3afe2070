// What bytes would be on the wire, as a number: to compare records and tables without writing them.

import Bytes

/// A 64-bit hash over a sequence of words, not for secrets. `WireWriter` feeds it field by field, so that
/// different messages are different sequences; the same values give the same number on every machine.
struct WireHash {
    /// Ends a message within another; no field's tag is 7.
    static let end: UInt64 = 7

    private var state: UInt64

    init(seed: UInt64 = 0) { state = seed ^ 0x6A09_E667_F3BC_C908 }

    /// Multiplied and folded: each bit of the word and of all before it reaches each bit of the state.
    @inline(__always)
    mutating func add(_ word: UInt64) {
        let product = (state ^ word).multipliedFullWidth(by: 0x9E37_79B9_7F4A_7C15)
        state = (product.high ^ product.low) &+ 0xD1B5_4A32_D192_ED03
    }

    mutating func add(_ bytes: Bytes) {
        add(UInt64(bytes.count))
        var at = 0
        while bytes.count - at >= 8 {
            add(bytes.load64(at))
            at += 8
        }
        guard at < bytes.count else { return }
        var last: UInt64 = 0
        while at < bytes.count {
            last = last << 8 | UInt64(bytes[at])
            at += 1
        }
        add(last)
    }

    /// By its UTF-8: texts that are equal to Swift but composed differently are different here, as on the wire.
    mutating func add(_ text: String) {
        let span = text.utf8Span.span
        unsafe span.withUnsafeBufferPointer { units in
            guard let base = units.baseAddress else { return add(Bytes.empty) }
            unsafe add(Bytes(unsafeBase: UnsafeRawPointer(base), count: units.count))
        }
    }

    var value: UInt64 {
        var last = self
        last.add(Self.end)
        last.add(Self.end)
        return last.state
    }
}

extension WireMessage {
    /// Equal for messages of equal wire form.
    func wireHash(seed: UInt64) -> UInt64 {
        var out = WireWriter(hashing: WireHash(seed: seed))
        encode(into: &out)
        return out.hashValue
    }
}
