// Fuzz target: a snapshot's wire form. What can be read can be written, and reads the same again.

import Bytes
import Snapshot

@c(LLVMFuzzerTestOneInput)
public func fuzz(_ data: UnsafePointer<UInt8>, _ size: Int) -> CInt {
    unsafe pieces(data, size) { input, _ in
        guard let first = try? Snapshot(wire: input) else { return }
        let written = first.wire
        guard let second = try? written.withBytes({ (bytes) throws(WireError) in try Snapshot(wire: bytes) }) else {
            preconditionFailure("a snapshot that was written cannot be read")
        }
        require(second.wire == written, "a snapshot changes by being written and read")
    }
    return 0
}
