// Counters that one thread writes and others read.

internal import Synchronization

/// A row of 64-bit counters. One thread adds; any thread reads. An addition is a plain load, add
/// and store: no lock, no locked instruction.
@safe
final class Cells: @unchecked Sendable {  // Every access is atomic; only the owner adds.
    private let base: UnsafeMutablePointer<Atomic<Int>>
    let count: Int

    init(_ count: Int) {
        precondition(count > 0)
        self.count = count
        unsafe base = UnsafeMutablePointer<Atomic<Int>>.allocate(capacity: count)
        for i in 0..<count { unsafe (base + i).initialize(to: Atomic(0)) }
    }

    deinit {
        unsafe base.deinitialize(count: count)
        unsafe base.deallocate()
    }

    @inline(__always)
    func add(_ index: Int, _ value: Int) {
        precondition(index >= 0 && index < count, "counter out of range")
        let sum = unsafe base[index].load(ordering: .relaxed) &+ value
        unsafe base[index].store(sum, ordering: .relaxed)
    }

    @inline(__always)
    func store(_ index: Int, _ value: Int) {
        precondition(index >= 0 && index < count, "counter out of range")
        unsafe base[index].store(value, ordering: .releasing)
    }

    @inline(__always)
    func load(_ index: Int) -> Int {
        precondition(index >= 0 && index < count, "counter out of range")
        return unsafe base[index].load(ordering: .acquiring)
    }
}
