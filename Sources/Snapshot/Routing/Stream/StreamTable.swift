// Finds the stream route that takes a connection or a session of datagrams.

internal import Bytes

/// The stream routes of a snapshot, indexed. Immutable, shared by all workers and by Explain.
///
/// A look-up, step by step:
///
/// 1. the transport leads to a lane: the routes with that protocol;
/// 2. in the lane, each of the question's values leads to a list: its destination address and port,
///    the ranges that hold it, its source likewise, its server name and each wildcard over that;
/// 3. lists are in Kong's order; in each, routes are held against the question until one matches, or
///    until none can go before the best so far.
///
/// A route stands in the lists of one kind of value alone: that which fewest other routes share. One with
/// an expression stands where a value leads that it cannot match without, or in the list of all questions.
/// Nothing is allocated.
public final class StreamTable: @unchecked Sendable {  // `pool` is written by init only.
    let rules: [StreamRule]
    let addresses: [AddressCondition]
    let names: [NamePattern]
    let pool: Buffer
    let expressions: CompiledExpressions
    let seed: UInt64
    let tcp: StreamLane
    let tls: StreamLane
    let udp: StreamLane
    let passthrough: StreamLane

    /// - Parameters:
    ///   - routes: a snapshot's routes; those without a stream protocol are left out.
    ///   - seed: keys the hashes; strangers must not know it.
    public init(
        routes: [Route], seed: UInt64 = UInt64.random(in: .min ... .max)
    ) throws(RouteTableError) {
        var builder = StreamTableBuilder(seed: seed)
        try builder.add(routes)
        rules = builder.rules
        addresses = builder.addresses
        names = builder.names
        pool = builder.pool
        expressions = builder.expressions
        self.seed = seed
        tcp = builder.lane(.tcp)
        tls = builder.lane(.tls)
        udp = builder.lane(.udp)
        passthrough = builder.lane(.tlsPassthrough)
    }

    /// No stream routes.
    public var isEmpty: Bool { rules.isEmpty }

    /// Some route passes TLS on: the client's hello must be read before its TLS is ended.
    public var hasPassthrough: Bool { !passthrough.isEmpty }

    /// The route for `question`, as an index into the snapshot's routes; -1: none.
    ///
    /// With `isPassthrough`, the answer is the route that takes the bytes as they are. On a `tls`
    /// transport, -1 then also says that a route which ends TLS goes first: end it, and ask again
    /// without `isPassthrough`.
    ///
    /// - Parameter memory: the worker's, for expressions. Without it a look-up among routes with
    ///   expressions makes its own.
    public func match(_ question: StreamQuestion, memory: ExpressionMemory? = nil) -> Int {
        let rank = rank(question, expressions.count > 0 ? memory ?? ExpressionMemory() : nil)
        return rank < 0 ? -1 : Int(rules[rank].route)
    }

    /// The place of the answer in the table's order; -1: none.
    func rank(_ question: StreamQuestion, _ memory: ExpressionMemory?) -> Int {
        let none = UInt32.max
        var rank = none
        var probe = StreamProbe(question: question, checksNames: false, memory: memory)
        switch question.transport {
        case .udp:
            probe.setValues("udp")
            search(udp, probe, &rank)
        case .tcp:
            probe.setValues("tcp")
            search(tcp, probe, &rank)
            guard question.isPassthrough else { break }
            probe.checksNames = true
            probe.setValues("tls")
            search(passthrough, probe, &rank)
        case .tls:
            probe.checksNames = true
            probe.setValues("tls")
            guard question.isPassthrough else {
                search(tls, probe, &rank)
                break
            }
            search(passthrough, probe, &rank)
            let passed = rank
            if passed != none { search(tls, probe, &rank) }
            if rank != passed { rank = none }
        }
        return rank == none ? -1 : Int(rank)
    }

    // MARK: Step 2

    /// Lowers `best` to the first rule of `lane` that matches, if there is one before it.
    private func search(_ lane: borrowing StreamLane, _ probe: StreamProbe, _ best: inout UInt32) {
        guard !lane.isEmpty else { return }
        let question = probe.question
        search(lane, lane.any, probe, &best)
        search(lane, .destination, question.destination, question.destinationPort, probe, &best)
        search(lane, .source, question.source, question.sourcePort, probe, &best)
        guard probe.checksNames, lane.hasNames else { return }
        searchNames(lane, probe, &best)
    }

