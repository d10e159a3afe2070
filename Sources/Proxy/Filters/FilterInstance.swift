// What a filter is to the exchange: phases, in the order Kong runs its plugins.

import Bytes
import HTTP
import Snapshot
import Telemetry

/// What becomes of a request after a filter's access phase.
enum FilterVerdict {
    case next
    /// The filter has set the exchange's reply; nothing goes upstream. Later filters' access phases
    /// are skipped, their response phases run.
    case reply
}

/// One filter with one configuration. Immutable and shared by all workers; what changes from request
/// to request is kept in the exchange, what is counted across workers in `SharedState`.
///
/// A subclass overrides the phases it has and says so, so that chains hold only real steps.
class FilterInstance: @unchecked Sendable {  // Subclasses hold only `let`s.
    /// Kong's plugin name, for logs and explanations.
    var name: StaticString { "" }

    /// The access phase reads or rewrites the request's body: it runs when the body is complete.
    var needsRequestBody: Bool { false }
    var hasAccessPhase: Bool { true }
    var hasResponsePhase: Bool { false }
    /// The response's body is collected and handed to `responseBody` before anything is sent.
    var needsResponseBody: Bool { false }

    /// What a prometheus filter wants counted; nil for every other filter.
    var families: MetricFamilies? { nil }

    /// Before the request goes upstream.
    func access(_ x: Exchange) -> FilterVerdict { .next }

    /// Whether a stream of this client may be carried: all that a filter can say of one.
    func admits(_ client: IPAddress) -> Bool { true }

    /// The response's head is known, from the upstream or of our own making (`x.isLocalReply`);
    /// edits of `x.responseHeaders` reach the client.
    func response(_ x: Exchange) {}

    /// The response's body is complete in `x.responseBody`; replace its content to change it.
    func responseBody(_ x: Exchange) {}
}

/// A step of a chain at run time: the configuration that applies may depend on the consumer.
struct RunningStep: Sendable {
    let base: FilterInstance?
    let overrides: [Int: FilterInstance]

    func instance(for consumer: Int) -> FilterInstance? {
        if consumer >= 0, !overrides.isEmpty, let own = overrides[consumer] { return own }
        return base
    }
}

/// The filters of a route, by falling priority.
final class RunningChain: Sendable {
    let steps: [RunningStep]
    let needsRequestBody: Bool
    let needsResponseBody: Bool
    let hasResponsePhase: Bool
    /// Where the prometheus filter stands; nil: nothing of this chain's requests is counted by route.
    private let metricsStep: RunningStep?

    init(_ steps: [RunningStep]) {
        self.steps = steps
        let all = steps.flatMap { ($0.base.map { [$0] } ?? []) + $0.overrides.values }
        needsRequestBody = all.contains { $0.needsRequestBody }
        needsResponseBody = all.contains { $0.needsResponseBody }
        metricsStep = steps.first { ($0.base ?? $0.overrides.values.first)?.families != nil }
        hasResponsePhase = all.contains { $0.hasResponsePhase || $0.needsResponseBody }
    }
}

extension RunningChain {
    /// Whether a stream of this client may be carried. Streams have no consumer.
    func admits(_ client: IPAddress) -> Bool {
        for step in steps {
            if let filter = step.base, !filter.admits(client) { return false }
        }
        return true
    }

    func families(_ consumer: Int) -> MetricFamilies? { metricsStep?.instance(for: consumer)?.families }
}
