// A request's header block of HTTP/2 as the head that HTTP/1 would have brought (RFC 9113 section 8.3).
//
// 1. pseudo fields   2. ordinary fields   3. cookies   4. what they mean together: method, target, host, framing

import Bytes

/// What is wrong with a request's fields.
public enum RequestHeadProblem: Equatable, Sendable {
    /// RFC 9113 section 8.1.1: a stream error of PROTOCOL_ERROR, without an answer.
    case malformed
    /// To be answered with the fault's status.
    case refused(RequestFault)
}

extension RequestHead {
    /// Takes the fields of a request's header block and the buffer they are in; the list is empty then.
    ///
    /// Afterwards the head reads as if HTTP/1.1 had brought it: `:authority` is a Host field, cookies are one
    /// field, an extended CONNECT for a WebSocket is a GET with `wantsWebSocket`. `framing` is `.chunked` for a
    /// body of unknown length; the owner sees to it that a known length is kept (RFC 9113 section 8.1.1), and
    /// that `.none` without `end` brings no data.
    ///
    /// - Parameter end: END_STREAM came with the block.
    /// - Returns: nil when all is well. The head then, and when it is refused, can be read as far as it came.
    public func take(_ list: FieldList, end: Bool, limits: HeadLimits) -> RequestHeadProblem? {
        let source = ownText.take(list)
        reset(source)
        httpVersion = 2
        wireCount = list.wireCount
        defer { list.clear() }
        var pseudos = PseudoFields()
        guard let first = pseudos.read(list) else { return .malformed }
        if let method = pseudos.method {
            methodRange = method
            self.method = Method(methodBytes)
        }
        targetRange = pseudos.path ?? 0..<0
        if let authority = pseudos.authority { addHost(authority, source) }
        var notes = Notes()
        for index in first..<list.count {
            if let problem = note(list[index], source, &notes, limits) { return problem }
        }
        if notes.cookies > 1 { joinCookies(list, from: first, source, at: notes.cookieIndex) }
        if let fault = limitFault(list, notes, limits) { return .refused(fault) }
        return finish(pseudos, source, notes, end: end)
    }

    /// What was seen among the ordinary fields.
    private struct Notes {
        var hosts = 0
        var lengths = 0
        var cookies = 0
        var cookieIndex = 0
        var isLineTooLong = false
        var isExpectationBad = false
    }

    // MARK: 1. Pseudo fields

    /// Puts the authority first, as the Host field it stands for (RFC 9113 section 8.3.1).
    private func addHost(_ authority: Range<Int>, _ source: Buffer) {
        hostRange = authority
        hostFromTarget = true
        let name = source.end
        source.append("host")
        headers.appendParsed(
            id: .host, nameOffset: name, nameCount: 4, valueOffset: authority.lowerBound, valueCount: authority.count)
    }

    // MARK: 2. Ordinary fields

    @inline(__always)
    private func note(
        _ entry: FieldList.Entry, _ source: Buffer, _ notes: inout Notes, _ limits: HeadLimits
    ) -> RequestHeadProblem? {
        guard entry.isOrdinary else { return .malformed }
        if entry.nameCount + 2 + entry.valueCount > limits.line { notes.isLineTooLong = true }
        switch entry.id {
        case .te:
            // RFC 9113 section 8.2.2.
            guard source.bytes(at: entry.valueOffset, count: entry.valueCount).equalsIgnoringCase("trailers") else {
                return .malformed
            }
            acceptsTrailers = true
        case .host:
            notes.hosts += 1
            // The authority has become a field already; whether the two agree is asked in the end.
            if hostFromTarget {
                let value = source.bytes(at: entry.valueOffset, count: entry.valueCount)
                return value.equalsIgnoringCase(host) ? nil : .refused(.badHost)
            }
            hostRange = entry.valueOffset..<(entry.valueOffset + entry.valueCount)
        case .contentLength: notes.lengths += 1
        case .expect:
            if !expect(source.bytes(at: entry.valueOffset, count: entry.valueCount)) { notes.isExpectationBad = true }
        case .cookie:
            notes.cookies += 1
            if notes.cookies > 1 { return nil }
            notes.cookieIndex = headers.count
        default: break
        }
        headers.appendDecoded(entry)
        return nil
    }

    // MARK: 3. Cookies

    /// RFC 9113 section 8.2.3: cookies that came apart go on as one field. Empty ones are left out: a separator at
    /// the end would leave a blank there, which HTTP/1 takes off.
    private func joinCookies(_ list: FieldList, from first: Int, _ source: Buffer, at index: Int) {
        var total = 0
        for index in first..<list.count where list[index].id == .cookie { total += list[index].valueCount + 2 }
        // With the room made first, the views below survive what is appended.
        source.reserve(total)
        let start = source.end
        for index in first..<list.count where list[index].id == .cookie {
            let value = source.bytes(at: list[index].valueOffset, count: list[index].valueCount)
            if value.isEmpty { continue }
            if source.end > start { source.append("; ") }
            source.append(value)
        }
        headers.moveValue(index, to: start..<source.end)
    }

