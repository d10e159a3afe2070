// Bodies of the errors we answer with ourselves, in the format the client accepts.
//
// Format, spacing and messages are Kong's, because clients and tests match them; unlike Kong's,
// every message is escaped for the format it lands in.

import Bytes
import HTTP

/// The formats an error body can have.
enum ErrorFormat: Equatable {
    case json, plain, html, xml, grpc

    /// Sent as `Content-Type`.
    var contentType: StaticString {
        switch self {
        case .json: "application/json; charset=utf-8"
        case .plain: "text/plain; charset=utf-8"
        case .html: "text/html; charset=utf-8"
        case .xml: "application/xml; charset=utf-8"
        case .grpc: "application/grpc"
        }
    }

    /// The format for the media range of the highest quality in an `Accept` value (RFC 9110
    /// section 12.5.1); the first of equals. Ranges we have no format for count as JSON, as in Kong.
    /// - Parameter best: the highest quality so far in thousandths, for values that stand in several fields.
    static func preferred(_ accept: Bytes, best: inout Int) -> ErrorFormat? {
        var format: ErrorFormat?
        var start = 0
        while start <= accept.count {
            let comma = accept.firstIndex(of: 0x2C, from: start) ?? accept.count
            let item = accept[start..<comma]
            start = comma + 1
            let end = item.firstIndex(of: 0x3B) ?? item.count
            let range = item[0..<end].trimmed()
            guard range.count >= 3, range.contains(0x2F) else { continue }
            let quality = quality(item.dropFirst(end))
            guard quality > best else { continue }
            best = quality
            format = named(range) ?? .json
        }
        return format
    }

    /// The format of a media range, or nil.
    static func named(_ range: Bytes) -> ErrorFormat? {
        if range.equalsIgnoringCase("application/json") || range == "*/*" { return .json }
        if range.equalsIgnoringCase("application/*") { return .json }
        if range.equalsIgnoringCase("text/html") { return .html }
        if range.equalsIgnoringCase("text/plain") || range.equalsIgnoringCase("text/*") { return .plain }
        if range.equalsIgnoringCase("application/xml") { return .xml }
        return nil
    }

    /// The `q` among the parameters after a media range, in thousandths; 1000 without one.
    private static func quality(_ parameters: Bytes) -> Int {
        var start = 0
        while start < parameters.count {
            let end = parameters.firstIndex(of: 0x3B, from: start + 1) ?? parameters.count
            let parameter = parameters[(start + 1)..<end].trimmed()
            start = end
            guard parameter.count >= 2, ASCII.lower(parameter[0]) == 0x71, parameter[1] == 0x3D else { continue }
            return thousandths(parameter.dropFirst(2))
        }
        return 1000
    }

    /// `0`, `1` or up to three decimals; 0 for anything else, so that nonsense never wins.
    private static func thousandths(_ text: Bytes) -> Int {
        guard text.count > 0, text.count <= 5, let whole = text.prefix(1).decimal(), whole <= 1 else { return 0 }
        if text.count == 1 { return whole * 1000 }
        guard text[1] == 0x2E else { return 0 }
        var value = whole
        for i in 2..<5 {
            let digit = i < text.count ? text[i] &- 0x30 : 0
            guard digit <= 9 else { return 0 }
            value = value * 10 + Int(digit)
        }
        return min(value, 1000)
    }

    /// Appends the body. `requestID` is ours and needs no escaping.
    func write(_ message: Bytes, requestID: Bytes, to out: Buffer) {
        switch self {
        case .json:
            out.append("{\n  \"message\":\"")
            JSONText.escape(message, to: out)
            out.append("\",\n  \"request_id\":\"")
            out.append(requestID)
            out.append("\"\n}")
        case .plain:
            out.append(message)
            out.append("\nrequest_id: ")
            out.append(requestID)
            out.append("\n")
        case .html:
            out.append("<!doctype html>\n<html>\n  <head>\n    <meta charset=\"utf-8\">\n    <title>Error</title>\n")
            out.append("  </head>\n  <body>\n    <h1>Error</h1>\n    <p>")
            Self.escapeMarkup(message, to: out)
            out.append(".</p>\n    <p>request_id: ")
            out.append(requestID)
            out.append("</p>\n  </body>\n</html>\n")
        case .xml:
            out.append("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<error>\n  <message>")
            Self.escapeMarkup(message, to: out)
            out.append("</message>\n  <requestid>")
            out.append(requestID)
            out.append("</requestid>\n</error>\n")
        case .grpc: break
        }
    }

    /// Appends `text` with what HTML and XML give a meaning replaced; control characters become `?`.
    private static func escapeMarkup(_ text: Bytes, to out: Buffer) {
        for i in 0..<text.count {
            switch text[i] {
            case 0x26: out.append("&amp;")
            case 0x3C: out.append("&lt;")
            case 0x3E: out.append("&gt;")
            case 0x22: out.append("&quot;")
            case 0x27: out.append("&#39;")
            case 0x00..<0x09, 0x0B, 0x0C, 0x0E..<0x20, 0x7F: out.append(0x3F)
            case let byte: out.append(byte)
            }
        }
    }
}

