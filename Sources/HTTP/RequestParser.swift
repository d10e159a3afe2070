// Request heads (RFC 9112 section 3): bytes in, a RequestHead or a fault out. No socket, no clock.
//
//     request-line = method SP request-target SP HTTP-version CRLF
//
// 1. request line   2. field lines   3. what they mean together: Host, framing, connection

public import Bytes

/// How far a parser got.
public enum ParseResult<Fault: Error> {
    case incomplete
    /// The head is complete; the body starts at this offset of the buffer.
    case complete(bodyAt: Int)
    case failed(Fault)
}

/// Parses one request head, resuming at the line where bytes ran out.
public struct RequestParser {
    private enum Stage { case line, fields }

    private var stage = Stage.line
    private var at = 0
    private var start = 0
    private var sawEmptyLine = false
    private var hosts = 0
    private var lengths = 0
    private var codings = 0

    public init() {}

    /// Starts a new head at absolute offset `start` of the buffer.
    public mutating func begin(at start: Int) {
        self = RequestParser()
        at = start
        self.start = start
    }

    public mutating func parse(
        _ buffer: Buffer, into head: RequestHead, limits: HeadLimits
    ) -> ParseResult<RequestFault> {
        if stage == .line {
            switch requestLine(buffer, head, limits) {
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
                case .malformed: return .failed(.malformedField)
                case .folded: return .failed(.obsoleteFolding)
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
                if let fault = finish(head) { return .failed(fault) }
                return .complete(bodyAt: bodyAt)
            }
        }
    }

    // MARK: 1. Request line

    private mutating func requestLine(
        _ buffer: Buffer, _ head: RequestHead, _ limits: HeadLimits
    ) -> ParseResult<RequestFault> {
        var bytes = buffer.bytes(at: at, count: buffer.end - at)
        if bytes.count > 0, bytes[0] == 0x0D {
            // One empty line before a request is allowed (RFC 9112 section 2.2).
            guard !sawEmptyLine else { return .failed(.malformedRequestLine) }
            guard bytes.count > 1 else { return .incomplete }
            guard bytes[1] == 0x0A else { return .failed(.badLineEnd) }
            sawEmptyLine = true
            at += 2
            bytes = bytes.dropFirst(2)
        }
        guard bytes.count > 0 else { return .incomplete }
        head.reset(buffer)
        var i = 0
        while i < bytes.count, ASCII.isToken(bytes[i]) { i += 1 }
        guard i <= Method.countMax else { return .failed(.badMethod) }
        guard i < bytes.count else { return .incomplete }
        guard i > 0, bytes[i] == 0x20 else { return .failed(i == 0 && bytes[0] == 0x0A ? .badLineEnd : .badMethod) }
        head.methodRange = at..<(at + i)
        head.method = Method(bytes[0..<i])
        let targetStart = i + 1
        i = targetStart
        i = TargetSyntax.end(bytes, from: i)
        guard i - targetStart <= limits.line else { return .failed(.lineTooLong) }
        guard i < bytes.count else { return .incomplete }
        guard bytes[i] == 0x20, i > targetStart else {
            return .failed(bytes[i] == 0x0A || bytes[i] == 0x0D ? .malformedRequestLine : .badTarget)
        }
        head.targetRange = (at + targetStart)..<(at + i)
        let version = bytes.dropFirst(i + 1)
        // HTTP/1.x CRLF
        guard version.count >= 10 else {
            let isVersion =
                version.prefix(8) == Bytes("HTTP/1.1").prefix(version.count)
                || version.prefix(8) == Bytes("HTTP/1.0").prefix(version.count)
            return isVersion && (version.count < 9 || version[8] == 0x0D) ? .incomplete : .failed(versionFault(version))
        }
        guard version.starts(with: "HTTP/1."), version[7] == 0x31 || version[7] == 0x30 else {
            return .failed(versionFault(version))
        }
        guard version[8] == 0x0D, version[9] == 0x0A else {
            return .failed(version[8] == 0x0A || version[8] == 0x0D ? .badLineEnd : .malformedRequestLine)
        }
        head.minorVersion = Int(version[7] - 0x30)
        return .complete(bodyAt: at + i + 1 + 10)
    }

