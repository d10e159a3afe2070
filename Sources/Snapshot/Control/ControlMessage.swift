// What a supervisor and its proxies say to each other, as protobuf messages.

public import Bytes

/// One listening socket that travels beside a message, in the order of its descriptors.
public struct ListenSocket: WireMessage, Sendable, Hashable {
    public enum Role: Int, Sendable {
        /// Serves the snapshot's listener with the same address, port and `udp`.
        case gateway = 0
        /// Serves `/status`, `/status/ready` and `/metrics`.
        case status = 1
    }

    public var role = Role.gateway
    /// IPv4 or IPv6 address without brackets.
    public var address = ""
    public var port = 0
    public var tls = false
    /// Which worker accepts from it, from 0. A status socket belongs to worker 0.
    public var worker = 0
    public var kind = ListenerKind.http
    /// A bound UDP socket; else a listening TCP socket.
    public var udp = false

    public init() {}

    public init(
        role: Role, address: String, port: Int, tls: Bool = false, worker: Int = 0, kind: ListenerKind = .http,
        udp: Bool = false
    ) {
        self.role = role
        self.address = address
        self.port = port
        self.tls = tls
        self.worker = worker
        self.kind = kind
        self.udp = udp
    }

    public func encode(into out: inout WireWriter) {
        out.put(1, role)
        out.put(2, address)
        out.put(3, port)
        out.put(4, tls)
        out.put(5, worker)
        out.put(6, kind)
        out.put(7, udp)
    }

    public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
        switch field {
        case 1: role = try reader.value()
        case 2: address = try reader.string()
        case 3: port = try reader.int()
        case 4: tls = try reader.bool()
        case 5: worker = try reader.int()
        case 6: kind = try reader.value()
        case 7: udp = try reader.bool()
        default: try reader.skip()
        }
    }
}

/// How a proxy introduces itself. Its listening descriptors come with it, one for each of `sockets`.
public struct Hello: WireMessage, Sendable, Hashable {
    public var pid = 0
    public var version = ""
    public var workers = 0
    /// The revision in effect; 0: none yet.
    public var revision: UInt64 = 0
    public var sockets: [ListenSocket] = []

    public init() {}

    public init(pid: Int, version: String, workers: Int, revision: UInt64 = 0, sockets: [ListenSocket] = []) {
        self.pid = pid
        self.version = version
        self.workers = workers
        self.revision = revision
        self.sockets = sockets
    }

    public func encode(into out: inout WireWriter) {
        out.put(1, pid)
        out.put(2, version)
        out.put(3, workers)
        out.put(4, revision)
        out.put(5, messages: sockets)
    }

    public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
        switch field {
        case 1: pid = try reader.int()
        case 2: version = try reader.string()
        case 3: workers = try reader.int()
        case 4: revision = try reader.unsigned()
        case 5: sockets.append(try reader.message())
        default: try reader.skip()
        }
    }
}

/// What a person at the command line asks of a running supervisor.
public enum SupervisorCommand: Int, Sendable {
    /// Replace the proxy's process, as SIGUSR2 does.
    case upgrade = 1
    /// Read the configuration again, as SIGHUP does.
    case reload = 2
}

/// One message on the control socket.
public enum ControlMessage: Sendable, Equatable {
    // Proxy to supervisor.
    case hello(Hello)
    /// The revision is in effect on every worker.
    case applied(revision: UInt64)
    /// The revision cannot be used; the one before stays in effect.
    case rejected(revision: UInt64, reason: String)
    /// Nothing is left to serve; the process is about to end.
    case drained
    /// What became of the connection to the control plane.
    case feed(FeedNews)

    // Supervisor to proxy.
    /// Accept from these sockets and no others. Their descriptors come with it.
    case listen([ListenSocket])
    /// A whole `Snapshot` in its wire form.
    case apply(revision: UInt64, snapshot: [UInt8])
    /// Take configurations from a control plane, and of `base` what is this gateway's own.
    case join(Join)
    /// Stop accepting, finish what was begun, and end after at most `timeout` milliseconds.
    /// Connections without a request may begin one for `idle` milliseconds, which is then their last:
    /// a client may have sent it already.
    case drain(timeout: Int, idle: Int)
    case reopenLogs

    // Command line to supervisor, and back.
    case command(SupervisorCommand)
    /// How the command ended, in words for the person who gave it.
    case report(succeeded: Bool, text: String)

    /// How many descriptors must come with the message.
    public var descriptorCount: Int {
        switch self {
        case .hello(let hello): hello.sockets.count
        case .listen(let sockets): sockets.count
        case .applied, .rejected, .drained, .feed, .apply, .join, .drain, .reopenLogs, .command, .report: 0
        }
    }
}