    private func search(
        _ lane: borrowing StreamLane, _ side: StreamKey.Side, _ address: IPAddress, _ port: UInt16,
        _ probe: StreamProbe, _ best: inout UInt32
    ) {
        let kinds = side == .destination ? lane.destinations : lane.sources
        if kinds.hasPorts { search(lane, StreamKey(side, port: port), probe, &best) }
        var at = 0
        while at < kinds.lengths.count {
            let length = kinds.lengths[at]
            at += 1
            guard length.isIPv6 == address.isIPv6 else { continue }
            search(lane, StreamKey(side, address, length: length.bits, port: 0), probe, &best)
            if length.hasPorts { search(lane, StreamKey(side, address, length: length.bits, port: port), probe, &best) }
        }
    }

    /// The whole name, each `prefix.*` and each `*.suffix` that it falls under, hashed on the way.
    private func searchNames(_ lane: borrowing StreamLane, _ probe: StreamProbe, _ best: inout UInt32) {
        let name = HostName.trimmed(probe.question.serverName)
        guard !name.isEmpty else { return }
        var hash = NameHash(seed: seed)
        var at = 0
        while at < name.count {
            hash.add(name[at])
            at += 1
            if name[at - 1] == 0x2E, lane.hasPrefixes { search(lane, StreamKey(.prefix, hash), probe, &best) }
        }
        search(lane, StreamKey(.exact, hash), probe, &best)
        guard lane.hasSuffixes else { return }
        hash = NameHash(seed: seed)
        while at > 0 {
            at -= 1
            hash.add(name[at])
            if name[at] == 0x2E { search(lane, StreamKey(.suffix, hash), probe, &best) }
        }
    }

    // MARK: Step 3

    @inline(__always)
    private func search(
        _ lane: borrowing StreamLane, _ key: StreamKey, _ probe: StreamProbe, _ best: inout UInt32
    ) {
        if let list = lane.lists[key] { search(lane, list, probe, &best) }
    }

    private func search(
        _ lane: borrowing StreamLane, _ list: Range32, _ probe: StreamProbe, _ best: inout UInt32
    ) {
        for at in list.range {
            let rank = lane.ranks[at]
            if rank >= best { return }
            if matches(rules[Int(rank)], probe) {
                best = rank
                return
            }
        }
    }

    private func matches(_ rule: StreamRule, _ probe: StreamProbe) -> Bool {
        if rule.program >= 0 {
            guard let memory = probe.memory else { return false }
            return expressions.holds(Int(rule.program), probe.values, memory)
        }
        let question = probe.question
        return holds(rule.destinations, question.destination, question.destinationPort)
            && holds(rule.sources, question.source, question.sourcePort)
            && (!probe.checksNames || holds(rule.names, question.serverName))
    }

    func holds(_ conditions: Range32, _ address: IPAddress, _ port: UInt16) -> Bool {
        if conditions.count == 0 { return true }
        for at in conditions.range {
            let condition = addresses[at]
            if condition.port != 0, condition.port != port { continue }
            if let prefix = condition.prefix, !prefix.contains(address) { continue }
            return true
        }
        return false
    }

    func holds(_ conditions: Range32, _ serverName: Bytes) -> Bool {
        if conditions.count == 0 { return true }
        let name = HostName.trimmed(serverName)
        for at in conditions.range {
            let pattern = names[at]
            let text = pool.bytes(at: Int(pattern.offset), count: Int(pattern.count))
            let isMatch =
                switch pattern.kind {
                case .any: true
                case .exact: name.equalsIgnoringCase(text)
                case .suffix:
                    name.count >= text.count && name.dropFirst(name.count - text.count).equalsIgnoringCase(text)
                case .prefix: name.prefix(text.count).equalsIgnoringCase(text)
                }
            if isMatch { return true }
        }
        return false
    }
}

/// One route, by rank: 0 is asked first.
struct StreamRule {
    var route: UInt32
    var protocols: UInt16
    /// Into `StreamTable.addresses`; one must hold.
    var sources = Range32()
    /// Likewise.
    var destinations = Range32()
    /// Into `StreamTable.names`; one must hold, where there is TLS.
    var names = Range32()
    /// In the expressions: all that counts then, and the rest only says where the rule stands; -1: none.
    var program: Int32 = -1
}

