// The consumer that stands in when nobody proves an identity.

import Bytes
import Snapshot

/// An authentication filter's `anonymous`, looked up once.
enum Anonymous: Sendable {
    /// Whoever proves nothing is refused.
    case none
    case consumer(Int)
    /// Named in the configuration, but there is no such consumer.
    case missing

    init(_ name: String, in credentials: CredentialIndex) {
        guard !name.isEmpty else {
            self = .none
            return
        }
        self = credentials.consumer(named: name).map { .consumer($0) } ?? .missing
    }

    var isConfigured: Bool {
        switch self {
        case .none: false
        case .consumer, .missing: true
        }
    }

    /// Lets the request go on as the stand-in; nil without one.
    func admit(_ x: Exchange, _ credentials: CredentialIndex) -> FilterVerdict? {
        switch self {
        case .none: return nil
        case .missing: return x.replyError(500, Bytes("An unexpected error occurred"))
        case .consumer(let index):
            x.consumer = index
            x.credential = nil
            x.credentialName = ""
            x.isAnonymous = true
            IdentityHeaders.set(x, index, credentials, identifier: nil)
            return .next
        }
    }
}
