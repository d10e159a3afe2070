// request-size-limiting: bodies up to a size, no larger.

import Bytes
import HTTP
import Snapshot

final class RequestSizeLimitingFilter: FilterInstance, @unchecked Sendable {
    private let limit: Int
    private let requiresLength: Bool

    init(_ config: RequestSizeLimiting) {
        let (bytes, overflow) = config.allowedPayloadSize.multipliedReportingOverflow(by: config.sizeUnit.bytes)
        limit = overflow ? .max : max(0, bytes)
        requiresLength = config.requireContentLength
    }

    override var name: StaticString { "request-size-limiting" }

    override func access(_ x: Exchange) -> FilterVerdict {
        switch x.request.framing {
        case .length(let n): return n > limit ? refuse(x) : .next
        case .none, .untilClose:
            // No body; a length of 0 may have been said.
            if requiresLength, !x.requestHeaders.contains(.contentLength) { return refuseLength(x) }
            return .next
        case .chunked:
            if requiresLength { return refuseLength(x) }
            if let body = x.requestBody { return body.count > limit ? refuse(x) : .next }
            x.bodyLimit = min(x.bodyLimit, limit)
            return .next
        }
    }

    private func refuse(_ x: Exchange) -> FilterVerdict {
        x.replyError(x.request.expectsContinue ? 417 : 413, Bytes("Request size limit exceeded"))
    }

    private func refuseLength(_ x: Exchange) -> FilterVerdict {
        x.replyError(411, Bytes("A valid Content-Length header is required"))
    }
}
