// A control plane as a process: start, say where it listens, stop on a signal.

import CLinux
import ControlPlane
import Dispatch
import Synchronization

enum ControlPlaneProcess {
    /// Serves until a signal, or until the child that `companion` starts ends by itself; the exit code.
    static func run(
        _ options: ControlPlaneOptions, _ signals: StopSignals, console: Console,
        companion: (@Sendable (ControlPlaneServer, ControlPlaneServer.Places) async throws -> GatewayChild)? = nil
    ) async throws -> Int32 {
        let server = try await start(options)
        let children = Children()
        let code = try await withThrowingTaskGroup(of: Int32.self) { group in
            group.addTask {
                try await server.run { places in
                    announce(server, places, options, console)
                    if let companion { children.set(try await companion(server, places)) }
                }
                return 1
            }
            group.addTask {
                await signals.wait()
                return 0
            }
            if companion != nil { group.addTask { await children.first()?.ended() ?? 1 } }
            let result = await group.nextResult()
            if let child = children.current {
                // It finishes its requests before the control plane leaves.
                child.stop()
                _ = await child.ended()
            }
            group.cancelAll()
            while let _ = try? await group.next() {}
            return try result?.get() ?? 1
        }
        return code
    }

    private static func announce(
        _ server: ControlPlaneServer, _ places: ControlPlaneServer.Places, _ options: ControlPlaneOptions,
        _ console: Console
    ) {
        if let token = server.firstToken {
            console.note(
                """
                This is the first start. The admin token, also in \(options.dataDirectory)/admin-token:

                  \(token)

                """)
        }
        console.event("web UI on http://\(shown(options.api.address)):\(places.api)/ui, resource API on /v1")
        if let admin = options.admin, let port = places.admin {
            console.event("Admin API on http://\(shown(admin.address)):\(port)")
        }
        console.event("gateways join at https://\(shown(options.stream.address)):\(places.stream)")
    }

    private static func shown(_ address: String) -> String { address.contains(":") ? "[\(address)]" : address }

    private static func start(_ options: ControlPlaneOptions) async throws -> ControlPlaneServer {
        do { return try await ControlPlaneServer(options) } catch {
            throw Failure("the control plane cannot start: \(error)")
        }
    }
}

/// The child that was started, for whoever waits for it.
final class Children: Sendable {
    private let stream: AsyncStream<GatewayChild>
    private let continuation: AsyncStream<GatewayChild>.Continuation
    private let child = Mutex<GatewayChild?>(nil)

    init() { (stream, continuation) = AsyncStream.makeStream(of: GatewayChild.self) }

    var current: GatewayChild? { child.withLock { $0 } }

    func set(_ child: GatewayChild) {
        self.child.withLock { $0 = child }
        continuation.yield(child)
    }

    /// Waits for `set`; nil when the task is cancelled first.
    func first() async -> GatewayChild? {
        for await child in stream { return child }
        return nil
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
