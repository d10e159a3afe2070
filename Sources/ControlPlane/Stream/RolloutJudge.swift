// Whether a rollout goes on, is good, or has failed: by what its gateways say. No clock, no store.

internal import Model
internal import Snapshot
internal import Store

/// Looks at the gateways of one rollout again and again.
struct RolloutJudge {
    enum Verdict: Equatable, Sendable {
        /// Not yet, and what is waited for.
        case wait(String)
        case promote(String)
        case revert(String)
    }

    /// Requests and errors since a gateway's process began.
    private struct Totals {
        var requests: UInt64 = 0
        var errors: UInt64 = 0
        var startedAt = 0

        init() {}

        init(_ report: GatewayReport?) {
            requests = report?.requests ?? 0
            errors = report?.errors ?? 0
            startedAt = report?.startedAt ?? 0
        }
    }

    private let rollout: Rollout
    private let rules: RolloutRules
    /// As things were when the last gateway had acknowledged; nil: not all have.
    private var began: (time: Int64, totals: [Identifier: Totals])?

    init(_ rollout: Rollout, rules: RolloutRules) {
        self.rollout = rollout
        self.rules = rules
    }

    var id: String { rollout.id }
    var revision: UInt64 { rollout.revision }

    /// - Parameters:
    ///   - gateways: all that are known; the rollout's own are picked out.
    ///   - now: Unix milliseconds, as `Rollout.startedAt`.
    mutating func judge(_ gateways: [GatewayStatus], now: Int64) -> Verdict {
        let known = Set(rollout.gateways)
        let canaries = gateways.filter { gateway in
            gateway.record.revokedAt == 0 && rollout.isCanary(gateway.record.labels)
                && (gateway.isConnected || known.contains(gateway.id.description))
        }
        if let bad = canaries.first(where: { $0.record.rejectedRevision == rollout.revision }) {
            let entity = bad.record.rejectedEntity.isEmpty ? "" : "\(bad.record.rejectedEntity): "
            return .revert("gateway \(bad.record.name) rejected it: \(entity)\(bad.record.rejectedReason)")
        }
        if let late = canaries.first(where: { !$0.isConnected || $0.record.revision < rollout.revision }) {
            began = nil
            let what = late.isConnected ? "has not acknowledged it" : "is not connected"
            return pending("gateway \(late.record.name) \(what)", now)
        }
        guard !canaries.isEmpty else { return pending("no gateway with these labels is connected", now) }
        return watch(canaries, now)
    }

    private func pending(_ reason: String, _ now: Int64) -> Verdict {
        now - rollout.startedAt >= rules.timeout
            ? .revert("\(reason) after \(rules.timeout / 1000) s") : .wait(reason)
    }

    private mutating func watch(_ canaries: [GatewayStatus], _ now: Int64) -> Verdict {
        guard let began, Set(began.totals.keys) == Set(canaries.map(\.id)) else {
            self.began = (now, Dictionary(uniqueKeysWithValues: canaries.map { ($0.id, Totals($0.report)) }))
            return .wait("\(canaries.count) of \(canaries.count) gateways have it; watching their errors")
        }
        var before = Totals()
        var since = Totals()
        for canary in canaries {
            let then = began.totals[canary.id] ?? Totals()
            let report = Totals(canary.report)
            let isSame = report.startedAt == then.startedAt && report.requests >= then.requests
            // A process that began anew counts from nothing.
            let base = isSame ? then : Totals()
            before.requests += then.requests
            before.errors += then.errors
            since.requests += report.requests - base.requests
            since.errors += report.errors - min(base.errors, report.errors)
        }
        let rise = Self.share(since) - Self.share(before)
        if since.requests >= rules.requestsMin, rise > rules.errorRise {
            return .revert(
                "\(Self.percent(Self.share(since))) of \(since.requests) requests failed, "
                    + "\(Self.percent(Self.share(before))) before")
        }
        guard now - began.time >= rules.watch else {
            return .wait("\(canaries.count) of \(canaries.count) gateways have it; watching their errors")
        }
        return .promote(
            "\(canaries.count) gateways acknowledged it; \(since.errors) of \(since.requests) requests failed in "
                + "\((now - began.time) / 1000) s")
    }

    private static func share(_ totals: Totals) -> Double {
        totals.requests == 0 ? 0 : Double(totals.errors) / Double(totals.requests)
    }

    private static func percent(_ share: Double) -> String { "\((share * 1000).rounded() / 10) %" }
}
