// Certificates: the first by a join token, later ones by those before; and what to do when there is none any more.

import Bytes
import Engine
import HTTP
import Snapshot
import Telemetry

extension ConfigurationFeed {
    // MARK: Join

    func askToJoin(_ connection: FeedConnection) {
        guard let token, let request = GatewayKey(pem: newKey)?.certificateRequest(name: join.name) else {
            return failed("no certificate request can be made")
        }
        var message = JoinRequest()
        message.token = token.secret
        message.certificateRequest = request
        message.name = join.name
        message.labels = join.labels
        message.version = version
        message.gateway = formerGateway
        if connection.call(.join, message.wire, last: true) == nil { failed("it takes no calls") }
    }

    /// The id it had: a gateway that joins again stays the same one where the control plane agrees.
    private var formerGateway: ID { identity?.gateway ?? files.identity?.gateway ?? ID() }

    func joinEnded(_ status: GRPCStatus, isRefusal: Bool) {
        // What was answered has been dealt with, and the connection replaced.
        guard connection != nil, stream == nil else { return }
        if isRefusal || status.code == GRPCStatus.invalidArgument {
            joinAt = loop.now + Self.refusedPause
            hangUp()
            trouble("\(facts.address) does not let this gateway join: \(status.message)")
            return redial(after: Self.refusedPause)
        }
        failed(status.message.isEmpty ? "it did not answer the request to join" : status.message)
    }

    // MARK: Renew

    /// At half of a certificate's life a new one is asked for, with a new key.
    func renewIfDue() {
        guard let connection, let identity, newKey.isEmpty, loop.now >= renewAt,
            identity.standing(now: unixSeconds) == .due
        else { return }
        guard let key = GatewayKey(), let pem = key.pem, let request = key.certificateRequest(name: join.name) else {
            return
        }
        renewAt = loop.now + Self.renewPause(identity)
        var message = RenewRequest()
        message.certificateRequest = request
        if connection.call(.renew, message.wire, last: true) != nil { newKey = pem }
    }

    /// Milliseconds before a renewal that failed is tried again: a twentieth of the certificate's life, at most a
    /// minute.
    private static func renewPause(_ identity: FeedIdentity) -> Int64 {
        let life = max(0, min(identity.notAfter &- identity.notBefore, 86_400))
        return min(refusedPause, max(500, Int64(life) * 1000 / 20))
    }

    func renewEnded(_ status: GRPCStatus, isRefusal: Bool) {
        newKey = ""
        if isRefusal { return refused(status.message, pause: 0) }
        if status.code != GRPCStatus.ok {
            trouble("\(facts.address) gave no new certificate: \(status.message)")
        }
    }

    // MARK: What both answer

    func took(_ message: [UInt8], _ call: FeedCall) {
        let credentials = try? message.withBytes { (bytes) throws(WireError) in try Credentials(wire: bytes) }
        var next = FeedIdentity()
        let pinned = call.method == .join ? token?.authority : identity?.pinned
        guard let credentials, let pinned, next.take(credentials, key: newKey, pinned: pinned),
            Self.fits(next)
        else { return failed("the certificate that it gave cannot be used") }
        let error = files.store(next)
        if error != 0 { trouble("the certificate cannot be stored: \(errorText(error))") }
        identity = next
        // A certificate that is refused at once must not be asked for again and again.
        if call.method == .join { joinAt = loop.now + Self.joinPause(next) }
        // The new certificate opens a new stream, which goes on where this one was.
        hangUp()
        redial(after: 0)
    }

    private static func joinPause(_ identity: FeedIdentity) -> Int64 {
        min(refusedPause, Int64(max(1, min(identity.notAfter &- identity.notBefore, 60))) * 1000)
    }

    private static func fits(_ identity: FeedIdentity) -> Bool {
        let own = TLSIdentity(chain: identity.certificate, key: identity.key)
        return (try? TLSClient(verify: true, depth: nil, authorities: [identity.authorities], identity: own)) != nil
    }

    // MARK: Refusal

    /// The certificate is of no use any more: the gateway serves on, and asks to join again.
    ///
    /// - Parameter pause: milliseconds before it does.
    func refused(_ reason: String, pause: Int64) {
        hangUp()
        newKey = ""
        owner.tell(
            FeedNews(
                .revoked, revision: facts.revision,
                "\(facts.address) does not accept this gateway any more: \(reason); it serves on with what it has"))
        if identity != nil { files.forgetIdentity() }
        identity = nil
        joinAt = max(joinAt, loop.now + pause)
        redial(after: max(pause, joinAt - loop.now))
    }
}