    /// A well-formed version of another number is 505; anything else is no request line at all.
    private func versionFault(_ version: Bytes) -> RequestFault {
        guard version.count >= 8, version.starts(with: "HTTP/"), ASCII.isDigit(version[5]), version[6] == 0x2E,
            ASCII.isDigit(version[7])
        else { return .malformedRequestLine }
        return version.count == 8 || version[8] == 0x0D ? .badVersion : .malformedRequestLine
    }

    // MARK: 2. Field lines

    @inline(__always)
    private mutating func note(_ id: FieldName, _ head: RequestHead) -> RequestFault? {
        switch id {
        case .host: hosts += 1
        case .contentLength: lengths += 1
        case .transferEncoding: codings += 1
        case .connection:
            guard let options = FieldParser.connectionOptions(head.headers.value(head.headers.count - 1)) else {
                return .malformedField
            }
            head.connection.formUnion(options)
        case .expect:
            guard head.expect(head.headers.value(head.headers.count - 1)) else { return .badExpectation }
        case .te:
            if FieldParser.list(head.headers.value(head.headers.count - 1), contains: "trailers") {
                head.acceptsTrailers = true
            }
        default: break
        }
        return nil
    }

    // MARK: 3. Meaning

    private func finish(_ head: RequestHead) -> RequestFault? {
        if let fault = target(head) { return fault }
        if let fault = host(head) { return fault }
        if let fault = framing(head) { return fault }
        if head.minorVersion == 0 { head.expectsContinue = false }
        if head.connection.contains(.upgrade), head.minorVersion == 1, head.method == .get,
            let upgrade = head.headers.first(.upgrade), FieldParser.list(upgrade, contains: "websocket")
        {
            head.wantsWebSocket = true
        }
        return nil
    }

    /// Brings every form of target (RFC 9112 section 3.2) to origin form.
    private func target(_ head: RequestHead) -> RequestFault? {
        let target = head.target
        if head.method.isRefused { return .methodNotAllowed }
        if target[0] == 0x2F { return nil }
        if target == "*" { return head.method == .options ? nil : .badTarget }
        let scheme: Int
        if target.count > 7, target.prefix(7).equalsIgnoringCase("http://") {
            scheme = 7
        } else if target.count > 8, target.prefix(8).equalsIgnoringCase("https://") {
            scheme = 8
        } else {
            return .badTarget
        }
        var end = scheme
        while end < target.count, target[end] != 0x2F, target[end] != 0x3F { end += 1 }
        guard end > scheme, HostSyntax.isValid(target[scheme..<end]) else { return .badHost }
        let base = head.targetRange.lowerBound
        head.hostRange = (base + scheme)..<(base + end)
        head.hostFromTarget = true
        // `http://host` and `http://host?q` have an empty path, which means "/" (RFC 9110 section 4.2.3).
        guard end < target.count, target[end] == 0x2F else {
            return end == target.count ? emptyPath(head) : .badTarget
        }
        head.targetRange = (base + end)..<head.targetRange.upperBound
        return nil
    }

    private func emptyPath(_ head: RequestHead) -> RequestFault? {
        // The second slash of "http://" stands for the path.
        guard let source = head.source else { return .badTarget }
        let slash =
            head.targetRange.lowerBound
            + (source.bytes(at: head.targetRange.lowerBound, count: 5).ends(with: "s") ? 7 : 6)
        head.targetRange = slash..<(slash + 1)
        return nil
    }

    private func host(_ head: RequestHead) -> RequestFault? {
        guard hosts > 0 else {
            return head.minorVersion == 1 ? .missingHost : nil
        }
        guard hosts == 1, let index = head.headers.index(of: .host) else { return .badHost }
        let value = head.headers.value(index)
        guard HostSyntax.isValid(value) else { return .badHost }
        if head.hostFromTarget {
            return value.equalsIgnoringCase(head.host) ? nil : .badHost
        }
        head.hostRange = head.headers.sourceRange(ofValue: index)
        return nil
    }