/// An entry of `sources` or `destinations`.
struct AddressCondition {
    /// Nil: any address.
    var prefix: IPPrefix?
    /// 0: any port.
    var port: UInt16
}

/// A question and what is to be looked at.
struct StreamProbe {
    let question: StreamQuestion
    var checksNames: Bool
    /// Nil if there are no expressions.
    let memory: ExpressionMemory?
    private(set) var values = ExpressionValues(networkProtocol: .empty)

    init(question: StreamQuestion, checksNames: Bool, memory: ExpressionMemory?) {
        self.question = question
        self.checksNames = checksNames
        self.memory = memory
    }

    /// What expressions see. A client that no address is known of has 0.0.0.0.
    mutating func setValues(_ networkProtocol: StaticString) {
        guard let memory else { return }
        let unknown = IPAddress(v4: 0)
        values = ExpressionValues(
            networkProtocol: Bytes(networkProtocol),
            serverName: memory.lowerCased(name: HostName.trimmed(question.serverName)),
            source: question.source == unknown ? nil : question.source, sourcePort: Int(question.sourcePort),
            destination: question.destination == unknown ? nil : question.destination,
            destinationPort: Int(question.destinationPort))
    }
}

/// The routes of one protocol, by what tells them apart.
struct StreamLane {
    /// Ranges of `ranks`.
    var lists: [StreamKey: Range32] = [:]
    /// Ascending in each list.
    var ranks: [UInt32] = []
    /// Those without any condition that counts here.
    var any = Range32()
    var sources = AddressKinds()
    var destinations = AddressKinds()
    var hasNames = false
    var hasPrefixes = false
    var hasSuffixes = false

    var isEmpty: Bool { ranks.isEmpty }

    /// Which forms of address occur, so that a look-up can leave the others out.
    struct AddressKinds {
        var hasPorts = false
        /// Each length of prefix once; exact addresses have 32 or 128 bits.
        var lengths: [PrefixLength] = []
    }

    struct PrefixLength {
        var isIPv6: Bool
        var bits: UInt8
        /// Some have a port as well.
        var hasPorts: Bool
    }
}

/// A value that routes are found by. Names are told apart by hash alone: whoever shares a list by
/// accident is held against the question all the same.
struct StreamKey: Hashable {
    enum Side: UInt8 { case source = 1, destination }
    enum Name: UInt8 { case exact = 3, prefix, suffix }

    private var high: UInt64
    private var low: UInt64
    private var port: UInt16
    /// Length of the prefix; 255: none, only a port counts.
    private var length: UInt8
    /// Side or kind of name; the upper bit is IPv6.
    private var kind: UInt8

    init(_ side: Side, port: UInt16) {
        high = 0
        low = 0
        self.port = port
        length = 255
        kind = side.rawValue
    }

    /// The first `length` bits of `address`.
    init(_ side: Side, _ address: IPAddress, length: UInt8, port: UInt16) {
        let bits = UInt64(length)
        if address.isIPv6 {
            high = address.high & Self.mask(bits, of: 64)
            low = bits > 64 ? address.low & Self.mask(bits - 64, of: 64) : 0
        } else {
            high = 0
            low = address.low & Self.mask(bits, of: 32)
        }
        self.port = port
        self.length = length
        kind = side.rawValue | (address.isIPv6 ? 0x80 : 0)
    }

    init(_ name: Name, _ hash: NameHash) {
        high = 0
        low = hash.value
        port = 0
        length = 255
        kind = name.rawValue
    }

    /// The upper `bits` of `width` bits.
    private static func mask(_ bits: UInt64, of width: UInt64) -> UInt64 {
        bits == 0 ? 0 : bits >= width ? .max : UInt64.max << (width - bits)
    }
}

/// A hash that grows by one byte at a time, whatever its case.
struct NameHash {
    private(set) var value: UInt64

    init(seed: UInt64) { value = seed }

    @inline(__always)
    mutating func add(_ byte: UInt8) {
        value = (value ^ UInt64(ASCII.lower(byte))) &* 0x9FB2_1C65_1E98_DF25
        value ^= value >> 32
    }
}
