// A control plane's configurations put in effect, and what the control plane is told of this gateway.

import Engine
public import Snapshot
import Telemetry

/// What a proxy that runs from a control plane knows besides its configuration.
struct Feeding {
    let feed: ConfigurationFeed
    /// Settings and listeners.
    var base: Snapshot
    /// The supervisor's number of the base.
    var revision: UInt64
    /// The supervisor's number that it was told is in effect; 0: none yet.
    var answered: UInt64 = 0
}

extension ProxyProcess: FeedOwner {
    // MARK: From the supervisor

    public func join(_ join: Join, base: Snapshot) {
        guard var known = feeding else { return begin(join, base) }
        let isSameBase = known.base.wire == base.wire
        known.base = base
        known.revision = join.revision
        // Whoever asks again has not heard the answer.
        known.answered = 0
        feeding = known
        known.feed.change(to: join)
        if known.feed.tables.effective == nil { known.feed.tellOfWaiting() }
        guard let effective = known.feed.tables.adopting ?? known.feed.tables.effective else { return }
        if isSameBase { return known.feed.tables.effective == nil ? () : answer() }
        do throws(SnapshotRefusal) {
            try put(effective.tables)
        } catch {
            channel?.rejected(join.revision, reason: error.description)
        }
    }

    private func begin(_ join: Join, _ base: Snapshot) {
        let feed = ConfigurationFeed(
            join, loop: loop, buffers: buffers, names: Self.resolution(options),
            stateDirectory: options.stateDirectory, version: options.version, workers: options.workers, owner: self)
        // What is wrong with the base itself is found now, not when a configuration comes.
        do throws(SnapshotRefusal) {
            if running == nil {
                try install(numbered(base), serves: false)
            }
        } catch {
            channel?.rejected(join.revision, reason: error.description)
            return
        }
        feeding = Feeding(feed: feed, base: base, revision: join.revision)
        feed.start()
    }

    /// Whatever the control plane sent stays in effect; nothing more is taken from it.
    func endFeed() {
        feeding?.feed.stop()
        feeding = nil
    }

    // MARK: From the feed

    func put(_ tables: Snapshot) throws(SnapshotRefusal) {
        guard let feeding else { return }
        var whole = tables
        whole.settings = feeding.base.settings
        whole.listeners = feeding.base.listeners
        try install(numbered(whole))
    }

    /// Workers and the directory of clusters know configurations by a number of our own: the control plane's may come
    /// again, with another base.
    private func numbered(_ snapshot: Snapshot) -> Snapshot {
        var snapshot = snapshot
        snapshot.revision = (running?.snapshot.revision ?? 0) &+ 1
        return snapshot
    }

    /// Every worker has what was put last.
    func feedAdopted() {
        feeding?.feed.adopted()
        if feeding?.feed.tables.effective != nil { answer() }
    }

    private func answer() {
        guard let revision = feeding?.revision, feeding?.answered != revision else { return }
        feeding?.answered = revision
        channel?.applied(revision)
    }

    func tell(_ news: FeedNews) { channel?.tell(news) }

    // MARK: Reports

    var healthGeneration: UInt64 { board.generation }

    var gatewayReport: GatewayReport {
        var report = GatewayReport()
        let totals = RequestTotals(metrics)
        report.requests = UInt64(clamping: totals.requests)
        report.errors = UInt64(clamping: totals.errors)
        report.connections = totals.connections
        report.latencyBounds = totals.latencyBounds
        report.latencyCounts = totals.latencyCounts
        report.residentBytes = UInt64(clamping: Memory.resident)
        report.startedAt = startedAt * 1000
        report.targets = targetReports
        return report
    }

    private var targetReports: [TargetReport] {
        guard let running else { return [] }
        var all: [TargetReport] = []
        for (cluster, list) in zip(running.snapshot.clusters, directory.lists) where cluster.isUpstream {
            var resolved = Set<Int>()
            for endpoint in list.endpoints {
                guard all.count < Self.targetsMax, cluster.targets.indices.contains(endpoint.target) else { continue }
                resolved.insert(endpoint.target)
                var report = TargetReport()
                report.upstream = cluster.id
                report.target = cluster.targets[endpoint.target].id
                report.address = "\(Endpoint.literal(endpoint.address)):\(endpoint.port)"
                report.state =
                    endpoint.cell < 0 ? .unchecked : board.state(endpoint.cell).isAvailable ? .healthy : .unhealthy
                all.append(report)
            }
            for (index, target) in cluster.targets.enumerated()
            where !resolved.contains(index) && all.count < Self.targetsMax {
                var report = TargetReport()
                report.upstream = cluster.id
                report.target = target.id
                report.state = .dnsError
                all.append(report)
            }
        }
        return all
    }

    /// Targets in one report at most.
    private static let targetsMax = 10_000
}