extension ControlMessage {
    /// The message as one protobuf field whose number names its kind (a `oneof`).
    public var payload: [UInt8] {
        var out = WireWriter()
        switch self {
        case .hello(let hello): out.put(1, message: hello)
        case .applied(let revision): out.put(2, message: Outcome(revision: revision))
        case .rejected(let revision, let reason): out.put(3, message: Outcome(revision: revision, text: reason))
        case .drained: out.put(4, message: Outcome())
        case .listen(let sockets): out.put(5, message: Sockets(sockets: sockets))
        case .apply(let revision, let snapshot):
            // The revision first, so that it is known although the snapshot may be broken.
            out.put(6, message: Configuration(revision: revision, snapshot: snapshot))
        case .drain(let timeout, let idle): out.put(7, message: Patience(timeout: timeout, idle: idle))
        case .reopenLogs: out.put(8, message: Outcome())
        case .command(let command): out.put(9, command)
        case .report(let succeeded, let text):
            out.put(10, message: Outcome(revision: succeeded ? 1 : 0, text: text))
        case .join(let join): out.put(11, message: join)
        case .feed(let news): out.put(12, message: news)
        }
        return out.bytes
    }

    /// Reads what `payload` wrote; nil for a kind that this version does not know.
    public init?(payload bytes: Bytes) throws(WireError) {
        var reader = WireReader(bytes)
        var found: ControlMessage?
        while let field = try reader.nextField() {
            if let message = try Self.read(field, from: &reader) { found = message }
        }
        guard let found else { return nil }
        self = found
    }

    private static func read(_ field: Int, from reader: inout WireReader) throws(WireError) -> ControlMessage? {
        switch field {
        case 1: return .hello(try reader.message())
        case 2: return .applied(revision: (try reader.message() as Outcome).revision)
        case 3:
            let outcome: Outcome = try reader.message()
            return .rejected(revision: outcome.revision, reason: outcome.text)
        case 4:
            try reader.skip()
            return .drained
        case 5: return .listen((try reader.message() as Sockets).sockets)
        case 6:
            let configuration: Configuration = try reader.message()
            return .apply(revision: configuration.revision, snapshot: configuration.snapshot)
        case 7:
            let patience: Patience = try reader.message()
            return .drain(timeout: patience.timeout, idle: patience.idle)
        case 8:
            try reader.skip()
            return .reopenLogs
        case 9: return .command(try reader.value())
        case 10:
            let outcome: Outcome = try reader.message()
            return .report(succeeded: outcome.revision != 0, text: outcome.text)
        case 11: return .join(try reader.message())
        case 12: return .feed(try reader.message())
        default:
            try reader.skip()
            return nil
        }
    }
}

/// A number and a text: enough for most messages.
private struct Outcome: WireMessage {
    var revision: UInt64 = 0
    var text = ""

    init() {}
    init(revision: UInt64, text: String = "") {
        self.revision = revision
        self.text = text
    }

    func encode(into out: inout WireWriter) {
        out.put(1, revision)
        out.put(2, text)
    }

    mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
        switch field {
        case 1: revision = try reader.unsigned()
        case 2: text = try reader.string()
        default: try reader.skip()
        }
    }
}

private struct Patience: WireMessage {
    var timeout = 0
    var idle = 0

    init() {}
    init(timeout: Int, idle: Int) {
        self.timeout = timeout
        self.idle = idle
    }

    func encode(into out: inout WireWriter) {
        out.put(1, timeout)
        out.put(2, idle)
    }

    mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
        switch field {
        case 1: timeout = max(0, try reader.int())
        case 2: idle = max(0, try reader.int())
        default: try reader.skip()
        }
    }
}

private struct Sockets: WireMessage {
    var sockets: [ListenSocket] = []

    init() {}
    init(sockets: [ListenSocket]) { self.sockets = sockets }

    func encode(into out: inout WireWriter) { out.put(1, messages: sockets) }

    mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
        switch field {
        case 1: sockets.append(try reader.message())
        default: try reader.skip()
        }
    }
}

private struct Configuration: WireMessage {
    var revision: UInt64 = 0
    var snapshot: [UInt8] = []

    init() {}
    init(revision: UInt64, snapshot: [UInt8]) {
        self.revision = revision
        self.snapshot = snapshot
    }

    func encode(into out: inout WireWriter) {
        out.put(1, revision)
        out.put(2, snapshot)
    }

    mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
        switch field {
        case 1: revision = try reader.unsigned()
        case 2: snapshot = try reader.data()
        default: try reader.skip()
        }
    }
}