    private func framing(_ head: RequestHead) -> RequestFault? {
        if codings > 0 {
            if lengths > 0 { return .conflictingFraming }
            guard codings == 1, head.minorVersion == 1, let coding = head.headers.first(.transferEncoding),
                coding.equalsIgnoringCase("chunked")
            else { return .badTransferEncoding }
            head.framing = .chunked
            return nil
        }
        guard lengths > 0 else { return nil }
        guard lengths == 1, let length = head.headers.first(.contentLength)?.decimal() else { return .badContentLength }
        head.framing = length == 0 ? .none : .length(length)
        return nil
    }
}

/// What may stand in a request target, in HTTP/1 and in `:path`.
enum TargetSyntax {
    /// Visible bytes but `#`: a fragment never travels (RFC 9112 section 3.2). Bytes past 0x7F are
    /// passed, as the gateways people migrate from do.
    @inline(__always)
    private static func isByte(_ byte: UInt8) -> Bool { byte > 0x20 && byte != 0x7F && byte != 0x23 }

    /// Offset of the first byte that no target holds, or the count. Eight bytes at a time.
    @inline(__always)
    static func end(_ bytes: Bytes, from start: Int) -> Int {
        var i = start
        let ones: UInt64 = 0x0101_0101_0101_0101
        let highs: UInt64 = 0x8080_8080_8080_8080
        while i + 8 <= bytes.count {
            let word = bytes.load64(i)
            // A byte below 0x21, equal to 0x7F, or to 0x23. Borrows may flag bytes after the first, never before it.
            let low = (word &- ones &* 0x21) & ~word
            let del = word ^ ones &* 0x7F
            let hash = word ^ ones &* 0x23
            let flagged = (low | (del &- ones) & ~del | (hash &- ones) & ~hash) & highs
            if flagged != 0 { return i + (flagged.trailingZeroBitCount >> 3) }
            i += 8
        }
        while i < bytes.count, isByte(bytes[i]) { i += 1 }
        return i
    }

    /// Whether `target` is in origin form, or `*` for OPTIONS, and holds nothing else.
    static func isOriginForm(_ target: Bytes, _ method: Method) -> Bool {
        guard target.count > 0, target[0] == 0x2F else { return target == "*" && method == .options }
        return end(target, from: 1) == target.count
    }
}

/// `Host` and authority syntax (RFC 9110 section 7.2, RFC 3986 section 3.2.2): what may stand there,
/// less what no client sends and some peers misread (user information, percent-encoding, commas).
public enum HostSyntax {
    public static func isValid(_ host: Bytes) -> Bool {
        guard host.count > 0, host.count <= 255 + 6 else { return false }
        var end = 0
        if host[0] == 0x5B {
            guard let close = host.firstIndex(of: 0x5D), let address = IPAddress(host[1..<close]),
                address.isIPv6 || host[1..<close].contains(0x3A)
            else { return false }
            end = close + 1
        } else {
            while end < host.count, isNameByte(host[end]) {
                // A label is not empty; only the root's is, behind the last dot (RFC 1034 section 3.1).
                if host[end] == 0x2E, end > 0, host[end - 1] == 0x2E { return false }
                end += 1
            }
            guard end > 0, end <= 255, end > 1 || host[0] != 0x2E else { return false }
        }
        return end == host.count || isPort(host.dropFirst(end))
    }

    private static func isNameByte(_ byte: UInt8) -> Bool {
        if ASCII.isUnreserved(byte) { return true }
        switch byte {
        case 0x21, 0x24, 0x26, 0x27, 0x28, 0x29, 0x2A, 0x2B, 0x3B, 0x3D: return true  // sub-delims but ","
        default: return false
        }
    }

    /// `:` and 1 to 65535.
    private static func isPort(_ text: Bytes) -> Bool {
        guard text.count >= 2, text.count <= 6, text[0] == 0x3A, let port = text.dropFirst(1).decimal() else {
            return false
        }
        return port >= 1 && port <= 65535
    }

    /// The host without its port.
    public static func name(_ host: Bytes) -> Bytes {
        guard host.count > 0 else { return host }
        if host[0] == 0x5B { return host.prefix((host.firstIndex(of: 0x5D) ?? host.count - 1) + 1) }
        return host.prefix(host.lastIndex(of: 0x3A) ?? host.count)
    }

    /// The port after the host, or nil.
    public static func port(_ host: Bytes) -> Int? {
        let name = name(host)
        return name.count < host.count ? host.dropFirst(name.count + 1).decimal() : nil
    }
}
