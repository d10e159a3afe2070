// Chooses an endpoint of a cluster for a request, and learns from how it went.
//
// 1. `pick` looks whether health changed anywhere (one load), lets a due trial through, then asks
//    the algorithm for an available endpoint that this request has not tried.
// 2. The exchange connects, sends, and calls `finished` once per pick, whatever happened.
// 3. On a new snapshot or DNS answer, `update` replaces the endpoints; those that stay keep
//    their connections, averages and turns.

import Bytes
import CLinux
import Snapshot

/// The balancer of one cluster in one worker. Confined to that worker; nothing here allocates per
/// request but `update` and a request's ninth retry.
final class Balancer {
    private(set) var list: EndpointList
    private var algorithm: Algorithm
    private var policy: HealthPolicy
    private let board: HealthBoard
    private let phase: Int

    private var slots: [Slot] = []
    private var ring: [UInt16] = []
    private var budget = RetryBudget()
    private var serials: UInt32 = 0

    // Derived from the board; renewed by `refresh`.
    private var seenGeneration: UInt64 = .max
    private var availableCount = 0
    private var isHealthy = false
    private var nextTrial = Int64.max

    // Turns. Equal weights take a plain turn; others the smooth weighted one.
    private var isUniform = true
    private var turn = 0

    /// What the balancer keeps per endpoint.
    private struct Slot {
        var serial: UInt32
        var cell: Int32
        var weight: Int
        var address: IPAddress
        var port: UInt16
        var isAvailable = true
        /// Smooth weighted round-robin: grows by the weight with each pick of another.
        var credit = 0
        var connections = 0
        /// Connect plus response time in seconds, moving average; negative: none yet.
        var average = -1.0
        /// Monotonic seconds of the last change of `average`.
        var averagedAt = 0.0
        /// ln(average) + averagedAt / decay − ln(weight): orders endpoints at any moment.
        var score = -Double.infinity
    }

    /// Seconds in which an average loses 63 % of its past (Kong's DECAY_TIME).
    static let averageDecaySeconds = 10.0

    /// - Parameters:
    ///   - worker: its index; workers start their turns at different endpoints.
    init(cluster: Cluster, list: EndpointList, board: HealthBoard, worker: Int, now: Int64) {
        self.list = list
        self.board = board
        phase = worker
        algorithm = cluster.algorithm
        policy = HealthPolicy(cluster.health)
        adopt(list, now: now)
        startTurns()
    }

    /// An endpoint to try.
    struct Pick: Sendable {
        /// Position in `list.endpoints` as long as `update` is not called.
        var index: Int
        var serial: UInt32
        var isTrial: Bool
        var address: IPAddress
        var port: UInt16
    }

    enum Failure: Sendable, Equatable {
        /// 503 `name resolution failed`.
        case unresolved
        /// Too little weight is available, or none: 503 `failure to get a peer from the ring-balancer`.
        case unavailable
    }

    enum Choice: Sendable {
        case endpoint(Pick)
        case none(Failure)
    }

    // MARK: Requests

    /// Chooses an endpoint and counts a connection to it. A retry goes to an endpoint outside
    /// `tried` while an available one is left, else to one of them again.
    ///
    /// - Parameters:
    ///   - hash: `XXHash32` of the request's hash value; nil (also for an empty value) takes turns.
    ///   - tried: what this request tried; the caller inserts `serial` of each pick.
    ///   - now: monotonic nanoseconds.
    func pick(hash: UInt32?, excluding tried: borrowing Tried, now: Int64) -> Choice {
        if board.generation != seenGeneration { refresh(now: now) }
        if tried.isEmpty { budget.request(now: now) }
        if now >= nextTrial, tried.isEmpty || availableCount == 0, let index = claimTrial(now: now) {
            return .endpoint(taken(index, isTrial: true))
        }
        guard isHealthy else {
            return .none(slots.isEmpty && list.state == .unresolved ? .unresolved : .unavailable)
        }
        var index = choose(hash: hash, excluding: tried)
        if index < 0, !tried.isEmpty { index = choose(hash: hash, excluding: Tried()) }
        guard index >= 0 else { return .none(.unavailable) }
        return .endpoint(taken(index, isTrial: false))
    }

    /// Whether one more retry fits this cluster's budget; takes it if so.
    func mayRetry(now: Int64) -> Bool { budget.retry(now: now) }

    /// Ends a pick: releases its connection and records what was seen. Call once per pick.
    ///
    /// - Parameters:
    ///   - event: `.none` when nothing can be concluded (the client left).
    ///   - latency: connect plus response time in seconds, or nil when there was no response.
    func finished(_ pick: Pick, event: HealthEvent, latency: Double?, now: Int64) {
        let index = index(of: pick)
        if index >= 0 {
            slots[index].connections -= 1
            if algorithm == .latency, let latency { average(index, latency, now: now) }
        }
        if index >= 0 { report(pick, index, event, now: now) }
    }

