// Why a request was turned away before it reached an operation; each API says it in its own form.

public import HTTPTypes

public enum AccessError: Error, Sendable, Equatable {
    /// No credential, or none that is valid.
    case unauthenticated(String)
    /// Known, but not allowed to do this.
    case denied(String)
    /// Too many guesses from one address; worth trying again after so many seconds.
    case throttled(seconds: Int)
    /// A name that this listener does not answer to: what DNS rebinding looks like.
    case misdirected(host: String)
    /// Sent by a page of another site.
    case crossOrigin(String)
    /// Nobody can be authenticated while the store does not answer.
    case unavailable(String)

    public var status: HTTPResponse.Status {
        switch self {
        case .unauthenticated: .unauthorized
        case .denied, .crossOrigin: .forbidden
        case .throttled: .tooManyRequests
        case .misdirected: .misdirectedRequest
        case .unavailable: .serviceUnavailable
        }
    }

    /// For the user: what is wrong and what to do about it.
    public var message: String {
        switch self {
        case .unauthenticated(let reason): reason
        case .denied(let rule): "not allowed: this needs \(rule)"
        case .throttled(let seconds):
            "too many unknown tokens from this address; try again in \(seconds) seconds"
        case .misdirected(let host):
            "the Host \"\(host)\" is not served here; use localhost or 127.0.0.1, or start with --allow-host \(host)"
        case .crossOrigin(let origin): "requests from pages of \(origin) are not accepted"
        case .unavailable(let reason): "the store does not answer: \(reason)"
        }
    }

    /// What goes with the status: RFC 9110 sections 10.2.3 and 11.6.1.
    public var fields: HTTPFields {
        var fields = HTTPFields()
        switch self {
        case .unauthenticated: fields[.wwwAuthenticate] = "Bearer realm=\"seaway\""
        case .throttled(let seconds): fields[.retryAfter] = String(seconds)
        case .unavailable: fields[.retryAfter] = "1"
        case .denied, .misdirected, .crossOrigin: break
        }
        return fields
    }
}