    private func limitFault(_ list: FieldList, _ notes: Notes, _ limits: HeadLimits) -> RequestFault? {
        if list.overflow == .target || targetRange.count > limits.line { return .lineTooLong }
        switch list.overflow {
        case .size, .target: return .headTooLarge
        case .count: return .tooManyFields
        case .none: break
        }
        if notes.isLineTooLong { return .headTooLarge }
        if notes.cookies > 1, headers.value(notes.cookieIndex).count + 8 > limits.line { return .headTooLarge }
        return notes.isExpectationBad ? .badExpectation : nil
    }

    // MARK: 4. Meaning

    private func finish(
        _ pseudos: PseudoFields, _ source: Buffer, _ notes: Notes, end: Bool
    ) -> RequestHeadProblem? {
        guard pseudos.method != nil else { return .malformed }
        guard method != .other || Method.isValid(methodBytes) else { return .refused(.badMethod) }
        if let problem = tunnel(pseudos, source) { return problem }
        if method.isRefused { return .refused(.methodNotAllowed) }
        guard let scheme = pseudos.scheme, !targetRange.isEmpty else { return .malformed }
        let text = source.bytes(at: scheme.lowerBound, count: scheme.count)
        saysHTTPS = text == "https" || text.equalsIgnoringCase("https")
        guard saysHTTPS || text.equalsIgnoringCase("http") else { return .malformed }
        guard TargetSyntax.isOriginForm(target, method) else { return .refused(.badTarget) }
        guard hostFromTarget || notes.hosts > 0 else { return .refused(.missingHost) }
        guard notes.hosts <= 1, HostSyntax.isValid(host) else { return .refused(.badHost) }
        return frame(notes, end: end)
    }

    /// RFC 8441: CONNECT with `:protocol`. For everybody behind this it is the GET that HTTP/1 would have sent.
    private func tunnel(_ pseudos: PseudoFields, _ source: Buffer) -> RequestHeadProblem? {
        guard let name = pseudos.protocol else { return nil }
        guard method == .connect else { return .malformed }
        guard source.bytes(at: name.lowerBound, count: name.count).equalsIgnoringCase("websocket") else { return nil }
        let start = source.end
        source.append("GET")
        methodRange = start..<source.end
        method = .get
        wantsWebSocket = true
        return nil
    }

    /// RFC 9113 section 8.1.1, with HTTP/1's one valid Content-Length.
    private func frame(_ notes: Notes, end: Bool) -> RequestHeadProblem? {
        guard notes.lengths > 0 else {
            framing = end || wantsWebSocket ? .none : .chunked
            return nil
        }
        guard notes.lengths == 1, let length = headers.first(.contentLength)?.decimal() else {
            return .refused(.badContentLength)
        }
        guard length == 0 || !(end || wantsWebSocket) else { return .malformed }
        framing = length == 0 ? .none : .length(length)
        return nil
    }
}

/// Where the pseudo fields of a block have their values.
struct PseudoFields {
    private(set) var method: Range<Int>?
    private(set) var scheme: Range<Int>?
    private(set) var authority: Range<Int>?
    private(set) var path: Range<Int>?
    private(set) var status: Range<Int>?
    private(set) var `protocol`: Range<Int>?

    /// Reads the pseudo fields at the front of a request's block; the index of the first ordinary field, or nil
    /// for one that is malformed, unknown, a response's, or there twice.
    mutating func read(_ list: FieldList) -> Int? {
        var index = 0
        while index < list.count {
            let entry = list[index]
            if entry.pseudo == .none { return index }
            guard !entry.isMalformed else { return nil }
            let value = entry.valueOffset..<(entry.valueOffset + entry.valueCount)
            switch entry.pseudo {
            case .method: guard Self.set(&method, value) else { return nil }
            case .scheme: guard Self.set(&scheme, value) else { return nil }
            case .authority: guard Self.set(&authority, value) else { return nil }
            case .path: guard Self.set(&path, value) else { return nil }
            case .protocol: guard Self.set(&`protocol`, value) else { return nil }
            case .status, .none, .unknown: return nil
            }
            index += 1
        }
        return index
    }

    @inline(__always)
    private static func set(_ field: inout Range<Int>?, _ value: Range<Int>) -> Bool {
        guard field == nil else { return false }
        field = value
        return true
    }
}

extension FieldList.Entry {
    /// Whether this may stand among the ordinary fields of HTTP/2: well-formed, and not about the connection,
    /// which is none of a message's business there (RFC 9113 section 8.2.2).
    @inline(__always)
    var isOrdinary: Bool {
        guard pseudo == .none, !isMalformed else { return false }
        switch id {
        case .connection, .proxyConnection, .keepAlive, .transferEncoding, .upgrade: return false
        default: return true
        }
    }
}
