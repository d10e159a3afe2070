// From a snapshot's filter configurations to filters that run.

import Bytes
import Snapshot

/// Makes the filters of one snapshot; what they share is built once.
final class FilterFactory {
    private let snapshot: Snapshot
    private let shared: SharedState
    private lazy var consumers = snapshot.consumers.map(\.id)
    private lazy var services = snapshot.services.map(\.id)
    private lazy var credentials = CredentialIndex(snapshot, seed: shared.seed)

    init(_ snapshot: Snapshot, shared: SharedState) {
        self.snapshot = snapshot
        self.shared = shared
    }

    func make(_ filter: Filter) -> FilterInstance {
        switch filter {
        case .none: NoFilter()
        case .keyAuth(let config): KeyAuthFilter(config, credentials)
        case .basicAuth(let config): BasicAuthFilter(config, credentials)
        case .acl(let config): ACLFilter(config, credentials)
        case .cors(let config): CORSFilter(config)
        case .ipRestriction(let config): IPRestrictionFilter(config)
        case .rateLimiting(let config):
            RateLimitingFilter(config, consumers: consumers, services: services, shared: shared)
        case .requestSizeLimiting(let config): RequestSizeLimitingFilter(config)
        case .requestTermination(let config): RequestTerminationFilter(config)
        case .requestTransformer(let config): RequestTransformerFilter(config)
        case .responseTransformer(let config): ResponseTransformerFilter(config)
        case .correlationID(let config): CorrelationIDFilter(config, shared: shared)
        case .prometheus(let config): PrometheusFilter(config)
        }
    }
}

/// Stands for a filter of a kind that this version does not know: requests must not pass it unfiltered.
private final class NoFilter: FilterInstance, @unchecked Sendable {
    override var name: StaticString { "unknown" }
    override func access(_ x: Exchange) -> FilterVerdict { x.replyError(500, Bytes("An unexpected error occurred")) }
}
