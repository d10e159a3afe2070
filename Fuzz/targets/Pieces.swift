// Shared by the fuzz targets: the same bytes in one piece and in many, which must mean the same.

import Bytes

/// The input as `Bytes`, and sizes to cut it into, taken from its first byte.
func pieces(_ data: UnsafePointer<UInt8>, _ size: Int, _ body: (Bytes, Int) -> Void) {
    guard size > 1 else { return }
    let seed = Int(unsafe data[0])
    unsafe body(Bytes(unsafeBase: UnsafeRawPointer(data + 1), count: size - 1), seed)
}

/// Sizes of pieces: whole, byte by byte, or mixed, by `seed`.
struct Cuts {
    private var state: UInt64
    private let largest: Int

    init(seed: Int) {
        state = UInt64(seed) &* 0x9E37_79B9_7F4A_7C15 | 1
        largest = seed % 3 == 0 ? 1 : seed % 3 == 1 ? 7 : 97
    }

    mutating func next() -> Int {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return 1 + Int(state >> 33) % largest
    }
}

/// A finding that is no trap by itself.
func require(_ holds: Bool, _ what: StaticString) {
    if !holds { preconditionFailure(String(describing: what)) }
}
