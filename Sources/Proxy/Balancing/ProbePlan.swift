// Decides when which endpoint is probed.

import Bytes
import Snapshot

/// A state machine: fed time and results, gives probes to run. Nanoseconds are monotonic.
///
/// Available endpoints are probed every `healthyInterval`, others every `unhealthyInterval`; an
/// interval of 0 means never. The first probe comes after one interval. Intervals vary by a tenth,
/// per endpoint and the same at each start, so that many endpoints are not probed at once.
struct ProbePlan {
    private struct Item {
        var cell: Int32
        var startedAt: Int64
        /// 0.9 to 1.1.
        var jitter: Double
        var isRunning = false
    }

    private struct Group {
        var items: [Item] = []
        var policy: HealthPolicy
        var concurrency: Int
        var running = 0
    }

    /// A probe to run; tell `finished` when it ended.
    struct Probe: Equatable, Sendable {
        var cluster: ID
        var cell: Int32
    }

    private var groups: [ID: Group] = [:]
    private(set) var runningCount = 0

    /// Probes in flight over all clusters; others wait.
    static let runningMax = 256
    /// Workers eject endpoints without telling the plan: it looks at least this often.
    static let lookNanoseconds: Int64 = 1_000_000_000

    init() {}

    var isEmpty: Bool { groups.isEmpty }

    /// Adopts a cluster's endpoints (cells of the health board) and settings. Endpoints that stay
    /// keep their time of the last probe.
    mutating func set(_ cluster: ID, cells: [Int32], policy: HealthPolicy, concurrency: Int, now: Int64) {
        guard policy.healthyInterval > 0 || policy.unhealthyInterval > 0, !cells.isEmpty else {
            remove(cluster)
            return
        }
        let old = groups[cluster]?.items ?? []
        var group = Group(policy: policy, concurrency: max(concurrency, 1))
        for cell in cells where cell >= 0 {
            let known = old.first { $0.cell == cell }
            let item = known ?? Item(cell: cell, startedAt: now, jitter: Self.jitter(cell))
            if item.isRunning { group.running += 1 }
            group.items.append(item)
        }
        for item in old where item.isRunning && !cells.contains(item.cell) { runningCount -= 1 }
        groups[cluster] = group
    }

    mutating func remove(_ cluster: ID) {
        runningCount -= groups.removeValue(forKey: cluster)?.running ?? 0
    }

    /// Probes to start now.
    mutating func due(now: Int64, isAvailable: (Int32) -> Bool) -> [Probe] {
        var probes: [Probe] = []
        for cluster in groups.keys.sorted() {
            guard var group = groups[cluster] else { continue }
            // Longest waiting first: with little concurrency every endpoint gets its turn.
            let waiting = group.items.indices.filter { index in
                let at = Self.dueTime(group.items[index], group.policy, isAvailable)
                return !group.items[index].isRunning && at <= now
            }.sorted { group.items[$0].startedAt < group.items[$1].startedAt }
            for index in waiting {
                guard group.running < group.concurrency, runningCount < Self.runningMax else { break }
                group.items[index].isRunning = true
                group.items[index].startedAt = now
                group.running += 1
                runningCount += 1
                probes.append(Probe(cluster: cluster, cell: group.items[index].cell))
            }
            groups[cluster] = group
        }
        return probes
    }

    /// A probe has ended, however it went.
    mutating func finished(_ probe: Probe) {
        guard let index = groups[probe.cluster]?.items.firstIndex(where: { $0.cell == probe.cell && $0.isRunning })
        else { return }
        groups[probe.cluster]?.items[index].isRunning = false
        groups[probe.cluster]?.running -= 1
        runningCount -= 1
    }

    /// When to call `due` next; `Int64.max` without anything to probe.
    func deadline(now: Int64, isAvailable: (Int32) -> Bool) -> Int64 {
        var next = groups.isEmpty ? Int64.max : now + Self.lookNanoseconds
        for group in groups.values where group.running < group.concurrency {
            for item in group.items where !item.isRunning {
                next = min(next, Self.dueTime(item, group.policy, isAvailable))
            }
        }
        return next
    }

    private static func dueTime(_ item: Item, _ policy: HealthPolicy, _ isAvailable: (Int32) -> Bool) -> Int64 {
        let interval = isAvailable(item.cell) ? policy.healthyInterval : policy.unhealthyInterval
        guard interval > 0 else { return .max }
        return item.startedAt + Int64(interval * item.jitter * 1e9)
    }

    private static func jitter(_ cell: Int32) -> Double {
        let mixed = UInt64(UInt32(bitPattern: cell)) &* 0x9E37_79B9_7F4A_7C15 >> 54
        return 0.9 + 0.2 * Double(mixed) / 1024
    }
}
