// One worker's way into the access log: a bounded ring of bytes with one writer and one reader.

internal import Bytes
public import HTTP
internal import Synchronization

extension AccessLog {
    /// A single-producer, single-consumer ring. The worker that owns the lane calls `write` or
    /// `append`; the log's thread takes the bytes out. A record that does not fit is dropped and
    /// counted: a worker never waits.
    ///
    /// A worker's use, once per finished request:
    ///
    ///     lane.write(record, request: requestHeaders, response: responseHeaders)
    @safe
    public final class Lane: @unchecked Sendable {
        // Positions count bytes since the start and never wrap in practice (2^63).
        // `tail`, `knownHead`, the formatter and `scratch` belong to the worker; `published` and
        // `taken` are how the two threads see each other.
        private let ring: UnsafeMutableRawPointer
        let capacity: Int
        private let recordLimit: Int
        private var scratch: UnsafeMutableRawPointer?
        private var tail = 0
        private var knownHead = 0
        private let formatter: RecordFormatter
        private let alarm: Alarm

        private let published = Atomic<Int>(0)
        private let taken = Atomic<Int>(0)
        private let acceptedRecords = Atomic<Int>(0)
        private let droppedFull = Atomic<Int>(0)
        private let droppedLong = Atomic<Int>(0)

        init(capacity: Int, format: Format, alarm: Alarm) {
            var size = 4096
            while size < capacity, size < 1 << 30 { size *= 2 }
            self.capacity = size
            recordLimit = size / 4
            unsafe ring = UnsafeMutableRawPointer.allocate(byteCount: size, alignment: 4096)
            formatter = RecordFormatter(format)
            self.alarm = alarm
        }

        deinit {
            unsafe ring.deallocate()
            unsafe scratch?.deallocate()
        }

        /// Formats one request and queues it. Costs no system call unless the log's thread sleeps.
        public func write(_ record: RequestRecord, request: HeaderBlock?, response: HeaderBlock?) {
            // Headers can grow past any limit when escaped; a request must not hide from the log
            // that way, so the second attempt leaves them out.
            let first = append { formatter.write(record, request: request, response: response, into: &$0) }
            if first != .tooLong { return }
            let second = append { formatter.writeShort(record, into: &$0) }
            if second == .tooLong { bump(droppedLong) }
        }

        /// Formats one session of a stream listener and queues it.
        public func write(_ record: StreamRecord) {
            if append({ formatter.write(record, into: &$0) }) == .tooLong { bump(droppedLong) }
        }

        /// Records carry the JSON of their route, service and consumer.
        public var wantsEntities: Bool { formatter.isJSON }

        public enum Outcome: Sendable { case accepted, full, tooLong }

        /// Queues one line that `body` writes without its line end. Lines hold no LF.
        /// A line longer than a quarter of the lane is `tooLong`, which the caller counts.
        @discardableResult
        public func append(_ body: (inout LineWriter) -> Void) -> Outcome {
            var free = capacity - (tail - knownHead)
            if free < recordLimit {
                knownHead = taken.load(ordering: .acquiring)
                free = capacity - (tail - knownHead)
            }
            let at = tail & (capacity - 1)
            let direct = min(free, capacity - at) >= recordLimit
            var writer = unsafe LineWriter(unsafeBase: direct ? ring + at : spare(), limit: recordLimit)
            body(&writer)
            writer.append(0x0A)
            if writer.overflowed { return .tooLong }
            let count = writer.count
            guard count <= free else {
                bump(droppedFull)
                return .full
            }
            if !direct { unsafe copyIn(spare(), count) }
            tail += count
            bump(acceptedRecords)
            // The order matters: publish, then look whether the reader sleeps. The reader announces
            // its sleep, then looks whether something was published.
            published.store(tail, ordering: .sequentiallyConsistent)
            if tail - knownHead > capacity / 2 { knownHead = taken.load(ordering: .acquiring) }
            alarm.published(half: tail - knownHead > capacity / 2)
            return .accepted
        }

        private func bump(_ counter: borrowing Atomic<Int>) {
            counter.store(counter.load(ordering: .relaxed) &+ 1, ordering: .relaxed)
        }

        /// Where a record is formatted when the ring's end or fullness leaves no straight room.
        private func spare() -> UnsafeMutableRawPointer {
            if let scratch = unsafe scratch { return unsafe scratch }
            let made = UnsafeMutableRawPointer.allocate(byteCount: recordLimit, alignment: 16)
            unsafe scratch = made
            return unsafe made
        }

        private func copyIn(_ source: UnsafeMutableRawPointer, _ count: Int) {
            precondition(count <= recordLimit)
            let at = tail & (capacity - 1)
            let first = min(count, capacity - at)
            unsafe (ring + at).copyMemory(from: source, byteCount: first)
            if count > first { unsafe ring.copyMemory(from: source + first, byteCount: count - first) }
        }

        // MARK: The reader's side

        var isEmpty: Bool { published.load(ordering: .sequentiallyConsistent) == taken.load(ordering: .relaxed) }
        var isHalfFull: Bool {
            published.load(ordering: .sequentiallyConsistent) - taken.load(ordering: .relaxed) > capacity / 2
        }

        /// Positions of the queued bytes; whole lines.
        var queued: Range<Int> { taken.load(ordering: .relaxed)..<published.load(ordering: .acquiring) }

        /// The bytes between two positions inside `queued`, in two parts (the second may be empty).
        func parts(_ range: Range<Int>) -> (Bytes, Bytes) {
            precondition(range.count <= capacity)
            let at = range.lowerBound & (capacity - 1)
            let first = min(range.count, capacity - at)
            return unsafe (
                Bytes(unsafeBase: ring + at, count: first),
                Bytes(unsafeBase: ring, count: range.count - first)
            )
        }

        func byte(_ position: Int) -> UInt8 {
            unsafe ring.load(fromByteOffset: position & (capacity - 1), as: UInt8.self)
        }

        /// Gives the room up to `position` back to the worker.
        func take(upTo position: Int) { taken.store(position, ordering: .releasing) }

        /// Records the lane took, and records it dropped for want of room or for their length.
        public var counts: (accepted: Int, full: Int, tooLong: Int) {
            (
                acceptedRecords.load(ordering: .relaxed), droppedFull.load(ordering: .relaxed),
                droppedLong.load(ordering: .relaxed)
            )
        }
    }
}
