// Pipes that bytes pass through between two sockets without entering the process.

import CLinux

/// A pipe: bytes spliced into `writing` come out of `reading`.
struct Pipe {
    let reading: Int32
    let writing: Int32

    func close() {
        Socket.close(reading)
        Socket.close(writing)
    }
}

/// A worker's pipes. A connection holds one only while bytes are in it.
public final class PipePool {
    private var spare: [Pipe] = []
    private var open = 0
    private var limit: Int
    private let spareMax: Int
    /// What is asked for. Measured over loopback, CPU for each MB: 64 KiB 400 µs, 256 KiB 220, 512 KiB 200, 1 MiB 190.
    /// All pipes of an unprivileged user may hold 64 MiB; then smaller ones are tried, and then none.
    static let wantedBytes = 1024 * 1024
    private static let leastBytes = 256 * 1024

    /// - Parameters:
    ///   - limit: pipes at the same time; connections past it copy.
    ///   - spareMax: pipes kept for the next use.
    public init(limit: Int = 256, spareMax: Int = 16) {
        self.limit = limit
        self.spareMax = spareMax
    }

    deinit { for pipe in spare { pipe.close() } }

    /// An empty pipe; nil when there are too many, or the kernel gives no more.
    func take() -> Pipe? {
        if let pipe = spare.popLast() { return pipe }
        guard open < limit else { return nil }
        var ends: [Int32] = [-1, -1]
        guard unsafe sys_pipe(&ends) == 0 else { return nil }
        let pipe = Pipe(reading: ends[0], writing: ends[1])
        // A user over the kernel's quota gets pipes of a page or two: copying is better than that.
        guard
            sys_set_pipe_size(pipe.writing, Int32(Self.wantedBytes)) > 0
                || sys_set_pipe_size(pipe.writing, Int32(Self.leastBytes)) > 0
        else {
            limit = open
            pipe.close()
            return nil
        }
        open += 1
        return pipe
    }

    /// Takes back an empty pipe.
    func give(_ pipe: Pipe) {
        guard spare.count < spareMax, limit > 0 else { return discard(pipe) }
        spare.append(pipe)
    }

    /// No more pipes: the kernel does not take them.
    func retire() { limit = 0 }

    /// Ends a pipe that may still hold bytes.
    func discard(_ pipe: Pipe) {
        open -= 1
        pipe.close()
    }

    /// Pipes that exist.
    public var count: Int { open }
}
