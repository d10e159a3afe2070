// A gateway that follows a control plane: the proxy does, with what the supervisor gives it of its own.

import Bytes
import CLinux
import Snapshot

extension Supervisor {
    /// Settings and listeners in a snapshot's wire form with revision 0; the entities come from the control plane.
    func base() throws(Failure) -> [UInt8] {
        var snapshot = Snapshot()
        snapshot.settings = plan.settings
        snapshot.listeners = try listeners()
        token = try plan.join?.token() ?? ""
        return snapshot.wire
    }

    /// What a proxy is told.
    func order(_ plan: JoinPlan) -> Join {
        var join = Join()
        join.revision = wanted.revision
        join.base = wanted.body
        join.controlPlanes = plan.controlPlanes
        join.token = token
        join.labels = plan.labels
        join.name = plan.name
        join.fallback = plan.fallback
        return join
    }

    /// A reload: the token and the clients' authorities are files of this gateway; all else comes by itself.
    func reloadOwn() {
        let former = token
        do throws(Failure) {
            let body = try base()
            guard body != wanted.body || token != former else {
                return answer(
                    .reload, succeeded: true,
                    "unchanged: routes and services come from \(plan.origin), and --token-file and --client-ca are the same"
                )
            }
            lastRevision = max(lastRevision, wanted.revision) + 1
            wanted = Configuration(revision: lastRevision, body: body, summary: "", requestedAt: now)
            for proxy in proxies where proxy.role != .draining { send(to: proxy) }
        } catch {
            token = former
            console.error(error.message)
            answer(.reload, succeeded: false, error.message)
        }
    }

    /// What is this gateway's own is in effect: from now on a proxy that nobody answers finds it.
    func ownInEffect() {
        loader.submit(.store(wanted.snapshot, path: directory.snapshotPath))
        if let plan = plan.join {
            var stored = order(plan)
            stored.base = []
            // The token stays where its owner put it; the certificate is what a proxy needs.
            stored.token = ""
            _ = FileBytes.replace(directory.joinPath, with: stored.wire)
        }
        answer(.reload, succeeded: true, "this gateway's own settings are in effect")
    }

    /// A proxy tells of its control plane.
    func heard(_ news: FeedNews, from proxy: ProxyProcess) {
        guard proxy.role != .draining else { return }
        switch news.kind {
        case .waiting:
            // It lives and cannot do more for now: that is no failed start.
            proxy.deadline = nil
            failedStarts = 0
            let served = current.map { $0.applied != 0 } ?? false
            if proxy.role == .incoming, !served { promote(proxy) }
            if !announced { announce() }
            console.event(news.text)
        case .connected, .disconnected, .effective: console.event(news.text)
        case .rejected, .revoked, .trouble: console.error(news.text)
        }
    }
}
