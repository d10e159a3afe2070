// Fuzz target: templates of the transformer plugins, as a kong.yml may hold them.

import Bytes
import Snapshot

@c(LLVMFuzzerTestOneInput)
public func fuzz(_ data: UnsafePointer<UInt8>, _ size: Int) -> CInt {
    unsafe pieces(data, size) { input, _ in
        let text = String(decoding: input.array, as: UTF8.self)
        guard let template = try? Template(parsing: text) else { return }
        let written = template.wire
        let again = try? written.withBytes { (bytes) throws(WireError) in try Template(wire: bytes) }
        require(again == template, "a template changes by being written and read")
    }
    return 0
}