/// Writes the reply of an error onto an exchange.
enum ErrorBody {
    /// An error of a filter or of routing: `Accept` decides, JSON otherwise.
    static func write(status: Int, message: Bytes, exchange x: Exchange) {
        write(isGRPC(x) ? .grpc : accepted(x) ?? .json, status, message, x)
    }

    /// An error of the proxy itself, with the status's own message: `Accept` decides, then the
    /// request's `Content-Type`, and plain text otherwise.
    static func writeDefault(status: Int, exchange x: Exchange) {
        let message = defaultMessage(status)
        var format = ErrorFormat.plain
        if isGRPC(x) {
            format = .grpc
        } else if x.requestHeaders.contains(.accept) {
            format = accepted(x) ?? .json
        } else if let type = x.requestHeaders.first(.contentType) {
            format = ErrorFormat.named(type.prefix(type.firstIndex(of: 0x3B) ?? type.count).trimmed()) ?? .json
        }
        write(format, status, Bytes(message), x)
    }

    /// Sets the reply's content type and body (for gRPC its status fields); its status is the caller's.
    private static func write(_ format: ErrorFormat, _ status: Int, _ message: Bytes, _ x: Exchange) {
        x.replyHeaders.set(.contentType, Bytes(format.contentType))
        if format == .grpc {
            setGRPC(grpcStatus(status), message, x)
            return
        }
        format.write(message, requestID: x.requestID.readable, to: x.replyBody)
    }

    private static func accepted(_ x: Exchange) -> ErrorFormat? {
        let headers = x.requestHeaders
        var best = 0
        var format: ErrorFormat?
        var from = 0
        while let index = headers.index(of: .accept, from: from) {
            from = index + 1
            format = ErrorFormat.preferred(headers.value(index), best: &best) ?? format
        }
        return format
    }

    static func isGRPC(_ x: Exchange) -> Bool {
        x.requestHeaders.first(.contentType)?.starts(with: "application/grpc") ?? false
    }

    /// Turns the reply into one that gRPC clients understand: a status and a message in the head, no
    /// body ("Trailers-Only").
    static func completeGRPC(_ x: Exchange) {
        x.replyBody.clear()
        x.replyHeaders.set(.contentType, Bytes(ErrorFormat.grpc.contentType))
        guard x.replyHeaders.index(named: Bytes("grpc-status")) == nil else { return }
        setGRPC(grpcStatus(x.replyStatus), Bytes(defaultMessage(x.replyStatus)), x)
    }

    /// Sets the reply's `grpc-status` and `grpc-message`.
    static func setGRPC(_ status: Int, _ message: Bytes, _ x: Exchange) {
        let text = Buffer(capacity: 64)
        text.append(decimal: status)
        x.replyHeaders.set(Bytes("grpc-status"), text.readable)
        text.clear()
        percentEncode(message, to: text)
        x.replyHeaders.set(Bytes("grpc-message"), text.readable)
    }

    /// gRPC's status for one of HTTP's, as Kong maps them; 2 (unknown) for the rest.
    static func grpcStatus(_ status: Int) -> Int {
        switch status {
        case 200: 0
        case 400: 3
        case 401: 16
        case 403: 7
        case 404: 5
        case 409: 6
        case 429: 8
        case 499: 1
        case 500: 13
        case 501: 12
        // A gateway's 502 means what 503 means: the call may be tried again (gRPC's own mapping says so too).
        case 502, 503: 14
        case 504: 4
        default: 2
        }
    }

    /// `grpc-message` travels percent-encoded (gRPC over HTTP/2, "Responses").
    private static func percentEncode(_ text: Bytes, to out: Buffer) {
        for i in 0..<text.count {
            let byte = text[i]
            if byte >= 0x20, byte < 0x7F, byte != 0x25 {
                out.append(byte)
            } else {
                out.append(0x25)
                for nibble in [byte >> 4, byte & 15] { out.append(nibble < 10 ? 0x30 + nibble : 0x37 + nibble) }
            }
        }
    }

    /// What an error of this status says when nothing better is known.
    static func defaultMessage(_ status: Int) -> StaticString {
        switch status {
        case 400: "Bad request"
        case 401: "Unauthorized"
        case 403: "Forbidden"
        case 404: "Not found"
        case 405: "Method not allowed"
        case 408: "Request timeout"
        case 411: "Length required"
        case 412: "Precondition failed"
        case 413: "Payload too large"
        case 414: "URI too long"
        case 417: "Expectation failed"
        case 426: "Upgrade required"
        case 429: "Too many requests"
        case 431: "Request header or cookie too large"
        case 500: "An unexpected error occurred"
        case 501: "Not implemented"
        case 502: "An invalid response was received from the upstream server"
        case 503: "The upstream server is currently unavailable"
        case 504: "The upstream server is timing out"
        case 505: "HTTP version not supported"
        default: "An error occurred"
        }
    }
}