    /// The endpoint has taken a connection that may last: what that says is recorded at once, and the
    /// pick ends later with `finished` and `.none`.
    ///
    /// - Parameter latency: what connecting took, in seconds.
    func connected(_ pick: inout Pick, latency: Double, now: Int64) {
        let index = index(of: pick)
        guard index >= 0 else { return }
        if algorithm == .latency { average(index, latency, now: now) }
        report(pick, index, .connected, now: now)
        pick.isTrial = false
    }

    private func report(_ pick: Pick, _ index: Int, _ event: HealthEvent, now: Int64) {
        let cell = slots[index].cell
        guard cell >= 0 else { return }
        if pick.isTrial {
            board.reportTrial(event, cell: cell, limits: policy.passive, now: now)
        } else if !policy.passive.confirmsHealthy(event) || board.state(cell).status != .healthy {
            board.report(event, cell: cell, from: .passive, limits: policy.passive, now: now)
        }
    }

    /// The endpoint of a pick, also after an `update`; nil when it is gone.
    func endpoint(of pick: Pick) -> Endpoint? {
        let index = index(of: pick)
        return index >= 0 ? list.endpoints[index] : nil
    }

    // MARK: Changes

    /// Adopts new settings and endpoints. Endpoints with the same target, address and port keep
    /// their connections, averages and turns.
    func update(cluster: Cluster, list: EndpointList, now: Int64) {
        algorithm = cluster.algorithm
        policy = HealthPolicy(cluster.health)
        if list === self.list { refresh(now: now) } else { adopt(list, now: now) }
    }

    /// Adopts new endpoints only (a DNS answer).
    func update(list: EndpointList, now: Int64) { adopt(list, now: now) }

    // MARK: Algorithms

    @inline(__always)
    private func choose(hash: UInt32?, excluding tried: borrowing Tried) -> Int {
        switch algorithm {
        case .roundRobin: return isUniform ? plainTurn(tried) : weightedTurn(tried)
        case .consistentHashing:
            guard let hash, !ring.isEmpty else { return isUniform ? plainTurn(tried) : weightedTurn(tried) }
            return walk(from: HashRing.slot(of: hash, count: ring.count), tried)
        case .leastConnections: return leastConnections(tried)
        case .latency: return leastLatency(tried)
        }
    }

    @inline(__always)
    private func isEligible(_ index: Int, _ tried: borrowing Tried) -> Bool {
        slots[index].isAvailable && slots[index].weight > 0 && !tried.contains(slots[index].serial)
    }

    /// All eligible endpoints weigh the same: the next one.
    private func plainTurn(_ tried: borrowing Tried) -> Int {
        var index = turn
        for _ in 0..<slots.count {
            if index >= slots.count { index = 0 }
            if isEligible(index, tried) {
                turn = index + 1
                return index
            }
            index += 1
        }
        return -1
    }

    /// Smooth weighted round-robin: in any run of Σweight picks each endpoint gets exactly its
    /// weight of them, spread evenly.
    private func weightedTurn(_ tried: borrowing Tried) -> Int {
        var best = -1
        var total = 0
        for index in slots.indices where isEligible(index, tried) {
            slots[index].credit += slots[index].weight
            total += slots[index].weight
            if best < 0 || slots[index].credit > slots[best].credit { best = index }
        }
        if best >= 0 { slots[best].credit -= total }
        return best
    }

    /// Downwards from the hashed slot to the first eligible owner.
    private func walk(from start: Int, _ tried: borrowing Tried) -> Int {
        var slot = start
        var last = HashRing.nobody
        for _ in 0..<ring.count {
            let owner = ring[slot]
            if owner != last {
                guard owner != HashRing.nobody, Int(owner) < slots.count else { return -1 }
                if isEligible(Int(owner), tried) { return Int(owner) }
                last = owner
            }
            slot = slot == 0 ? ring.count - 1 : slot - 1
        }
        return -1
    }

    /// Least (connections + 1) ÷ weight; the search starts after the last pick, so ties take turns.
    private func leastConnections(_ tried: borrowing Tried) -> Int {
        var best = -1
        var index = turn
        for _ in 0..<slots.count {
            if index >= slots.count { index = 0 }
            if isEligible(index, tried) {
                // a/b < c/d without dividing; both weights are above zero.
                if best < 0
                    || (slots[index].connections + 1) * slots[best].weight
                        < (slots[best].connections + 1) * slots[index].weight
                {
                    best = index
                }
            }
            index += 1
        }
        if best >= 0 { turn = best + 1 }
        return best
    }

    /// Least average ÷ weight over all endpoints, as Kong 3.9 compares them; ties take turns.
    private func leastLatency(_ tried: borrowing Tried) -> Int {
        var best = -1
        var index = turn
        for _ in 0..<slots.count {
            if index >= slots.count { index = 0 }
            if isEligible(index, tried), best < 0 || slots[index].score < slots[best].score { best = index }
            index += 1
        }
        if best >= 0 { turn = best + 1 }
        return best
    }

    private func average(_ index: Int, _ latency: Double, now: Int64) {
        let seconds = Double(now) / 1e9
        let weight = exp(-max(seconds - slots[index].averagedAt, 0) / Self.averageDecaySeconds)
        let past = max(slots[index].average, 0)
        slots[index].average = past * weight + max(latency, 0) * (1 - weight)
        slots[index].averagedAt = seconds
        rescore(index)
    }

