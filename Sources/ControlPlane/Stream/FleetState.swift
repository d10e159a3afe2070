// Who gets which revision when: the state of all streams, without a socket, a clock or a task.

internal import Snapshot

/// What one gateway's stream is to do next.
enum StreamStep: Equatable, Sendable {
    /// Nothing until it is woken.
    case wait
    /// Send `to`; `from` is what the gateway can build on, nil: nothing.
    case send(from: EditionKey?, to: EditionKey)
    /// Say this and end.
    case end(ControlPlaneMessage.Farewell)
}

/// All streams of this control plane and the revisions they are to have.
///
/// A stream has at most one configuration under way. What is published meanwhile waits, and only the newest of it:
/// a slow gateway is sent fewer revisions, never a queue of them.
struct FleetState {
    /// A revision that streams may be sent, and what it chooses gateways by.
    struct Target: Equatable, Sendable {
        var revision: UInt64
        var keys: Set<String> = []
    }

    /// While a rollout runs: gateways without these labels stay at `base`.
    struct Hold: Equatable, Sendable {
        var base: Target
        var canary: [String: String]
    }

    struct Stream {
        var labels: [String: String]
        /// What the gateway has and a delta may build on; nil: a full configuration is due.
        var base: EditionKey?
        /// Acknowledged on this stream.
        var acknowledged: EditionKey?
        /// Sent and not answered.
        var underWay: (key: EditionKey, isFull: Bool)?
        /// Rejected; not sent again.
        var rejected: UInt64?
        var farewell: ControlPlaneMessage.Farewell?
    }

    private(set) var head: Target?
    private(set) var hold: Hold?
    private(set) var streams: [UInt64: Stream] = [:]

    // MARK: What is to be had

    /// - Returns: streams that have something to do now.
    mutating func publish(_ head: Target, hold: Hold?) -> [UInt64] {
        self.head = head
        self.hold = hold
        return streams.keys.filter { next($0) != .wait }
    }

    /// What gateways with these labels are to have; nil: nothing was published yet.
    func target(_ labels: [String: String]) -> EditionKey? {
        guard let head else { return nil }
        var target = head
        if let hold, !hold.canary.allSatisfy({ labels[$0.key] == $0.value }) { target = hold.base }
        return EditionKey(revision: target.revision, selection: LabelSelection(labels, keys: target.keys))
    }

    // MARK: Streams

    mutating func open(_ stream: UInt64, labels: [String: String], base: EditionKey?) {
        streams[stream] = Stream(labels: labels, base: base)
    }

    mutating func close(_ stream: UInt64) { streams[stream] = nil }

    mutating func end(_ stream: UInt64, _ farewell: ControlPlaneMessage.Farewell) {
        streams[stream]?.farewell = farewell
    }

    func next(_ stream: UInt64) -> StreamStep {
        guard let state = streams[stream] else { return .wait }
        if let farewell = state.farewell { return .end(farewell) }
        guard state.underWay == nil, let target = target(state.labels), target != state.acknowledged,
            target.revision != state.rejected
        else { return .wait }
        return .send(from: state.base, to: target)
    }

    mutating func sent(_ stream: UInt64, _ key: EditionKey, isFull: Bool) {
        streams[stream]?.underWay = (key, isFull)
    }

    /// - Returns: whether it answers what was sent.
    mutating func applied(_ stream: UInt64, _ revision: UInt64) -> Bool {
        guard let underWay = streams[stream]?.underWay, underWay.key.revision == revision else { return false }
        streams[stream]?.underWay = nil
        streams[stream]?.base = underWay.key
        streams[stream]?.acknowledged = underWay.key
        streams[stream]?.rejected = nil
        return true
    }

    /// The gateway keeps what it had. If it could not build on that, it is sent everything, once.
    ///
    /// - Returns: whether the revision itself was refused.
    mutating func rejected(_ stream: UInt64, _ revision: UInt64, needsFull: Bool) -> Bool {
        guard let underWay = streams[stream]?.underWay, underWay.key.revision == revision else { return false }
        streams[stream]?.underWay = nil
        if needsFull { streams[stream]?.base = nil }
        if needsFull, !underWay.isFull { return false }
        streams[stream]?.rejected = revision
        return true
    }

    /// Everything that streams are to have, have or are being sent: what has to be kept to serve them.
    var editionsInUse: Set<EditionKey> {
        var keys: Set<EditionKey> = []
        for stream in streams.values {
            if let key = target(stream.labels) { keys.insert(key) }
            if let key = stream.base { keys.insert(key) }
            if let key = stream.underWay?.key { keys.insert(key) }
        }
        return keys
    }
}
