// What an exchange does otherwise for a gRPC call: its deadline, and answers of our own.

import Bytes
import Engine
import HTTP

extension Exchange {
    /// A gRPC call: replies of our own are made for it.
    var isGRPC: Bool { request.httpVersion == 2 && ErrorBody.isGRPC(self) }

    /// Response trailers may cross without having been announced.
    var allowsTrailers: Bool { request.acceptsTrailers || isGRPC }

    /// Answers with a status of gRPC.
    /// - Parameter http: the HTTP status that log and metrics show for it; what is sent is 200.
    func answerGRPC(_ status: Int, http: Int = 200, _ message: StaticString) {
        setReply(http)
        replyHeaders.set(.contentType, Bytes(ErrorFormat.grpc.contentType))
        ErrorBody.setGRPC(status, Bytes(message), self)
        sendReply()
    }

    // MARK: Deadline

    /// Starts the clock that the call's `grpc-timeout` asks for; the upstream gets the field as well.
    func armCallDeadline() {
        guard let value = requestHeaders.first(GRPCTimeout.name), let milliseconds = GRPCTimeout.milliseconds(value)
        else { return }
        callTimer.exchange = self
        worker.loop.setDeadline(callTimer, worker.loop.now + milliseconds)
        isTimed = true
    }

    func disarmCallDeadline() {
        guard isTimed else { return }
        isTimed = false
        worker.loop.setDeadline(callTimer, .max)
    }

    /// The time is up: nobody waits for the answer any more, and the upstream may stop working on it.
    fileprivate func callTimedOut() {
        guard isTimed, !isOver else { return }
        isTimed = false
        guard stage == .responding else {
            dropUpstream()
            return answerGRPC(4, http: 504, "Deadline exceeded")
        }
        guard let client, !isLocalReply else { return }
        responseTrailers.reset(source: nil)
        responseTrailers.add(GRPCTimeout.statusName, Bytes("4"))
        responseTrailers.add(GRPCTimeout.messageName, Bytes("Deadline exceeded"))
        guard responseBody == nil, client.endBody(self), client.flush(self) else { return client.abort() }
        conclude(aborted: false)
    }
}

/// The deadline of one call.
final class CallTimer: EventHandler {
    /// Nil once the exchange is no more.
    unowned var exchange: Exchange?
    override func timedOut() { exchange?.callTimedOut() }
}

/// The field `grpc-timeout` (gRPC over HTTP/2, "Requests"): up to eight digits and a unit.
enum GRPCTimeout {
    static let name = FieldKey("grpc-timeout")
    static let statusName = FieldKey("grpc-status")
    static let messageName = FieldKey("grpc-message")

    /// The time in milliseconds, rounded up; nil for what is none.
    static func milliseconds(_ text: Bytes) -> Int64? {
        guard text.count >= 2, text.count <= 9, let value = text.prefix(text.count - 1).decimal() else { return nil }
        let count = Int64(value)
        switch text[text.count - 1] {
        case UInt8(ascii: "H"): return count * 3_600_000
        case UInt8(ascii: "M"): return count * 60_000
        case UInt8(ascii: "S"): return count * 1000
        case UInt8(ascii: "m"): return count
        case UInt8(ascii: "u"): return (count + 999) / 1000
        case UInt8(ascii: "n"): return (count + 999_999) / 1_000_000
        default: return nil
        }
    }
}
