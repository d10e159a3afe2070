// cors: answers preflights and marks responses (the Fetch standard's CORS protocol, Kong's choices).

import Bytes
import HTTP
import Snapshot

final class CORSFilter: FilterInstance, @unchecked Sendable {
    private let config: CORS
    private let rule: OriginRule
    private let methods: [UInt8]
    private let headers: [UInt8]
    private let exposed: [UInt8]

    init(_ config: CORS) {
        self.config = config
        rule = OriginRule(config.origins)
        methods = HeaderText.clean(config.methods.joined(separator: ","))
        headers = HeaderText.clean(config.headers.joined(separator: ","))
        exposed = HeaderText.clean(config.exposedHeaders.joined(separator: ","))
    }

    override var name: StaticString { "cors" }
    override var hasResponsePhase: Bool { true }

    private static let allowOrigin: StaticString = "Access-Control-Allow-Origin"
    private static let allowCredentials: StaticString = "Access-Control-Allow-Credentials"

    /// A browser's question whether it may ask.
    private func isPreflight(_ x: Exchange) -> Bool {
        x.request.method == .options && x.requestHeaders.contains(.origin)
            && x.requestHeaders.contains(.accessControlRequestMethod)
    }

    override func access(_ x: Exchange) -> FilterVerdict {
        guard isPreflight(x), !config.preflightContinue else { return .next }
        x.setReply(200)
        let reply = x.replyHeaders
        setOrigin(x, in: reply)
        if !headers.isEmpty {
            headers.withBytes { reply.set(Bytes("Access-Control-Allow-Headers"), $0) }
        } else if let asked = x.requestHeaders.first(.accessControlRequestHeaders) {
            reply.set(Bytes("Access-Control-Allow-Headers"), asked)
        }
        methods.withBytes { methods in
            let standard = Bytes("GET,HEAD,PUT,PATCH,POST,DELETE,OPTIONS,TRACE,CONNECT")
            reply.set(Bytes("Access-Control-Allow-Methods"), methods.isEmpty ? standard : methods)
        }
        if config.maxAge >= 0 {
            let text = x.worker.scratch
            text.clear()
            text.append(decimal: config.maxAge)
            reply.set(Bytes("Access-Control-Max-Age"), text.readable)
        }
        if config.privateNetwork,
            x.requestHeaders.first(named: Bytes("Access-Control-Request-Private-Network")).map({ $0 == "true" })
                ?? false
        {
            reply.set(Bytes("Access-Control-Allow-Private-Network"), Bytes("true"))
        }
        return .reply
    }

    /// A preflight was answered above, or is the upstream's to answer.
    override func response(_ x: Exchange) {
        guard !isPreflight(x), config.allowOriginAbsent || x.requestHeaders.contains(.origin) else { return }
        setOrigin(x, in: x.responseHeaders)
        if !exposed.isEmpty {
            exposed.withBytes { x.responseHeaders.set(Bytes("Access-Control-Expose-Headers"), $0) }
        }
    }

    private func setOrigin(_ x: Exchange, in headers: HeaderBlock) {
        let origin = x.requestHeaders.first(.origin)
        let answer = rule.answer(to: origin, normalised: x.worker.scratch)
        if answer.varies { addVary(headers) }
        switch answer.verdict {
        case .any:
            // `*` and credentials do not go together: the origin is named instead.
            if config.credentials, let origin {
                if !answer.varies { addVary(headers) }
                headers.set(.accessControlAllowOrigin, origin)
                headers.set(Bytes(Self.allowCredentials), Bytes("true"))
            } else {
                headers.set(.accessControlAllowOrigin, Bytes("*"))
            }
            return
        case .value(let value): headers.set(.accessControlAllowOrigin, value)
        case .fixed: rule.fixed.withBytes { headers.set(.accessControlAllowOrigin, $0) }
        case .refused: headers.removeAll(.accessControlAllowOrigin)
        }
        if config.credentials { headers.set(Bytes(Self.allowCredentials), Bytes("true")) }
    }

    private func addVary(_ headers: HeaderBlock) { headers.add(.vary, Bytes("Origin")) }
}
