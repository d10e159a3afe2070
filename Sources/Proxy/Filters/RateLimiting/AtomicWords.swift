// Words that all workers read and change, without a lock.

import Glibc
import Synchronization

/// Zeroed 64-bit words on pages that cost memory only once they are touched.
@safe
final class AtomicWords: @unchecked Sendable {  // Every access is atomic.
    private let base: UnsafeMutablePointer<Atomic<UInt64>>
    let count: Int

    init(count: Int) {
        let raw = unsafe mmap(nil, count * 8, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
        guard let raw = unsafe raw, unsafe raw != MAP_FAILED else { fatalError("out of memory") }
        // An atomic word is a word: zeroed memory holds zeros.
        unsafe base = raw.bindMemory(to: Atomic<UInt64>.self, capacity: count)
        self.count = count
    }

    deinit { unsafe munmap(UnsafeMutableRawPointer(base), count * 8) }

    func load(_ index: Int) -> UInt64 {
        precondition(index >= 0 && index < count, "word index out of range")
        return unsafe base[index].load(ordering: .sequentiallyConsistent)
    }

    func store(_ index: Int, _ value: UInt64) {
        precondition(index >= 0 && index < count, "word index out of range")
        unsafe base[index].store(value, ordering: .sequentiallyConsistent)
    }

    /// Replaces `expected` by `desired`; false if the word holds something else.
    func exchange(_ index: Int, _ expected: UInt64, _ desired: UInt64) -> Bool {
        precondition(index >= 0 && index < count, "word index out of range")
        return unsafe base[index].compareExchange(
            expected: expected, desired: desired, ordering: .sequentiallyConsistent
        ).exchanged
    }

    /// Raises the word to `value` if it is lower.
    func raise(_ index: Int, to value: UInt64) {
        var current = load(index)
        while current < value {
            if exchange(index, current, value) { return }
            current = load(index)
        }
    }
}
