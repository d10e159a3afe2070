// The proxy's end of the control socket: where configurations, sockets and orders come from.
//
// 1. connect, say hello with the sockets held   2. take sockets, snapshots, orders
// 3. tell what is in effect                     4. when the supervisor is gone, serve on and try again

public import Engine
public import Snapshot
import Bytes
import CLinux

/// What a control channel talks to: the proxy's main thread.
public protocol ControlOwner: AnyObject {
    /// What the proxy is and holds now, with one descriptor for each of `sockets`. The descriptors
    /// stay the owner's.
    var introduction: (hello: Hello, descriptors: [Int32]) { get }
    /// Accept from these and no others. The owner has the descriptors from now on.
    func listen(_ sockets: [ListenSocket], descriptors: [Int32])
    /// Put the snapshot in effect on every worker, then call `ControlChannel.applied`, or `rejected`.
    func apply(_ snapshot: Snapshot)
    /// Take configurations from a control plane from now on, and of `base` what is this gateway's own; answered as
    /// `apply` is, once one of them is in effect.
    func join(_ join: Join, base: Snapshot)
    /// Stop accepting, finish what was begun, call `ControlChannel.drained` and end, after at most
    /// `timeout` milliseconds. For `idle` milliseconds, connections may still begin a last request.
    func drain(timeout: Int, idle: Int)
    func reopenLogs()
    /// Nobody answered at the start: serve what was stored, if anything was.
    func supervisorIsMissing()
}

/// A connection to the supervisor that mends itself. It lives on one loop's thread.
public final class ControlChannel: EventHandler {
    private let loop: EventLoop
    private let path: String
    private unowned let owner: any ControlOwner
    private var link: ControlLink?
    /// Milliseconds until the next attempt.
    private var pause = ControlChannel.pauseFirst
    private var isFirstContact = true
    private var startedAt: Int64 = 0

    // An orphan is found by the next supervisor within the longest pause; half a second costs nothing.
    private static let pauseFirst: Int64 = 25
    private static let pauseMax: Int64 = 500
    /// How long a proxy that has nothing to serve waits for its supervisor, in milliseconds.
    private static let patience: Int64 = 1000

    /// - Parameter path: the control socket.
    public init(loop: EventLoop, path: String, owner: any ControlOwner) {
        self.loop = loop
        self.path = path
        self.owner = owner
    }

    /// Connects, now and whenever the connection is lost.
    public func start() {
        startedAt = loop.now
        connect()
    }

    // MARK: - To the supervisor

    /// `revision` is in effect on every worker.
    public func applied(_ revision: UInt64) { send(.applied(revision: revision)) }

    /// `revision` cannot be used, and why; the one before is still in effect.
    public func rejected(_ revision: UInt64, reason: String) { send(.rejected(revision: revision, reason: reason)) }

    /// What became of the connection to the control plane.
    public func tell(_ news: FeedNews) { send(.feed(news)) }

    /// Nothing is left to serve.
    public func drained() { send(.drained) }

    private func send(_ message: ControlMessage, descriptors: [Int32] = []) {
        guard let link else { return }
        link.send(message, descriptors: descriptors)
        watchWriting()
    }

    // MARK: - Connecting

    private func connect() {
        do throws(ControlError) {
            let link = try ControlSocket.connect(to: path)
            let user = link.peer.user
            guard user == geteuid() || user == 0,
                loop.add(self, descriptor: link.descriptor, events: .readable, edgeTriggered: false)
            else {
                link.close()
                throw .closed(EPERM)
            }
            self.link = link
            isFirstContact = false
            let (hello, descriptors) = owner.introduction
            send(.hello(hello), descriptors: descriptors)
        } catch {
            tryLater()
        }
    }

    private func tryLater() {
        if isFirstContact, loop.now - startedAt >= Self.patience {
            isFirstContact = false
            owner.supervisorIsMissing()
        }
        loop.setDeadline(self, loop.now + pause)
        pause = min(pause * 2, Self.pauseMax)
    }

    public override func timedOut() { connect() }

    private func lost() {
        _ = loop.detach(self)
        link?.close()
        link = nil
        tryLater()
    }

    // MARK: - From the supervisor

    public override func ready(_ events: Readiness) {
        guard let link else { return }
        if events.contains(.writable) {
            link.flush()
            watchWriting()
        }
        do throws(ControlError) {
            for frame in try link.receive() {
                pause = Self.pauseFirst
                take(frame)
            }
        } catch {
            lost()
        }
    }

    private func watchWriting() {
        guard let link, descriptor >= 0 else { return }
        loop.modify(self, events: link.wantsWrite ? [.readable, .writable] : .readable)
    }

    private func take(_ frame: ControlFrame) {
        switch frame.message {
        case .listen(let sockets): owner.listen(sockets, descriptors: frame.descriptors)
        case .apply(let revision, let bytes): apply(revision, bytes)
        case .join(let join): self.join(join)
        case .drain(let timeout, let idle): owner.drain(timeout: timeout, idle: idle)
        case .reopenLogs: owner.reopenLogs()
        case .hello, .applied, .rejected, .drained, .feed, .command, .report:
            for descriptor in frame.descriptors { _ = sys_close(descriptor) }
        }
    }

    private func apply(_ revision: UInt64, _ bytes: [UInt8]) {
        do throws(WireError) {
            var snapshot = try bytes.withBytes { (bytes) throws(WireError) in try Snapshot(wire: bytes) }
            snapshot.revision = revision
            owner.apply(snapshot)
        } catch {
            rejected(revision, reason: "the snapshot's bytes are damaged: \(error)")
        }
    }

    private func join(_ join: Join) {
        do throws(WireError) {
            let base = try join.base.withBytes { (bytes) throws(WireError) in try Snapshot(wire: bytes) }
            owner.join(join, base: base)
        } catch {
            rejected(join.revision, reason: "the base's bytes are damaged: \(error)")
        }
    }
}

/// What a supervisor left in the state directory for a proxy that nobody answers.
public enum StoredState {
    /// The last snapshot that was in effect; nil if there is none, or it cannot be read.
    public static func snapshot(in directory: String) -> Snapshot? {
        guard let bytes = StateFile.read(directory + "/snapshot") else { return nil }
        return try? bytes.withBytes { (bytes) throws(WireError) in try Snapshot(wire: bytes) }
    }

    /// The control planes that were followed, without the token; nil: none, the snapshot is all there is.
    public static func join(in directory: String) -> Join? { StateFile.message(directory + "/join") }

    /// The sockets that were listened on.
    public static func sockets(in directory: String) -> [ListenSocket] {
        guard let bytes = StateFile.read(directory + "/sockets"),
            case .listen(let sockets)? = try? bytes.withBytes({ (bytes) throws(WireError) in
                try ControlMessage(payload: bytes)
            })
        else { return [] }
        return sockets
    }
}
