// Fuzz target: frames of the control socket, in pieces.

import Bytes
import Snapshot

@c(LLVMFuzzerTestOneInput)
public func fuzz(_ data: UnsafePointer<UInt8>, _ size: Int) -> CInt {
    unsafe pieces(data, size) { input, seed in
        var decoder = ControlDecoder()
        var cuts = Cuts(seed: seed)
        var at = 0
        while at < input.count {
            let next = min(input.count, at + cuts.next())
            decoder.received(input[at..<next], descriptors: seed & 64 != 0 && at == 0 ? [3] : [])
            at = next
            do {
                while let frame = try decoder.next() { _ = frame.bytes }
            } catch {
                _ = decoder.abandon()
                return
            }
        }
    }
    return 0
}
