// Counters that one thread writes and others read.

internal import CLinux
internal import Synchronization

/// A row of 64-bit counters. One thread adds; any thread reads. An addition is a plain load, add
/// and store: no lock, no locked instruction.
@safe
struct Cells: @unchecked Sendable {  // Every access is atomic; only the owner adds.
    private let base: UnsafeMutablePointer<Atomic<Int>>
    let count: Int
    /// Keeps the memory.
    private let slab: CellSlab

    /// A row of its own.
    init(_ count: Int) { self = CellSlab(rows: 1, width: count).row(0) }

    fileprivate init(unsafeBase base: UnsafeMutablePointer<Atomic<Int>>, count: Int, slab: CellSlab) {
        unsafe self.base = base
        self.count = count
        self.slab = slab
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

/// Rows of counters side by side, all zero at first. Pages are the kernel's until a row is used.
@safe
final class CellSlab: @unchecked Sendable {  // Memory that lives as long as this; see `Cells`.
    private let base: UnsafeMutablePointer<Atomic<Int>>
    private let rows: Int
    private let width: Int

    init(rows: Int, width: Int) {
        precondition(rows > 0 && width > 0)
        self.rows = rows
        self.width = width
        let memory = unsafe calloc(rows * width, MemoryLayout<Atomic<Int>>.stride)
        guard let memory = unsafe memory else { preconditionFailure("out of memory for counters") }
        // An Atomic<Int> is its word; zero bytes are the number 0.
        unsafe base = memory.bindMemory(to: Atomic<Int>.self, capacity: rows * width)
    }

    deinit { unsafe free(base) }

    @inline(__always)
    func row(_ index: Int) -> Cells {
        precondition(index >= 0 && index < rows, "row out of range")
        return unsafe Cells(unsafeBase: base + index * width, count: width, slab: self)
    }

    /// Adds to a cell without taking a reference to the row.
    @inline(__always)
    func add(_ row: Int, _ cell: Int, _ value: Int) {
        precondition(row >= 0 && row < rows && cell >= 0 && cell < width, "counter out of range")
        let at = unsafe base + (row * width + cell)
        unsafe at.pointee.store(at.pointee.load(ordering: .relaxed) &+ value, ordering: .relaxed)
    }

    @inline(__always)
    func load(_ row: Int, _ cell: Int) -> Int {
        precondition(row >= 0 && row < rows && cell >= 0 && cell < width, "counter out of range")
        return unsafe base[row * width + cell].load(ordering: .acquiring)
    }

    @inline(__always)
    func store(_ row: Int, _ cell: Int, _ value: Int) {
        precondition(row >= 0 && row < rows && cell >= 0 && cell < width, "counter out of range")
        unsafe base[row * width + cell].store(value, ordering: .releasing)
    }
}
