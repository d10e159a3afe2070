// What an exchange knows of the one who answers: the same for every version of HTTP.

import Bytes
import HTTP

/// How far the response's head is.
enum HeadRead {
    case wait
    /// A 1xx head is in the exchange's response.
    case interim
    /// The final head is.
    case final
    /// The upstream agreed to a WebSocket: 101, or 2xx to an extended CONNECT.
    case switched
    case failed(UpstreamFailure)
}

/// The upstream's side of one exchange: an HTTP/1.1 connection, or an HTTP/2 stream.
protocol UpstreamSide: AnyObject {
    /// Sets when `upstreamTimedOut` is called, in the loop's milliseconds; `.max`: never.
    func setDeadline(_ deadline: Int64)
    /// Asks to be called again at the end of the turn: others are to be served too.
    func callAgain()
    /// As `callAgain`, if there are bytes that were not looked at.
    func callIfReadable()

    // MARK: The request

    /// Whether the request's head can have been sent: before it, a body would be taken for a head.
    var takesBody: Bool { get }
    /// Sends the head, and the body if it is in memory. False: the connection is broken.
    func sendRequest(_ exchange: Exchange) -> Bool
    /// How many bytes of the body it takes now; 0: it will call `upstreamWritable`.
    /// - Parameter limit: how much may wait to be sent.
    func room(_ limit: Int) -> Int
    /// More of the body. False: the connection is broken.
    func sendBody(_ bytes: Bytes, last: Bool) -> Bool
    /// The end of the body, with the trailers that may cross. False: the connection is broken.
    func endBody(_ exchange: Exchange) -> Bool
    /// Sending failed: an answer that came before is looked for.
    func writeFailed()

    // MARK: The response

    func readHead(_ exchange: Exchange) -> HeadRead
    /// At most `limit` bytes that come next; 0 or less: none are wanted now. Trailers are put into the
    /// exchange.
    func readBody(_ limit: Int) -> BodyPiece

    // MARK: The end

    /// The exchange is done with it. `reusable`: both messages ended where they should.
    func release(reusable: Bool)
    /// Ends it: what is in progress is of no use.
    func close()
    /// From now on bytes pass as they are, for `tunnel`.
    func begin(_ tunnel: Tunnel)
}

/// Why an attempt at an upstream failed.
enum UpstreamFailure {
    case connect
    case connectTimeout
    case write
    case writeTimeout
    case readTimeout
    /// It closed before a complete head.
    case closed
    case reset
    /// It said that it has not looked at the request (HTTP/2's REFUSED_STREAM, or a GOAWAY).
    case refused
    /// It sent something that is no response.
    case malformed(ResponseFault)

    var isBrokenConnection: Bool {
        switch self {
        case .write, .closed, .reset: true
        case .connect, .connectTimeout, .writeTimeout, .readTimeout, .refused, .malformed: false
        }
    }
}
