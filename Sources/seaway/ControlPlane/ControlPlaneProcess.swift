// A control plane as a process: start, say where it listens, stop on a signal.

import CLinux
import ControlPlane
import Dispatch

enum ControlPlaneProcess {
    /// Serves until a signal; the exit code.
    static func run(_ options: ControlPlaneOptions, _ signals: StopSignals, console: Console) async throws -> Int32 {
        let server = try await start(options)
        if let token = server.firstToken {
            console.note(
                """
                This is the first start. The admin token, also in \(options.dataDirectory)/admin-token:

                  \(token)

                """)
        }
        for (name, place) in server.places { console.event("\(name) on \(place)") }
        return try await withThrowingTaskGroup(of: Bool.self) { group in
            group.addTask {
                try await server.run()
                return false
            }
            group.addTask {
                await signals.wait()
                return true
            }
            let wasAsked = try await group.next() ?? false
            group.cancelAll()
            while let _ = try? await group.next() {}
            return wasAsked ? 0 : 1
        }
    }

    private static func start(_ options: ControlPlaneOptions) async throws -> ControlPlaneServer {
        do { return try await ControlPlaneServer(options) } catch {
            throw Failure("the control plane cannot start: \(error)")
        }
    }
}

/// SIGTERM and SIGINT as something to wait for. Made before other threads begin: they inherit what is blocked.
struct StopSignals: Sendable {
    private let descriptor: Int32

    init() {
        let set: [Int32] = [SIGTERM, SIGINT]
        descriptor = sys_signals_as_descriptor(set.reduce(0) { $0 | 1 << UInt64($1) })
    }

    func wait() async {
        let descriptor = descriptor
        await withCheckedContinuation { continuation in
            DispatchQueue.global().async {
                while sys_signalfd_next(descriptor) == 0 {
                    var entry = [pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)]
                    var span = entry.mutableSpan
                    _ = unsafe span.withUnsafeMutableBufferPointer {
                        sys_poll_many(UInt(bitPattern: $0.baseAddress), 1, -1)
                    }
                }
                continuation.resume()
            }
        }
    }
}
