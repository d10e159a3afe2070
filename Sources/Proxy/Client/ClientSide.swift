// What an exchange knows of whoever asked: the same for every version of HTTP.

import Bytes
import Engine
import HTTP

/// What comes next of a message's body. Whoever asks takes all of it: the bytes are valid until the
/// next call.
enum BodyPiece {
    /// `last`: the body ends with it, without trailers.
    case data(Bytes, last: Bool)
    /// The body is complete; trailers are where the owner of the body keeps them.
    case end
    /// Nothing now; its owner calls when there is more.
    case wait
    /// The framing is broken.
    case malformed
    /// The peer ended in the middle of it.
    case broken
}

/// The client's side of one exchange: an HTTP/1.1 connection between two requests, or an HTTP/2 stream.
protocol ClientSide: AnyObject {
    /// The connection that the request came by.
    var transport: ClientTransport { get }

    /// Sets when `clientTimedOut` is called, in the loop's milliseconds; `.max`: never.
    func setDeadline(_ deadline: Int64)
    var deadline: Int64 { get }
    /// Asks to be called again at the end of the turn: others are to be served too.
    func callAgain()

    // MARK: The request's body

    /// At most `limit` bytes that come next; 0 or less: none are wanted now.
    func readBody(_ limit: Int) -> BodyPiece
    /// Drops what is left of the body if all of it is here already. False: it is not.
    func skipBody() -> Bool

    // MARK: The answer

    /// Whether the next answer is the connection's last whatever the request says.
    var isLastRequest: Bool { get }
    /// `100 Continue`.
    func sendContinue()
    /// A 1xx head with the exchange's response fields. False: the connection is broken.
    func sendInterim(_ exchange: Exchange) -> Bool
    /// Begins the final head; its fields go to the writer.
    func beginHead(_ status: Int, _ reason: Bytes) -> FieldWriter
    /// Writes what says where the body ends. `.none`: there is none, and no length is known.
    func writeFraming(_ framing: BodyFraming, _ exchange: Exchange)
    /// Writes what turns the answer into a switch of protocols.
    func writeUpgrade(_ exchange: Exchange)
    /// Ends the head. Nothing need be sent before `flush`. `ends`: no body follows.
    func endHead(ends: Bool)
    /// How many bytes of the body it takes now; 0: it will call `clientWritable`.
    /// - Parameter limit: how much may wait to be sent.
    func room(_ limit: Int) -> Int
    /// More of the body. What cannot be sent at once is kept. False: the connection is broken.
    func sendBody(_ bytes: Bytes, last: Bool) -> Bool
    /// The end of the body, with the trailers that may cross.
    func endBody(_ exchange: Exchange) -> Bool
    /// Sends what was written. False: the connection is broken.
    func flush(_ exchange: Exchange) -> Bool

    // MARK: The end

    /// The response is complete. `keep`: the connection may go on to its next request.
    func exchangeFinished(keep: Bool, linger: Bool)
    /// Breaks off, so that the client cannot take a part for the whole.
    func abort()
    /// From now on bytes pass as they are, for `tunnel`.
    func begin(_ tunnel: Tunnel)
}
