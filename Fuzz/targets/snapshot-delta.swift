// Fuzz target: deltas of snapshots. What can be applied gives a snapshot, and the delta that leads there again.

import Bytes
import Snapshot

@c(LLVMFuzzerTestOneInput)
public func fuzz(_ data: UnsafePointer<UInt8>, _ size: Int) -> CInt {
    unsafe pieces(data, size) { input, seed in
        // The first bytes are a snapshot, the others a delta; from one seed on a snapshot too.
        let cut = min(input.count, seed * 64)
        guard let old = try? Snapshot(wire: input[0..<cut]) else { return }
        let rest = input[cut..<input.count]
        if let delta = try? SnapshotDelta(wire: rest), let new = try? delta.apply(to: old) {
            reach(new, from: old)
        }
        // A snapshot that refers to what is not there gives a delta that is refused; only its making is tried.
        if let other = try? Snapshot(wire: rest) { _ = try? SnapshotDelta(from: old, to: other).apply(to: old) }
    }
    return 0
}

private func reach(_ new: Snapshot, from old: Snapshot) {
    let written = SnapshotDelta(from: old, to: new).wire
    guard let delta = try? written.withBytes({ (bytes) throws(WireError) in try SnapshotDelta(wire: bytes) }) else {
        preconditionFailure("a delta that was written cannot be read")
    }
    guard let again = try? delta.apply(to: old) else { return require(refers(old), "a delta that was made is refused") }
    require(again.wire == new.wire, "a delta leads elsewhere")
    require(SnapshotDelta.digest(again) == SnapshotDelta.digest(new), "equal tables have different digests")
}

/// Whether the old snapshot, which may be anything, holds references that lead nowhere.
private func refers(_ old: Snapshot) -> Bool {
    (try? SnapshotDelta(from: Snapshot(), to: old).apply(to: Snapshot())) == nil
}
