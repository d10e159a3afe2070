// A control plane as a process: start, say where it listens, stop on a signal.

import CLinux
import ControlPlane
import Dispatch

enum ControlPlaneProcess {
    /// Serves until a signal, or until the child that `companion` starts ends by itself; the exit code.
    static func run(
        _ options: ControlPlaneOptions, _ signals: StopSignals, console: Console,
        companion: (@Sendable (ControlPlaneServer) async throws -> GatewayChild)? = nil
    ) async throws -> Int32 {
        let server = try await start(options)
        announce(server, options, console)
        return try await withThrowingTaskGroup(of: Int32.self) { group in
            group.addTask {
                try await server.run()
                return 1
            }
            group.addTask {
                await signals.wait()
                return 0
            }
            let child = try await companion?(server)
            if let child { group.addTask { await child.ended() } }
            let code: Int32
            do { code = try await group.next() ?? 1 } catch {
                child?.stop()
                throw Failure("the control plane ended: \(error)")
            }
            if let child {
                // It finishes its requests before the control plane leaves.
                child.stop()
                _ = await child.ended()
            }
            group.cancelAll()
            while let _ = try? await group.next() {}
            return code
        }
    }

    private static func announce(_ server: ControlPlaneServer, _ options: ControlPlaneOptions, _ console: Console) {
        if let token = server.firstToken {
            console.note(
                """
                This is the first start. The admin token, also in \(options.dataDirectory)/admin-token:

                  \(token)

                """)
        }
        for (name, place) in server.places { console.event("\(name) on \(place)") }
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
