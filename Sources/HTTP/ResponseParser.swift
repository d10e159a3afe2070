// Response heads (RFC 9112 section 4): as strict towards upstreams as towards clients.
//
//     status-line = HTTP-version SP status-code SP [ reason-phrase ] CRLF

public import Bytes

/// Parses one response head, resuming at the line where bytes ran out.
public struct ResponseParser {
    private enum Stage { case line, fields }

    private var stage = Stage.line
    private var at = 0
    private var start = 0
    private var lengths = 0
    private var codings = 0

    public init() {}

    public mutating func begin(at start: Int) {
        self = ResponseParser()
        at = start
        self.start = start
    }

    /// - Parameter toHead: the request was a HEAD, so that no body follows whatever the fields say.
    public mutating func parse(
        _ buffer: Buffer, into head: ResponseHead, limits: HeadLimits, toHead: Bool
    ) -> ParseResult<ResponseFault> {
        if stage == .line {
            switch statusLine(buffer, head) {
            case .incomplete: return .incomplete
            case .failed(let fault): return .failed(fault)
            case .complete(let next):
                at = next
                stage = .fields
            }
        }
        while true {
            switch FieldParser.line(buffer, at: at, limit: limits.line, into: head.headers) {
            case .incomplete:
                return buffer.end - start > limits.head ? .failed(.headTooLarge) : .incomplete
            case .failed(let fault):
                switch fault {
                case .malformed, .folded: return .failed(.malformedField)
                case .lineEnd: return .failed(.badLineEnd)
                case .tooLong: return .failed(.headTooLarge)
                }
            case .field(let next, let id):
                at = next
                if head.headers.count > limits.fields { return .failed(.tooManyFields) }
                if let fault = note(id, head) { return .failed(fault) }
            case .end(let bodyAt):
                guard bodyAt - start <= limits.head else { return .failed(.headTooLarge) }
                head.wireCount = bodyAt - start
                if let fault = framing(head, toHead: toHead) { return .failed(fault) }
                return .complete(bodyAt: bodyAt)
            }
        }
    }

    private func statusLine(_ buffer: Buffer, _ head: ResponseHead) -> ParseResult<ResponseFault> {
        let bytes = buffer.bytes(at: at, count: buffer.end - at)
        guard bytes.count >= 13 || bytes.contains(0x0A) else {
            return bytes.prefix(7) == Bytes("HTTP/1.").prefix(bytes.count) ? .incomplete : .failed(.malformedStatusLine)
        }
        guard bytes.count >= 13, bytes.starts(with: "HTTP/1."), bytes[7] == 0x30 || bytes[7] == 0x31, bytes[8] == 0x20,
            let status = bytes[9..<12].decimal(), status >= 100, status <= 599
        else { return .failed(.malformedStatusLine) }
        // The space belongs to the line even without a reason, but servers that drop it are many.
        guard bytes[12] == 0x20 || bytes[12] == 0x0D else { return .failed(.malformedStatusLine) }
        var i = bytes[12] == 0x20 ? 13 : 12
        let reason = i
        while i < bytes.count, bytes[i] >= 0x20 && bytes[i] != 0x7F || bytes[i] == 0x09 {
            i += 1
            if i > 1024 { return .failed(.malformedStatusLine) }
        }
        guard i + 1 < bytes.count else {
            return i == bytes.count || bytes[i] == 0x0D ? .incomplete : .failed(.badLineEnd)
        }
        guard bytes[i] == 0x0D, bytes[i + 1] == 0x0A else { return .failed(.badLineEnd) }
        head.reset(buffer)
        head.status = status
        head.minorVersion = Int(bytes[7] - 0x30)
        head.reasonRange = (at + reason)..<(at + i)
        return .complete(bodyAt: at + i + 2)
    }

    @inline(__always)
    private mutating func note(_ id: FieldName, _ head: ResponseHead) -> ResponseFault? {
        switch id {
        case .contentLength: lengths += 1
        case .transferEncoding: codings += 1
        case .connection:
            guard let options = FieldParser.connectionOptions(head.headers.value(head.headers.count - 1)) else {
                return .malformedField
            }
            head.connection.formUnion(options)
        default: break
        }
        return nil
    }

    /// RFC 9112 section 6.3, without its repairs.
    private func framing(_ head: ResponseHead, toHead: Bool) -> ResponseFault? {
        if codings > 0, lengths > 0 { return .conflictingFraming }
        var length: Int?
        if lengths > 0 {
            guard lengths == 1, let value = head.headers.first(.contentLength)?.decimal() else {
                return .badContentLength
            }
            length = value
        }
        if codings > 0 {
            guard codings == 1, head.minorVersion == 1, let coding = head.headers.first(.transferEncoding),
                coding.equalsIgnoringCase("chunked")
            else { return .badTransferEncoding }
        }
        let status = head.status
        if toHead || status < 200 || status == 204 || status == 304 {
            if status < 200 || status == 204, codings > 0 || (length ?? 0) > 0 { return .conflictingFraming }
            head.framing = .none
        } else if codings > 0 {
            head.framing = .chunked
        } else if let length {
            head.framing = length == 0 ? .none : .length(length)
        } else {
            head.framing = .untilClose
        }
        return nil
    }
}
