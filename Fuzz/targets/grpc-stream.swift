// Fuzz target: what a control plane sends on its stream, in pieces: gRPC messages, and configurations in them.

import Bytes
import HTTP
import Snapshot

@c(LLVMFuzzerTestOneInput)
public func fuzz(_ data: UnsafePointer<UInt8>, _ size: Int) -> CInt {
    unsafe pieces(data, size) { input, seed in
        var whole = GRPCMessageReader(limit: 32_768)
        whole.received(input)
        let (expected, ends) = messages(&whole)
        var reader = GRPCMessageReader(limit: 32_768)
        var cuts = Cuts(seed: seed)
        var at = 0
        var got: [[UInt8]] = []
        var hasEnded = false
        while at < input.count, !hasEnded {
            let next = min(input.count, at + cuts.next())
            reader.received(input[at..<next])
            at = next
            let (more, end) = messages(&reader)
            got += more
            hasEnded = end
        }
        require(got == expected && hasEnded == ends, "pieces mean something else than the whole")
        for message in got { decode(message) }
    }
    return 0
}

/// All that are complete, and whether nothing can follow.
private func messages(_ reader: inout GRPCMessageReader) -> ([[UInt8]], Bool) {
    var found: [[UInt8]] = []
    do throws(GRPCFault) {
        while let message = try reader.next() { found.append(message) }
        return (found, false)
    } catch {
        return (found, true)
    }
}

private func decode(_ message: [UInt8]) {
    _ = try? message.withBytes { (bytes) throws(WireError) in try Credentials(wire: bytes) }
    guard let read = try? message.withBytes({ (bytes) throws(WireError) in try ControlPlaneMessage(wire: bytes) })
    else { return }
    if let full = read.configuration {
        _ = try? full.snapshot.withBytes { (bytes) throws(WireError) in try Snapshot(wire: bytes) }
    }
    if let delta = read.delta {
        let change = try? delta.delta.withBytes { (bytes) throws(WireError) in try SnapshotDelta(wire: bytes) }
        if let change { _ = try? change.apply(to: Snapshot()) }
    }
}