    /// An idle endpoint's average decays towards 0 with time. All decay by the same factor, so
    /// comparing ln(average) + averagedAt/decay orders them as comparing decayed averages would.
    private func rescore(_ index: Int) {
        let slot = slots[index]
        guard slot.average > 0, slot.weight > 0 else {
            slots[index].score = -.infinity
            return
        }
        slots[index].score =
            log(slot.average) + slot.averagedAt / Self.averageDecaySeconds - log(Double(slot.weight))
    }

    // MARK: Picks

    @inline(__always)
    private func taken(_ index: Int, isTrial: Bool) -> Pick {
        slots[index].connections += 1
        return Pick(
            index: index, serial: slots[index].serial, isTrial: isTrial,
            address: slots[index].address, port: slots[index].port)
    }

    /// Where a pick's endpoint is now; -1 when it is gone.
    private func index(of pick: Pick) -> Int {
        if pick.index < slots.count, slots[pick.index].serial == pick.serial { return pick.index }
        return slots.firstIndex { $0.serial == pick.serial } ?? -1
    }

    /// The one trial that is due, if no other worker takes it first.
    private func claimTrial(now: Int64) -> Int? {
        var claimed: Int?
        nextTrial = .max
        for index in slots.indices where !slots[index].isAvailable && slots[index].weight > 0 {
            if claimed == nil, board.claimTrial(slots[index].cell, now: now) { claimed = index }
            nextTrial = min(nextTrial, board.trialTime(slots[index].cell))
        }
        return claimed
    }

    // MARK: State

    /// Reads every endpoint's health. Runs when the board's generation moved.
    private func refresh(now: Int64) {
        seenGeneration = board.generation
        availableCount = 0
        nextTrial = .max
        var total = 0
        var available = 0
        for index in slots.indices {
            let slot = slots[index]
            let isAvailable = slot.cell < 0 || board.state(slot.cell).isAvailable
            slots[index].isAvailable = isAvailable
            total += slot.weight
            if isAvailable {
                available += slot.weight
                if slot.weight > 0 { availableCount += 1 }
            } else if policy.allowsTrials, slot.weight > 0 {
                nextTrial = min(nextTrial, board.trialTime(slot.cell))
            }
        }
        isHealthy = total > 0 && Double(available) / Double(total) * 100 > policy.threshold
    }

    private func adopt(_ new: EndpointList, now: Int64) {
        let old = slots
        let oldEndpoints = list.endpoints
        var known: [EndpointKey: Int] = [:]
        for index in old.indices { known[EndpointKey(oldEndpoints[index])] = index }
        let next = turn < old.count ? old[turn].serial : nil
        list = new
        slots = []
        slots.reserveCapacity(new.endpoints.count)
        for endpoint in new.endpoints {
            if let index = known.removeValue(forKey: EndpointKey(endpoint)) {
                var slot = old[index]
                slot.cell = endpoint.cell
                slot.weight = endpoint.weight
                slots.append(slot)
            } else {
                serials &+= 1
                slots.append(
                    Slot(
                        serial: serials, cell: endpoint.cell, weight: endpoint.weight, address: endpoint.address,
                        port: endpoint.port))
            }
        }
        ring = new.ring?.owners ?? []
        let weights = slots.lazy.map(\.weight).filter { $0 > 0 }
        isUniform = weights.allSatisfy { $0 == weights.first }
        turn = slots.firstIndex { $0.serial == next } ?? 0
        balanceCredits()
        startAverages(now: now)
        refresh(now: now)
    }

    /// Credits sum to 0, or the turns of a removed endpoint would be owed for ever.
    private func balanceCredits() {
        let sum = slots.reduce(0) { $0 + $1.credit }
        if sum != 0, !slots.isEmpty { slots[0].credit -= sum }
    }

    /// A new endpoint starts at the mean of the known ones, so that it is not flooded.
    private func startAverages(now: Int64) {
        let known = slots.lazy.map(\.average).filter { $0 >= 0 }
        let mean = known.isEmpty ? -1 : known.reduce(0, +) / Double(known.count)
        for index in slots.indices {
            if slots[index].average < 0, mean >= 0 {
                slots[index].average = mean
                slots[index].averagedAt = Double(now) / 1e9
            }
            rescore(index)
        }
    }

    /// Workers that all began with the first endpoint would send it a burst.
    private func startTurns() {
        guard !slots.isEmpty else { return }
        if isUniform {
            turn = phase % slots.count
        } else {
            for _ in 0..<min(phase, 64) { _ = weightedTurn(Tried()) }
        }
    }
}

/// What an endpoint is the same by.
private struct EndpointKey: Hashable {
    let address: IPAddress
    let port: UInt16
    let targetName: String
    let targetPort: UInt16

    init(_ endpoint: Endpoint) {
        address = endpoint.address
        port = endpoint.port
        targetName = endpoint.targetName
        targetPort = endpoint.targetPort
    }
}
